#!/bin/bash
# Which call changes the access time; on the mount, which keeps them as with noatime, none does.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix atime
done_testing
