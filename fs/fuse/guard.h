/* A process that sees to it that a daemon which is killed really ends.
 *
 * A thread of the daemon may be waiting in the kernel for an answer that the daemon itself has to
 * give (ops_space.c has it write its dirty pages). Killed just then, the other threads are gone and
 * this one cannot be: with it stay /dev/fuse, whose closing would end the wait, and the lock of the
 * store, and every program that uses the mount hangs. So a process of its own, which has none of
 * the daemon's files, waits for the daemon's death and then cuts the connection.
 *
 * The daemon tells it the connection's number, and it opens the connection's own file at once: a
 * mount that was detached (umount -l) is in no mount table, and a number is used again as soon as
 * its connection is gone, but what is open goes with the connection. */
#ifndef FS_FUSE_GUARD_H
#define FS_FUSE_GUARD_H

#include <sys/types.h>

struct guard {
    pid_t pid; /* -1: there is none, and the daemon is as good as it is without */
    int tell;  /* a pipe to it; -1: none */
};

/* Starts it; `mountpoint` and `store` are those of session_options. From the thread that runs the
 * session, before any other thread and before the store is opened: it is a fork. */
void guard_start(struct guard *g, const char *mountpoint, const char *store);
/* The mount is made: the number is the minor of its st_dev. At most once. */
void guard_tell(struct guard *g, unsigned connection);
/* The daemon ends in peace. */
void guard_end(struct guard *g);

#endif
