/* LevelDB behind engine.h, through its C interface. That hands a value over as memory to be freed:
 * one malloc and one copy more than its C++ interface needs, well below a tenth of a read. */
#include "engine.h"

#if __has_include(<leveldb/c.h>)

#include <leveldb/c.h>
#include <stdlib.h>

struct db {
    leveldb_t *db;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_options_t *options;
    leveldb_readoptions_t *read;
    leveldb_writeoptions_t *plain, *sync;
};

static void check(char *error, const char *what)
{
    if (error)
        engine_failed("LevelDB", what, error);
}

static void *open_db(const struct engine_setup *setup)
{
    struct db *d = calloc(1, sizeof *d);
    char *error = NULL;
    d->cache = leveldb_cache_create_lru(setup->cache_bytes);
    d->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(d->options, 1);
    leveldb_options_set_write_buffer_size(d->options, setup->memtable_bytes);
    leveldb_options_set_block_size(d->options, setup->block_bytes);
    leveldb_options_set_max_file_size(d->options, setup->table_bytes);
    leveldb_options_set_max_open_files(d->options, setup->max_open);
    leveldb_options_set_cache(d->options, d->cache);
    leveldb_options_set_compression(d->options, setup->compress ? leveldb_snappy_compression
                                                                : leveldb_no_compression);
    if (setup->bloom_bits > 0) {
        d->filter = leveldb_filterpolicy_create_bloom(setup->bloom_bits);
        leveldb_options_set_filter_policy(d->options, d->filter);
    }
    d->read = leveldb_readoptions_create();
    d->plain = leveldb_writeoptions_create();
    d->sync = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(d->sync, 1);
    d->db = leveldb_open(d->options, setup->dir, &error);
    check(error, "open");
    return d;
}

static void close_db(void *db)
{
    struct db *d = db;
    leveldb_close(d->db);
    leveldb_options_destroy(d->options);
    leveldb_readoptions_destroy(d->read);
    leveldb_writeoptions_destroy(d->plain);
    leveldb_writeoptions_destroy(d->sync);
    if (d->filter)
        leveldb_filterpolicy_destroy(d->filter);
    leveldb_cache_destroy(d->cache);
    free(d);
}

static void put(void *db, struct slice key, struct slice value, bool sync)
{
    struct db *d = db;
    char *error = NULL;
    leveldb_put(d->db, sync ? d->sync : d->plain, key.data, key.len, value.data, value.len, &error);
    check(error, "put");
}

static void remove_key(void *db, struct slice key, bool sync)
{
    struct db *d = db;
    char *error = NULL;
    leveldb_delete(d->db, sync ? d->sync : d->plain, key.data, key.len, &error);
    check(error, "delete");
}

static bool get(void *db, void **thread, struct slice key, size_t *value_len)
{
    struct db *d = db;
    char *error = NULL;
    (void)thread;
    char *value = leveldb_get(d->db, d->read, key.data, key.len, value_len, &error);
    check(error, "get");
    leveldb_free(value);
    return value != NULL;
}

static void get_end(void *thread)
{
    (void)thread;
}

static void *cursor(void *db)
{
    struct db *d = db;
    return leveldb_create_iterator(d->db, d->read);
}

static void cursor_end(void *c)
{
    leveldb_iter_destroy(c);
}

static void seek(void *c, struct slice key)
{
    leveldb_iter_seek(c, key.data, key.len);
}

static void first(void *c)
{
    leveldb_iter_seek_to_first(c);
}

static void last(void *c)
{
    leveldb_iter_seek_to_last(c);
}

static void next(void *c)
{
    leveldb_iter_next(c);
}

static void prev(void *c)
{
    leveldb_iter_prev(c);
}

static bool entry(void *c, struct slice *key, struct slice *value)
{
    if (!leveldb_iter_valid(c)) {
        char *error = NULL;
        leveldb_iter_get_error(c, &error);
        check(error, "cursor");
        return false;
    }
    key->data = leveldb_iter_key(c, &key->len);
    value->data = leveldb_iter_value(c, &value->len);
    return true;
}

const struct engine engine_leveldb = {
    .name = "LevelDB",
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

#else

const struct engine engine_leveldb = {.name = "LevelDB", .missing = "libleveldb-dev"};

#endif
