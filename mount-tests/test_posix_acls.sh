#!/bin/bash
# Access control lists: acl(5), one behaviour a test; then setfacl's and getfacl's, after umount and kill -9 too.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
chmod 755 "$work"
touch probe
if ! setfacl -m u:1234:rw probe 2>/dev/null; then
    rm probe
    NATIVE=1 bash "$root/mount-tests/test_posix_acls.sh" || exit 1 # the tests themselves
    echo "skipped: no ACLs on this mount ($(setfacl -m u:1234:rw . 2>&1))"
    exit 77
fi
rm probe
posix acls

mkdir tree tree/sub
setfacl -d -m u:20001:rwx,g:20003:r-x,m::rwx tree tree/sub
echo text >tree/file
echo text >tree/sub/file
setfacl -R -m u:20002:rX tree
setfacl -m m::r tree/sub/file
getfacl -nR tree >"$work/lists"
cp -a tree copied
look() {
    check "getfacl shows what was set$1" cmp "$work/lists" <(getfacl -nR tree)
    check "so does it of what cp -a copied$1" cmp <(sed 's/^# file: tree/# file: copied/' "$work/lists") <(getfacl -nR copied)
    check "ls shows a + at the mode$1" [ "$(stat -c %A tree/file)+" = "$(ls -l tree/file | cut -c 1-11)" ]
    check "a user of the list reads$1" setpriv --reuid=20002 --regid=20002 --clear-groups cat tree/file
    check "another does not write$1" sh -c '! setpriv --reuid=20002 --regid=20002 --clear-groups sh -c ": >>tree/file" 2>/dev/null'
    mkdir "tree/new$1" && check "a new folder inherits$1" grep -q 'default:user:20001:rwx' <(getfacl -n "tree/new$1") && rmdir "tree/new$1"
}
each_way look
setfacl --restore="$work/lists"
check "getfacl's list is restored by setfacl" cmp "$work/lists" <(getfacl -nR tree)
setfacl -R -b tree
gone() { check "setfacl -b takes all$1" [ -z "$(getfacl -nsR tree)" ]; }
each_way gone
done_testing
