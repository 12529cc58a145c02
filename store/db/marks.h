/* Marks in a log, also behind damage (commit/batch_format.h): what is left to say how much had been
 * on stable storage. */
#ifndef STORE_DB_MARKS_H
#define STORE_DB_MARKS_H

#include "../env/env.h"

/* Raises *durable to the highest mark that can be read in the log from offset `from` on, whatever
 * is damaged in between. `is_ours`: the log is known to begin with a mark; otherwise this is found
 * out (a log whose beginning is unreadable counts as ours). 0 or the disk's error. */
int marks_find(struct env *env, const char *path, uint64_t from, bool is_ours, uint64_t *durable);

#endif
