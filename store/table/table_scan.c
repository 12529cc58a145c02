/* See table_scan.h. */
#include "table_scan.h"

#include "../base/crc.h"
#include "../memtable/key_format.h"
#include "block.h"
#include "block_memory.h"
#include "block_read.h"
#include "table_format.h"

#define LEAST 8                     /* bytes of a block: one restart point and their count */
#define MOST (16u << 20)            /* of a block that begins where the one before it ended */
#define MOST_STRAY 131072           /* of one that is looked for behind damage, */
#define ENOUGH 8192                 /* ... with so much behind it, and */
#define MOST_LOOKED_AT (4ull << 30) /* ... until so many bytes were looked at */

struct scan {
    struct slice file;
    uint64_t looked_at;  /* bytes */
    uint64_t first_size; /* of the block at the file's start, where that is whole */
    struct buf last;     /* the key given last */
    void (*take)(void *arg, struct slice ikey, struct slice value);
    void *arg;
};

/* ---- where a block ends */

/* The size of the block at `at`, without its trailer, or 0: nothing from there on is what a
 * checksum behind it says. */
static uint64_t size_at(struct scan *s, uint64_t at, uint64_t most)
{
    const char *p = s->file.data + at;
    uint64_t rest = s->file.len - at;
    uint64_t done = 0; /* what the checksum covers */
    uint32_t crc = 0;
    for (uint64_t n = LEAST; n <= most && n + TABLE_TRAILER_SIZE <= rest; n++) {
        if (p[n] != TABLE_NONE && p[n] != TABLE_SNAPPY)
            continue;
        crc = crc32c_extend(crc, p + done, n + 1 - done); /* n bytes, and the type behind them */
        done = n + 1;
        if (get_fixed32(p + done) == crc_mask(crc))
            return n;
    }
    s->looked_at += most < rest ? most : rest;
    return 0;
}

/* A block's first entry has all of its key, and that is no shorter than a tag. */
static bool begins_entry(struct slice in)
{
    uint32_t shared, rest, value;
    return take_varint32(&in, &shared) && shared == 0 && take_varint32(&in, &rest) &&
           rest >= KEY_TAG_SIZE && rest < MOST && take_varint32(&in, &value) && value < MOST;
}

/* May a block begin here? As it is; or compressed: its length, and then a piece that was not found
 * before, of up to 60 bytes (a larger one has its length behind it). */
static bool may_begin(struct slice in)
{
    uint32_t len;
    if (begins_entry(in))
        return true;
    if (!take_varint32(&in, &len) || len < LEAST || len > MOST || in.len < 8)
        return false;
    unsigned tag = (unsigned char)in.data[0];
    unsigned more = tag >> 2 < 60 ? 0 : (tag >> 2) - 59;
    return (tag & 3) == 0 && in.data[1 + more] == 0;
}

/* ---- what it is */

/* An index says where each block lies: one behind the other, from the file's start on, and all
 * before itself. */
static bool is_index(const struct scan *s, const struct block *b, uint64_t at)
{
    struct block_cursor c;
    struct block_handle h;
    uint64_t end = 0;
    bool yes = true;
    block_cursor_init(&c, b);
    for (block_cursor_first(&c); yes && block_cursor_valid(&c); block_cursor_next(&c)) {
        struct slice in = c.value;
        yes = take_block_handle(&in, &h) && in.len == 0 && h.offset == end && h.size < at &&
              (h.offset > 0 || s->first_size == 0 || h.size == s->first_size);
        end = h.offset + h.size + TABLE_TRAILER_SIZE;
    }
    yes = yes && c.status == 0 && end <= at;
    block_cursor_free(&c);
    return yes;
}

/* Keys of entries ascend, also from block to block, and say what kind of entry it is. */
static bool is_data(const struct scan *s, const struct block *b)
{
    struct block_cursor c;
    struct buf last = BUF_INIT;
    bool yes = true;
    buf_set(&last, buf_slice(&s->last));
    block_cursor_init(&c, b);
    for (block_cursor_first(&c); yes && block_cursor_valid(&c); block_cursor_next(&c)) {
        struct slice key = buf_slice(&c.key);
        yes = key.len >= KEY_TAG_SIZE && key_type(key) <= KEY_PUT &&
              (last.len == 0 || ikey_compare(buf_slice(&last), key) < 0);
        buf_set(&last, key);
    }
    yes = yes && c.status == 0;
    block_cursor_free(&c);
    buf_free(&last);
    return yes;
}

static void give(struct scan *s, const struct block *b)
{
    struct block_cursor c;
    block_cursor_init(&c, b);
    for (block_cursor_first(&c); block_cursor_valid(&c); block_cursor_next(&c)) {
        s->take(s->arg, buf_slice(&c.key), c.value);
        buf_set(&s->last, buf_slice(&c.key));
    }
    block_cursor_free(&c);
}

/* Is it a block at all (then its size counts), and one of data (then it is given)? */
static bool look(struct scan *s, struct block_handle h, uint64_t *blocks)
{
    struct block b;
    char *bytes;
    size_t len;
    if (block_from_bytes("", h, s->file.data + h.offset, &bytes, &len))
        return false;
    bool whole = block_init(&b, slice_of(bytes, len)) == 0;
    if (whole && b.restarts > 0 && !is_index(s, &b, h.offset) && is_data(s, &b)) {
        give(s, &b);
        ++*blocks;
    }
    block_memory_free(bytes);
    return true;
}

/* What is found behind damage may lie in a value (a file that is a table itself, say). Behind a
 * block of this table come others, for longer than in a value, or up to the index. */
static bool is_followed(struct scan *s, struct block_handle h)
{
    uint64_t end = h.offset + h.size + TABLE_TRAILER_SIZE;
    while (end - h.offset < ENOUGH && s->file.len - end > s->file.len / 16 + ENOUGH / 2) {
        uint64_t size = size_at(s, end, MOST);
        if (size == 0)
            return false;
        end += size + TABLE_TRAILER_SIZE;
    }
    return true;
}

/* The block at `at`, which follows the one before it, or is looked for. */
static struct block_handle find_at(struct scan *s, uint64_t at, bool stray)
{
    struct block_handle h = {at, 0};
    if (!stray) {
        h.size = size_at(s, at, MOST);
    } else if (may_begin(slice_of(s->file.data + at, s->file.len - at))) {
        h.size = size_at(s, at, MOST_STRAY);
        if (h.size > 0 && !is_followed(s, h))
            h.size = 0;
    }
    return h;
}

uint64_t table_scan(struct slice file, void (*take)(void *arg, struct slice ikey, struct slice v),
                    void *arg)
{
    struct scan s = {.file = file, .take = take, .arg = arg};
    uint64_t blocks = 0, at = 0;
    bool stray = false;
    while (at + LEAST + TABLE_TRAILER_SIZE <= file.len && s.looked_at < MOST_LOOKED_AT) {
        struct block_handle h = find_at(&s, at, stray);
        stray = h.size == 0 || !look(&s, h, &blocks);
        if (at == 0 && !stray)
            s.first_size = h.size;
        at += stray ? 1 : h.size + TABLE_TRAILER_SIZE;
    }
    buf_free(&s.last);
    return blocks;
}
