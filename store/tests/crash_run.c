/* Cuts of the power and what must be there afterwards; see crash_run.h. */
#include "crash_run.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "../base/error.h"

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
    o->log_window_bytes = 8 << 10;
    o->l0_compact = 2;
}

void crash_open(struct workload *w)
{
    int rc = store_open(DIR, &w->options, &w->store);
    MUST(rc == 0, "open: %s", fail_text());
}

struct worker {
    struct workload *w;
    int thread;
    uint64_t seed;
    struct store_snapshot *held; /* so that compactions keep what it sees; or NULL */
};

static void change_held(struct worker *worker)
{
    struct store *s = worker->w->store;
    if (worker->held)
        store_snapshot_release(s, worker->held);
    worker->held = worker->held ? NULL : store_snapshot_take(s);
}

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
    for (int i = 0; i < w->commits && !w->ended; i++) {
        if (w->snapshots && sim_chance(&r, 20))
            change_held(worker);
        if (work_once(w, &r, worker->thread))
            w->ended = true;
    }
    if (worker->held)
        change_held(worker);
    return NULL;
}

void crash_run_threads(struct workload *w, int round)
{
    pthread_t threads[HISTORY_THREADS];
    struct worker workers[HISTORY_THREADS];
    int n = w->history.threads;
    for (int t = 0; t < n; t++) {
        workers[t] = (struct worker){w, t, w->seed * 1000 + (uint64_t)(round * 10 + t), NULL};
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

void crash_init(struct workload *w, int threads, int commits, int sync_percent)
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
    w->outcomes = torture ? 20 : 2;
}

void crash_free(struct workload *w)
{
    history_free(&w->history);
    env_sim_free(w->env);
}

/* ---------------------------------------------------------------- what must be there */

/* Opens the store on a disk that came back, with its background (so that what it does there is
 * checked, too). */
struct store *crash_open_survivor(struct workload *w, struct env *disk, const char *what)
{
    struct store_options options = w->options;
    struct store *s = NULL;
    options.env = disk;
    int rc = store_open(DIR, &options, &s);
    MUST(rc == 0, "%s: open: %s", what, fail_text());
    w->opened++;
    return s;
}

void crash_close_survivor(struct store *s, const char *what)
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
    struct store *s = crash_open_survivor(w, copy, what);
    MUST(store_last_sequence(s) == last, "%s: opened at %llu, and after another cut at %llu", what,
         (unsigned long long)last, (unsigned long long)store_last_sequence(s));
    history_check(h, s, last, what);
    crash_close_survivor(s, what);
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
    struct store *again = crash_open_survivor(w, copy, what);
    history_check(&h, again, history_acked_sync(&h), what);
    crash_close_survivor(again, what);
    env_sim_free(copy);
    history_free(&h);
}

void crash_check_survivor(struct workload *w, struct env *disk, uint64_t at_least, const char *what,
                          bool thoroughly)
{
    struct store *s = crash_open_survivor(w, disk, what);
    history_check(&w->history, s, at_least, what);
    if (thoroughly) {
        check_open_is_durable(w, disk, &w->history, store_last_sequence(s), what);
        check_goes_on(w, disk, s, &w->history, what);
        store_close(s);
    } else {
        crash_close_survivor(s, what);
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
    crash_check_survivor(w, disk, at_least, what, false);
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
    crash_check_survivor(w, disk, at_least, what, seed % 5 == 0);
    env_sim_free(disk);
    free(what);
}

/* Before each call of the workload: the disk as it is now, in all its outcomes. */
static int cut_here(void *arg, enum sim_call call, const char *path)
{
    struct workload *w = arg;
    uint64_t number = ++w->calls;
    if (call == SIM_CREATE && strstr(path, "/MANIFEST-"))
        w->manifests++;
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
    unsigned long long mapped = env_sim_count(w->env, SIM_WINDOW);
    printf("%llu calls, %llu of them through windows, %llu stores opened after a cut; %llu "
           "memtable switches, %llu flushes, %llu "
           "compactions, %llu MANIFESTs\n",
           (unsigned long long)w->calls, mapped, (unsigned long long)w->opened,
           (unsigned long long)w->stats.switches, (unsigned long long)w->stats.flushes,
           (unsigned long long)w->stats.compactions, (unsigned long long)w->manifests);
    fflush(stdout);
    MUST(w->calls > 100 && w->opened > 100, "the workload was too short");
    MUST(w->stats.switches > 3 && w->stats.flushes > 3 && w->stats.compactions > 0,
         "the workload was too small");
    MUST(mapped > 10 || w->sync_percent > 0, "plain writes without windows");
}

void crash_cut_everywhere(struct workload *w)
{
    env_sim_set_hook(w->env, cut_here, w);
    for (int round = 0; round < w->rounds; round++) {
        crash_open(w);
        crash_run_threads(w, round);
        MUST(!w->ended, "the workload failed: %s", fail_text());
        history_check(&w->history, w->store, history_acked(&w->history), "before closing");
        add_stats(w);
        int rc = store_close(w->store);
        MUST(rc == 0, "close: %s", fail_text());
    }
    env_sim_set_hook(w->env, NULL, NULL);
    check_stats(w);
}
