/* See table_cache.h. */
#include "table_cache.h"

#include <stdlib.h>

#include "../base/error.h"
#include "../version/file_name.h"

struct table_cache {
    struct env *env;
    char *dir;
    struct cache *open, *blocks;
    size_t least; /* what a table counts at the least, so that their number is bounded, too */
};

static void close_table(void *t)
{
    table_close(t);
}

struct table_cache *table_cache_new(struct env *env, const char *dir, int max_open, size_t bytes,
                                    struct cache *blocks)
{
    struct table_cache *tc = mem_zalloc(sizeof *tc);
    tc->env = env;
    tc->dir = mem_printf("%s", dir);
    tc->open = cache_new(bytes, close_table);
    tc->least = bytes / (size_t)max_open;
    tc->blocks = blocks;
    return tc;
}

void table_cache_free(struct table_cache *tc)
{
    if (!tc)
        return;
    cache_free(tc->open);
    free(tc->dir);
    free(tc);
}

/* The open table, held; an error otherwise. Two threads that miss at once may both open it; one of
 * the two goes. */
static int hold(struct table_cache *tc, uint64_t number, uint64_t size, struct cache_entry **out)
{
    *out = cache_find(tc->open, number, 0);
    if (*out)
        return 0;
    struct table *t;
    char *path = name_table(tc->dir, number);
    int rc = table_open(tc->env, path, size, number, tc->blocks, &t);
    if (rc == -ENOENT) {
        free(path);
        path = mem_printf("%s/%06llu.sst", tc->dir, (unsigned long long)number);
        rc = table_open(tc->env, path, size, number, tc->blocks, &t);
    }
    if (rc == -ENOENT) /* a missing file is not a missing key */
        rc = fail(STORE_ECORRUPT, "%s/%06llu.ldb: the table is missing", tc->dir,
                  (unsigned long long)number);
    free(path);
    if (rc == 0) {
        size_t memory = table_memory(t);
        *out = cache_insert(tc->open, number, 0, t, memory < tc->least ? tc->least : memory);
    }
    return rc;
}

int table_cache_get(struct table_cache *tc, uint64_t number, uint64_t size, struct slice key,
                    uint64_t sequence, struct buf *value)
{
    struct cache_entry *e;
    int r = hold(tc, number, size, &e);
    if (r)
        return r;
    r = table_get(cache_value(e), key, sequence, value);
    cache_release(tc->open, e);
    return r;
}

static void let_go(void *tc, void *entry)
{
    cache_release(((struct table_cache *)tc)->open, entry);
}

struct iter *table_cache_iter(struct table_cache *tc, uint64_t number, uint64_t size, bool keep)
{
    struct cache_entry *e;
    int rc = hold(tc, number, size, &e);
    if (rc)
        return iter_empty(rc);
    return table_iter_holding(cache_value(e), keep, let_go, tc, e);
}

int table_cache_check(struct table_cache *tc, uint64_t number, uint64_t size)
{
    struct cache_entry *e;
    int rc = hold(tc, number, size, &e);
    if (rc == 0)
        cache_release(tc->open, e);
    return rc;
}

uint64_t table_cache_offset(struct table_cache *tc, uint64_t number, uint64_t size,
                            struct slice ikey)
{
    struct cache_entry *e;
    if (hold(tc, number, size, &e))
        return 0;
    uint64_t offset = table_approximate_offset(cache_value(e), ikey);
    cache_release(tc->open, e);
    return offset;
}

void table_cache_evict(struct table_cache *tc, uint64_t number)
{
    cache_erase(tc->open, number, 0);
}
