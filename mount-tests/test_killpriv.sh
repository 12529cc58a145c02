#!/bin/bash
# What a write, a truncation and a chown do to suid, sgid and file capabilities, as seen by stat and
# by exec. With HANDLE_KILLPRIV_V2 this is the daemon's duty. NATIVE=1 runs the same on the native
# filesystem. SKEINFS names the program. Exit code: 0, 1 (something failed), 77 (cannot be run here).
set -u

here=$(cd "$(dirname "$0")" && pwd)
skeinfs=${SKEINFS:-$here/../build/skeinfs}
if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null; then
    echo "skipped: needs root and setpriv"
    exit 77
fi
if [ -z "${NATIVE:-}" ] && ! [ -c /dev/fuse ]; then
    echo "skipped: /dev/fuse is missing"
    exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/skeinfs-killpriv.XXXXXX") || exit 1
chmod 755 "$work"
m=$work/m
failed=0

cleanup() {
    cd /
    mountpoint -q "$m" && { "$skeinfs" umount "$m" || umount -l "$m"; }
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
expect() { # NAME WANTED GOT
    if [ "$2" = "$3" ]; then
        echo "ok $1"
    else
        echo "not ok $1: '$3' instead of '$2'"
        failed=1
    fi
}
# A program of user 1 with this mode; run by another user it prints as whom it acts.
fresh() {
    rm -f prog
    cp "$(command -v id)" prog
    chown 1:1 prog
    chmod "$1" prog
}
mode() { stat -c %a prog; }
acts_as() { as_user ./prog -u; }

suid_and_sgid() { # the way the mount was made, for the tests' names
    fresh 6777
    expect "$1: suid works at all" 1 "$(acts_as)"
    as_user sh -c 'printf x >>prog'
    # exec first: it must not need the stat to see the change
    expect "$1: after a user's append exec does not act as the owner" 65534 "$(acts_as)"
    expect "$1: a user's append takes suid and sgid" 777 "$(mode)"
    fresh 6777
    as_user dd if=/dev/zero of=prog bs=1 count=1 seek=90000 conv=notrunc status=none
    expect "$1: a user's overwrite takes them" 777 "$(mode)"
    fresh 6777
    as_user truncate -s 200000 prog
    expect "$1: after a user's truncation exec does not act as the owner" 65534 "$(acts_as)"
    expect "$1: a user's truncation takes them" 777 "$(mode)"
    fresh 6777
    chown 2:2 prog
    expect "$1: chown by root takes them" 777 "$(mode)"
    fresh 6777
    printf x >>prog
    expect "$1: root's append leaves them" 6777 "$(mode)"
    fresh 755
    as_user sh -c 'printf x >>prog' 2>/dev/null
    expect "$1: a write without the right to changes nothing" 755 "$(mode)"
    rm -f prog
}

capabilities() {
    fresh 777
    setcap cap_net_raw+ep prog 2>/dev/null || return 0
    printf x >>prog
    expect "$1: root's write takes the capabilities" "" "$(getcap prog)"
    setcap cap_net_raw+ep prog
    as_user sh -c 'printf x >>prog'
    expect "$1: a user's write takes the capabilities" "" "$(getcap prog)"
    setcap cap_net_raw+ep prog
    chmod 755 prog
    expect "$1: chmod leaves them" 1 "$(getcap prog | grep -c net_raw)"
    chown 2 prog
    expect "$1: chown takes them" "" "$(getcap prog)"
    rm -f prog
}

for option in rw writeback; do
    mkdir -p "$m"
    if [ -z "${NATIVE:-}" ]; then
        "$skeinfs" mount -o "$option" "$work/store" "$m" || exit 1
    fi
    cd "$m" || exit 1
    suid_and_sgid "$option"
    capabilities "$option"
    cd /
    if [ -z "${NATIVE:-}" ]; then
        "$skeinfs" umount "$m" || exit 1
    fi
done
exit $failed
