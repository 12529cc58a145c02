#!/bin/bash
# The options sync and dirsync (mount(8)), seen from outside: what is on stable storage when a call returns. strace counts the
# daemon's calls on the log. Without the options nothing is, before somebody fsyncs.
. "$(dirname "$0")/lib.sh"
[ -n "$native" ] && { echo "skipped: counts the daemon's calls; there is none"; exit 77; }
command -v strace >/dev/null || { echo "skipped: no strace"; exit 77; }

# syncs N COMMAND...: the command makes the daemon sync its log so many times.
syncs() {
    local wanted=$1 before count
    shift
    before=$(grep -c 'sync(.*\.log' "$work/trace")
    "$@" || return
    sleep 0.1 # strace's file
    count=$(($(grep -c 'sync(.*\.log' "$work/trace") - before))
    echo "$count instead of $wanted"
    [ "$count" = "$wanted" ]
}
with() { # OPTION NAMES ATTRIBUTES WRITES: syncs of the log for each
    option=$1
    cd "$work" || exit 1
    rm -rf "$store"
    start "commit=3600,memtable=16m,$1"
    mkdir old && : >old/file && setfattr -n user.x -v 1 old/file
    sync old
    trace -y -e trace=fdatasync,fsync -o "$work/trace"
    check "$1: mkdir" syncs "$2" mkdir dir
    check "$1: mkfifo" syncs "$2" mkfifo fifo
    check "$1: symlink" syncs "$2" ln -s x link
    check "$1: a new file" syncs "$2" sh -c ': >file'
    check "$1: link" syncs "$2" ln file second
    check "$1: rename to another folder" syncs "$2" mv file dir/file
    check "$1: unlink" syncs "$2" rm second
    mkdir empty && sync .
    check "$1: rmdir" syncs "$2" rmdir empty
    check "$1: a call that fails syncs nothing" syncs 0 sh -c '! mkdir dir 2>/dev/null'
    check "$1: chmod" syncs "$3" chmod 600 old/file
    check "$1: truncate" syncs "$3" truncate -s 5 old/file
    check "$1: setfattr" syncs "$3" setfattr -n user.x -v 2 old/file
    check "$1: removing an attribute" syncs "$3" setfattr -x user.x old/file
    check "$1: write" syncs "$4" dd if=/dev/zero of=old/file bs=4096 count=1 conv=notrunc status=none
    check "$1: reading" syncs 0 ls -lR
    trace_end
    cd "$work" || exit 1
    "$skeinfs" umount "$mp"
}
with rw 0 0 0
with dirsync 1 0 0
with sync 1 1 1
with sync,async 0 0 0
start commit=3600
done_testing
