#!/bin/bash
# A mount that ends while it is hard at work: by SIGTERM, umount -l, fusermount3 -u; with one thread, two and sixteen. The daemon always
# ends, it closes its store cleanly, and what was reported is there. And what one thread must do alone, and nobody while nothing happens.
. "$(dirname "$0")/lib.sh"
[ -n "$native" ] && { echo "skipped: it ends the daemon; there is none"; exit 77; }
command -v fusermount3 >/dev/null || { echo "skipped: no fusermount3 (Debian's package fuse3)"; exit 77; }

programs=
load() { # appends with fsync; mails with fsync and without: create, write, rename, list
    : >"$work/appended" && : >"$work/mailed" && : >"$work/posted"
    "$bin/mount-tests/append" "$mp" 6 1000000 "$work/appended" & programs=$!
    "$bin/mount-tests/mails" "$mp/synced" 5 1000000 "$work/mailed" & programs+=" $!"
    "$bin/mount-tests/mails" "$mp/plain" 5 1000000 "$work/posted" nosync & programs+=" $!"
    for _ in $(seq 100); do
        [ -s "$work/appended" ] && [ -s "$work/mailed" ] && [ -s "$work/posted" ] && break
        sleep 0.05
    done
    sleep 0.$((RANDOM % 5))
}
# The programs that work in the mount, if they have not noticed yet that it is gone.
end_load() {
    local pid
    for pid in $programs; do
        pkill -KILL -P "$pid"
        kill -KILL "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    programs=
}
dies() {
    for _ in $(seq 300); do
        is_dead "$1" && return
        sleep 0.1
    done
    return 1
}
closed_cleanly() { tail -1 "$store/kv/LOG" | grep "closed cleanly"; }

by_SIGTERM() { kill -TERM "$1" && dies "$1"; }
# Who has files open goes on in the detached mount; it ends with the last of them.
by_lazy_umount() { umount -l "$mp" && sleep 0.3 && ! is_dead "$1" && end_load && dies "$1"; }
# As long as files are open it refuses, and nothing changes; without them it is an ordinary end.
by_fusermount() {
    ! fusermount3 -u "$mp" 2>/dev/null && mounted && end_load || return 1
    for _ in $(seq 100); do
        fusermount3 -u "$mp" && break
        sleep 0.1
    done
    dies "$1"
}

ends() {
    local pid what="${1#by_}, threads=$2"
    start "threads=$2,commit=0.02"
    cd "$work" || exit 1
    load
    pid=$(daemon_pid)
    check "$what: the daemon ends" "$1" "$pid"
    end_load
    mounted && { say "still mounted"; daemon_kill; umount -l "$mp"; }
    check "$what: its store is closed cleanly" closed_cleanly
    mount_again
    check "$what: every appended record is there" "$bin/mount-tests/append" -v "$mp" "$work/appended"
    check "$what: every synced mail is there" "$bin/mount-tests/mails" -v "$mp/synced" "$work/mailed"
    check "$what: every other mail is there" "$bin/mount-tests/mails" -v "$mp/plain" "$work/posted"
    "$skeinfs" umount "$mp"
    rm -rf "$store"
}
for threads in 1 2 16; do
    for way in by_SIGTERM by_lazy_umount by_fusermount; do
        [ $way = by_lazy_umount ] && [ "$(id -u)" != 0 ] && continue
        ends $way $threads
    done
done

# ---- a flush of the commit timer is under way, fsyncs wait for it, and the session ends

if command -v strace >/dev/null; then
    start threads=4,commit=0.3
    exec 8>"$mp/open" # so that SIGTERM cannot just unmount
    cd "$work" || exit 1
    trace -e trace=fdatasync -e inject=fdatasync:delay_enter=2000000 -o /dev/null # each takes two seconds now
    echo text >"$mp/new" # the timer's next flush is for this; the fsyncs come while it runs
    sleep 1
    "$bin/mount-tests/fsyncs" "$mp" 4 1 & fsyncs=$!
    sleep 0.3
    pid=$(daemon_pid)
    check "fsyncs that wait for the timer's flush: the daemon ends" by_SIGTERM "$pid"
    wait "$fsyncs" 2>/dev/null
    exec 8>&-
    check "fsyncs that wait for the timer's flush: its store is closed cleanly" closed_cleanly
    trace_end
    rm -rf "$store"
else
    say "no strace: no flush is slowed down"
fi

# ---- one thread must not wait for what only another could do

start threads=1
alone() { timeout 60 "$@"; }
check "one thread: fsyncs of 8 processes" alone "$bin/mount-tests/fsyncs" "$mp" 8 50
check "one thread: writes that stall until memtables are flushed" alone dd if=/dev/zero of="$mp/big" bs=1M count=64
check "one thread: the same, synced" alone dd if=/dev/zero of="$mp/big2" bs=64k count=200 oflag=sync
check "one thread: 2000 files, and their listing" alone sh -c "mkdir '$mp/d' && cd '$mp/d' && seq 2000 | xargs touch && [ \$(ls -l | wc -l) = 2001 ]"
check "one thread: cold reads" alone cmp -n 67108864 "$mp/big" /dev/zero
check "one thread: rm -r" alone rm -r "$mp/d"

# ---- an idle mount costs nothing

ticks() { sed 's/.*) //' "/proc/$(daemon_pid)/stat" | cut -d' ' -f12,13 | tr ' ' '+'; }
is_idle() {
    local before=$(($(ticks)))
    sleep 2
    local spent=$(($(ticks) - before))
    echo "$spent ticks"
    [ "$spent" -le 2 ]
}
sleep 3 # what was deleted is cleared away, tables are compacted
check "an idle mount uses no CPU" is_idle
cd "$work" || exit 1
done_testing
