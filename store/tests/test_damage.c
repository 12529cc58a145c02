/* Compactions that meet a table with damage: all but what lies in it goes on (compact/damage.h). On
 * the simulated disk. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../db/db.h"
#include "env_sim.h"
#include "harm.h"
#include "run_suite.h"

#define KEYS 1000
#define PATIENCE 10000 /* ms */

static struct env *disk;
static struct store *store;
static struct store_options options;
static char *table; /* the damaged one: its file's name */
static int written[2 * KEYS];

static void open_it(bool repair)
{
    options.repair = repair;
    ck_assert_msg(store_open("/db", &options, &store) == 0, "%s", fail_text());
}

static void close_it(void)
{
    store_close(store);
    store = NULL;
}

static struct slice key_text(char *to, int i)
{
    return slice_of(to, (size_t)snprintf(to, 32, "key%06d", i));
}

static int put(int i, int version)
{
    char key[32], value[160];
    int n = snprintf(value, sizeof value, "%d of version %d, %0100d", i, version, 0);
    int rc = store_put(store, key_text(key, i), slice_of(value, (size_t)n), false);
    if (rc == 0)
        written[i] = version;
    return rc;
}

/* How many of the keys cannot be read for damage; all others are as they were written. */
static int count_damaged(int from, int to)
{
    char key[32];
    struct buf value = BUF_INIT;
    int damaged = 0;
    for (int i = from; i < to; i++) {
        int who, version, rc = store_get(store, NULL, key_text(key, i), &value);
        if (rc == STORE_ECORRUPT) {
            damaged++;
            continue;
        }
        ck_assert_int_eq(rc, written[i] ? 0 : -ENOENT);
        if (rc)
            continue;
        buf_append(&value, "", 1);
        ck_assert_int_eq(sscanf(value.data, "%d of version %d", &who, &version), 2);
        ck_assert_int_eq(who, i);
        ck_assert_int_eq(version, written[i]);
    }
    buf_free(&value);
    return damaged;
}

/* The newest one: what it was made of may lie there still. */
static void note_table(void *arg, const char *name)
{
    uint64_t number, *newest = arg;
    if (name_parse(name, &number) == NAME_TABLE && number > *newest) {
        free(table);
        table = mem_printf("%s", name);
        *newest = number;
    }
}

/* The newest table's path. */
static char *find_table(void)
{
    uint64_t newest = 0;
    ck_assert_int_eq(env_list(disk, "/db", note_table, &newest), 0);
    return mem_printf("/db/%s", table);
}

/* One byte of its first block. */
static void damage_table(void)
{
    char *path = find_table();
    harm_byte(disk, path, 1000);
    free(path);
}

/* Key `from` has the name `to` there, and the first block's checksum is right. (from: a multiple of
 * the restart interval, so that all of it stands in the block.) */
static void rename_key(int from, const char *to)
{
    char *path = find_table(), old[32];
    struct buf bytes = BUF_INIT;
    ck_assert_int_eq(env_read_file(disk, path, &bytes), 0);
    size_t len = harm_block_len(buf_slice(&bytes), 0);
    struct slice key = key_text(old, from);
    char *at = memmem(bytes.data, len, key.data, key.len);
    ck_assert_ptr_nonnull(at);
    ck_assert_uint_eq(strlen(to), key.len);
    memcpy(at, to, key.len);
    harm_seal_block(bytes.data, len);
    ck_assert_int_eq(env_replace_file(disk, path, buf_slice(&bytes)), 0);
    buf_free(&bytes);
    free(path);
}

static struct store_stats stats(void)
{
    struct store_stats st;
    store_get_stats(store, &st);
    return st;
}

/* The lower half of the keys in one table of level 1, and the store closed. */
static void setup_whole(void)
{
    store_options_init(&options);
    options.env = disk = env_sim_new();
    options.compression = STORE_COMPRESS_NONE;
    options.memtable_bytes = 1 << 20; /* all in one table */
    options.l0_compact = 2;
    options.l0_slow = 4;
    options.l0_stop = 6;
    table = NULL;
    memset(written, 0, sizeof written);
    open_it(false);
    ck_assert_int_eq(put(0, 1), 0); /* goes to level 2, so that the others do not */
    ck_assert_int_eq(store_flush(store), 0);
    for (int i = 0; i < KEYS; i++)
        ck_assert_int_eq(put(i, 1), 0);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(stats().level_files[1], 1);
    close_it();
    options.memtable_bytes = 64 << 10;
}

/* One block of that table is damaged. */
static void setup(void)
{
    setup_whole();
    damage_table();
    open_it(false);
}

static void teardown(void)
{
    close_it();
    env_sim_free(disk);
    free(table);
}

/* Writes these keys again and again until `done` says so, or an error comes. */
static int write_until(int from, int to, bool (*done)(const struct store_stats *st))
{
    int rc = 0;
    for (int version = 2, waited = 0; rc == 0 && waited < PATIENCE; version++, waited++) {
        struct store_stats st = stats();
        if (done(&st))
            return 0;
        for (int i = from; rc == 0 && i < to; i++)
            rc = put(i, version);
        usleep(1000);
    }
    return rc ? rc : -ETIMEDOUT;
}

static bool meets_damage(const struct store_stats *st)
{
    return st->unreadable_tables > 0;
}

static bool compacts_much(const struct store_stats *st)
{
    return st->compactions > 10;
}

static bool never(const struct store_stats *st)
{
    (void)st;
    return false;
}

static void expect_in_log(const char *words)
{
    struct buf text = BUF_INIT;
    ck_assert_int_eq(env_read_file(disk, "/db/LOG", &text), 0);
    buf_append(&text, "", 1);
    ck_assert_msg(strstr(text.data, words) != NULL, "%s", text.data);
    buf_free(&text);
}

START_TEST(writes_reads_and_other_compactions_go_on)
{
    ck_assert_int_eq(write_until(0, KEYS / 2, meets_damage), 0);
    expect_in_log(table);
    expect_in_log("offset");
    ck_assert_int_eq(store_background_error(store), 0);
    ck_assert_int_eq(store_flush(store), 0); /* no table has keys of both halves */
    ck_assert_int_eq(write_until(KEYS, 2 * KEYS, compacts_much), 0);
    ck_assert_uint_eq(stats().unreadable_tables, 1);
    int damaged = count_damaged(0, 2 * KEYS);
    ck_assert_int_lt(damaged, KEYS / 10);
    close_it();
    open_it(false);
    ck_assert_int_le(count_damaged(0, 2 * KEYS), damaged);
}
END_TEST

START_TEST(where_level_0_cannot_be_emptied_writes_end_with_the_tables_name_and_nothing_is_lost)
{
    ck_assert_int_eq(write_until(0, KEYS, never), STORE_ECORRUPT);
    ck_assert_msg(strstr(fail_text(), table) && strstr(fail_text(), "repair"), "%s", fail_text());
    ck_assert_int_eq(store_background_error(store), 0);
    ck_assert_int_eq(put(1, 1000000), STORE_ECORRUPT);
    ck_assert_int_eq(count_damaged(0, KEYS), 0); /* all have newer versions */
    close_it();
    open_it(false);
    ck_assert_int_eq(count_damaged(0, KEYS), 0);
    close_it();
    open_it(true);
    ck_assert_uint_eq(stats().damaged_tables, 1);
    ck_assert_int_eq(count_damaged(0, KEYS), 0);
    ck_assert_int_eq(write_until(0, KEYS, compacts_much), 0);
    ck_assert_uint_eq(stats().unreadable_tables, 0);
}
END_TEST

START_TEST(who_asks_for_a_compaction_is_told_each_time_and_nothing_else_ends)
{
    ck_assert_int_eq(put(1, 2), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)),
                         STORE_ECORRUPT);
        ck_assert_msg(strstr(fail_text(), table) && strstr(fail_text(), "offset"), "%s",
                      fail_text());
        ck_assert_int_eq(put(2, 3 + i), 0);
    }
    ck_assert_int_eq(count_damaged(1, 3), 0);
    ck_assert_uint_eq(stats().unreadable_tables, 1);
}
END_TEST

/* A sector that cannot be read is damage, too. */
START_TEST(a_failing_read_of_an_input_ends_no_writes)
{
    ck_assert_int_eq(put(1, 2), 0);
    ck_assert_int_eq(store_flush(store), 0);
    env_sim_fail(disk, SIM_READ, env_sim_count(disk, SIM_READ) + 1, -EIO, SIM_DONE_NOTHING);
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), STORE_ECORRUPT);
    ck_assert(env_sim_failed(disk));
    ck_assert_int_eq(store_background_error(store), 0);
    ck_assert_int_eq(put(2, 2), 0);
}
END_TEST

/* ---- damage that no checksum tells: memory that failed before it was made */

static int compact_all(void)
{
    return store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0));
}

static void note_line(void *arg, const char *line)
{
    struct buf *text = arg;
    buf_append(text, line, strlen(line));
    buf_append(text, "\n", 1);
}

/* One table is damaged, says store_verify, and `words` of it. */
static void expect_verified(const char *words)
{
    struct buf text = BUF_INIT;
    ck_assert_int_eq(store_verify(store, note_line, &text), 1);
    buf_append(&text, "", 1);
    ck_assert_msg(strstr(text.data, table) && strstr(text.data, words), "%s", text.data);
    buf_free(&text);
}

/* What a compaction of the whole store, which is open, makes of the table: nothing, and all else
 * goes on. A repair ends that, and all that could be read has the last version written. */
static void expect_left_alone_until_repaired(const char *words, int readable_from)
{
    expect_verified(words);
    ck_assert_int_eq(compact_all(), STORE_ECORRUPT);
    ck_assert_uint_eq(stats().unreadable_tables, 1);
    expect_in_log(table);
    expect_in_log(words);
    ck_assert_int_eq(store_background_error(store), 0);
    ck_assert_int_eq(put(KEYS, 2), 0);
    close_it();
    open_it(true);
    ck_assert_uint_eq(stats().damaged_tables, 1);
    ck_assert_int_eq(compact_all(), 0);
    ck_assert_int_eq(count_damaged(readable_from, 2 * KEYS), 0);
}

enum { SECOND_BLOCK = 50 }; /* a key that is not in the first block */

START_TEST(a_table_whose_keys_do_not_ascend_is_left_alone)
{
    rename_key(16, "key000000");
    open_it(false);
    for (int i = 1; i < KEYS; i += 3)
        ck_assert_int_eq(put(i, 2), 0);
    expect_left_alone_until_repaired("do not ascend", SECOND_BLOCK);
}
END_TEST

static void put_word(const char *key)
{
    ck_assert_int_eq(store_put(store, slice_str(key), slice_str("value"), false), 0);
}

/* What would be written meets another table of the deeper level. */
START_TEST(a_table_with_a_key_before_its_range_is_left_alone)
{
    rename_key(0, "aaa000000");
    open_it(false);
    put_word("aaa000000");
    put_word("aaa000009");
    ck_assert_int_eq(store_flush(store), 0);
    expect_left_alone_until_repaired("range", SECOND_BLOCK);
}
END_TEST

/* The MANIFEST gives the table the range from..to instead. */
static void change_range(int from, int to)
{
    const struct table_file *f = store->versions.current->level[1].files[0];
    uint64_t number = f->number, size = f->size;
    struct buf smallest = BUF_INIT, largest = BUF_INIT;
    struct edit out, in;
    char key[32];
    buf_put_ikey(&smallest, key_text(key, from), (uint64_t)from + 2, KEY_PUT);
    buf_put_ikey(&largest, key_text(key, to), (uint64_t)to + 2, KEY_PUT);
    edit_init(&out);
    edit_init(&in);
    edit_delete_file(&out, 1, number);
    edit_add_file(&in, 1, number, size, buf_slice(&smallest), buf_slice(&largest));
    close_it();
    harm_manifest(disk, "/db", &out, slice_of(NULL, 0));
    harm_manifest(disk, "/db", &in, slice_of(NULL, 0));
    edit_free(&out);
    edit_free(&in);
    buf_free(&smallest);
    buf_free(&largest);
}

START_TEST(a_table_to_which_the_manifest_gives_too_small_a_range_is_left_alone)
{
    free(find_table()); /* notes its name */
    open_it(false);
    change_range(0, 499);
    open_it(false);
    ck_assert_int_eq(put(600, 2), 0);
    ck_assert_int_eq(put(700, 2), 0);
    ck_assert_int_eq(store_flush(store), 0);
    expect_left_alone_until_repaired("range", 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("damage");
    TCase *no_checksum = tcase_create("no_checksum");
    TCase *tc = tcase_create("damage");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, writes_reads_and_other_compactions_go_on);
    tcase_add_test(
        tc, where_level_0_cannot_be_emptied_writes_end_with_the_tables_name_and_nothing_is_lost);
    tcase_add_test(tc, who_asks_for_a_compaction_is_told_each_time_and_nothing_else_ends);
    tcase_add_test(tc, a_failing_read_of_an_input_ends_no_writes);
    suite_add_tcase(suite, tc);
    tcase_set_timeout(no_checksum, 60);
    tcase_add_checked_fixture(no_checksum, setup_whole, teardown);
    tcase_add_test(no_checksum, a_table_whose_keys_do_not_ascend_is_left_alone);
    tcase_add_test(no_checksum, a_table_with_a_key_before_its_range_is_left_alone);
    tcase_add_test(no_checksum,
                   a_table_to_which_the_manifest_gives_too_small_a_range_is_left_alone);
    suite_add_tcase(suite, no_checksum);
    return run_suite(suite);
}
