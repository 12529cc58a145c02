# For the tests on a real mount: `. mount-tests/lib.sh` gives a work folder, a mount, and what a test says.
#
#   start [OPTIONS]    mounts a new store with small settings (memtables switch, tables are compacted)
#   remount            unmounts cleanly and mounts again
#   crash [PID]        kill -9 of the daemon, waits for the program PID that used the mount, and mounts again
#   check NAME CMD...  the command succeeds: "ok NAME", else "not ok NAME"
#   each_way FUNCTION  runs the function as it is, after remount, and after crash
#   rings              over how many rings of io_uring requests come; 0: over /dev/fuse
#   trace OPTION...    strace with these options looks at the daemon, or changes what it is told, until trace_end
#
# OPTIONS=... are more mount options for every mount.
# $mp is the mount, $work a folder outside of it. NATIVE=1 runs a test on the disk below instead (a wrong test shows).
# Whatever happens, no mount, process or file is left behind.
set -u

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=$(cd "$root" && realpath "${BUILD:-build}")
skeinfs=$bin/skeinfs
unset BUILD MAKEFLAGS MAKELEVEL # not for a make that a test runs
native=${NATIVE:-}
if [ -z "$native" ]; then
    if ! [ -c /dev/fuse ] || { [ "$(id -u)" != 0 ] && ! command -v fusermount3 >/dev/null; }; then
        echo "skipped: no /dev/fuse, or neither root nor fusermount3"
        exit 77
    fi
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/skeinfs-test.XXXXXX") || exit 1
mp=$work/mnt
store=$work/store
options=
failures=0
tracer=
mkdir "$mp"

mounted() { grep -qF " $mp " /proc/self/mountinfo; }

cleanup() {
    trap '' INT TERM HUP
    cd /
    trace_end
    if mounted; then
        timeout 60 "$skeinfs" umount "$mp" >/dev/null 2>&1
        mounted && { daemon_kill; umount -l "$mp" 2>/dev/null || fusermount3 -uz "$mp"; }
    fi
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

say() { echo "# $*"; }
check() {
    local name=$1
    shift
    if "$@" >"$work/output" 2>&1; then
        echo "ok $name"
    else
        echo "not ok $name ($*)"
        head -20 "$work/output" | sed 's/^/    /'
        failures=$((failures + 1))
    fi
}
# What a test leaves mounted is unmounted, and checked from end to end.
done_testing() {
    cd /
    if [ -z "$native" ] && mounted; then
        check "umount" "$skeinfs" umount "$mp"
        check "skeinfs check finds nothing wrong in what is left" "$skeinfs" check "$store"
    fi
    [ "$failures" = 0 ] || say "$failures failed"
    exit $((failures > 0))
}

daemon_pid() { tr -dc 0-9 <"$store/kv/LOCK"; }
rings() { ls -l "/proc/$(daemon_pid)/fd" | grep -c io_uring; }
# Nothing is left of the process, or only what init has yet to reap (that can take seconds): no thread but the first, no program.
is_dead() {
    [ -z "$(readlink "/proc/$1/exe")" ] && case $(echo /proc/"$1"/task/*) in */task/"$1" | *'*') true ;; *) false ;; esac
}
daemon_kill() {
    local pid
    pid=$(daemon_pid)
    [ -n "$pid" ] && [ "$(readlink "/proc/$pid/exe")" = "$skeinfs" ] || return 1
    kill -9 "$pid"
    until is_dead "$pid"; do sleep 0.01; done
}
# Of the daemon of another store: traced=PID trace OPTION...
trace() {
    : >"$work/strace.err"
    strace -f -p "${traced:-$(daemon_pid)}" "$@" 2>"$work/strace.err" &
    tracer=$!
    for _ in $(seq 100); do
        grep -q attached "$work/strace.err" && break
        sleep 0.1
    done
    grep -q attached "$work/strace.err" || { echo "not ok strace attaches"; cat "$work/strace.err"; exit 1; }
    sleep 0.3
}
trace_end() {
    [ -n "$tracer" ] || return 0
    kill "$tracer" 2>/dev/null
    wait "$tracer" 2>/dev/null
    tracer=
}
mount_again() {
    [ -n "$native" ] && return
    "$skeinfs" mount -o "$options" "$store" "$mp" || { echo "not ok mount again"; exit 1; }
}
mount_after_kill() {
    umount "$mp" 2>/dev/null || fusermount3 -u "$mp" || umount -l "$mp"
    mount_again
}
start() {
    options=memtable=1m,cache=8m${1:+,$1}${OPTIONS:+,$OPTIONS}
    mount_again
    cd "$mp" || exit 1
}
remount() {
    cd "$work" || exit 1
    if [ -z "$native" ]; then
        "$skeinfs" umount "$mp" || { echo "not ok umount"; exit 1; }
        mount_again
    fi
    cd "$mp" || exit 1
}
crash() {
    cd "$work" || exit 1
    if [ -z "$native" ]; then
        daemon_kill || { echo "not ok no daemon to kill"; exit 1; }
        [ -z "${1:-}" ] || wait "$1"
        mount_after_kill
    fi
    cd "$mp" || exit 1
}
# each_way FUNCTION: it gets a word on what was done before, for the names of its checks.
each_way() {
    "$1" ""
    remount
    "$1" ", after umount and mount"
    crash
    "$1" ", after kill -9 and mount"
}
