/* Going to the background: the process forks at once, the child does all the work, and the parent
 * stays until the child's mount answers or the child has failed. */
#ifndef FS_CMD_DAEMON_H
#define FS_CMD_DAEMON_H

#include <stdbool.h>

struct daemon {
    int parent; /* the pipe to the parent; -1: none waits */
};

/* Returns true in the process that shall go on: the child, or with `foreground` this one. In the
 * parent it returns false when there is nothing left to do but to exit with *exit_code.
 * Requires: no other threads yet. */
bool daemon_start(struct daemon *d, bool foreground, int *exit_code);

/* Lets the parent exit with success, and lets go of the terminal: from now on the child's words go
 * to the system log. Negative: the parent is gone, nobody wants this mount any more. */
int daemon_ready(struct daemon *d);

/* A line for whoever reads: stderr as long as there is one, then the system log. Any thread. */
void daemon_log(const char *line);

#endif
