/* LevelDB itself reads our stores, and we read its databases. */
#include <check.h>
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../store.h"
#include "sim_random.h"
#include "temp_dir.h"

enum { KEYS = 3000 };

/* ---- what should be there: value of each key, -1 for none */

static int model[KEYS];

static size_t make_key(char *out, int i)
{
    return (size_t)sprintf(out, "key%06d", i);
}

static size_t make_value(char *out, int v)
{
    size_t n = (size_t)sprintf(out, "value %d ", v), len = n + (size_t)(v % 300);
    memset(out + n, 'a' + v % 26, len - n);
    return len;
}

/* ---- one interface over both engines */

struct engine {
    const char *name;
    void *(*open)(const char *dir, bool snappy, bool bloom);
    void (*close)(void *db);
    void (*put)(void *db, const char *k, size_t kn, const char *v, size_t vn, bool sync);
    void (*del)(void *db, const char *k, size_t kn);
    void (*compact)(void *db);
    void (*verify)(void *db);
};

static void *our_open(const char *dir, bool snappy, bool bloom)
{
    struct store_options o;
    struct store *s;
    store_options_init(&o);
    o.memtable_bytes = 64 << 10;
    o.table_bytes = 64 << 10;
    o.level_base_bytes = 256 << 10;
    o.bloom_bits = bloom ? 10 : 0;
    o.compression = snappy ? STORE_COMPRESS_SNAPPY : STORE_COMPRESS_NONE;
    ck_assert_msg(store_open(dir, &o, &s) == 0, "%s", fail_text());
    return s;
}

static void our_close(void *db)
{
    ck_assert_msg(store_close(db) == 0, "%s", fail_text());
}

static void our_put(void *db, const char *k, size_t kn, const char *v, size_t vn, bool sync)
{
    ck_assert_int_eq(store_put(db, slice_of(k, kn), slice_of(v, vn), sync), 0);
}

static void our_del(void *db, const char *k, size_t kn)
{
    ck_assert_int_eq(store_delete(db, slice_of(k, kn), false), 0);
}

static void our_compact(void *db)
{
    ck_assert_int_eq(store_compact(db, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
}

static void our_verify(void *db)
{
    char key[32], want[512];
    struct buf value = BUF_INIT;
    struct iter *it = store_iter(db, NULL);
    iter_first(it);
    for (int i = 0; i < KEYS; i++) {
        struct slice k = slice_of(key, make_key(key, i));
        int rc = store_get(db, NULL, k, &value);
        ck_assert_int_eq(rc, model[i] < 0 ? -ENOENT : 0);
        if (model[i] < 0)
            continue;
        struct slice w = slice_of(want, make_value(want, model[i]));
        ck_assert(slice_equal(buf_slice(&value), w));
        ck_assert(it->valid && slice_equal(it->key, k) && slice_equal(it->value, w));
        iter_next(it);
    }
    ck_assert(!it->valid && it->status == 0);
    iter_last(it);
    for (int i = KEYS; i-- > 0;) {
        if (model[i] < 0)
            continue;
        ck_assert(it->valid && slice_equal(it->key, slice_of(key, make_key(key, i))));
        iter_prev(it);
    }
    ck_assert(!it->valid);
    iter_destroy(it);
    buf_free(&value);
}

struct level_db {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_filterpolicy_t *bloom;
};

static void *level_open(const char *dir, bool snappy, bool bloom)
{
    struct level_db *l = mem_zalloc(sizeof *l);
    char *err = NULL;
    l->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(l->options, 1);
    leveldb_options_set_paranoid_checks(l->options, 1);
    leveldb_options_set_write_buffer_size(l->options, 64 << 10);
    leveldb_options_set_compression(l->options,
                                    snappy ? leveldb_snappy_compression : leveldb_no_compression);
    if (bloom) {
        l->bloom = leveldb_filterpolicy_create_bloom(10);
        leveldb_options_set_filter_policy(l->options, l->bloom);
    }
    l->db = leveldb_open(l->options, dir, &err);
    ck_assert_msg(!err, "LevelDB: %s", err);
    return l;
}

static void level_close(void *db)
{
    struct level_db *l = db;
    leveldb_close(l->db);
    leveldb_options_destroy(l->options);
    if (l->bloom)
        leveldb_filterpolicy_destroy(l->bloom);
    free(l);
}

static void level_put(void *db, const char *k, size_t kn, const char *v, size_t vn, bool sync)
{
    char *err = NULL;
    leveldb_writeoptions_t *w = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(w, sync);
    leveldb_put(((struct level_db *)db)->db, w, k, kn, v, vn, &err);
    ck_assert_msg(!err, "LevelDB: %s", err);
    leveldb_writeoptions_destroy(w);
}

static void level_del(void *db, const char *k, size_t kn)
{
    char *err = NULL;
    leveldb_writeoptions_t *w = leveldb_writeoptions_create();
    leveldb_delete(((struct level_db *)db)->db, w, k, kn, &err);
    ck_assert_msg(!err, "LevelDB: %s", err);
    leveldb_writeoptions_destroy(w);
}

static void level_compact(void *db)
{
    leveldb_compact_range(((struct level_db *)db)->db, NULL, 0, NULL, 0);
}

static void level_verify(void *db)
{
    struct level_db *l = db;
    char key[32], want[512], *err = NULL;
    leveldb_readoptions_t *ro = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(ro, 1);
    leveldb_iterator_t *it = leveldb_create_iterator(l->db, ro);
    leveldb_iter_seek_to_first(it);
    for (int i = 0; i < KEYS; i++) {
        size_t n, kn = make_key(key, i), wn = model[i] < 0 ? 0 : make_value(want, model[i]);
        char *got = leveldb_get(l->db, ro, key, kn, &n, &err);
        ck_assert_msg(!err, "LevelDB: %s", err);
        ck_assert_int_eq(got != NULL, model[i] >= 0);
        if (!got)
            continue;
        ck_assert(n == wn && memcmp(got, want, n) == 0);
        leveldb_free(got);
        ck_assert(leveldb_iter_valid(it));
        const char *at = leveldb_iter_key(it, &n);
        ck_assert(n == kn && memcmp(at, key, kn) == 0);
        leveldb_iter_next(it);
    }
    ck_assert(!leveldb_iter_valid(it));
    leveldb_iter_seek_to_last(it);
    for (int i = KEYS; i-- > 0;) {
        size_t n;
        if (model[i] < 0)
            continue;
        ck_assert(leveldb_iter_valid(it));
        const char *at = leveldb_iter_key(it, &n);
        ck_assert(n == make_key(key, i) && memcmp(at, key, n) == 0);
        leveldb_iter_prev(it);
    }
    leveldb_iter_get_error(it, &err);
    ck_assert_msg(!err, "LevelDB: %s", err);
    leveldb_iter_destroy(it);
    leveldb_readoptions_destroy(ro);
}

static const struct engine ours = {"ours",  our_open,    our_close, our_put,
                                   our_del, our_compact, our_verify};
static const struct engine leveldb = {"LevelDB", level_open,    level_close, level_put,
                                      level_del, level_compact, level_verify};

/* ---- the tests */

/* An empty folder's path, and an empty model. */
static const char *start(const char *name)
{
    temp_dir_clear();
    for (int i = 0; i < KEYS; i++)
        model[i] = -1;
    return temp_path(name);
}

/* Overwrites and deletes at random, noted in the model. */
static void change(const struct engine *e, void *db, struct sim_random *r, int times, bool sync)
{
    char key[32], value[512];
    for (int n = 0; n < times; n++) {
        int i = (int)sim_below(r, KEYS);
        size_t kn = make_key(key, i);
        if (sim_below(r, 4) == 0) {
            e->del(db, key, kn);
            model[i] = -1;
        } else {
            model[i] = (int)sim_below(r, 1000000);
            e->put(db, key, kn, value, make_value(value, model[i]), sync);
        }
    }
}

/* The two take turns: one writes and closes, the other agrees, writes, compacts, closes, and so on.
 */
static void take_turns(const struct engine *first, const struct engine *second, bool snappy,
                       bool bloom)
{
    struct sim_random r = {sim_env_number("SEED", 1)};
    const char *dir = start("turns");
    for (int turn = 0; turn < 6; turn++) {
        const struct engine *e = turn % 2 ? second : first;
        void *db = e->open(dir, snappy, bloom);
        e->verify(db);
        change(e, db, &r, turn < 2 ? 500 : 6000, false);
        if (turn == 3 || turn == 4)
            e->compact(db);
        e->verify(db);
        e->close(db);
    }
}

START_TEST(the_two_take_turns_with_snappy_and_filter)
{
    take_turns(&ours, &leveldb, true, true);
}
END_TEST

START_TEST(the_two_take_turns_without_either)
{
    take_turns(&ours, &leveldb, false, false);
}
END_TEST

START_TEST(we_take_over_what_leveldb_made)
{
    take_turns(&leveldb, &ours, true, true);
    take_turns(&leveldb, &ours, false, true);
}
END_TEST

/* A process that writes (synced, or not) and ends without a close; its model comes back through a
 * pipe. */
static void killed(const struct engine *e, const char *dir, bool sync)
{
    int ends[2], status;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct sim_random r = {sim_env_number("SEED", 2)};
        void *db = e->open(dir, true, true);
        change(e, db, &r, 3000, sync);
        _exit(write(ends[1], model, sizeof model) == sizeof model ? 0 : 1);
    }
    close(ends[1]);
    for (size_t got = 0; got < sizeof model;) {
        ssize_t n = read(ends[0], (char *)model + got, sizeof model - got);
        ck_assert(n > 0);
        got += (size_t)n;
    }
    close(ends[0]);
    ck_assert(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void open_and_agree(const struct engine *e, const char *dir)
{
    void *db = e->open(dir, true, true);
    e->verify(db);
    e->close(db);
}

START_TEST(leveldb_reads_a_store_that_was_killed_with_zeroes_in_its_log)
{
    const char *dir = start("our-killed");
    killed(&ours, dir, true);
    open_and_agree(&leveldb, dir);
    open_and_agree(&ours, dir);
}
END_TEST

START_TEST(we_read_a_database_whose_leveldb_was_killed)
{
    const char *dir = start("its-killed");
    killed(&leveldb, dir, false);
    open_and_agree(&ours, dir);
    open_and_agree(&leveldb, dir);
}
END_TEST

START_TEST(a_log_alone_is_read_by_the_other)
{
    struct sim_random r = {sim_env_number("SEED", 3)};
    const char *dir = start("log-only");
    void *db = leveldb.open(dir, true, false);
    change(&leveldb, db, &r, 50, false);
    leveldb.close(db);
    open_and_agree(&ours, dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("leveldb");
    TCase *tc = tcase_create("both ways");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, the_two_take_turns_with_snappy_and_filter);
    tcase_add_test(tc, the_two_take_turns_without_either);
    tcase_add_test(tc, we_take_over_what_leveldb_made);
    tcase_add_test(tc, leveldb_reads_a_store_that_was_killed_with_zeroes_in_its_log);
    tcase_add_test(tc, we_read_a_database_whose_leveldb_was_killed);
    tcase_add_test(tc, a_log_alone_is_read_by_the_other);
    suite_add_tcase(suite, tc);
    temp_dir_make();
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    temp_dir_remove();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
