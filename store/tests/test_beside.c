/* Bytes beside the store: what batches refer to is durable before they are, and is asked for by
 * recovery where it may not be. With real bytes and power cuts: test_crash_beside.c. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../commit/batch.h"
#include "../commit/room.h"
#include "../db/db.h"
#include "env_sim.h"
#include "run_suite.h"

#define SEGMENT "/db-beside/1"

static struct env *disk;
static struct store *store;
static struct store_options options;
static struct env_file *segment;

/* What beside.sync does: the call `fails_at` ends with `failure`; the first waits while `held`. */
static atomic_int syncs, fails_at, failure;
static atomic_bool held;
/* What beside.check was asked for: keys, a space behind each; and what it says to which key. */
static struct buf asked;
static const char *refused_key;
static int refusal;

/* The calls of the disk, one a line, and whether tables are held back. */
static pthread_mutex_t events_mu = PTHREAD_MUTEX_INITIALIZER;
static struct buf events;
static atomic_bool tables_held;

static bool is_table(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, ".ldb") == 0;
}

static int watch(void *arg, enum sim_call call, const char *path)
{
    (void)arg;
    char *line = mem_printf("%s %s\n", env_sim_call_name(call), path);
    pthread_mutex_lock(&events_mu);
    buf_append(&events, line, strlen(line));
    pthread_mutex_unlock(&events_mu);
    free(line);
    while (call == SIM_CREATE && is_table(path) && tables_held)
        usleep(1000);
    return 0;
}

/* Where the first call of this kind stands, of a file with such an ending; -1: there was none. */
static long first_call(enum sim_call call, const char *ending)
{
    char *line = mem_printf("%s\n", ending);
    long found = -1;
    pthread_mutex_lock(&events_mu);
    buf_append(&events, "", 1);
    events.len--;
    size_t name = strlen(env_sim_call_name(call));
    for (const char *at = events.data; found < 0 && (at = strstr(at, line)); at++) {
        const char *start = at;
        while (start > events.data && start[-1] != '\n')
            start--;
        if (strncmp(start, env_sim_call_name(call), name) == 0 && start[name] == ' ')
            found = start - events.data;
    }
    pthread_mutex_unlock(&events_mu);
    free(line);
    return found;
}

static void forget_calls(void)
{
    pthread_mutex_lock(&events_mu);
    buf_clear(&events);
    pthread_mutex_unlock(&events_mu);
}

/* The store's lock can be had: whoever called does not hold it. */
static void check_lock_is_free(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    ck_assert_int_eq(pthread_mutex_timedlock(&store->mu, &until), 0);
    pthread_mutex_unlock(&store->mu);
}

static int sync_segment(void *arg)
{
    ck_assert_ptr_eq(arg, &syncs);
    int number = ++syncs;
    if (store)
        check_lock_is_free();
    while (held)
        usleep(1000);
    if (number == fails_at)
        return fail(failure, "the segment cannot be synced");
    return env_sync(disk, segment);
}

static int check_place(void *arg, struct slice key, struct slice value)
{
    ck_assert_ptr_eq(arg, &syncs);
    ck_assert_uint_gt(value.len, 0);
    buf_append_slice(&asked, key);
    buf_append(&asked, " ", 1);
    if (refused_key && slice_equal(key, slice_str(refused_key)))
        return fail(refusal, "%s is not whole", refused_key);
    return 0;
}

static void open_segment(void)
{
    int rc = env_open(disk, SEGMENT, ENV_WRITE | ENV_CREATE, &segment);
    ck_assert_int_eq(rc, 0);
}

static int try_open(void)
{
    store = NULL;
    return store_open("/db", &options, &store);
}

static void open_store(void)
{
    ck_assert_msg(try_open() == 0, "%s", fail_text());
    env_sim_set_hook(disk, watch, NULL);
    forget_calls();
}

static void setup(void)
{
    store_options_init(&options);
    options.env = disk = env_sim_new();
    options.beside = (struct store_beside){&syncs, sync_segment, check_place};
    ck_assert_int_eq(env_mkdir(disk, "/db-beside"), 0);
    open_segment();
    open_store();
}

static void close_segment(void)
{
    env_close(disk, segment);
    segment = NULL;
}

static void teardown(void)
{
    tables_held = false;
    store_close(store);
    close_segment();
    env_sim_free(disk);
    buf_free(&asked);
    buf_free(&events);
}

static void lose_power(enum sim_survival how)
{
    struct env *copy = env_sim_cut_copy(disk);
    tables_held = false;
    store_close(store);
    close_segment();
    env_sim_free(disk);
    env_sim_survive(copy, how, 1);
    options.env = disk = copy;
    store = NULL;
    open_segment();
    syncs = fails_at = 0;
    buf_clear(&asked);
}

/* The process is killed; the disk keeps all. */
static void kill_it(void)
{
    lose_power(SIM_KEEP_ALL);
}

static struct slice key_of(int i, char room[16])
{
    return slice_of(room, (size_t)snprintf(room, 16, "k%d", i));
}

static int try_put(int i, bool sync)
{
    char room[16], value[1000] = {0};
    return store_put(store, key_of(i, room), slice_of(value, sizeof value), sync);
}

static void put(int i, bool sync)
{
    ck_assert_msg(try_put(i, sync) == 0, "%s", fail_text());
}

static bool has(int i)
{
    char room[16];
    struct buf value = BUF_INIT;
    int rc = store_get(store, NULL, key_of(i, room), &value);
    ck_assert(rc == 0 || rc == -ENOENT);
    buf_free(&value);
    return rc == 0;
}

static void expect_asked(const char *keys)
{
    ck_assert_msg(slice_equal(buf_slice(&asked), slice_str(keys)), "asked for: %.*s, not: %s",
                  (int)asked.len, asked.data, keys);
}

static void expect_no_tables(void)
{
    struct store_stats stats;
    store_get_stats(store, &stats);
    for (int level = 0; level < 7; level++)
        ck_assert_int_eq(stats.level_files[level], 0);
}

/* ---------------------------------------------------------------- syncs */

START_TEST(a_sync_round_syncs_what_is_beside_before_the_log)
{
    store_close(store);
    options.visible_when_durable = _i == 1;
    open_store();
    syncs = 0;
    put(1, false);
    ck_assert_int_eq(syncs, 0);
    put(2, true);
    ck_assert_int_eq(syncs, 1);
    ck_assert_int_ge(first_call(SIM_SYNC, SEGMENT), 0);
    ck_assert_int_gt(first_call(SIM_SYNC, ".log"), first_call(SIM_SYNC, SEGMENT));
    put(3, false);
    ck_assert_int_eq(store_sync(store, 0), 0);
    ck_assert_int_eq(syncs, 2);
    ck_assert_int_eq(store_sync(store, 0), 0); /* all is durable already */
    ck_assert_int_eq(syncs, 2);
}
END_TEST

static const int failures[] = {-EIO, -ENOSPC, STORE_ECORRUPT};

START_TEST(a_failed_sync_ends_all_writing_and_is_not_tried_again)
{
    int error = failures[_i % 3];
    store_close(store);
    options.visible_when_durable = _i >= 3;
    open_store();
    put(1, false);
    syncs = 0;
    fails_at = 1;
    failure = error;
    ck_assert_int_eq(try_put(2, true), error);
    ck_assert_msg(strstr(fail_text(), "beside the store failed: the segment cannot be synced"),
                  "%s", fail_text());
    ck_assert_int_lt(first_call(SIM_SYNC, ".log"), 0);
    ck_assert_int_eq(store_background_error(store), error);
    ck_assert_int_eq(try_put(3, false), error);
    ck_assert_int_eq(store_sync(store, 0), error);
    ck_assert_int_eq(store_flush(store), error);
    ck_assert(has(1));
    ck_assert_int_eq(store_close(store), error);
    ck_assert_int_eq(syncs, 1);
    open_store();
    ck_assert(has(1) && has(2) && !has(3)); /* in the log, though nobody was told that it is */
}
END_TEST

/* ---------------------------------------------------------------- flushes */

START_TEST(a_flush_syncs_what_is_beside_before_there_is_a_table)
{
    put(1, false);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(syncs, 1);
    ck_assert_int_ge(first_call(SIM_SYNC, SEGMENT), 0);
    ck_assert_int_gt(first_call(SIM_CREATE, ".ldb"), first_call(SIM_SYNC, SEGMENT));
}
END_TEST

START_TEST(a_flush_whose_sync_fails_makes_no_table_and_is_not_tried_again)
{
    put(1, false);
    fails_at = 1;
    failure = failures[_i];
    ck_assert_int_eq(store_flush(store), failures[_i]);
    ck_assert_int_eq(store_background_error(store), failures[_i]);
    ck_assert_int_eq(try_put(2, false), failures[_i]);
    usleep(50000); /* a flush that lacks space would be tried again by now */
    ck_assert_int_lt(first_call(SIM_CREATE, ".ldb"), 0);
    ck_assert_uint_eq(store_flushed_sequence(store), 0);
    expect_no_tables();
    ck_assert(has(1));
    ck_assert_int_eq(store_close(store), failures[_i]);
    ck_assert_int_eq(syncs, 1);
    open_store();
    ck_assert(has(1) && !has(2));
}
END_TEST

START_TEST(closing_syncs_what_is_beside_before_the_log_and_before_the_table)
{
    put(1, false);
    fails_at = 2; /* the sync is the first, the flush the second */
    failure = -EIO;
    ck_assert_int_eq(store_close(store), -EIO);
    ck_assert_int_eq(syncs, 2);
    ck_assert_int_ge(first_call(SIM_SYNC, SEGMENT), 0);
    ck_assert_int_gt(first_call(SIM_SYNC, ".log"), first_call(SIM_SYNC, SEGMENT));
    ck_assert_int_lt(first_call(SIM_CREATE, ".ldb"), 0);
    open_store();
    ck_assert(has(1));
}
END_TEST

static void *put_and_fail(void *arg)
{
    (void)arg;
    ck_assert_int_eq(try_put(2, true), -EIO);
    return NULL;
}

/* The kernel tells one caller only that bytes were lost. */
START_TEST(a_flush_beside_a_failing_sync_makes_no_table_either)
{
    pthread_t writer;
    put(1, false);
    fails_at = 1;
    failure = -EIO;
    held = true;
    ck_assert_int_eq(pthread_create(&writer, NULL, put_and_fail, NULL), 0);
    while (syncs == 0)
        usleep(1000);
    pthread_mutex_lock(&store->mu);
    uint64_t begun = store->flushes_begun;
    pthread_mutex_unlock(&store->mu);
    ck_assert_int_eq(room_switch(store), 0);
    for (bool begins = false; !begins; usleep(1000)) {
        pthread_mutex_lock(&store->mu);
        begins = store->flushes_begun > begun;
        pthread_mutex_unlock(&store->mu);
    }
    usleep(50000); /* it is at its own sync by now */
    held = false;
    pthread_join(writer, NULL);
    ck_assert_int_eq(store_flush(store), -EIO);
    expect_no_tables();
    ck_assert_int_eq(store_close(store), -EIO); /* the flush has ended, whatever it did */
    ck_assert_int_eq(syncs, 1);
    ck_assert_int_lt(first_call(SIM_CREATE, ".ldb"), 0);
    open_store();
}
END_TEST

/* ---------------------------------------------------------------- recovery */

START_TEST(recovery_asks_for_what_no_mark_covers)
{
    put(1, false);
    put(2, false);
    put(3, true);
    put(4, false); /* with it comes the mark */
    put(5, false);
    kill_it();
    open_store();
    expect_asked("k4 k5 ");
    ck_assert_int_eq(syncs, 1);
    for (int i = 1; i <= 5; i++)
        ck_assert(has(i));
    kill_it();
    open_store(); /* all of it is in tables */
    expect_asked("");
    ck_assert_int_eq(syncs, 0);
}
END_TEST

START_TEST(without_a_mark_recovery_asks_for_all)
{
    put(1, false);
    put(2, true); /* nothing follows that could say that it is durable */
    ck_assert_int_eq(store_delete(store, slice_str("k1"), false), 0);
    kill_it();
    open_store();
    expect_asked(""); /* but the delete did */
    put(3, true);
    kill_it();
    open_store();
    expect_asked("k3 ");
}
END_TEST

/* Memtables whose flush is held back, until the log is another one. */
START_TEST(a_mark_in_a_later_log_covers_earlier_logs)
{
    int i = 0;
    store_close(store);
    options.memtable_bytes = 16 << 10;
    options.max_immutables = 10;
    open_store();
    tables_held = true;
    for (uint64_t first = store->log->number; store->log->number == first; i++)
        put(i, false);
    put(i, true);
    put(1000, false);
    kill_it();
    open_store();
    expect_asked("k1000 ");
    ck_assert(has(0) && has(i) && has(1000));
}
END_TEST

/* A log that LevelDB wrote: its empty batches say nothing of what is durable. */
START_TEST(an_empty_batch_of_leveldb_covers_nothing)
{
    struct store_batch b = STORE_BATCH_INIT;
    struct env_file *file;
    struct log_writer w;
    char mark[BATCH_HEADER_SIZE];
    ck_assert_int_eq(env_open(disk, "/db/000900.log", ENV_WRITE | ENV_CREATE, &file), 0);
    log_writer_init(&w, disk, file);
    store_batch_put(&b, slice_str("k1"), slice_str("value"));
    batch_set_sequence(&b, 1);
    ck_assert_int_eq(log_append(&w, buf_slice(&b.rep)), 0);
    ck_assert_int_eq(log_append(&w, batch_mark(mark, 1)), 0);
    log_writer_free(&w);
    env_close(disk, file);
    store_batch_free(&b);
    kill_it();
    open_store();
    expect_asked("k1 ");
    ck_assert(has(1));
}
END_TEST

static void count_log(void *arg, const char *name)
{
    uint64_t number;
    *(int *)arg += name_parse(name, &number) == NAME_LOG;
}

static int logs_in(const char *dir)
{
    int n = 0;
    env_list(disk, dir, count_log, &n);
    return n;
}

static void put_two(int a, int b)
{
    struct store_batch batch = STORE_BATCH_INIT;
    char room[16];
    store_batch_put(&batch, key_of(a, room), slice_str("value"));
    store_batch_put(&batch, key_of(b, room), slice_str("value"));
    ck_assert_int_eq(store_write(store, &batch, false), 0);
    store_batch_free(&batch);
}

/* The second put of the batch is refused: its first is not there either, nor what came later. */
START_TEST(what_is_refused_ends_the_replay)
{
    struct store_stats stats;
    put(1, true);
    put(2, false);
    put_two(3, 4);
    put(5, false);
    kill_it();
    refused_key = "k4";
    refusal = STORE_ECORRUPT;
    options.repair = _i == 1;
    open_store();
    expect_asked("k2 k3 k4 ");
    ck_assert(has(1) && has(2) && !has(3) && !has(4) && !has(5));
    store_get_stats(store, &stats);
    ck_assert_uint_eq(stats.cut_records, 2);
    ck_assert_uint_gt(stats.cut_bytes, 1000);
    ck_assert_int_ge(logs_in("/db/lost"), 1);
    put(6, true); /* it goes on from there */
    kill_it();
    open_store();
    ck_assert(has(2) && !has(3) && !has(4) && !has(5) && has(6));
}
END_TEST

static void add_file(void *arg, const char *name)
{
    struct buf bytes = BUF_INIT, *all = arg;
    char *path = mem_printf("/db/%s", name);
    if (strcmp(name, "LOCK") != 0 && strcmp(name, "LOG") != 0) {
        ck_assert_int_eq(env_read_file(disk, path, &bytes), 0);
        buf_append(all, name, strlen(name) + 1);
        buf_append_slice(all, buf_slice(&bytes));
    }
    buf_free(&bytes);
    free(path);
}

/* Much was replayed before, and is in tables already. */
static void write_much_and_kill(void)
{
    for (int i = 0; i < 100; i++)
        put(i, false);
    kill_it();
    options.memtable_bytes = 16 << 10;
}

static void expect_failed_open(int error)
{
    struct buf before = BUF_INIT, after = BUF_INIT;
    ck_assert_int_eq(env_list(disk, "/db", add_file, &before), 0);
    ck_assert_int_eq(try_open(), error);
    ck_assert_int_eq(env_list(disk, "/db", add_file, &after), 0);
    ck_assert(slice_equal(buf_slice(&before), buf_slice(&after)));
    buf_free(&before);
    buf_free(&after);
}

START_TEST(another_error_fails_the_open_and_changes_nothing)
{
    write_much_and_kill();
    refused_key = "k90";
    refusal = -EIO;
    expect_failed_open(-EIO);
    ck_assert_msg(strstr(fail_text(), "k90 is not whole"), "%s", fail_text());
    ck_assert_int_gt(syncs, 0); /* (tables were made on the way) */
    refused_key = NULL;
    open_store();
    ck_assert(has(0) && has(99));
}
END_TEST

START_TEST(a_failed_sync_fails_the_open_and_changes_nothing)
{
    write_much_and_kill();
    fails_at = 1 + _i;
    failure = failures[_i];
    expect_failed_open(failures[_i]);
    ck_assert_msg(strstr(fail_text(), "the segment cannot be synced"), "%s", fail_text());
    ck_assert_int_eq(syncs, fails_at);
    fails_at = 0;
    open_store();
    ck_assert(has(0) && has(99));
}
END_TEST

START_TEST(read_only_it_is_checked_and_never_synced)
{
    struct buf before = BUF_INIT, after = BUF_INIT;
    write_much_and_kill();
    refused_key = "k90";
    refusal = STORE_ECORRUPT;
    ck_assert_int_eq(env_list(disk, "/db", add_file, &before), 0);
    options.read_only = true;
    open_store();
    ck_assert(has(89) && !has(90) && !has(91));
    ck_assert_int_eq(store_close(store), 0);
    ck_assert_int_eq(syncs, 0);
    ck_assert_int_eq(env_list(disk, "/db", add_file, &after), 0);
    ck_assert(slice_equal(buf_slice(&before), buf_slice(&after)));
    buf_free(&before);
    buf_free(&after);
    options.read_only = false;
    open_store();
}
END_TEST

/* ---------------------------------------------------------------- what is in tables */

START_TEST(the_flushed_sequence_follows_the_flush)
{
    ck_assert_uint_eq(store_flushed_sequence(store), 0);
    for (int i = 1; i <= 5; i++)
        put(i, true);
    ck_assert_uint_eq(store_flushed_sequence(store), 0);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_uint_eq(store_flushed_sequence(store), 5);
    put(6, true);
    put(7, false);
    ck_assert_uint_eq(store_flushed_sequence(store), 5);
    kill_it();
    open_store();
    expect_asked("k7 ");
    ck_assert_uint_eq(store_last_sequence(store), 7);
    ck_assert_uint_eq(store_flushed_sequence(store), 7);
    ck_assert_int_eq(store_close(store), 0);
    open_store();
    ck_assert_uint_eq(store_flushed_sequence(store), 7);
}
END_TEST

/* No mark says so, and the deletion of their log is lost. */
START_TEST(what_is_flushed_is_not_asked_for)
{
    for (int i = 1; i <= 5; i++)
        put(i, i == 5);
    ck_assert_int_eq(store_flush(store), 0);
    lose_power(SIM_LOSE_ALL);
    ck_assert_int_ge(logs_in("/db"), 1);
    open_store();
    expect_asked("");
    ck_assert(has(1) && has(5));
}
END_TEST

START_TEST(a_store_with_nothing_beside_asks_nobody)
{
    store_close(store);
    options.beside = (struct store_beside){0};
    open_store();
    syncs = 0;
    put(1, true);
    ck_assert_int_eq(store_flush(store), 0);
    put(2, false);
    kill_it();
    open_store();
    ck_assert_int_eq(syncs, 0);
    expect_asked("");
    ck_assert(has(1) && has(2));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("beside");
    TCase *tc = tcase_create("beside");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_sync_round_syncs_what_is_beside_before_the_log, 0, 2);
    tcase_add_loop_test(tc, a_failed_sync_ends_all_writing_and_is_not_tried_again, 0, 6);
    tcase_add_test(tc, a_flush_syncs_what_is_beside_before_there_is_a_table);
    tcase_add_loop_test(tc, a_flush_whose_sync_fails_makes_no_table_and_is_not_tried_again, 0, 3);
    tcase_add_test(tc, closing_syncs_what_is_beside_before_the_log_and_before_the_table);
    tcase_add_test(tc, a_flush_beside_a_failing_sync_makes_no_table_either);
    tcase_add_test(tc, recovery_asks_for_what_no_mark_covers);
    tcase_add_test(tc, without_a_mark_recovery_asks_for_all);
    tcase_add_test(tc, a_mark_in_a_later_log_covers_earlier_logs);
    tcase_add_test(tc, an_empty_batch_of_leveldb_covers_nothing);
    tcase_add_loop_test(tc, what_is_refused_ends_the_replay, 0, 2);
    tcase_add_test(tc, another_error_fails_the_open_and_changes_nothing);
    tcase_add_loop_test(tc, a_failed_sync_fails_the_open_and_changes_nothing, 0, 3);
    tcase_add_test(tc, read_only_it_is_checked_and_never_synced);
    tcase_add_test(tc, the_flushed_sequence_follows_the_flush);
    tcase_add_test(tc, what_is_flushed_is_not_asked_for);
    tcase_add_test(tc, a_store_with_nothing_beside_asks_nobody);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
