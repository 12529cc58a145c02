/* Damaged tables and MANIFESTs: refused, named, and with options.repair made the best of. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../db/db.h"
#include "env_sim.h"
#include "run_suite.h"
#include "sim_random.h"

enum { KEYS = 2000 };

static struct env *disk;
static struct store *store;
static struct store_options options;

static int open_it(bool repair)
{
    options.repair = repair;
    return store_open("/db", &options, &store);
}

static struct slice key_text(char *to, int i)
{
    return slice_of(to, (size_t)snprintf(to, 32, "key%06d", i));
}

static void put(int i, int version)
{
    char key[32], value[128];
    int n = snprintf(value, sizeof value, "%d of version %d, and some more text", i, version);
    ck_assert_int_eq(store_put(store, key_text(key, i), slice_of(value, (size_t)n), false), 0);
}

/* Its version; -1 where it is missing. */
static int version_of(int i)
{
    char key[32];
    struct buf value = BUF_INIT;
    int who, version = -1, rc = store_get(store, NULL, key_text(key, i), &value);
    if (rc == 0) {
        buf_append(&value, "", 1);
        ck_assert_int_eq(sscanf(value.data, "%d of version %d", &who, &version), 2);
        ck_assert_int_eq(who, i);
    } else {
        ck_assert_int_eq(rc, -ENOENT);
    }
    buf_free(&value);
    return version;
}

/* Several tables on two levels: every key in version 1 below, every third in version 2 above, every
 * tenth deleted above. */
static void setup(void)
{
    char key[32];
    store_options_init(&options);
    options.env = disk = env_sim_new();
    options.table_bytes = 16 << 10;
    options.compression = STORE_COMPRESS_NONE;
    ck_assert_int_eq(open_it(false), 0);
    for (int i = 0; i < KEYS; i++)
        put(i, 1);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    for (int i = 0; i < KEYS; i += 3)
        put(i, 2);
    for (int i = 0; i < KEYS; i += 10)
        ck_assert_int_eq(store_delete(store, key_text(key, i), false), 0);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
}

static void teardown(void)
{
    store_close(store);
    env_sim_free(disk);
}

static int usual_version(int i)
{
    return i % 10 == 0 ? -1 : i % 3 == 0 ? 2 : 1;
}

/* How many keys are not as they were. */
static int count_changed(void)
{
    int n = 0;
    for (int i = 0; i < KEYS; i++)
        n += version_of(i) != usual_version(i);
    return n;
}

/* ---- files */

struct files {
    enum name_kind kind;
    char *name[64];
    int count;
};

static void note_file(void *arg, const char *name)
{
    struct files *f = arg;
    uint64_t number;
    if (name_parse(name, &number) == f->kind && f->count < 64)
        f->name[f->count++] = mem_printf("%s", name);
}

static void list(struct files *f, enum name_kind kind)
{
    *f = (struct files){.kind = kind};
    ck_assert_int_eq(env_list(disk, "/db", note_file, f), 0);
    ck_assert_int_gt(f->count, 0);
}

static void files_free(struct files *f)
{
    for (int i = 0; i < f->count; i++)
        free(f->name[i]);
}

static char *path_of(const char *name)
{
    return mem_printf("/db/%s", name);
}

/* The largest file of a kind. */
static char *largest(enum name_kind kind)
{
    struct files f;
    struct buf bytes = BUF_INIT;
    char *best = NULL;
    size_t most = 0;
    list(&f, kind);
    for (int i = 0; i < f.count; i++) {
        char *path = path_of(f.name[i]);
        buf_clear(&bytes);
        ck_assert_int_eq(env_read_file(disk, path, &bytes), 0);
        if (bytes.len > most) {
            most = bytes.len;
            free(best);
            best = mem_printf("%s", f.name[i]);
        }
        free(path);
    }
    buf_free(&bytes);
    files_free(&f);
    return best;
}

/* Rewrites a file as `harm` leaves its bytes. */
static void change_file(const char *name, void (*harm)(struct buf *bytes, double how), double how)
{
    struct buf bytes = BUF_INIT;
    char *path = path_of(name);
    ck_assert_int_eq(env_read_file(disk, path, &bytes), 0);
    harm(&bytes, how);
    ck_assert_int_eq(env_replace_file(disk, path, buf_slice(&bytes)), 0);
    buf_free(&bytes);
    free(path);
}

static void flip(struct buf *bytes, double where)
{
    bytes->data[(size_t)((double)(bytes->len - 1) * where)] ^= 4;
}
static void flip_before_end(struct buf *bytes, double distance)
{
    bytes->data[bytes->len - (size_t)distance] ^= 4;
}
static void cut_off(struct buf *bytes, double n)
{
    bytes->len -= (size_t)n;
}

static void change_byte(const char *name, double where)
{
    change_file(name, flip, where);
}

static void expect_kept(const char *name)
{
    char *path = mem_printf("/db/lost/%s", name);
    ck_assert_msg(env_exists(disk, path), "%s is not kept", path);
    free(path);
}

/* ---- the tests */

START_TEST(a_sound_store_is_not_changed_by_a_repair)
{
    struct store_stats st;
    ck_assert_int_eq(open_it(true), 0);
    store_get_stats(store, &st);
    ck_assert_uint_eq(st.damaged_tables, 0);
    ck_assert_int_eq(count_changed(), 0);
    ck_assert(!env_exists(disk, "/db/lost"));
}
END_TEST

START_TEST(a_damaged_block_is_named_and_never_shown)
{
    char *table = largest(NAME_TABLE), key[32];
    struct buf value = BUF_INIT;
    int bad = 0;
    change_byte(table, 0.3);
    ck_assert_int_eq(open_it(false), 0);
    for (int i = 0; i < KEYS; i++) {
        int rc = store_get(store, NULL, key_text(key, i), &value);
        if (rc == STORE_ECORRUPT) {
            bad++;
            ck_assert_msg(strstr(fail_text(), table) && strstr(fail_text(), "offset"), "%s",
                          fail_text());
        } else {
            ck_assert_int_eq(version_of(i), usual_version(i));
        }
    }
    ck_assert_int_gt(bad, 0);
    ck_assert_int_lt(bad, KEYS / 10);
    buf_free(&value);
    free(table);
}
END_TEST

START_TEST(a_repair_loses_the_damaged_block_alone)
{
    struct store_stats st;
    char *table = largest(NAME_TABLE);
    change_byte(table, 0.3);
    ck_assert_int_eq(open_it(true), 0);
    store_get_stats(store, &st);
    ck_assert_uint_eq(st.damaged_tables, 1);
    int changed = count_changed();
    ck_assert_int_gt(changed, 0);
    ck_assert_int_lt(changed, KEYS / 10);
    expect_kept(table);
    put(5, 7); /* and it goes on, also after the next open */
    ck_assert_int_eq(store_close(store), 0);
    ck_assert_int_eq(open_it(false), 0);
    ck_assert_int_eq(version_of(5), 7);
    ck_assert_int_le(count_changed(), changed + 1);
    free(table);
}
END_TEST

/* The index, the footer or the end of a table: its blocks are found without them. */
static const struct {
    void (*harm)(struct buf *bytes, double how);
    double how;
} no_index[] = {{flip_before_end, 80}, {flip_before_end, 3}, {cut_off, 1}, {cut_off, 60}};
#define NO_INDEX (int)(sizeof no_index / sizeof *no_index)

START_TEST(a_repair_needs_no_index)
{
    struct store_stats st;
    char *table = largest(NAME_TABLE);
    change_file(table, no_index[_i].harm, no_index[_i].how);
    ck_assert_int_eq(open_it(true), 0);
    store_get_stats(store, &st);
    ck_assert_uint_eq(st.damaged_tables, 1);
    ck_assert_int_eq(count_changed(), 0);
    expect_kept(table);
    put(5, 7); /* its number is behind all that were found */
    ck_assert_int_eq(version_of(5), 7);
    free(table);
}
END_TEST

START_TEST(a_repair_needs_neither_manifest_nor_an_index)
{
    char *table = largest(NAME_TABLE), *manifest = largest(NAME_MANIFEST);
    change_file(table, flip_before_end, 80);
    change_byte(manifest, 0.1);
    ck_assert_int_eq(open_it(true), 0);
    ck_assert_int_eq(count_changed(), 0);
    free(table);
    free(manifest);
}
END_TEST

START_TEST(a_missing_table_is_refused_and_repaired)
{
    struct files f;
    list(&f, NAME_TABLE);
    char *path = path_of(f.name[0]);
    ck_assert_int_eq(env_unlink(disk, path), 0);
    ck_assert_int_eq(open_it(false), STORE_ECORRUPT);
    ck_assert_msg(strstr(fail_text(), f.name[0]) && strstr(fail_text(), "missing"), "%s",
                  fail_text());
    ck_assert_int_eq(open_it(true), 0);
    ck_assert_int_lt(count_changed(), KEYS);
    free(path);
    files_free(&f);
}
END_TEST

START_TEST(a_damaged_manifest_is_refused_and_rebuilt_from_the_tables)
{
    char *manifest = largest(NAME_MANIFEST);
    change_byte(manifest, _i / 4.0);
    int rc = open_it(false);
    ck_assert_int_eq(rc, STORE_ECORRUPT);
    ck_assert_msg(strstr(fail_text(), manifest) != NULL, "%s", fail_text());
    ck_assert_int_eq(open_it(true), 0);
    ck_assert_int_eq(count_changed(), 0);
    expect_kept(manifest);
    expect_kept("CURRENT");
    free(manifest);
}
END_TEST

START_TEST(without_current_it_is_rebuilt_as_well)
{
    ck_assert_int_eq(env_unlink(disk, "/db/CURRENT"), 0);
    ck_assert_int_eq(open_it(false), STORE_ECORRUPT);
    ck_assert_int_eq(open_it(true), 0);
    ck_assert_int_eq(count_changed(), 0);
}
END_TEST

START_TEST(a_table_of_which_nothing_can_be_read_is_given_up)
{
    struct files f;
    struct buf zeroes = BUF_INIT;
    list(&f, NAME_TABLE);
    char *path = path_of(f.name[f.count - 1]);
    memset(buf_reserve(&zeroes, 5000), 0, 5000);
    zeroes.len = 5000;
    ck_assert_int_eq(env_replace_file(disk, path, buf_slice(&zeroes)), 0);
    ck_assert_int_eq(open_it(false), STORE_ECORRUPT);
    ck_assert_int_eq(open_it(true), 0);
    expect_kept(f.name[f.count - 1]);
    buf_free(&zeroes);
    free(path);
    files_free(&f);
}
END_TEST

/* Logs that are in tables already may still lie about after a crash: what was in them must not come
 * back, nor may a gap behind them hide the log that is not in tables. */
START_TEST(an_old_log_beside_a_damaged_manifest_brings_nothing_back)
{
    char *live, *old_path, *manifest;
    struct buf old = BUF_INIT;
    ck_assert_int_eq(open_it(false), 0);
    put(7, 5);
    live = largest(NAME_LOG);
    old_path = path_of(live);
    ck_assert_int_eq(env_read_file(disk, old_path, &old), 0);
    for (int round = 0; round < 2; round++) { /* a log in between, and one that is not in tables */
        char key[32];
        ck_assert_int_eq(store_delete(store, key_text(key, 7), false), 0);
        put(8, 6);
        ck_assert_int_eq(store_flush(store), 0);
    }
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    ck_assert(!env_exists(disk, old_path));
    ck_assert_int_eq(store_put(store, slice_str("key000009"), slice_str("9 of version 9"), true),
                     0);
    struct env *crashed = env_sim_cut_copy(disk), *whole = disk;
    env_sim_survive(crashed, SIM_KEEP_ALL, 1);
    store_close(store);
    options.env = disk = crashed;
    ck_assert_int_eq(env_replace_file(disk, old_path, buf_slice(&old)), 0);
    manifest = largest(NAME_MANIFEST);
    change_byte(manifest, 0.1);
    ck_assert_int_eq(open_it(false), STORE_ECORRUPT);
    ck_assert_int_eq(open_it(true), 0);
    ck_assert_int_eq(version_of(7), -1);
    ck_assert_int_eq(version_of(8), 6);
    ck_assert_int_eq(version_of(9), 9);
    expect_kept(live);
    store_close(store);
    store = NULL;
    env_sim_free(crashed);
    options.env = disk = whole;
    buf_free(&old);
    free(old_path);
    free(live);
    free(manifest);
}
END_TEST

/* A power cut during the repair leaves a store that can be repaired. */
START_TEST(a_repair_can_be_cut_at_any_call)
{
    char *table = largest(NAME_TABLE);
    change_byte(table, 0.3);
    bool cut = true;
    for (uint64_t k = 1; cut; k += 1 + k / 8) {
        struct env *copy = env_sim_cut_copy(disk);
        env_sim_survive(copy, SIM_KEEP_ALL, 1);
        options.env = copy;
        env_sim_cut_at(copy, k);
        int rc = open_it(true);
        cut = env_sim_is_cut(copy);
        if (rc == 0)
            store_close(store);
        cut |= env_sim_is_cut(copy);
        env_sim_survive(copy, SIM_RANDOM, k);
        rc = open_it(true);
        ck_assert_msg(rc == 0, "cut at call %llu: %s", (unsigned long long)k, fail_text());
        ck_assert_int_lt(count_changed(), KEYS / 10);
        store_close(store);
        store = NULL;
        env_sim_free(copy);
    }
    options.env = disk;
    free(table);
}
END_TEST

/* Whatever byte of whatever file is changed: refused, or all that is shown is right. */
START_TEST(no_changed_byte_is_ever_shown_as_data)
{
    struct sim_random r = {sim_env_number("SEED", 1) + (uint64_t)_i};
    static const enum name_kind kinds[] = {NAME_TABLE, NAME_MANIFEST, NAME_CURRENT};
    for (int n = 0; n < 30; n++) {
        struct env *copy = env_sim_cut_copy(disk), *whole = disk;
        struct files f;
        char key[32];
        struct buf value = BUF_INIT;
        env_sim_survive(copy, SIM_KEEP_ALL, 1);
        options.env = disk = copy;
        list(&f, kinds[n % 3]);
        change_byte(f.name[sim_below(&r, (uint64_t)f.count)], (double)sim_below(&r, 1000) / 999);
        int rc = open_it(false);
        for (int i = 0; rc == 0 && i < KEYS; i += 7)
            if (store_get(store, NULL, key_text(key, i), &value) != STORE_ECORRUPT)
                ck_assert_int_eq(version_of(i), usual_version(i));
        ck_assert_msg(rc == 0 || rc == STORE_ECORRUPT || rc == STORE_EFORMAT, "%d", rc);
        if (rc == 0)
            store_close(store);
        store = NULL;
        buf_free(&value);
        files_free(&f);
        env_sim_free(copy);
        options.env = disk = whole;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("repair");
    TCase *tc = tcase_create("repair");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_sound_store_is_not_changed_by_a_repair);
    tcase_add_test(tc, a_damaged_block_is_named_and_never_shown);
    tcase_add_test(tc, a_repair_loses_the_damaged_block_alone);
    tcase_add_loop_test(tc, a_repair_needs_no_index, 0, NO_INDEX);
    tcase_add_test(tc, a_repair_needs_neither_manifest_nor_an_index);
    tcase_add_test(tc, a_missing_table_is_refused_and_repaired);
    tcase_add_loop_test(tc, a_damaged_manifest_is_refused_and_rebuilt_from_the_tables, 0, 3);
    tcase_add_test(tc, without_current_it_is_rebuilt_as_well);
    tcase_add_test(tc, a_table_of_which_nothing_can_be_read_is_given_up);
    tcase_add_test(tc, an_old_log_beside_a_damaged_manifest_brings_nothing_back);
    tcase_add_test(tc, a_repair_can_be_cut_at_any_call);
    tcase_add_loop_test(tc, no_changed_byte_is_ever_shown_as_data, 0, 3);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
