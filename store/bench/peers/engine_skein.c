/* This store behind engine.h. */
#include "engine.h"

#include <stdlib.h>

#include "../../store.h"

static void check(int rc, const char *what)
{
    if (rc)
        engine_failed("skein", what, fail_text());
}

static void *open_db(const struct engine_setup *setup)
{
    struct store_options o;
    struct store *s = NULL;
    store_options_init(&o);
    o.memtable_bytes = setup->memtable_bytes;
    o.cache_bytes = setup->cache_bytes;
    o.block_bytes = setup->block_bytes;
    o.table_bytes = setup->table_bytes;
    o.bloom_bits = setup->bloom_bits;
    o.max_open_tables = setup->max_open;
    o.reserve_bytes = 0; /* space is compared */
    o.compression = setup->compress ? STORE_COMPRESS_SNAPPY : STORE_COMPRESS_NONE;
    check(store_open(setup->dir, &o, &s), "open");
    return s;
}

static void close_db(void *db)
{
    check(store_close(db), "close");
}

static void put(void *db, struct slice key, struct slice value, bool sync)
{
    check(store_put(db, key, value, sync), "put");
}

static void remove_key(void *db, struct slice key, bool sync)
{
    check(store_delete(db, key, sync), "delete");
}

static bool get(void *db, void **thread, struct slice key, size_t *value_len)
{
    if (!*thread)
        *thread = mem_zalloc(sizeof(struct buf));
    struct buf *value = *thread;
    int rc = store_get(db, NULL, key, value);
    *value_len = value->len;
    if (rc && rc != -ENOENT)
        check(rc, "get");
    return rc == 0;
}

static void get_end(void *thread)
{
    if (thread)
        buf_free(thread);
    free(thread);
}

static void *cursor(void *db)
{
    return store_iter(db, NULL);
}

static void cursor_end(void *c)
{
    iter_destroy(c);
}

static void seek(void *c, struct slice key)
{
    iter_seek(c, key);
}

static void first(void *c)
{
    iter_first(c);
}

static void last(void *c)
{
    iter_last(c);
}

static void next(void *c)
{
    iter_next(c);
}

static void prev(void *c)
{
    iter_prev(c);
}

static bool entry(void *c, struct slice *key, struct slice *value)
{
    const struct iter *it = c;
    if (!it->valid) {
        check(it->status, "cursor");
        return false;
    }
    *key = it->key;
    *value = it->value;
    return true;
}

const struct engine engine_skein = {
    .name = "skein",
    .open = open_db,
    .close = close_db,
    .put = put,
    .remove = remove_key,
    .get = get,
    .get_end = get_end,
    .cursor = cursor,
    .cursor_end = cursor_end,
    .seek = seek,
    .first = first,
    .last = last,
    .next = next,
    .prev = prev,
    .entry = entry,
};
