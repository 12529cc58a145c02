#!/bin/bash
# kill -9 of the daemon while it has the kernel write its dirty pages, before it names a hole (fs/fuse/ops_space.c): the daemon ends,
# programs that wait for it get an error, and the store can be mounted again. So it is where the mount has been detached before
# (umount -l) and is in no mount table any more; that needs the kernel's fusectl.
. "$(dirname "$0")/fusectl.sh"
. "$(dirname "$0")/lib.sh"
[ -n "$native" ] && { echo "skipped: it kills the daemon; there is none"; exit 77; }

cat >"$work/seek.c" <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    size_t n = 8u << 20;
    int fd = open(argv[argc - 1], O_RDWR | O_CREAT, 0644);
    if (ftruncate(fd, (off_t)n))
        return 1;
    puts("begun");
    fflush(stdout);
    for (;;) { /* dirties a hole, and asks whether it is one */
        char *m = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        for (size_t i = 0; i < n; i += 4096)
            m[i] = 1;
        if (lseek(fd, 0, SEEK_DATA) < 0)
            return 2;
        munmap(m, n);
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)n))
            return 3;
    }
}
C
gcc -o "$work/seek" "$work/seek.c" || exit 1

# Ends within ten seconds; if not, the connection is cut, so that nothing is left behind.
dies() {
    for _ in $(seq 100); do
        is_dead "$1" && return
        sleep 0.1
    done
    cat /proc/"$1"/task/*/stack
    if mounted; then umount -f "$mp"; else echo 1 >"$connections/$2/abort"; fi
    return 1
}
# round NAME COMMAND...: kill -9 after the command. False: the rest need not be tried.
round() {
    local name=$1 program pid number
    shift
    "$work/seek" "$mp/file" >"$work/begun" 2>/dev/null &
    program=$!
    until grep -q begun "$work/begun"; do sleep 0.01; done
    sleep "0.5$RANDOM"
    pid=$(daemon_pid)
    number=$(mountpoint -d "$mp") && number=${number#*:}
    "$@"
    kill -9 "$pid"
    check "$name: the daemon ends" dies "$pid" "$number"
    [ "$failures" = 0 ] || kill -9 "$program" 2>/dev/null
    wait "$program" 2>/dev/null
    [ "$failures" = 0 ] || { sleep 1; umount -l "$mp" 2>/dev/null; return 1; }
    if mounted; then mount_after_kill; else mount_again; fi
}

start
cd "$work" || exit 1
for i in $(seq 12); do
    round "round $i" true || done_testing
done
if [ -n "$connections" ]; then
    for i in $(seq 12); do
        round "round $i, detached" umount -l "$mp" || done_testing
    done
else
    say "no fusectl: a detached mount could not be cut off"
fi
done_testing
