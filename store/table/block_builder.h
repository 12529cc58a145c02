/* Puts sorted entries into one block (table_format.h). One thread. */
#ifndef STORE_TABLE_BLOCK_BUILDER_H
#define STORE_TABLE_BLOCK_BUILDER_H

#include "../base/buf.h"

struct block_builder {
    struct buf out;      /* the block so far */
    struct buf last_key; /* of the entry added last */
    struct buf restarts; /* offsets, as they will be stored */
    int interval, since_restart;
    uint64_t entries;
};

void block_builder_init(struct block_builder *b, int restart_interval);
void block_builder_free(struct block_builder *b);
void block_builder_clear(struct block_builder *b);
/* Requires: key behind the one added last. */
void block_builder_add(struct block_builder *b, struct slice key, struct slice value);
/* The whole block; good until the next call. Then only clear or free. */
struct slice block_builder_finish(struct block_builder *b);
size_t block_builder_bytes(const struct block_builder *b); /* what finish would give */

#endif
