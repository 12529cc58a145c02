#!/bin/bash
# A read-only mount: -o ro, one made read-only while mounted, and one whose view alone is (a bind mount), which is also how the
# disk below becomes read-only here. Nothing changes in the store, and writable again, it takes writes.
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" != 0 ]; then
    echo "skipped: needs root, to mount"
    exit 77
fi
chmod 755 "$work"
program=$bin/mount-tests/posix/read_only

make_tree() {
    printf text >file && chmod 666 file && mkdir dir dir/sub closed && chmod 777 dir && chmod 700 closed && : >closed/file &&
        ln -s file link && mkfifo fifo && chmod 666 fifo && printf '#!/bin/sh\nexit 7\n' >program && chmod 755 program &&
        setfattr -n user.there -v yes file
}
# In a mount namespace of its own, so that nothing stays mounted.
on_view() {
    unshare -m --propagation private sh -c 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && cd "$1" && exec "$2"' sh "$1" "$program"
}
in_folder() { (cd "$1" && "$program"); }

if ! unshare -m --propagation private true 2>/dev/null; then
    echo "skipped: no mount namespaces"
    exit 77
fi
mkdir "$work/native"
cd "$work/native" || exit 1
check "a tree on the disk below" make_tree
check "a read-only view of the disk below ($(stat -f -c %T .))" on_view "$work/native"
[ -z "$native" ] || done_testing

start allow_other
check "the same tree" make_tree
look() { find . -printf '%p %m %u %s %n %T@ %C@ %l\n' | sort; }
before=$(look)
cd "$work" || exit 1
check "a read-only view of the mount" on_view "$mp"

exec 5>>"$mp/file"
check "while a file is open to write, the mount does not become read-only" sh -c '! mount -i -o remount,ro "$0"' "$mp"
exec 5>&-
check "a mount becomes read-only" mount -i -o remount,ro "$mp"
check "and is" in_folder "$mp"
check "and writable again" mount -i -o remount,rw "$mp"
check "and takes writes" sh -c 'echo more >"$0/dir/more" && rm "$0/dir/more"' "$mp"
before=$(cd "$mp" && look)

# Names, sizes, times, inodes and bytes of all that is in the folder of the store.
look_at_store() { (cd "$store" && find . -printf '%p %m %s %i %T@ %C@\n' | sort && find . -type f -print0 | sort -z | xargs -0 sha256sum); }
store_is_as_before() {
    look_at_store >"$work/now"
    diff "$work/before" "$work/now"
}

"$skeinfs" umount "$mp"
look_at_store >"$work/before"
"$skeinfs" mount -o ro,allow_other "$store" "$mp" || exit 1
check "-o ro" in_folder "$mp"
check "nothing has changed" [ "$before" = "$(cd "$mp" && look)" ]
check "root's remount does not make it writable" sh -c 'mount -i -o remount,rw "$0" 2>/dev/null; ! touch "$0/dir/new" 2>/dev/null' "$mp"
check "nothing is written into the store while it is mounted" store_is_as_before
refuses() { ! "$skeinfs" mount "$@" >"$work/said" 2>&1 && cat "$work/said" && grep -q "$words" "$work/said"; }
mkdir "$work/other"
words='only reads'
check "a writable mount beside it is refused" refuses "$store" "$work/other"
words='mounted read-only by process'
check "a second read-only one as well" refuses -o ro "$store" "$work/other"
check "skeinfs check can look at it meanwhile" "$skeinfs" check "$store"
check "umount" "$skeinfs" umount "$mp"
check "nor has anything been written at its end" store_is_as_before

# A disk that takes no writes: seen through a read-only view, in which a mount, a check and an umount are to work.
on_read_only_disk() {
    unshare -m --propagation private bash -c '
        mount --bind "$2" "$2" && mount -o remount,bind,ro "$2" || exit 1
        ! touch "$2/new" 2>/dev/null || exit 2
        "$1" mount -o ro,allow_other "$2" "$3" || exit 3
        (cd "$3" && "$4") || exit 4
        "$1" umount "$3" && "$1" check "$2" || exit 5
        ! "$1" mount "$2" "$3" || exit 6' bash "$skeinfs" "$store" "$mp" "$program"
}
check "-o ro works on a read-only disk" on_read_only_disk
check "and has changed nothing" store_is_as_before

"$skeinfs" mount -o allow_other "$store" "$mp" || exit 1
echo late >"$mp/dir/late"
sync "$mp/dir/late"
rm "$mp/file" # what it had is garbage that a writable mount would clear away
daemon_kill
umount "$mp"
look_at_store >"$work/before"
"$skeinfs" mount -o ro,allow_other "$store" "$mp" || exit 1
check "after kill -9 a read-only mount shows what was synced" [ "$(cat "$mp/dir/late")" = late ]
check "and what was not but was acknowledged" [ ! -e "$mp/file" ]
reader=$(pgrep -o -f "^$skeinfs mount -o ro,allow_other $store $mp")
check "and has written nothing" store_is_as_before
kill -9 "$reader"
until is_dead "$reader"; do sleep 0.01; done
umount "$mp"
check "nothing is written where the read-only mount is killed" store_is_as_before
"$skeinfs" mount -o ro "$store" "$mp" || exit 1
check "umount of a read-only mount after it" "$skeinfs" umount "$mp"
check "still nothing is written" store_is_as_before
"$skeinfs" mount "$store" "$mp" || exit 1
check "a writable one after it has it too" [ "$(cat "$mp/dir/late")" = late ]
check "and takes writes" sh -c 'echo again >"$0/dir/late" && [ "$(cat "$0/dir/late")" = again ]' "$mp"
done_testing
