/* See table_builder.h and table_format.h. Every block is written when it is full, so memory does
 * not grow with the table beyond its index and filter. */
#include "table_builder.h"

#include <assert.h>
#include <snappy-c.h>
#include <stdlib.h>

#include "../base/crc.h"
#include "../base/error.h"
#include "block_builder.h"
#include "filter_block.h"

#define WRITE_BYTES (64u << 10) /* blocks are gathered to writes of this size */

struct handle {
    uint64_t offset, size;
};

struct table_builder {
    struct env *env;
    struct env_file *file;
    char *name;
    struct table_build_options options;
    struct block_builder data, index;
    struct filter_builder filter;
    struct buf pending; /* bytes for the file that are not written yet; they end at `offset` */
    struct buf compressed;
    struct buf last_key; /* internal key added last */
    struct buf separator;
    bool index_pending; /* the last data block has no index entry yet: it waits for the next key */
    struct handle last; /* of that block */
    uint64_t offset, entries;
    int status;
};

struct table_builder *table_builder_new(struct env *env, struct env_file *file, const char *name,
                                        const struct table_build_options *o)
{
    struct table_builder *b = mem_zalloc(sizeof *b);
    b->env = env;
    b->file = file;
    b->name = mem_printf("%s", name);
    b->options = *o;
    block_builder_init(&b->data, o->restart_interval);
    block_builder_init(&b->index, 1);
    filter_builder_init(&b->filter, o->bloom_bits);
    if (o->bloom_bits > 0)
        filter_builder_start(&b->filter, 0);
    return b;
}

void table_builder_free(struct table_builder *b)
{
    if (!b)
        return;
    block_builder_free(&b->data);
    block_builder_free(&b->index);
    filter_builder_free(&b->filter);
    buf_free(&b->pending);
    buf_free(&b->compressed);
    buf_free(&b->last_key);
    buf_free(&b->separator);
    free(b->name);
    free(b);
}

static void write_pending(struct table_builder *b)
{
    if (b->status == 0 && b->pending.len > 0)
        b->status = env_pwrite(b->env, b->file, b->pending.data, b->pending.len,
                               b->offset - b->pending.len);
    buf_clear(&b->pending);
}

static void emit(struct table_builder *b, const void *data, size_t len)
{
    buf_append(&b->pending, data, len);
    b->offset += len;
}

static void write_raw(struct table_builder *b, struct slice block, enum table_compression type,
                      struct handle *h)
{
    char trailer[TABLE_TRAILER_SIZE] = {(char)type};
    uint32_t crc = crc32c_extend(crc32c(block.data, block.len), trailer, 1);
    put_fixed32(trailer + 1, crc_mask(crc));
    *h = (struct handle){b->offset, block.len};
    emit(b, block.data, block.len);
    emit(b, trailer, sizeof trailer);
    if (b->pending.len >= WRITE_BYTES)
        write_pending(b);
}

/* Compressed where that saves more than an eighth. */
static void write_block(struct table_builder *b, struct slice block, struct handle *h)
{
    if (b->options.compression == TABLE_SNAPPY) {
        size_t n = snappy_max_compressed_length(block.len);
        buf_clear(&b->compressed);
        char *out = buf_reserve(&b->compressed, n);
        if (snappy_compress(block.data, block.len, out, &n) == SNAPPY_OK &&
            n < block.len - block.len / 8) {
            write_raw(b, slice_of(out, n), TABLE_SNAPPY, h);
            return;
        }
    }
    write_raw(b, block, TABLE_NONE, h);
}

static void put_handle(struct buf *out, struct handle h)
{
    buf_put_varint64(out, h.offset);
    buf_put_varint64(out, h.size);
}

/* A short user key k with a < k (and k <= b); false where there is none shorter than a. `out` gets
 * it. */
static bool shorten_between(struct slice a, struct slice b, struct buf *out)
{
    size_t n = 0, most = a.len < b.len ? a.len : b.len;
    while (n < most && a.data[n] == b.data[n])
        n++;
    if (n >= most)
        return false; /* one is a prefix of the other */
    unsigned char byte = (unsigned char)a.data[n];
    if (byte == 0xff || byte + 1 >= (unsigned char)b.data[n] || n + 1 >= a.len)
        return false;
    buf_set(out, slice_of(a.data, n));
    buf_append(out, &(char){(char)(byte + 1)}, 1);
    return true;
}

/* A short user key behind a. */
static bool shorten_behind(struct slice a, struct buf *out)
{
    for (size_t n = 0; n + 1 < a.len; n++)
        if ((unsigned char)a.data[n] != 0xff) {
            buf_set(out, slice_of(a.data, n));
            buf_append(out, &(char){(char)(a.data[n] + 1)}, 1);
            return true;
        }
    return false;
}

/* The index entry of the last data block: a key at or behind its last, before the next block's
 * first (NULL: none). */
static void add_index(struct table_builder *b, const struct slice *next)
{
    struct buf handle = BUF_INIT;
    struct slice last = key_user(buf_slice(&b->last_key));
    bool shorter = next ? shorten_between(last, key_user(*next), &b->separator)
                        : shorten_behind(last, &b->separator);
    if (shorter)
        buf_put_fixed64(&b->separator, key_tag(KEY_MAX_SEQUENCE, KEY_TYPE_SEEK));
    else
        buf_set(&b->separator, buf_slice(&b->last_key));
    put_handle(&handle, b->last);
    block_builder_add(&b->index, buf_slice(&b->separator), buf_slice(&handle));
    buf_free(&handle);
    b->index_pending = false;
}

static void end_data_block(struct table_builder *b)
{
    if (b->data.entries == 0)
        return;
    write_block(b, block_builder_finish(&b->data), &b->last);
    block_builder_clear(&b->data);
    b->index_pending = true;
    if (b->options.bloom_bits > 0)
        filter_builder_start(&b->filter, b->offset);
}

int table_builder_add(struct table_builder *b, struct slice ikey, struct slice value)
{
    if (b->index_pending) {
        assert(ikey_compare(buf_slice(&b->last_key), ikey) < 0);
        add_index(b, &ikey);
    }
    if (b->options.bloom_bits > 0)
        filter_builder_add(&b->filter, key_user(ikey));
    block_builder_add(&b->data, ikey, value);
    buf_set(&b->last_key, ikey);
    b->entries++;
    if (block_builder_bytes(&b->data) >= b->options.block_bytes)
        end_data_block(b);
    return b->status;
}

int table_builder_finish(struct table_builder *b)
{
    struct block_builder meta;
    struct buf footer = BUF_INIT;
    struct handle filter, metaindex, index;
    end_data_block(b);
    block_builder_init(&meta, b->options.restart_interval);
    if (b->options.bloom_bits > 0) {
        write_raw(b, filter_builder_finish(&b->filter), TABLE_NONE, &filter);
        put_handle(&footer, filter);
        block_builder_add(&meta, slice_str(TABLE_FILTER_NAME), buf_slice(&footer));
        buf_clear(&footer);
    }
    write_block(b, block_builder_finish(&meta), &metaindex);
    block_builder_free(&meta);
    if (b->index_pending)
        add_index(b, NULL);
    write_block(b, block_builder_finish(&b->index), &index);

    put_handle(&footer, metaindex);
    put_handle(&footer, index);
    size_t pad = TABLE_FOOTER_SIZE - 8 - footer.len;
    memset(buf_reserve(&footer, pad), 0, pad);
    footer.len += pad;
    buf_put_fixed64(&footer, TABLE_MAGIC);
    emit(b, footer.data, footer.len);
    buf_free(&footer);
    write_pending(b);
    return b->status;
}

uint64_t table_builder_bytes(const struct table_builder *b)
{
    return b->offset;
}

struct slice table_builder_last_key(const struct table_builder *b)
{
    return buf_slice(&b->last_key);
}

uint64_t table_builder_entries(const struct table_builder *b)
{
    return b->entries;
}
