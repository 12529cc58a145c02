/* Writes one table, keys in internal-key order. One thread. */
#ifndef STORE_TABLE_TABLE_BUILDER_H
#define STORE_TABLE_TABLE_BUILDER_H

#include "../env/env.h"
#include "../memtable/key_format.h"
#include "table_format.h"

struct table_build_options {
    size_t block_bytes;
    int restart_interval;
    int bloom_bits; /* 0: no filter block */
    enum table_compression compression;
};

struct table_builder;

/* `file` is empty, open for writing and not owned. */
struct table_builder *table_builder_new(struct env *env, struct env_file *file, const char *name,
                                        const struct table_build_options *o);
/* Requires: the key stands behind the one before it. (Who has it from a table, which may be
 * damaged, has to look: asserted is only that each block stands behind the one before it.) */
int table_builder_add(struct table_builder *b, struct slice ikey, struct slice value);
int table_builder_finish(
    struct table_builder *b); /* writes all that is left; the caller syncs the file */
uint64_t
table_builder_bytes(const struct table_builder *b); /* written so far; after finish: the size */
/* The key added last; good until the next one is added. */
struct slice table_builder_last_key(const struct table_builder *b);
uint64_t table_builder_entries(const struct table_builder *b);
void table_builder_free(struct table_builder *b);

#endif
