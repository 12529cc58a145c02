/* How many zeroes a log that is synced often has ahead of its records (commit/window.c). */
#include <check.h>
#include <stdio.h>

#include "../db/db.h"
#include "env_sim.h"
#include "run_suite.h"

#define KB 1024u

static struct env *disk;
static struct store *store;

static void open_with(size_t memtable_bytes)
{
    struct store_options options;
    store_options_init(&options);
    options.env = disk = env_sim_new();
    options.memtable_bytes = memtable_bytes;
    ck_assert_int_eq(store_open("/db", &options, &store), 0);
}

static void teardown(void)
{
    store_close(store);
    env_sim_free(disk);
}

static void put(int i)
{
    char key[16], value[300] = "";
    int n = snprintf(key, sizeof key, "key%06d", i);
    ck_assert_int_eq(
        store_put(store, slice_of(key, (size_t)n), slice_of(value, sizeof value), true), 0);
}

/* They are bytes for the disk, too: what is not used was written in vain. */
START_TEST(there_are_few_at_first_and_more_in_a_longer_log)
{
    int growths = 0;
    uint64_t last = 0;
    open_with(64 * KB * KB);
    for (int i = 0; i < 10; i++)
        put(i);
    const struct log_writer *w = &store->log->writer;
    ck_assert_uint_gt(w->zeroed, w->end);
    ck_assert_uint_le(w->zeroed, 64 * KB + w->end);
    for (int i = 10; i < 12000; i++) {
        put(i);
        ck_assert_uint_le(w->zeroed, 64 * KB + 2 * w->end + 4 * KB);
        growths += w->zeroed > last;
        last = w->zeroed;
    }
    ck_assert_uint_gt(w->end, 3 * KB * KB);
    ck_assert_int_le(growths, 20); /* 64 KiB, twice that each time, and then the option's MiB */
}
END_TEST

START_TEST(a_log_that_is_nearly_full_gets_no_more_than_it_takes)
{
    open_with(256 * KB);
    uint64_t first = store->log->number, end = 0, zeroed = 0;
    for (int i = 0; store->log->number == first; i++) {
        end = store->log->writer.end;
        zeroed = store->log->writer.zeroed;
        put(i);
    }
    ck_assert_uint_ge(zeroed, end);
    ck_assert_uint_le(zeroed, end + 16 * KB);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("zeroes ahead");
    TCase *tc = tcase_create("zeroes_ahead");
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_test(tc, there_are_few_at_first_and_more_in_a_longer_log);
    tcase_add_test(tc, a_log_that_is_nearly_full_gets_no_more_than_it_takes);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
