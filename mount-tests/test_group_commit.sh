#!/bin/bash
# Group commit, seen from outside: how many fdatasync calls on the log the daemon makes for how many fsync calls of
# programs. strace counts.
. "$(dirname "$0")/lib.sh"
[ -n "$native" ] && { echo "skipped: counts the daemon's calls; there is none"; exit 77; }
command -v strace >/dev/null || { echo "skipped: no strace"; exit 77; }
start commit=3600,memtable=16m

# syncs PROCESSES TIMES [idle]: sets $count to the daemon's fdatasync calls on logs meanwhile.
syncs() {
    "$bin/mount-tests/fsyncs" "$mp" "$1" 1 # the files are there, and synced
    trace -y -e trace=fdatasync,fsync -o "$work/trace"
    "$bin/mount-tests/fsyncs" "$mp" "$@" || failures=$((failures + 1))
    sleep 0.3
    trace_end
    count=$(grep -c 'sync(.*\.log' "$work/trace")
    say "$1 processes, $(($1 * $2)) fsync calls: $count fdatasync calls on the log"
}
syncs 16 100
check "16 processes: less than a third of their fsync calls" [ "$count" -lt $((1600 / 3)) ]
check "16 processes: some, all the same" [ "$count" -gt 0 ]
syncs 1 100
check "one process: exactly one for each fsync" [ "$count" = 100 ]
syncs 1 100 idle
check "one process with nothing new: one for what it wrote first, none after" [ "$count" = 1 ]
done_testing
