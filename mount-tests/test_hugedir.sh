#!/bin/bash
# One directory of a million files (ENTRIES= for another number, BIG=1 for all of it; else 200,000): made, counted, looked at, removed.
. "$(dirname "$0")/lib.sh"
entries=${ENTRIES:-200000}
[ -n "${BIG:-}" ] && entries=1000000
start memtable=16m,cache=64m
mkdir huge

timed() { # NAME COMMAND...: checks it, and says how long it took
    local before=$EPOCHREALTIME
    check "$@"
    say "$1: $(awk -v a="$before" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f s", b - a}')"
}
make_all() { (cd huge && seq "$entries" | awk '{print "file" $1 * 7919 % 1000003}' | xargs touch --); }
is_there() { [ -f "huge/file$(($1 * 7919 % 1000003))" ]; }
some_are_there() { for i in $(seq 1 $((entries / 500)) "$entries"); do is_there "$i" || return 1; done; }
count() { [ "$(find huge -type f | wc -l)" = "$entries" ]; }

timed "$entries files are made" make_all
timed "find counts them" count
remount
timed "find counts them, after umount and mount" count
timed "each is listed once" sh -c '[ "$(ls -f huge | sort -u | wc -l)" = $(($1 + 2)) ]' - "$entries"
timed "500 of them are there" some_are_there
check "one that is not, is not" [ ! -e huge/file0 ]
touch huge/x
crash
timed "ls -l, after kill -9 and mount" sh -c '[ "$(ls -l huge | grep -c file)" = "$1" ]' - "$entries"
check "the last one before the kill is there" [ -f huge/x ]
timed "rm -rf" rm -rf huge
check "nothing is left" [ -z "$(ls -A)" ]
remount
check "nothing is left, after umount and mount" [ -z "$(ls -A)" ]
check "another of that name is empty" sh -c 'mkdir huge && [ -z "$(ls -A huge)" ]'
done_testing
