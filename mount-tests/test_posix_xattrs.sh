#!/bin/bash
# Attributes by name: namespaces, limits, errors, who may do what; and that they are there after kill -9.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix xattrs

cd "$mp" || exit 1
touch file
mkdir dir
if command -v setfattr >/dev/null; then
    setfattr -n user.colour -v blue file
    setfattr -n trusted.of -v root dir
    ln -s file link
    setfattr -h -n trusted.of -v link link
    look() {
        check "attributes of a file are there$1" [ "$(getfattr --only-values -n user.colour file)" = blue ]
        check "of a folder$1" [ "$(getfattr --only-values -n trusted.of dir)" = root ]
        check "of a symlink$1" [ "$(getfattr -h --only-values -n trusted.of link)" = link ]
    }
    each_way look
fi
if command -v setcap >/dev/null && cp "$(command -v id)" prog && setcap cap_net_raw+ep prog; then
    look() { check "the capabilities of a program are there$1" sh -c 'getcap prog | grep -q net_raw'; }
    each_way look
fi
done_testing
