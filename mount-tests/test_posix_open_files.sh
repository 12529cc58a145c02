#!/bin/bash
# Files that are open: without a name, replaced, appended to by many, with every flag of open; and what is left of them after
# kill -9 of the daemon.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix open_files
posix_writeback open_files

cd "$mp" || exit 1
# Held open by a process of its own, as crash() needs the mount unused by this shell.
dd if=/dev/zero of=nameless bs=64k count=64 status=none
echo old >replaced
echo new >newer
(
    exec 3<>nameless 4<replaced
    rm nameless
    mv newer replaced
    echo still here >&3
    exec sleep 1000
) &
holder=$!
until [ ! -e nameless ] && [ "$(cat replaced)" = new ] && [ ! -e newer ]; do sleep 0.05; done
if [ -z "$native" ]; then
    cd "$work" || exit 1
    daemon_kill
    kill "$holder"
    wait "$holder" 2>/dev/null
    mount_after_kill
    cd "$mp" || exit 1
else
    kill "$holder"
fi
check "what was unlinked while open is gone after kill -9" [ ! -e nameless ]
check "what was renamed over an open file is there after kill -9" [ "$(cat replaced)" = new ]
[ -n "$native" ] || check "and nothing else is left" [ "$(ls)" = replaced ]
if [ -z "$native" ]; then
    cd "$work" || exit 1
    "$skeinfs" umount "$mp"
    check "the store is whole: their data went with them" "$skeinfs" check "$store"
    mount_again
fi
done_testing
