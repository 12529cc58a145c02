/* An open table. Immutable: any thread at any time. Every block's CRC is checked when it is read.
 */
#ifndef STORE_TABLE_TABLE_H
#define STORE_TABLE_TABLE_H

#include "../env/env.h"
#include "../iter/iter.h"
#include "../memtable/key_format.h"
#include "cache.h"
#include "table_format.h"

struct table;

/* Opens the table at path; `id` is its number, the first half of its blocks' keys in `blocks`
 * (which may be NULL: no cache). STORE_ECORRUPT names the file and the offset. */
int table_open(struct env *env, const char *path, uint64_t size, uint64_t id, struct cache *blocks,
               struct table **out);
void table_close(struct table *t);
/* Bytes of memory that it holds while it is open. */
size_t table_memory(const struct table *t);
/* Its filter could not be read: all else works, only with more reads. */
bool table_filter_damaged(const struct table *t);
/* Over internal keys. `keep` false: blocks read on the way do not enter the cache (compaction). The
 * table must outlive it. */
struct iter *table_iter(struct table *t, bool keep);
/* The same; release(owner, hold) is called at its end. */
typedef void (*table_release)(void *owner, void *hold);
struct iter *table_iter_holding(struct table *t, bool keep, table_release release, void *owner,
                                void *hold);
/* As table_iter, over the blocks that can be read; the others are passed over and counted. For
 * repair: what is left of a table. */
struct iter *table_iter_salvage(struct table *t, uint64_t *bad_blocks);
/* The newest entry of the user key at or below `sequence`: 1 with its bytes in *value (replaced),
 * -ENOENT for a deletion, 0 where there is none, or an error. */
int table_get(struct table *t, struct slice key, uint64_t sequence, struct buf *value);
/* Where the key is or would be, as an offset in the file. */
uint64_t table_approximate_offset(struct table *t, struct slice ikey);

#endif
