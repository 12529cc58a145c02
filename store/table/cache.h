/* A cache in shards, each under a lock of its own, with a limit in bytes. Keys are two numbers. Any
 * thread. An entry that is held stays alive, also after it was pushed out or erased. What is pushed
 * out is the oldest that was not found since it was last looked at (second chance). */
#ifndef STORE_TABLE_CACHE_H
#define STORE_TABLE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache;
struct cache_entry;

struct cache *cache_new(size_t bytes, void (*free_value)(void *value));
void cache_free(struct cache *c); /* no entry may be held */
/* Both return a held entry (NULL: not there). cache_insert takes the value over; where the key is
 * there already, the new one replaces it. */
struct cache_entry *cache_find(struct cache *c, uint64_t a, uint64_t b);
struct cache_entry *cache_insert(struct cache *c, uint64_t a, uint64_t b, void *value,
                                 size_t bytes);
void *cache_value(struct cache_entry *e);
size_t cache_value_bytes(struct cache_entry *e); /* as given to cache_insert */
void cache_release(struct cache *c, struct cache_entry *e);
void cache_erase(struct cache *c, uint64_t a, uint64_t b);
size_t cache_bytes(struct cache *c);

#endif
