/* What is on stable storage: one sync at a time, led by one of those who wait for it.
 *
 * A sync round notes the newest sequence number committed, has what is beside the store synced
 * (db/beside.c), then runs fdatasync on every live log that has bytes which are not synced yet,
 * older logs first, and only when all of that succeeded moves `durable` to the number it noted.
 * Whoever was committed after the number was noted waits for the next round. While a round runs,
 * the queue goes on: plain writers do not wait for the disk, and sync writers gather for the next
 * round.
 *
 * A failed fdatasync is never repeated: it sets the store's background error. */
#ifndef STORE_COMMIT_SYNC_H
#define STORE_COMMIT_SYNC_H

#include "../db/db.h"

struct sync_state {
    struct store_writer *first, *last; /* who waits, in order; guarded by mu */
    atomic_int waiting;                /* how many; written under mu */
    atomic_bool led;               /* somebody is SYNC_LEADER or runs rounds; written under mu */
    atomic_uint_fast64_t first_ns; /* when the first of them came, if nobody leads; under mu */
    bool flushing;                 /* a round is in its fdatasync; guarded by mu */
    atomic_uint_fast64_t durable;  /* written under mu */
    uint64_t committed;            /* newest sequence whose record is in the log; guarded by mu */
    uint64_t unsynced_bytes; /* appended since the last round noted its number; guarded by mu */
    uint64_t flush_ns;       /* how long rounds took lately (moving average); guarded by mu */
    uint64_t last_round_ns;  /* when the last round began; guarded by mu */
    bool rounds_close;       /* the last two were close together; guarded by mu */
    atomic_uint_fast64_t gather_ns; /* how long who leads next may wait for company; under mu */
    atomic_int urgent;              /* urgent ones that stand in line; written under mu */
    bool crowded; /* since the last urgent one some came while others waited; guarded by mu */
    atomic_bool awaits_urgent; /* the last round had an urgent one, of a crowd; written under mu */
    atomic_int cohort;         /* how many the last round released; written under mu */
    pthread_cond_t flushed;    /* a round ended */
};

struct sync_state *sync_new(uint64_t durable);
void sync_free(struct sync_state *y);

/* A committed sync writer starts to wait for `w->target`: done at once, or in line, perhaps as the
 * next to lead. mu held. */
void sync_join(struct store *s, struct store_writer *w);
/* Runs one round for all who wait. The caller's writer is WRITER_SYNC_LEADER. mu NOT held. */
void sync_lead(struct store *s);
/* Everything committed so far made durable here and now, by the commit leader
 * (visible_when_durable). mu held at entry and exit, let go of meanwhile. */
int sync_now(struct store *s);
/* Everything up to `sequence` is in synced tables: it is durable without its log. mu held. */
void sync_advance(struct store *s, uint64_t sequence);
/* True where the log is synced so often that zeroes written ahead pay. mu held. */
bool sync_is_hot(const struct store *s);
/* Each of the list is done (`next`). mu NOT held: those who wake want it next, and to wake one
 * costs a system call. */
void sync_tell(struct store_writer *w);
/* A background error was set: whoever waits looks again. mu held. */
void sync_wake_all(struct store *s);

#endif
