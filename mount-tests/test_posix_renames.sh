#!/bin/bash
# What rename moves, replaces, exchanges and refuses, and that nobody sees anything between.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix renames
done_testing
