/* Tests of plain writes that go into the log without a system call: which ones do, and that the log
 * is the same. On the simulated disk, which checks that a window lies within its file, and counts
 * what goes through one (SIM_WINDOW). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/error.h"
#include "../log/log_reader.h"
#include "../log/log_writer.h"
#include "../store.h"
#include "env_sim.h"
#include "run_suite.h"

/* ---- the log's writer */

static struct env *disk;

static void setup(void)
{
    disk = env_sim_new();
}

static void teardown(void)
{
    env_sim_free(disk);
}

static uint64_t through_windows(void)
{
    return env_sim_count(disk, SIM_WINDOW);
}

struct log {
    struct env_file *file;
    struct log_writer writer;
};

static void log_open_new(struct log *l, const char *path)
{
    int flags = ENV_WRITE | ENV_CREATE | ENV_TRUNCATE;
    ck_assert_int_eq(env_open(disk, path, flags, &l->file), 0);
    log_writer_init(&l->writer, disk, l->file);
}

static void log_close(struct log *l)
{
    log_writer_free(&l->writer);
    env_close(disk, l->file);
}

static void assert_same_files(const char *a, const char *b)
{
    struct buf one = BUF_INIT, other = BUF_INIT;
    ck_assert_int_eq(env_read_file(disk, a, &one), 0);
    ck_assert_int_eq(env_read_file(disk, b, &other), 0);
    ck_assert(slice_equal(buf_slice(&one), buf_slice(&other)));
    buf_free(&one);
    buf_free(&other);
}

/* What may come between two records, and must not be noticed. */
static void disturb(struct sim_random *r, struct log *l)
{
    switch (sim_below(r, 12)) {
    case 0:
        ck_assert_int_eq(log_zero_ahead(&l->writer, 100, 3000, LOG_LARGE), 0);
        break;
    case 1:
        ck_assert_int_eq(log_undo(&l->writer), 0);
        break;
    case 2:
        ck_assert_int_eq(log_trim(&l->writer), 0);
        break;
    case 3:
        log_close_window(&l->writer);
        break;
    case 4:
        ck_assert_int_eq(env_sync(disk, l->file), 0);
        break;
    default:
        break;
    }
}

START_TEST(the_log_is_the_same_with_and_without_windows)
{
    uint64_t seed = sim_env_number("SEED", 1), rounds = sim_env_number("ITERATIONS", 30);
    struct sim_random r = {seed};
    printf("the_log_is_the_same_with_and_without_windows: SEED=%llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < rounds; i++) {
        struct log plain, mapped;
        uint64_t size = 500 + sim_below(&r, 20000);
        log_open_new(&plain, "/plain");
        log_open_new(&mapped, "/mapped");
        for (int n = 0; n < 200; n++) {
            char bytes[1000];
            size_t len = sim_below(&r, sim_chance(&r, 90) ? 100 : sizeof bytes);
            memset(bytes, (int)('a' + sim_below(&r, 26)), len);
            if (len + 7 + 7 <= size && sim_chance(&r, 80))
                ck_assert_int_eq(log_use_window(&mapped.writer, len + 14, size), 0);
            ck_assert_int_eq(log_append(&plain.writer, slice_of(bytes, len)), 0);
            ck_assert_int_eq(log_append(&mapped.writer, slice_of(bytes, len)), 0);
            disturb(&r, &mapped);
        }
        ck_assert_int_eq(log_trim(&mapped.writer), 0);
        log_close(&plain);
        log_close(&mapped);
        assert_same_files("/plain", "/mapped");
    }
    ck_assert_uint_gt(through_windows(), rounds * 50);
}
END_TEST

START_TEST(only_the_append_that_was_announced_takes_the_window)
{
    struct log l;
    log_open_new(&l, "/log");
    ck_assert_int_eq(log_use_window(&l.writer, 100, 4096), 0);
    ck_assert_int_eq(log_append(&l.writer, slice_str("one")), 0);
    ck_assert_uint_eq(through_windows(), 1);
    ck_assert_int_eq(log_append(&l.writer, slice_str("two")), 0);
    ck_assert_uint_eq(through_windows(), 1);
    log_close(&l);
}
END_TEST

START_TEST(without_space_for_zeroes_records_are_written_as_ever)
{
    struct log l;
    uint64_t size = 0;
    log_open_new(&l, "/log");
    env_sim_set_capacity(disk, 2000);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(log_use_window(&l.writer, 100, 4096), 0);
        ck_assert_int_eq(log_append(&l.writer, slice_str("record")), 0);
    }
    ck_assert_uint_eq(through_windows(), 0);
    ck_assert_uint_eq(env_sim_count(disk, SIM_WRITE), 1 + 10); /* one try is enough */
    ck_assert_int_eq(env_size(disk, l.file, &size), 0);
    ck_assert_uint_eq(size, l.writer.end);
    log_close(&l);
}
END_TEST

/* Wherever the records before them end. */
START_TEST(many_zeroes_are_written_in_whole_pieces)
{
    enum { MANY = 200000 };
    static const char bytes[MANY + LOG_LARGE];
    const enum log_piece piece = _i ? LOG_LARGE : LOG_PAGES;
    const struct sim_traced *calls;
    struct log l;
    log_open_new(&l, "/log");
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(log_append(&l.writer, slice_of(bytes, 7)), 0);
        uint64_t at = l.writer.end;
        env_sim_set_trace(disk, true);
        ck_assert_int_eq(log_zero_ahead(&l.writer, 1, MANY, piece), 0);
        ck_assert_uint_gt(l.writer.zeroed, at + MANY - piece);
        ck_assert_uint_le(l.writer.zeroed, at + MANY);
        for (size_t k = 0, n = env_sim_trace(disk, &calls); k < n; k++) {
            ck_assert_uint_eq(calls[k].off, at);
            ck_assert_uint_le(calls[k].len, piece);
            at += calls[k].len;
            ck_assert_uint_eq(at % piece, 0);
        }
        ck_assert_uint_eq(at, l.writer.zeroed);
        env_sim_set_trace(disk, false);
        ck_assert_int_eq(log_append(&l.writer, slice_of(bytes, at - l.writer.end)), 0);
    }
    log_close(&l);
}
END_TEST

START_TEST(zeroes_that_fail_otherwise_are_an_error)
{
    struct log l;
    log_open_new(&l, "/log");
    env_sim_fail(disk, SIM_WRITE, 1, -EIO, SIM_DONE_NOTHING);
    ck_assert_int_eq(log_use_window(&l.writer, 100, 4096), -EIO);
    log_close(&l);
}
END_TEST

START_TEST(where_there_are_no_windows_records_are_written_as_ever)
{
    struct env_ops ops = *disk->ops, *kept = (struct env_ops *)disk->ops;
    struct log l;
    ops.window_open = NULL;
    disk->ops = &ops;
    log_open_new(&l, "/log");
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(log_use_window(&l.writer, 100, 4096), 0);
        ck_assert_int_eq(log_append(&l.writer, slice_str("record")), 0);
    }
    ck_assert_uint_eq(env_sim_count(disk, SIM_WRITE), 1 + 10);
    log_close(&l);
    disk->ops = kept;
}
END_TEST

/* ---- the store's rule */

enum { WINDOW = 64 << 10, LONGEST = 4096, AFTER = WINDOW / 2, LONG_AFTER = WINDOW / 4 };

static struct store *store;
static struct store_options options;

static void open_with_memtable(size_t window, size_t memtable)
{
    store_options_init(&options);
    options.env = disk;
    options.log_window_bytes = window;
    options.memtable_bytes = memtable;
    options.reserve_bytes = 0;
    ck_assert_int_eq(store_open("/db", &options, &store), 0);
}

static void open_store(size_t window)
{
    open_with_memtable(window, 4 << 20);
}

/* Returns how many of the puts went through a window. */
static uint64_t put(int count, size_t len, bool sync)
{
    static const char bytes[60000];
    uint64_t before = through_windows();
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(store_put(store, slice_str("key"), slice_of(bytes, len), sync), 0);
    return through_windows() - before;
}

START_TEST(many_short_plain_writes_go_through_windows)
{
    open_store(WINDOW);
    put(WINDOW * 4 / 100, 100, false); /* windows are as large as they get */
    uint64_t writes = env_sim_count(disk, SIM_WRITE);
    ck_assert_uint_eq(put(2000, 100, false), 2000);
    /* besides: the zeroes, once a window */
    ck_assert_uint_le(env_sim_count(disk, SIM_WRITE) - writes, 2000 + 2000 * 150 / WINDOW + 1);
    store_close(store);
}
END_TEST

START_TEST(a_store_without_windows_has_none)
{
    open_store(0);
    ck_assert_uint_eq(put(200, 100, false), 0);
    ck_assert_uint_eq(put(20, 100, true), 0);
    store_close(store);
}
END_TEST

START_TEST(sync_writes_and_those_right_behind_them_do_not)
{
    open_store(WINDOW);
    put(AFTER / 100, 100, false);
    ck_assert_uint_eq(put(10, 100, true), 0);
    ck_assert_uint_eq(put(AFTER / 150, 100, false), 0);
    ck_assert_uint_gt(put(AFTER / 100, 100, false), 0);
    store_close(store);
}
END_TEST

/* A sync behind each: what the kernel counts as written is a page then. */
START_TEST(synced_writes_go_over_zeroes_of_single_pages)
{
    const struct sim_traced *calls;
    size_t n, zeroed = 0;
    open_store(WINDOW);
    put(2, 100, true); /* the log is synced often */
    env_sim_set_trace(disk, true);
    put(20, 60000, true);
    n = env_sim_trace(disk, &calls);
    for (size_t i = 0; i < n; i++)
        if (calls[i].call == SIM_WRITE && strstr(calls[i].path, ".log") && calls[i].len < 60000) {
            ck_assert_uint_le(calls[i].len, 4096);
            ck_assert_uint_eq((calls[i].off + calls[i].len) % 4096, 0);
            zeroed++;
        }
    ck_assert_uint_ge(zeroed, 256);
    env_sim_set_trace(disk, false);
    store_close(store);
}
END_TEST

START_TEST(long_writes_do_not)
{
    open_store(WINDOW);
    put(AFTER / 100, 100, false);
    ck_assert_uint_eq(put(10, LONGEST, false), 0);
    ck_assert_uint_eq(put(10, LONGEST / 2, false), 10);
    store_close(store);
}
END_TEST

/* The zeroes written for a number of long plain puts, by the length of the log. */
static uint64_t zeroes_for_long_puts(int count)
{
    const struct sim_traced *calls;
    uint64_t zeroes = 0;
    env_sim_set_trace(disk, true);
    put(count, LONGEST, false);
    for (size_t i = 0, n = env_sim_trace(disk, &calls); i < n; i++)
        if (calls[i].call == SIM_WRITE && calls[i].len > LONGEST + 200)
            zeroes += calls[i].len;
    env_sim_set_trace(disk, false);
    return zeroes;
}

START_TEST(long_writes_go_over_zeroes_except_right_behind_a_sync)
{
    enum { COUNT = 50 };
    open_store(WINDOW);
    ck_assert_uint_eq(zeroes_for_long_puts(LONG_AFTER / LONGEST), 0);
    uint64_t zeroes = zeroes_for_long_puts(COUNT);
    ck_assert_uint_ge(zeroes, (COUNT - 1) * LONGEST);
    ck_assert_uint_le(zeroes, COUNT * (LONGEST + 100) + 2 * WINDOW);
    put(1, 10, true);
    put(COUNT, LONGEST, false); /* through what is left of the zeroes */
    put(1, 10, true);
    ck_assert_uint_eq(zeroes_for_long_puts(LONG_AFTER / LONGEST - 1), 0);
    store_close(store);
    open_store(0);
    ck_assert_uint_eq(zeroes_for_long_puts(COUNT), 0);
    store_close(store);
}
END_TEST

/* What is the length of the logs' files, and the longest write into one. Requires: no flush or
 * compaction runs, whose calls are traced as well. */
static uint64_t log_growth(uint64_t *longest, int *logs)
{
    struct {
        const char *path;
        uint64_t end;
    } log[64];
    const struct sim_traced *calls;
    size_t n = env_sim_trace(disk, &calls);
    uint64_t sum = 0;
    *longest = 0;
    *logs = 0;
    for (size_t i = 0; i < n; i++) {
        int at = 0;
        if (calls[i].call != SIM_WRITE || !strstr(calls[i].path, ".log"))
            continue;
        while (at < *logs && strcmp(log[at].path, calls[i].path) != 0)
            at++;
        if (at == *logs) {
            ck_assert_int_lt(at, 64);
            log[(*logs)++].path = calls[i].path;
            log[at].end = 0;
        }
        if (calls[i].off + calls[i].len > log[at].end)
            log[at].end = calls[i].off + calls[i].len;
        if (calls[i].len > *longest)
            *longest = calls[i].len;
    }
    for (int i = 0; i < *logs; i++)
        sum += log[i].end;
    return sum;
}

/* Until so many more memtables were full. Returns the bytes that went into the logs. */
static uint64_t fill_memtables(uint64_t count)
{
    struct store_stats st;
    store_get_stats(store, &st);
    uint64_t until = st.switches + count, before = st.log_bytes;
    for (; st.switches < until; store_get_stats(store, &st))
        put(1, 100, false);
    return st.log_bytes - before;
}

START_TEST(little_of_a_window_is_left_when_the_next_log_takes_over)
{
    enum { LOGS = 4 };
    uint64_t longest;
    int logs;
    open_with_memtable(WINDOW, 512 << 10);
    fill_memtables(1);
    store_flush(store); /* the next log begins with the trace */
    env_sim_set_trace(disk, true);
    uint64_t records = fill_memtables(LOGS);
    store_close(store); /* no thread uses the disk any more */
    uint64_t growth = log_growth(&longest, &logs);
    /* the one before the last has just one window, the last one nothing */
    ck_assert_int_eq(logs, LOGS + 1);
    ck_assert_uint_ge(longest, WINDOW);
    ck_assert_uint_le(growth - records, LOGS * WINDOW / 5 + WINDOW + 4096);
}
END_TEST

START_TEST(a_window_behind_a_sync_is_a_share_of_what_was_written_since)
{
    uint64_t longest;
    int logs;
    open_store(WINDOW);
    put(WINDOW * 8 / 100, 100, false);
    put(1, 100, true);
    env_sim_set_trace(disk, true);
    put(WINDOW / 100, 100, false);
    log_growth(&longest, &logs);
    ck_assert_uint_gt(longest, WINDOW / 8 - 4096);
    ck_assert_uint_le(longest, WINDOW * 2 / 4 + 4096);
    store_close(store);
}
END_TEST

START_TEST(what_went_through_windows_is_there_after_a_kill)
{
    enum { COUNT = 2000 };
    char key[16];
    open_store(WINDOW);
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "%04d", i);
        ck_assert_int_eq(store_put(store, slice_str(key), slice_str("value"), false), 0);
    }
    ck_assert_uint_gt(through_windows(), COUNT / 4);
    struct env *copy = env_sim_cut_copy(disk);
    store_close(store);
    env_sim_free(disk);
    env_sim_survive(copy, SIM_KEEP_ALL, 1);
    disk = copy;
    open_store(WINDOW);
    for (int i = 0; i < COUNT; i++) {
        struct buf value = BUF_INIT;
        snprintf(key, sizeof key, "%04d", i);
        ck_assert_int_eq(store_get(store, NULL, slice_str(key), &value), 0);
        buf_free(&value);
    }
    store_close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log_window");
    TCase *writer = tcase_create("writer"), *rule = tcase_create("rule");
    tcase_set_timeout(writer, 60);
    tcase_add_checked_fixture(writer, setup, teardown);
    tcase_add_test(writer, the_log_is_the_same_with_and_without_windows);
    tcase_add_test(writer, only_the_append_that_was_announced_takes_the_window);
    tcase_add_test(writer, without_space_for_zeroes_records_are_written_as_ever);
    tcase_add_loop_test(writer, many_zeroes_are_written_in_whole_pieces, 0, 2);
    tcase_add_test(writer, zeroes_that_fail_otherwise_are_an_error);
    tcase_add_test(writer, where_there_are_no_windows_records_are_written_as_ever);
    tcase_set_timeout(rule, 60);
    tcase_add_checked_fixture(rule, setup, teardown);
    tcase_add_test(rule, many_short_plain_writes_go_through_windows);
    tcase_add_test(rule, a_store_without_windows_has_none);
    tcase_add_test(rule, sync_writes_and_those_right_behind_them_do_not);
    tcase_add_test(rule, synced_writes_go_over_zeroes_of_single_pages);
    tcase_add_test(rule, long_writes_do_not);
    tcase_add_test(rule, long_writes_go_over_zeroes_except_right_behind_a_sync);
    tcase_add_test(rule, little_of_a_window_is_left_when_the_next_log_takes_over);
    tcase_add_test(rule, a_window_behind_a_sync_is_a_share_of_what_was_written_since);
    tcase_add_test(rule, what_went_through_windows_is_there_after_a_kill);
    suite_add_tcase(suite, writer);
    suite_add_tcase(suite, rule);
    return run_suite(suite);
}
