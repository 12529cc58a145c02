/* See block.h. */
#include "block.h"

#include <stdlib.h>

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
    c->block = b;
    c->at = c->next = b->restarts;
    c->key = (struct buf)BUF_INIT;
    c->value = slice_of(NULL, 0);
    c->status = 0;
}

void block_cursor_free(struct block_cursor *c)
{
    if (c->key.data != c->small)
        free(c->key.data);
    c->key = (struct buf)BUF_INIT;
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

/* ---- one entry */

struct entry {
    uint32_t shared, unshared, value_len;
    const char *rest; /* of the key; the value follows it */
};

static inline bool take_lengths(struct slice *in, struct entry *e)
{
    const unsigned char *p = (const unsigned char *)in->data;
    if (in->len >= 3 && (p[0] | p[1] | p[2]) < 0x80) { /* nearly always: one byte each */
        e->shared = p[0];
        e->unshared = p[1];
        e->value_len = p[2];
        in->data += 3;
        in->len -= 3;
        return true;
    }
    return take_varint32(in, &e->shared) && take_varint32(in, &e->unshared) &&
           take_varint32(in, &e->value_len);
}

/* The entry at `offset`, below b->restarts; false where it does not fit into the block. */
static inline bool parse_entry(const struct block *b, uint32_t offset, struct entry *e)
{
    struct slice in = slice_of(b->data.data + offset, b->restarts - offset);
    if (!take_lengths(&in, e) || (uint64_t)e->unshared + e->value_len > in.len)
        return false;
    e->rest = in.data;
    return true;
}

/* Room for a key of `len` bytes that begins with the first c->key.len of the last one. */
static void make_room(struct block_cursor *c, size_t len)
{
    if (!c->key.data) {
        c->key.data = c->small;
        c->key.cap = sizeof c->small;
    }
    if (len <= c->key.cap)
        return;
    char *larger = mem_alloc(2 * len);
    memcpy(larger, c->key.data, c->key.len);
    if (c->key.data != c->small)
        free(c->key.data);
    c->key.data = larger;
    c->key.cap = 2 * len;
}

/* Key rests are short: a call of memcpy takes longer than they do. The last eight bytes are copied
 * as one, over some that are there already. */
static inline void copy_rest(char *to, const char *from, size_t n)
{
    if (n < 8) {
        while (n-- > 0)
            *to++ = *from++;
        return;
    }
    for (size_t i = 0; i + 8 < n; i += 8)
        memcpy(to + i, from + i, 8);
    memcpy(to + n - 8, from + n - 8, 8);
}

/* The entry at c->next; `before` is the length of the key before it, of which it cannot share more.
 * False at the end, and (with c->status) where it does not fit. */
static inline bool next_entry(struct block_cursor *c, size_t before, struct entry *e)
{
    if (c->next >= c->block->restarts) {
        at_end(c);
        return false;
    }
    if (!parse_entry(c->block, c->next, e) || e->shared > before) {
        damaged(c, "an entry that does not fit");
        return false;
    }
    if ((size_t)e->shared + e->unshared < KEY_TAG_SIZE) {
        damaged(c, "a key that is too short");
        return false;
    }
    return true;
}

/* Stands before the entry behind e. */
static inline void pass_entry(struct block_cursor *c, const struct entry *e)
{
    c->at = c->next;
    c->next = (uint32_t)(e->rest + e->unshared + e->value_len - c->block->data.data);
}

/* Stands on e. What its key shares must be in c->key. */
static inline void take_entry(struct block_cursor *c, const struct entry *e)
{
    size_t len = (size_t)e->shared + e->unshared;
    if (len > c->key.cap)
        make_room(c, len);
    copy_rest(c->key.data + e->shared, e->rest, e->unshared);
    c->key.len = len;
    c->value = slice_of(e->rest + e->unshared, e->value_len);
    pass_entry(c, e);
}

/* Reads the entry at c->next. The key before it must be in c->key (empty at a restart point). */
static inline void read_entry(struct block_cursor *c)
{
    struct entry e;
    if (next_entry(c, c->key.len, &e))
        take_entry(c, &e);
}

/* ---- moves */

/* Stands before the entry of a restart point. False: its offset makes no sense. */
static bool to_restart(struct block_cursor *c, uint32_t i)
{
    uint32_t offset = restart_offset(c->block, i);
    if (offset > c->block->restarts) {
        damaged(c, "a restart point outside of it");
        return false;
    }
    buf_clear(&c->key);
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

void block_cursor_restart(struct block_cursor *c, uint32_t i)
{
    c->status = 0;
    if (i >= c->block->restart_count)
        at_end(c);
    else if (to_restart(c, i))
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
    uint32_t here = c->at, low = 0, high = c->block->restart_count;
    while (high - low > 1) { /* the last restart point before here, or the first of all */
        uint32_t middle = low + (high - low) / 2;
        if (restart_offset(c->block, middle) < here)
            low = middle;
        else
            high = middle;
    }
    if (restart_offset(c->block, low) >= here)
        at_end(c);
    else if (to_restart(c, low))
        last_before(c, here);
}

/* ---- seek */

/* The key of a restart point's entry, where it lies: nothing is shared there. False (and c->status)
 * where there is none. */
static bool restart_key(struct block_cursor *c, uint32_t i, struct slice *key)
{
    struct entry e;
    uint32_t offset = restart_offset(c->block, i);
    if (offset >= c->block->restarts) {
        damaged(c, "a restart point without an entry");
        return false;
    }
    if (!parse_entry(c->block, offset, &e) || e.shared > 0) {
        damaged(c, "an entry that does not fit");
        return false;
    }
    if (e.unshared < KEY_TAG_SIZE) {
        damaged(c, "a key that is too short");
        return false;
    }
    *key = slice_of(e.rest, e.unshared);
    return true;
}

/* The first place from `i` on where a and b differ, at most n. */
static inline size_t differ_at(const char *a, const char *b, size_t i, size_t n)
{
    for (uint64_t x, y; i + 8 <= n; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y)
            break;
    }
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* From a restart point on, to the first entry at or behind the target. Where a key was found
 * smaller at place `same`, those that share more than `same` bytes with it are smaller too: they
 * are neither compared nor copied. So c->key holds the key before, or (`differs`) its first `same`
 * bytes, which are the target's. */
static void scan_to(struct block_cursor *c, struct slice ikey)
{
    struct slice target = key_user(ikey);
    struct entry e;
    size_t before = 0;    /* length of the key before */
    size_t same = 0;      /* bytes of its user key in which it is like the target ... */
    bool differs = false; /* ... and then it has a byte, a smaller one */
    while (next_entry(c, before, &e)) {
        before = (size_t)e.shared + e.unshared;
        size_t len = before - KEY_TAG_SIZE, n = len < target.len ? len : target.len;
        if (differs && e.shared > same) {
            if (len > same) {
                pass_entry(c, &e);
                continue;
            }
            damaged(c, "keys that do not ascend");
            return;
        }
        take_entry(c, &e);
        size_t from = e.shared < same ? e.shared : same;
        same = differ_at(c->key.data, target.data, from < n ? from : n, n);
        differs = same < n;
        if (differs ? (unsigned char)c->key.data[same] > (unsigned char)target.data[same]
                    : ikey_compare(buf_slice(&c->key), ikey) >= 0)
            return;
    }
}

bool block_restart_entry(const struct block *b, uint32_t i, struct slice *key, struct slice *value)
{
    struct entry e;
    uint32_t offset = restart_offset(b, i);
    if (offset >= b->restarts || !parse_entry(b, offset, &e) || e.shared > 0 ||
        e.unshared < KEY_TAG_SIZE)
        return false;
    *key = slice_of(e.rest, e.unshared);
    *value = slice_of(e.rest + e.unshared, e.value_len);
    return true;
}

void block_cursor_seek(struct block_cursor *c, struct slice ikey)
{
    uint32_t low = 0, high = c->block->restart_count;
    struct slice key;
    c->status = 0;
    if (high == 0 || c->block->restarts == 0) {
        at_end(c);
        return;
    }
    /* The last restart point whose key is before the target (or the first of all). */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (!restart_key(c, middle, &key))
            return;
        if (ikey_compare(key, ikey) < 0)
            low = middle;
        else
            high = middle;
    }
    if (to_restart(c, low))
        scan_to(c, ikey);
}
