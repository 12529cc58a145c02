#!/bin/bash
# What an operation costs in counts that do not depend on the machine: the kernel's requests, and the daemon's calls to the disk and
# to other threads. They may not grow; a change that makes one grow changes it here, and says why.
. "$(dirname "$0")/lib.sh"
[ -n "$native" ] && { echo "skipped: counts the daemon's work; there is none"; exit 77; }
command -v strace >/dev/null || { echo "skipped: no strace"; exit 77; }
n=2000 # operations of each kind; those with fsync: a quarter

# per_operation DIVISOR: of lines "count name", what comes to a tenth (or $least) for each operation at least, as "name count"
per_operation() {
    awk -v n="$1" -v least="${least:-0.1}" '$1 / n >= least { printf "%s %.1f\n", $2, $1 / n }' | sed 's/\.0$//' | sort | tr '\n' ' ' | sed 's/ $//'
}
# The same names, and counts that differ by a tenth at most: that is chance (the kernel has dropped a page, and reads it again).
alike() { # WANTED GOT
    echo "$1 $2" | awk '{
        half = NF / 2
        for (i = 1; i <= half; i += 2) {
            off = $(i + 1) - $(half + i + 1)
            if ($i != $(half + i) || off > 0.101 || off < -0.101) exit 1
        }
        exit NF % 4 != 0
    }' || { echo "it is: $2"; return 1; }
}
expect() { # NAME WANTED GOT
    check "$1: $2" alike "$2" "$3"
}
# requests_of NAME DIVISOR WANTED COMMAND...: opcodes of the kernel's requests; forgetting is left out (the kernel does it when it likes)
requests_of() {
    local name=$1 divisor=$2 wanted=$3
    shift 3
    "$skeinfs" mount -f -o "debug${with:+,$with}" "$work/requests" "$mp" 2>"$work/debug" &
    for _ in $(seq 100); do
        mounted && break
        sleep 0.05
    done
    "$@" >"$work/output" || failures=$((failures + 1))
    umount "$mp"
    wait
    expect "requests of $name" "$wanted" "$(grep -aoE 'opcode: [A-Z_]+' "$work/debug" | grep -v FORGET | sort | uniq -c |
        awk '{ print $1, $3 }' | per_operation "$divisor")"
}
requests() { # DIVISOR WANTED OPERATION...
    local divisor=$1 wanted=$2
    shift 2
    requests_of "$*" "$divisor" "$wanted" "$bin/mount-tests/bench/ops" "$mp" 1 "$n" "$@"
    rm -r "$work/requests"
}
requests $n "GETATTR 2 LOOKUP 1 MKNOD 1 UNLINK 1" create unlink-empty
requests $n "GETATTR 2 LOOKUP 1 MKDIR 1 RMDIR 1" mkdir rmdir
requests $n "WRITE 1" overwrite
requests $n "WRITE 1" append
requests $((n / 4)) "FSYNC 1 WRITE 1" append+fsync
requests $((n / 4)) "FSYNC 1 GETATTR 2 GETXATTR 1 LOOKUP 1 MKNOD 1 UNLINK 1 WRITE 1" create4k+fsync
with=noxattr requests $((n / 4)) "FSYNC 1 GETATTR 2 LOOKUP 1 MKNOD 1 UNLINK 1 WRITE 1" create4k+fsync
# a piece of a stream is written and read cold, and a block written over and read cold
requests $n "READ 1.5 WRITE 2" write-64k read-64k-cold write-random-4k read-random-4k-cold
# stat once after the write, and cold; read once, and cold; all else is in the kernel's caches
requests $n "GETATTR 4 GETXATTR 1 LOOKUP 4 MKNOD 1 READ 1 RENAME 1 UNLINK 1 WRITE 1" create4k stat-warm read-warm read-cold stat-cold \
    rename unlink

# Listings. What READDIRPLUS answers nobody asks for; the kernel asks once whether there is an ACL, and again when an entry that it has
# is answered anew. For the label of SELinux ls would ask as well, for each file and each time, if it was not told that there are none.
"$skeinfs" mount "$work/requests" "$mp" && mkdir "$mp/many" && (cd "$mp/many" && seq "$n" | xargs touch) && umount "$mp"
until flock -n "$work/requests/session" true; do sleep 0.05; done
if [ -e /sys/fs/selinux ]; then
    say "skipped: requests of ls -l, as SELinux asks, too"
else
    requests_of "ls -l, cold" "$n" "GETXATTR 1" ls -l "$mp/many"
    with=noxattr requests_of "ls -l, cold, with noxattr" "$n" "" ls -l "$mp/many"
    requests_of "ls -l, cold and then twice more" "$n" "GETXATTR 1" ls -l "$mp/many" "$mp/many" "$mp/many"
fi
requests_of "find and du" "$n" "" sh -c 'find "$1" -newer / && du "$1"' sh "$mp/many"
rm -r "$work/requests"

# calls DIVISOR WANTED OPERATION...: the daemon's calls, also of its threads. Over /dev/fuse: with rings another thread leads each flush,
# which is two calls of futex more for a lone fsync.
calls() {
    local divisor=$1 wanted=$2
    shift 2
    "$skeinfs" mount -o commit=3600,io_uring=off "$work/calls" "$mp" || exit 1
    traced=$(tr -dc 0-9 <"$work/calls/kv/LOCK") trace -c -U calls,name -e trace=pwrite64,fdatasync,fsync,pread64,futex,mmap -o "$work/trace"
    "$bin/mount-tests/bench/ops" "$mp" 1 "$n" "$@" >"$work/output" || failures=$((failures + 1))
    trace_end
    "$skeinfs" umount "$mp"
    rm -r "$work/calls"
    expect "calls of $*" "$wanted" "$(awk '$1 ~ /^[0-9]+$/ && $2 != "total" { print $1, $2 }' "$work/trace" | per_operation "$divisor")"
}
# without a sync: into the log through a mapping of it, but for the first 64 KiB
calls $n "pwrite64 0.2" create unlink-empty
# too long for the mapping: a call for each, and one for the zeroes under fifteen of them
calls $n "pwrite64 1.1" overwrite
# what is removed is collected: no thread wakes for each (how many are collected depends on how fast they come)
least=0.5 calls $n "pwrite64 1.1" create4k unlink
# large data: one call for the segment; what the log gets of it goes through the mapping. The rest is for the block that is
# written over
calls $n "pwrite64 2.2" write-64k write-random-4k
# ... with a sync each the zeroes are written page by page (store/log/log_writer.h says why): one call more for a block
calls $((n / 4)) "fdatasync 1 pwrite64 2" append+fsync
done_testing
