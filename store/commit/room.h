/* Room for the next group: delays, stalls and memtable switches. Only the commit leader calls
 * room_make. */
#ifndef STORE_COMMIT_ROOM_H
#define STORE_COMMIT_ROOM_H

#include "../db/db.h"
#include "throttle.h"

/* What is known about how fast things go: throttle.h says how the allowed rate follows from it. */
struct room {
    atomic_uint_fast64_t rate; /* bytes per second that writers may write now; 0: no limit */
    struct throttle_meter flushed, compacted; /* of writers' bytes; guarded by store.mu */
    double shrink;       /* bytes of a table for one of a memtable, lately; guarded by store.mu */
    uint64_t busy_since; /* level 0 was still too full when its last compaction ended, then; else 0;
                            guarded by store.mu */
    pthread_mutex_t mu;  /* the bucket; order of locks: store.mu, then this */
    struct throttle bucket;
    atomic_uint_fast64_t delays, delayed_us, longest_us; /* for store_stats */
};

struct room *room_new(void);
void room_free(struct room *r);

enum room_force {
    ROOM_NO_FORCE,
    ROOM_SWITCH,     /* the memtable is switched even where it is not full (unless it is empty) */
    ROOM_SWITCH_NOW, /* the same; -EAGAIN where that has to wait for a flush or compaction */
};

/* Returns when a group may be written, or the background error, or -ENOSPC where it would have to
 * wait until the disk has space. `reclaims`: it gives space back, and may go on longer than others.
 * mu held at entry and exit, let go of while it waits. */
int room_make(struct store *s, enum room_force force, bool reclaims);
/* A writer's share of the delay: sleeps as long as its own bytes cost at the rate of now. By the
 * writer's thread, after its commit, without any lock. */
void room_pay(struct store *s, size_t bytes);
/* How long a flush or a compaction of level 0 took: mu held. */
void room_note_flush(struct store *s, uint64_t memtable_bytes, uint64_t table_bytes, uint64_t ns);
void room_note_compaction(struct store *s, uint64_t level0_bytes, uint64_t start_ns);
/* Switches the memtable by way of the queue: everything enqueued before is in the old one. mu NOT
 * held. */
int room_switch(struct store *s);
/* The same for a thread of the background, which must not wait for the background: -EAGAIN. */
int room_switch_now(struct store *s);
/* The same for those who will not come again: there may be space by now, and only a pause of the
 * flush in the way. Not by a thread of the background. */
int room_switch_at_last(struct store *s);

#endif
