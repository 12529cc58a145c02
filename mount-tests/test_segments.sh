#!/bin/bash
# Large data lies in segment files beside the database: written once, given back when it is removed, checked when it is read,
# and a moment of the past after kill -9.
. "$(dirname "$0")/lib.sh"
[ -z "$native" ] || { echo "skipped: about skeinfs's own files"; exit 77; }
start commit=1
pattern=$bin/mount-tests/pattern
size=$((60 << 20))

segments_mb() { du -sm "$store/segments" | cut -f1; }
soon() { # the condition holds within ten seconds
    local i
    for ((i = 0; i < 100; i++)); do
        "$@" && return 0
        sleep 0.1
    done
    du -ah "$store/segments"
    return 1
}
at_least() { [ "$(segments_mb)" -ge "$1" ]; }
at_most() { [ "$(segments_mb)" -le "$1" ]; }

check "60 MiB are written" "$pattern" big $size write
check "they are in segments" at_least 60
check "and hardly anything in the database" [ "$(du -sm --exclude=RESERVE "$store/kv" | cut -f1)" -le 4 ]
look() {
    check "the content is right$1" "$pattern" big $size check
    check "st_blocks is right$1" [ "$(stat -c %b big)" = $((size / 512)) ]
}
each_way look

check "small pieces in order are written" dd if=big of=small bs=10240 status=none
check "they are in segments, too" soon at_least 120
check "and right" "$pattern" small $size check

check "most of a file is punched" fallocate -p -o 4096 -l $((size - 8192)) small
check "its space comes back" soon at_most 62
check "the rest of it is right" cmp -n 4096 big small
rm small
check "a file is written over" "$pattern" big $size write
check "the old data's space comes back" soon at_most 62
check "what is new is right" "$pattern" big $size check

# A writer and the daemon in the middle of it.
for i in 1 2 3; do
    "$pattern" torn $((400 << 20)) write 2>/dev/null &
    writer=$!
    sleep 0.$((RANDOM % 4 + 1))
    crash $writer 2>/dev/null
    length=$(stat -c %s torn 2>/dev/null || echo 0)
    check "kill -9 in a write, $i: what is there is right ($((length >> 20)) MiB)" "$pattern" torn $((length / 8 * 8)) check
    rm -f torn
done
check "nothing of it stays in the segments" soon at_most 62
check "the other file is whole" "$pattern" big $size check

# Damage: a block of `marked` in its segment.
yes "a line to be found" | head -c 131072 >marked
cd "$work" && "$skeinfs" umount "$mp"
file=$(grep -lUaF "a line to be found" "$store"/segments/*.seg | head -1)
at=$(grep -obUaF -m 1 "a line to be found" "$file" | head -1 | cut -d: -f1)
cp "$file" "$work/good"
printf X | dd of="$file" bs=1 seek=$((at + 70000)) conv=notrunc status=none
check "skeinfs check finds a changed byte" sh -c "'$skeinfs' check '$store' | grep -q 'cannot be read: .*/segments/.*checksum mismatch'"
mount_again
cd "$mp" || exit 1
trace -e trace=connect,sendto -o "$work/syslog"
cat marked >/dev/null 2>&1
trace_end
check "the daemon tells the system log" grep -q '/dev/log\|damaged data of inode' "$work/syslog"
check "reading it is an error" sh -c '! cat marked >/dev/null 2>err && grep -q "Input/output error" err'
check "what is before it is read" sh -c '[ "$(dd if=marked bs=4k count=16 2>/dev/null | grep -c "a line to be found")" -gt 3000 ]'
check "other files are whole" "$pattern" big $size check
cd "$work" && "$skeinfs" umount "$mp"
cp "$work/good" "$file"
options=$options,ro mount_again
cd "$mp" || exit 1
check "without it all is right, read-only" "$pattern" big $size check
cd "$work" && "$skeinfs" umount "$mp"
mount_again
cd "$mp" || exit 1

check "everything is removed" rm -f big marked err
check "no segment stays" soon sh -c "[ \"\$(du -sk '$store/segments' | cut -f1)\" -le 300 ]"
remount
check "nor an empty one after the next mount" soon sh -c "[ -z \"\$(ls '$store/segments')\" ]"
done_testing
