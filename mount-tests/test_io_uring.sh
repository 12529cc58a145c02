#!/bin/bash
# The option io_uring (auto, on, off): requests come over rings; other tests run again that way; no request stands behind one that waits. Where the
# kernel does not offer it, the mount says so and works as ever. Needs root: it sets the kernel module's parameter, and sets it back.
here=$(dirname "$0")
parameter=/sys/module/fuse/parameters/enable_uring
[ -n "${NATIVE:-}" ] && { echo "skipped: it is about the daemon; there is none"; exit 77; }
[ -w $parameter ] || { echo "skipped: this kernel has no FUSE over io_uring ($parameter), or only root can switch it on"; exit 77; }
[ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo 0)" = 2 ] && { echo "skipped: io_uring is forbidden here"; exit 77; }
before=$(cat $parameter)
. "$here/lib.sh"
trap 'cleanup; echo "$before" >$parameter' EXIT
OPTIONS=io_uring=on

# ---- not offered

echo N >$parameter
mount_with() { # [VALUE]: said and found_rings afterwards
    options=${1:+io_uring=$1}
    "$skeinfs" mount -f ${options:+-o "$options"} "$store" "$mp" 2>"$work/said" &
    daemon=$!
    for _ in $(seq 100); do
        mounted && break
        sleep 0.05
    done
    check "enable_uring $(cat $parameter), io_uring=${1:-(not said)}: the mount works" \
        sh -c "echo text >'$mp/f' && [ \$(cat '$mp/f') = text ]"
    found_rings=$(rings)
    "$skeinfs" umount "$mp"
    wait "$daemon"
}
cpus=$(getconf _NPROCESSORS_CONF)
mount_with on
check "on, but not offered: it says so, in one line that names the option" \
    [ "$(grep -c "'io_uring'" "$work/said")" = 1 -a "$(wc -l <"$work/said")" = 1 ]
for value in "" auto off; do
    mount_with "$value"
    check "... io_uring=${value:-(not said)}: it says nothing" [ ! -s "$work/said" ]
done

# ---- offered

echo Y >$parameter
mount_with off
check "off: no rings, though they are offered" [ "$found_rings" = 0 -a ! -s "$work/said" ]
if [ "$cpus" -le 32 ]; then
    for value in "" auto; do
        mount_with "$value"
        check "... io_uring=${value:-(not said)}: a ring for each CPU" [ "$found_rings" = "$cpus" -a ! -s "$work/said" ]
    done
else
    mount_with auto
    check "... io_uring=auto: none on a machine with more than 32 CPUs" [ "$found_rings" = 0 -a ! -s "$work/said" ]
fi

start commit=3600,memtable=16m
written() { awk '/^wchar/ {print $2}' "/proc/$(daemon_pid)/io"; }
check "there is a ring for each CPU" [ "$(rings)" = "$cpus" ]
head -c 8388608 /dev/urandom >big
over_rings() { # answers in shared memory are not written by any call
    local sent
    dd if=big of=/dev/null bs=1M iflag=direct || return 1
    sent=$(written)
    dd if=big of=/dev/null bs=1M iflag=direct || return 1
    [ $(($(written) - sent)) -lt 100000 ]
}
check "answers go over them" over_rings

# Entries are mapped without being reserved ("nr"), as nothing else is.
entries_kib() { awk '/^Rss:/ { rss = $2 } /^VmFlags:.* nr( |$)/ { n += rss } END { print n + 0 }' "/proc/$(daemon_pid)/smaps"; }
little_stays() { # after large writes of 16 programs on each CPU
    local cpu i pids= kib
    for cpu in $(seq 0 $(($(nproc) - 1))); do
        for i in $(seq 16); do
            taskset -c "$cpu" dd if=/dev/zero of="large$cpu.$i" bs=1M count=16 oflag=direct status=none &
            pids="$pids $!"
        done
    done
    wait $pids
    kib=$(entries_kib)
    rm large*
    echo "$kib KiB of the entries are in memory"
    [ "$kib" -gt 64 ] && [ "$kib" -le $((8 * 1024 + cpus * 1024)) ]
}
check "large writes leave at most 8 MiB in memory, and a little in each entry" little_stays

calls_to_forget() { # /dev/fuse still says what the kernel forgets: many inodes in a call
    local before after
    before=$(awk '/^syscr/ {print $2}' "/proc/$(daemon_pid)/io")
    (cd removed && rm -f -- *) || return 1
    after=$(awk '/^syscr/ {print $2}' "/proc/$(daemon_pid)/io")
    echo "$((after - before)) calls of read for 2000 files"
    [ $((after - before)) -lt 500 ]
}
mkdir removed
(cd removed && seq 2000 | xargs touch)
check "while files are removed few calls ask what the kernel forgets" calls_to_forget

ms() { echo $(($(date +%s%N) / 1000000)); }
slow() { # SYSCALL: each takes four seconds now
    trace -e trace="$1" -e inject="$1":delay_enter=4000000 -o /dev/null
}
others_go_on() { # on every CPU, beside the process PID that waits
    local begin took cpu i
    begin=$(ms)
    for i in $(seq 20); do
        for cpu in $(seq 0 $(($(nproc) - 1))); do
            taskset -c "$cpu" touch fresh || return 1
        done
    done
    took=$(($(ms) - begin))
    echo "$took ms"
    [ "$took" -lt 2500 ] && kill -0 "$1"
}
if command -v strace >/dev/null; then
    touch fresh
    slow fdatasync
    timeout 60 "$bin/mount-tests/fsyncs" "$mp" 60 1 & waits=$!
    sleep 0.3
    check "60 programs wait for an fsync, more than a queue has entries: others go on" others_go_on "$waits"
    check "all of them are answered" wait "$waits"
    trace_end

    remount
    touch fresh
    sync -d fresh
    echo 3 >/proc/sys/vm/drop_caches
    slow pread64
    readers=
    for i in 0 1 2 3; do
        dd if=big of="$work/part$i" bs=4k count=1 skip=$((i * 400)) iflag=direct 2>/dev/null &
        waits=$!
        readers="$readers $!"
    done
    sleep 0.3
    check "programs wait for cold reads: others go on" others_go_on "$waits"
    trace_end
    wait $readers
else
    say "no strace: nothing is slowed down"
fi
cd "$work" || exit 1
check "umount" "$skeinfs" umount "$mp"

# ---- the same as without

for test in calls posix_open_files posix_holes loop stop group_commit random_ops together; do
    check "test_$test" env OPTIONS=io_uring=on BUILD="$bin" ITERATIONS=10000 STRESS_SECONDS=20 timeout 300 bash "$root/mount-tests/test_$test.sh"
done
done_testing
