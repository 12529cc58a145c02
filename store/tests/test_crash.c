/* Power cuts and kills at every call of a workload, and of the recovery behind it. What a store
 * must show when it is opened again: a prefix of the commit order, with all that was acknowledged
 * as durable (after a kill: all that was acknowledged). The disk is copied before every call of a
 * running workload, as if the power went just then, and the copies are opened (crash_run.h). */
#include <stdio.h>
#include <stdlib.h>
#include "../base/error.h"
#include "crash_run.h"
#include "run_suite.h" /* last: it defines a macro `fail` */

START_TEST(one_writer_loses_nothing_that_it_synced)
{
    struct workload w;
    crash_init(&w, 1, 100, 20);
    crash_cut_everywhere(&w);
    crash_free(&w);
}
END_TEST

START_TEST(a_writer_that_never_syncs_finds_a_prefix)
{
    struct workload w;
    crash_init(&w, 1, 100, 0);
    crash_cut_everywhere(&w);
    crash_free(&w);
}
END_TEST

START_TEST(threads_that_sync_find_one_prefix_of_their_common_order)
{
    struct workload w;
    crash_init(&w, 4, 30, 40);
    crash_cut_everywhere(&w);
    crash_free(&w);
}
END_TEST

START_TEST(sync_writes_shown_only_when_durable_survive_as_well)
{
    struct workload w;
    crash_init(&w, 3, 25, 60);
    w.options.visible_when_durable = true;
    crash_cut_everywhere(&w);
    crash_free(&w);
}
END_TEST

START_TEST(logs_without_zeroes_ahead_and_one_immutable_survive_as_well)
{
    struct workload w;
    crash_init(&w, 2, 40, 30);
    w.options.zero_ahead_bytes = 0;
    w.options.max_immutables = 1;
    crash_cut_everywhere(&w);
    crash_free(&w);
}
END_TEST

/* A sync that takes its time: others append, switch memtables and flush meanwhile. */
START_TEST(what_is_appended_during_a_sync_is_not_taken_for_durable)
{
    struct workload w;
    crash_init(&w, 4, 25, 50);
    env_sim_set_sync_us(w.env, 300);
    crash_cut_everywhere(&w);
    crash_free(&w);
}
END_TEST

/* Each record of the MANIFEST is followed by a new MANIFEST: CURRENT is replaced all the time. */
START_TEST(cuts_while_the_MANIFEST_is_replaced_lose_nothing)
{
    struct workload w;
    crash_init(&w, 2, 40, 30);
    w.options.manifest_bytes = 1;
    crash_cut_everywhere(&w);
    MUST(w.manifests > 20, "%llu MANIFESTs", (unsigned long long)w.manifests);
    crash_free(&w);
}
END_TEST

START_TEST(compactions_that_keep_what_snapshots_see_can_be_cut)
{
    struct workload w;
    crash_init(&w, 3, 40, 20);
    w.snapshots = true;
    crash_cut_everywhere(&w);
    MUST(w.stats.compactions > 5, "too few compactions");
    crash_free(&w);
}
END_TEST

/* ---------------------------------------------------------------- recovery after recovery */

/* Opens the disk with a cut at call k of the recovery, and settles it. Returns whether there is
 * such a call. */
static bool recover_until(struct workload *w, struct env *disk, uint64_t k, uint64_t seed)
{
    struct store_options options = w->options;
    struct store *s = NULL;
    options.env = disk;
    env_sim_cut_at(disk, k);
    if (store_open(DIR, &options, &s) == 0)
        store_close(s);
    bool cut = env_sim_is_cut(disk);
    env_sim_survive(disk, SIM_RANDOM, seed);
    return cut;
}

/* The second recovery, cut at each of its calls; a third one must find it all. */
static void cut_second_recovery(struct workload *w, struct env *disk, uint64_t first,
                                uint64_t at_least)
{
    bool cut = true;
    for (uint64_t k = 1; cut; k++) {
        struct env *copy = env_sim_cut_copy(disk);
        char *what = mem_printf("cuts at call %llu of a recovery and %llu of the next one",
                                (unsigned long long)first, (unsigned long long)k);
        env_sim_survive(copy, SIM_KEEP_ALL, 0); /* nothing is pending on it */
        cut = recover_until(w, copy, k, w->seed + first * 1000 + k);
        crash_check_survivor(w, copy, at_least, what, false);
        env_sim_free(copy);
        free(what);
    }
}

/* Cut at each call of the first recovery, and from there at each call of the second. */
static void cut_recoveries(struct workload *w, struct env *cut, uint64_t at_least, uint64_t seed)
{
    bool more = true;
    for (uint64_t k = 1; more; k += w->stride) {
        struct env *disk = env_sim_cut_copy(cut);
        env_sim_survive(disk, SIM_RANDOM, seed);
        more = recover_until(w, disk, k, seed + k);
        cut_second_recovery(w, disk, k, at_least);
        env_sim_free(disk);
    }
}

START_TEST(recovery_can_be_cut_at_every_call_and_the_next_one_as_well)
{
    struct workload w;
    crash_init(&w, 2, 30, 30);
    int disks = sim_env_number("TORTURE", 0) ? 40 : 2;
    for (int round = 0; round < disks; round++) {
        w.options.manifest_bytes = round % 2 ? 1 : 1 << 20;
        env_sim_survive(w.env, SIM_KEEP_ALL, 0);
        crash_open(&w);
        crash_run_threads(&w, round);
        MUST(!w.ended, "the workload failed: %s", fail_text());
        struct env *cut = env_sim_cut_copy(w.env);
        cut_recoveries(&w, cut, history_acked_sync(&w.history), w.seed + (uint64_t)round);
        env_sim_free(cut);
        MUST(store_close(w.store) == 0, "close: %s", fail_text());
    }
    printf("%llu stores opened after cuts\n", (unsigned long long)w.opened);
    MUST(w.opened > 100, "too few");
    crash_free(&w);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {one_writer_loses_nothing_that_it_synced,
                                  a_writer_that_never_syncs_finds_a_prefix,
                                  threads_that_sync_find_one_prefix_of_their_common_order,
                                  sync_writes_shown_only_when_durable_survive_as_well,
                                  logs_without_zeroes_ahead_and_one_immutable_survive_as_well,
                                  what_is_appended_during_a_sync_is_not_taken_for_durable,
                                  cuts_while_the_MANIFEST_is_replaced_lose_nothing,
                                  compactions_that_keep_what_snapshots_see_can_be_cut,
                                  recovery_can_be_cut_at_every_call_and_the_next_one_as_well,
                                  NULL};
    return run_tests("crash", 3600, NULL, NULL, tests);
}
