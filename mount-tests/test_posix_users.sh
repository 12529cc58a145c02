#!/bin/bash
# An ordinary user (nobody, with fusermount3) mounts a store of his own: what is his, what others may, how such a mount ends.
# Everything happens in a mount namespace, where /dev/fuse is for all, as udev makes it, and /etc/fuse.conf is the test's.
if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null || ! command -v fusermount3 >/dev/null; then
    echo "skipped: needs root (to become another user), setpriv and fusermount3"
    exit 77
fi
if [ -n "${NATIVE:-}" ]; then
    echo "skipped: nothing of this is there on the disk below"
    exit 77
fi
if [ -z "${IN_NAMESPACE:-}" ]; then
    if ! unshare -m --propagation private true 2>/dev/null; then
        echo "skipped: no mount namespaces"
        exit 77
    fi
    IN_NAMESPACE=1 exec unshare -m --propagation private bash "$0"
fi
. "$(dirname "$0")/lib.sh"
chmod 755 "$work"
mknod -m 666 "$work/fuse" c 10 229 && mount --bind "$work/fuse" /dev/fuse || exit 1
: >"$work/fuse.conf" && chmod 644 "$work/fuse.conf"
[ -e /etc/fuse.conf ] && mount --bind "$work/fuse.conf" /etc/fuse.conf
if ! setpriv --reuid=65534 sh -c ': <>/dev/fuse' 2>/dev/null; then
    echo "skipped: an ordinary user cannot open /dev/fuse here"
    exit 77
fi

as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
as_other() { setpriv --reuid=1 --regid=1 --clear-groups "$@"; }
not() { ! "$@"; }
cp "$skeinfs" "$work/skeinfs" # the user need not be able to reach the build folder
skeinfs=$work/skeinfs
mkdir "$work/home" "$work/taken"
mp=$work/home/mnt
store=$work/home/store
mkdir "$mp"
chown -R 65534:65534 "$work/home"
cd "$work" || exit 1

user_mounts() { as_user "$skeinfs" mount ${1:+-o "$1"} "$store" "$mp"; }
ended() { # PID: the daemon ends within ten seconds
    local i
    for i in $(seq 1000); do
        is_dead "$1" && return
        sleep 0.01
    done
    return 1
}
# refused WORDS COMMAND...: it fails, and says so in lines that hold WORDS.
refused() {
    local words=$1
    shift
    "$@" >"$work/said" 2>&1 && { echo "it succeeded" && return 1; }
    cat "$work/said"
    grep -q "$words" "$work/said"
}

his_own() {
    check "a user mounts a store of his own" user_mounts
    check "it is his in the mount table, without suid and devices" \
        grep -q " $mp rw,nosuid,nodev.* - fuse.skeinfs .*user_id=65534,group_id=65534" /proc/self/mountinfo
    check "the store's files are his" [ -z "$(find "$store" ! -user 65534)" ]
    check "what he makes is his" as_user sh -c 'cd "$0" && echo hello >file && mkdir dir && [ "$(stat -c %u:%g file dir | uniq)" = 65534:65534 ]' "$mp"
    check "he gives nothing away" not as_user chown 1 "$mp/file"
    check "he makes no device" not as_user mknod "$mp/null" c 1 3
    check "his modes are enforced against himself" as_user sh -c 'chmod 0 "$0" && ! cat "$0" 2>/dev/null && chmod 644 "$0"' "$mp/file"
    check "df shows it to him" as_user sh -c 'df "$0" | grep -q "$0"' "$mp"
    check "nobody else gets in" not as_other ls "$mp"
    check "not even root" not ls "$mp"
    check "another user does not unmount it" refused "$mp" as_other "$skeinfs" umount "$mp"
    check "nor with fusermount3" not as_other fusermount3 -u "$mp"
    check "it is still there" [ "$(as_user cat "$mp/file")" = hello ]
    check "a second mount of the store is refused" refused "$store" as_user "$skeinfs" mount "$store" "$work/home"
}

places() {
    check "he mounts nothing over a folder that is not his" refused taken as_user "$skeinfs" mount "$work/home/store2" "$work/taken"
    check "that leaves nothing mounted" not grep -q "$work/taken" /proc/self/mountinfo
    check "another user does not mount his store" refused "$store" as_other "$skeinfs" mount "$store" "$work/taken"
}

ends() {
    local pid
    pid=$(daemon_pid)
    check "he unmounts" as_user "$skeinfs" umount "$mp"
    check "the daemon has ended" ended "$pid"
    check "nothing is mounted" not mounted
    check "he mounts again and finds what he wrote" user_mounts
    check "it is there" [ "$(as_user cat "$mp/file")" = hello ]
    pid=$(daemon_pid)
    check "fusermount3 -u by him" as_user fusermount3 -u "$mp"
    check "ends the daemon" ended "$pid"
    user_mounts
    pid=$(daemon_pid)
    check "SIGTERM from another user is refused" not as_other kill "$pid"
    check "his own SIGTERM ends the daemon" as_user kill "$pid"
    check "it ends" ended "$pid"
    check "and unmounts" not mounted
}

# Detached, the mount lives on for who is in it.
busy() {
    local pid shell
    user_mounts
    pid=$(daemon_pid)
    mkfifo "$work/go"
    chmod 666 "$work/go"
    as_user sh -c 'cd "$0" && exec 3>>file && read go <"$1" && echo late >&3 && cat file' "$mp" "$work/go" >"$work/late" 2>&1 &
    shell=$!
    exec 4>"$work/go" # its reader is in the mount now
    check "a busy mount is not unmounted" not as_user fusermount3 -u "$mp"
    check "fusermount3 -uz detaches it" as_user fusermount3 -uz "$mp"
    check "its place is free" not mounted
    check "the daemon goes on" not is_dead "$pid"
    echo go >&4
    exec 4>&-
    wait "$shell"
    check "who was in it wrote and read on" [ "$(tail -1 "$work/late")" = late ]
    check "then the daemon ends" ended "$pid"
    user_mounts
    check "what was written is there" [ "$(as_user tail -1 "$mp/file")" = late ]
    rm "$work/go"
}

killed() {
    as_user sh -c 'echo synced >"$0/synced" && sync "$0/synced"' "$mp"
    daemon_pid >"$work/pid"
    kill -9 "$(cat "$work/pid")"
    ended "$(cat "$work/pid")"
    check "after kill -9 he is told at unmounting" refused "without closing" as_user "$skeinfs" umount "$mp"
    check "it is gone" not mounted
    check "he mounts again" user_mounts
    check "what he had synced is there" [ "$(as_user cat "$mp/synced")" = synced ]
    as_user "$skeinfs" umount "$mp"
}

# He may cut his own connection, with files in use: the daemon takes the dead mount away through fusermount3.
cut() {
    local pid number connections=/sys/fs/fuse/connections
    mountpoint -q $connections || mount -t fusectl none $connections 2>/dev/null || { say "no fusectl"; return; }
    user_mounts
    pid=$(daemon_pid)
    number=$(as_user mountpoint -d "$mp")
    mkfifo "$work/go"
    chmod 666 "$work/go"
    as_user sh -c 'cd "$0" && read go <"$1"' "$mp" "$work/go" &
    exec 4>"$work/go" # its reader is in the mount now
    check "he cuts his connection" as_user sh -c 'echo 1 >"$0"' "$connections/${number#*:}/abort"
    check "its daemon ends" ended "$pid"
    check "and leaves no dead mount" not mounted
    exec 4>&-
    wait $!
    rm "$work/go"
    check "the store mounts again" user_mounts
    as_user "$skeinfs" umount "$mp"
}

for_others() {
    check "allow_other needs user_allow_other" refused user_allow_other user_mounts allow_other
    check "that leaves nothing mounted" not mounted
    [ -e /etc/fuse.conf ] || return 0
    echo user_allow_other >"$work/fuse.conf"
    check "with user_allow_other in fuse.conf it is allowed" user_mounts allow_other
    check "others read" [ "$(as_other head -1 "$mp/file")" = hello ]
    check "others do not write" not as_other sh -c 'echo x >>"$0/file"' "$mp"
    as_user chmod 1777 "$mp"
    check "what others make is theirs" as_other sh -c 'echo theirs >"$0/other" && [ "$(stat -c %u "$0/other")" = 1 ]' "$mp"
    as_user sh -c 'cp "$(command -v id)" "$0/id" && chmod 4755 "$0/id"' "$mp"
    check "suid of his files gives nobody his rights" [ "$(as_other "$mp/id" -u)" = 1 ]
    as_user "$skeinfs" umount "$mp"
    check "root mounts his store" "$skeinfs" mount "$store" "$mp"
    check "and finds everybody's files as they were" [ "$(stat -c %u "$mp/file" "$mp/other" | xargs)" = "65534 1" ]
    check "he does not unmount root's mount" not as_user fusermount3 -u "$mp"
    check "nor with skeinfs umount" refused "$mp" as_user "$skeinfs" umount "$mp"
    check "root does" "$skeinfs" umount "$mp"
}

his_own
places
ends
busy
killed
cut
for_others
done_testing
