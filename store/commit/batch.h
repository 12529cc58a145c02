/* What the store itself does with batches (store.h has what its users do). Pure functions of the
 * batch; one thread at a time. */
#ifndef STORE_COMMIT_BATCH_H
#define STORE_COMMIT_BATCH_H

#include "../memtable/memtable.h"
#include "../store.h"
#include "batch_format.h"

uint64_t batch_sequence(const struct store_batch *b);
void batch_set_sequence(struct store_batch *b, uint64_t sequence);

/* A mark (batch_format.h) that says that all up to `durable` is on stable storage. */
struct slice batch_mark(char bytes[BATCH_HEADER_SIZE], uint64_t durable);
/* Whether a log record is a mark, and of what. */
bool batch_is_mark(struct slice rep, uint64_t *durable);

/* 0, or why the batch may not be written (-EMSGSIZE, -E2BIG), with words. */
int batch_refusal(const struct store_batch *b);

/* Checks a record read from a log: header, every record whole, count right, numbers in range (an
 * empty key is a key, as in LevelDB). Returns 0 or STORE_ECORRUPT with words. */
int batch_check(struct slice rep);
uint64_t batch_rep_sequence(struct slice rep);
uint32_t batch_rep_count(struct slice rep);

/* Calls put/del for each record in order. Stops at the first negative result and returns it;
 * STORE_ECORRUPT where the bytes are not a batch (the records before the damage were visited). */
struct batch_visitor {
    int (*put)(void *arg, struct slice key, struct slice value);
    int (*del)(void *arg, struct slice key);
};
int batch_each(struct slice rep, const struct batch_visitor *v, void *arg);

/* Adds every record under its own sequence number, starting with `sequence`. What batch_check() has
 * passed cannot fail. */
int batch_insert(struct slice rep, uint64_t sequence, struct memtable *m);
/* One line a record, for dumps and tests. */
void batch_to_text(struct slice rep, struct buf *out);

#endif
