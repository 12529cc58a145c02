/* The newest changes, sorted, in memory: a skiplist in an arena (LevelDB's entry layout:
 * varint32 key size | internal key | varint32 value size | value).
 *
 * Threads: one writer at a time (the commit leader); any number of readers beside it, without
 * locks: a node is linked with release stores after it is whole, and none is ever removed. Entries
 * live until the memtable is freed. Counted by reference. */
#ifndef STORE_MEMTABLE_MEMTABLE_H
#define STORE_MEMTABLE_MEMTABLE_H

#include "../iter/iter.h"
#include "key_format.h"

struct memtable;

struct memtable *memtable_new(void); /* one reference */
void memtable_ref(struct memtable *m);
void memtable_unref(struct memtable *m);

void memtable_add(struct memtable *m, uint64_t sequence, enum key_type type, struct slice key,
                  struct slice value);
/* The newest entry of the user key at or below `sequence`: 1 with *value (good as long as the
 * memtable), -ENOENT for a deletion, 0 where there is no entry. */
int memtable_get(struct memtable *m, struct slice key, uint64_t sequence, struct slice *value);
/* Over internal keys; holds a reference of its own. */
struct iter *memtable_iter(struct memtable *m);
size_t memtable_bytes(const struct memtable *m); /* memory held; any thread */
/* Of those, what entries take; and about how much more they may take before memtable_bytes() is
 * above `limit`. The writer's thread only. */
size_t memtable_used(const struct memtable *m);
size_t memtable_room(const struct memtable *m, size_t limit);
uint64_t memtable_count(const struct memtable *m);

#endif
