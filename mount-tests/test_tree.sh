#!/bin/bash
# A tree of 20,000 files of the machine's own, copied in: every byte, mode, owner, time and link is there, now, after
# umount and mount, and after kill -9 and mount.
. "$(dirname "$0")/lib.sh"
start

# The tree as a list of paths below /usr, enough of them.
(cd /usr && find include share lib -xdev \( -type f -o -type d -o -type l \) -size -512k 2>/dev/null |
    head -n 26000) >"$work/list"
check "there are 20,000 files to copy" [ "$(cd /usr && xargs -d '\n' -a "$work/list" stat -c %F 2>/dev/null | grep -c 'regular')" -ge 20000 ]
mkdir "$work/tree" usr
tar -C /usr --no-recursion -cf "$work/tree.tar" -T "$work/list" 2>/dev/null
tar -C "$work/tree" -xf "$work/tree.tar"
rm "$work/tree.tar"
check "tar unpacks the tree" sh -c 'tar -C "$1" -cf - . | tar -C usr -xf -' - "$work/tree"

compare() {
    check "diff -r finds no difference$1" diff -r --no-dereference "$work/tree" usr
    check "rsync finds no difference$1" sh -c '! rsync -aHn --delete --checksum --itemize-changes "$1/" usr/ | grep .' - "$work/tree"
}
each_way compare

check "rm -r removes it" rm -r usr
check "nothing is left" sh -c '[ -z "$(ls -A)" ]'
if [ -z "$native" ]; then
    check "memtables were flushed" grep -q 'flushed a memtable' "$store/kv/LOG"
    check "tables were compacted" grep -q 'compacted' "$store/kv/LOG"
    check "writes met the limits of memtables or level 0" grep -qE '[1-9][0-9]* (delays|stalls)' "$store/kv/LOG"
fi
done_testing
