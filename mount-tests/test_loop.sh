#!/bin/bash
# No request stands behind one that waits: while the disk takes its time over a program's fsync, others go on.
. "$(dirname "$0")/lib.sh"
[ -n "$native" ] && { echo "skipped: it slows the daemon's calls down; there is none"; exit 77; }
command -v strace >/dev/null || { echo "skipped: no strace"; exit 77; }
start commit=3600,memtable=16m

ms() { echo $(($(date +%s%N) / 1000000)); }

# Each fdatasync takes eight seconds now: long enough for a busy machine.
strace -f -e trace=fdatasync -e inject=fdatasync:delay_enter=8000000 -o /dev/null -p "$(daemon_pid)" 2>"$work/strace.err" &
tracer=$!
for _ in $(seq 100); do
    grep -qs attached "$work/strace.err" && break
    sleep 0.1
done
sleep 0.3

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
kill "$tracer"
wait "$tracer" 2>/dev/null

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
