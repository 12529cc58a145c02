#!/bin/bash
# mmap beside read and write; sendfile, splice, copy_file_range.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix mappings
posix_writeback mappings
done_testing
