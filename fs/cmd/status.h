/* The file STORE/session: how the command `umount` learns when the daemon has ended, and how.
 *
 * Text, one `word value` a line: `pid N`, `state mounted|closed|failed TEXT`.
 * The daemon holds an exclusive lock (flock) on it for as long as its process lives; the kernel
 * drops the lock at any kind of end, so nobody waits for a process that is gone or for a stranger
 * with its number. Each mount makes a new file, so who has opened one waits for the mount it saw.
 */
#ifndef FS_CMD_STATUS_H
#define FS_CMD_STATUS_H

#include <stdbool.h>
#include <sys/types.h>

/* The daemon's side. */
struct status {
    int fd; /* stays open, and locked, until the process ends; -1: none */
};
/* Requires: the store is open (so no other daemon is about). */
int status_begin(struct status *s, const char *store);
/* The store is closed: `error` is NULL, or why it was not closed cleanly. */
void status_end(struct status *s, const char *error);

/* The other side: opens the file of a mounted store; the fd or negative. */
int status_open(const char *store);
/* Has the daemon ended? */
bool status_ended(int fd);
/* How: 0 closed cleanly, otherwise negative with words. And its pid, 0 if the file has none. */
int status_result(int fd);
pid_t status_pid(int fd);

#endif
