#!/bin/bash
# fio writes blocks that carry their CRC32C and place, and verifies them: by several engines, with O_DIRECT, O_SYNC, a mapping, overlapping
# jobs, at once and again after umount and after kill -9.
. "$(dirname "$0")/lib.sh"
command -v fio >/dev/null || { echo "skipped: no fio here"; exit 77; }
start
cd "$work" || exit 1
mkdir "$mp/fio"
engines=
for engine in psync mmap libaio io_uring; do
    if fio --name=probe --ioengine=$engine --size=64k --rw=write --directory="$work" --filename=probe >/dev/null 2>&1; then
        engines="$engines $engine"
    else
        say "fio cannot use $engine here"
    fi
done
rm -f "$work/probe"

# run NAME OPTIONS...: writes at random, all of it, and verifies.
run() {
    local name=$1
    shift
    timeout 100 fio --name="$name" --directory="$mp/fio" --filename="$name" --size=8m --rw=randwrite --verify=crc32c --verify_fatal=1 \
        --verify_state_save=0 --randseed=7 --output="$work/said" "$@"
    local rc=$?
    grep -iE 'verify|error|bad' "$work/said" | head -5
    return $rc
}
jobs_of() { # NAME: its options, so that a later run verifies the same
    case $1 in
    *.direct) echo --direct=1 --bs=4k ;;
    *.mixed) echo --bsrange=512-64k --bs_unaligned --norandommap ;;
    *.big) echo --bs=1m ;;
    *.fsync) echo --bs=16k --fsync=16 ;;
    *.odsync) echo --bs=16k --sync=dsync --size=4m ;;
    *) echo --bs=4k ;;
    esac
}
engine_of() { echo "${1%.*}"; }
names=
for engine in $engines; do
    for kind in plain direct big fsync odsync; do
        [ "$engine$kind" = mmapdirect ] && continue
        names="$names $engine.$kind"
    done
done
names="$names psync.mixed"
for name in $names; do
    depth=1
    case $name in libaio* | io_uring*) depth=16 ;; esac
    check "$name" run "$name" --ioengine="$(engine_of "$name")" --iodepth=$depth $(jobs_of "$name")
done
look() {
    for name in $names; do
        case $name in *.mixed) continue ;; esac # overwritten in parts: only fio's own memory says what is where
        check "$name: verified$1" run "$name" --ioengine=psync --iodepth=1 $(jobs_of "$name") --verify_only
    done
}
each_way look
cd "$work" || exit 1
check "four jobs at once on files of their own" timeout 100 fio --name=four --directory="$mp/fio" --numjobs=4 --size=8m --rw=randrw --bs=4k \
    --ioengine=psync --fsync=32 --verify=crc32c --verify_fatal=1 --verify_state_save=0 --output="$work/said"
done_testing
