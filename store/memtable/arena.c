/* Chunks of growing size: see arena.h. What fits badly into the current chunk gets one of its own.
 */
#include "arena.h"

#include <stdint.h>
#include <stdlib.h>

#include "../base/buf.h"

/* A chunk is a sixteenth of what is held, within these: a small memtable stays small, a large one
 * is not in a thousand pieces. */
enum { CHUNK_MIN = 4096, CHUNK_MAX = 65536 };

struct arena_chunk {
    struct arena_chunk *next;
    char bytes[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
    atomic_init(&a->bytes, 0);
}

void arena_free(struct arena *a)
{
    while (a->chunks) {
        struct arena_chunk *c = a->chunks;
        a->chunks = c->next;
        free(c);
    }
}

/* `size` counts the chunk's own head. */
static char *new_chunk(struct arena *a, size_t size)
{
    struct arena_chunk *c = mem_alloc(size);
    c->next = a->chunks;
    a->chunks = c;
    atomic_fetch_add_explicit(&a->bytes, size, memory_order_relaxed);
    return c->bytes;
}

static size_t next_chunk_size(const struct arena *a)
{
    size_t n = atomic_load_explicit(&a->bytes, memory_order_relaxed) / 16;
    return n < CHUNK_MIN ? CHUNK_MIN : n > CHUNK_MAX ? CHUNK_MAX : n & ~(size_t)4095;
}

void *arena_take(struct arena *a, size_t n)
{
    n = (n + 7) & ~(size_t)7;
    if (n > a->left) {
        size_t size = next_chunk_size(a);
        if (n > size / 4) /* the rest of the current chunk is not given up for it */
            return new_chunk(a, sizeof(struct arena_chunk) + n);
        a->at = new_chunk(a, size);
        a->left = size - sizeof(struct arena_chunk);
    }
    void *p = a->at;
    a->at += n;
    a->left -= n;
    return p;
}

/* Chunks grow with what is held: those to come are counted as if they were as large as the next. */
size_t arena_room(const struct arena *a, size_t limit)
{
    size_t held = atomic_load_explicit(&a->bytes, memory_order_relaxed);
    size_t chunk = next_chunk_size(a);
    return held > limit ? 0 : a->left + (limit - held) / chunk * chunk;
}
