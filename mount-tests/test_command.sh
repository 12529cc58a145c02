#!/bin/bash
# The command: every verb, every wrong use, every way to end a mount. Run by itself or by the
# runner; SKEINFS names the program (default: build/skeinfs of this repository). Prints `ok` or
# `not ok` for each behaviour. Exit code: 0, 1 (something failed), 77 (cannot be run here).
set -u

here=$(cd "$(dirname "$0")" && pwd)
skeinfs=${SKEINFS:-$here/../build/skeinfs}
skeinfs=$(realpath "$skeinfs") || exit 1
if ! [ -c /dev/fuse ] || ! [ -r /dev/fuse ]; then
    echo "skipped: /dev/fuse is missing or not for this user"
    exit 77
fi
root=false
[ "$(id -u)" = 0 ] && root=true

work=$(mktemp -d "${TMPDIR:-/tmp}/skeinfs-command.XXXXXX") || exit 1
failed=0
pids=()

# Leaves no mount, no process and no file behind, however this script ends.
cleanup() {
    local pid mp tries
    trap '' INT TERM HUP
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null
    done
    for tries in 1 2 3; do # stacked mounts
        for mp in "$work"/m* "$work"/m*/*; do
            [ -d "$mp" ] || stat "$mp" 2>&1 | grep -q 'endpoint' || continue
            grep -qF " ${mp// /\\040} " /proc/self/mountinfo || continue
            "$skeinfs" umount "$mp" >/dev/null 2>&1 || fusermount3 -uz "$mp" 2>/dev/null ||
                umount -l "$mp"
        done
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

ok() { echo "ok $1"; }
not_ok() {
    echo "not ok $1${2:+: $2}"
    failed=1
}
# check NAME COMMAND...: the command succeeds.
check() {
    local name=$1
    shift
    if "$@"; then ok "$name"; else not_ok "$name" "'$*' failed"; fi
}
# refused CODE WORDS ARGUMENT...: skeinfs exits with CODE, prints nothing on stdout, and on stderr
# one line that holds WORDS.
refused() {
    local code=$1 words=$2 got
    shift 2
    timeout 20 "$skeinfs" "$@" >"$work/out" 2>"$work/err"
    got=$?
    if [ $got = "$code" ] && ! [ -s "$work/out" ] && [ "$(wc -l <"$work/err")" = 1 ] &&
        grep -qF -- "$words" "$work/err" && grep -q '^skeinfs: ' "$work/err"; then
        ok "refused: skeinfs $*"
    else
        not_ok "refused: skeinfs $*" "exit $got instead of $code, said: $(cat "$work/out" "$work/err")"
    fi
}
mounted() { mountpoint -q "$1"; }
pid_of() { sed -n 's/^pid //p' "$1/session"; }
closed() { grep -qx 'state closed' "$1/session"; }
# gone PID: it ends within ten seconds.
gone() {
    local i
    for i in $(seq 200); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.05
    done
    return 1
}
# within COMMAND...: it succeeds within ten seconds.
within() {
    local i
    for i in $(seq 200); do
        "$@" && return 0
        sleep 0.05
    done
    return 1
}
not() { ! "$@"; }
# hold FILE: a process has it open, before this returns; until `release`.
hold() {
    exec 3<"$1"
    sleep 60 &
    holder=$!
    exec 3<&-
    pids+=("$holder")
}
release() {
    kill "$holder"
    wait "$holder" 2>/dev/null
}
cd "$work" || exit 1
s=$work/s m=$work/m
mkdir "$m"

says_what_it_can() {
    check "help goes to stdout" bash -c '"$0" help 2>/dev/null | grep -q "skeinfs mount"' "$skeinfs"
    check "--help too" bash -c '"$0" --help 2>/dev/null | grep -q "skeinfs umount"' "$skeinfs"
    check "mount --help too" bash -c '"$0" mount --help 2>/dev/null | grep -q STORE' "$skeinfs"
    check "umount --help too" bash -c '"$0" umount --help 2>/dev/null | grep -q STORE' "$skeinfs"
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
}

umount_returns_when_the_store_is_closed() {
    local pid
    pid=$(pid_of "$s")
    hold "$m/f"
    refused 1 "in use" umount "$m"
    check "a busy mount goes on" test "$(cat "$m/f")" = hello
    release
    check "umount by a relative path with a slash behind" "$skeinfs" umount m/
    check "nothing is mounted afterwards" not mounted "$m"
    check "the daemon has ended" gone "$pid"
    check "it closed the store" closed "$s"
    check "the MOUNTPOINT is empty again" test -z "$(ls -A "$m")"
    mkdir empty
    check "an empty folder becomes a store" "$skeinfs" mount empty "$m"
    check "and is unmounted again" "$skeinfs" umount "$m"
    check "the store mounts again" "$skeinfs" mount "$s" "$m"
    check "what was written is there" test "$(cat "$m/f")" = hello
    check "umount" "$skeinfs" umount "$m"
    touch m2/below
    check "a MOUNTPOINT with files in it is taken" "$skeinfs" mount "$s" m2
    check "and shows them again afterwards" bash -c '"$0" umount m2 && test -e m2/below' "$skeinfs"
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

foreground_ends_by_signal() {
    local signal pid
    for signal in TERM INT HUP; do
        # (bash lets background jobs ignore INT; env gives them back its default)
        env --default-signal=INT,HUP "$skeinfs" mount -f "$s" "$m" &
        pid=$!
        pids+=("$pid")
        check "mount -f mounts" within mounted "$m"
        check "mount -f stays" kill -0 "$pid"
        echo "$signal" >"$m/signal"
        kill -s "$signal" "$pid"
        wait "$pid"
        check "SIG$signal ends it with success" test $? = 0
        check "SIG$signal unmounts" not mounted "$m"
        check "SIG$signal closes the store" closed "$s"
    done
    "$skeinfs" mount "$s" "$m"
    check "what was written before the last signal is there" test "$(cat "$m/signal")" = HUP
    "$skeinfs" umount "$m"
}

signal_ends_a_busy_mount() {
    local pid
    "$skeinfs" mount "$s" "$m"
    pid=$(pid_of "$s")
    hold "$m/f"
    kill "$pid"
    check "SIGTERM ends the daemon of a busy mount" gone "$pid"
    check "and unmounts" not mounted "$m"
    check "and closes the store" closed "$s"
    release
    check "the store mounts again" "$skeinfs" mount "$s" "$m"
    check "umount" "$skeinfs" umount "$m"
}

other_unmounts_close_the_store() {
    local pid
    "$skeinfs" mount "$s" "$m"
    pid=$(pid_of "$s")
    fusermount3 -u "$m"
    check "fusermount3 -u ends the daemon" gone "$pid"
    check "fusermount3 -u closes the store" closed "$s"
    $root || return 0
    "$skeinfs" mount "$s" "$m"
    pid=$(pid_of "$s")
    umount "$m"
    check "umount(8) ends the daemon" gone "$pid"
    check "umount(8) closes the store" closed "$s"
    # Detached while in use, and another mount in its place: a signal ends the first one alone.
    "$skeinfs" mount "$s" "$m"
    pid=$(pid_of "$s")
    hold "$m/f"
    umount -l "$m"
    "$skeinfs" mount empty "$m"
    kill "$pid"
    check "SIGTERM ends a detached mount" gone "$pid"
    check "the next mount at its place stays" mounted "$m"
    check "the detached one closed its store" closed "$s"
    release
    check "umount of the next one" "$skeinfs" umount "$m"
    # In another place as well: the last use of the mount is not gone with its MOUNTPOINT.
    "$skeinfs" mount "$s" "$m"
    pid=$(pid_of "$s")
    mkdir -p m3
    mount --bind "$m" m3
    kill "$pid"
    check "SIGTERM ends a mount that is bound to another place" gone "$pid"
    check "and closes the store" closed "$s"
    umount m3
    # umount(8) returns before the store is closed.
    check "a mount waits for the end of the one before" again_and_again
    "$skeinfs" umount "$m"
}

again_and_again() {
    local i
    "$skeinfs" mount "$s" "$m" || return
    for i in $(seq 10); do
        head -c 1000000 /dev/urandom >"$m/filler"
        umount "$m" && "$skeinfs" mount "$s" "$m" || return
    done
    rm "$m/filler"
}

the_daemon_keeps_nothing_busy() {
    $root || return 0
    mkdir -p t
    mount -t tmpfs tmpfs t
    (cd t && "$skeinfs" mount "$s" "$m")
    check "the folder where mount was called can be unmounted" umount t
    "$skeinfs" umount "$m"
}

the_reserve_follows_memtable() {
    "$skeinfs" mount -o memtable=64m "$s" "$m" && "$skeinfs" umount "$m"
    local most=$(stat -c %s "$s/kv/RESERVE" 2>/dev/null || echo 0)
    "$skeinfs" mount -o memtable=64k "$s" "$m" && "$skeinfs" umount "$m"
    check "a smaller memtable keeps a smaller reserve" \
        test "$(stat -c %s "$s/kv/RESERVE" 2>/dev/null || echo 0)" -lt "$most"
}

a_killed_daemon_is_told() {
    local pid
    "$skeinfs" mount "$s" "$m"
    pid=$(pid_of "$s")
    echo kept >"$m/kept"
    kill -9 "$pid"
    gone "$pid"
    refused 1 "daemon has died" mount "$s" "$m"
    refused 1 "without closing the store" umount "$m"
    check "the dead mount is gone nevertheless" not mounted "$m"
    check "the store mounts again" "$skeinfs" mount "$s" "$m"
    check "what the daemon had acknowledged is there" test "$(cat "$m/kept")" = kept
    check "umount" "$skeinfs" umount "$m"
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
umount_returns_when_the_store_is_closed
strange_names_work
foreground_ends_by_signal
signal_ends_a_busy_mount
other_unmounts_close_the_store
the_daemon_keeps_nothing_busy
the_reserve_follows_memtable
a_killed_daemon_is_told
mount8_can_call_it
other_users
a_machine_without_fuse_is_told
exit $failed
