#!/bin/bash
# No request stands behind one that waits: while the disk takes its time over a program's fsync, others go on.
. "$(dirname "$0")/lib.sh"
[ -n "$native" ] && { echo "skipped: it slows the daemon's calls down; there is none"; exit 77; }
command -v strace >/dev/null || { echo "skipped: no strace"; exit 77; }
start commit=3600,memtable=16m

ms() { echo $(($(date +%s%N) / 1000000)); }

# Each fdatasync takes eight seconds now: long enough for a busy machine.
trace -e trace=fdatasync -e inject=fdatasync:delay_enter=8000000 -o /dev/null

begin=$(ms)
"$bin/mount-tests/fsyncs" "$mp" 1 1 &
fsyncs=$!
sleep 0.5
for i in $(seq 20); do
    mkdir "d$i" && echo "$i" >"d$i/f" && [ "$(cat "d$i/f")" = "$i" ] && ls "d$i" >"$work/listing" || break
done
took=$(($(ms) - begin))
check "20 folders, files, reads and listings beside an fsync, before its flush is done ($took ms)" \
    [ -f d20/f -a "$took" -lt 7900 ]
check "the fsync was still waiting" kill -0 "$fsyncs"
check "it ends well" wait "$fsyncs"
took=$(($(ms) - begin))
check "and really took its time ($took ms)" [ "$took" -ge 7900 ]
trace_end

# Nor while the disk takes its time over a stream: where much was written the kernel makes who writes more wait.
head -c 20000000 /dev/urandom >"$work/stream"
dd if="$work/stream" of=stream bs=1M status=none
trace -P "$(ls "$store"/segments/*.seg | tail -1)" -e trace=pwrite64 -e inject=pwrite64:delay_enter=8000000 -o /dev/null
begin=$(ms)
dd if="$work/stream" of=late bs=64k count=1 status=none &
writer=$!
sleep 0.5
for i in $(seq 20); do
    echo "$i" >"e$i" && [ "$(cat "e$i")" = "$i" ] && ls d1 >"$work/listing" || break
done
took=$(($(ms) - begin))
check "20 files, reads and listings beside a write that waits ($took ms)" [ -f e20 -a "$took" -lt 7900 ]
check "the write was still waiting" kill -0 "$writer"
wait "$writer"
check "and is right" cmp -n 65536 late "$work/stream"
trace_end

# A lone program that fsyncs wakes no thread but the one that serves it; with rings, besides, the one that flushes for it. (How often
# the daemon's other threads slept. On a busy machine the reader goes idle between requests, and another takes its place: the best of
# many tries counts.)
sleeps() { for t in "/proc/$(daemon_pid)/task"/*; do echo "${t##*/} $(awk '/^voluntary/ {print $2}' "$t/status")"; done; }
[ "$(rings)" = 0 ] && serve=1 || serve=2
sleeps_of_others() { # BEFORE AFTER: of all but those that serve, which slept most: they wait for the disk, and for the next request
    join <(sort <<<"$1") <(sort <<<"$2") | awk '{ print $3 - $2 }' | sort -n | head -n -$serve | awk '{ n += $1 } END { print n + 0 }'
}
few_wake() {
    local before others
    for _ in $(seq 30); do
        before=$(sleeps)
        "$bin/mount-tests/fsyncs" "$mp" 1 200
        others=$(sleeps_of_others "$before" "$(sleeps)")
        echo "$others sleeps of other threads for 200 fsyncs"
        [ "$others" -lt 60 ] && return 0
        sleep 0.1
    done
    return 1
}
check "a program that fsyncs wakes $serve thread(s) only" few_wake

# The kernel's memory for the watching is lacking: requests are served all the same.
trace -e trace=epoll_ctl -e inject=epoll_ctl:error=ENOMEM -o /dev/null
check "without memory for an epoll, programs that fsync go on" timeout 60 "$bin/mount-tests/fsyncs" "$mp" 4 20
check "and those that do not" timeout 60 dd if=/dev/zero of=many bs=1 count=100 status=none
trace_end

# One thread, and so many reads that there is always one more: an fsync comes before most of them. (Counted by what the daemon sends.)
if command -v fio >/dev/null; then
    cd "$work" || exit 1
    "$skeinfs" umount "$mp"
    start commit=3600,memtable=16m,threads=1
    reads() { echo $(($(awk '/^wchar/ {print $2}' "/proc/$(daemon_pid)/io") / 65536)); }
    few_reads_before_each() {
        local before
        before=$(reads)
        timeout 60 "$bin/mount-tests/fsyncs" "$mp" 1 100 || return 1
        local each=$((($(reads) - before) / 100))
        echo "$each reads for each fsync"
        [ "$(rings)" = 0 ] || return 0 # answers in shared memory are not counted
        [ "$each" -ge 10 ] && [ "$each" -le 1000 ]
    }
    head -c 8388608 /dev/urandom >big
    fio --name=x --filename=big --ioengine=libaio --direct=1 --rw=randread --bs=64k --iodepth=64 --numjobs=4 --time_based --runtime=120 \
        --minimal >"$work/fio.out" 2>&1 &
    fio=$!
    sleep 2
    check "reads without end do not keep an fsync waiting" few_reads_before_each
    kill "$fio"
    wait "$fio" 2>/dev/null
fi
done_testing
