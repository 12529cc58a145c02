#!/bin/bash
# fallocate's modes, SEEK_HOLE and SEEK_DATA, and what a file occupies.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix holes
posix_writeback holes
done_testing
