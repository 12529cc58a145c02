/* Syncs without a thread that sleeps: store_sync_start, store_sync_needed, store_sync_run. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "../store.h"
#include "env_sim.h"
#include "run_suite.h"

static struct env *disk;
static struct store *store;

static void setup(void)
{
    struct store_options o;
    store_options_init(&o);
    o.env = disk = env_sim_new();
    ck_assert_int_eq(store_open("/db", &o, &store), 0);
}

static void teardown(void)
{
    store_close(store);
    env_sim_free(disk);
}

static void put(const char *key)
{
    ck_assert_int_eq(store_put(store, slice_of(key, strlen(key)), slice_of("value", 5), false), 0);
}

/* What `done` of a started sync saw. */
struct started {
    struct store_writer w; /* first */
    int calls, status;
    uint64_t durable;
};

static void note(struct store_writer *w)
{
    struct started *t = (struct started *)w;
    t->calls++;
    t->status = w->status;
    t->durable = store_durable_sequence(store);
}

static void start(struct started *t, uint64_t sequence)
{
    *t = (struct started){.w.done = note};
    store_sync_start(store, sequence, &t->w);
}

static void start_urgent(struct started *t)
{
    *t = (struct started){.w = {.done = note, .urgent = true}};
    store_sync_start(store, 0, &t->w);
}

START_TEST(it_is_done_by_the_thread_that_runs_the_round)
{
    struct started t;
    put("a");
    start(&t, 0);
    ck_assert_int_eq(t.calls, 0);
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_NOW);
    store_sync_run(store);
    ck_assert_int_eq(t.calls, 1);
    ck_assert_int_eq(t.status, 0);
    ck_assert_uint_ge(t.durable, 1);
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_NONE);
}
END_TEST

START_TEST(where_nothing_is_new_it_is_done_at_once)
{
    struct started t;
    put("a");
    ck_assert_int_eq(store_sync(store, 0), 0);
    uint64_t syncs = env_sim_count(disk, SIM_SYNC);
    start(&t, 0);
    ck_assert_int_eq(t.calls, 1);
    ck_assert_int_eq(t.status, 0);
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_NONE);
    ck_assert_uint_eq(env_sim_count(disk, SIM_SYNC), syncs);
}
END_TEST

START_TEST(many_share_one_flush)
{
    struct started t[20];
    store_sync(store, 0);
    for (int i = 0; i < 20; i++) {
        put((const char[]){(char)('a' + i), 0});
        start(&t[i], 0);
    }
    uint64_t syncs = env_sim_count(disk, SIM_SYNC);
    store_sync_run(store);
    ck_assert_uint_eq(env_sim_count(disk, SIM_SYNC), syncs + 1);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(t[i].calls, 1);
}
END_TEST

START_TEST(a_failed_flush_is_told_to_all_and_to_those_who_come_later)
{
    struct started first, second, later;
    put("a");
    start(&first, 0);
    start(&second, 0);
    env_sim_fail(disk, SIM_SYNC, env_sim_count(disk, SIM_SYNC) + 1, -EIO, SIM_DONE_NOTHING);
    store_sync_run(store);
    ck_assert_int_eq(first.status, -EIO);
    ck_assert_int_eq(second.status, -EIO);
    start(&later, 0);
    ck_assert_int_eq(later.calls, 1);
    ck_assert_int_eq(later.status, -EIO);
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_NONE);
}
END_TEST

START_TEST(a_thread_that_sleeps_for_a_sync_leads_for_those_started_too)
{
    struct started t;
    put("a");
    start(&t, 0);
    put("b");
    ck_assert_int_eq(store_sync(store, 0), 0);
    ck_assert_int_eq(t.calls, 1);
    ck_assert_int_eq(t.status, 0);
}
END_TEST

START_TEST(a_run_with_nothing_started_does_nothing)
{
    put("a");
    uint64_t syncs = env_sim_count(disk, SIM_SYNC);
    store_sync_run(store);
    ck_assert_uint_eq(env_sim_count(disk, SIM_SYNC), syncs);
}
END_TEST

/* A round that releases four, and the first of them again. */
static void return_from_a_cohort(struct started t[4])
{
    env_sim_set_sync_us(disk, 10000);
    for (int i = 0; i < 4; i++) {
        put("a");
        start(&t[i], 0);
    }
    store_sync_run(store);
    put("b");
    start(&t[0], 0);
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_LATER);
}

/* After a round that released several, their return is worth a short wait. */
START_TEST(the_next_round_waits_for_the_cohort_but_not_for_long)
{
    struct started t[4];
    return_from_a_cohort(t);
    env_sleep_us(disk, 30); /* by the disk's clock */
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_LATER);
    env_sleep_us(disk, 30);
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_NOW);
    store_sync_run(store);
    for (int i = 0; i < 4; i++) {
        put("c");
        start(&t[i], 0);
    }
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_NOW); /* the last round had one only */
    store_sync_run(store);
}
END_TEST

START_TEST(an_urgent_one_waits_for_nobody)
{
    struct started t[4], urgent;
    return_from_a_cohort(t);
    start_urgent(&urgent);
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_AT_ONCE);
    uint64_t syncs = env_sim_count(disk, SIM_SYNC);
    store_sync_run(store);
    ck_assert_uint_eq(env_sim_count(disk, SIM_SYNC), syncs + 1);
    ck_assert_int_eq(t[0].calls, 1);
    ck_assert_int_eq(urgent.calls, 1);
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_NONE);
}
END_TEST

/* A round of an urgent one, and of `others`. */
static void run_urgent_round(int others)
{
    struct started t[4], urgent;
    put("a");
    for (int i = 0; i < others; i++)
        start(&t[i], 0);
    start_urgent(&urgent);
    store_sync_run(store);
}

START_TEST(behind_a_round_shared_with_an_urgent_one_the_next_one_of_those_is_waited_for)
{
    struct started t, urgent;
    env_sim_set_sync_us(disk, 1000);
    run_urgent_round(1);
    put("b");
    start(&t, 0);
    env_sleep_us(disk, 150);
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_LATER);
    start_urgent(&urgent);
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_AT_ONCE);
    store_sync_run(store);

    put("c");
    start(&t, 0);
    env_sleep_us(disk, 200); /* none comes */
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_NOW);
    store_sync_run(store);
    put("d");
    start(&t, 0); /* none is expected any more */
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_NOW);
    store_sync_run(store);
}
END_TEST

/* One program alone, which syncs a file and its folder in turn, must not wait for itself. */
START_TEST(behind_a_round_of_an_urgent_one_alone_none_is_waited_for)
{
    struct started t;
    env_sim_set_sync_us(disk, 1000);
    run_urgent_round(0);
    put("b");
    start(&t, 0);
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_NOW);
    store_sync_run(store);
}
END_TEST

/* ---- closing, and what happens before anybody has led */

static void close_store(void)
{
    store_close(store);
    store = NULL;
}

static void note_status(struct store_writer *w)
{
    struct started *t = (struct started *)w;
    t->calls++;
    t->status = w->status;
}

static void start_before_close(struct started *t)
{
    *t = (struct started){.w.done = note_status};
    store_sync_start(store, 0, &t->w);
}

START_TEST(closing_leads_for_those_who_still_wait)
{
    struct started t;
    put("a");
    start_before_close(&t);
    close_store();
    ck_assert_int_eq(t.calls, 1);
    ck_assert_int_eq(t.status, 0);
}
END_TEST

START_TEST(closing_serves_those_whom_a_flush_has_made_durable)
{
    struct started t;
    put("a");
    start_before_close(&t);
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    ck_assert_uint_ge(store_durable_sequence(store), 1);
    ck_assert_int_eq(t.calls, 0);
    close_store();
    ck_assert_int_eq(t.calls, 1);
    ck_assert_int_eq(t.status, 0);
}
END_TEST

START_TEST(what_a_flush_has_made_durable_needs_no_fdatasync_of_the_log)
{
    struct started t;
    put("a");
    start(&t, 0);
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    uint64_t syncs = env_sim_count(disk, SIM_SYNC);
    ck_assert_int_eq(store_sync_needed(store), STORE_SYNC_NOW);
    store_sync_run(store);
    ck_assert_int_eq(t.calls, 1);
    ck_assert_uint_eq(env_sim_count(disk, SIM_SYNC), syncs);
}
END_TEST

START_TEST(closing_a_broken_store_tells_those_who_still_wait)
{
    struct started t;
    put("a");
    start_before_close(&t);
    env_sim_fail(disk, SIM_WRITE, env_sim_count(disk, SIM_WRITE) + 1, -EIO, SIM_DONE_NOTHING);
    ck_assert_int_eq(store_put(store, slice_of("b", 1), slice_of("b", 1), false), -EIO);
    ck_assert_int_eq(t.calls, 0);
    close_store();
    ck_assert_int_eq(t.calls, 1);
    ck_assert_int_eq(t.status, -EIO);
}
END_TEST

/* ---- many threads: starters, who also run; sleepers; plain writers */

enum { THREADS = 6, ROUNDS = 300 };
static atomic_int undone;

static void note_one(struct store_writer *w)
{
    ck_assert_int_eq(w->status, 0);
    ck_assert_uint_ge(store_durable_sequence(store), w->sequence);
    free(w);
    atomic_fetch_sub(&undone, 1);
}

static void *start_and_run(void *arg)
{
    char key[2] = {(char)('a' + *(int *)arg), 0};
    for (int i = 0; i < ROUNDS; i++) {
        struct store_writer *w = calloc(1, sizeof *w);
        put(key);
        w->done = note_one;
        atomic_fetch_add(&undone, 1);
        store_sync_start(store, 0, w);
        if (i % 3)
            store_sync_run(store);
    }
    return NULL;
}

static void *sleep_for_it(void *arg)
{
    char key[2] = {(char)('a' + *(int *)arg), 0};
    for (int i = 0; i < ROUNDS; i++) {
        put(key);
        ck_assert_int_eq(store_sync(store, 0), 0);
    }
    return NULL;
}

START_TEST(starters_and_sleepers_are_all_served_once)
{
    pthread_t thread[THREADS];
    int number[THREADS];
    for (int i = 0; i < THREADS; i++) {
        number[i] = i;
        pthread_create(&thread[i], NULL, i % 2 ? sleep_for_it : start_and_run, &number[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    store_sync_run(store);
    ck_assert_int_eq(atomic_load(&undone), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sync_start");
    TCase *tc = tcase_create("sync_start");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, it_is_done_by_the_thread_that_runs_the_round);
    tcase_add_test(tc, where_nothing_is_new_it_is_done_at_once);
    tcase_add_test(tc, many_share_one_flush);
    tcase_add_test(tc, a_failed_flush_is_told_to_all_and_to_those_who_come_later);
    tcase_add_test(tc, a_thread_that_sleeps_for_a_sync_leads_for_those_started_too);
    tcase_add_test(tc, a_run_with_nothing_started_does_nothing);
    tcase_add_test(tc, the_next_round_waits_for_the_cohort_but_not_for_long);
    tcase_add_test(tc, an_urgent_one_waits_for_nobody);
    tcase_add_test(tc,
                   behind_a_round_shared_with_an_urgent_one_the_next_one_of_those_is_waited_for);
    tcase_add_test(tc, behind_a_round_of_an_urgent_one_alone_none_is_waited_for);
    tcase_add_test(tc, closing_leads_for_those_who_still_wait);
    tcase_add_test(tc, closing_serves_those_whom_a_flush_has_made_durable);
    tcase_add_test(tc, what_a_flush_has_made_durable_needs_no_fdatasync_of_the_log);
    tcase_add_test(tc, closing_a_broken_store_tells_those_who_still_wait);
    tcase_add_test(tc, starters_and_sleepers_are_all_served_once);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
