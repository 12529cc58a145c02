/* See table_output.h. */
#include "table_output.h"

#include <stdlib.h>

int table_output_start(struct table_output *o, struct store *s, uint64_t number)
{
    struct table_build_options with = {
        .block_bytes = s->options.block_bytes,
        .restart_interval = s->options.restart_interval,
        .bloom_bits = s->options.bloom_bits,
        .compression = s->options.compression == STORE_COMPRESS_SNAPPY ? TABLE_SNAPPY : TABLE_NONE,
    };
    *o = (struct table_output){.store = s, .number = number, .path = name_table(s->dir, number)};
    int rc = env_open(s->env, o->path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &o->file);
    if (rc == 0)
        o->builder = table_builder_new(s->env, o->file, o->path, &with);
    return rc;
}

static struct slice prefix_of(const struct table_output *o, struct slice ikey)
{
    struct slice user = key_user(ikey);
    size_t n = o->store->options.table_prefix;
    return slice_of(user.data, user.len < n ? user.len : n);
}

bool table_output_ends_before(const struct table_output *o, struct slice ikey)
{
    return table_builder_bytes(o->builder) >= o->store->options.table_bytes ||
           !slice_equal(prefix_of(o, buf_slice(&o->smallest)), prefix_of(o, ikey));
}

int table_output_add(struct table_output *o, struct slice ikey, struct slice value)
{
    if (table_builder_entries(o->builder) == 0)
        buf_set(&o->smallest, ikey);
    return table_builder_add(o->builder, ikey, value);
}

int table_output_finish(struct table_output *o, struct edit *e, int level)
{
    int rc = table_builder_finish(o->builder);
    if (rc == 0)
        rc = env_sync(o->store->env, o->file);
    if (rc == 0)
        edit_add_file(e, level, o->number, table_builder_bytes(o->builder), buf_slice(&o->smallest),
                      table_builder_last_key(o->builder));
    return rc;
}

void table_output_end(struct table_output *o, bool keep)
{
    if (o->file)
        env_close(o->store->env, o->file);
    if (!keep && o->file)
        env_unlink(o->store->env, o->path);
    table_builder_free(o->builder);
    buf_free(&o->smallest);
    free(o->path);
    *o = (struct table_output){0};
}
