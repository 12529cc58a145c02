/* Damage to what was synced is told from a tail that never was: marks in the log. */
#include <check.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "../commit/batch.h"
#include "../db/db.h"
#include "../db/marks.h"
#include "../log/log_format.h"
#include "../log/log_reader.h"
#include "env_sim.h"
#include "run_suite.h"
#include "sim_random.h"

enum { WRITES = 400 };

static struct env *disk;
static struct store *store;
static struct store_options options;
static uint64_t log_number;

static void setup(void)
{
    store_options_init(&options);
    options.env = disk = env_sim_new();
    options.zero_ahead_bytes = 64 << 10;
    ck_assert_int_eq(store_open("/db", &options, &store), 0);
}

static void teardown(void)
{
    store_close(store);
    env_sim_free(disk);
}

static struct slice key_text(char *to, int i)
{
    return slice_of(to, (size_t)snprintf(to, 32, "key%06d", i));
}

/* Values of 300 bytes: some hundred writes fill several blocks of the log. */
static void put(int i, bool sync)
{
    char key[32], value[300];
    memset(value, 'a' + i % 26, sizeof value);
    ck_assert_int_eq(store_put(store, key_text(key, i), slice_of(value, sizeof value), sync), 0);
}

static bool has(int i)
{
    char key[32];
    struct buf value = BUF_INIT;
    int rc = store_get(store, NULL, key_text(key, i), &value);
    ck_assert(rc == 0 || rc == -ENOENT);
    buf_free(&value);
    return rc == 0;
}

/* The process is killed; the disk keeps all. */
static void kill_it(void)
{
    log_number = store->log->number;
    struct env *copy = env_sim_cut_copy(disk);
    store_close(store);
    env_sim_free(disk);
    env_sim_survive(copy, SIM_KEEP_ALL, 1);
    options.env = disk = copy;
    store = NULL;
}

static void write_and_kill(int writes)
{
    for (int i = 0; i < writes; i++)
        put(i, true);
    kill_it();
}

static char *log_path(void)
{
    return name_log("/db", log_number);
}

static void read_log(struct buf *out)
{
    char *path = log_path();
    buf_clear(out);
    ck_assert_int_eq(env_read_file(disk, path, out), 0);
    free(path);
}

/* Where its records end and zeroes begin. */
static size_t end_of(const struct buf *log)
{
    size_t end = log->len;
    while (end > 0 && log->data[end - 1] == 0)
        end--;
    return end;
}

static void write_log(struct slice bytes)
{
    char *path = log_path();
    ck_assert_int_eq(env_replace_file(disk, path, bytes), 0);
    free(path);
}

static int open_it(bool repair)
{
    options.repair = repair;
    return store_open("/db", &options, &store);
}

/* How many of the writes are there; what is there is a prefix. */
static int held(int writes)
{
    int n = 0;
    while (n < writes && has(n))
        n++;
    for (int i = n; i < writes; i++)
        ck_assert_msg(!has(i), "write %d is there and %d is not", i, n);
    return n;
}

static void expect_refusal(const char *what)
{
    char name[32];
    snprintf(name, sizeof name, "%06llu.log: at offset", (unsigned long long)log_number);
    int rc = open_it(false);
    ck_assert_msg(rc == STORE_ECORRUPT, "%s: opens with %d", what, rc);
    ck_assert_msg(strstr(fail_text(), name) != NULL, "%s: %s", what, fail_text());
    ck_assert_msg(strstr(fail_text(), "repair") != NULL, "%s: %s", what, fail_text());
}

static void expect_lost_copy(struct slice damaged)
{
    char *path = name_log("/db/lost", log_number);
    struct buf kept = BUF_INIT;
    ck_assert_int_eq(env_read_file(disk, path, &kept), 0);
    ck_assert(slice_equal(buf_slice(&kept), damaged));
    buf_free(&kept);
    free(path);
}

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

/* Also where so much was replayed before the damage that it went into tables. */
START_TEST(a_refusal_changes_no_file)
{
    struct buf log = BUF_INIT, before = BUF_INIT, after = BUF_INIT;
    write_and_kill(WRITES);
    read_log(&log);
    log.data[3 * LOG_BLOCK_SIZE] ^= 1;
    write_log(buf_slice(&log));
    options.memtable_bytes = 16 << 10;
    ck_assert_int_eq(env_list(disk, "/db", add_file, &before), 0);
    expect_refusal("a changed byte");
    ck_assert_int_eq(env_list(disk, "/db", add_file, &after), 0);
    ck_assert(slice_equal(buf_slice(&before), buf_slice(&after)));
    buf_free(&log);
    buf_free(&before);
    buf_free(&after);
}
END_TEST

/* Behind the last mark there is the last write alone: it may be taken for one that was torn. */
START_TEST(a_changed_byte_in_a_synced_log_is_refused_and_repaired)
{
    struct sim_random r = {(uint64_t)_i + 1};
    struct buf log = BUF_INIT;
    write_and_kill(WRITES);
    read_log(&log);
    size_t end = log.len;
    while (end > 0 && log.data[end - 1] == 0)
        end--;
    for (int n = 0; n < 20; n++) {
        size_t at = sim_below(&r, end - 400);
        log.data[at] ^= (char)(1 << n % 8);
        write_log(buf_slice(&log));
        expect_refusal("a changed byte");
        log.data[at] ^= (char)(1 << n % 8);
    }
    size_t at = sim_below(&r, end - 400);
    log.data[at] ^= 16;
    write_log(buf_slice(&log));
    expect_refusal("a changed byte");
    ck_assert_int_eq(open_it(true), 0);
    int n = held(WRITES);
    ck_assert_int_lt(n, WRITES - 1);
    expect_lost_copy(buf_slice(&log));
    put(n, true); /* and it goes on */
    ck_assert(has(n));
    buf_free(&log);
}
END_TEST

START_TEST(a_zeroed_block_in_a_synced_log_is_refused)
{
    struct buf log = BUF_INIT;
    write_and_kill(WRITES);
    read_log(&log);
    memset(log.data + LOG_BLOCK_SIZE, 0, LOG_BLOCK_SIZE);
    write_log(buf_slice(&log));
    expect_refusal("a zeroed block");
    ck_assert_int_eq(open_it(true), 0);
    ck_assert_int_lt(held(WRITES), WRITES / 2);
    buf_free(&log);
}
END_TEST

START_TEST(the_last_write_torn_is_no_damage)
{
    struct buf log = BUF_INIT;
    write_and_kill(10);
    read_log(&log);
    log.data[end_of(&log) - 1] ^= 1;
    write_log(buf_slice(&log));
    ck_assert_int_eq(open_it(false), 0);
    ck_assert_int_eq(held(10), 9);
    buf_free(&log);
}
END_TEST

START_TEST(what_was_never_synced_may_be_lost_anywhere)
{
    struct buf log = BUF_INIT;
    for (int i = 0; i < WRITES; i++)
        put(i, false);
    kill_it();
    read_log(&log);
    log.data[end_of(&log) / 2] ^= 1;
    write_log(buf_slice(&log));
    ck_assert_int_eq(open_it(false), 0);
    int n = held(WRITES);
    ck_assert_int_gt(n, WRITES / 4);
    ck_assert_int_lt(n, WRITES);
    buf_free(&log);
}
END_TEST

static atomic_bool flushes_held;

static int hold_tables(void *arg, enum sim_call call, const char *path)
{
    size_t n = strlen(path);
    (void)arg;
    while (call == SIM_CREATE && n > 4 && strcmp(path + n - 4, ".ldb") == 0 && flushes_held)
        usleep(1000);
    return 0;
}

/* A store whose flushes are held back has an older log, too; it is damaged or gone. */
START_TEST(an_older_log_that_is_cut_or_missing_is_refused)
{
    struct buf log = BUF_INIT;
    store_close(store);
    options.memtable_bytes = 64 << 10;
    options.max_immutables = 100;
    ck_assert_int_eq(store_open("/db", &options, &store), 0);
    env_sim_set_hook(disk, hold_tables, NULL);
    flushes_held = true;
    uint64_t oldest = store->log->number;
    for (int i = 0; i < WRITES; i++)
        put(i, true);
    ck_assert_uint_gt(store->log->number, oldest);
    struct env *copy = env_sim_cut_copy(disk);
    flushes_held = false;
    teardown();
    env_sim_survive(copy, SIM_KEEP_ALL, 1);
    options.env = disk = copy;
    store = NULL;
    log_number = oldest;
    read_log(&log);
    write_log(slice_of(log.data, log.len / 2));
    ck_assert_int_eq(open_it(false), STORE_ECORRUPT);
    char *path = log_path();
    ck_assert_int_eq(env_unlink(disk, path), 0);
    ck_assert_int_eq(open_it(false), STORE_ECORRUPT);
    ck_assert_int_eq(open_it(true), 0);
    ck_assert_int_eq(held(WRITES), 0);
    free(path);
    buf_free(&log);
}
END_TEST

/* ---- marks themselves */

static void write_records(const char *path, const uint64_t (*record)[2], int count)
{
    struct env_file *file;
    struct log_writer w;
    ck_assert_int_eq(env_open(disk, path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file), 0);
    log_writer_init(&w, disk, file);
    for (int i = 0; i < count; i++) { /* {0, durable}: a mark; {n, sequence}: n puts */
        struct store_batch b = STORE_BATCH_INIT;
        char bytes[BATCH_HEADER_SIZE];
        struct slice record_bytes = batch_mark(bytes, record[i][1]);
        for (uint64_t n = 0; n < record[i][0]; n++)
            store_batch_put(&b, slice_of("key", 3), slice_of("value", 5));
        if (record[i][0]) {
            batch_set_sequence(&b, record[i][1]);
            record_bytes = buf_slice(&b.rep);
        }
        ck_assert_int_eq(log_append(&w, record_bytes), 0);
        store_batch_free(&b);
    }
    log_writer_free(&w);
    env_close(disk, file);
}

START_TEST(empty_batches_of_leveldb_are_no_marks)
{
    static const uint64_t ours[][2] = {{0, 5}, {3, 6}, {0, 8}, {1, 9}};
    static const uint64_t levels[][2] = {{3, 6}, {0, 8}, {1, 9}, {0, 9}};
    uint64_t durable = 0;
    write_records("/ours", ours, 4);
    write_records("/levels", levels, 4);
    ck_assert_int_eq(marks_find(disk, "/ours", 0, false, &durable), 0);
    ck_assert_uint_eq(durable, 8);
    durable = 0;
    ck_assert_int_eq(marks_find(disk, "/levels", 0, false, &durable), 0);
    ck_assert_uint_eq(durable, 0);
}
END_TEST

START_TEST(a_mark_costs_no_write_of_its_own)
{
    put(0, true);
    uint64_t writes = env_sim_count(disk, SIM_WRITE);
    for (int i = 1; i <= 10; i++)
        put(i, false);
    ck_assert_uint_eq(env_sim_count(disk, SIM_WRITE), writes + 10);
}
END_TEST

START_TEST(there_is_one_mark_for_each_sync_that_something_follows)
{
    struct log_reader r;
    struct slice record;
    int marks = 0;
    for (int i = 0; i < 30; i++)
        put(i, i % 10 == 9);
    kill_it();
    char *path = log_path();
    ck_assert_int_eq(log_reader_open(&r, disk, path), 0);
    while (log_read(&r, &record) == 1)
        marks += batch_rep_count(record) == 0;
    log_reader_close(&r);
    free(path);
    ck_assert_int_eq(marks, 3); /* the log's first, and two syncs; nothing follows the third */
    ck_assert_int_eq(open_it(false), 0);
    ck_assert_int_eq(held(30), 30);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("marks");
    TCase *tc = tcase_create("marks");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_changed_byte_in_a_synced_log_is_refused_and_repaired, 0, 5);
    tcase_add_test(tc, a_refusal_changes_no_file);
    tcase_add_test(tc, a_zeroed_block_in_a_synced_log_is_refused);
    tcase_add_test(tc, the_last_write_torn_is_no_damage);
    tcase_add_test(tc, what_was_never_synced_may_be_lost_anywhere);
    tcase_add_test(tc, an_older_log_that_is_cut_or_missing_is_refused);
    tcase_add_test(tc, empty_batches_of_leveldb_are_no_marks);
    tcase_add_test(tc, a_mark_costs_no_write_of_its_own);
    tcase_add_test(tc, there_is_one_mark_for_each_sync_that_something_follows);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
