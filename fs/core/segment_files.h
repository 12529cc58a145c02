/* The inside of segments.c: the files that are open (segment_files.c). Only they and
 * segment_pace.c include it.
 *
 * Files stay open for a while: `open` has them in the order of their numbers, at most
 * SEGMENTS_MOST_OPEN (and those in use). Locks: grow_mu, for whoever makes a new file; sync_mu, for
 * whoever syncs, so that a second one does not return before the first one's fdatasync has; mu, for
 * a moment, the last one. */
#ifndef FS_CORE_SEGMENT_FILES_H
#define FS_CORE_SEGMENT_FILES_H

#include <pthread.h>
#include <stdatomic.h>

#include "segments.h"

#define SEGMENTS_MOST_OPEN 64

struct segment {
    uint64_t number;
    struct env_file *file;
    unsigned refs;      /* guarded by mu, as what follows */
    uint64_t end;       /* of the active one: where the next append goes */
    uint64_t begun;     /* what is before it is on its way to the disk */
    bool dirty;         /* it has bytes that no sync has covered yet */
    uint64_t used;      /* when it was last: the count of uses */
    bool written_again; /* its header, by recovery, which is one thread */
};

struct segments {
    struct env *env;
    char *dir;
    struct segments_options options;
    pthread_mutex_t grow_mu, sync_mu, mu;
    struct segment **open; /* guarded by mu, as what follows */
    size_t count, room;
    uint64_t uses;
    struct segment *active; /* has a reference */
    uint64_t newest;        /* number: the next one is above it */
    bool entry_dirty;       /* the folder's entries changed, and no sync has covered that yet */
    bool folder_dirty;      /* the folder itself is new */
    atomic_uint_fast64_t unsynced; /* bytes appended since the last sync began */
    int failed;                    /* a sync did; guarded by sync_mu */
    atomic_uint_fast64_t asked_ns; /* when a sync was asked for last, */
    atomic_bool often;             /* ... and that was soon after the one before */
};

/* n bytes at off: 0, STORE_ECORRUPT where it has not as many, or the disk's error. */
int segment_read(struct segments *s, uint64_t number, struct env_file *file, void *p, size_t n,
                 uint64_t off);

/* With a reference: 0; STORE_ECORRUPT where it is missing or damaged; or the disk's error. */
int segment_get(struct segments *s, uint64_t number, struct segment **out);
void segment_unuse(struct segments *s, struct segment *g);

/* mu held in all of these. */
struct segment *segment_find(const struct segments *s, uint64_t number); /* NULL: it is not open */
struct segment *segment_use(struct segments *s, struct segment *g);      /* one reference more */
struct segment *segment_add(struct segments *s, uint64_t number, struct env_file *file);
/* Out of the table, if nobody uses it and all of it was synced: then segment_close it, without mu.
 * NULL: not now. */
struct segment *segment_take_out(struct segments *s, struct segment *g);

void segment_close(struct segments *s, struct segment *g); /* NULL is allowed */

/* segment_pace.c. No lock held. */
void segment_pace_asked(struct segments *s); /* somebody wants a sync */
/* What is before `end` was appended to g, which has a reference. May wait for the disk. */
void segment_pace(struct segments *s, struct segment *g, uint64_t end);

#endif
