#!/bin/bash
# The calls of programs (calls.c), one behaviour a line, here and on the disk below.
. "$(dirname "$0")/lib.sh"
start
mkdir calls "$work/native"
say "on the disk below"
check "the expectations hold on the native filesystem" "$bin/mount-tests/calls" "$work/native"
say "on the mount"
"$bin/mount-tests/calls" "$mp/calls" || failures=$((failures + 1))
each_way_look() {
    check "a mapping's bytes are there$1" [ "$(dd if=calls/mapped bs=1 skip=8192 count=6 2>/dev/null)" = "by map" ]
    check "times are there$1" [ "$(stat -c '%Y' calls/one)" = 5000000000 ]
    check "the long symlink is there$1" [ "$(readlink calls/long | wc -c)" = 4096 ]
    check "files that lost their name are gone$1" [ ! -e calls/gone ]
}
each_way each_way_look
done_testing
