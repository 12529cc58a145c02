#!/bin/bash
# The command: every verb, every wrong use, whom a mount is for. How a mount ends is in test_command_ends.sh.
. "$(dirname "$0")/command.sh"

says_what_it_can() {
    check "help goes to stdout" bash -c '"$0" help 2>/dev/null | grep -q "skeinfs mount"' "$skeinfs"
    check "--help too" bash -c '"$0" --help 2>/dev/null | grep -q "skeinfs umount"' "$skeinfs"
    check "mount --help too" bash -c '"$0" mount --help 2>/dev/null | grep -q STORE' "$skeinfs"
    check "umount --help too" bash -c '"$0" umount --help 2>/dev/null | grep -q STORE' "$skeinfs"
    local word
    for word in -d --foreground -h --help unmount -V --version "a '/' in STORE" "at least 0.001"; do
        check "help names $word" bash -c '"$0" help | grep -qF -e "$1"' "$skeinfs" "$word"
    done
    check "--version gives name and number" bash -c \
        '"$0" --version | grep -qE "^skeinfs [0-9]+\.[0-9]+\.[0-9]+$"' "$skeinfs"
    check "help to a full disk fails" bash -c '! "$0" help >/dev/full 2>&1' "$skeinfs"
}

wrong_words_are_refused() {
    refused 2 "what shall be done"
    refused 2 "'frobnicate'" frobnicate
    refused 2 "'umonut'" umonut "$m"
    refused 2 "STORE and MOUNTPOINT" mount
    refused 2 "'$s'" mount "$s"
    refused 2 "'third'" mount "$s" "$m" third
    refused 2 "'nonsense'" mount -o nonsense "$s" "$m"
    refused 2 "'cache=much'" mount -o cache=much "$s" "$m"
    refused 2 "'commit=0'" mount -o ro,commit=0 "$s" "$m"
    refused 2 "'-z'" mount -z "$s" "$m"
    refused 2 "'mount -i -o remount" mount -o remount,ro "$s" "$m"
    refused 2 "'memtable=4611686018427387903'" mount -o memtable=4611686018427387903 "$s" "$m"
    refused 2 "exclude each other" mount -o allow_other,allow_root "$s" "$m"
    refused 2 "'nonsense'" "$s" "$m" -o rw,nonsense
    refused 2 "which mount" umount
    refused 2 "one MOUNTPOINT" umount a b
    refused 2 "MOUNTPOINT is an empty word" umount ""
    refused 2 "STORE is an empty word" check ""
    refused 2 "STORE is an empty word" mount "" "$m"
    refused 2 "MOUNTPOINT is an empty word" mount "$s" ""
    refused 2 "'-q'" umount -q "$m"
    check "none of these made a store" not test -e "$s"
}

wrong_places_are_refused() {
    echo precious >file
    mkdir full
    echo precious >full/data
    refused 1 "does not exist" mount "$s" "$work/missing"
    refused 1 "not a folder" mount "$s" "$work/file"
    refused 1 "not a folder" mount "$work/file" "$m"
    refused 1 "folder above" mount "$work/no/such" "$m"
    refused 1 "lies in the STORE" mount "$m" "$m"
    mkdir -p outer/inner
    refused 1 "lies in the STORE" mount outer outer/inner
    refused 1 "lies in the MOUNTPOINT" mount outer/inner outer
    refused 1 "$work/full" mount full "$m"
    check "a folder of other files is left untouched" test "$(ls -A full)$(cat full/data)" = \
        dataprecious
    check "refused mounts leave nothing mounted" not mounted "$m"
    check "refused mounts make no store" not test -e "$s"
    refused 1 "nothing is mounted there" umount "$m"
    refused 1 "not of skeinfs" umount /proc
    refused 1 "No such file" umount "$work/missing"
    refused 2 "no skeinfs store: No such file" check "$work/missing"
    refused 2 "no skeinfs store: No such file" check full
}

mount_answers_when_it_returns() {
    local out
    out=$("$skeinfs" mount "$s" "$m" 2>&1)
    check "mount of a missing STORE succeeds and says nothing" test "$?$out" = 0
    check "the mount answers" mounted "$m"
    check "files can be made in it" bash -c 'echo hello >"$0/f" && sync "$0/f"' "$m"
    check "the mount table shows type and STORE" grep -q " $m .* fuse.skeinfs $s " \
        /proc/self/mountinfo
    check "the daemon runs" kill -0 "$(pid_of "$s")"
    mkdir m2
    refused 1 "$(pid_of "$s")" mount "$s" m2
    refused 1 "$(pid_of "$s")" mount "$s" "$m"
    check "the refused mounts did not disturb it" test "$(cat "$m/f")" = hello
    "$skeinfs" umount "$m"
}

folders_with_and_without_files_are_taken() {
    mkdir empty
    check "an empty folder becomes a store" "$skeinfs" mount empty "$m"
    check "and is unmounted again" "$skeinfs" umount "$m"
    touch m2/below
    check "a MOUNTPOINT with files in it is taken" "$skeinfs" mount "$s" m2
    check "and shows them again afterwards" bash -c '"$0" umount m2 && test -e m2/below' "$skeinfs"
}

a_read_only_disk_is_told() {
    $root || return 0
    mkdir -p t
    mount -t tmpfs none t
    cp -a "$s" t/s
    mount -o remount,ro t
    refused 1 "'-o ro' mounts it" mount t/s "$m"
    refused 1 "no new store" mount t/new "$m"
    refused 2 "make that disk writable" check --repair t/s
    check "-o ro mounts it" "$skeinfs" mount -o ro t/s "$m"
    "$skeinfs" umount "$m"
    umount t
}

low_limits_are_told() {
    (
        ulimit -n 20
        refused 1 "the limit of open files is 20" mount "$s" "$m"
        refused 2 "the limit of open files is 20" check "$s"
        exit $failed
    ) || failed=1
}

# Nobody is killed by SIGXFSZ: what does not fit is an error, and what had been acknowledged is there afterwards.
a_limit_of_file_sizes_loses_nothing() {
    local i got
    (ulimit -f 64 && exec "$skeinfs" mount "$s" "$m")
    check "a limit of file sizes does not hinder a mount" mounted "$m"
    for i in $(seq 5000); do
        echo "$i" 2>/dev/null >"$m/n$i" || break
    done
    check "what does not fit gets an error" test "$i" -lt 5000
    check "the mount goes on" test "$(cat "$m/f")" = hello
    refused 1 "ulimit -f" umount "$m"
    (ulimit -f 0 && exec "$skeinfs" check --repair "$s" 2>&1) | grep -q "ulimit -f"
    got=("${PIPESTATUS[@]}")
    check "a repair under such a limit says so" test "${got[*]}" = "2 0"
    check "without it the store mounts" "$skeinfs" mount "$s" "$m"
    check "and has all that was acknowledged" test "$(cat "$m"/n* | sort -n | tail -1)" = $((i - 1))
    rm "$m"/n*
    "$skeinfs" umount "$m"
}

strange_names_work() {
    local store='st ore,with\comma' place='m p,with\comma'
    mkdir "$place"
    check "mount with spaces, commas and backslashes" "$skeinfs" mount "$store" "$place"
    check "it answers" mounted "$place"
    check "its STORE is where it was asked for" test -f "$store/session"
    check "umount of it" "$skeinfs" umount "$place"
    check "closed" closed "$store"
}

the_reserve_follows_memtable() {
    "$skeinfs" mount -o memtable=64m "$s" "$m" && "$skeinfs" umount "$m"
    local most=$(stat -c %s "$s/kv/RESERVE" 2>/dev/null || echo 0)
    "$skeinfs" mount -o memtable=64k "$s" "$m" && "$skeinfs" umount "$m"
    check "a smaller memtable keeps a smaller reserve" \
        test "$(stat -c %s "$s/kv/RESERVE" 2>/dev/null || echo 0)" -lt "$most"
}

mount8_can_call_it() {
    check "STORE MOUNTPOINT -o ..." "$skeinfs" "$s" "$m" -o \
        rw,noatime,nodev,nosuid,noauto,_netdev,x-systemd.automount
    check "it is mounted" mounted "$m"
    check "its flags are the kernel's" grep -q " $m rw,nosuid,nodev" /proc/self/mountinfo
    check "umount" "$skeinfs" umount "$m"
    check "-o ... STORE MOUNTPOINT" "$skeinfs" -o ro "$s" "$m"
    check "ro refuses to write" not touch "$m/new" 2>/dev/null
    check "ro reads" test "$(cat "$m/f")" = hello
    check "umount of it" "$skeinfs" umount "$m"
    ln -s "$skeinfs" mount.fuse.skeinfs
    check "mount.fuse.skeinfs -f does nothing" ./mount.fuse.skeinfs "$s" "$m" -f -n -o rw
    check "indeed" not mounted "$m"
    check "mount.fuse.skeinfs mounts" ./mount.fuse.skeinfs "$s" "$m" -t fuse.skeinfs -n -o rw
    check "it is there" mounted "$m"
    check "umount of that" "$skeinfs" umount "$m"
    $root || return 0
    # (-t fuse.skeinfs is the same call for a program that is installed in the system's PATH)
    ln -s "$skeinfs" skeinfs
    check "mount -t fuse PROGRAM#STORE" mount -t fuse "$work/skeinfs#$s" "$m" -o noatime
    check "it is a mount" mounted "$m"
    check "umount of mount(8)'s" "$skeinfs" umount "$m"
}

other_users() {
    $root || return 0
    chmod 755 "$work"
    local as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    "$skeinfs" mount "$s" "$m"
    check "root's mount is for all" "${as[@]}" cat "$m/f" >/dev/null
    chmod 600 "$m/f"
    check "with the files' access rights" not "${as[@]}" cat "$m/f" 2>/dev/null
    "$skeinfs" umount "$m"
    check "another's store is not said to be none" test \
        "$("${as[@]}" "$skeinfs" check "$s" 2>&1)" = \
        "skeinfs: $s/skeinfs: Permission denied: run it as root, or as the STORE's owner"
    "$skeinfs" mount -o private "$s" "$m"
    check "a private one is not" not "${as[@]}" ls "$m" 2>/dev/null
    check "but for its owner" test "$(cat "$m/f")" = hello
    chmod 644 "$m/f"
    "$skeinfs" umount "$m"
    # What the kernel has in memory sends no request that could be refused.
    "$skeinfs" mount -o allow_root,noxattr "$s" "$m"
    chmod 666 "$m/f"
    cat "$m/f" >/dev/null
    check "with allow_root strangers read nothing" not "${as[@]}" cat "$m/f" 2>/dev/null
    check "nor write" not "${as[@]}" sh -c 'echo evil >>"$0"' "$m/f" 2>/dev/null
    check "its owner does" test "$(cat "$m/f")" = hello
    chmod 644 "$m/f"
    "$skeinfs" umount "$m"
}

a_machine_without_fuse_is_told() {
    $root && unshare -m true 2>/dev/null || return 0
    unshare -m bash -c 'mount -t tmpfs none /dev && exec "$0" mount "$1" "$2"' "$skeinfs" "$s" "$m" \
        2>"$work/err"
    check "no /dev/fuse: exit code 1" test $? = 1
    check "and what to do" grep -q 'modprobe fuse' "$work/err"
}

says_what_it_can
wrong_words_are_refused
wrong_places_are_refused
mount_answers_when_it_returns
folders_with_and_without_files_are_taken
a_read_only_disk_is_told
low_limits_are_told
a_limit_of_file_sizes_loses_nothing
strange_names_work
the_reserve_follows_memtable
mount8_can_call_it
other_users
a_machine_without_fuse_is_told
exit $failed
