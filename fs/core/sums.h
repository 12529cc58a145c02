/* What all records together say of each inode: for check.c and mend_tree.c, which read them from
 * first to last. 136 bytes an inode, in a table of which up to five eighths are empty. */
#ifndef FS_CORE_SUMS_H
#define FS_CORE_SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sums {
    uint64_t ino; /* 0: an empty place in the table */
    mode_t type;
    bool there, embedded, garbage, cutting, sparse, has_attrs, has_chunks, chunks;
    bool cut; /* a garbage record says that data of what is there is to go, */
    uint64_t cut_from;
    bool way;       /* mend_lost.c: it leads to the root, */
    uint64_t climb; /* ... and who came by last */
    uint32_t nlink, references, subdirs;
    uint64_t size, blocks, extents, attrs;
    uint64_t end;       /* of the last block that has a record of its own */
    uint64_t chunk_end; /* of the last block in a chunk */
    uint64_t entries_said, entries;
    uint64_t parent; /* of a directory: what it says itself */
    uint64_t home;   /* the directory whose entry has it */
};

struct sums_table {
    struct sums *at; /* open addressing; `room` is a power of two */
    size_t room, used;
};

/* The inode's, a new one if need be. Holds until the next call. Requires: ino is not 0. */
struct sums *sums_of(struct sums_table *t, uint64_t ino);
/* The same, or NULL. */
struct sums *sums_find(const struct sums_table *t, uint64_t ino);
/* One after the other, from *i == 0 on, then NULL. Between two calls nothing may be added. */
struct sums *sums_next(const struct sums_table *t, size_t *i);
void sums_free(struct sums_table *t);

#endif
