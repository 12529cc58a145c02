/* Space that comes and goes at random, calls that lack it at random, and writers beside each other
 * all the while a disk is full: what was acknowledged stays.
 *
 * SEED= repeats a run (as far as threads repeat), ITERATIONS= sets how many each test makes. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/error.h"
#include "full_disk.h"
#include "history.h"
#include "run_suite.h"

static uint64_t iterations(uint64_t by_default)
{
    return sim_env_number("ITERATIONS", by_default);
}

/* For some seconds: a flush that found no space may pause. */
static void commit_with_space_again(struct history *h, const char *what)
{
    int rc = -ENOSPC;
    for (int i = 0; rc == -ENOSPC && i < 3000; i++) {
        rc = history_commit(h, full.store, 0, true);
        if (rc)
            usleep(1000);
    }
    MUST(rc == 0, "%s: with space again: %s", what, fail_text());
}

/* A store opened from a copy of the disk has what was promised. */
static void check_after_a_cut(struct history *h, enum sim_survival how, uint64_t seed,
                              const char *what)
{
    struct env *copy = env_sim_cut_copy(full.disk);
    struct store_options with = full.options;
    struct store *s;
    env_sim_survive(copy, how, seed);
    with.env = copy;
    MUST(store_open(FULL_DIR, &with, &s) == 0, "%s: open: %s", what, fail_text());
    history_check(h, s, history_acked_sync(h), what);
    store_close(s);
    env_sim_free(copy);
}

/* Space comes and goes while two threads' histories grow; the store is never opened again, and each
 * look at a copy of its disk finds all that was promised. */
static void come_and_go(uint64_t seed)
{
    struct sim_random r = {seed};
    struct history h;
    char *what = mem_printf("SEED=%llu", (unsigned long long)seed);
    history_init(&h, seed, 2);
    for (int round = 0; round < 12; round++) {
        struct env_space space;
        env_space(full.disk, FULL_DIR, &space);
        uint64_t used = space.total - space.available;
        bool lasting = sim_chance(&r, 60);
        env_sim_set_capacity(full.disk, used + sim_below(&r, 64 * KB) + 1);
        for (int i = 0; i < 120; i++) {
            int rc = history_commit(&h, full.store, i % 2, sim_chance(&r, 20));
            MUST(rc == 0 || rc == -ENOSPC, "%s: %s", what, fail_text());
            if (rc && !lasting)
                break;
        }
        MUST(store_background_error(full.store) == 0, "%s: %s", what, fail_text());
        check_after_a_cut(&h, sim_chance(&r, 50) ? SIM_RANDOM : SIM_LOSE_ALL, seed, what);
        env_sim_set_capacity(full.disk, 0);
        commit_with_space_again(&h, what);
    }
    history_check(&h, full.store, history_acked(&h), what);
    int rc = store_close(full.store);
    MUST(rc == 0, "%s: close: %s", what, fail_text());
    full_open();
    history_check(&h, full.store, history_acked(&h), what);
    history_free(&h);
    free(what);
}

START_TEST(space_that_comes_and_goes_loses_nothing)
{
    uint64_t first = sim_env_number("SEED", (uint64_t)getpid());
    for (uint64_t seed = first; seed < first + iterations(8); seed++) {
        printf("SEED=%llu\n", (unsigned long long)seed);
        fflush(stdout);
        come_and_go(seed);
        full_tear_down();
        full_set_up();
    }
}
END_TEST

/* The calls that take space fail from the k-th on, so many in a row, wherever that falls. */
struct window {
    uint64_t skip, length; /* changed by the disk's callers in turn: atomic */
};

static int lack_space(void *arg, enum sim_call call, const char *path)
{
    struct window *w = arg;
    (void)path;
    if (call != SIM_WRITE && call != SIM_CREATE)
        return 0;
    if (__atomic_load_n(&w->skip, __ATOMIC_RELAXED) > 0) {
        __atomic_fetch_sub(&w->skip, 1, __ATOMIC_RELAXED);
        return 0;
    }
    if (__atomic_load_n(&w->length, __ATOMIC_RELAXED) == 0)
        return 0;
    __atomic_fetch_sub(&w->length, 1, __ATOMIC_RELAXED);
    return -ENOSPC;
}

static void lack_space_for_a_while(uint64_t seed, uint64_t skip, uint64_t length)
{
    struct window w = {skip, length};
    struct history h;
    char *what = mem_printf("SEED=%llu calls %llu to %llu", (unsigned long long)seed,
                            (unsigned long long)skip, (unsigned long long)(skip + length));
    history_init(&h, seed, 2);
    env_sim_set_hook(full.disk, lack_space, &w);
    for (int i = 0; i < 60; i++) {
        int rc = history_commit(&h, full.store, i % 2, i % 4 == 0);
        MUST(rc == 0 || rc == -ENOSPC, "%s: %s", what, fail_text());
    }
    env_sim_set_hook(full.disk, NULL, NULL);
    MUST(store_background_error(full.store) == 0, "%s: %s", what, fail_text());
    commit_with_space_again(&h, what);
    history_check(&h, full.store, history_acked(&h), what);
    check_after_a_cut(&h, SIM_LOSE_ALL, seed, what);
    history_free(&h);
    free(what);
}

START_TEST(a_window_of_calls_without_space_loses_nothing)
{
    uint64_t seed = sim_env_number("SEED", (uint64_t)getpid());
    struct sim_random r = {seed};
    printf("SEED=%llu\n", (unsigned long long)seed);
    for (uint64_t skip = 0; skip < iterations(120); skip++) {
        lack_space_for_a_while(seed, skip, 1 + sim_below(&r, 30));
        full_tear_down();
        full_set_up();
    }
}
END_TEST

/* ---------------------------------------------------------------- threads */

/* Writers that put and writers that delete side by side, all the while the disk is full. */
#define CROWD 4

struct member {
    pthread_t thread;
    int number, deleted;
    bool stop;
};

static void *put_all_the_time(void *arg)
{
    struct member *m = arg;
    for (int i = 0; !__atomic_load_n(&m->stop, __ATOMIC_RELAXED); i++) {
        int rc = full_put(100000 * (m->number + 1) + i, i % 4 == 0);
        MUST(rc == 0 || rc == -ENOSPC, "put: %s", fail_text());
    }
    return NULL;
}

START_TEST(deletes_get_through_beside_writers_that_fill_the_disk)
{
    struct member crowd[CROWD];
    int n = full_fill();
    for (int t = 0; t < CROWD; t++) {
        crowd[t] = (struct member){.number = t};
        ck_assert_int_eq(pthread_create(&crowd[t].thread, NULL, put_all_the_time, &crowd[t]), 0);
    }
    for (int i = 0; i < n; i++)
        MUST(full_drop_patiently(i) == 0, "delete %d of %d: %s", i, n, fail_text());
    for (int t = 0; t < CROWD; t++) {
        __atomic_store_n(&crowd[t].stop, true, __ATOMIC_RELAXED);
        pthread_join(crowd[t].thread, NULL);
    }
    full_must_lack(full.store, 0, n);
    ck_assert_int_eq(store_background_error(full.store), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("full disk, random");
    TCase *at_random = tcase_create("at_random");
    tcase_add_test(at_random, space_that_comes_and_goes_loses_nothing);
    tcase_add_test(at_random, a_window_of_calls_without_space_loses_nothing);
    tcase_add_test(at_random, deletes_get_through_beside_writers_that_fill_the_disk);
    tcase_set_timeout(at_random, 300);
    tcase_add_checked_fixture(at_random, full_set_up, full_tear_down);
    suite_add_tcase(suite, at_random);
    setvbuf(stdout, NULL, _IOLBF, 0);
    return run_suite(suite);
}
