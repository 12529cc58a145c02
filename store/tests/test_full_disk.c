/* A disk that is full, and then is not (and, at the end, one that fails reads): writes that put get
 * -ENOSPC, reads and deletes go on, what was acknowledged stays (also in a store opened from a copy
 * of the disk), and once there is space the same open store takes writes again. After a failed
 * fdatasync it does not, and says so.
 *
 * SEED= repeats a run, ITERATIONS= sets how many each random test makes. */
#include <pthread.h>
#include <stdatomic.h>
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
#define KB 1024u
#define CAPACITY (1024 * KB)

static struct env *disk;
static struct store *store;
static struct store_options options;

static void say(void *arg, const char *line)
{
    struct env_space space;
    (void)arg;
    env_space(disk, "/", &space);
    printf("# %s (%llu available)\n", line, (unsigned long long)space.available);
}

static void open_store(void)
{
    int rc = store_open(DIR, &options, &store);
    ck_assert_msg(rc == 0, "open: %s", fail_text());
}

static void set_up(void)
{
    disk = env_sim_new();
    env_sim_set_capacity(disk, CAPACITY);
    store_options_init(&options);
    options.env = disk;
    if (getenv("VERBOSE"))
        options.log = say;
    options.memtable_bytes = 8 * KB;
    options.table_bytes = 8 * KB;
    options.level_base_bytes = 16 * KB;
    options.block_bytes = KB;
    options.zero_ahead_bytes = 8 * KB;
    options.log_window_bytes = 8 * KB;
    options.compression = STORE_COMPRESS_NONE;
    open_store();
}

static void tear_down(void)
{
    store_close(store);
    env_sim_free(disk);
}

static uint64_t iterations(uint64_t by_default)
{
    return sim_env_number("ITERATIONS", by_default);
}

/* ---------------------------------------------------------------- keys */

#define VALUE 500

static struct slice key_at(int i, char room[16])
{
    snprintf(room, 16, "k%07d", i);
    return slice_str(room);
}

static int put(int i, bool sync)
{
    char room[16], value[VALUE];
    memset(value, 'a' + i % 26, sizeof value);
    return store_put(store, key_at(i, room), slice_of(value, sizeof value), sync);
}

static int drop(int i)
{
    char room[16];
    return store_delete(store, key_at(i, room), false);
}

static void must_have(struct store *s, int from, int to)
{
    struct buf value = BUF_INIT;
    char room[16];
    for (int i = from; i < to; i++) {
        int rc = store_get(s, NULL, key_at(i, room), &value);
        ck_assert_msg(rc == 0, "%s: %s", room, fail_text());
        ck_assert_uint_eq(value.len, VALUE);
        ck_assert_int_eq(value.data[VALUE - 1], 'a' + i % 26);
    }
    buf_free(&value);
}

static void must_lack(struct store *s, int from, int to)
{
    struct buf value = BUF_INIT;
    char room[16];
    for (int i = from; i < to; i++)
        ck_assert_msg(store_get(s, NULL, key_at(i, room), &value) == -ENOENT, "%s is there", room);
    buf_free(&value);
}

/* Puts keys until there is no space; returns how many there are. */
static int fill(void)
{
    int n = 0, rc = 0;
    while (rc == 0 && n < 10000)
        rc = put(n, n % 16 == 0), n++;
    ck_assert_int_eq(rc, -ENOSPC);
    ck_assert_msg(strstr(fail_text(), "no space") != NULL, "%s", fail_text());
    return n - 1;
}

/* Until `rc` says otherwise, for some seconds. */
static int put_patiently(int i)
{
    int rc = -ENOSPC;
    for (int tries = 0; rc == -ENOSPC && tries < 3000; tries++) {
        rc = put(i, false);
        if (rc)
            usleep(1000);
    }
    return rc;
}

/* A flush or compaction under way may have found no space a moment before there was some. */
static int compact_patiently(void)
{
    int rc = -ENOSPC;
    for (int tries = 0; rc == -ENOSPC && tries < 3000; tries++) {
        rc = store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0));
        if (rc)
            usleep(1000);
    }
    return rc;
}

/* Where the flushes that make room are slow, or others put while there is space, a delete may have
 * to be tried again. */
static int drop_patiently(int i)
{
    int rc = drop(i);
    for (int tries = 0; rc == -ENOSPC && tries < 3000; tries++) {
        usleep(1000);
        rc = drop(i);
    }
    return rc;
}

static bool exists(const char *name)
{
    char *path = mem_printf(DIR "/%s", name);
    bool there = env_exists(disk, path);
    free(path);
    return there;
}

/* What a store opened from the disk as it is now holds, on a disk with room. */
static void check_copy(enum sim_survival how, int from, int to, int next)
{
    struct env *copy = env_sim_cut_copy(disk);
    struct store_options with = options;
    struct store *s;
    env_sim_survive(copy, how, 1);
    with.env = copy;
    int rc = store_open(DIR, &with, &s);
    ck_assert_msg(rc == 0, "open of a copy: %s", fail_text());
    must_lack(s, 0, from);
    must_have(s, from, to);
    must_lack(s, to, next);
    ck_assert_int_eq(store_close(s), 0);
    env_sim_free(copy);
}

/* ---------------------------------------------------------------- full, and not full */

START_TEST(reads_go_on_when_the_disk_is_full)
{
    int n = fill();
    must_have(store, 0, n);
    must_lack(store, n, n + 1);
    ck_assert_int_eq(store_background_error(store), 0);
    ck_assert_int_eq(store_sync(store, 0), 0); /* what is there can still be made durable */
    check_copy(SIM_LOSE_ALL, 0, n, n + 1);
}
END_TEST

START_TEST(deletes_go_on_when_the_disk_is_full_and_bring_the_space_back)
{
    struct store_stats stats;
    int n = fill(), kept = n / 4;
    ck_assert_int_eq(put(n, false), -ENOSPC);
    for (int i = kept; i < n; i++)
        ck_assert_msg(drop_patiently(i) == 0, "delete %d of %d: %s", i, n, fail_text());
    must_have(store, 0, kept);
    must_lack(store, kept, n);
    ck_assert_msg(put_patiently(kept) == 0, "%s", fail_text());
    for (int i = kept + 1; i < n / 2; i++)
        ck_assert_msg(put_patiently(i) == 0, "%s", fail_text());
    store_get_stats(store, &stats);
    ck_assert_uint_ge(stats.space_refused, 2);
    ck_assert_int_eq(store_sync(store, 0), 0);
    check_copy(SIM_LOSE_ALL, 0, n / 2, n);
}
END_TEST

START_TEST(a_full_disk_that_gets_space_from_outside_needs_no_reopen)
{
    int n = fill();
    env_sim_set_capacity(disk, 2 * CAPACITY);
    ck_assert_msg(put(n, true) == 0, "%s", fail_text());
    for (int i = n + 1; i < n + 200; i++)
        ck_assert_msg(put_patiently(i) == 0, "%s", fail_text());
    ck_assert_int_eq(store_flush(store), 0);
    struct store_stats stats;
    store_get_stats(store, &stats);
    ck_assert(!stats.space_low);
    ck_assert(exists("RESERVE"));
    must_have(store, 0, n + 200);
    ck_assert_int_eq(store_sync(store, 0), 0);
    check_copy(SIM_LOSE_ALL, 0, n + 200, n + 201);
}
END_TEST

/* They are so few that no memtable would be full for a long time. */
START_TEST(few_deletes_bring_their_space_back_by_themselves)
{
    struct store_batch b = STORE_BATCH_INIT;
    char room[16];
    int n = fill();
    for (int i = n / 4; i < n / 2; i++)
        store_batch_delete(&b, key_at(i, room));
    ck_assert_int_eq(store_write(store, &b, false), 0);
    ck_assert_msg(put_patiently(n) == 0, "%s", fail_text());
    for (int i = n + 1; i < n + n / 8; i++)
        ck_assert_msg(put_patiently(i) == 0, "%s", fail_text());
    must_have(store, 0, n / 4);
    must_lack(store, n / 4, n / 2);
    must_have(store, n / 2, n + n / 8);
    store_batch_free(&b);
}
END_TEST

START_TEST(what_is_marked_reclaim_may_put_on_a_full_disk)
{
    struct store_batch b = STORE_BATCH_INIT;
    char room[16];
    int n = fill();
    ck_assert_int_eq(put(n, false), -ENOSPC);
    store_batch_delete(&b, key_at(0, room));
    store_batch_put(&b, slice_str("note"), slice_str("one less"));
    ck_assert_int_eq(store_write(store, &b, false), -ENOSPC);
    struct store_writer w = {.batch = &b, .reclaim = true};
    store_enqueue(store, &w);
    ck_assert_msg(store_wait(store, &w) == 0, "%s", fail_text());
    must_lack(store, 0, 1);
    store_batch_free(&b);
}
END_TEST

START_TEST(a_full_disk_is_opened_and_deletes_work)
{
    int n = fill();
    int closed = store_close(store);
    ck_assert(closed == 0 || closed == -ENOSPC);
    open_store();
    must_have(store, 0, n);
    for (int i = 0; i < n; i++)
        ck_assert_msg(drop(i) == 0, "delete %d: %s", i, fail_text());
    ck_assert_msg(put_patiently(n) == 0, "%s", fail_text());
    must_lack(store, 0, n);
    must_have(store, n, n + 1);
}
END_TEST

/* No reserve: deletes may fail, too, and nothing else is different. */
START_TEST(a_full_disk_without_a_reserve_loses_nothing)
{
    store_close(store);
    options.reserve_bytes = 0;
    env_sim_set_capacity(disk, 0);
    ck_assert_int_eq(store_destroy(DIR, disk), 0);
    env_sim_set_capacity(disk, CAPACITY);
    open_store();
    ck_assert(!exists("RESERVE"));
    int n = fill();
    must_have(store, 0, n);
    env_sim_set_capacity(disk, 2 * CAPACITY);
    ck_assert_msg(put_patiently(n) == 0, "%s", fail_text());
    must_have(store, 0, n + 1);
}
END_TEST

/* ---------------------------------------------------------------- the log */

/* Fails so many calls of one kind on files of one kind, after `skip` others. */
struct target {
    enum sim_call call;
    enum name_kind kind;
    int skip, strikes, error;
};

static int strike(void *arg, enum sim_call call, const char *path)
{
    struct target *t = arg;
    const char *name = strrchr(path, '/');
    uint64_t number;
    if (call != t->call || name_parse(name ? name + 1 : path, &number) != t->kind || !t->strikes)
        return 0;
    if (t->skip > 0) {
        t->skip--;
        return 0;
    }
    t->strikes--;
    return t->error;
}

START_TEST(a_record_without_space_leaves_no_gap_in_the_log)
{
    ck_assert_int_eq(put(0, true), 0);
    uint64_t before = store_last_sequence(store);
    env_sim_fail(disk, SIM_WRITE, env_sim_count(disk, SIM_WRITE) + 1, -ENOSPC, SIM_DONE_PART);
    ck_assert_int_eq(put(5000, true), -ENOSPC);
    ck_assert_uint_eq(store_last_sequence(store), before);
    ck_assert_int_eq(put(1, true), 0);
    ck_assert_uint_eq(store_last_sequence(store), before + 1);
    for (int i = 2; i < 8; i++)
        ck_assert_int_eq(put(i, true), 0);
    check_copy(SIM_LOSE_ALL, 0, 8, 10000);
    check_copy(SIM_KEEP_ALL, 0, 8, 10000);
}
END_TEST

START_TEST(a_record_that_cannot_be_taken_back_ends_all_writing)
{
    struct target t = {SIM_TRUNCATE, NAME_LOG, 0, 100, -ENOSPC};
    ck_assert_int_eq(put(0, true), 0);
    env_sim_set_hook(disk, strike, &t);
    env_sim_fail(disk, SIM_WRITE, env_sim_count(disk, SIM_WRITE) + 1, -ENOSPC, SIM_DONE_PART);
    ck_assert_int_eq(put(1, false), -EIO);
    env_sim_set_hook(disk, NULL, NULL);
    ck_assert_int_eq(put(2, false), -EIO);
    ck_assert_int_eq(store_background_error(store), -EIO);
    must_have(store, 0, 1);
    check_copy(SIM_LOSE_ALL, 0, 1, 3);
}
END_TEST

START_TEST(a_failed_sync_stays_an_error_even_for_want_of_space)
{
    struct target t = {SIM_SYNC, NAME_LOG, 0, 1, -ENOSPC};
    ck_assert_int_eq(put(0, true), 0);
    env_sim_set_hook(disk, strike, &t);
    ck_assert_int_eq(put(1, true), -ENOSPC);
    env_sim_set_hook(disk, NULL, NULL);
    env_sim_set_capacity(disk, 0);
    for (int i = 2; i < 20; i++)
        ck_assert_int_eq(put(i, i % 2), -ENOSPC);
    ck_assert_int_eq(drop(0), -ENOSPC);
    ck_assert_msg(strstr(fail_text(), "opened again") != NULL, "%s", fail_text());
    ck_assert_msg(strstr(fail_text(), "unmount") != NULL, "%s", fail_text());
    ck_assert_int_eq(store_background_error(store), -ENOSPC);
    must_have(store, 0, 1);
}
END_TEST

START_TEST(zeroes_written_ahead_need_not_fit)
{
    for (int i = 0; i < 6; i++) /* the log becomes one that is synced often */
        ck_assert_int_eq(put(i, true), 0);
    ck_assert_int_eq(store_flush(store), 0); /* a new log, without zeroes */
    struct env_space space;
    env_space(disk, DIR, &space);
    uint64_t used = space.total - space.available;
    env_sim_set_capacity(disk, used + 4 * KB); /* less than zero_ahead_bytes */
    for (int i = 6; i < 9; i++)
        ck_assert_msg(put(i, true) == 0, "%s", fail_text());
    env_sim_set_capacity(disk, 0);
    check_copy(SIM_LOSE_ALL, 0, 9, 10);
}
END_TEST

/* ---------------------------------------------------------------- the background */

START_TEST(a_flush_without_space_is_tried_again)
{
    struct target t = {SIM_WRITE, NAME_TABLE, 0, 5, -ENOSPC};
    struct store_stats stats;
    env_sim_set_hook(disk, strike, &t);
    for (int i = 0; i < 100; i++)
        ck_assert_msg(put_patiently(i) == 0, "%s", fail_text());
    for (int i = 0; i < 3000 && store_flush(store) == -ENOSPC; i++)
        usleep(1000);
    ck_assert_int_eq(t.strikes, 0);
    ck_assert_int_eq(store_flush(store), 0);
    env_sim_set_hook(disk, NULL, NULL);
    store_get_stats(store, &stats);
    ck_assert_uint_ge(stats.space_retries, 5);
    ck_assert_int_eq(store_sync(store, 0), 0);
    must_have(store, 0, 100);
    check_copy(SIM_LOSE_ALL, 0, 100, 101);
}
END_TEST

/* A delete and a flush run out of space at the same moment, and the flush is the first to take the
 * reserve. */
static atomic_bool delete_runs;

static int flush_takes_the_reserve(void *arg, enum sim_call call, const char *path)
{
    const char *name = strrchr(path, '/');
    enum name_kind awaited = *(enum name_kind *)arg, kind;
    uint64_t number;
    if (call != SIM_WRITE || !exists("RESERVE"))
        return 0;
    kind = name_parse(name ? name + 1 : path, &number);
    if (kind == NAME_TABLE) {
        while (!atomic_load(&delete_runs))
            usleep(200);
        return -ENOSPC;
    }
    if (kind != awaited)
        return 0;
    atomic_store(&delete_runs, true);
    while (exists("RESERVE"))
        usleep(200);
    return -ENOSPC;
}

START_TEST(a_delete_goes_on_with_the_reserve_that_a_flush_took)
{
    struct store_stats stats;
    struct env_space space;
    enum name_kind awaited = NAME_TABLE;
    char room[16];
    int n = 0;
    env_sim_set_hook(disk, flush_takes_the_reserve, &awaited);
    do { /* until a flush is before its first write */
        ck_assert_int_eq(put(n++, false), 0);
        store_get_stats(store, &stats);
    } while (stats.switches == 0);
    env_space(disk, DIR, &space); /* what the reserve gives is not enough to take it again */
    env_sim_set_capacity(disk, space.total - space.available + 16 * KB);
    awaited = NAME_LOG;
    ck_assert_msg(store_delete(store, key_at(0, room), true) == 0, "%s", fail_text());
    ck_assert(atomic_load(&delete_runs));
    env_sim_set_hook(disk, NULL, NULL);
    must_lack(store, 0, 1);
    must_have(store, 1, n);
}
END_TEST

/* Fills the memtables of a disk that has no space for tables (`t` strikes it, and goes on to),
 * until the flush pauses for long. */
static int fill_up_to_a_long_pause(struct target *t)
{
    struct store_stats stats;
    int n = 0;
    *t = (struct target){SIM_WRITE, NAME_TABLE, 0, 1 << 30, -ENOSPC};
    env_sim_set_hook(disk, strike, t);
    while (n < 1000 && put(n, false) == 0)
        n++;
    ck_assert_int_lt(n, 1000);
    do {
        usleep(1000);
        store_get_stats(store, &stats);
    } while (stats.space_retries < 7);
    return n;
}

/* Without a reserve, too, where the store does not know that space is low. */
START_TEST(a_sync_without_a_batch_succeeds_where_a_put_beside_it_finds_no_space)
{
    struct target t;
    struct store_batch b = STORE_BATCH_INIT;
    struct store_writer sync = {.sync = true}, puts = {.batch = &b, .sync = true};
    struct store_writer *first = _i < 2 ? &sync : &puts, *second = _i < 2 ? &puts : &sync;
    store_close(store);
    options.reserve_bytes = _i % 2 == 0 ? STORE_RESERVE_AUTO : 0;
    open_store();
    int n = fill_up_to_a_long_pause(&t);
    store_batch_put(&b, slice_str("beside"), slice_str("x"));
    store_enqueue(store, first);
    store_enqueue(store, second);
    int rc = store_wait(store, first), rc_second = store_wait(store, second);
    ck_assert_int_eq(first == &sync ? rc : rc_second, 0);
    ck_assert_int_eq(first == &sync ? rc_second : rc, -ENOSPC);
    env_sim_set_hook(disk, NULL, NULL);
    store_batch_free(&b);
    must_have(store, 0, n);
    check_copy(SIM_LOSE_ALL, 0, n, n);
}
END_TEST

START_TEST(closing_tries_a_flush_that_pauses_for_space_again)
{
    struct target t;
    int n = fill_up_to_a_long_pause(&t);
    env_sim_set_hook(disk, NULL, NULL);
    ck_assert_msg(store_close(store) == 0, "%s", fail_text());
    open_store();
    must_have(store, 0, n);
}
END_TEST

START_TEST(store_flush_tries_a_flush_that_pauses_for_space_again)
{
    struct target t;
    int n = fill_up_to_a_long_pause(&t);
    env_sim_set_hook(disk, NULL, NULL);
    ck_assert_msg(store_flush(store) == 0, "%s", fail_text());
    must_have(store, 0, n);
}
END_TEST

/* The compaction's table is the third that is made, the one behind it the flush's. */
static atomic_int tables_made;
static atomic_bool let_compaction, let_flush;

static int two_gates(void *arg, enum sim_call call, const char *path)
{
    const char *name = strrchr(path, '/');
    uint64_t number;
    (void)arg;
    if (call != SIM_CREATE || name_parse(name ? name + 1 : path, &number) != NAME_TABLE)
        return 0;
    int n = atomic_fetch_add(&tables_made, 1) + 1;
    while (n == 3 ? !atomic_load(&let_compaction) : n > 3 && !atomic_load(&let_flush))
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
        ck_assert_msg(drop(20000 + i) == 0, "%s", fail_text());
    return NULL;
}

/* To bring deletes down, the background switches the memtable, as writers do; but it must not stop
 * as they do before a full level 0, nor (in the second run) stand behind one that does: with one
 * thread it would wait for itself. */
START_TEST(one_compactor_brings_deletes_down_from_a_full_level_0)
{
    pthread_t writer;
    bool with_writer = _i == 1;
    struct target no_log = {SIM_WRITE, NAME_LOG, 0, 1, -ENOSPC};
    struct env_space space;
    struct store_stats stats;
    store_close(store);
    env_sim_set_capacity(disk, 0);
    options.reserve_bytes = 256 * KB;
    options.memtable_bytes = options.table_bytes = 4 * KB;
    options.zero_ahead_bytes = 0;
    options.compaction_threads = 1;
    options.max_immutables = 8;
    options.l0_compact = 2;
    options.l0_slow = 3;
    options.l0_stop = 4;
    ck_assert_int_eq(store_destroy(DIR, disk), 0);
    open_store();
    env_sim_set_hook(disk, two_gates, NULL);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(put(0, false), 0);
        ck_assert_int_eq(store_flush(store), 0);
    }
    await_tables_made(3);
    int n = 10;
    do { /* six memtables for the flush, which is held */
        ck_assert_msg(put(n++, false) == 0, "%s", fail_text());
        store_get_stats(store, &stats);
    } while (stats.switches < 2 + 6);
    await_tables_made(4);
    env_space(disk, DIR, &space);
    env_sim_set_capacity(disk, space.total - space.available + 100 * KB);
    env_sim_set_hook(disk, strike, &no_log);
    ck_assert_int_eq(put(n, false), -ENOSPC);
    env_sim_set_hook(disk, NULL, NULL);
    atomic_store(&let_flush, true);
    do {
        usleep(200);
        store_get_stats(store, &stats);
    } while (stats.level_files[0] < 8);
    ck_assert_int_eq(drop(10), 0);
    uint64_t stalls = stats.stalls;
    if (with_writer)
        pthread_create(&writer, NULL, drop_many, NULL);
    while (with_writer && stats.stalls == stalls) {
        usleep(200);
        store_get_stats(store, &stats);
    }
    atomic_store(&let_compaction, true);
    for (int i = 0; i < 5000 && stats.level_files[0] >= 4; i++) {
        usleep(1000);
        store_get_stats(store, &stats);
    }
    ck_assert_msg(stats.level_files[0] < 4, "the compactor waits for itself");
    if (with_writer)
        pthread_join(writer, NULL);
    ck_assert_int_eq(drop(11), 0);
    must_have(store, 12, n);
    must_lack(store, 10, 12);
}
END_TEST

/* Logs that the disk has no space for, since it is out of inodes or over a quota. */
static atomic_int logs_refused;

static int no_new_log(void *arg, enum sim_call call, const char *path)
{
    const char *name = strrchr(path, '/');
    uint64_t number;
    (void)arg;
    if (call != SIM_CREATE || name_parse(name ? name + 1 : path, &number) != NAME_LOG)
        return 0;
    atomic_fetch_add(&logs_refused, 1);
    return -ENOSPC;
}

/* The deletes cannot leave the memtable: to try that without a pause would burn a core. A table
 * that was found to have no deletes is not read for them again. */
START_TEST(deletes_that_cannot_be_brought_down_are_tried_with_pauses)
{
    int n = fill();
    env_sim_set_hook(disk, no_new_log, NULL);
    for (int i = 0; i < 5; i++)
        ck_assert_msg(drop(i) == 0, "%s", fail_text());
    usleep(100000);
    int tries = atomic_load(&logs_refused);
    uint64_t reads = env_sim_count(disk, SIM_READ);
    usleep(500000);
    tries = atomic_load(&logs_refused) - tries;
    ck_assert_int_ge(tries, 2);
    ck_assert_int_lt(tries, 60);
    ck_assert_uint_lt(env_sim_count(disk, SIM_READ) - reads, 20);
    env_sim_set_hook(disk, NULL, NULL);
    must_lack(store, 0, 5);
    must_have(store, 5, n);
}
END_TEST

START_TEST(a_manifest_record_without_space_is_tried_again)
{
    struct target t = {SIM_WRITE, NAME_MANIFEST, 0, 3, -ENOSPC};
    env_sim_set_hook(disk, strike, &t);
    for (int i = 0; i < 100; i++)
        ck_assert_msg(put_patiently(i) == 0, "%s", fail_text());
    for (int i = 0; i < 3000 && store_flush(store) == -ENOSPC; i++)
        usleep(1000);
    ck_assert_int_eq(t.strikes, 0);
    env_sim_set_hook(disk, NULL, NULL);
    ck_assert_int_eq(store_background_error(store), 0);
    must_have(store, 0, 100);
    ck_assert_int_eq(store_sync(store, 0), 0);
    check_copy(SIM_LOSE_ALL, 0, 100, 101);
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
    int n = fill(), tables = 0, listed = 0;
    env_sim_set_capacity(disk, 0);
    ck_assert_int_eq(put_patiently(n), 0);
    ck_assert_int_eq(compact_patiently(), 0);
    for (int i = 0; i < 2000; i++) { /* a compaction may be under way */
        tables = listed = 0;
        store_get_stats(store, &stats);
        env_list(disk, DIR, count_tables, &tables);
        for (int l = 0; l < 7; l++)
            listed += stats.level_files[l];
        if (tables == listed)
            break;
        usleep(1000);
    }
    ck_assert_int_eq(tables, listed);
}
END_TEST

/* ---------------------------------------------------------------- at random */

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
        env_space(disk, DIR, &space);
        uint64_t used = space.total - space.available;
        bool lasting = sim_chance(&r, 60);
        env_sim_set_capacity(disk, used + sim_below(&r, 64 * KB) + 1);
        for (int i = 0; i < 120; i++) {
            int rc = history_commit(&h, store, i % 2, sim_chance(&r, 20));
            MUST(rc == 0 || rc == -ENOSPC, "%s: %s", what, fail_text());
            if (rc && !lasting)
                break;
        }
        MUST(store_background_error(store) == 0, "%s: %s", what, fail_text());
        struct env *copy = env_sim_cut_copy(disk);
        struct store_options with = options;
        struct store *s;
        env_sim_survive(copy, sim_chance(&r, 50) ? SIM_RANDOM : SIM_LOSE_ALL, seed);
        with.env = copy;
        MUST(store_open(DIR, &with, &s) == 0, "%s: open: %s", what, fail_text());
        history_check(&h, s, history_acked_sync(&h), what);
        store_close(s);
        env_sim_free(copy);
        env_sim_set_capacity(disk, 0);
        int rc = -ENOSPC;
        for (int i = 0; rc == -ENOSPC && i < 3000; i++) {
            rc = history_commit(&h, store, 0, true);
            if (rc)
                usleep(1000);
        }
        MUST(rc == 0, "%s: with space again: %s", what, fail_text());
    }
    history_check(&h, store, history_acked(&h), what);
    int rc = store_close(store);
    MUST(rc == 0, "%s: close: %s", what, fail_text());
    open_store();
    history_check(&h, store, history_acked(&h), what);
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
        tear_down();
        set_up();
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
    env_sim_set_hook(disk, lack_space, &w);
    for (int i = 0; i < 60; i++) {
        int rc = history_commit(&h, store, i % 2, i % 4 == 0);
        MUST(rc == 0 || rc == -ENOSPC, "%s: %s", what, fail_text());
    }
    env_sim_set_hook(disk, NULL, NULL);
    MUST(store_background_error(store) == 0, "%s: %s", what, fail_text());
    int rc = -ENOSPC;
    for (int i = 0; rc == -ENOSPC && i < 3000; i++) {
        rc = history_commit(&h, store, 0, true);
        if (rc)
            usleep(1000);
    }
    MUST(rc == 0, "%s: with space again: %s", what, fail_text());
    history_check(&h, store, history_acked(&h), what);
    struct env *copy = env_sim_cut_copy(disk);
    struct store_options with = options;
    struct store *s;
    env_sim_survive(copy, SIM_LOSE_ALL, seed);
    with.env = copy;
    MUST(store_open(DIR, &with, &s) == 0, "%s: open: %s", what, fail_text());
    history_check(&h, s, history_acked_sync(&h), what);
    store_close(s);
    env_sim_free(copy);
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
        tear_down();
        set_up();
    }
}
END_TEST

/* ---------------------------------------------------------------- failing reads */

/* Each opening and reading of a file fails once while keys are read: the error is told, or the
 * value is right; nothing stays wrong. Returns whether it came to the k-th. */
static bool fail_read(enum sim_call call, uint64_t k, int n)
{
    struct buf value = BUF_INIT;
    char room[16];
    ck_assert_int_eq(store_close(store), 0);
    open_store(); /* nothing is cached */
    env_sim_fail(disk, call, env_sim_count(disk, call) + k, -EIO, SIM_DONE_NOTHING);
    for (int i = 0; i < n; i++) {
        int rc = store_get(store, NULL, key_at(i, room), &value);
        ck_assert_msg(rc == 0 || rc == -EIO, "%s: %s", room, fail_text());
        if (rc == 0)
            ck_assert_int_eq(value.data[VALUE - 1], 'a' + i % 26);
        else
            ck_assert(env_sim_failed(disk));
    }
    bool failed = env_sim_failed(disk);
    env_sim_fail(disk, call, 0, -EIO, SIM_DONE_NOTHING);
    must_have(store, 0, n);
    ck_assert_int_eq(store_background_error(store), 0);
    ck_assert_int_eq(put(n, true), 0);
    ck_assert_int_eq(drop(n), 0);
    buf_free(&value);
    return failed;
}

START_TEST(a_failed_read_is_told_and_changes_nothing)
{
    int n = 150;
    uint64_t k = 1;
    ck_assert_int_eq(store_close(store), 0);
    options.l0_compact = 1000; /* compactions read, too: what they fail with ends all writing */
    options.level_base_bytes = 64 << 20;
    open_store();
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(put(i, false), 0);
    while (fail_read(SIM_READ, k, n))
        k++;
    ck_assert_uint_gt(k, 10);
    for (k = 1; fail_read(SIM_OPEN, k, n);)
        k++;
    ck_assert_uint_gt(k, 1);
}
END_TEST

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
        int rc = put(100000 * (m->number + 1) + i, i % 4 == 0);
        MUST(rc == 0 || rc == -ENOSPC, "put: %s", fail_text());
    }
    return NULL;
}

START_TEST(deletes_get_through_beside_writers_that_fill_the_disk)
{
    struct member crowd[CROWD];
    int n = fill();
    for (int t = 0; t < CROWD; t++) {
        crowd[t] = (struct member){.number = t};
        ck_assert_int_eq(pthread_create(&crowd[t].thread, NULL, put_all_the_time, &crowd[t]), 0);
    }
    for (int i = 0; i < n; i++)
        MUST(drop_patiently(i) == 0, "delete %d of %d: %s", i, n, fail_text());
    for (int t = 0; t < CROWD; t++) {
        __atomic_store_n(&crowd[t].stop, true, __ATOMIC_RELAXED);
        pthread_join(crowd[t].thread, NULL);
    }
    must_lack(store, 0, n);
    ck_assert_int_eq(store_background_error(store), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("full disk");
    TCase *full = tcase_create("full"), *logs = tcase_create("log"),
          *background = tcase_create("background"), *random = tcase_create("random");
    TCase *all[] = {full, logs, background, random};
    tcase_add_test(full, reads_go_on_when_the_disk_is_full);
    tcase_add_test(full, deletes_go_on_when_the_disk_is_full_and_bring_the_space_back);
    tcase_add_test(full, a_full_disk_that_gets_space_from_outside_needs_no_reopen);
    tcase_add_test(full, few_deletes_bring_their_space_back_by_themselves);
    tcase_add_test(full, what_is_marked_reclaim_may_put_on_a_full_disk);
    tcase_add_test(full, a_full_disk_is_opened_and_deletes_work);
    tcase_add_test(full, a_full_disk_without_a_reserve_loses_nothing);
    tcase_add_test(logs, a_record_without_space_leaves_no_gap_in_the_log);
    tcase_add_test(logs, a_record_that_cannot_be_taken_back_ends_all_writing);
    tcase_add_test(logs, a_failed_sync_stays_an_error_even_for_want_of_space);
    tcase_add_test(logs, zeroes_written_ahead_need_not_fit);
    tcase_add_test(background, a_flush_without_space_is_tried_again);
    tcase_add_loop_test(background,
                        a_sync_without_a_batch_succeeds_where_a_put_beside_it_finds_no_space, 0, 4);
    tcase_add_test(background, a_delete_goes_on_with_the_reserve_that_a_flush_took);
    tcase_add_test(background, closing_tries_a_flush_that_pauses_for_space_again);
    tcase_add_test(background, store_flush_tries_a_flush_that_pauses_for_space_again);
    tcase_add_loop_test(background, one_compactor_brings_deletes_down_from_a_full_level_0, 0, 2);
    tcase_add_test(background, deletes_that_cannot_be_brought_down_are_tried_with_pauses);
    tcase_add_test(background, a_manifest_record_without_space_is_tried_again);
    tcase_add_test(background, tables_that_found_no_space_are_deleted);
    tcase_add_test(random, space_that_comes_and_goes_loses_nothing);
    tcase_add_test(random, a_window_of_calls_without_space_loses_nothing);
    tcase_add_test(random, a_failed_read_is_told_and_changes_nothing);
    tcase_add_test(random, deletes_get_through_beside_writers_that_fill_the_disk);
    for (int i = 0; i < 4; i++) {
        tcase_set_timeout(all[i], i == 3 ? 300 : 60);
        tcase_add_checked_fixture(all[i], set_up, tear_down);
        suite_add_tcase(suite, all[i]);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    return run_suite(suite);
}
