#!/bin/bash
# The errno of every call on paths for what is wrong with the path, and which wins where several apply.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix errnos
done_testing
