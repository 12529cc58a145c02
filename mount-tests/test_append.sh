#!/bin/bash
# 16 processes append, fsync, and report: every reported record is there after kill -9 of the daemon.
. "$(dirname "$0")/lib.sh"
start
for round in 1 2 3; do
    [ -n "$native" ] && break
    mkdir "r$round"
    "$bin/mount-tests/append" "$mp/r$round" 16 100000 "$work/report" &
    writers=$!
    sleep "$round"
    cd "$work" && daemon_kill
    wait "$writers"
    umount "$mp" 2>/dev/null || fusermount3 -u "$mp" || umount -l "$mp"
    mount_again
    cd "$mp" || exit 1
    check "round $round: every reported record is there" "$bin/mount-tests/append" -v "r$round" "$work/report"
    say "$(tail -1 "$work/output")"
    rm "$work/report"
done
mkdir whole
"$bin/mount-tests/append" "$mp/whole" 16 100 "$work/report"
look() { check "all records of 16 processes$1" "$bin/mount-tests/append" -v whole "$work/report"; }
each_way look
done_testing
