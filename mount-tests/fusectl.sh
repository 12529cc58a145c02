# For tests that cut a connection, as a user could: `. mount-tests/fusectl.sh`, before all else, sets $connections to the folder of
# the kernel's fusectl, where each connection has the files `abort` and `waiting`; to nothing where it cannot be had. Where it is not
# mounted, the script starts anew in a mount namespace of its own that has it.
connections=/sys/fs/fuse/connections
if ! mountpoint -q "$connections"; then
    if [ -z "${FUSECTL_TRIED:-}" ] && [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
        FUSECTL_TRIED=1 exec unshare -m bash -c 'mount -t fusectl none "$0" 2>/dev/null; exec bash "$@"' \
            "$connections" "$0" "$@"
    fi
    connections=
fi
