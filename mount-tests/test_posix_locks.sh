#!/bin/bash
# flock, locks of POSIX and of open files, leases, inotify, fanotify: between processes.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix locks
done_testing
