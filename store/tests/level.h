/* LevelDB's C interface in short, for the test binaries that link it: one struct that owns a
 * database and its options. All inline, because the tests' helpers are linked without LevelDB.
 *
 * LevelDB's background thread does not follow a fork(): whoever forks does so before this process
 * used LevelDB, or uses it in the child alone. */
#ifndef STORE_TESTS_LEVEL_H
#define STORE_TESTS_LEVEL_H

#include <leveldb/c.h>
#include <stdbool.h>
#include <stdlib.h>

#include "../base/buf.h"

struct level {
    leveldb_t *db; /* NULL where the open failed */
    leveldb_options_t *options;
    leveldb_filterpolicy_t *bloom;
    leveldb_readoptions_t *read; /* verifies checksums */
    leveldb_writeoptions_t *write, *write_sync;
    char *error; /* why the last call failed, or NULL */
};

static inline bool level_failed(struct level *l)
{
    return l->error != NULL;
}

static inline void level_forget_error(struct level *l)
{
    if (l->error)
        leveldb_free(l->error);
    l->error = NULL;
}

/* Tables and memtables as small as it lets them be. */
static inline struct level *level_open(const char *dir, bool paranoid, bool snappy, bool bloom,
                                       size_t memtable_bytes)
{
    struct level *l = mem_zalloc(sizeof *l);
    l->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(l->options, 1);
    leveldb_options_set_paranoid_checks(l->options, paranoid);
    leveldb_options_set_write_buffer_size(l->options, memtable_bytes);
    leveldb_options_set_max_file_size(l->options, 1u << 20);
    leveldb_options_set_compression(l->options,
                                    snappy ? leveldb_snappy_compression : leveldb_no_compression);
    if (bloom) {
        l->bloom = leveldb_filterpolicy_create_bloom(10);
        leveldb_options_set_filter_policy(l->options, l->bloom);
    }
    l->read = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(l->read, 1);
    l->write = leveldb_writeoptions_create();
    l->write_sync = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(l->write_sync, 1);
    l->db = leveldb_open(l->options, dir, &l->error);
    return l;
}

static inline void level_close(struct level *l)
{
    if (l->db)
        leveldb_close(l->db);
    level_forget_error(l);
    leveldb_readoptions_destroy(l->read);
    leveldb_writeoptions_destroy(l->write);
    leveldb_writeoptions_destroy(l->write_sync);
    leveldb_options_destroy(l->options);
    if (l->bloom)
        leveldb_filterpolicy_destroy(l->bloom);
    free(l);
}

/* True where it was acknowledged. */
static inline bool level_put(struct level *l, struct slice key, struct slice value, bool sync)
{
    level_forget_error(l);
    leveldb_put(l->db, sync ? l->write_sync : l->write, key.data, key.len, value.data, value.len,
                &l->error);
    return !level_failed(l);
}

static inline bool level_delete(struct level *l, struct slice key)
{
    level_forget_error(l);
    leveldb_delete(l->db, l->write, key.data, key.len, &l->error);
    return !level_failed(l);
}

/* True where the key is there; *value is its value. An error is in l->error. */
static inline bool level_get(struct level *l, struct slice key, struct buf *value)
{
    size_t n;
    level_forget_error(l);
    char *got = leveldb_get(l->db, l->read, key.data, key.len, &n, &l->error);
    if (got) {
        buf_set(value, slice_of(got, n));
        leveldb_free(got);
    }
    return got != NULL;
}

#endif
