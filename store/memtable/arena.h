/* Memory that is taken in small pieces and given back all at once; the memtable's. One thread
 * takes; any may ask for `bytes`. */
#ifndef STORE_MEMTABLE_ARENA_H
#define STORE_MEMTABLE_ARENA_H

#include <stdatomic.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
    char *at;                   /* the next free byte */
    size_t left;                /* of the chunk */
    struct arena_chunk *chunks; /* all of them */
    atomic_size_t bytes;        /* memory held */
};

void arena_init(struct arena *a);
void arena_free(struct arena *a);
/* `n` bytes at a multiple of 8, not cleared. */
void *arena_take(struct arena *a, size_t n);
/* About how many bytes may still be taken, in small pieces, before `bytes` is above `limit`. The
 * thread that takes. */
size_t arena_room(const struct arena *a, size_t limit);

#endif
