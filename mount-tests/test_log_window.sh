#!/bin/bash
# Changes go into the log through a mapping of it. What is acknowledged outlives kill -9; and a page of the mapping that cannot be had
# (a disk that fails looks like a file that was cut short) does not end the daemon.
. "$(dirname "$0")/lib.sh"
[ -n "$native" ] && { echo "skipped: about the daemon's log; there is none"; exit 77; }

create() { # FROM TO: empty files
    (cd "$mp" && seq "$1" "$2" | xargs touch)
}
all_there() { # UPTO
    [ "$(ls "$mp" | wc -l)" = "$1" ] && [ "$(ls "$mp" | sort -n | tail -1)" = "$1" ]
}
mapped_log() { grep -o "$store/kv/[0-9]*\.log" "/proc/$(daemon_pid)/maps"; }

start commit=3600
create 1 1000
[ -n "$(mapped_log)" ] || { echo "skipped: logs are not mapped on $(stat -fc %T "$work")"; exit 77; }
crash
check "after kill -9 all is there" all_there 1000

create 1001 2000
check "the log is mapped again" [ -n "$(mapped_log)" ]
pid=$(daemon_pid)
truncate -s 0 "$(mapped_log)"
check "a log that is cut short under its mapping: changes are taken" create 2001 3000
check "by the same daemon" [ "$(daemon_pid)" = "$pid" ]
remount # its memtable goes into a table
check "and are there after an unmount" all_there 3000
done_testing
