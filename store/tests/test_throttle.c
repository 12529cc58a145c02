/* How writers are slowed down: the controller alone, with any load and any time
 * (commit/throttle.h), and a store whose background is slow. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include "../commit/throttle.h"
#include "../store.h"
#include "env_sim.h"
#include "history.h"
#include "run_suite.h"
#include <check.h> /* last: it defines a macro `fail` */

#define MIB (1ull << 20)
#define MS 1000000ull
#define SECOND 1000000000ull

static struct throttle_load idle(void)
{
    return (struct throttle_load){
        .level0_slow = 8,
        .level0_stop = 12,
        .debt_soft = 100 * MIB,
        .debt_hard = 300 * MIB,
        .max_immutables = 2,
        .memtable_limit = 4 * MIB,
    };
}

/* ---------------------------------------------------------------- pressure and rate */

static double larger_pressure(const struct throttle_load *l)
{
    double flush = throttle_flush_pressure(l), compact = throttle_compact_pressure(l);
    return flush > compact ? flush : compact;
}

START_TEST(a_store_that_keeps_up_is_not_slowed_down)
{
    struct throttle_load l = idle();
    l.level0 = 7;
    l.debt = 100 * MIB;
    l.immutables = 1;
    l.memtable = 4 * MIB;
    ck_assert(larger_pressure(&l) == 0);
    ck_assert_uint_eq(throttle_rate(0, 10 * MIB), 0);
}
END_TEST

START_TEST(each_table_of_level_zero_takes_as_much_of_the_rate)
{
    struct throttle_load l = idle();
    double last = 0;
    for (l.level0 = 8; l.level0 <= 12; l.level0++) {
        double now = larger_pressure(&l);
        ck_assert_double_eq_tol(now - last, 0.2, 1e-9);
        last = now;
    }
    ck_assert(last == 1);
    l.level0 = 40;
    ck_assert(larger_pressure(&l) == 1);
}
END_TEST

START_TEST(the_debt_counts_between_its_limits)
{
    struct throttle_load l = idle();
    l.debt = 200 * MIB;
    ck_assert_double_eq_tol(larger_pressure(&l), 0.5, 1e-9);
    l.debt = 1000 * MIB;
    ck_assert(larger_pressure(&l) == 1);
    l.debt_hard = 0;
    ck_assert(larger_pressure(&l) == 0);
}
END_TEST

START_TEST(the_last_memtable_slows_writers_down_as_it_fills)
{
    struct throttle_load l = idle();
    l.immutables = 2;
    ck_assert(larger_pressure(&l) == 0);
    l.memtable = 3 * MIB;
    ck_assert_double_eq_tol(larger_pressure(&l), 0.75, 1e-9);
    ck_assert(throttle_compact_pressure(&l) == 0);
    l.memtable = 5 * MIB;
    ck_assert(larger_pressure(&l) == 1);
}
END_TEST

START_TEST(the_tightest_of_all_decides)
{
    struct throttle_load l = idle();
    l.level0 = 8;
    l.debt = 250 * MIB;
    l.immutables = 2;
    l.memtable = MIB;
    ck_assert_double_eq_tol(larger_pressure(&l), 0.75, 1e-9);
}
END_TEST

START_TEST(the_rate_falls_in_a_line_and_never_to_nothing)
{
    ck_assert_uint_eq(throttle_rate(0.5, 10 * MIB), 10 * MIB);
    ck_assert_uint_eq(throttle_rate(0.25, 10 * MIB), 15 * MIB);
    ck_assert_uint_eq(throttle_rate(1, 10 * MIB), MIB);
    ck_assert_uint_eq(throttle_rate(1, 1), MIB);
    ck_assert_uint_gt(throttle_rate(0.5, 0), MIB); /* nothing measured yet */
}
END_TEST

START_TEST(the_meter_follows_what_it_sees)
{
    struct throttle_meter m = {0};
    throttle_meter_add(&m, 10 * MIB, SECOND);
    ck_assert_uint_eq(m.rate, 10 * MIB);
    for (int i = 0; i < 30; i++)
        throttle_meter_add(&m, 10 * MIB, SECOND / 4);
    ck_assert_uint_gt(m.rate, 39 * MIB);
    ck_assert_uint_le(m.rate, 40 * MIB);
    throttle_meter_add(&m, 0, SECOND); /* says nothing */
    ck_assert_uint_gt(m.rate, 39 * MIB);
    throttle_meter_add(&m, 1, 0);
    ck_assert_uint_gt(m.rate, 0);
}
END_TEST

/* ---------------------------------------------------------------- the bucket */

/* One writer in a closed loop that does nothing but write; how many bytes it gets through. */
static uint64_t write_for(uint64_t ns, uint64_t rate, uint64_t bytes, uint64_t *longest)
{
    struct throttle t = {0};
    uint64_t now = SECOND, done = 0;
    while (now < SECOND + ns) {
        uint64_t wait = throttle_charge(&t, rate, bytes, now);
        *longest = wait > *longest ? wait : *longest;
        now += wait + 1000;
        done += bytes;
    }
    return done;
}

START_TEST(a_writer_gets_the_rate_whatever_the_size_of_its_writes)
{
    static const uint64_t sizes[] = {20, 116, 4096, 100000};
    for (int i = 0; i < 4; i++) {
        uint64_t longest = 0, done = write_for(10 * SECOND, 10 * MIB, sizes[i], &longest);
        ck_assert_uint_gt(done, 95 * MIB);
        ck_assert_uint_lt(done, 105 * MIB);
        ck_assert_uint_le(longest, THROTTLE_MAX_NS);
    }
}
END_TEST

START_TEST(small_writes_wait_in_small_steps)
{
    uint64_t longest = 0;
    write_for(SECOND, 10 * MIB, 116, &longest);
    ck_assert_uint_ge(longest, THROTTLE_STEP_NS);
    ck_assert_uint_lt(longest, 2 * THROTTLE_STEP_NS);
}
END_TEST

START_TEST(a_small_write_pays_little_for_a_large_one_before_it)
{
    struct throttle t = {0};
    ck_assert_uint_ge(throttle_charge(&t, 10 * MIB, 400 << 10, SECOND), 39 * MS);
    uint64_t small = throttle_charge(&t, 10 * MIB, 100, SECOND);
    ck_assert_uint_le(small, THROTTLE_OTHERS_NS + MS / 10);
}
END_TEST

START_TEST(no_write_sleeps_longer_than_the_bound)
{
    struct throttle t = {0};
    for (int i = 0; i < 100; i++)
        ck_assert_uint_le(throttle_charge(&t, MIB, 200 * MIB, SECOND), THROTTLE_MAX_NS);
    ck_assert_uint_eq(throttle_charge(&t, MIB, 100, 2 * SECOND), 0); /* what is past is forgiven */
}
END_TEST

START_TEST(writers_at_once_share_one_rate)
{
    struct throttle t = {0};
    uint64_t now = SECOND, done = 0;
    while (now < 11 * SECOND) {
        uint64_t longest = 0;
        for (int i = 0; i < 4; i++, done += 4096) {
            uint64_t wait = throttle_charge(&t, 10 * MIB, 4096, now);
            longest = wait > longest ? wait : longest;
        }
        now += longest ? longest : 1000;
    }
    ck_assert_uint_gt(done, 95 * MIB);
    ck_assert_uint_lt(done, 105 * MIB);
}
END_TEST

/* ---------------------------------------------------------------- a store */

static struct env *env;

static void setup(void)
{
    env = env_sim_new();
    env_sim_set_real_time(env, true);
}

static void teardown(void)
{
    env_sim_free(env);
}

/* A disk that takes so long to sync a table. */
static useconds_t table_us;

static int slow_tables(void *arg, enum sim_call call, const char *path)
{
    size_t len = strlen(path);
    (void)arg;
    if (call == SIM_SYNC && len > 4 && strcmp(path + len - 4, ".ldb") == 0)
        usleep(table_us);
    return 0;
}

static struct store_stats write_much(enum store_delay how)
{
    struct store_options o;
    struct store_stats st;
    struct store *s;
    char key[16], value[1000];
    store_options_init(&o);
    o.env = env;
    o.write_delay = how;
    o.memtable_bytes = 256 << 10;
    o.table_bytes = 1 << 20;
    o.compression = STORE_COMPRESS_NONE;
    memset(value, 'v', sizeof value);
    MUST(store_open("/db", &o, &s) == 0, "%s", fail_text());
    env_sim_set_hook(env, slow_tables, NULL);
    for (int i = 0; i < 12000; i++) {
        snprintf(key, sizeof key, "%06d", i * 7919 % 12000);
        MUST(store_put(s, slice_str(key), slice_of(value, sizeof value), false) == 0, "%s",
             fail_text());
    }
    store_get_stats(s, &st);
    env_sim_set_hook(env, NULL, NULL);
    MUST(store_close(s) == 0, "%s", fail_text());
    MUST(store_destroy("/db", env) == 0, "%s", fail_text());
    return st;
}

START_TEST(writers_of_a_slow_store_are_slowed_down_before_they_are_stopped)
{
    struct store_stats simple, smooth;
    for (table_us = 10000;; table_us *= 2) { /* on a busy machine the writer is slow, too */
        simple = write_much(STORE_DELAY_SIMPLE);
        if (simple.stalls > 10)
            break;
        MUST(table_us < 100000, "%llu stalls: the disk is too fast for this test",
             (unsigned long long)simple.stalls);
    }
    smooth = write_much(STORE_DELAY_SMOOTH);
    MUST(smooth.stalls * 4 < simple.stalls, "%llu stalls, %llu without the smooth delay",
         (unsigned long long)smooth.stalls, (unsigned long long)simple.stalls);
    ck_assert_uint_gt(smooth.delays, 0);
    ck_assert_uint_gt(smooth.delayed_us, 0);
    ck_assert_uint_ge(smooth.delayed_us, smooth.longest_wait_us);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("throttle");
    TCase *alone = tcase_create("controller"), *whole = tcase_create("store");
    tcase_add_test(alone, a_store_that_keeps_up_is_not_slowed_down);
    tcase_add_test(alone, each_table_of_level_zero_takes_as_much_of_the_rate);
    tcase_add_test(alone, the_debt_counts_between_its_limits);
    tcase_add_test(alone, the_last_memtable_slows_writers_down_as_it_fills);
    tcase_add_test(alone, the_tightest_of_all_decides);
    tcase_add_test(alone, the_rate_falls_in_a_line_and_never_to_nothing);
    tcase_add_test(alone, the_meter_follows_what_it_sees);
    tcase_add_test(alone, a_writer_gets_the_rate_whatever_the_size_of_its_writes);
    tcase_add_test(alone, small_writes_wait_in_small_steps);
    tcase_add_test(alone, a_small_write_pays_little_for_a_large_one_before_it);
    tcase_add_test(alone, no_write_sleeps_longer_than_the_bound);
    tcase_add_test(alone, writers_at_once_share_one_rate);
    tcase_add_checked_fixture(whole, setup, teardown);
    tcase_set_timeout(whole, 120);
    tcase_add_test(whole, writers_of_a_slow_store_are_slowed_down_before_they_are_stopped);
    suite_add_tcase(suite, alone);
    suite_add_tcase(suite, whole);
    return run_suite(suite);
}
