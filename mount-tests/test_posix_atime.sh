#!/bin/bash
# Which call changes the access time, with each of the mount options about it; and that it is kept.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix atime
posix_writeback atime
[ -z "$native" ] || done_testing

same_atime() { [ "$(stat -c %x file)" = "$1" ]; }
read_one() { # NAME: becomes older than its change, and is read
    echo text >"$1" && touch -a -d 2001-01-01 "$1" && cat "$1" >/dev/null
}
say "what was read and not changed since"
check "reading changes atime" read_one file
atime=$(stat -c %x file)
check "to a time of today" [ "${atime%%-*}" -gt 2001 ]
remount
check "it is there after umount and mount" same_atime "$atime"
check "reading again" read_one file
atime=$(stat -c %x file)
check "fsync" sync file
crash
check "after fsync it is there after kill -9" same_atime "$atime"

for atime in noatime strictatime; do
    options=memtable=1m,cache=8m,allow_other,$atime
    remount
    say "atime on the mount, with $atime"
    ATIME=$atime run_on mount "$mp" atime
done
cd "$work" || exit 1
check "the mount table shows noatime" bash -c '"$0" umount "$1" && "$0" mount -o noatime "$2" "$1" &&
    grep -q " $1 rw,[a-z,]*noatime" /proc/self/mountinfo' "$skeinfs" "$mp" "$store"
done_testing
