/* Reading one block (table_format.h). The bytes are not trusted: whatever they say, nothing outside
 * of them is read, and what does not add up ends the cursor with STORE_ECORRUPT. */
#ifndef STORE_TABLE_BLOCK_H
#define STORE_TABLE_BLOCK_H

#include "../base/buf.h"

struct block {
    struct slice data; /* all of it */
    uint32_t restarts; /* where the restart offsets begin: the end of the entries */
    uint32_t restart_count;
};

/* 0 or STORE_ECORRUPT. The bytes must outlive the block and its cursors. */
int block_init(struct block *b, struct slice data);

/* The entry of restart point i (there are restart_count), where it lies. False: that is damaged. */
bool block_restart_entry(const struct block *b, uint32_t i, struct slice *key, struct slice *value);

/* A place in a block of internal keys. Set up with block_cursor_init, end with block_cursor_free;
 * not to be copied once it was placed. */
struct block_cursor {
    const struct block *block;
    uint32_t at,
        next; /* offsets of the current entry and the one behind; at = block->restarts: none */
    struct buf key; /* in `small` while it fits: read it, leave it alone */
    struct slice value;
    int status;
    char small[88];
};

void block_cursor_init(struct block_cursor *c, const struct block *b);
void block_cursor_free(struct block_cursor *c);
static inline bool block_cursor_valid(const struct block_cursor *c)
{
    return c->status == 0 && c->at < c->block->restarts;
}
void block_cursor_first(struct block_cursor *c);
void block_cursor_last(struct block_cursor *c);
void block_cursor_next(struct block_cursor *c); /* these two require valid */
void block_cursor_prev(struct block_cursor *c);
void block_cursor_restart(struct block_cursor *c, uint32_t i); /* its entry; or none so far out */
void block_cursor_seek(struct block_cursor *c, struct slice ikey); /* the first entry >= ikey */

#endif
