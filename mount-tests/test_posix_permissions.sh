#!/bin/bash
# Who may do what; suid, sgid, sticky folders, groups, the umask.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix permissions
posix_writeback permissions
done_testing
