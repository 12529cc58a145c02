/* A quick way to the right entry of an index block. The block's keys lie wherever their entries do,
 * and each one looked at is a line of memory fetched and a branch guessed wrong. Here what tells
 * them apart are numbers side by side, searched without a branch. */
#ifndef STORE_TABLE_INDEX_SEARCH_H
#define STORE_TABLE_INDEX_SEARCH_H

#include "block.h"
#include "block_read.h"

struct index_place { /* a block handle */
    uint32_t offset, size;
};

struct index_search {
    const struct block *block;
    uint32_t count;            /* of entries; 0: this block is not searched in this way */
    struct slice alike;        /* what all user keys but the last begin with; lies in the block */
    uint64_t *number;          /* the eight bytes behind that of each of them */
    struct index_place *place; /* of each entry */
};

/* The block must outlive it. A block that is not as tables have them (each entry a restart point,
 * keys ascending, values that are handles in the first four GiB) gives a count of 0. */
void index_search_init(struct index_search *s, const struct block *b);
void index_search_free(struct index_search *s);
size_t index_search_memory(const struct index_search *s);
/* The first entry at or behind ikey; s->count where there is none. */
uint32_t index_search_find(const struct index_search *s, struct slice ikey);
static inline struct block_handle index_search_handle(const struct index_search *s, uint32_t i)
{
    return (struct block_handle){s->place[i].offset, s->place[i].size};
}

#endif
