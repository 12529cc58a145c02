/* See cache.h. In each shard a chained hash table finds entries, and a ring has them in the order
 * in which they came or last got their second chance.
 *
 * Invariants:
 *  1. The shard has a reference to each entry in its table. One more comes only under the shard's
 *     lock, so that who holds the lock and sees one reference knows that nobody else has one.
 *  2. A reference goes without the lock: letting go is one atomic subtraction. */
#include "cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "../base/buf.h"

enum { SHARD_BITS = 4, SHARDS = 1 << SHARD_BITS };

/* Held entries over which one search for room goes before it gives up until the next one. */
enum { MOST_HELD = 256 };

struct shard;

struct cache_entry {
    uint64_t a, b;
    void *value;
    size_t bytes;
    struct shard *shard;
    atomic_int refs;                   /* holders, and the shard while it is in the table */
    bool found;                        /* since it was last looked at; guarded by the shard's mu */
    struct cache_entry *chain;         /* of the hash bucket */
    struct cache_entry *older, *newer; /* the ring; NULL once out of the table */
};

struct shard {
    pthread_mutex_t mu;
    size_t capacity;
    atomic_size_t used; /* bytes of entries in the table; written under mu */
    struct cache_entry **bucket;
    size_t bucket_count, count;
    struct cache_entry ring; /* its head: .newer is the oldest */
};

struct cache {
    void (*free_value)(void *value);
    struct shard shard[SHARDS];
};

static uint64_t hash_of(uint64_t a, uint64_t b)
{
    uint64_t h = a * 0x9e3779b97f4a7c15ull ^ (b + 0x7f4a7c15u) * 0xbf58476d1ce4e5b9ull;
    h ^= h >> 31;
    h *= 0x94d049bb133111ebull;
    return h ^ h >> 29;
}

static struct shard *shard_of(struct cache *c, uint64_t hash)
{
    return &c->shard[hash >> (64 - SHARD_BITS)];
}

struct cache *cache_new(size_t bytes, void (*free_value)(void *value))
{
    struct cache *c = mem_zalloc(sizeof *c);
    c->free_value = free_value;
    for (int i = 0; i < SHARDS; i++) {
        struct shard *s = &c->shard[i];
        pthread_mutex_init(&s->mu, NULL);
        s->capacity = (bytes + SHARDS - 1) / SHARDS;
        s->bucket_count = 16;
        s->bucket = mem_zalloc(s->bucket_count * sizeof *s->bucket);
        s->ring.newer = s->ring.older = &s->ring;
    }
    return c;
}

/* ---- the ring */

static void ring_remove(struct cache_entry *e)
{
    e->older->newer = e->newer;
    e->newer->older = e->older;
    e->older = e->newer = NULL;
}

static void ring_add_newest(struct shard *s, struct cache_entry *e)
{
    e->older = s->ring.older;
    e->newer = &s->ring;
    e->older->newer = e;
    s->ring.older = e;
}

static size_t used_by(const struct shard *s)
{
    return atomic_load_explicit(&s->used, memory_order_relaxed);
}

/* ---- the hash table */

static struct cache_entry **find_slot(struct shard *s, uint64_t hash, uint64_t a, uint64_t b)
{
    struct cache_entry **slot = &s->bucket[hash & (s->bucket_count - 1)];
    while (*slot && ((*slot)->a != a || (*slot)->b != b))
        slot = &(*slot)->chain;
    return slot;
}

static void grow(struct shard *s)
{
    size_t old_count = s->bucket_count;
    struct cache_entry **old = s->bucket;
    s->bucket_count *= 2;
    s->bucket = mem_zalloc(s->bucket_count * sizeof *s->bucket);
    for (size_t i = 0; i < old_count; i++)
        while (old[i]) {
            struct cache_entry *e = old[i];
            old[i] = e->chain;
            struct cache_entry **slot = &s->bucket[hash_of(e->a, e->b) & (s->bucket_count - 1)];
            e->chain = *slot;
            *slot = e;
        }
    free(old);
}

/* True if that was the last reference: the entry is the caller's to free. */
static bool give_up(struct cache_entry *e)
{
    int before = atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    return before == 1;
}

/* Takes the entry out of the table and gives the shard's reference up. Returns it if it is to be
 * freed. */
static struct cache_entry *unlink_entry(struct shard *s, struct cache_entry **slot)
{
    struct cache_entry *e = *slot;
    *slot = e->chain;
    s->count--;
    atomic_store_explicit(&s->used, used_by(s) - e->bytes, memory_order_relaxed);
    ring_remove(e);
    e->chain = NULL;
    return give_up(e) ? e : NULL;
}

static void free_list(struct cache *c, struct cache_entry *e)
{
    while (e) {
        struct cache_entry *next = e->chain;
        c->free_value(e->value);
        free(e);
        e = next;
    }
}

/* Pushes out what is too much, oldest first; what is held, or was found since, goes to the new end
 * instead. Returns a list to free. */
static struct cache_entry *shrink(struct shard *s)
{
    struct cache_entry *freed = NULL;
    int held = 0;
    while (used_by(s) > s->capacity && s->ring.newer != &s->ring && held < MOST_HELD) {
        struct cache_entry *oldest = s->ring.newer;
        bool is_held = atomic_load_explicit(&oldest->refs, memory_order_acquire) > 1;
        if (is_held || oldest->found) {
            held += is_held;
            oldest->found = false;
            ring_remove(oldest);
            ring_add_newest(s, oldest);
            continue;
        }
        struct cache_entry *e =
            unlink_entry(s, find_slot(s, hash_of(oldest->a, oldest->b), oldest->a, oldest->b));
        assert(e == oldest);
        e->chain = freed;
        freed = e;
    }
    return freed;
}

/* ---- the calls */

struct cache_entry *cache_find(struct cache *c, uint64_t a, uint64_t b)
{
    uint64_t hash = hash_of(a, b);
    struct shard *s = shard_of(c, hash);
    pthread_mutex_lock(&s->mu);
    struct cache_entry *e = *find_slot(s, hash, a, b);
    if (e) {
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
        e->found = true;
    }
    pthread_mutex_unlock(&s->mu);
    return e;
}

struct cache_entry *cache_insert(struct cache *c, uint64_t a, uint64_t b, void *value, size_t bytes)
{
    uint64_t hash = hash_of(a, b);
    struct shard *s = shard_of(c, hash);
    struct cache_entry *e = mem_alloc(sizeof *e), *freed = NULL;
    *e = (struct cache_entry){.a = a, .b = b, .value = value, .bytes = bytes, .shard = s};
    atomic_init(&e->refs, 2);
    pthread_mutex_lock(&s->mu);
    struct cache_entry **slot = find_slot(s, hash, a, b);
    if (*slot)
        freed = unlink_entry(s, slot);
    slot = &s->bucket[hash & (s->bucket_count - 1)];
    e->chain = *slot;
    *slot = e;
    ring_add_newest(s, e);
    atomic_store_explicit(&s->used, used_by(s) + bytes, memory_order_relaxed);
    if (++s->count > s->bucket_count)
        grow(s);
    struct cache_entry *pushed = shrink(s);
    pthread_mutex_unlock(&s->mu);
    free_list(c, freed);
    free_list(c, pushed);
    return e;
}

void *cache_value(struct cache_entry *e)
{
    return e->value;
}

size_t cache_value_bytes(struct cache_entry *e)
{
    return e->bytes;
}

/* Where everything was held the limit may be exceeded: whoever lets go puts that right. */
void cache_release(struct cache *c, struct cache_entry *e)
{
    struct shard *s = e->shard;
    if (give_up(e)) {
        free_list(c, e);
    } else if (used_by(s) > s->capacity) {
        pthread_mutex_lock(&s->mu);
        struct cache_entry *freed = shrink(s);
        pthread_mutex_unlock(&s->mu);
        free_list(c, freed);
    }
}

void cache_erase(struct cache *c, uint64_t a, uint64_t b)
{
    uint64_t hash = hash_of(a, b);
    struct shard *s = shard_of(c, hash);
    pthread_mutex_lock(&s->mu);
    struct cache_entry **slot = find_slot(s, hash, a, b);
    struct cache_entry *freed = *slot ? unlink_entry(s, slot) : NULL;
    pthread_mutex_unlock(&s->mu);
    free_list(c, freed);
}

size_t cache_bytes(struct cache *c)
{
    size_t n = 0;
    for (int i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&c->shard[i].mu);
        n += used_by(&c->shard[i]);
        pthread_mutex_unlock(&c->shard[i].mu);
    }
    return n;
}

void cache_free(struct cache *c)
{
    if (!c)
        return;
    for (int i = 0; i < SHARDS; i++) {
        struct shard *s = &c->shard[i];
        for (size_t b = 0; b < s->bucket_count; b++)
            while (s->bucket[b]) {
                struct cache_entry *e = unlink_entry(s, &s->bucket[b]);
                assert(e); /* nobody holds it */
                free_list(c, e);
            }
        free(s->bucket);
        pthread_mutex_destroy(&s->mu);
    }
    free(c);
}
