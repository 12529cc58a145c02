/* A workload that knows what a store must hold after a crash.
 *
 * Each thread has keys of its own and commits batches one after the other; the first record of a
 * batch is the thread's counter. So the store's content says how many commits of each thread it
 * holds, and history_check() can tell whether that is a prefix of the commit order, and the whole
 * of it:
 * 1. the records of the commits held are as many as the store's last sequence number;
 * 2. a commit whose sequence number is known is held if, and only if, that number is not above the
 * last one;
 * 3. the last one is not below what was promised;
 * 4. every key has the value that these commits leave, and there is no other key.
 *
 * Thread safe: threads of the workload use numbers of their own; checks may run beside them. A
 * failed check prints what it found and aborts (it may run in any thread). */
#ifndef STORE_TESTS_HISTORY_H
#define STORE_TESTS_HISTORY_H

#include <pthread.h>
#include <stdio.h>
#include "../store.h"
#include "sim_random.h"

#define HISTORY_THREADS 4
#define HISTORY_KEYS 40

/* An assertion for any thread, kept in every build. */
#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct history_commit {
    uint64_t seed;     /* its content follows from it */
    uint64_t sequence; /* of its last record; 0: not acknowledged */
    uint32_t records;
};

struct history_thread {
    struct history_commit *at;
    size_t count;
    struct sim_random random;
};

struct history {
    pthread_mutex_t mu; /* guards all below, but each thread's random */
    int threads;
    struct history_thread thread[HISTORY_THREADS];
    uint64_t acked, acked_sync; /* the highest sequence acknowledged at all, and as durable */
};

void history_init(struct history *h, uint64_t seed, int threads);
void history_copy(struct history *from, struct history *to);
void history_free(struct history *h);

/* Writes the thread's next batch; notes it where it is acknowledged. Returns the writer's status.
 */
int history_commit(struct history *h, struct store *s, int thread, bool sync);
/* store_sync of all there is; notes it. */
int history_sync(struct history *h, struct store *s);
uint64_t history_acked(struct history *h);
uint64_t history_acked_sync(struct history *h);

/* Requires: nothing writes to s. `what` is printed with a failure. */
void history_check(struct history *h, struct store *s, uint64_t at_least, const char *what);
/* After a crash: forgets what the store does not hold; goes on from there. Requires:
 * history_check() passed. */
void history_rewind(struct history *h, struct store *s);

/* Bytes that follow from a tag: mostly short, some that fill a block of the log. */
void history_value(uint64_t tag, struct buf *out);

#endif
