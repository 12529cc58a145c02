#!/bin/bash
# nosuid, nodev, noexec, sync and dirsync: as options of the mount, by remount, and by a view (a bind mount), which is
# also how the disk below gets them. Nothing of them stays when they are taken back.
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null || ! unshare -m --propagation private true 2>/dev/null; then
    echo "skipped: needs root, setpriv and mount namespaces"
    exit 77
fi
chmod 755 "$work"
as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
not() { ! "$@"; }
export -f as_user not

make_files() {
    cp "$(command -v id)" id && chown 1:1 id && chmod 6755 id && mknod -m 666 null c 1 3 && mkfifo fifo &&
        printf '#!/bin/sh\nexit 0\n' >script && chmod 755 script && ln -s script link
}
# The files of a folder behave as its flags say: each function is run in it.
free() {
    [ "$(as_user ./id -u)" = 1 ] && ./script && echo x >null && ./link
}
nosuid() { [ "$(as_user ./id -u)" = 65534 ] && [ "$(stat -c %a id)" = 6755 ] && ./script && echo x >null; }
nodev() { not sh -c 'echo x >null' 2>/dev/null && [ -c null ] && [ "$(as_user ./id -u)" = 1 ]; }
noexec() {
    not ./script 2>/dev/null && not ./id 2>/dev/null && not test -x script && sh ./script && [ "$(stat -c %a script)" = 755 ]
}
export -f free nosuid nodev noexec
inside() { (cd "$1" && bash -c "$2"); }

on_view() { # FOLDER FLAG: in a namespace of its own, so that nothing stays
    unshare -m --propagation private bash -c 'mount --bind "$0" "$0" && mount -o "remount,bind,$1" "$0" && cd "$0" && "$1"' "$1" "$2"
}
mkdir "$work/native"
cd "$work/native" || exit 1
check "files on the disk below" make_files
check "the disk below without flags" inside "$work/native" free
for flag in nosuid nodev noexec; do
    check "a view of the disk below with $flag" on_view "$work/native" "$flag"
done
[ -z "$native" ] || done_testing

start allow_other,suid,dev
check "files on the mount" make_files
check "root's mount without flags" inside "$mp" free
for flag in nosuid nodev noexec; do
    check "a view with $flag" on_view "$mp" "$flag"
done
cd "$work" || exit 1
for flag in nosuid nodev noexec; do
    check "remount with $flag" mount -i -o "remount,$flag" "$mp"
    check "has it" inside "$mp" "$flag"
    check "remount with ${flag#no}" mount -i -o "remount,${flag#no}" "$mp"
    check "is free of it again" inside "$mp" free
done
for flag in nosuid nodev noexec; do
    "$skeinfs" umount "$mp" && "$skeinfs" mount -o "allow_other,suid,dev,$flag" "$store" "$mp" || exit 1
    check "-o $flag" inside "$mp" "$flag"
    check "statvfs and the mount table say so" grep -q " $mp rw,[a-z,]*$flag" /proc/self/mountinfo
done

# With sync nothing that a call has done is lost by a kill, and what is on the store's disk is synced with it.
for flag in sync dirsync; do
    "$skeinfs" umount "$mp" && "$skeinfs" mount -o "allow_other,$flag" "$store" "$mp" || exit 1
    echo "$flag" >"$mp/$flag" && mkdir "$mp/dir.$flag" && mv "$mp/$flag" "$mp/dir.$flag/moved"
    check "-o $flag: calls work" [ "$(cat "$mp/dir.$flag/moved")" = "$flag" ]
    daemon_kill
    mount_after_kill
    check "-o $flag: what was done is there after kill -9" [ "$(cat "$mp/dir.$flag/moved")" = "$flag" ]
done
done_testing
