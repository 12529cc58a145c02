/* Cursors that leave the cache alone read several blocks at a time: fewer calls, the same entries,
 * and what cannot be read is missed no wider than it is. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/error.h"
#include "../table/table.h"
#include "../table/table_builder.h"
#include "run_suite.h"
#include "temp_dir.h"

#define KEYS 100
#define VALUE 4000
#define LARGE 50 /* the key whose value is larger than what is read at a time */
#define LARGE_VALUE 100000

/* An environment that counts reads, and fails those of a part of the file. */
static struct env *disk;
static struct env counting;
static struct env_ops calls;
static int reads;
static uint64_t bad_from, bad_to;

static ssize_t counted_pread(struct env *e, struct env_file *f, void *p, size_t n, uint64_t off)
{
    (void)e;
    reads++;
    if (off < bad_to && off + n > bad_from)
        return fail(-EIO, "no read, says the test");
    return env_pread(disk, f, p, n, off);
}

static struct buf ikey;
static char value[LARGE_VALUE];
static struct table *table;
static uint64_t size;

static struct slice nth_key(int i)
{
    char text[16];
    int n = snprintf(text, sizeof text, "key%03d", i);
    buf_clear(&ikey);
    buf_put_ikey(&ikey, slice_of(text, (size_t)n), 7, KEY_PUT);
    return buf_slice(&ikey);
}

static struct slice nth_value(int i)
{
    memset(value, i + 1, sizeof value);
    return slice_of(value, i == LARGE ? LARGE_VALUE : VALUE);
}

/* A table with a block for each key, not compressed. */
static void setup(void)
{
    const struct table_build_options o = {.block_bytes = 1, .restart_interval = 1};
    const char *path = temp_path("table");
    struct env_file *f;
    disk = env_posix();
    temp_dir_clear();
    ck_assert_int_eq(env_open(disk, path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &f), 0);
    struct table_builder *b = table_builder_new(disk, f, path, &o);
    for (int i = 0; i < KEYS; i++)
        ck_assert_int_eq(table_builder_add(b, nth_key(i), nth_value(i)), 0);
    ck_assert_int_eq(table_builder_finish(b), 0);
    table_builder_free(b);
    ck_assert_int_eq(env_size(disk, f, &size), 0);
    env_close(disk, f);
    calls = *disk->ops;
    calls.pread = counted_pread;
    counting = (struct env){.ops = &calls};
    bad_from = bad_to = 0;
    ck_assert_int_eq(table_open(&counting, path, size, 1, NULL, &table), 0);
    reads = 0;
}

static void teardown(void)
{
    table_close(table);
    buf_free(&ikey);
}

static void expect_entry(const struct iter *it, int i)
{
    ck_assert(it->valid);
    ck_assert(slice_equal(it->key, nth_key(i)) && slice_equal(it->value, nth_value(i)));
}

START_TEST(a_walk_sees_every_entry_with_few_reads)
{
    struct iter *it = table_iter(table, false);
    int i = 0;
    for (iter_first(it); it->valid; iter_next(it))
        expect_entry(it, i++);
    ck_assert_int_eq(i, KEYS);
    ck_assert_int_eq(it->status, 0);
    ck_assert_int_le(reads, KEYS / 10);
    iter_destroy(it);
}
END_TEST

START_TEST(seeks_and_steps_back_see_the_same)
{
    static const int order[] = {7, 93, 8, 9, LARGE, 0, 99, 49, 51, 92, LARGE};
    struct iter *it = table_iter(table, false);
    for (size_t n = 0; n < sizeof order / sizeof order[0]; n++) {
        iter_seek(it, nth_key(order[n]));
        expect_entry(it, order[n]);
    }
    iter_last(it);
    for (int i = KEYS; i-- > 0; iter_prev(it))
        expect_entry(it, i);
    ck_assert(!it->valid && it->status == 0);
    iter_destroy(it);
}
END_TEST

/* What was read along fails with its neighbour, but is no worse for that. */
START_TEST(around_a_place_that_cannot_be_read_all_else_is_read)
{
    uint64_t bad_blocks = 0;
    struct iter *it = table_iter_salvage(table, &bad_blocks);
    bad_from = table_approximate_offset(table, nth_key(20)) + 1;
    bad_to = bad_from + 1;
    int i = 0;
    for (iter_first(it); it->valid; iter_next(it), i++) {
        i += i == 20;
        expect_entry(it, i);
    }
    ck_assert_int_eq(i, KEYS);
    ck_assert_uint_eq(bad_blocks, 1);
    iter_destroy(it);
}
END_TEST

START_TEST(without_salvage_the_walk_ends_there_with_the_error)
{
    struct iter *it = table_iter(table, false);
    bad_from = table_approximate_offset(table, nth_key(20)) + 1;
    bad_to = bad_from + 1;
    int i = 0;
    for (iter_first(it); it->valid; iter_next(it))
        expect_entry(it, i++);
    ck_assert_int_eq(i, 20);
    ck_assert_int_eq(it->status, -EIO);
    iter_destroy(it);
}
END_TEST

START_TEST(who_keeps_blocks_reads_one_at_a_time)
{
    struct iter *it = table_iter(table, true);
    int i = 0;
    for (iter_first(it); it->valid; iter_next(it))
        i++;
    ck_assert_int_eq(i, KEYS);
    ck_assert_int_eq(reads, KEYS);
    iter_destroy(it);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_walk_sees_every_entry_with_few_reads,
                                  seeks_and_steps_back_see_the_same,
                                  around_a_place_that_cannot_be_read_all_else_is_read,
                                  without_salvage_the_walk_ends_there_with_the_error,
                                  who_keeps_blocks_reads_one_at_a_time,
                                  NULL};
    temp_dir_make();
    int result = run_tests("read ahead", 30, setup, teardown, tests);
    temp_dir_remove();
    return result;
}
