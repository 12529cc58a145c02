#!/bin/bash
# Which call changes which time of which object, and how exactly times are kept.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix times
posix_writeback times
done_testing
