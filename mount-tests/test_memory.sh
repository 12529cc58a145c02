#!/bin/bash
# What the daemon needs of memory, whatever is in the store: the cache, the memtables, and what is in use.
. "$(dirname "$0")/lib.sh"
[ -n "$native" ] && { echo "skipped: measures the daemon's memory; there is none"; exit 77; }
[ "$(id -u)" = 0 ] || { echo "skipped: only root can make the kernel drop its caches"; exit 77; }
start cache=16m,memtable=4m
# 16 MiB of blocks, up to three memtables, and 12 MiB for work under way, threads and code.
limit=$(((16 + 3 * 4 + 12) * 1024))
highest() { awk '$1 == "VmHWM:" { print $2 }' "/proc/$(daemon_pid)/status"; }
# Inodes that the kernel refers to are in memory, too: the kernel's are several times as big.
within() { # NAME NODES
    local bound=$((limit + $2 * 600 / 1024)) got
    got=$(highest)
    check "$1: at most $bound KiB" [ "$got" -le "$bound" ]
    say "it is $got KiB"
}
cold() {
    cd /
    echo 3 >/proc/sys/vm/drop_caches
    cd "$mp" || exit 1
}
"$bin/mount-tests/pattern" big $((256 << 20)) write
within "256 MiB are written" 0
cold
check "they are read" "$bin/mount-tests/pattern" big $((256 << 20)) check
within "they are read" 0

files=16000
mkdir small
head -c $((files * 4096)) /dev/urandom | (cd small && split -b 4096 -a 5 - f)
within "$files files of 4 KiB are made" $files
for round in 1 2; do
    cold
    check "eight programs read all at a time" sh -c 'ls -f small | grep f | xargs -P 8 -n 1000 sh -c "cd small && cat \"\$@\" >/dev/null" sh'
    within "eight programs read all at a time ($round)" $files
done
done_testing
