#!/bin/bash
# The errno of calls for what they find, what they are asked for and who asks; and which wins where several apply.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix refusals
done_testing
