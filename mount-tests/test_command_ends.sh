#!/bin/bash
# The command: every way a mount ends.
. "$(dirname "$0")/fusectl.sh"
. "$(dirname "$0")/command.sh"

umount_returns_when_the_store_is_closed() {
    local pid
    "$skeinfs" mount "$s" "$m"
    echo hello >"$m/f"
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
    check "the store mounts again" "$skeinfs" mount "$s" "$m"
    check "what was written is there" test "$(cat "$m/f")" = hello
    check "umount" "$skeinfs" umount "$m"
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

# The unmount catches a request on its way to the daemon, whose read then fails with another errno than otherwise.
an_unmount_beside_a_request() {
    local pid tracer
    $root && command -v strace >/dev/null || return 0
    "$skeinfs" mount -o io_uring=off "$s" "$m"
    pid=$(pid_of "$s")
    strace -f -o /dev/null -e trace=read -e inject=read:error=ECONNABORTED -p "$pid" 2>"$work/err" &
    tracer=$!
    pids+=("$tracer")
    within grep -q attached "$work/err"
    sleep 0.3 # all its threads
    umount "$m"
    check "an unmount beside a request ends the daemon" gone "$pid"
    check "and closes the store" closed "$s"
    wait "$tracer"
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

# cut NUMBER: ends that connection from outside.
cut() { echo 1 >"$connections/$1/abort"; }
number_of() { mountpoint -d "$1" | sed 's/.*://'; }

# With files in use; and with another mount on top, which is not the daemon's to take away.
a_cut_connection_leaves_no_mount() {
    local pid number
    $root && [ -n "$connections" ] || return 0
    "$skeinfs" mount -f "$s" "$m" 2>"$work/err" &
    pid=$!
    pids+=("$pid")
    within mounted "$m"
    echo kept >"$m/kept"
    hold "$m/kept"
    cut "$(number_of "$m")"
    wait "$pid"
    check "mount -f whose connection is cut fails" test $? = 1
    check "and says why" grep -q "connection was cut.*fusectl" "$work/err"
    check "in one line" test "$(wc -l <"$work/err")" = 1
    check "its mount is gone" not mounted "$m"
    check "the store was closed" grep -q "^state failed.*connection was cut" "$s/session"
    release
    check "the store mounts again" "$skeinfs" mount "$s" "$m"
    check "what was acknowledged is there" test "$(cat "$m/kept")" = kept
    pid=$(pid_of "$s")
    number=$(number_of "$m")
    "$skeinfs" mount empty "$m"
    cut "$number"
    check "one below another mount ends" gone "$pid"
    check "the mount on top stays" touch "$m/on top"
    "$skeinfs" umount "$m"
    umount "$m"
}

a_killed_daemon_is_told() {
    local pid
    "$skeinfs" mount "$s" "$m"
    pid=$(pid_of "$s")
    echo kept >"$m/kept"
    stat "$m" >/dev/null # now the kernel knows the folder without asking
    kill -9 "$pid"
    gone "$pid"
    refused 1 "daemon has died" mount "$s" "$m"
    refused 1 "without closing the store" umount "$m"
    check "the dead mount is gone nevertheless" not mounted "$m"
    check "the store mounts again" "$skeinfs" mount "$s" "$m"
    check "what the daemon had acknowledged is there" test "$(cat "$m/kept")" = kept
    check "umount" "$skeinfs" umount "$m"
}

umount_returns_when_the_store_is_closed
foreground_ends_by_signal
signal_ends_a_busy_mount
other_unmounts_close_the_store
an_unmount_beside_a_request
the_daemon_keeps_nothing_busy
a_cut_connection_leaves_no_mount
a_killed_daemon_is_told
exit $failed
