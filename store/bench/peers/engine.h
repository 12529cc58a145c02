/* What the three stores that are compared have in common: a key-value store in a folder.
 *
 * Each is set up alike where it can be: memtable, block and table size, block cache, Bloom bits,
 * compression, open tables, level sizes. The rest stays as its makers chose it (what that means:
 * README.md of this folder). Calls may be made from several threads; a cursor belongs to one.
 * Whatever fails ends the process with one line: a measurement with errors in it is worth nothing.
 */
#ifndef STORE_BENCH_PEERS_ENGINE_H
#define STORE_BENCH_PEERS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "../../base/slice.h"

struct engine_setup {
    const char *dir;
    size_t memtable_bytes, cache_bytes, block_bytes, table_bytes;
    int bloom_bits, max_open;
    bool compress;
};

struct engine {
    const char *name;
    const char *missing; /* NULL, or what is to be installed */
    void *(*open)(const struct engine_setup *setup);
    void (*close)(void *db);
    void (*put)(void *db, struct slice key, struct slice value, bool sync);
    void (*remove)(void *db, struct slice key, bool sync);
    /* Is it there? Reads all of the value into memory of the caller or of the store. `thread` is
     * the caller's own, NULL at first; get_end frees it. */
    bool (*get)(void *db, void **thread, struct slice key, size_t *value_len);
    void (*get_end)(void *thread);
    void *(*cursor)(void *db);
    void (*cursor_end)(void *cursor);
    void (*seek)(void *cursor, struct slice key);
    void (*first)(void *cursor);
    void (*last)(void *cursor);
    void (*next)(void *cursor);
    void (*prev)(void *cursor);
    /* False at an end (an error ends the process). */
    bool (*entry)(void *cursor, struct slice *key, struct slice *value);
};

extern const struct engine engine_skein, engine_leveldb, engine_rocksdb;

/* Ends the process. */
void engine_failed(const char *engine, const char *what, const char *why) __attribute__((noreturn));

#endif
