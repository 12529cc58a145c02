/* What a flush leaves out: versions of a key that no reader can see. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../compact/shadow.h"
#include "../memtable/key_format.h"
#include "env_sim.h"
#include "run_suite.h"

static struct env *disk;
static struct store *store;

static void setup(void)
{
    struct store_options o;
    store_options_init(&o);
    o.env = disk = env_sim_new();
    o.compression = STORE_COMPRESS_NONE;
    ck_assert_int_eq(store_open("/db", &o, &store), 0);
}

static void teardown(void)
{
    store_close(store);
    env_sim_free(disk);
}

static struct slice text(const char *s)
{
    return slice_of(s, strlen(s));
}

static void put_number(const char *key, int n)
{
    char value[1024];
    memset(value, 'v', sizeof value);
    snprintf(value, 16, "%d", n);
    ck_assert_int_eq(store_put(store, text(key), slice_of(value, sizeof value), false), 0);
}

static int number_at(const struct store_snapshot *snap, const char *key)
{
    struct buf value = BUF_INIT;
    int rc = store_get(store, snap, text(key), &value);
    int n = rc == 0 ? atoi(value.data) : rc;
    buf_free(&value);
    return n;
}

static uint64_t bytes_flushed(void)
{
    struct store_stats st;
    ck_assert_int_eq(store_flush(store), 0);
    store_get_stats(store, &st);
    return st.flush_bytes;
}

START_TEST(a_key_written_over_and_over_is_flushed_once)
{
    for (int i = 0; i < 1000; i++)
        put_number("counter", i);
    put_number("other", 7);
    uint64_t bytes = bytes_flushed();
    ck_assert_uint_gt(bytes, 2 * 1024);
    ck_assert_uint_lt(bytes, 4 * 1024);
    ck_assert_int_eq(number_at(NULL, "counter"), 999);
    ck_assert_int_eq(number_at(NULL, "other"), 7);
}
END_TEST

START_TEST(what_a_snapshot_sees_is_flushed_too)
{
    struct store_snapshot *snap[3];
    for (int i = 0; i < 300; i++) {
        put_number("counter", i);
        if (i % 100 == 50)
            snap[i / 100] = store_snapshot_take(store);
    }
    uint64_t bytes = bytes_flushed();
    ck_assert_uint_gt(bytes, 4 * 1024);
    ck_assert_uint_lt(bytes, 6 * 1024);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(number_at(snap[i], "counter"), 100 * i + 50);
        store_snapshot_release(store, snap[i]);
    }
    ck_assert_int_eq(number_at(NULL, "counter"), 299);
}
END_TEST

START_TEST(a_cursor_from_before_the_flush_sees_what_it_saw)
{
    put_number("counter", 1);
    struct iter *it = store_iter(store, NULL);
    put_number("counter", 2);
    bytes_flushed();
    iter_first(it);
    ck_assert(it->valid);
    ck_assert_int_eq(atoi(it->value.data), 1);
    iter_destroy(it);
}
END_TEST

START_TEST(a_deletion_is_flushed_it_hides_what_is_further_down)
{
    put_number("key", 1);
    bytes_flushed();
    put_number("key", 2);
    ck_assert_int_eq(store_delete(store, text("key"), false), 0);
    bytes_flushed();
    ck_assert_int_eq(number_at(NULL, "key"), -ENOENT);
}
END_TEST

START_TEST(so_is_what_is_replayed_from_a_log)
{
    struct store_options o;
    struct store_stats st;
    for (int i = 0; i < 500; i++)
        put_number("counter", i);
    ck_assert_int_eq(store_sync(store, 0), 0);
    struct env *copy = env_sim_cut_copy(disk);
    env_sim_survive(copy, SIM_KEEP_ALL, 1);
    teardown();
    disk = copy;
    store_options_init(&o);
    o.env = disk;
    o.compression = STORE_COMPRESS_NONE;
    ck_assert_int_eq(store_open("/db", &o, &store), 0);
    store_get_stats(store, &st);
    ck_assert_uint_lt(st.level_bytes[0] + st.level_bytes[1] + st.level_bytes[2], 4 * 1024);
    ck_assert_int_eq(number_at(NULL, "counter"), 499);
}
END_TEST

/* ---- the rule itself */

static bool hides(struct shadow *h, const char *user, uint64_t sequence)
{
    struct buf ikey = BUF_INIT;
    buf_put_ikey(&ikey, text(user), sequence, KEY_PUT);
    bool hidden = shadow_hides(h, buf_slice(&ikey));
    buf_free(&ikey);
    return hidden;
}

START_TEST(between_two_snapshots_the_newest_stays)
{
    uint64_t snapshots[] = {10, 20};
    struct shadow h = {.snapshots = snapshots, .snapshot_count = 2};
    static const struct {
        const char *user;
        uint64_t sequence;
        bool hidden;
    } step[] = {
        {"a", 25, false}, {"a", 22, true},  {"a", 21, true}, {"a", 20, false}, {"a", 15, true},
        {"a", 11, true},  {"a", 10, false}, {"a", 9, true},  {"b", 3, false},  {"b", 2, true},
    };
    for (size_t i = 0; i < sizeof step / sizeof *step; i++)
        ck_assert_msg(hides(&h, step[i].user, step[i].sequence) == step[i].hidden, "step %zu", i);
    buf_free(&h.user);
}
END_TEST

/* The second entry behind the first one: is that disorder? */
static bool is_disorder(const char *user, uint64_t sequence, const char *next, uint64_t next_one)
{
    struct shadow h = {0};
    hides(&h, user, sequence);
    hides(&h, next, next_one);
    buf_free(&h.user);
    return h.disorder;
}

START_TEST(keys_that_do_not_ascend_are_noticed_also_where_they_are_hidden)
{
    ck_assert(!is_disorder("a", 5, "b", 9));
    ck_assert(!is_disorder("a", 5, "a", 4));
    ck_assert(!is_disorder("a", 5, "a", 5)); /* once in each of two tables */
    ck_assert(is_disorder("b", 5, "a", 4));
    ck_assert(is_disorder("b", 5, "a", 9));
    ck_assert(is_disorder("a", 5, "a", 6)); /* the newer one would be dropped */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shadow");
    TCase *tc = tcase_create("shadow");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_key_written_over_and_over_is_flushed_once);
    tcase_add_test(tc, what_a_snapshot_sees_is_flushed_too);
    tcase_add_test(tc, a_cursor_from_before_the_flush_sees_what_it_saw);
    tcase_add_test(tc, a_deletion_is_flushed_it_hides_what_is_further_down);
    tcase_add_test(tc, so_is_what_is_replayed_from_a_log);
    tcase_add_test(tc, between_two_snapshots_the_newest_stays);
    tcase_add_test(tc, keys_that_do_not_ascend_are_noticed_also_where_they_are_hidden);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
