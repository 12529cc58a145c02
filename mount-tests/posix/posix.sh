# For the tests test_posix_*.sh: `. mount-tests/posix/posix.sh; posix SUBJECT` runs the program of that name on the disk below,
# where each expectation must hold too, and on the mount. Sourced behind lib.sh and `start`.
if [ "$(id -u)" != 0 ]; then
    echo "skipped: needs root, to be other users"
    exit 77
fi
posix() {
    chmod 755 "$work"
    mkdir -p "$work/native"
    if [ -z "$native" ]; then
        say "$1 on the disk below ($(stat -f -c %T "$work"))"
        (cd "$work/native" && POSIX_ON=native "$bin/mount-tests/posix/$1") || failures=$((failures + 1))
        say "$1 on the mount ($(stat -f -c %T "$mp"))"
        (cd "$mp" && POSIX_ON=mount "$bin/mount-tests/posix/$1") || failures=$((failures + 1))
    else
        (cd "$mp" && POSIX_ON=native "$bin/mount-tests/posix/$1") || failures=$((failures + 1))
    fi
}
