/* Which entries no reader can see any more: of two entries of one user key the older one, if no
 * snapshot lies between them. Fed with the entries of a table to be, in order; for flushes and
 * compactions. One thread.
 *
 * The snapshots are those of the moment of the start: one that is taken later is newer than every
 * entry here, and sees the newest of each key. Who reads without a snapshot holds a view from
 * before, with what went into this table. */
#ifndef STORE_COMPACT_SHADOW_H
#define STORE_COMPACT_SHADOW_H

#include "../db/db.h"

struct shadow {
    uint64_t *snapshots; /* oldest first */
    int snapshot_count;
    struct buf user; /* the user key of the entry before; has_user: there was one */
    bool has_user;
    bool new_user;     /* the last entry's user key differed from the one before */
    int gap;           /* the number of snapshots older than the last entry */
    uint64_t sequence; /* the last entry's */
    bool disorder;     /* an entry did not come in its place: one of the tables that they are from
                        * is damaged in a way that no checksum tells */
};

/* Notes the snapshots there are. mu held, or nobody else uses the store. */
void shadow_start(struct shadow *h, struct store *s);
void shadow_end(struct shadow *h);
/* Takes the next entry's key; true where nobody can see the entry. new_user and gap are those of
 * this entry then. */
bool shadow_hides(struct shadow *h, struct slice ikey);

#endif
