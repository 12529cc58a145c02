#!/bin/bash
# Times skeinfs beside its peers: `make bench-mount`. Needs root (loop devices, mounts). Settings, as variables:
#   ROUNDS=5  FILES=2000  PROCESSES="1 8 16"  FILESYSTEMS="skeinfs ext4 xfs bindfs null" (and others: below)
#   OPERATIONS="..."       only these of ops.c
#   FSYNC_PROCESSES=32     with so many more, what ends in fsync
#   WHAT="ops jobs dirs"   ops: single operations; jobs: whole programs; dirs: big directories and trees
#   LOADED=1               with a busy process on every CPU besides
#   IMAGE=8G               size of the images: ext4 makes an inode for each 16 KiB of it; a TREE of a million files wants 20G
#   OPTIONS=...            mount options of skeinfs and uring;  BENCH_DIR: where the images go (a disk, no tmpfs)
# In each round every filesystem has its turn, one after the other, so that what the machine does besides hits all alike; what counts
# are the ratios within a round. Results: $BUILD/bench/mount.csv (all), mount.txt (the table).
#
# skeinfs's store, ext4 and XFS each have an image file of their own, of the same size, behind a loop device; ext4 with its journal, as
# mkfs makes it. bindfs is a FUSE filesystem that passes all on to (another folder of) that ext4. null is FUSE and nothing behind it.
# uring is skeinfs with requests over io_uring, on a store and an image of its own, null-uring the same of null: beside them skeinfs and
# null use /dev/fuse. They are left out where the kernel does not offer it; its parameter is set for the run. writeback and
# null-writeback are the same with the option writeback.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=$(cd "$root" && realpath "${BUILD:-build}")
ROUNDS=${ROUNDS:-5} FILES=${FILES:-2000} PROCESSES=${PROCESSES:-1 8 16} FSYNC_PROCESSES=${FSYNC_PROCESSES-32} WHAT=${WHAT:-ops jobs dirs}
FILESYSTEMS=${FILESYSTEMS:-skeinfs ext4 xfs bindfs null} IMAGE=${IMAGE:-8G} OPERATIONS=${OPERATIONS:-}
parameter=/sys/module/fuse/parameters/enable_uring

export FILES
[ "$(id -u)" = 0 ] || { echo "bench: only root can mount images"; exit 77; }

work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/skeinfs-bench.XXXXXX") || exit 1
results=$bin/bench
mkdir -p "$results"
csv=$results/mount.csv
load_pids=
parameter_before=
cleanup() {
    trap '' INT TERM HUP
    [ -z "$parameter_before" ] || echo "$parameter_before" >$parameter
    [ -z "$load_pids" ] || kill $load_pids 2>/dev/null
    cd /
    for fs in skeinfs uring writeback bindfs null null-uring null-writeback; do
        mountpoint -q "$work/$fs" && umount "$work/$fs"
    done
    for fs in store store-uring store-writeback ext4 xfs; do
        for _ in 1 2 3 4 5 6 7 8 9 10; do # the daemon closes its store
            mountpoint -q "$work/$fs" && umount "$work/$fs" 2>/dev/null
            mountpoint -q "$work/$fs" || break
            sleep 0.5
        done
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

image() { # NAME MKFS...
    local name=$1
    shift
    mkdir "$work/$name"
    truncate -s "$IMAGE" "$work/$name.img" && "$@" "$work/$name.img" >/dev/null && mount -o loop "$work/$name.img" "$work/$name" ||
        { echo "bench: no image for $name"; exit 1; }
}
uses() { [[ " $FILESYSTEMS " == *" $1 "* ]]; }
mount_store() { # FILESYSTEM IMAGE OPTIONS
    image "$2" mkfs.ext4 -q -F
    mkdir "$work/$1"
    "$bin/skeinfs" mount ${3:+-o "$3"} "$work/$2/fs" "$work/$1" || exit 1
}
mount_null() { # FILESYSTEM [OPTION]
    mkdir "$work/$1"
    "$bin/mount-tests/bench/null_fs" "$work/$1" ${2:-} &
    until mountpoint -q "$work/$1"; do sleep 0.1; done
}
# Why not; nothing where it can.
no_rings() {
    if [ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null)" = 2 ]; then
        echo "io_uring is forbidden here (/proc/sys/kernel/io_uring_disabled)"
    elif ! [ -w $parameter ]; then
        echo "this kernel has no FUSE over io_uring ($parameter)"
    fi
}
# What a mount is told when it begins counts, so the parameter is set between them.
set_up() {
    local why=
    if uses uring || uses null-uring; then
        why=$(no_rings)
        if [ -n "$why" ]; then
            echo "bench: without uring and null-uring: $why"
            FILESYSTEMS=$(printf '%s\n' $FILESYSTEMS | grep -vx -e uring -e null-uring | xargs)
        else
            parameter_before=$(cat $parameter)
            echo N >$parameter
        fi
    fi
    if uses skeinfs; then mount_store skeinfs store "${OPTIONS:-}"; fi
    if uses null; then mount_null null; fi
    if uses writeback; then mount_store writeback store-writeback "writeback${OPTIONS:+,$OPTIONS}"; fi
    if uses null-writeback; then mount_null null-writeback writeback; fi
    [ -z "$parameter_before" ] || echo Y >$parameter
    if uses uring; then mount_store uring store-uring "io_uring${OPTIONS:+,$OPTIONS}"; fi
    if uses null-uring; then mount_null null-uring io_uring; fi
    if uses ext4 || uses bindfs; then
        image ext4 mkfs.ext4 -q -F
        mkdir "$work/ext4/bench" "$work/ext4/bound"
    fi
    if uses xfs; then image xfs mkfs.xfs -q -f; fi
    if uses bindfs; then
        mkdir "$work/bindfs"
        bindfs "$work/ext4/bound" "$work/bindfs" || exit 1
    fi
}
folder_of() {
    case $1 in ext4) echo "$work/ext4/bench" ;; *) echo "$work/$1" ;; esac
}
quiet_or_loaded() {
    [ -n "${LOADED:-}" ] || return 0
    for _ in $(seq "$(nproc)"); do
        (while :; do :; done) &
        load_pids="$load_pids $!"
    done
}

echo "round,filesystem,operation,processes,us" >"$csv"
# one ROUND FILESYSTEM COMMAND...: lines of "operation processes us"
one() {
    local round=$1 fs=$2
    shift 2
    "$@" | while read -r op p us; do echo "$round,$fs,$op,$p,$us"; done >>"$csv"
}
set_up
quiet_or_loaded
for round in $(seq "$ROUNDS"); do
    for what in $WHAT; do
        case $what in
        ops)
            for p in $PROCESSES; do
                for fs in $FILESYSTEMS; do
                    one "$round" "$fs" "$bin/mount-tests/bench/ops" "$(folder_of "$fs")" "$p" $((FILES / p < 100 ? 100 : FILES / p)) $OPERATIONS
                done
            done
            for p in $FSYNC_PROCESSES; do
                for fs in $FILESYSTEMS; do
                    one "$round" "$fs" "$bin/mount-tests/bench/ops" "$(folder_of "$fs")" "$p" 100 overwrite+fsync append+fsync create4k+fsync
                done
            done
            ;;
        *)
            for fs in $FILESYSTEMS; do
                NO_DATA=
                case $fs in null*) NO_DATA=1 ;; esac
                [ "$NO_DATA$what" = 1dirs ] && continue
                one "$round" "$fs" env NO_DATA="$NO_DATA" bash "$here/$what.sh" "$(folder_of "$fs")" "$bin" "$work"
            done
            ;;
        esac
    done
    echo "round $round of $ROUNDS done" >&2
done
{
    echo "$(nproc) CPUs, $(uname -r), $ROUNDS rounds${LOADED:+, a busy process on every CPU}; microseconds as one process sees an operation, medians;"
    echo "ratios: median of the rounds' (smallest .. largest); below 1: the first of the two takes less time"
    awk -f "$here/report.awk" "$csv"
} | tee "$results/mount.txt"
