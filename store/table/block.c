/* See block.h. */
#include "block.h"

#include "../base/error.h"
#include "../memtable/key_format.h"

int block_init(struct block *b, struct slice data)
{
    *b = (struct block){.data = data};
    if (data.len < 4 || data.len > UINT32_MAX)
        return fail(STORE_ECORRUPT, "a block of %zu bytes", data.len);
    uint32_t count = get_fixed32(data.data + data.len - 4);
    if (count > (data.len - 4) / 4)
        return fail(STORE_ECORRUPT, "a block with %u restart points in %zu bytes", count, data.len);
    b->restart_count = count;
    b->restarts = (uint32_t)(data.len - 4 - 4 * (size_t)count);
    return 0;
}

void block_cursor_init(struct block_cursor *c, const struct block *b)
{
    *c = (struct block_cursor){.block = b, .at = b->restarts, .next = b->restarts};
}

void block_cursor_free(struct block_cursor *c)
{
    buf_free(&c->key);
}

static void damaged(struct block_cursor *c, const char *what)
{
    c->at = c->next = c->block->restarts;
    c->status = fail(STORE_ECORRUPT, "a block with %s", what);
}

static void at_end(struct block_cursor *c)
{
    c->at = c->next = c->block->restarts;
}

static uint32_t restart_offset(const struct block *b, uint32_t i)
{
    return get_fixed32(b->data.data + b->restarts + 4 * (size_t)i);
}

/* Reads the entry at c->next. The key before it must be in c->key (empty at a restart point). */
static void read_entry(struct block_cursor *c)
{
    const struct block *b = c->block;
    uint32_t shared, unshared, value_len;
    if (c->next >= b->restarts) {
        at_end(c);
        return;
    }
    struct slice in = slice_of(b->data.data + c->next, b->restarts - c->next), rest;
    if (!take_varint32(&in, &shared) || !take_varint32(&in, &unshared) ||
        !take_varint32(&in, &value_len) || shared > c->key.len ||
        !take_bytes(&in, unshared, &rest) || !take_bytes(&in, value_len, &c->value)) {
        damaged(c, "an entry that does not fit");
        return;
    }
    c->key.len = shared;
    buf_append_slice(&c->key, rest);
    if (c->key.len < KEY_TAG_SIZE) {
        damaged(c, "a key that is too short");
        return;
    }
    c->at = c->next;
    c->next = (uint32_t)(in.data - b->data.data);
    while (c->restart + 1 < b->restart_count && restart_offset(b, c->restart + 1) <= c->at)
        c->restart++;
}

/* Stands before the entry of a restart point. False: its offset makes no sense. */
static bool to_restart(struct block_cursor *c, uint32_t i)
{
    uint32_t offset = restart_offset(c->block, i);
    if (offset > c->block->restarts) {
        damaged(c, "a restart point outside of it");
        return false;
    }
    buf_clear(&c->key);
    c->restart = i;
    c->next = offset;
    return true;
}

void block_cursor_first(struct block_cursor *c)
{
    c->status = 0;
    if (c->block->restart_count == 0)
        at_end(c);
    else if (to_restart(c, 0))
        read_entry(c);
}

void block_cursor_next(struct block_cursor *c)
{
    read_entry(c);
}

/* From a restart point on, goes to the last entry that begins before `end`. */
static void last_before(struct block_cursor *c, uint32_t end)
{
    do
        read_entry(c);
    while (block_cursor_valid(c) && c->next < end);
}

void block_cursor_last(struct block_cursor *c)
{
    c->status = 0;
    if (c->block->restart_count == 0 || c->block->restarts == 0)
        at_end(c);
    else if (to_restart(c, c->block->restart_count - 1))
        last_before(c, c->block->restarts);
}

void block_cursor_prev(struct block_cursor *c)
{
    uint32_t here = c->at, i = c->restart;
    while (restart_offset(c->block, i) >= here) {
        if (i == 0) {
            at_end(c);
            return;
        }
        i--;
    }
    if (to_restart(c, i))
        last_before(c, here);
}

/* The key of a restart point's entry; empty (and c->status set) where there is none. */
static struct slice restart_key(struct block_cursor *c, uint32_t i)
{
    if (to_restart(c, i))
        read_entry(c);
    if (!block_cursor_valid(c)) {
        if (c->status == 0)
            damaged(c, "a restart point without an entry");
        return slice_of(NULL, 0);
    }
    return buf_slice(&c->key);
}

void block_cursor_seek(struct block_cursor *c, struct slice ikey)
{
    uint32_t low = 0, high = c->block->restart_count;
    c->status = 0;
    if (high == 0 || c->block->restarts == 0) {
        at_end(c);
        return;
    }
    /* The last restart point whose key is before the target (or the first of all). */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        struct slice key = restart_key(c, middle);
        if (c->status)
            return;
        if (ikey_compare(key, ikey) < 0)
            low = middle;
        else
            high = middle;
    }
    if (!to_restart(c, low))
        return;
    do
        read_entry(c);
    while (block_cursor_valid(c) && ikey_compare(buf_slice(&c->key), ikey) < 0);
}
