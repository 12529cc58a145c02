/* The writers' queue and the leader's work. store.h has the calls of its users.
 *
 * A writer stands in the queue until it is first; then it leads: it makes room, takes the writers
 * behind it into a group, appends the group to the log as one record, inserts it into the memtable
 * and publishes its sequence numbers. The leader alone touches the log's end, the memtable's
 * entries and `last_sequence`; that it is first is its lock.
 *
 * Invariants:
 * 1. Sequence numbers are given in queue order, without gaps; a record's first number is the last
 * one committed + 1.
 * 2. A group whose leader is not sync has no sync writer in it.
 * 3. A writer that was done has its record in the log file (it survives the process) and is visible
 * to readers.
 * 4. A sync writer is done only when `durable` (commit/sync.h) covers it, and so everything before
 * it.
 * 5. After a failed append nothing is appended any more: every writer gets the error. Only where
 * there was no space, and the log could be cut back to its last whole record, the queue goes on;
 * the numbers of the group that failed are given to the next one.
 * A writer that only asks for a sync is not harmed by a group that found no space.
 * 6. While space is low (db/space.h) no group has both writers that need space and others. */
#ifndef STORE_COMMIT_QUEUE_H
#define STORE_COMMIT_QUEUE_H

#include "../db/db.h"

#define QUEUE_MAX_GROUP (1u << 20) /* bytes of one group */
#define QUEUE_SMALL_WRITE                                                                          \
    (128u << 10) /* a leader up to this size takes as much company again, not 1 MiB */

struct commit_queue {
    struct store_writer *first, *last; /* guarded by store.mu */
    struct store_batch merged;         /* the leader's: where a group of several is put together */
};

struct commit_queue *queue_new(void);
void queue_free(struct commit_queue *q);
/* store_enqueue's work, of a zeroed writer. store.mu held. */
void queue_append(struct commit_queue *q, struct store_writer *w);

#endif
