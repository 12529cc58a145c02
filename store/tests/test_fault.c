/* Each call of a workload fails once, in each way: nothing done, done in part, done and yet
 * reported as failed. Then: no acknowledged commit is lost, no write claims success after a failed
 * log append or sync, the failed sync is not tried again, reads go on, and what cannot hurt (the
 * info log, deleting what is not needed) stops nothing.
 *
 * SEED= repeats a run, STRIDE=n takes each n-th call only, TORTURE=1 makes many more runs. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "../base/error.h"
#include "../store.h"
#include "../version/file_name.h"
#include "env_sim.h"
#include "history.h"
#include "run_suite.h"
#include <check.h> /* last: it defines a macro `fail` */

#define DIR "/db"

struct bench {
    struct env *env;
    struct store_options options;
    struct history history;
    struct store *store;
    struct sim_random random;
    char *what; /* the case, for messages */
};

static void small_options(struct store_options *o, struct env *env)
{
    store_options_init(o);
    o->env = env;
    o->memtable_bytes = 8 << 10;
    o->table_bytes = 8 << 10;
    o->level_base_bytes = 16 << 10;
    o->block_bytes = 1024;
    o->zero_ahead_bytes = 8 << 10;
    o->log_window_bytes = 8 << 10;
    o->l0_compact = 2;
}

static uint64_t seed_of(void)
{
    return sim_env_number("SEED", (uint64_t)getpid());
}

static void bench_init(struct bench *b, uint64_t seed)
{
    memset(b, 0, sizeof *b);
    b->env = env_sim_new();
    small_options(&b->options, b->env);
    history_init(&b->history, seed, 2);
    b->random.state = seed;
}

static void bench_free(struct bench *b)
{
    history_free(&b->history);
    env_sim_free(b->env);
    free(b->what);
    b->what = NULL;
}

static int bench_open(struct bench *b)
{
    return store_open(DIR, &b->options, &b->store);
}

/* ---------------------------------------------------------------- the workload */

#define COMMITS 60

/* Ends at the first error. */
static int work(struct bench *b)
{
    int rc = 0;
    for (int i = 0; i < COMMITS && rc == 0; i++) {
        uint64_t what = sim_below(&b->random, 100);
        if (what < 90)
            rc = history_commit(&b->history, b->store, i % 2, sim_chance(&b->random, 25));
        else if (what < 96)
            rc = history_sync(&b->history, b->store);
        else if (what < 98)
            rc = store_flush(b->store);
        else
            rc = store_compact(b->store, slice_of(NULL, 0), slice_of(NULL, 0));
    }
    return rc;
}

/* ---------------------------------------------------------------- what a failure means */

enum gravity {
    HARMLESS, /* work goes on */
    EITHER,   /* an error may come of it, or not */
    FATAL,    /* no write may succeed any more */
};

/* The kind of a store's file by its whole path. */
static enum name_kind kind_of(const char *path)
{
    const char *name = strrchr(path, '/');
    uint64_t number;
    return name_parse(name ? name + 1 : path, &number);
}

/* For want of space only a sync stops the store: then nobody knows what was dropped. */
static enum gravity gravity_of(const struct sim_traced *t)
{
    enum name_kind kind = kind_of(t->path);
    if (kind == NAME_INFO_LOG || kind == NAME_RESERVE || t->call == SIM_UNLINK)
        return HARMLESS;
    if (space_lacks(t->result) && t->call != SIM_SYNC)
        return EITHER;
    if (kind == NAME_LOG && (t->call == SIM_WRITE || t->call == SIM_SYNC))
        return FATAL;
    if (kind == NAME_MANIFEST && (t->call == SIM_WRITE || t->call == SIM_SYNC))
        return FATAL;
    return EITHER;
}

/* After the failure no file whose sync failed may be synced again: it would claim success. */
static void check_no_second_sync(struct bench *b)
{
    const struct sim_traced *t;
    size_t count = env_sim_trace(b->env, &t), n = 0;
    while (n < count && !t[n].result)
        n++;
    if (n == count || t[n].call != SIM_SYNC)
        return;
    for (size_t m = n + 1; m < count; m++)
        MUST(t[m].call != SIM_SYNC || strcmp(t[m].path, t[n].path) != 0,
             "%s: %s is synced again after its failed sync", b->what, t[m].path);
}

/* Nothing is taken any more, and what was committed can be read. */
static void check_stopped(struct bench *b)
{
    for (int i = 0; i < 3; i++) {
        MUST(history_commit(&b->history, b->store, 0, false) < 0,
             "%s: a later write claims success", b->what);
        MUST(history_commit(&b->history, b->store, 1, true) < 0,
             "%s: a later sync write claims success", b->what);
        MUST(store_sync(b->store, 0) < 0, "%s: a later sync claims success", b->what);
    }
    MUST(store_background_error(b->store) < 0, "%s: no background error", b->what);
    MUST(strlen(fail_text()) > 0, "%s: no words", b->what);
}

/* There was no space for one call: the store takes writes again. */
static void check_goes_on(struct bench *b)
{
    for (int i = 0; i < 6; i++)
        MUST(history_commit(&b->history, b->store, i % 2, i % 3 == 0) == 0,
             "%s: a later write fails: %s", b->what, fail_text());
    MUST(history_sync(&b->history, b->store) == 0, "%s: %s", b->what, fail_text());
    MUST(store_flush(b->store) == 0, "%s: a later flush fails: %s", b->what, fail_text());
}

/* Every acknowledged commit can be read; a check of the whole order is for the reopened store,
 * since a failed commit is neither here nor there as yet. */
static void check_reads(struct bench *b)
{
    struct iter *it = store_iter(b->store, NULL);
    struct buf value = BUF_INIT;
    size_t forward = 0, backward = 0;
    for (iter_first(it); it->valid; iter_next(it)) {
        MUST(store_get(b->store, NULL, it->key, &value) == 0 &&
                 slice_equal(it->value, buf_slice(&value)),
             "%s: reads go on: %s", b->what, fail_text());
        forward++;
    }
    MUST(it->status == 0, "%s: reads go on: %s", b->what, fail_text());
    for (iter_last(it); it->valid; iter_prev(it))
        backward++;
    MUST(it->status == 0 && forward == backward, "%s: reads go on: %s", b->what, fail_text());
    iter_destroy(it);
    buf_free(&value);
}

/* ---------------------------------------------------------------- after it */

static void check_reopened(struct bench *b, struct env *disk, uint64_t at_least, const char *how)
{
    struct store_options options = b->options;
    struct store *s = NULL;
    char *what = mem_printf("%s; %s", b->what, how);
    options.env = disk;
    int rc = store_open(DIR, &options, &s);
    MUST(rc == 0, "%s: open: %s", what, fail_text());
    history_check(&b->history, s, at_least, what);
    rc = store_close(s);
    MUST(rc == 0, "%s: close: %s", what, fail_text());
    rc = store_open(DIR, &options, &s);
    MUST(rc == 0, "%s: open again: %s", what, fail_text());
    history_check(&b->history, s, at_least, what);
    store_close(s);
    free(what);
}

/* The power goes after the failure, in each way; or the process only ends, and starts again. */
static void check_afterwards(struct bench *b, bool sync_failed, uint64_t seed)
{
    uint64_t acked = history_acked(&b->history), acked_sync = history_acked_sync(&b->history);
    for (int how = SIM_KEEP_ALL; how <= SIM_RANDOM; how++) {
        struct env *disk = env_sim_cut_copy(b->env);
        env_sim_survive(disk, (enum sim_survival)how, seed);
        /* A failed sync threw plain commits away that no page cache has any more after a power cut.
         */
        check_reopened(b, disk, how == SIM_KEEP_ALL && !sync_failed ? acked : acked_sync,
                       "power cut");
        env_sim_free(disk);
    }
    check_reopened(b, b->env, acked, "process started again");
    struct env *disk = env_sim_cut_copy(b->env);
    env_sim_survive(disk, SIM_LOSE_ALL, seed);
    check_reopened(b, disk, acked, "started again, then a power cut");
    env_sim_free(disk);
}

/* ---------------------------------------------------------------- one case */

static void describe(struct bench *b, uint64_t seed, uint64_t k, int error, enum sim_damage damage)
{
    static const char *const damages[] = {"nothing done", "done in part", "done"};
    struct sim_traced t;
    bool failed = env_sim_first_failed(b->env, &t);
    free(b->what);
    b->what = mem_printf("SEED=%llu call %llu (%s %s) fails with %s, %s", (unsigned long long)seed,
                         (unsigned long long)k, failed ? env_sim_call_name(t.call) : "none",
                         failed ? t.path : "", fail_name(error), damages[damage]);
}

/* A background thread that met the failure needs a moment to say so. */
static void await_error(struct bench *b)
{
    for (int i = 0; i < 2000 && store_background_error(b->store) == 0; i++)
        usleep(1000);
}

/* Works until the store stops or the workload ends, and checks the store while it is open. */
static void work_and_check(struct bench *b, uint64_t seed, uint64_t k, int error,
                           enum sim_damage damage)
{
    int worked = work(b);
    if (worked == 0)
        worked = store_flush(b->store);
    struct sim_traced t;
    bool failed = env_sim_first_failed(b->env, &t), fatal = failed && gravity_of(&t) == FATAL;
    describe(b, seed, k, error, damage);
    MUST(failed || worked == 0, "%s: fails without a cause: %s", b->what, fail_text());
    MUST(worked == 0 || gravity_of(&t) != HARMLESS, "%s: stops for a trifle: %s", b->what,
         fail_text());
    if (fatal)
        await_error(b);
    bool stopped = store_background_error(b->store) != 0;
    MUST(stopped || !(fatal || (worked && !space_lacks(error))), "%s: is not stopped", b->what);
    if (stopped)
        check_stopped(b);
    else if (worked)
        check_goes_on(b);
    check_reads(b);
    int closed = store_close(b->store);
    MUST(closed < 0 || !stopped, "%s: close hides the failure", b->what);
    MUST(closed == 0 || env_sim_failed(b->env), "%s: close: %s", b->what, fail_text());
}

/* Returns whether the workload has as many calls. */
static bool fail_call(uint64_t seed, uint64_t k, int error, enum sim_damage damage)
{
    struct bench b;
    bench_init(&b, seed);
    env_sim_set_trace(b.env, true);
    env_sim_fail(b.env, SIM_ANY, k, error, damage);
    int opened = bench_open(&b);
    if (opened == 0)
        work_and_check(&b, seed, k, error, damage);
    struct sim_traced t;
    bool failed = env_sim_first_failed(b.env, &t);
    describe(&b, seed, k, error, damage);
    MUST(opened == 0 || (failed && gravity_of(&t) != HARMLESS), "%s: not opened: %s", b.what,
         fail_text());
    check_no_second_sync(&b);
    bool sync_failed = failed && t.call == SIM_SYNC;
    env_sim_fail(b.env, SIM_ANY, 0, -EIO, SIM_DONE_NOTHING);
    env_sim_set_trace(b.env, false);
    check_afterwards(&b, sync_failed, seed + k);
    bench_free(&b);
    return failed;
}

static void fail_each(int error, enum sim_damage damage)
{
    uint64_t first = seed_of(), stride = sim_env_number("STRIDE", 1);
    uint64_t runs = sim_env_number("TORTURE", 0) ? 50 : 4;
    for (uint64_t seed = first; seed < first + runs; seed++) {
        uint64_t k = 1;
        printf("SEED=%llu", (unsigned long long)seed);
        while (fail_call(seed, k, error, damage))
            k += stride;
        printf(": %llu calls\n", (unsigned long long)k);
        fflush(stdout);
        MUST(k > 60, "the workload was too short");
    }
}

START_TEST(an_io_error_at_any_call_loses_nothing)
{
    fail_each(-EIO, SIM_DONE_NOTHING);
}
END_TEST

START_TEST(a_short_write_on_a_full_disk_at_any_call_loses_nothing)
{
    fail_each(-ENOSPC, SIM_DONE_PART);
}
END_TEST

START_TEST(a_call_that_worked_and_yet_reports_an_error_loses_nothing)
{
    fail_each(-EIO, SIM_DONE_ALL);
}
END_TEST

/* ---------------------------------------------------------------- the log, call by call */

/* The write or sync of a log file that fails: the first after `skip` others. */
struct target {
    enum sim_call call;
    int skip, strikes;
};

static int strike_log(void *arg, enum sim_call call, const char *path)
{
    struct target *t = arg;
    if (call != t->call || kind_of(path) != NAME_LOG || t->strikes == 0)
        return 0;
    if (t->skip > 0) {
        t->skip--;
        return 0;
    }
    t->strikes--;
    return -EIO;
}

static void strike(enum sim_call call)
{
    struct bench b;
    struct target target = {call, 0, 1};
    bench_init(&b, 1);
    b.what = mem_printf("a failed log %s", env_sim_call_name(call));
    ck_assert_int_eq(bench_open(&b), 0);
    ck_assert_int_eq(history_commit(&b.history, b.store, 0, true), 0);
    ck_assert_int_eq(history_commit(&b.history, b.store, 0, false), 0);
    env_sim_set_hook(b.env, strike_log, &target);
    ck_assert_int_eq(history_commit(&b.history, b.store, 1, true), -EIO);
    ck_assert_int_eq(target.strikes, 0);
    check_stopped(&b);
    check_reads(&b);
    ck_assert_int_lt(store_close(b.store), 0);
    env_sim_set_hook(b.env, NULL, NULL);
    check_reopened(&b, b.env, history_acked(&b.history), "reopened");
    bench_free(&b);
}

START_TEST(a_failed_log_append_stops_all_later_writes)
{
    strike(SIM_WRITE);
}
END_TEST

START_TEST(a_failed_log_sync_stops_all_later_writes)
{
    strike(SIM_SYNC);
}
END_TEST

/* ---------------------------------------------------------------- many waiting writers */

#define WAITERS 4

struct waiter {
    struct bench *b;
    int thread, status;
};

static void *commit_until_it_fails(void *arg)
{
    struct waiter *w = arg;
    for (int i = 0; i < 100000 && w->status == 0; i++)
        w->status = history_commit(&w->b->history, w->b->store, w->thread, i % 3 == 0);
    return NULL;
}

START_TEST(all_waiting_writers_get_the_error)
{
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct bench b;
        struct target target = {seed % 2 ? SIM_WRITE : SIM_SYNC, 10 + (int)seed, 1};
        struct waiter waiters[WAITERS];
        pthread_t threads[WAITERS];
        bench_init(&b, seed);
        history_free(&b.history);
        history_init(&b.history, seed, WAITERS);
        b.what = mem_printf("seed %llu", (unsigned long long)seed);
        ck_assert_int_eq(bench_open(&b), 0);
        env_sim_set_hook(b.env, strike_log, &target);
        for (int t = 0; t < WAITERS; t++) {
            waiters[t] = (struct waiter){&b, t, 0};
            ck_assert_int_eq(pthread_create(&threads[t], NULL, commit_until_it_fails, &waiters[t]),
                             0);
        }
        for (int t = 0; t < WAITERS; t++) {
            pthread_join(threads[t], NULL);
            ck_assert_int_eq(waiters[t].status, -EIO);
        }
        ck_assert_int_eq(store_close(b.store), -EIO);
        env_sim_set_hook(b.env, NULL, NULL);
        check_reopened(&b, b.env, history_acked(&b.history), "reopened");
        bench_free(&b);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fault");
    TCase *each = tcase_create("each call"), *logs = tcase_create("log");
    tcase_set_timeout(each, 3600);
    tcase_add_test(each, an_io_error_at_any_call_loses_nothing);
    tcase_add_test(each, a_short_write_on_a_full_disk_at_any_call_loses_nothing);
    tcase_add_test(each, a_call_that_worked_and_yet_reports_an_error_loses_nothing);
    tcase_set_timeout(logs, 300);
    tcase_add_test(logs, a_failed_log_append_stops_all_later_writes);
    tcase_add_test(logs, a_failed_log_sync_stops_all_later_writes);
    tcase_add_test(logs, all_waiting_writers_get_the_error);
    suite_add_tcase(suite, each);
    suite_add_tcase(suite, logs);
    return run_suite(suite);
}
