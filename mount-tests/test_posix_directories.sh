#!/bin/bash
# Listing folders while names come and go; removed working folders; fsync of folders.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix directories
done_testing
