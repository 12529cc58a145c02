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

"$skeinfs" umount "$mp"
"$skeinfs" mount -o ro,allow_other "$store" "$mp" || exit 1
check "-o ro" in_folder "$mp"
check "nothing has changed" [ "$before" = "$(cd "$mp" && look)" ]
check "root's remount does not make it writable" sh -c 'mount -i -o remount,rw "$0" 2>/dev/null; ! touch "$0/dir/new" 2>/dev/null' "$mp"
"$skeinfs" umount "$mp"
"$skeinfs" mount -o allow_other "$store" "$mp" || exit 1
echo late >"$mp/dir/late"
sync "$mp/dir/late"
daemon_kill
umount "$mp"
"$skeinfs" mount -o ro,allow_other "$store" "$mp" || exit 1
check "after kill -9 a read-only mount shows what was synced" [ "$(cat "$mp/dir/late")" = late ]
"$skeinfs" umount "$mp"
"$skeinfs" mount "$store" "$mp" || exit 1
check "a writable one after it has it too" [ "$(cat "$mp/dir/late")" = late ]
check "and takes writes" sh -c 'echo again >"$0/dir/late" && [ "$(cat "$0/dir/late")" = again ]' "$mp"
done_testing
