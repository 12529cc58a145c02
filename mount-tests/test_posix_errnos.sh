#!/bin/bash
# The errno of every wrong use of every call on paths, and which wins where several apply.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix errnos
done_testing
