#!/bin/bash
# A C project is built on the mount with make, twice: the second time nothing is left to do, also after a crash.
. "$(dirname "$0")/lib.sh"
start
cp -r "$root/store" "$root/fs" "$root/Makefile" "$root/.ci" .
check "make builds the project" make -s -j2 OPT=-O0 all
again() {
    check "make finds it up to date$1" sh -c 'make -q OPT=-O0 all'
    check "what was built runs$1" ./build/skeinfs --version
}
each_way again
done_testing
