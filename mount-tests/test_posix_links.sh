#!/bin/bash
# Link counts, symlinks, fifos, sockets, devices, and names of any bytes.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix links
done_testing
