/* Power cuts and kills at every moment of a workload. What a store must show when it is opened
 * again: a prefix of the commit order, with all that was acknowledged as durable (after a kill: all
 * that was acknowledged).
 *
 * Two ways to cut. Most tests copy the disk before every call of a running workload, as if the
 * power went just then, and open the copies. The others cut the power under the running store: all
 * its calls fail from then on, its threads must come to an end, and the write under way may be
 * torn.
 *
 * SEED= repeats a run (as far as the threads allow); STRIDE=n takes each n-th call only; TORTURE=1
 * more outcomes of each call. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "../base/error.h"
#include "../store.h"
#include "env_sim.h"
#include "history.h"
#include <check.h> /* last: it defines a macro `fail` */

#define DIR "/db"

struct workload {
    struct env *env;
    struct store_options options;
    struct history history;
    struct store *store;
    uint64_t seed;
    int commits; /* of each thread, in each round */
    int rounds;  /* the store is closed and opened again between them */
    int sync_percent;
    atomic_bool ended; /* a thread met an error */
    /* the hook's */
    uint64_t stride;
    int outcomes; /* of SIM_RANDOM, besides the two extremes */
    atomic_uint_fast64_t calls, opened;
    struct store_stats stats; /* summed up over the rounds */
};

/* ---------------------------------------------------------------- the store under test */

/* Everything small, so that a short run switches memtables, flushes, compacts and rolls often. */
static void small_options(struct store_options *o, struct env *env)
{
    store_options_init(o);
    o->env = env;
    o->memtable_bytes = 8 << 10;
    o->table_bytes = 8 << 10;
    o->level_base_bytes = 16 << 10;
    o->block_bytes = 1024;
    o->cache_bytes = 32 << 10;
    o->zero_ahead_bytes = 8 << 10;
    o->l0_compact = 2;
}

static void open_store(struct workload *w)
{
    int rc = store_open(DIR, &w->options, &w->store);
    MUST(rc == 0, "open: %s", fail_text());
}

struct worker {
    struct workload *w;
    int thread;
    uint64_t seed;
};

static int work_once(struct workload *w, struct sim_random *r, int thread)
{
    uint64_t what = sim_below(r, 1000);
    if (what < 960)
        return history_commit(&w->history, w->store, thread,
                              sim_chance(r, (unsigned)w->sync_percent));
    if (what < 985)
        return history_sync(&w->history, w->store);
    if (what < 995)
        return store_flush(w->store);
    return store_compact(w->store, slice_of(NULL, 0), slice_of(NULL, 0));
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct workload *w = worker->w;
    struct sim_random r = {worker->seed};
    for (int i = 0; i < w->commits && !w->ended; i++)
        if (work_once(w, &r, worker->thread))
            w->ended = true;
    return NULL;
}

static void run_threads(struct workload *w, int round)
{
    pthread_t threads[HISTORY_THREADS];
    struct worker workers[HISTORY_THREADS];
    int n = w->history.threads;
    for (int t = 0; t < n; t++) {
        workers[t] = (struct worker){w, t, w->seed * 1000 + (uint64_t)(round * 10 + t)};
        MUST(pthread_create(&threads[t], NULL, work, &workers[t]) == 0, "thread");
    }
    for (int t = 0; t < n; t++)
        pthread_join(threads[t], NULL);
}

/* Once in each test. */
static void print_seed(uint64_t seed)
{
    static bool printed;
    if (!printed)
        printf("SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    printed = true;
}

static void workload_init(struct workload *w, int threads, int commits, int sync_percent)
{
    memset(w, 0, sizeof *w);
    w->env = env_sim_new();
    small_options(&w->options, w->env);
    w->seed = sim_env_number("SEED", (uint64_t)getpid());
    print_seed(w->seed);
    history_init(&w->history, w->seed, threads);
    w->commits = commits;
    w->rounds = 3;
    w->sync_percent = sync_percent;
    bool torture = sim_env_number("TORTURE", 0);
    w->stride = sim_env_number("STRIDE", 1);
    w->outcomes = torture ? 20 : 3;
}

static void workload_free(struct workload *w)
{
    history_free(&w->history);
    env_sim_free(w->env);
}

/* ---------------------------------------------------------------- what must be there */

/* Opens the store on a disk that came back, with its background (so that what it does there is
 * checked, too). */
static struct store *open_survivor(struct workload *w, struct env *disk, const char *what)
{
    struct store_options options = w->options;
    struct store *s = NULL;
    options.env = disk;
    int rc = store_open(DIR, &options, &s);
    MUST(rc == 0, "%s: open: %s", what, fail_text());
    w->opened++;
    return s;
}

static void close_survivor(struct store *s, const char *what)
{
    int rc = store_close(s);
    MUST(rc == 0, "%s: close: %s", what, fail_text());
}

/* What open showed once, it must show again after a cut at once, even the worst. */
static void check_open_is_durable(struct workload *w, struct env *disk, struct history *h,
                                  uint64_t last, const char *what)
{
    struct env *copy = env_sim_cut_copy(disk);
    env_sim_survive(copy, SIM_LOSE_ALL, 0);
    struct store *s = open_survivor(w, copy, what);
    MUST(store_last_sequence(s) == last, "%s: opened at %llu, and after another cut at %llu", what,
         (unsigned long long)last, (unsigned long long)store_last_sequence(s));
    history_check(h, s, last, what);
    close_survivor(s, what);
    env_sim_free(copy);
}

/* The store goes on from where it came back. */
static void check_goes_on(struct workload *w, struct env *disk, struct store *s,
                          struct history *original, const char *what)
{
    struct history h;
    history_copy(original, &h);
    history_rewind(&h, s);
    for (int i = 0; i < 12; i++) {
        int rc = history_commit(&h, s, i % h.threads, i % 4 == 3);
        MUST(rc == 0, "%s: commit: %s", what, fail_text());
    }
    struct env *copy = env_sim_cut_copy(disk);
    env_sim_survive(copy, SIM_LOSE_ALL, 0);
    struct store *again = open_survivor(w, copy, what);
    history_check(&h, again, history_acked_sync(&h), what);
    close_survivor(again, what);
    env_sim_free(copy);
    history_free(&h);
}

static void check_survivor(struct workload *w, struct env *disk, uint64_t at_least,
                           const char *what, bool thoroughly)
{
    struct store *s = open_survivor(w, disk, what);
    history_check(&w->history, s, at_least, what);
    if (thoroughly) {
        check_open_is_durable(w, disk, &w->history, store_last_sequence(s), what);
        check_goes_on(w, disk, s, &w->history, what);
        store_close(s);
    } else {
        close_survivor(s, what);
    }
}

/* A second cut while the store recovers from the first: at call k of the recovery. */
static void check_cut_in_recovery(struct workload *w, uint64_t at_least, uint64_t seed,
                                  struct env *cut)
{
    struct sim_random r = {seed};
    struct store_options options = w->options;
    struct env *disk = env_sim_cut_copy(cut);
    uint64_t k = 1 + sim_below(&r, 40);
    char *what = mem_printf("second cut, at call %llu of the recovery, outcome %llu",
                            (unsigned long long)k, (unsigned long long)seed);
    env_sim_survive(disk, SIM_RANDOM, seed);
    env_sim_cut_at(disk, k);
    options.env = disk;
    struct store *s = NULL;
    if (store_open(DIR, &options, &s) == 0)
        store_close(s);
    env_sim_survive(disk, SIM_RANDOM, seed + 1);
    check_survivor(w, disk, at_least, what, false);
    env_sim_free(disk);
    free(what);
}

/* ---------------------------------------------------------------- copies at every call */

static void check_outcome(struct workload *w, struct env *cut, enum sim_survival how, uint64_t seed,
                          uint64_t call, uint64_t at_least)
{
    static const char *const names[] = {"kill", "all unsynced lost", "random"};
    struct env *disk = env_sim_cut_copy(cut);
    char *what = mem_printf("cut before call %llu, %s, outcome %llu", (unsigned long long)call,
                            names[how], (unsigned long long)seed);
    env_sim_survive(disk, how, seed);
    check_survivor(w, disk, at_least, what, seed % 5 == 0);
    env_sim_free(disk);
    free(what);
}

/* Before each call of the workload: the disk as it is now, in all its outcomes. */
static int cut_here(void *arg, enum sim_call call, const char *path)
{
    struct workload *w = arg;
    (void)call;
    (void)path;
    uint64_t number = ++w->calls;
    if (number % w->stride)
        return 0;
    /* The promises first, the disk after: what is promised later need not be there. */
    uint64_t acked = history_acked(&w->history), acked_sync = history_acked_sync(&w->history);
    struct env *cut = env_sim_cut_copy(w->env);
    check_outcome(w, cut, SIM_KEEP_ALL, 1, number, acked);
    check_outcome(w, cut, SIM_LOSE_ALL, number, number, acked_sync);
    for (int i = 0; i < w->outcomes; i++) {
        uint64_t seed = w->seed + number * 100 + (uint64_t)i;
        check_outcome(w, cut, SIM_RANDOM, seed, number, acked_sync);
        check_cut_in_recovery(w, acked_sync, seed, cut);
    }
    env_sim_free(cut);
    return 0;
}

/* The run must have been what this file says it is. */
static void add_stats(struct workload *w)
{
    struct store_stats round;
    store_get_stats(w->store, &round);
    w->stats.switches += round.switches;
    w->stats.flushes += round.flushes;
    w->stats.compactions += round.compactions;
}

static void check_stats(const struct workload *w)
{
    printf("%llu calls, %llu stores opened after a cut; %llu memtable switches, %llu flushes, %llu "
           "compactions\n",
           (unsigned long long)w->calls, (unsigned long long)w->opened,
           (unsigned long long)w->stats.switches, (unsigned long long)w->stats.flushes,
           (unsigned long long)w->stats.compactions);
    fflush(stdout);
    MUST(w->calls > 100 && w->opened > 100, "the workload was too short");
    MUST(w->stats.switches > 3 && w->stats.flushes > 3 && w->stats.compactions > 0,
         "the workload was too small");
}

static void cut_everywhere(struct workload *w)
{
    env_sim_set_hook(w->env, cut_here, w);
    for (int round = 0; round < w->rounds; round++) {
        open_store(w);
        run_threads(w, round);
        MUST(!w->ended, "the workload failed: %s", fail_text());
        history_check(&w->history, w->store, history_acked(&w->history), "before closing");
        add_stats(w);
        int rc = store_close(w->store);
        MUST(rc == 0, "close: %s", fail_text());
    }
    env_sim_set_hook(w->env, NULL, NULL);
    check_stats(w);
}

START_TEST(one_writer_loses_nothing_that_it_synced)
{
    struct workload w;
    workload_init(&w, 1, 100, 20);
    cut_everywhere(&w);
    workload_free(&w);
}
END_TEST

START_TEST(a_writer_that_never_syncs_finds_a_prefix)
{
    struct workload w;
    workload_init(&w, 1, 100, 0);
    cut_everywhere(&w);
    workload_free(&w);
}
END_TEST

START_TEST(threads_that_sync_find_one_prefix_of_their_common_order)
{
    struct workload w;
    workload_init(&w, 4, 30, 40);
    cut_everywhere(&w);
    workload_free(&w);
}
END_TEST

START_TEST(sync_writes_shown_only_when_durable_survive_as_well)
{
    struct workload w;
    workload_init(&w, 3, 25, 60);
    w.options.visible_when_durable = true;
    cut_everywhere(&w);
    workload_free(&w);
}
END_TEST

START_TEST(logs_without_zeroes_ahead_and_one_immutable_survive_as_well)
{
    struct workload w;
    workload_init(&w, 2, 40, 30);
    w.options.zero_ahead_bytes = 0;
    w.options.max_immutables = 1;
    cut_everywhere(&w);
    workload_free(&w);
}
END_TEST

/* A sync that takes its time: others append, switch memtables and flush meanwhile. */
START_TEST(what_is_appended_during_a_sync_is_not_taken_for_durable)
{
    struct workload w;
    workload_init(&w, 4, 25, 50);
    env_sim_set_sync_us(w.env, 300);
    cut_everywhere(&w);
    workload_free(&w);
}
END_TEST

/* ---------------------------------------------------------------- the power goes under a running
 * store */

static char *describe(uint64_t k, int round)
{
    return mem_printf("cut at call %llu, round %d", (unsigned long long)k, round);
}

/* Runs until the cut, and closes. */
static void run_until_cut(struct workload *w, uint64_t k, int round)
{
    w->ended = false;
    env_sim_cut_at(w->env, k);
    if (store_open(DIR, &w->options, &w->store) == 0) {
        run_threads(w, round);
        int rc = store_close(w->store);
        MUST(rc == 0 || env_sim_is_cut(w->env), "close: %s", fail_text());
    }
}

/* Opens what came back, checks it, and goes on with the same history. */
static void check_and_go_on(struct workload *w, uint64_t at_least, const char *what)
{
    struct store *s = open_survivor(w, w->env, what);
    history_check(&w->history, s, at_least, what);
    history_rewind(&w->history, s);
    close_survivor(s, what);
}

static void live_through_cut(struct workload *w, uint64_t k, enum sim_survival how, int round)
{
    char *what = describe(k, round);
    run_until_cut(w, k, round);
    uint64_t at_least =
        how == SIM_KEEP_ALL ? history_acked(&w->history) : history_acked_sync(&w->history);
    env_sim_survive(w->env, how, w->seed + k);
    check_and_go_on(w, at_least, what);
    free(what);
}

/* The process is killed and starts again, is killed in its recovery perhaps, and then the power
 * goes. */
static void live_through_kill_and_cut(struct workload *w, struct sim_random *r, int round)
{
    uint64_t k = 1 + sim_below(r, 150);
    char *what = describe(k, round);
    run_until_cut(w, k, round);
    env_sim_restart(w->env);
    if (sim_chance(r, 50)) {
        env_sim_cut_at(w->env, 1 + sim_below(r, 40));
        if (store_open(DIR, &w->options, &w->store) == 0)
            store_close(w->store);
        env_sim_restart(w->env);
    }
    struct store *s = open_survivor(w, w->env, what);
    history_check(&w->history, s, history_acked(&w->history), what);
    uint64_t last = store_last_sequence(s);
    env_sim_cut_at(w->env, env_sim_count(w->env, SIM_ANY) + 1 + sim_below(r, 5));
    store_close(s);
    env_sim_survive(w->env, SIM_RANDOM, w->seed + k);
    check_and_go_on(w, last, what);
    free(what);
}

static int cuts_wanted(void)
{
    uint64_t stride = sim_env_number("STRIDE", 1);
    return sim_env_number("TORTURE", 0) ? 5000 : (int)(700 / stride + 10);
}

static void live_through_cuts(int threads, enum sim_survival how)
{
    struct workload w;
    workload_init(&w, threads, 30, 30);
    struct sim_random r = {w.seed};
    for (int i = 0; i < cuts_wanted(); i++)
        live_through_cut(&w, 1 + sim_below(&r, 200), how, i);
    workload_free(&w);
}

START_TEST(every_thread_comes_to_an_end_when_the_power_goes)
{
    live_through_cuts(4, SIM_RANDOM);
}
END_TEST

START_TEST(one_writer_lives_through_many_cuts)
{
    live_through_cuts(1, SIM_RANDOM);
}
END_TEST

START_TEST(a_killed_process_loses_nothing_that_was_acknowledged)
{
    live_through_cuts(3, SIM_KEEP_ALL);
}
END_TEST

START_TEST(a_power_cut_after_a_kill_loses_nothing_that_was_opened)
{
    for (int i = 0; i < cuts_wanted() / 10; i++) {
        struct workload w;
        workload_init(&w, 2, 20, 30);
        struct sim_random r = {w.seed + (uint64_t)i};
        w.seed += (uint64_t)i;
        for (int round = 0; round < 6; round++)
            live_through_kill_and_cut(&w, &r, round);
        workload_free(&w);
    }
}
END_TEST

/* The process is killed at each call of the store's making; the next one finds what it left, not
 * durable yet. */
START_TEST(a_store_whose_making_was_killed_is_durable_once_it_syncs)
{
    for (uint64_t k = 1; k <= 25; k++) {
        struct workload w;
        workload_init(&w, 1, 1, 100);
        char *what = describe(k, 0);
        env_sim_cut_at(w.env, k);
        if (store_open(DIR, &w.options, &w.store) == 0)
            store_close(w.store);
        env_sim_restart(w.env);
        struct store *s = open_survivor(&w, w.env, what);
        MUST(history_commit(&w.history, s, 0, true) == 0, "%s: commit: %s", what, fail_text());
        struct env *copy = env_sim_cut_copy(w.env);
        close_survivor(s, what);
        env_sim_survive(copy, SIM_LOSE_ALL, 0);
        check_survivor(&w, copy, history_acked_sync(&w.history), what, false);
        env_sim_free(copy);
        free(what);
        workload_free(&w);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crash");
    TCase *everywhere = tcase_create("everywhere"), *live = tcase_create("live");
    tcase_set_timeout(everywhere, 3600);
    tcase_add_test(everywhere, one_writer_loses_nothing_that_it_synced);
    tcase_add_test(everywhere, a_writer_that_never_syncs_finds_a_prefix);
    tcase_add_test(everywhere, threads_that_sync_find_one_prefix_of_their_common_order);
    tcase_add_test(everywhere, sync_writes_shown_only_when_durable_survive_as_well);
    tcase_add_test(everywhere, logs_without_zeroes_ahead_and_one_immutable_survive_as_well);
    tcase_add_test(everywhere, what_is_appended_during_a_sync_is_not_taken_for_durable);
    tcase_set_timeout(live, 3600);
    tcase_add_test(live, every_thread_comes_to_an_end_when_the_power_goes);
    tcase_add_test(live, one_writer_lives_through_many_cuts);
    tcase_add_test(live, a_power_cut_after_a_kill_loses_nothing_that_was_opened);
    tcase_add_test(live, a_store_whose_making_was_killed_is_durable_once_it_syncs);
    tcase_add_test(live, a_killed_process_loses_nothing_that_was_acknowledged);
    suite_add_tcase(suite, everywhere);
    suite_add_tcase(suite, live);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
