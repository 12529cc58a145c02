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
inodes_are() { # after kill -9 they are counted while the mount is in use
    [ -n "$native" ] && return
    local used
    for _ in $(seq 600); do
        used=$(df --output=iused "$mp" | tail -1)
        [ "$used" -eq "$1" ] && return
        sleep 0.05
    done
    echo "$used instead of $1"
    false
}
count() { [ "$(find huge -type f | wc -l)" = "$entries" ]; }

mount_cold() { # within half a second, however much is in the store
    cd "$work" || return
    "$skeinfs" umount "$mp" || return
    [ "$(id -u)" = 0 ] && echo 3 >/proc/sys/vm/drop_caches
    local before=$EPOCHREALTIME
    mount_again
    awk -v a="$before" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.3f s\n", b - a; exit b - a >= 0.5}'
}

timed "$entries files are made" make_all
timed "find counts them" count
if [ -z "$native" ]; then
    check "it is mounted in less than 0.5 s" mount_cold
    say "it took $(cat "$work/output")"
    cd "$mp" || exit 1
fi
timed "df -i counts them, after umount and mount" inodes_are $((entries + 2))
timed "find counts them, after umount and mount" count
timed "each is listed once" sh -c '[ "$(ls -f huge | sort -u | wc -l)" = $(($1 + 2)) ]' - "$entries"
timed "500 of them are there" some_are_there
check "one that is not, is not" [ ! -e huge/file0 ]
touch huge/x
crash
timed "df -i counts them, after kill -9 and mount" inodes_are $((entries + 3))
timed "ls -l, after kill -9 and mount" sh -c '[ "$(ls -l huge | grep -c file)" = "$1" ]' - "$entries"
check "the last one before the kill is there" [ -f huge/x ]
timed "rm -rf" rm -rf huge
check "nothing is left" [ -z "$(ls -A)" ]
check "and no inode" inodes_are 1
remount
check "nothing is left, after umount and mount" [ -z "$(ls -A)" ]
check "another of that name is empty" sh -c 'mkdir huge && [ -z "$(ls -A huge)" ]'
done_testing
