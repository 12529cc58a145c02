# For test_mutants.sh, of store/ and of fs/: a copy of the sources, from which one rule is removed at a time; a test has to fail.
set -u
[ -n "${SHORT:-}" ] && { echo "skipped: builds of its own, which make test runs"; exit 77; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/skeinfs-mutants.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
cp -r "$root/Makefile" "$root/store" "$root/fs" "$root/.ci" "$work" && mkdir "$work/mount-tests"
cd "$work" || exit 1
survivors=0

test= # as_they_are
build() { make -s BUILD=b OPT=-O0 SANITIZE= "b/$test" >build.log 2>&1; }

# removed NAME FILE SED-EXPRESSION. What hangs was seen.
removed() {
    cp "$2" original
    sed -i "$3" "$2"
    if cmp -s original "$2"; then
        echo "not ok $1: nothing was removed; the expression no longer fits the source"
        survivors=1
    elif ! build; then
        echo "not ok $1: does not build"
        tail -5 build.log
        survivors=1
    elif CK_TIMEOUT_MULTIPLIER=0.25 timeout 60 "b/$test" >test.log 2>&1; then
        echo "not ok $1: $test does not see it"
        survivors=1
    else
        echo "ok $1: seen"
    fi
    cp original "$2"
}

# as_they_are TEST: it has to pass before anything is removed.
as_they_are() {
    test=$1
    if ! build || ! "b/$test" >test.log 2>&1; then
        echo "not ok the sources as they are"
        tail -20 build.log test.log
        exit 1
    fi
}
