/* See cache.h. In each shard a chained hash table finds entries; those that nobody holds stand in
 * the LRU list as well, oldest first. */
#include "cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "../base/buf.h"

enum { SHARD_BITS = 4, SHARDS = 1 << SHARD_BITS };

struct cache_entry {
    uint64_t a, b;
    void *value;
    size_t bytes;
    int refs; /* holders, and the shard while `in_table` */
    bool in_table;
    struct cache_entry *chain;         /* of the hash bucket */
    struct cache_entry *older, *newer; /* LRU ring; only while nobody but the shard refers to it */
};

struct shard {
    pthread_mutex_t mu;
    size_t capacity, used; /* bytes of entries in the table */
    struct cache_entry **bucket;
    size_t bucket_count, count;
    struct cache_entry lru; /* head of the ring: .newer is the oldest */
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
        s->lru.newer = s->lru.older = &s->lru;
    }
    return c;
}

/* ---- the LRU ring */

static void lru_remove(struct cache_entry *e)
{
    e->older->newer = e->newer;
    e->newer->older = e->older;
    e->older = e->newer = NULL;
}

static void lru_add_newest(struct shard *s, struct cache_entry *e)
{
    e->older = s->lru.older;
    e->newer = &s->lru;
    e->older->newer = e;
    s->lru.older = e;
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

/* Takes the entry out of the table and gives the shard's reference up. Returns it if it is to be
 * freed. */
static struct cache_entry *unlink_entry(struct shard *s, struct cache_entry **slot)
{
    struct cache_entry *e = *slot;
    *slot = e->chain;
    s->count--;
    s->used -= e->bytes;
    e->in_table = false;
    if (e->refs == 1)
        lru_remove(e);
    e->chain = NULL;
    return --e->refs == 0 ? e : NULL;
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

/* Pushes out what is too much, oldest first. Returns a list to free. */
static struct cache_entry *shrink(struct shard *s)
{
    struct cache_entry *freed = NULL;
    while (s->used > s->capacity && s->lru.newer != &s->lru) {
        struct cache_entry *oldest = s->lru.newer;
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
    if (e && e->refs++ == 1)
        lru_remove(e);
    pthread_mutex_unlock(&s->mu);
    return e;
}

struct cache_entry *cache_insert(struct cache *c, uint64_t a, uint64_t b, void *value, size_t bytes)
{
    uint64_t hash = hash_of(a, b);
    struct shard *s = shard_of(c, hash);
    struct cache_entry *e = mem_zalloc(sizeof *e), *freed = NULL;
    *e = (struct cache_entry){
        .a = a, .b = b, .value = value, .bytes = bytes, .refs = 2, .in_table = true};
    pthread_mutex_lock(&s->mu);
    struct cache_entry **slot = find_slot(s, hash, a, b);
    if (*slot)
        freed = unlink_entry(s, slot);
    slot = &s->bucket[hash & (s->bucket_count - 1)];
    e->chain = *slot;
    *slot = e;
    s->used += bytes;
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

void cache_release(struct cache *c, struct cache_entry *e)
{
    struct shard *s = shard_of(c, hash_of(e->a, e->b));
    struct cache_entry *freed = NULL;
    pthread_mutex_lock(&s->mu);
    assert(e->refs > 0);
    if (--e->refs == 0) {
        freed = e;
    } else if (e->refs == 1 && e->in_table) {
        lru_add_newest(s, e);
        freed = shrink(s);
    }
    pthread_mutex_unlock(&s->mu);
    free_list(c, freed);
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
        n += c->shard[i].used;
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
