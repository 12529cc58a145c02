/* A version: which tables make up each level. Immutable once it is current; counted by reference,
 * so that a reader goes on with the one it took while newer ones come. */
#ifndef STORE_VERSION_VERSION_H
#define STORE_VERSION_VERSION_H

#include <stdatomic.h>
#include "../base/error.h"
#include "../iter/iter.h"
#include "../memtable/key_format.h"
#include "../table/table_cache.h"

#define VERSION_LEVELS 7

struct version_set;

struct table_file {
    atomic_int refs; /* versions that list it */
    uint64_t number;
    uint64_t size;
    struct buf smallest, largest; /* internal keys */
    bool plain; /* each user key once, and no deletion: there is nothing to drop in it. False: not
                   known (it is not in the MANIFEST) */
    bool no_deletes; /* compact/reclaim.h has looked; guarded by the set's lock */
    bool unreadable; /* no compaction takes it (compact/damage.h); guarded by the set's lock */
    bool busy;       /* input of a running compaction; guarded by the set's lock */
};

void table_file_free(struct table_file *f);

struct version_level {
    struct table_file *
        *files; /* level 0: newest (highest number) last; others: by smallest, never overlapping */
    int count;
    uint64_t bytes;
};

struct version {
    atomic_int refs;
    struct version_set *set;
    struct version_level level[VERSION_LEVELS];
};

/* version_ref: any thread that holds a reference already. version_unref: any thread, the set's lock
 * NOT held; the last one lets go of the tables, and numbers of those that no other version lists
 * become obsolete. */
void version_ref(struct version *v);
void version_unref(struct version *v);

/* As table_get: 1 with *value, -ENOENT deleted, 0 nothing known, or an error. */
int version_get(struct version *v, struct slice key, uint64_t sequence, struct buf *value);
/* Appends one iterator for each table of level 0 (newest first) and one for each deeper level that
 * is not empty. `out` has room (version_iter_count). `keep` as in table_iter. The caller keeps the
 * version referenced while they live. */
int version_iter_count(const struct version *v);
int version_iters(struct version *v, bool keep, struct iter **out);
/* Over files that are sorted and do not overlap; `level` must outlive it. `keep` as in table_iter.
 */
struct iter *version_level_iter(const struct version_level *level, struct table_cache *tables,
                                bool keep);
uint64_t version_approximate_size(struct version *v, struct slice from, struct slice to);
/* The files of a level whose user keys meet from..to (both included; NULL data: open). Level 0:
 * grown until no other file of it overlaps what was found. Appends to *files (realloc'd), returns
 * the count. */
int version_overlapping(struct version *v, int level, struct slice from, struct slice to,
                        struct table_file ***files);
/* The bytes of those that meet it; level 0 is not grown. */
uint64_t version_overlapping_bytes(const struct version *v, int level, struct slice from,
                                   struct slice to);
/* Not level 0: the first file whose largest key is at or behind ikey; the count where there is
 * none.
 */
int version_find_file(const struct version_level *l, struct slice ikey);
/* One line a table: level, number, size, range. */
void version_to_text(const struct version *v, struct buf *out);

#endif
