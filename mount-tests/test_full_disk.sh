#!/bin/bash
# The disk below the store is full: cp says so, reads and rm work, and once there is space (freed by rm, or from outside)
# writes work again on the same mount. The disk is a small ext4 (or, DISK=tmpfs, a tmpfs), so this needs root.
. "$(dirname "$0")/lib.sh"
[ -z "$native" ] || { echo "skipped: the disk is of the test's making"; exit 77; }
[ "$(id -u)" = 0 ] || { echo "skipped: needs root, to mount a small disk"; exit 77; }

disk=$work/disk
mkdir "$disk"
case ${DISK:-ext4} in
tmpfs) mount -t tmpfs -o size=256m none "$disk" ;;
*)
    command -v mkfs.ext4 >/dev/null || { echo "skipped: no mkfs.ext4"; exit 77; }
    truncate -s 256m "$work/image" && mkfs.ext4 -q -m 0 "$work/image" && mount -o loop "$work/image" "$disk"
    ;;
esac || { echo "skipped: cannot mount a small disk here"; exit 77; }
full_cleanup() {
    cd /
    [ "$failures" = 0 ] || tail -30 "$store/kv/LOG" | sed 's/^/    /'
    mounted && timeout 60 "$skeinfs" umount "$mp" >/dev/null 2>&1
    mounted && { daemon_kill; umount -l "$mp"; }
    umount "$disk" 2>/dev/null || umount -l "$disk"
    cleanup
}
trap full_cleanup EXIT

store=$disk/store
start
head -c 1000000 /dev/urandom >"$work/one"
sum=$(sha256sum <"$work/one")

# fill NAME: copies until there is no space; the count is in $copies, what cp said in $work/said
fill() {
    copies=0
    fill_up "$1"
}
fill_up() {
    while [ $copies -lt 300 ] && cp "$work/one" "$1$copies" 2>"$work/said"; do
        sync "$1$copies" 2>>"$work/said" || break
        copies=$((copies + 1))
    done
    [ $copies -lt 300 ] && grep -q "No space left" "$work/said"
}
intact() {
    local i
    for ((i = 0; i < copies; i++)); do
        [ "$(sha256sum <"$1$i")" = "$sum" ] || { echo "$1$i differs"; return 1; }
    done
}
# Background work needs a moment.
soon() {
    local i
    for ((i = 0; i < 150; i++)); do
        "$@" 2>"$work/said" && return 0
        sleep 0.2
    done
    cat "$work/said"
    return 1
}
# A compaction that was under way when the disk was full gives back at its end what it took meanwhile.
full_for_good() {
    local i
    for ((i = 0; i < 20; i++)); do
        sleep 0.3
        mkdir d 2>/dev/null || return 0
        rmdir d
        fill_up "$1" || return 1
    done
    return 1
}
write_one() { cp "$work/one" again && sync again && [ "$(sha256sum <again)" = "$sum" ]; }
remove_all() { rm -f "$1"*; }
lists() { ls -l >/dev/null && [ "$(ls "$1"* | wc -l)" -ge "$copies" ]; }
has_no_log_line() { ! grep -q "^.*error: " "$store/kv/LOG"; }

# What was removed gives its space to who writes next, not some time later.
small_files() {
    local i
    mkdir many
    for ((i = 0; i < 20000; i++)); do cp "$work/small" "many/$i" 2>/dev/null || break; done
    [ $i -lt 20000 ]
}
remove_and_write() { rm -r many && echo hello >hello && [ "$(cat hello)" = hello ]; }
large_file() { ! head -c 300000000 /dev/urandom >large 2>/dev/null && rm large && echo hello >hello; }
half_of_the_disk() { head -c 120000000 /dev/zero | tr '\0' x >large && sync large; }
head -c 30000 /dev/urandom >"$work/small"
check "small files fill the disk" small_files
check "rm -r of them, and at once the next file is made" remove_and_write
check "and a large one written" half_of_the_disk
check "a large one fills the disk, is removed, and at once the next file is made" large_file
check "and a large one written, again" half_of_the_disk
rm -f large hello

check "cp fails with ENOSPC when the disk below is full" fill a
say "$copies files of 1 MB on a disk of 256 MiB"
check "what was written is intact" intact a
check "listings go on" lists a
check "nothing new can be made" full_for_good a
check "still intact" intact a
check "rm works on a full disk" remove_all a
check "after rm writes work again, without a remount" soon write_one
rm -f again

head -c 100000000 /dev/zero >"$disk/ballast" 2>/dev/null
check "full again, with a file beside the store" fill b
check "what was written is intact, second time" intact b
rm "$disk/ballast"
sync -f "$disk"
check "after freeing outside writes work again, without a remount" soon write_one
check "no error stopped the store" has_no_log_line
remount
check "what was written is intact after umount and mount" intact b
check "the last file, too" test "$(sha256sum <again)" = "$sum"

# ---- full to the last byte, and the reserve is gone: only what is not the store's can be deleted

for i in $(seq 100); do cp "$work/small" "recent$i"; done # what is in the log needs space to become a table
cd "$work" || exit 1
daemon_kill
umount "$mp"
rm -f "$store/kv/RESERVE"
head -c 300000000 /dev/zero >"$disk/ballast" 2>/dev/null
refuses() { ! "$skeinfs" mount -o "$options" "$store" "$mp" 2>"$work/said" && cat "$work/said"; }
needed() { sed -n 's/.*: No space left on device; free \([0-9]*\) MiB on that disk.*/\1/p' "$work/said"; }
check "no space at all: mount is refused" refuses
check "and says how much to free" test -n "$(needed)"
say "$(needed) MiB are to be freed"
truncate -s "-$(needed)M" "$disk/ballast"
mount_again
cd "$mp" || exit 1
check "with that free it mounts, and what was written is intact" intact b
check "rm works" remove_all b
rm "$disk/ballast"
done_testing
