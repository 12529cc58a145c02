#!/bin/bash
# A file's room: fallocate, holes, copies (space.c), here and on the disk below.
. "$(dirname "$0")/lib.sh"
start
mkdir space "$work/native"
say "on the disk below"
check "the expectations hold on the native filesystem" "$bin/mount-tests/space" "$work/native" native
say "on the mount"
timeout 60 "$bin/mount-tests/space" "$mp/space" ${native:+native} || failures=$((failures + 1))
sparse_copy() {
    check "cp keeps holes$1" cp --sparse=auto space/holes "space/copy"
    check "the copy is the same$1" cmp space/holes space/copy
    check "it takes no more room$1" [ "$(stat -c %b space/copy)" -le "$(stat -c %b space/holes)" ]
    check "a mapping's bytes are there$1" [ "$(dd if=space/copy bs=1 skip=$((40 * 4096)) count=1 2>/dev/null)" = m ]
}
each_way sparse_copy
cd "$work" || exit 1
if [ -z "$native" ]; then
    "$skeinfs" umount "$mp" || exit 1
    start writeback
fi
say "with pages that the kernel collects"
check "all of it holds with writeback" "$bin/mount-tests/space" "$mp/space" ${native:+native}
done_testing
