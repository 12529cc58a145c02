/* RocksDB behind engine.h, through its C interface. Values are read pinned, without a copy. It gets
 * as many background threads and memtables as this store has. */
#include "engine.h"

#if __has_include(<rocksdb/c.h>)

#include <rocksdb/c.h>
#include <stdlib.h>

enum { BACKGROUND_THREADS = 3, MEMTABLES = 3 };

struct db {
    rocksdb_t *db;
    rocksdb_cache_t *cache;
    rocksdb_block_based_table_options_t *table;
    rocksdb_options_t *options;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *plain, *sync;
};

static void check(char *error, const char *what)
{
    if (error)
        engine_failed("RocksDB", what, error);
}

static void set_tables(struct db *d, const struct engine_setup *setup)
{
    d->cache = rocksdb_cache_create_lru(setup->cache_bytes);
    d->table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(d->table, d->cache);
    rocksdb_block_based_options_set_block_size(d->table, setup->block_bytes);
    if (setup->bloom_bits > 0)
        rocksdb_block_based_options_set_filter_policy(
            d->table, rocksdb_filterpolicy_create_bloom_full(setup->bloom_bits));
    rocksdb_options_set_block_based_table_factory(d->options, d->table);
}

static void *open_db(const struct engine_setup *setup)
{
    struct db *d = calloc(1, sizeof *d);
    char *error = NULL;
    d->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(d->options, 1);
    rocksdb_options_set_write_buffer_size(d->options, setup->memtable_bytes);
    rocksdb_options_set_max_write_buffer_number(d->options, MEMTABLES);
    rocksdb_options_set_target_file_size_base(d->options, setup->table_bytes);
    rocksdb_options_set_max_bytes_for_level_base(d->options, 10 << 20);
    rocksdb_options_set_level0_file_num_compaction_trigger(d->options, 4);
    rocksdb_options_set_max_background_jobs(d->options, BACKGROUND_THREADS);
    rocksdb_options_set_max_open_files(d->options, setup->max_open);
    rocksdb_options_set_compression(d->options, setup->compress ? rocksdb_snappy_compression
                                                                : rocksdb_no_compression);
    set_tables(d, setup);
    d->read = rocksdb_readoptions_create();
    d->plain = rocksdb_writeoptions_create();
    d->sync = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(d->sync, 1);
    d->db = rocksdb_open(d->options, setup->dir, &error);
    check(error, "open");
    return d;
}

static void close_db(void *db)
{
    struct db *d = db;
    char *error = NULL;
    rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
    rocksdb_flush(d->db, flush, &error); /* as ours does; LevelDB does it when it opens */
    check(error, "flush");
    rocksdb_flushoptions_destroy(flush);
    rocksdb_close(d->db);
    rocksdb_options_destroy(d->options);
    rocksdb_block_based_options_destroy(d->table);
    rocksdb_readoptions_destroy(d->read);
    rocksdb_writeoptions_destroy(d->plain);
    rocksdb_writeoptions_destroy(d->sync);
    rocksdb_cache_destroy(d->cache);
    free(d);
}

static void put(void *db, struct slice key, struct slice value, bool sync)
{
    struct db *d = db;
    char *error = NULL;
    rocksdb_put(d->db, sync ? d->sync : d->plain, key.data, key.len, value.data, value.len, &error);
    check(error, "put");
}

static void remove_key(void *db, struct slice key, bool sync)
{
    struct db *d = db;
    char *error = NULL;
    rocksdb_delete(d->db, sync ? d->sync : d->plain, key.data, key.len, &error);
    check(error, "delete");
}

static bool get(void *db, void **thread, struct slice key, size_t *value_len)
{
    struct db *d = db;
    char *error = NULL;
    (void)thread;
    rocksdb_pinnableslice_t *value = rocksdb_get_pinned(d->db, d->read, key.data, key.len, &error);
    check(error, "get");
    *value_len = 0;
    if (!value)
        return false;
    rocksdb_pinnableslice_value(value, value_len);
    rocksdb_pinnableslice_destroy(value);
    return true;
}

static void get_end(void *thread)
{
    (void)thread;
}

static void *cursor(void *db)
{
    struct db *d = db;
    return rocksdb_create_iterator(d->db, d->read);
}

static void cursor_end(void *c)
{
    rocksdb_iter_destroy(c);
}

static void seek(void *c, struct slice key)
{
    rocksdb_iter_seek(c, key.data, key.len);
}

static void first(void *c)
{
    rocksdb_iter_seek_to_first(c);
}

static void last(void *c)
{
    rocksdb_iter_seek_to_last(c);
}

static void next(void *c)
{
    rocksdb_iter_next(c);
}

static void prev(void *c)
{
    rocksdb_iter_prev(c);
}

static bool entry(void *c, struct slice *key, struct slice *value)
{
    if (!rocksdb_iter_valid(c)) {
        char *error = NULL;
        rocksdb_iter_get_error(c, &error);
        check(error, "cursor");
        return false;
    }
    key->data = rocksdb_iter_key(c, &key->len);
    value->data = rocksdb_iter_value(c, &value->len);
    return true;
}

const struct engine engine_rocksdb = {
    .name = "RocksDB",
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

const struct engine engine_rocksdb = {.name = "RocksDB", .missing = "librocksdb-dev"};

#endif
