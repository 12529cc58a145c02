/* The file STORE/session: how the command `umount` learns when the daemon has ended, and how.
 *
 * Text, one `word value` a line: `pid N`, `state mounted|closing|closed|failed TEXT`.
 * The daemon holds an exclusive lock (flock) on it for as long as its process lives; the kernel
 * drops the lock at any kind of end, so nobody waits for a process that is gone or for a stranger
 * with its number. Each mount makes a new file, so who has opened one waits for the mount it saw.
 *
 * A read-only mount writes nothing into STORE: its daemon locks the marker STORE/skeinfs instead,
 * which is there in any case. That is also why a store is mounted once at a time, read-only or not.
 */
#ifndef FS_CMD_STATUS_H
#define FS_CMD_STATUS_H

#include <stdbool.h>
#include <sys/types.h>

/* The daemon's side. */
struct status {
    int fd; /* stays open, and locked, until the process ends; -1: none */
    bool read_only;
};
/* Requires: the store is open (so no other daemon writes). -EWOULDBLOCK: it is mounted read-only
 * by another one. */
int status_begin(struct status *s, const char *store, bool read_only);
/* The mount has ended; the store is about to be closed. */
void status_closing(struct status *s);
/* The store is closed: `error` is NULL, or why it was not closed cleanly. */
void status_end(struct status *s, const char *error);

/* The other side. */
struct status_seen {
    int fd;
    pid_t reader; /* the daemon of a read-only mount; 0: it is an ordinary one */
};
/* Looks at the daemon of a mounted store: 0 or negative. */
int status_open(const char *store, struct status_seen *seen);
void status_close(struct status_seen *seen);
/* Has the daemon ended? */
bool status_ended(const struct status_seen *seen);
/* Is it about to, and closes the store? */
bool status_is_closing(const struct status_seen *seen);
/* How: 0 closed cleanly, otherwise negative with words. And its pid, 0 if the file has none. */
int status_result(const struct status_seen *seen);
pid_t status_pid(const struct status_seen *seen);

#endif
