/* Power cuts and kills under a running store: all its calls fail from then on, its threads must
 * come to an end, and the write under way may be torn. What is opened afterwards is a prefix of the
 * commit order with all that was promised (crash_run.h), and the workload goes on from there. */
#include <stdio.h>
#include <stdlib.h>
#include "../base/error.h"
#include "crash_run.h"
#include "run_suite.h" /* last: it defines a macro `fail` */

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
        crash_run_threads(w, round);
        int rc = store_close(w->store);
        MUST(rc == 0 || env_sim_is_cut(w->env), "close: %s", fail_text());
    }
}

/* Opens what came back, checks it, and goes on with the same history. */
static void check_and_go_on(struct workload *w, uint64_t at_least, const char *what)
{
    struct store *s = crash_open_survivor(w, w->env, what);
    history_check(&w->history, s, at_least, what);
    history_rewind(&w->history, s);
    crash_close_survivor(s, what);
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
    struct store *s = crash_open_survivor(w, w->env, what);
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
    crash_init(&w, threads, 30, 30);
    struct sim_random r = {w.seed};
    for (int i = 0; i < cuts_wanted(); i++)
        live_through_cut(&w, 1 + sim_below(&r, 200), how, i);
    crash_free(&w);
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
        crash_init(&w, 2, 20, 30);
        struct sim_random r = {w.seed + (uint64_t)i};
        w.seed += (uint64_t)i;
        for (int round = 0; round < 6; round++)
            live_through_kill_and_cut(&w, &r, round);
        crash_free(&w);
    }
}
END_TEST

/* The process is killed at each call of the store's making; the next one finds what it left, not
 * durable yet. */
START_TEST(a_store_whose_making_was_killed_is_durable_once_it_syncs)
{
    for (uint64_t k = 1; k <= 25; k++) {
        struct workload w;
        crash_init(&w, 1, 1, 100);
        char *what = describe(k, 0);
        env_sim_cut_at(w.env, k);
        if (store_open(DIR, &w.options, &w.store) == 0)
            store_close(w.store);
        env_sim_restart(w.env);
        struct store *s = crash_open_survivor(&w, w.env, what);
        MUST(history_commit(&w.history, s, 0, true) == 0, "%s: commit: %s", what, fail_text());
        struct env *copy = env_sim_cut_copy(w.env);
        crash_close_survivor(s, what);
        env_sim_survive(copy, SIM_LOSE_ALL, 0);
        crash_check_survivor(&w, copy, history_acked_sync(&w.history), what, false);
        env_sim_free(copy);
        free(what);
        crash_free(&w);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {every_thread_comes_to_an_end_when_the_power_goes,
                                  one_writer_lives_through_many_cuts,
                                  a_killed_process_loses_nothing_that_was_acknowledged,
                                  a_power_cut_after_a_kill_loses_nothing_that_was_opened,
                                  a_store_whose_making_was_killed_is_durable_once_it_syncs,
                                  NULL};
    return run_tests("crash_live", 3600, NULL, NULL, tests);
}
