#!/bin/bash
# The option noxattr: attributes, ACLs and file capabilities are "not supported", as with other filesystems' options of that kind;
# what is there is kept, handed on and, where a write takes a capability away, taken away, and back in force without the option.
. "$(dirname "$0")/lib.sh"
[ -n "$native" ] && { echo "skipped: an option of ours"; exit 77; }
for program in setfattr setfacl setcap; do
    command -v $program >/dev/null || { echo "skipped: no $program"; exit 77; }
done
unsupported() { # COMMAND...: it says so
    ! "$@" >"$work/said" 2>&1 && grep -q "Operation not supported" "$work/said"
}
of() { getfattr --only-values -n "$2" "$1" 2>/dev/null; }
with() { options=$*; remount; }

start
mkdir dir && setfacl -d -m u:1234:rwx,g::- dir && touch dir/before
echo data >file && setfattr -n user.kept -v value file && setfattr -n trusted.kept -v value dir
cp "$(type -P true)" kept && cp kept written && cp kept owned || exit 1
if setcap cap_net_raw+ep kept 2>"$work/said"; then
    caps=yes
    setcap cap_net_raw+ep written && setcap cap_net_raw+ep owned
else
    caps=
    say "without capabilities: $(cat "$work/said")"
fi

with noxattr
check "an attribute that is there cannot be read" unsupported getfattr -n user.kept file
check "nor be listed" sh -c '[ -z "$(getfattr -d -m - file dir 2>/dev/null)" ]'
check "nor removed" unsupported setfattr -x user.kept file
check "none can be set" unsupported setfattr -n user.new -v value file
check "no ACL can be set" unsupported setfacl -m u:1234:r file
check "ls -l marks no ACL" sh -c 'ls -ld dir/before | grep -qv "+"'
check "chmod goes on" sh -c 'chmod 640 file && [ "$(stat -c %a file)" = 640 ]'
check "cp -a goes on" cp -a dir copy
check "writes go on" sh -c 'echo more >>file && [ "$(cat file)" = "data
more" ]'
touch dir/during
echo >>written
chown 1234 owned

with rw
check "what was there is there again" [ "$(of file user.kept)" = value ]
check "that of a folder, too" [ "$(of dir trusted.kept)" = value ]
check "none is new" [ "$(of file user.new)" = "" ]
check "what was made in a folder with a default ACL meanwhile has inherited it" sh -c 'getfacl -cn dir/during | grep -q "^user:1234:rw"'
[ -z "$caps" ] || check "a capability of what nobody wrote is there" sh -c 'getcap kept | grep -q net_raw'
[ -z "$caps" ] || check "that of what was written is gone" [ "$(getcap written)" = "" ]
[ -z "$caps" ] || check "that of what has a new owner, too" [ "$(getcap owned)" = "" ]
done_testing
