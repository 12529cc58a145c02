#!/bin/bash
# What rename moves, replaces, exchanges and refuses, and that nobody sees anything between; and where `..` leads when the kernel
# has forgotten all it knew.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix renames

cd "$mp" || exit 1
mkdir -p a/moved/sub b/empty
check "a folder moves" mv a/moved b/moved
check "a folder replaces an empty one" mv -T b/moved/sub b/empty
look() {
    check "the .. of a moved folder is the new one above$1" [ "$(stat -c %i b/moved/..)" = "$(stat -c %i b)" ]
    check "also of one that replaced another$1" [ "$(stat -c %i b/empty/..)" = "$(stat -c %i b)" ]
    check "links are counted$1" [ "$(stat -c %h a b b/moved | xargs)" = "2 4 2" ]
}
each_way look
done_testing
