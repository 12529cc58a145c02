/* What store_open accepts and refuses, what it makes of options, where its events go, and how big a
 * range of keys is. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../store.h"
#include "../version/edit.h"
#include "env_sim.h"
#include "run_suite.h"

static struct env *disk;
static struct store_options options;
static struct store *store;

static void setup(void)
{
    store_options_init(&options);
    options.env = disk = env_sim_new();
    store = NULL;
}

static void teardown(void)
{
    ck_assert_int_eq(store_close(store), 0);
    env_sim_free(disk);
}

static struct slice text(const char *s)
{
    return slice_of(s, strlen(s));
}

static void open_again(void)
{
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
    ck_assert_msg(store_open("/db", &options, &store) == 0, "%s", fail_text());
}

static void refused(int code, const char *words)
{
    ck_assert_int_eq(store_open("/db", &options, &store), code);
    ck_assert_msg(strstr(fail_text(), "/db") && strstr(fail_text(), words), "the text is: %s",
                  fail_text());
    ck_assert_ptr_null(store);
}

static void make_file(const char *path, size_t len)
{
    struct env_file *f;
    char *zeroes = calloc(1, len + 1);
    ck_assert_int_eq(env_open(disk, path, ENV_WRITE | ENV_CREATE, &f), 0);
    ck_assert_int_eq(env_pwrite(disk, f, zeroes, len, 0), 0);
    env_close(disk, f);
    free(zeroes);
}

/* ---------------------------------------------------------------- what is refused */

START_TEST(a_store_is_made_only_where_that_is_wanted)
{
    options.create_if_missing = false;
    refused(-ENOENT, "no such store");
    ck_assert_int_eq(env_mkdir(disk, "/db"), 0);
    refused(-ENOENT, "create_if_missing");
    options.create_if_missing = true;
    open_again();
    options.create_if_missing = false;
    open_again();
}
END_TEST

START_TEST(an_existing_store_is_refused_where_a_new_one_is_wanted)
{
    options.error_if_exists = true;
    open_again();
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
    refused(-EEXIST, "already");
}
END_TEST

START_TEST(a_folder_of_something_else_is_left_alone)
{
    ck_assert_int_eq(env_mkdir(disk, "/db"), 0);
    make_file("/db/letter.txt", 10);
    refused(STORE_EFORMAT, "not a store");
    ck_assert(!env_exists(disk, "/db/CURRENT"));
}
END_TEST

START_TEST(tables_without_CURRENT_are_a_damaged_store_and_not_a_new_one)
{
    open_again();
    ck_assert_int_eq(store_put(store, text("a"), text("1"), true), 0);
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
    ck_assert_int_eq(env_unlink(disk, "/db/CURRENT"), 0);
    refused(STORE_ECORRUPT, "CURRENT");
}
END_TEST

/* ---------------------------------------------------------------- options */

START_TEST(options_that_make_no_sense_are_raised_to_the_least_that_does)
{
    struct buf value = BUF_INIT;
    char key[16];
    memset(&options, 0, sizeof options);
    options.env = disk;
    options.create_if_missing = true;
    options.bloom_bits = -5;
    options.max_immutables = options.l0_compact = options.l0_slow = options.l0_stop = -1;
    options.compaction_threads = -1;
    options.debt_soft_bytes = 10;
    options.debt_hard_bytes = 1;
    open_again();
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "%06d", i);
        ck_assert_int_eq(store_put(store, text(key), text("value"), false), 0);
    }
    open_again();
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "%06d", i);
        ck_assert_int_eq(store_get(store, NULL, text(key), &value), 0);
    }
    buf_free(&value);
}
END_TEST

START_TEST(without_options_the_defaults_hold)
{
    ck_assert_int_eq(store_open("/proc/no/such/folder", NULL, &store), -ENOENT);
    open_again();
    ck_assert_ptr_eq(store_env(store), disk);
}
END_TEST

/* ---------------------------------------------------------------- events */

static void hear(void *arg, const char *line)
{
    struct buf *heard = arg;
    buf_append(heard, line, strlen(line));
    buf_append(heard, "\n", 1);
}

static bool heard_word(const struct buf *heard, const char *word)
{
    return heard->len && memmem(heard->data, heard->len, word, strlen(word));
}

START_TEST(events_go_to_the_callback_and_then_to_no_file)
{
    struct buf heard = BUF_INIT;
    options.log = hear;
    options.log_arg = &heard;
    open_again();
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
    ck_assert(heard_word(&heard, "closed cleanly"));
    ck_assert(!env_exists(disk, "/db/LOG"));
    buf_free(&heard);
}
END_TEST

START_TEST(a_long_LOG_becomes_LOG_old)
{
    struct buf log = BUF_INIT;
    open_again();
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
    make_file("/db/LOG", (1 << 20) + 1);
    open_again();
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
    ck_assert_int_eq(env_read_file(disk, "/db/LOG", &log), 0);
    ck_assert(heard_word(&log, "closed cleanly"));
    ck_assert_uint_lt(log.len, 10000);
    ck_assert_int_eq(env_read_file(disk, "/db/LOG.old", &log), 0);
    ck_assert_uint_eq(log.len, (1 << 20) + 1);
    buf_free(&log);
}
END_TEST

/* ---------------------------------------------------------------- sizes */

static void fill(int keys, size_t value_bytes)
{
    char key[16], *value = malloc(value_bytes);
    struct sim_random r = {1};
    for (size_t i = 0; i < value_bytes; i++)
        value[i] = (char)sim_next(&r);
    for (int i = 0; i < keys; i++) {
        snprintf(key, sizeof key, "%06d", i);
        ck_assert_int_eq(store_put(store, text(key), slice_of(value, value_bytes), false), 0);
    }
    free(value);
}

static uint64_t size_of(const char *from, const char *to)
{
    return store_approximate_size(store, text(from), text(to));
}

START_TEST(the_size_of_a_range_is_about_what_its_tables_take)
{
    options.compression = STORE_COMPRESS_NONE;
    options.table_bytes = 64 << 10;
    open_again();
    ck_assert_uint_eq(size_of("", "~"), 0);
    fill(1000, 1000);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    ck_assert_uint_ge(size_of("", "~"), 1000 * 1000);
    ck_assert_uint_le(size_of("", "~"), 1100 * 1000);
    ck_assert_uint_ge(size_of("000250", "000750"), 490 * 1000);
    ck_assert_uint_le(size_of("000250", "000750"), 520 * 1000);
    ck_assert_uint_eq(size_of("1", "2"), 0);
    ck_assert_uint_eq(size_of("000750", "000250"), 0);
}
END_TEST

/* ---------------------------------------------------------------- MANIFEST records as text */

START_TEST(an_edit_reads_as_text)
{
    struct edit e;
    struct buf out = BUF_INIT;
    edit_init(&e);
    e.has_log_number = e.has_next_file = e.has_last_sequence = true;
    e.log_number = 3;
    e.next_file = 9;
    e.last_sequence = 77;
    edit_delete_file(&e, 2, 5);
    struct slice key = slice_of("k\1\0\0\0\0\0\0\0", 9);
    edit_add_file(&e, 1, 8, 4096, key, key);
    edit_to_text(&e, &out);
    buf_append(&out, "", 1);
    ck_assert_str_eq(out.data, "log number 3\n"
                               "next file 9\n"
                               "last sequence 77\n"
                               "deleted level 2 table 5\n"
                               "added level 1 table 8 of 4096 bytes\n");
    buf_free(&out);
    edit_free(&e);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_store_is_made_only_where_that_is_wanted,
                                  an_existing_store_is_refused_where_a_new_one_is_wanted,
                                  a_folder_of_something_else_is_left_alone,
                                  tables_without_CURRENT_are_a_damaged_store_and_not_a_new_one,
                                  options_that_make_no_sense_are_raised_to_the_least_that_does,
                                  without_options_the_defaults_hold,
                                  events_go_to_the_callback_and_then_to_no_file,
                                  a_long_LOG_becomes_LOG_old,
                                  the_size_of_a_range_is_about_what_its_tables_take,
                                  an_edit_reads_as_text,
                                  NULL};
    return run_tests("open", 30, setup, teardown, tests);
}
