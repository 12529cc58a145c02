/* The Bloom filter is in use on both sides: LevelDB asks the filters of our tables, and we those of
 * its tables. */
#include <check.h>
#include <stdatomic.h>
#include <stdio.h>

#include "../store.h"
#include "../table/bloom.h"
#include "level.h"
#include "run_suite.h"
#include "temp_dir.h"

enum { KEYS = 5000 };

static struct slice key_text(char *to, const char *prefix, int i)
{
    return slice_of(to, (size_t)snprintf(to, 32, "%s%06d", prefix, i));
}

/* ---- LevelDB on our tables, with a filter policy that counts and answers by our bloom.c */

static int asked, answered_no;

static void no_destructor(void *state)
{
    (void)state;
}

static char *make_no_filter(void *state, const char *const *keys, const size_t *lengths, int count,
                            size_t *length)
{
    (void)state, (void)keys, (void)lengths, (void)count;
    *length = 0;
    return calloc(1, 1);
}

static unsigned char ask(void *state, const char *key, size_t length, const char *filter,
                         size_t filter_length)
{
    (void)state;
    asked++;
    bool may = bloom_may_match(slice_of(filter, filter_length), bloom_hash(slice_of(key, length)));
    answered_no += !may;
    return may;
}

static const char *filter_name(void *state)
{
    (void)state;
    return "leveldb.BuiltinBloomFilter2";
}

START_TEST(leveldb_asks_the_filters_of_our_tables)
{
    struct store_options o;
    struct store *store;
    char key[32], *error = NULL;
    size_t n;
    temp_dir_clear();
    store_options_init(&o);
    ck_assert_int_eq(store_open(temp_path("db"), &o, &store), 0);
    for (int i = 0; i < KEYS; i++)
        ck_assert_int_eq(store_put(store, key_text(key, "there", i), slice_str("value"), false), 0);
    ck_assert_int_eq(store_close(store), 0);

    leveldb_options_t *options = leveldb_options_create();
    leveldb_readoptions_t *read = leveldb_readoptions_create();
    leveldb_filterpolicy_t *policy =
        leveldb_filterpolicy_create(NULL, no_destructor, make_no_filter, ask, filter_name);
    leveldb_options_set_filter_policy(options, policy);
    leveldb_options_set_paranoid_checks(options, 1);
    leveldb_t *db = leveldb_open(options, temp_path("db"), &error);
    ck_assert_msg(db != NULL, "%s", error);
    asked = answered_no = 0;
    for (int i = 0; i < KEYS; i++) {
        struct slice k = key_text(key, "there", i);
        char *value = leveldb_get(db, read, k.data, k.len, &n, &error);
        ck_assert_msg(value != NULL, "%s: %s", key, error ? error : "missing");
        leveldb_free(value);
    }
    ck_assert_int_ge(asked, KEYS);
    ck_assert_int_eq(answered_no, 0);
    asked = 0;
    for (int i = 0; i < KEYS; i++) {
        struct slice k = key_text(key, "there0000", i); /* among the keys, not before or behind */
        ck_assert(leveldb_get(db, read, k.data, k.len, &n, &error) == NULL);
    }
    ck_assert_int_gt(asked, KEYS / 2);
    ck_assert_int_gt(answered_no, asked * 95 / 100);
    leveldb_close(db);
    leveldb_options_destroy(options);
    leveldb_readoptions_destroy(read);
    leveldb_filterpolicy_destroy(policy);
}
END_TEST

/* ---- we on LevelDB's tables: what the filter excludes costs no read */

static atomic_int reads;

static ssize_t count_pread(struct env *e, struct env_file *f, void *p, size_t n, uint64_t off)
{
    (void)e;
    reads++;
    return env_pread(env_posix(), f, p, n, off);
}

/* Reads of absent keys that a database of LevelDB's costs. */
static int reads_of_absent_keys(bool bloom)
{
    struct env_ops ops = *env_posix()->ops;
    struct env counting = {&ops};
    struct store_options o;
    struct store *store;
    struct buf value = BUF_INIT;
    char key[32];
    ops.pread = count_pread;
    temp_dir_clear();
    struct level *l = level_open(temp_path("db"), true, true, bloom, 64 << 10);
    ck_assert_msg(l->db != NULL, "%s", l->error);
    for (int i = 0; i < KEYS; i++)
        ck_assert(
            level_put(l, key_text(key, "there", i), slice_str("value of some length"), false));
    leveldb_compact_range(l->db, NULL, 0, NULL, 0);
    level_close(l);

    store_options_init(&o);
    o.env = &counting;
    o.cache_bytes = 0; /* each block that is looked at is read */
    ck_assert_int_eq(store_open(temp_path("db"), &o, &store), 0);
    ck_assert_int_eq(store_get(store, NULL, key_text(key, "there", 7), &value), 0);
    int before = reads;
    for (int i = 0; i < KEYS; i++)
        ck_assert_int_eq(store_get(store, NULL, key_text(key, "there0000", i), &value), -ENOENT);
    int cost = reads - before;
    ck_assert_int_eq(store_close(store), 0);
    buf_free(&value);
    return cost;
}

START_TEST(we_ask_the_filters_of_leveldbs_tables)
{
    int without = reads_of_absent_keys(false), with = reads_of_absent_keys(true);
    ck_assert_int_gt(without, KEYS / 2);
    ck_assert_msg(with < without / 20, "%d reads with filters, %d without", with, without);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {leveldb_asks_the_filters_of_our_tables,
                                  we_ask_the_filters_of_leveldbs_tables, NULL};
    temp_dir_make();
    int failed = run_tests("leveldb_filter", 60, NULL, NULL, tests);
    temp_dir_remove();
    return failed;
}
