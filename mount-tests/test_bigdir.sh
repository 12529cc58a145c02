#!/bin/bash
# 100,000 files in one directory.
. "$(dirname "$0")/lib.sh"
start
mkdir d
check "100,000 files are made" sh -c 'cd d && seq -f "file%06.0f" 100000 | xargs touch'
look() {
    check "all are listed once$1" [ "$(ls -f d | sort -u | grep -c '^file')" = 100000 ]
    check "none is listed twice$1" [ "$(ls -f d | grep -c '^file')" = 100000 ]
    check "one in the middle is found$1" [ -f d/file054321 ]
    check "one that is not there is not$1" [ ! -e d/file100001 ]
    check "rmdir says that it is not empty$1" sh -c '! rmdir d 2>/dev/null'
}
each_way look
check "every second one is removed" sh -c 'cd d && seq -f "file%06.0f" 2 2 100000 | xargs rm'
check "the others stay" [ "$(ls -f d | grep -c '^file')" = 50000 ]
check "rm -r removes the rest" rm -r d
done_testing
