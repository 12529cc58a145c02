/* Space from deletes, on a full disk. What was deleted takes its space until compactions have
 * brought the deletes down to it; in good times that has no hurry, and small deletes may even stay
 * in the memtable for ever. While space is low they are carried down at once: memtable into a
 * table, level 0 into level 1, then in each level each table that has deletes, one at a time, so
 * that little space is needed for each step. It ends as soon as there is space. */
#ifndef STORE_COMPACT_RECLAIM_H
#define STORE_COMPACT_RECLAIM_H

#include <stdbool.h>
#include "../base/buf.h"

struct store;

/* All guarded by store.mu. */
struct reclaim {
    bool wanted;  /* space became low, or deletes were written since, after the last one began */
    bool noted;   /* that space is low */
    bool running; /* a thread is in a step */
    bool begun;   /* not at its end yet */
    bool stays_behind; /* what is in the memtable, for want of a new log */
    uint64_t progress; /* deletes, flushes and compactions that were done */
    uint64_t in_vain;  /* the progress when somebody waited for more in vain */
    int level;         /* what is next: the level, and the key that its last table ended with */
    struct buf after;
};

enum reclaim_result {
    RECLAIM_NOTHING, /* there is nothing to be done, or another thread does it */
    RECLAIM_GOES_ON,
    RECLAIM_WAITS, /* for a flush, another compaction, or space for a log */
};

/* Space may have become low, or be enough again: what was deleted before that is carried down, too.
 * mu held. */
void reclaim_note_space(struct store *s);
/* Deletes were committed while space is low. mu held. */
void reclaim_note_deletes(struct store *s);
/* One step. *rc: what a compaction in it ended with. By a compactor thread; mu held at entry and
 * exit, let go of meanwhile. */
enum reclaim_result reclaim_step(struct store *s, int *rc);

#endif
