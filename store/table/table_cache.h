/* The tables that are open, by file number. Beside those in use there are at most `max_open`, and
 * their indexes and filters hold at most `bytes`. Any thread. */
#ifndef STORE_TABLE_TABLE_CACHE_H
#define STORE_TABLE_TABLE_CACHE_H

#include "table.h"

struct table_cache;

/* `blocks` is shared by all of them and not owned. */
struct table_cache *table_cache_new(struct env *env, const char *dir, int max_open, size_t bytes,
                                    struct cache *blocks);
void table_cache_free(struct table_cache *tc);
/* Like table_get and table_iter for table `number` (DIR/number.ldb, or .sst as old LevelDBs name
 * it); opened where it is not. The iterator keeps the table open. */
int table_cache_get(struct table_cache *tc, uint64_t number, uint64_t size, struct slice key,
                    uint64_t sequence, struct buf *value);
struct iter *table_cache_iter(struct table_cache *tc, uint64_t number, uint64_t size, bool keep);
/* Opens and closes it: is it whole? */
int table_cache_check(struct table_cache *tc, uint64_t number, uint64_t size);
uint64_t table_cache_offset(struct table_cache *tc, uint64_t number, uint64_t size,
                            struct slice ikey);
void table_cache_evict(struct table_cache *tc,
                       uint64_t number); /* the file is about to be deleted */

#endif
