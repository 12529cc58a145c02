# For the tests test_posix_*.sh, sourced behind lib.sh and `start`:
#
#   posix SUBJECT            runs the program of that name on the disk below, where each expectation must hold too, and on the mount
#   posix_writeback SUBJECT  once more on the mount, with the option writeback
if [ "$(id -u)" != 0 ]; then
    echo "skipped: needs root, to be other users"
    exit 77
fi
run_on() { # KIND FOLDER SUBJECT
    (cd "$2" && POSIX_ON=$1 "$bin/mount-tests/posix/$3") || failures=$((failures + 1))
}
posix() {
    chmod 755 "$work"
    mkdir -p "$work/native"
    if [ -n "$native" ]; then
        run_on native "$mp" "$1"
        return
    fi
    say "$1 on the disk below ($(stat -f -c %T "$work"))"
    run_on native "$work/native" "$1"
    say "$1 on the mount ($(stat -f -c %T "$mp"))"
    run_on mount "$mp" "$1"
}
posix_writeback() {
    [ -z "$native" ] || return
    local before=$options
    options=$options,writeback
    remount
    say "$1 on the mount, with writeback"
    POSIX_WRITEBACK=1 run_on mount "$mp" "$1"
    options=$before
    remount
}
