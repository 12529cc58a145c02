#!/bin/bash
# What an operation of many programs costs the daemon: root, for the mount of an image. Settings, as variables:
#   PROCESSES=16  FILES=2400 (each; with fsync: a quarter)  ROUNDS=3  BUILD=build  OPTIONS=... (of the mount)  FILESYSTEM=skeinfs (or null)
#   OPERATIONS="overwrite append overwrite+fsync append+fsync create4k+fsync": those of ops.c
# A line each, the median of the rounds by time: microseconds as a process sees an operation; the daemon's CPU time; how often its
# threads slept, and were interrupted; all the machine's switches. What an operation needs before and after it (for create4k+fsync the
# removing) counts too, in all but the time. On a busy machine the counts are more to be trusted than the times.
set -u
here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$here/../.." && realpath "${BUILD:-build}")
PROCESSES=${PROCESSES:-16} FILES=${FILES:-2400} ROUNDS=${ROUNDS:-3} FILESYSTEM=${FILESYSTEM:-skeinfs}
OPERATIONS=${OPERATIONS:-overwrite append overwrite+fsync append+fsync create4k+fsync}
[ "$(id -u)" = 0 ] || { echo "threads: only root can mount images"; exit 77; }

work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/skeinfs-threads.XXXXXX") || exit 1
cleanup() {
    trap '' INT TERM HUP
    cd /
    for mount in "$work/mnt" "$work/image"; do
        for _ in $(seq 20); do # the daemon closes its store
            mountpoint -q "$mount" || break
            umount "$mount" 2>/dev/null || sleep 0.5
        done
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
mkdir "$work/mnt" "$work/image"
if [ "$FILESYSTEM" = null ]; then
    "$bin/mount-tests/bench/null_fs" "$work/mnt" &
    daemon=$!
    until mountpoint -q "$work/mnt"; do sleep 0.1; done
else
    truncate -s 8G "$work/image.img" && mkfs.ext4 -q -F "$work/image.img" && mount -o loop "$work/image.img" "$work/image" &&
        "$bin/skeinfs" mount ${OPTIONS:+-o "$OPTIONS"} "$work/image/fs" "$work/mnt" || exit 1
    daemon=$(tr -dc 0-9 <"$work/image/fs/kv/LOCK")
fi

# user system (hundredths of a second) sleeps interruptions (of the daemon) switches (of the machine)
counters() {
    awk '{ sub(/.*\) /, ""); print $12, $13 }' "/proc/$daemon/stat"
    cat "/proc/$daemon/task"/*/status | awk '/^voluntary/ { v += $2 } /^nonvoluntary/ { n += $2 } END { print v, n }'
    awk '$1 == "ctxt" { print $2 }' /proc/stat
}
measure() { # OPERATION
    local count=$((FILES * PROCESSES)) before us
    case $1 in *fsync) count=$((count / 4)) ;; esac
    before=$(counters)
    us=$("$bin/mount-tests/bench/ops" "$work/mnt" "$PROCESSES" "$FILES" "$1" | awk '{ print $3 }') || exit 1
    echo $before $(counters) | awk -v us="$us" -v n="$count" \
        '{ print us, ($6 - $1) * 10000 / n, ($7 - $2) * 10000 / n, ($8 - $3) / n, ($9 - $4) / n, ($10 - $5) / n }'
}
printf '%-16s %10s %10s %10s %8s %12s %10s\n' operation us user-us system-us sleeps interrupted switches
for operation in $OPERATIONS; do
    for _ in $(seq "$ROUNDS"); do measure "$operation"; done | sort -n | sed -n $(((ROUNDS + 1) / 2))p |
        xargs printf '%-16s %10.1f %10.1f %10.1f %8.2f %12.2f %10.2f\n' "$operation"
done
