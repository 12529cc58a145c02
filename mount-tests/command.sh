# For the tests of the command: `. mount-tests/command.sh` gives a work folder that is the working folder, a store $s and a
# MOUNTPOINT $m in it (none mounted), and what a test says. SKEINFS names the program (default: build/skeinfs of this repository).
#
#   check NAME CMD...          the command succeeds: "ok NAME", else "not ok NAME"
#   refused CODE WORDS ARG...  skeinfs, so called, refuses in one line
#
# A test ends with `exit $failed`, or 77 (it cannot be run here). Whatever happens, no mount, process or file is left behind.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
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
