#!/bin/bash
# After a clean unmount LevelDB opens the key-value part of the store, reads every key, and leaves a store that mounts.
. "$(dirname "$0")/lib.sh"
[ -n "$native" ] && { echo "skipped: there is no store"; exit 77; }
start
mkdir src many
cp -r "$root/store" src/
for i in $(seq 300); do echo "$i" >many/file$i; done
for i in $(seq 2 2 300); do rm many/file$i; done
find . -type f -exec md5sum {} + | sort >"$work/sums"
entries=$(find . -mindepth 1 | wc -l)
cd "$work" || exit 1
"$skeinfs" umount "$mp" || exit 1
check "LevelDB opens and reads it" "$bin/mount-tests/leveldb_scan" "$store/kv"
say "$(cat "$work/output")"
cp "$work/output" "$work/scan"
check "it sees a key for each name" grep -q "D $entries " "$work/scan"
check "it sees no garbage records" sh -c '! grep -q "O " "$1"' - "$work/scan"
mount_again
cd "$mp" || exit 1
check "what LevelDB closed mounts again, with every file" sh -c 'find . -type f -exec md5sum {} + | sort | cmp - "$1"' - "$work/sums"
done_testing
