/* See table_scan.h. */
#include "table_scan.h"

#include "../base/crc.h"
#include "../memtable/key_format.h"
#include "block.h"
#include "block_memory.h"
#include "block_read.h"
#include "table_format.h"

#define LEAST 8                   /* bytes of a block: one restart point and their count */
#define MOST (16u << 20)          /* of a block that begins where the one before it ended */
#define MOST_STRAY 65536          /* of one that is looked for behind damage, */
#define MOST_COMPARED 50000000ull /* ... for about half a second: so many checksums */

struct scan {
    struct slice file;
    uint64_t compared; /* checksums */
    struct buf last;   /* the key given last */
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
        s->compared++;
        if (get_fixed32(p + done) == crc_mask(crc))
            return n;
    }
    return 0;
}

/* ---- what it is */

/* An index says where each block lies: one behind the other, from the file's start on, and all
 * before itself. */
static bool is_index(const struct block *b, uint64_t at)
{
    struct block_cursor c;
    struct block_handle h;
    uint64_t end = 0;
    bool yes = true;
    block_cursor_init(&c, b);
    for (block_cursor_first(&c); yes && block_cursor_valid(&c); block_cursor_next(&c)) {
        struct slice in = c.value;
        yes = take_block_handle(&in, &h) && in.len == 0 && h.offset == end && h.size < at;
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
    if (whole && b.restarts > 0 && !is_index(&b, h.offset) && is_data(s, &b)) {
        give(s, &b);
        ++*blocks;
    }
    block_memory_free(bytes);
    return true;
}

uint64_t table_scan(struct slice file, void (*take)(void *arg, struct slice ikey, struct slice v),
                    void *arg)
{
    struct scan s = {.file = file, .take = take, .arg = arg};
    uint64_t blocks = 0, most = MOST;
    for (uint64_t at = 0;
         at + LEAST + TABLE_TRAILER_SIZE <= file.len && s.compared < MOST_COMPARED;) {
        struct block_handle h = {at, size_at(&s, at, most)};
        if (h.size > 0 && look(&s, h, &blocks)) {
            at += h.size + TABLE_TRAILER_SIZE;
            most = MOST;
        } else {
            at++;
            most = MOST_STRAY;
        }
    }
    buf_free(&s.last);
    return blocks;
}
