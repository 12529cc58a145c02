#!/bin/bash
# One file of 2 GiB: written, checked, overwritten in part, cut, and deleted while the rest goes on.
. "$(dirname "$0")/lib.sh"
start memtable=8m
size=$((2 * 1024 * 1024 * 1024))
pattern=$bin/mount-tests/pattern
check "2 GiB are written" "$pattern" big $size write
look() {
    check "the size is right$1" [ "$(stat -c %s big)" = $size ]
    check "the content is right$1" "$pattern" big $size check
}
each_way look
check "du knows its size" [ "$(du -m big | cut -f1)" -ge 2048 ]
printf changed | dd of=big bs=1 seek=1000001 conv=notrunc 2>/dev/null
check "a small change in the middle is read back" [ "$(dd if=big bs=1 skip=1000001 count=7 2>/dev/null)" = changed ]
check "what is behind it is still right" "$pattern" big $size check 1000448
check "it is cut" truncate -s 1000003 big
crash
check "the cut is there after kill -9" [ "$(stat -c '%s %b' big)" = "1000003 1960" ]
check "what is left is right" [ "$(tail -c 2 big)" = ch ]
check "it grows again with a hole" truncate -s 3000000 big
check "the hole reads as zeroes" sh -c 'tail -c +1000004 big | cmp -n 1999997 - /dev/zero'
check "it is removed" rm big
done_testing
