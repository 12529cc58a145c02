/* Where a flushed table goes: as deep as level 2 where nothing with its keys is in the way, and
 * nowhere that a running compaction writes into. On the simulated disk.
 *
 * (That no two write into one range of a level, with flushes among them: test_background.c.) */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../db/db.h"
#include "env_sim.h"
#include "run_suite.h"
#include <check.h> /* last: it defines a macro `fail` */

static struct env *env;
static struct store *store;
static struct store_options options;

static void open_store(void)
{
    ck_assert_msg(store_open("/db", &options, &store) == 0, "%s", fail_text());
}

static void setup(void)
{
    env = env_sim_new();
    store_options_init(&options);
    options.env = env;
    options.table_bytes = 4 << 10;
    options.compression = STORE_COMPRESS_NONE;
    options.l0_compact = 100; /* nothing is compacted by itself */
    options.l0_slow = 101;
    options.l0_stop = 102;
    open_store();
}

static void teardown(void)
{
    ck_assert_msg(store_close(store) == 0, "%s", fail_text());
    env_sim_free(env);
}

static struct slice key_of(int key, char room[16])
{
    snprintf(room, 16, "key%06d", key);
    return slice_str(room);
}

static void put(int key, const char *value)
{
    char room[16];
    ck_assert_int_eq(store_put(store, key_of(key, room), slice_str(value), false), 0);
}

static const char *get(int key)
{
    static struct buf value;
    char room[16];
    int rc = store_get(store, NULL, key_of(key, room), &value);
    if (rc == -ENOENT)
        return "-";
    ck_assert_msg(rc == 0, "%s", fail_text());
    buf_append(&value, "", 1);
    return value.data;
}

static void flush(void)
{
    ck_assert_msg(store_flush(store) == 0, "%s", fail_text());
}

/* The number of tables in levels 0 to 3 as one number's digits. */
static int levels(void)
{
    struct store_stats st;
    store_get_stats(store, &st);
    return st.level_files[0] * 1000 + st.level_files[1] * 100 + st.level_files[2] * 10 +
           st.level_files[3];
}

START_TEST(newer_tables_of_the_same_keys_stay_above_older_ones)
{
    static const int expected[] = {10, 110, 1110, 2110};
    static const char *value[] = {"first", "second", "third", "fourth"};
    for (int i = 0; i < 4; i++) {
        put(1, value[i]);
        put(2 + i, "only here");
        flush();
        ck_assert_int_eq(levels(), expected[i]);
        ck_assert_str_eq(get(1), value[i]);
    }
    store_close(store);
    open_store();
    ck_assert_int_eq(levels(), 2110);
    ck_assert_str_eq(get(1), "fourth");
    char room[16];
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    ck_assert_str_eq(get(1), "fourth");
    ck_assert_int_eq(store_delete(store, key_of(1, room), false), 0);
    flush();
    ck_assert_str_eq(get(1), "-");
}
END_TEST

START_TEST(what_meets_level_0_goes_there_though_deeper_levels_are_free)
{
    for (int i = 0; i < 3; i++) {
        put(1, "value");
        put(2 + i, "old");
        flush();
    }
    ck_assert_int_eq(levels(), 1110);
    put(4, "new"); /* among the keys of level 0 only */
    flush();
    ck_assert_int_eq(levels(), 2110);
    ck_assert_str_eq(get(4), "new");
}
END_TEST

START_TEST(keys_in_order_are_written_into_tables_once)
{
    struct store_stats st;
    options.l0_compact = 2;
    store_close(store);
    open_store();
    for (int i = 0; i < 200; i++) {
        put(i, "value");
        if (i % 10 == 9)
            flush();
    }
    ck_assert_int_eq(levels(), 200);
    store_get_stats(store, &st);
    ck_assert_uint_eq(st.compact_write_bytes, 0);
    for (int i = 0; i < 200; i++)
        ck_assert_str_eq(get(i), "value");
}
END_TEST

START_TEST(a_table_in_a_gap_of_the_others_goes_beside_them)
{
    put(1, "left"), put(2, "left");
    flush();
    put(8, "right"), put(9, "right");
    flush();
    put(5, "middle");
    flush();
    ck_assert_int_eq(levels(), 30);
    put(2, "newer"), put(5, "newer"); /* meets two of them */
    flush();
    ck_assert_int_eq(levels(), 130);
}
END_TEST

/* Or its own compaction would have to write all of that anew. */
START_TEST(a_table_does_not_go_above_too_much_of_the_next_level)
{
    char big[1000];
    memset(big, 'v', sizeof big - 1);
    big[sizeof big - 1] = 0;
    for (int i = 0; i < 2 * 60; i += 2) { /* more than ten tables' worth */
        put(i, big);
        if (i % 20 == 18)
            flush();
    }
    int many = levels();
    ck_assert_int_eq(many, 60);
    put(0, "n"), put(118, "n"); /* meets all of level 2: not into level 1 */
    flush();
    ck_assert_int_eq(levels(), 1060);
}
END_TEST

/* ---- beside a compaction */

static atomic_bool at_gate, gate_open;
static _Thread_local bool held_here;

static int gate(void *arg, enum sim_call call, const char *path)
{
    size_t len = strlen(path);
    (void)arg;
    if (!held_here || call != SIM_CREATE || len < 4 || strcmp(path + len - 4, ".ldb") != 0)
        return 0;
    atomic_store(&at_gate, true);
    while (!atomic_load(&gate_open))
        usleep(200);
    return 0;
}

static void *compact_all(void *arg)
{
    (void)arg;
    held_here = true;
    ck_assert_msg(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)) == 0, "%s",
                  fail_text());
    return NULL;
}

/* The compaction's outputs may lie across a gap of its inputs, where the new table's keys are. */
START_TEST(a_table_does_not_go_where_a_compaction_writes)
{
    pthread_t thread;
    for (int i = 0; i < 2; i++) { /* levels 2 and 1: the compaction writes into level 2 */
        put(1, "old"), put(2, "old");
        flush();
        put(8, "old"), put(9, "old");
        flush();
    }
    ck_assert_int_eq(levels(), 220);
    atomic_store(&at_gate, false);
    atomic_store(&gate_open, false);
    env_sim_set_hook(env, gate, NULL);
    pthread_create(&thread, NULL, compact_all, NULL);
    while (!atomic_load(&at_gate))
        usleep(200);
    put(0, "in front"); /* outside of what is compacted */
    flush();
    ck_assert_int_eq(levels(), 230);
    put(5, "new");
    flush();
    ck_assert_int_eq(levels() % 100, 30); /* not into level 2 */
    atomic_store(&gate_open, true);
    pthread_join(thread, NULL);
    ck_assert_int_eq(store_background_error(store), 0);
    ck_assert_str_eq(get(5), "new");
    ck_assert_str_eq(get(2), "old");
    ck_assert_str_eq(get(8), "old");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("place");
    TCase *tc = tcase_create("place");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, newer_tables_of_the_same_keys_stay_above_older_ones);
    tcase_add_test(tc, what_meets_level_0_goes_there_though_deeper_levels_are_free);
    tcase_add_test(tc, keys_in_order_are_written_into_tables_once);
    tcase_add_test(tc, a_table_in_a_gap_of_the_others_goes_beside_them);
    tcase_add_test(tc, a_table_does_not_go_above_too_much_of_the_next_level);
    tcase_add_test(tc, a_table_does_not_go_where_a_compaction_writes);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
