/* The background of a store whose disk is full: flushes, compactions and the MANIFEST are tried
 * again, what is deleted is brought down, and nobody waits for what cannot come. */
#include <check.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../base/error.h"
#include "full_disk.h"
#include "run_suite.h"

/* A flush or compaction under way may have found no space a moment before there was some. */
static int compact_patiently(void)
{
    int rc = -ENOSPC;
    for (int tries = 0; rc == -ENOSPC && tries < 3000; tries++) {
        rc = store_compact(full.store, slice_of(NULL, 0), slice_of(NULL, 0));
        if (rc)
            usleep(1000);
    }
    return rc;
}

static enum name_kind kind_of(const char *path)
{
    const char *name = strrchr(path, '/');
    uint64_t number;
    return name_parse(name ? name + 1 : path, &number);
}

/* Until what finds no space pauses for long. */
static void await_a_long_pause(void)
{
    struct store_stats stats;
    do {
        usleep(1000);
        store_get_stats(full.store, &stats);
    } while (stats.space_retries < 7);
}

/* With a reserve there is always somebody who tries again. */
static void open_without_reserve(void)
{
    ck_assert_int_eq(store_close(full.store), 0);
    full.options.reserve_bytes = 0;
    full_open();
}

/* On a busy machine the background may have to be waited for more than once: for half a second
 * nothing came of it, which is in vain for all until something does. */
static bool await_space(void)
{
    bool enough = store_await_space(full.store);
    for (int tries = 0; tries < 200 && !enough; tries++) {
        usleep(50000);
        enough = store_await_space(full.store);
    }
    return enough;
}

START_TEST(who_waits_for_space_gets_what_was_deleted)
{
    int n = full_fill();
    ck_assert_int_eq(full_put(n, false), -ENOSPC);
    for (int i = 0; i < n / 2; i++)
        ck_assert_msg(full_drop(i) == 0, "delete %d: %s", i, fail_text());
    ck_assert(await_space());
    ck_assert_msg(full_put(n, false) == 0, "%s", fail_text());
}
END_TEST

/* A program that goes on writing to a full disk is told so each time at once. */
START_TEST(nobody_waits_twice_for_space_that_does_not_come)
{
    struct full_target t = {SIM_WRITE, NAME_TABLE, 0, INT_MAX, -ENOSPC};
    struct timespec before, after;
    int n = full_fill();
    env_sim_set_hook(full.disk, full_strike, &t); /* no compaction has any */
    ck_assert_int_eq(full_drop(0), 0);
    clock_gettime(CLOCK_MONOTONIC, &before);
    for (int i = 0; i < 20; i++)
        ck_assert(!store_await_space(full.store));
    clock_gettime(CLOCK_MONOTONIC, &after);
    ck_assert_int_lt(after.tv_sec - before.tv_sec, 5);
    env_sim_set_hook(full.disk, NULL, NULL); /* and then there is something to wait for again */
    for (int i = 1; i < n / 2; i++)
        ck_assert_int_eq(full_drop_patiently(i), 0);
    ck_assert(await_space());
}
END_TEST

START_TEST(a_flush_without_space_is_tried_again)
{
    struct full_target t = {SIM_WRITE, NAME_TABLE, 0, 5, -ENOSPC};
    struct store_stats stats;
    env_sim_set_hook(full.disk, full_strike, &t);
    for (int i = 0; i < 100; i++)
        ck_assert_msg(full_put_patiently(i) == 0, "%s", fail_text());
    for (int i = 0; i < 3000 && store_flush(full.store) == -ENOSPC; i++)
        usleep(1000);
    ck_assert_int_eq(t.strikes, 0);
    ck_assert_int_eq(store_flush(full.store), 0);
    env_sim_set_hook(full.disk, NULL, NULL);
    store_get_stats(full.store, &stats);
    ck_assert_uint_ge(stats.space_retries, 5);
    ck_assert_int_eq(store_sync(full.store, 0), 0);
    full_must_have(full.store, 0, 100);
    full_check_copy(SIM_LOSE_ALL, 0, 100, 101);
}
END_TEST

/* A delete and a flush run out of space at the same moment, and the flush is the first to take the
 * reserve. */
static atomic_bool delete_runs;

static int flush_takes_the_reserve(void *arg, enum sim_call call, const char *path)
{
    enum name_kind awaited = *(_Atomic(enum name_kind) *)arg, kind = kind_of(path);
    if (call != SIM_WRITE || !full_has_file("RESERVE"))
        return 0;
    if (kind == NAME_TABLE) {
        while (!atomic_load(&delete_runs))
            usleep(200);
        return -ENOSPC;
    }
    if (kind != awaited)
        return 0;
    atomic_store(&delete_runs, true);
    while (full_has_file("RESERVE"))
        usleep(200);
    return -ENOSPC;
}

START_TEST(a_delete_goes_on_with_the_reserve_that_a_flush_took)
{
    struct store_stats stats;
    struct env_space space;
    _Atomic(enum name_kind) awaited = NAME_TABLE;
    char room[16];
    int n = 0;
    env_sim_set_hook(full.disk, flush_takes_the_reserve, &awaited);
    do { /* until a flush is before its first write */
        ck_assert_int_eq(full_put(n++, false), 0);
        store_get_stats(full.store, &stats);
    } while (stats.switches == 0);
    env_space(full.disk, FULL_DIR,
              &space); /* what the reserve gives is not enough to take it again */
    env_sim_set_capacity(full.disk, space.total - space.available + 16 * KB);
    awaited = NAME_LOG;
    ck_assert_msg(store_delete(full.store, full_key(0, room), true) == 0, "%s", fail_text());
    ck_assert(atomic_load(&delete_runs));
    env_sim_set_hook(full.disk, NULL, NULL);
    full_must_lack(full.store, 0, 1);
    full_must_have(full.store, 1, n);
}
END_TEST

/* Fills the memtables of a disk that has no space for tables (`t` strikes it, and goes on to),
 * until the flush pauses for long. */
static int fill_up_to_a_long_pause(struct full_target *t)
{
    int n = 0;
    *t = (struct full_target){SIM_WRITE, NAME_TABLE, 0, 1 << 30, -ENOSPC};
    env_sim_set_hook(full.disk, full_strike, t);
    while (n < 1000 && full_put(n, false) == 0)
        n++;
    ck_assert_int_lt(n, 1000);
    await_a_long_pause();
    return n;
}

/* Without a reserve, too, where the store does not know that space is low. */
START_TEST(a_sync_without_a_batch_succeeds_where_a_put_beside_it_finds_no_space)
{
    struct full_target t;
    struct store_batch b = STORE_BATCH_INIT;
    struct store_writer sync = {.sync = true}, puts = {.batch = &b, .sync = true};
    struct store_writer *first = _i < 2 ? &sync : &puts, *second = _i < 2 ? &puts : &sync;
    store_close(full.store);
    full.options.reserve_bytes = _i % 2 == 0 ? STORE_RESERVE_AUTO : 0;
    full_open();
    int n = fill_up_to_a_long_pause(&t);
    store_batch_put(&b, slice_str("beside"), slice_str("x"));
    store_enqueue(full.store, first);
    store_enqueue(full.store, second);
    int rc = store_wait(full.store, first), rc_second = store_wait(full.store, second);
    ck_assert_int_eq(first == &sync ? rc : rc_second, 0);
    ck_assert_int_eq(first == &sync ? rc_second : rc, -ENOSPC);
    env_sim_set_hook(full.disk, NULL, NULL);
    store_batch_free(&b);
    full_must_have(full.store, 0, n);
    full_check_copy(SIM_LOSE_ALL, 0, n, n);
}
END_TEST

START_TEST(closing_tries_a_flush_that_pauses_for_space_again)
{
    struct full_target t;
    int n = fill_up_to_a_long_pause(&t);
    env_sim_set_hook(full.disk, NULL, NULL);
    ck_assert_msg(store_close(full.store) == 0, "%s", fail_text());
    full_open();
    full_must_have(full.store, 0, n);
}
END_TEST

START_TEST(store_flush_tries_a_flush_that_pauses_for_space_again)
{
    struct full_target t;
    int n = fill_up_to_a_long_pause(&t);
    env_sim_set_hook(full.disk, NULL, NULL);
    ck_assert_msg(store_flush(full.store) == 0, "%s", fail_text());
    full_must_have(full.store, 0, n);
}
END_TEST

/* A flush that began without space and ends once there is some: what is asked for meanwhile is not
 * refused for it. */
static atomic_bool last_try, flush_is_held, let_go;

static int hold_last_try(void *arg, enum sim_call call, const char *path)
{
    (void)arg;
    if (call != SIM_CREATE || kind_of(path) != NAME_TABLE || !atomic_load(&last_try))
        return 0;
    atomic_store(&flush_is_held, true);
    while (!atomic_load(&let_go))
        usleep(200);
    return atomic_exchange(&last_try, false) ? -ENOSPC : 0;
}

static void *let_go_later(void *arg)
{
    usleep(50000);
    atomic_store(&let_go, true);
    return arg;
}

START_TEST(a_flush_that_began_without_space_is_tried_again_for_who_asks_later)
{
    struct full_target t;
    pthread_t later;
    open_without_reserve();
    int n = fill_up_to_a_long_pause(&t);
    atomic_store(&last_try, true);
    env_sim_set_hook(full.disk, hold_last_try, NULL);
    while (!atomic_load(&flush_is_held))
        usleep(1000);
    pthread_create(&later, NULL, let_go_later, NULL);
    int rc = _i ? store_flush(full.store) : store_close(full.store);
    ck_assert_msg(rc == 0, "%s", fail_text());
    pthread_join(later, NULL);
    ck_assert(!atomic_load(&last_try));
    if (_i == 0)
        full_open();
    full_must_have(full.store, 0, n);
}
END_TEST

/* Space for the tables of flushes, none for those of compactions. The first table is a flush's. */
static pthread_t flusher;
static atomic_bool flusher_known;

static int none_for_compactions(void *arg, enum sim_call call, const char *path)
{
    (void)arg;
    if (call != SIM_CREATE || kind_of(path) != NAME_TABLE)
        return 0;
    if (!atomic_load(&flusher_known)) {
        flusher = pthread_self();
        atomic_store(&flusher_known, true);
    }
    return pthread_equal(flusher, pthread_self()) ? 0 : -ENOSPC;
}

START_TEST(closing_tries_a_compaction_that_pauses_for_space_again)
{
    int n = 0;
    env_sim_set_real_time(full.disk, true);
    open_without_reserve();
    env_sim_set_hook(full.disk, none_for_compactions, NULL);
    for (int k = 0; n < 5000 && full_put(k % 50, false) == 0; k++) /* tables of the same keys */
        n++;
    ck_assert_int_lt(n, 5000);
    await_a_long_pause();
    env_sim_set_hook(full.disk, NULL, NULL);
    ck_assert_msg(store_close(full.store) == 0, "%s", fail_text());
    full_open();
    full_must_have(full.store, 0, 50);
}
END_TEST

/* Two tables go to deeper levels, where nothing is in the way, two to level 0. The compaction's is
 * the fifth that is made, the one behind it the flush's. */
enum { BEFORE = 4, LAST_KEY = 30000 };
static atomic_int tables_made;
static atomic_bool let_compaction, let_flush;

static int two_gates(void *arg, enum sim_call call, const char *path)
{
    (void)arg;
    if (call != SIM_CREATE || kind_of(path) != NAME_TABLE)
        return 0;
    int n = atomic_fetch_add(&tables_made, 1) + 1;
    while (n == BEFORE + 1 ? !atomic_load(&let_compaction) : n > BEFORE && !atomic_load(&let_flush))
        usleep(200);
    return 0;
}

static void await_tables_made(int n)
{
    while (atomic_load(&tables_made) < n)
        usleep(200);
}

static void *drop_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) /* more than a memtable of them */
        ck_assert_msg(full_drop(20000 + i) == 0, "%s", fail_text());
    return NULL;
}

/* To bring deletes down, the background switches the memtable, as writers do; but it must not stop
 * as they do before a full level 0, nor (in the second run) stand behind one that does: with one
 * thread it would wait for itself. */
START_TEST(one_compactor_brings_deletes_down_from_a_full_level_0)
{
    pthread_t writer;
    bool with_writer = _i == 1;
    struct full_target no_log = {SIM_WRITE, NAME_LOG, 0, 1, -ENOSPC};
    struct env_space space;
    struct store_stats stats;
    store_close(full.store);
    env_sim_set_capacity(full.disk, 0);
    full.options.reserve_bytes = 256 * KB;
    full.options.memtable_bytes = full.options.table_bytes = 4 * KB;
    full.options.zero_ahead_bytes = 0;
    full.options.compaction_threads = 1;
    full.options.max_immutables = 8;
    full.options.l0_compact = 2;
    full.options.l0_slow = 3;
    full.options.l0_stop = 4;
    ck_assert_int_eq(store_destroy(FULL_DIR, full.disk), 0);
    full_open();
    env_sim_set_hook(full.disk, two_gates, NULL);
    for (int i = 0; i < BEFORE; i++) {
        ck_assert_int_eq(full_put(0, false), 0);
        ck_assert_int_eq(full_put(LAST_KEY, false), 0); /* whatever comes meets it */
        ck_assert_int_eq(store_flush(full.store), 0);
    }
    await_tables_made(BEFORE + 1);
    int n = 10;
    do { /* six memtables for the flush, which is held */
        ck_assert_msg(full_put(n++, false) == 0, "%s", fail_text());
        store_get_stats(full.store, &stats);
    } while (stats.switches < BEFORE + 6);
    await_tables_made(BEFORE + 2);
    env_space(full.disk, FULL_DIR, &space);
    env_sim_set_capacity(full.disk, space.total - space.available + 100 * KB);
    env_sim_set_hook(full.disk, full_strike, &no_log);
    ck_assert_int_eq(full_put(n, false), -ENOSPC);
    env_sim_set_hook(full.disk, NULL, NULL);
    atomic_store(&let_flush, true);
    do {
        usleep(200);
        store_get_stats(full.store, &stats);
    } while (stats.level_files[0] < 8);
    ck_assert_int_eq(full_drop(10), 0);
    uint64_t stalls = stats.stalls;
    if (with_writer)
        pthread_create(&writer, NULL, drop_many, NULL);
    while (with_writer && stats.stalls == stalls) {
        usleep(200);
        store_get_stats(full.store, &stats);
    }
    atomic_store(&let_compaction, true);
    for (int i = 0; i < 5000 && stats.level_files[0] >= 4; i++) {
        usleep(1000);
        store_get_stats(full.store, &stats);
    }
    ck_assert_msg(stats.level_files[0] < 4, "the compactor waits for itself");
    if (with_writer)
        pthread_join(writer, NULL);
    ck_assert_int_eq(full_drop(11), 0);
    full_must_have(full.store, 12, n);
    full_must_lack(full.store, 10, 12);
}
END_TEST

/* Two threads, a compaction for each: who fails does not wake the other one out of its pause. */
START_TEST(compactions_without_space_are_tried_with_pauses)
{
    struct full_target t = {SIM_WRITE, NAME_TABLE, 0, 1 << 30, -ENOSPC};
    struct store_stats stats;
    store_close(full.store);
    full.options.l0_compact = 1000;
    full.options.l0_slow = full.options.l0_stop = 2000;
    full.options.level_base_bytes = 64 << 20;
    full_open();
    for (int i = 0; i < 12; i++) { /* the first ones go deeper */
        for (int key = 0; key < 4; key++)
            ck_assert_int_eq(full_put(i % 2 * 5000 + key, false), 0);
        ck_assert_int_eq(store_flush(full.store), 0);
    }
    store_get_stats(full.store, &stats);
    ck_assert_int_ge(stats.level_files[0], 4);
    store_close(full.store);
    full.options.l0_compact = 2;
    env_sim_set_hook(full.disk, full_strike, &t);
    full_open();
    usleep(800000);
    store_get_stats(full.store, &stats);
    ck_assert_uint_ge(stats.space_retries, 4);
    ck_assert_uint_le(stats.space_retries, 80);
    env_sim_set_hook(full.disk, NULL, NULL);
}
END_TEST

/* Logs that the disk has no space for, since it is out of inodes or over a quota. */
static atomic_int logs_refused;

static int no_new_log(void *arg, enum sim_call call, const char *path)
{
    (void)arg;
    if (call != SIM_CREATE || kind_of(path) != NAME_LOG)
        return 0;
    atomic_fetch_add(&logs_refused, 1);
    return -ENOSPC;
}

/* The deletes cannot leave the memtable: to try that without a pause would burn a core. A table
 * that was found to have no deletes is not read for them again. */
START_TEST(deletes_that_cannot_be_brought_down_are_tried_with_pauses)
{
    int n = full_fill(), dropped = 0;
    env_sim_set_hook(full.disk, no_new_log, NULL);
    while (atomic_load(&logs_refused) == 0 && dropped < 100) { /* one log may have been ready */
        ck_assert_msg(full_drop(dropped++) == 0, "%s", fail_text());
        usleep(10000);
    }
    usleep(100000);
    int tries = atomic_load(&logs_refused);
    uint64_t reads = env_sim_count(full.disk, SIM_READ);
    int halves = 0; /* of a second: a busy machine may be late */
    do {
        usleep(500000);
        halves++;
    } while (atomic_load(&logs_refused) - tries < 2 && halves < 20);
    tries = atomic_load(&logs_refused) - tries;
    ck_assert_int_ge(tries, 2);
    ck_assert_int_lt(tries, 60 * halves);
    ck_assert_uint_lt(env_sim_count(full.disk, SIM_READ) - reads, 20);
    env_sim_set_hook(full.disk, NULL, NULL);
    full_must_lack(full.store, 0, dropped);
    full_must_have(full.store, dropped, n);
}
END_TEST

START_TEST(a_manifest_record_without_space_is_tried_again)
{
    struct full_target t = {SIM_WRITE, NAME_MANIFEST, 0, 3, -ENOSPC};
    env_sim_set_hook(full.disk, full_strike, &t);
    for (int i = 0; i < 100; i++)
        ck_assert_msg(full_put_patiently(i) == 0, "%s", fail_text());
    for (int i = 0; i < 3000 && store_flush(full.store) == -ENOSPC; i++)
        usleep(1000);
    ck_assert_int_eq(t.strikes, 0);
    env_sim_set_hook(full.disk, NULL, NULL);
    ck_assert_int_eq(store_background_error(full.store), 0);
    full_must_have(full.store, 0, 100);
    ck_assert_int_eq(store_sync(full.store, 0), 0);
    full_check_copy(SIM_LOSE_ALL, 0, 100, 101);
}
END_TEST

static void count_tables(void *arg, const char *name)
{
    uint64_t number;
    *(int *)arg += name_parse(name, &number) == NAME_TABLE;
}

START_TEST(tables_that_found_no_space_are_deleted)
{
    struct store_stats stats;
    int n = full_fill(), tables = 0, listed = 0;
    env_sim_set_capacity(full.disk, 0);
    ck_assert_int_eq(full_put_patiently(n), 0);
    ck_assert_int_eq(compact_patiently(), 0);
    for (int i = 0; i < 2000; i++) { /* a compaction may be under way */
        tables = listed = 0;
        store_get_stats(full.store, &stats);
        env_list(full.disk, FULL_DIR, count_tables, &tables);
        for (int l = 0; l < 7; l++)
            listed += stats.level_files[l];
        if (tables == listed)
            break;
        usleep(1000);
    }
    ck_assert_int_eq(tables, listed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("full disk, background");
    TCase *background = tcase_create("background");
    tcase_add_test(background, who_waits_for_space_gets_what_was_deleted);
    tcase_add_test(background, nobody_waits_twice_for_space_that_does_not_come);
    tcase_add_test(background, a_flush_without_space_is_tried_again);
    tcase_add_test(background, a_delete_goes_on_with_the_reserve_that_a_flush_took);
    tcase_add_loop_test(background,
                        a_sync_without_a_batch_succeeds_where_a_put_beside_it_finds_no_space, 0, 4);
    tcase_add_test(background, closing_tries_a_flush_that_pauses_for_space_again);
    tcase_add_test(background, store_flush_tries_a_flush_that_pauses_for_space_again);
    tcase_add_loop_test(background,
                        a_flush_that_began_without_space_is_tried_again_for_who_asks_later, 0, 2);
    tcase_add_test(background, closing_tries_a_compaction_that_pauses_for_space_again);
    tcase_add_loop_test(background, one_compactor_brings_deletes_down_from_a_full_level_0, 0, 2);
    tcase_add_test(background, deletes_that_cannot_be_brought_down_are_tried_with_pauses);
    tcase_add_test(background, compactions_without_space_are_tried_with_pauses);
    tcase_add_test(background, a_manifest_record_without_space_is_tried_again);
    tcase_add_test(background, tables_that_found_no_space_are_deleted);
    tcase_set_timeout(background, 60);
    tcase_add_checked_fixture(background, full_set_up, full_tear_down);
    suite_add_tcase(suite, background);
    setvbuf(stdout, NULL, _IOLBF, 0);
    return run_suite(suite);
}
