/* See table.h. A table keeps its file, its index block and its filter; data blocks come through the
 * cache. */
#include "table.h"

#include <stdlib.h>

#include "../base/error.h"
#include "block.h"
#include "block_memory.h"
#include "block_read.h"
#include "filter_block.h"
#include "index_search.h"

struct table {
    struct env *env;
    struct env_file *file;
    char *path;
    uint64_t size, id;
    struct cache *blocks;
    char *index_bytes, *filter_bytes;
    struct block index;
    struct index_search search; /* of the index */
    uint64_t index_offset;      /* for messages */
    struct filter_reader filter;
    bool has_filter;
    size_t memory;       /* bytes of index and filter */
    bool filter_damaged; /* reads do without one: it only saves reads */
};

/* ---- open */

static int read_footer(struct table *t, struct block_handle *metaindex, struct block_handle *index)
{
    char footer[TABLE_FOOTER_SIZE];
    if (t->size < sizeof footer)
        return fail(STORE_ECORRUPT, "%s: %llu bytes are too few for a table", t->path,
                    (unsigned long long)t->size);
    ssize_t n = env_pread(t->env, t->file, footer, sizeof footer, t->size - sizeof footer);
    if (n < 0)
        return (int)n;
    struct slice in = slice_of(footer, sizeof footer - 8);
    if (n < (ssize_t)sizeof footer || get_fixed64(footer + sizeof footer - 8) != TABLE_MAGIC ||
        !take_block_handle(&in, metaindex) || !take_block_handle(&in, index))
        return fail(STORE_ECORRUPT, "%s: footer at offset %llu: not that of a table", t->path,
                    (unsigned long long)(t->size - sizeof footer));
    return 0;
}

/* Adds where it is to what a block's own check said. */
static int in_block(const struct table *t, uint64_t offset, int rc)
{
    if (rc == 0)
        return 0;
    char *why = mem_printf("%s", fail_text());
    fail(rc, "%s: block at offset %llu: %s", t->path, (unsigned long long)offset, why);
    free(why);
    return rc;
}

static int bad_index_entry(const struct table *t)
{
    return fail(STORE_ECORRUPT, "%s: index block at offset %llu: an entry without a block handle",
                t->path, (unsigned long long)t->index_offset);
}

/* The handle of our filter out of the metaindex block, whose keys are plain names. */
static bool find_filter(struct slice meta, struct block_handle *h)
{
    struct block b;
    if (block_init(&b, meta))
        return false;
    struct slice in = slice_of(meta.data, b.restarts), rest, value;
    struct buf key = BUF_INIT;
    bool found = false;
    uint32_t shared, unshared, len;
    while (!found && in.len > 0 && take_varint32(&in, &shared) && take_varint32(&in, &unshared) &&
           take_varint32(&in, &len) && shared <= key.len && take_bytes(&in, unshared, &rest) &&
           take_bytes(&in, len, &value)) {
        key.len = shared;
        buf_append_slice(&key, rest);
        found = slice_equal(buf_slice(&key), slice_str(TABLE_FILTER_NAME)) &&
                take_block_handle(&value, h);
    }
    buf_free(&key);
    return found;
}

static int load_filter(struct table *t, struct block_handle metaindex)
{
    struct block_handle h;
    char *meta;
    size_t len;
    int rc = block_read(t->env, t->file, t->path, t->size, metaindex, &meta, &len);
    if (rc)
        return rc;
    if (find_filter(slice_of(meta, len), &h)) {
        rc = block_read(t->env, t->file, t->path, t->size, h, &t->filter_bytes, &len);
        t->memory += rc == 0 ? len : 0;
        t->has_filter = rc == 0 && filter_reader_init(&t->filter, slice_of(t->filter_bytes, len));
    }
    free(meta);
    return rc;
}

int table_open(struct env *env, const char *path, uint64_t size, uint64_t id, struct cache *blocks,
               struct table **out)
{
    struct table *t = mem_zalloc(sizeof *t);
    struct block_handle metaindex, index;
    size_t len;
    *t = (struct table){
        .env = env, .path = mem_printf("%s", path), .size = size, .id = id, .blocks = blocks};
    int rc = env_open(env, path, ENV_READ | ENV_CONSTANT, &t->file);
    if (rc)
        goto out;
    rc = read_footer(t, &metaindex, &index);
    if (rc)
        goto out;
    rc = block_read(env, t->file, path, size, index, &t->index_bytes, &len);
    if (rc)
        goto out;
    t->index_offset = index.offset;
    rc = in_block(t, index.offset, block_init(&t->index, slice_of(t->index_bytes, len)));
    if (rc)
        goto out;
    index_search_init(&t->search, &t->index);
    t->memory = len + index_search_memory(&t->search);
    rc = load_filter(t, metaindex);
    if (rc == STORE_ECORRUPT) {
        t->filter_damaged = true;
        rc = 0;
    }
out:
    if (rc)
        table_close(t);
    else
        *out = t;
    return rc;
}

size_t table_memory(const struct table *t)
{
    return t->memory;
}

bool table_filter_damaged(const struct table *t)
{
    return t->filter_damaged;
}

void table_close(struct table *t)
{
    if (!t)
        return;
    if (t->file)
        env_close(t->env, t->file);
    index_search_free(&t->search);
    free(t->index_bytes);
    free(t->filter_bytes);
    free(t->path);
    free(t);
}

/* ---- data blocks */

/* A block and what keeps its bytes alive: a cache entry, or the bytes themselves. */
struct held_block {
    struct block block;
    struct cache *cache;
    struct cache_entry *entry;
    char *bytes;
};

static void drop_block(struct held_block *h)
{
    if (h->entry)
        cache_release(h->cache, h->entry);
    block_memory_free(h->bytes);
    *h = (struct held_block){0};
}

static struct slice cached_bytes(struct cache_entry *e)
{
    return slice_of(cache_value(e), cache_value_bytes(e));
}

/* `ahead`: NULL, or the blocks behind this one are read along. */
static int hold_block(struct table *t, struct block_handle at, bool keep, struct block_ahead *ahead,
                      struct held_block *h)
{
    char *data;
    size_t len;
    *h = (struct held_block){.cache = t->blocks};
    h->entry = t->blocks ? cache_find(t->blocks, t->id, at.offset) : NULL;
    if (h->entry)
        return block_init(&h->block,
                          cached_bytes(h->entry)); /* it was right when it was inserted */
    int rc = ahead ? block_read_ahead(ahead, t->env, t->file, t->path, t->size, at, &data, &len)
                   : block_read(t->env, t->file, t->path, t->size, at, &data, &len);
    if (rc)
        return rc;
    rc = in_block(t, at.offset, block_init(&h->block, slice_of(data, len)));
    if (rc) {
        block_memory_free(data);
        return rc;
    }
    if (t->blocks && keep) {
        h->entry = cache_insert(t->blocks, t->id, at.offset, data, len);
        return 0;
    }
    h->bytes = data;
    return 0;
}

/* ---- get */

/* The answer an entry gives for a user key, as table_get returns it. */
static int answer(const struct table *t, struct block_handle at, const struct block_cursor *c,
                  struct slice user, struct buf *value)
{
    struct slice ikey = buf_slice(&c->key);
    if (!slice_equal(key_user(ikey), user))
        return 0;
    switch (key_type(ikey)) {
    case KEY_PUT:
        buf_set(value, c->value);
        return 1;
    case KEY_DELETE:
        return -ENOENT;
    default:
        return fail(STORE_ECORRUPT, "%s: block at offset %llu: an entry of unknown type %d",
                    t->path, (unsigned long long)at.offset, (int)key_type(ikey));
    }
}

/* What get_from_block says besides the results of table_get. */
enum { GO_ON = 2 };

/* One data block's part of a get. GO_ON: all of it is before the target, for the index key lay
 * behind its last; the next one begins behind the target. */
static int get_from_block(struct table *t, struct block_handle at, struct slice user,
                          struct slice target, struct buf *value)
{
    struct held_block h = {0};
    struct block_cursor c;
    if (t->has_filter && !filter_may_match(&t->filter, at.offset, user))
        return 0;
    int r = hold_block(t, at, true, NULL, &h);
    if (r)
        return r;
    block_cursor_init(&c, &h.block);
    block_cursor_seek(&c, target);
    if (c.status)
        r = in_block(t, at.offset, c.status);
    else
        r = block_cursor_valid(&c) ? answer(t, at, &c, user, value) : GO_ON;
    block_cursor_free(&c);
    drop_block(&h);
    return r;
}

static int get_from_index(struct table *t, struct slice user, struct slice target,
                          struct buf *value)
{
    int r = GO_ON;
    for (uint32_t i = index_search_find(&t->search, target); r == GO_ON && i < t->search.count; i++)
        r = get_from_block(t, index_search_handle(&t->search, i), user, target, value);
    return r == GO_ON ? 0 : r;
}

/* The same where the index is not as it should be. */
static int get_from_odd_index(struct table *t, struct slice user, struct slice target,
                              struct buf *value)
{
    struct block_cursor index;
    struct block_handle at;
    int r = GO_ON;
    block_cursor_init(&index, &t->index);
    for (block_cursor_seek(&index, target); r == GO_ON && block_cursor_valid(&index);
         block_cursor_next(&index)) {
        struct slice in = index.value;
        r = take_block_handle(&in, &at) ? get_from_block(t, at, user, target, value)
                                        : bad_index_entry(t);
    }
    if (r == GO_ON)
        r = in_block(t, t->index_offset, index.status);
    block_cursor_free(&index);
    return r;
}

int table_get(struct table *t, struct slice key, uint64_t sequence, struct buf *value)
{
    char small[256];
    struct buf large = BUF_INIT;
    size_t len = key.len + KEY_TAG_SIZE;
    char *target = len <= sizeof small ? small : buf_reserve(&large, len);
    if (key.len)
        memcpy(target, key.data, key.len);
    put_fixed64(target + key.len, key_tag(sequence, KEY_TYPE_SEEK));
    int r = (t->search.count ? get_from_index : get_from_odd_index)(t, key, slice_of(target, len),
                                                                    value);
    buf_free(&large);
    return r;
}

/* ---- iterator */

/* Both levels in one: a place in the index block and one in the data block that it names.
 *
 * Invariant: where `open`, `data` is a cursor over the block at `at`, held by `held`; it is the one
 * under the index's place, unless the index has just been moved. */
struct table_iterator {
    struct iter base;
    struct table *table;
    bool keep, open;
    int read_status; /* why the block under the index's place is not open */
    struct block_handle at;
    struct held_block held;
    struct block_ahead ahead; /* used without `keep`: who reads much, and mostly in order */
    struct block_cursor index, data;
    table_release release;
    void *owner, *hold;
    uint64_t *bad_blocks; /* NULL: one ends the iteration; else they are counted */
};

static void close_block(struct table_iterator *it)
{
    if (!it->open)
        return;
    block_cursor_free(&it->data);
    drop_block(&it->held);
    it->open = false;
}

/* Where bad blocks are counted one counts as empty, and the error is none. But a block that
 * somebody else can read, of a format not known here, is no bad one. */
static void pass_over(struct table_iterator *it, int *status)
{
    if (!*status || *status == STORE_EFORMAT || !it->bad_blocks)
        return;
    ++*it->bad_blocks;
    *status = 0;
}

/* Opens the block under the index's place, if it is not open. */
static void open_block(struct table_iterator *it)
{
    struct block_handle at;
    struct slice in = it->index.value;
    it->read_status = 0;
    if (!block_cursor_valid(&it->index)) {
        close_block(it);
        return;
    }
    if (!take_block_handle(&in, &at)) {
        close_block(it);
        it->read_status = bad_index_entry(it->table);
        pass_over(it, &it->read_status);
        return;
    }
    if (it->open && it->at.offset == at.offset && it->at.size == at.size && it->data.status == 0)
        return;
    close_block(it);
    it->read_status = hold_block(it->table, at, it->keep, it->keep ? NULL : &it->ahead, &it->held);
    it->open = it->read_status == 0;
    pass_over(it, &it->read_status);
    if (!it->open)
        return;
    it->at = at;
    block_cursor_init(&it->data, &it->held.block);
}

static bool has_entry(const struct table_iterator *it)
{
    return it->open && block_cursor_valid(&it->data);
}

static void show(struct table_iterator *it)
{
    it->base.valid = has_entry(it);
    if (it->base.valid) {
        it->base.key = buf_slice(&it->data.key);
        it->base.value = it->data.value;
        it->base.status = 0;
    } else if (it->read_status) {
        it->base.status = it->read_status;
    } else if (it->open && it->data.status) {
        it->base.status = in_block(it->table, it->at.offset, it->data.status);
    } else {
        it->base.status = in_block(it->table, it->table->index_offset, it->index.status);
    }
}

/* No entry and no error: the next block (or the one before) decides. */
static bool at_end_of_block(const struct table_iterator *it)
{
    return !has_entry(it) && block_cursor_valid(&it->index) && !it->read_status &&
           !(it->open && it->data.status);
}

/* An entry that does not fit ends the block, and where bad blocks are counted, no more than that.
 */
static void end_bad_block(struct table_iterator *it)
{
    if (!it->bad_blocks)
        return;
    if (it->open && it->data.status) {
        in_block(it->table, it->at.offset, it->data.status);
        pass_over(it, &it->data.status);
        close_block(it);
    }
    pass_over(it, &it->index.status);
}

static void skip_forward(struct table_iterator *it)
{
    end_bad_block(it);
    while (at_end_of_block(it)) {
        block_cursor_next(&it->index);
        open_block(it);
        if (it->open)
            block_cursor_first(&it->data);
        end_bad_block(it);
    }
    show(it);
}

static void skip_backward(struct table_iterator *it)
{
    end_bad_block(it);
    while (at_end_of_block(it)) {
        block_cursor_prev(&it->index);
        open_block(it);
        if (it->open)
            block_cursor_last(&it->data);
        end_bad_block(it);
    }
    show(it);
}

/* The index's place for an internal key. */
static void seek_index(const struct table *t, struct block_cursor *index, struct slice ikey)
{
    if (t->search.count)
        block_cursor_restart(index, index_search_find(&t->search, ikey));
    else
        block_cursor_seek(index, ikey);
}

static void ti_seek(struct iter *base, struct slice target)
{
    struct table_iterator *it = (struct table_iterator *)base;
    seek_index(it->table, &it->index, target);
    open_block(it);
    if (it->open)
        block_cursor_seek(&it->data, target);
    skip_forward(it);
}

static void ti_first(struct iter *base)
{
    struct table_iterator *it = (struct table_iterator *)base;
    block_cursor_first(&it->index);
    open_block(it);
    if (it->open)
        block_cursor_first(&it->data);
    skip_forward(it);
}

static void ti_last(struct iter *base)
{
    struct table_iterator *it = (struct table_iterator *)base;
    block_cursor_last(&it->index);
    open_block(it);
    if (it->open)
        block_cursor_last(&it->data);
    skip_backward(it);
}

static void ti_next(struct iter *base)
{
    struct table_iterator *it = (struct table_iterator *)base;
    block_cursor_next(&it->data);
    if (block_cursor_valid(&it->data)) {
        base->key = buf_slice(&it->data.key);
        base->value = it->data.value;
    } else {
        skip_forward(it);
    }
}

static void ti_prev(struct iter *base)
{
    struct table_iterator *it = (struct table_iterator *)base;
    block_cursor_prev(&it->data);
    if (block_cursor_valid(&it->data)) {
        base->key = buf_slice(&it->data.key);
        base->value = it->data.value;
    } else {
        skip_backward(it);
    }
}

static void ti_destroy(struct iter *base)
{
    struct table_iterator *it = (struct table_iterator *)base;
    close_block(it);
    block_ahead_free(&it->ahead);
    block_cursor_free(&it->index);
    if (it->release)
        it->release(it->owner, it->hold);
    free(it);
}

struct iter *table_iter_holding(struct table *t, bool keep, table_release release, void *owner,
                                void *hold)
{
    static const struct iter_ops ops = {ti_seek, ti_first, ti_last, ti_next, ti_prev, ti_destroy};
    struct table_iterator *it = mem_zalloc(sizeof *it);
    it->base.ops = &ops;
    it->table = t;
    it->keep = keep;
    it->release = release;
    it->owner = owner;
    it->hold = hold;
    block_cursor_init(&it->index, &t->index);
    return &it->base;
}

struct iter *table_iter(struct table *t, bool keep)
{
    return table_iter_holding(t, keep, NULL, NULL, NULL);
}

struct iter *table_iter_salvage(struct table *t, uint64_t *bad_blocks)
{
    struct iter *it = table_iter(t, false);
    ((struct table_iterator *)it)->bad_blocks = bad_blocks;
    return it;
}

/* ---- sizes */

uint64_t table_approximate_offset(struct table *t, struct slice ikey)
{
    struct block_cursor index;
    struct block_handle at;
    uint64_t offset = t->size;
    block_cursor_init(&index, &t->index);
    seek_index(t, &index, ikey);
    if (block_cursor_valid(&index)) {
        struct slice in = index.value;
        if (take_block_handle(&in, &at))
            offset = at.offset;
    }
    block_cursor_free(&index);
    return offset;
}
