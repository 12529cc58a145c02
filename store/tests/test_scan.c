/* store_scan: what a cursor sees, and the cache is none the wiser. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../db/db.h"
#include "env_sim.h"
#include "run_suite.h"

#define KEYS 2000

static struct env *disk;
static struct store *store;

static struct slice key_of(int i)
{
    static char key[16];
    return slice_of(key, (size_t)snprintf(key, sizeof key, "%06d", i));
}

static void put(int i, char c)
{
    char value[200];
    memset(value, c, sizeof value);
    ck_assert_int_eq(store_put(store, key_of(i), slice_of(value, sizeof value), false), 0);
}

/* Keys in tables of two levels and in memory; every tenth is deleted. */
static void setup(void)
{
    struct store_options options;
    store_options_init(&options);
    options.env = disk = env_sim_new();
    options.compression = STORE_COMPRESS_NONE;
    store = NULL;
    ck_assert_int_eq(store_open("/db", &options, &store), 0);
    for (int i = 0; i < KEYS; i += 2)
        put(i, 'a');
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    for (int i = 0; i < KEYS; i += 3)
        put(i, 'b');
    ck_assert_int_eq(store_flush(store), 0);
    for (int i = 0; i < KEYS; i += 10)
        ck_assert_int_eq(store_delete(store, key_of(i), false), 0);
}

static void teardown(void)
{
    ck_assert_int_eq(store_close(store), 0);
    env_sim_free(disk);
}

static size_t in_cache(void)
{
    return cache_bytes(store->block_cache);
}

/* What the cursor passes, destroyed behind it. */
static int walk(struct iter *it)
{
    int n = 0;
    for (iter_first(it); it->valid; iter_next(it))
        n++;
    ck_assert_int_eq(it->status, 0);
    iter_destroy(it);
    return n;
}

START_TEST(a_scan_sees_what_a_cursor_sees)
{
    struct iter *a = store_iter(store, NULL), *b = store_scan(store, NULL);
    int n = 0;
    iter_seek(a, key_of(500));
    iter_seek(b, key_of(500));
    for (; a->valid && b->valid; iter_next(a), iter_next(b), n++)
        ck_assert(slice_equal(a->key, b->key) && slice_equal(a->value, b->value));
    ck_assert(!a->valid && !b->valid && a->status == 0 && b->status == 0);
    ck_assert_int_gt(n, KEYS / 3);
    iter_destroy(a);
    iter_destroy(b);
}
END_TEST

START_TEST(a_scan_at_a_snapshot_sees_what_was)
{
    struct store_snapshot *snap = store_snapshot_take(store);
    int before = walk(store_scan(store, snap));
    put(KEYS + 1, 'c');
    ck_assert_int_eq(walk(store_scan(store, snap)), before);
    ck_assert_int_eq(walk(store_scan(store, NULL)), before + 1);
    store_snapshot_release(store, snap);
}
END_TEST

START_TEST(a_scan_leaves_the_cache_as_it_was)
{
    struct buf value = BUF_INIT;
    ck_assert_int_eq(store_get(store, NULL, key_of(2), &value), 0);
    buf_free(&value);
    size_t before = in_cache();
    ck_assert_uint_gt(before, 0);
    int n = walk(store_scan(store, NULL));
    ck_assert_uint_eq(in_cache(), before);
    ck_assert_int_eq(walk(store_iter(store, NULL)), n);
    ck_assert_uint_gt(in_cache(), before); /* as a cursor does not */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_scan_sees_what_a_cursor_sees,
                                  a_scan_at_a_snapshot_sees_what_was,
                                  a_scan_leaves_the_cache_as_it_was, NULL};
    return run_tests("scan", 30, setup, teardown, tests);
}
