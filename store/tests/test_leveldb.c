/* LevelDB itself opens our stores, and we open its databases: what one wrote, the other finds, by
 * get, forward, backward and by seek, and nothing else. */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../db/marks.h"
#include "../store.h"
#include "../version/file_name.h"
#include "level.h"
#include "run_suite.h"
#include "sim_random.h"
#include "temp_dir.h"

enum { KEYS = 2000 };

/* ---- what should be there */

/* The number of each key's value, 0 where there is none. Shared with forked children. */
static uint32_t *model;

static void model_reset(void)
{
    if (!model)
        model = mmap(NULL, KEYS * sizeof *model, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                     -1, 0);
    ck_assert_ptr_ne(model, MAP_FAILED);
    memset(model, 0, KEYS * sizeof *model);
}

static int model_count(void)
{
    int n = 0;
    for (int i = 0; i < KEYS; i++)
        n += model[i] != 0;
    return n;
}

/* Keys in order of their number: the first is empty, the others have NULs, high bytes and tails of
 * all lengths. Room for 64 bytes. */
static struct slice key_of(char *room, int i)
{
    size_t n = 0;
    if (i > 0) {
        room[n++] = (char)(i >> 3);
        room[n++] = (char)(i << 5);
        for (int tail = i % 37; tail > 0; tail--)
            room[n++] = (char)(tail * 7);
    }
    return slice_of(room, n);
}

/* Mostly short; some do not fit into a block of a table or of a log; some are empty. Half of them
 * can be compressed. Good until the next call. */
static struct slice value_of(uint32_t number)
{
    static char room[100000];
    size_t n = number % 5 == 0 ? 0 : number % 101 == 0 ? 20000 + number % 80000 : number % 300;
    size_t same = number % 2 ? 4 : 64; /* bytes in a row */
    uint32_t c = number;
    for (size_t i = 0; i < n; i += same) {
        c = c * 1664525 + 1013904223;
        memset(room + i, (int)(c >> 24), n - i < same ? n - i : same);
    }
    return slice_of(room, n);
}

/* ---- one interface over both */

struct kind {
    bool snappy, bloom;
};

struct cursor {
    bool valid;
    struct slice key, value;
};

struct engine {
    void *(*open)(const char *dir, struct kind kind);
    void (*close)(void *db);
    void (*put)(void *db, struct slice key, struct slice value, bool sync);
    void (*del)(void *db, struct slice key);
    void (*compact)(void *db);
    bool (*get)(void *db, struct slice key, struct buf *value);
    void *(*iter)(void *db);
    void (*first)(void *it);
    void (*last)(void *it);
    void (*seek)(void *it, struct slice key);
    void (*next)(void *it);
    void (*prev)(void *it);
    struct cursor (*at)(void *it); /* fails the test where the iterator has an error */
    void (*iter_end)(void *it);
};

/* Reads all there is in every way. */
static void verify(const struct engine *e, void *db, struct sim_random *r)
{
    char room[64];
    struct buf value = BUF_INIT;
    struct cursor c;
    void *it = e->iter(db);
    e->first(it);
    for (int i = 0; i < KEYS; i++) {
        struct slice key = key_of(room, i);
        bool found = e->get(db, key, &value);
        ck_assert_msg(found == (model[i] != 0), "key %d: %s", i, found ? "there" : "missing");
        if (!found)
            continue;
        ck_assert_msg(slice_equal(buf_slice(&value), value_of(model[i])), "key %d: value", i);
        c = e->at(it);
        ck_assert_msg(c.valid && slice_equal(c.key, key) &&
                          slice_equal(c.value, value_of(model[i])),
                      "key %d going forward", i);
        e->next(it);
    }
    ck_assert(!e->at(it).valid);
    e->last(it);
    for (int i = KEYS; i-- > 0;) {
        if (!model[i])
            continue;
        c = e->at(it);
        ck_assert_msg(c.valid && slice_equal(c.key, key_of(room, i)) &&
                          slice_equal(c.value, value_of(model[i])),
                      "key %d going backward", i);
        e->prev(it);
    }
    ck_assert(!e->at(it).valid);
    for (int times = 0; times < 100; times++) {
        int i = (int)sim_below(r, KEYS);
        e->seek(it, key_of(room, i));
        while (i < KEYS && !model[i])
            i++;
        c = e->at(it);
        ck_assert_int_eq(c.valid, i < KEYS);
        if (c.valid)
            ck_assert_msg(slice_equal(c.key, key_of(room, i)), "seek to key %d", i);
    }
    e->iter_end(it);
    buf_free(&value);
}

/* ---- ours */

static struct store_options our_options(struct kind kind)
{
    struct store_options o;
    store_options_init(&o);
    o.memtable_bytes = 64 << 10;
    o.table_bytes = 64 << 10;
    o.level_base_bytes = 256 << 10;
    o.bloom_bits = kind.bloom ? 10 : 0;
    o.compression = kind.snappy ? STORE_COMPRESS_SNAPPY : STORE_COMPRESS_NONE;
    return o;
}

static void *our_open(const char *dir, struct kind kind)
{
    struct store_options o = our_options(kind);
    struct store *s;
    ck_assert_msg(store_open(dir, &o, &s) == 0, "%s", fail_text());
    struct store_stats stats;
    store_get_stats(s, &stats);
    ck_assert_uint_eq(stats.cut_bytes, 0);
    ck_assert_uint_eq(stats.cut_records, 0);
    return s;
}

static void our_close(void *db)
{
    ck_assert_msg(store_close(db) == 0, "%s", fail_text());
}

static void our_put(void *db, struct slice key, struct slice value, bool sync)
{
    ck_assert_msg(store_put(db, key, value, sync) == 0, "%s", fail_text());
}

static void our_del(void *db, struct slice key)
{
    ck_assert_msg(store_delete(db, key, false) == 0, "%s", fail_text());
}

static void our_compact(void *db)
{
    struct slice open_end = slice_of(NULL, 0);
    ck_assert_msg(store_compact(db, open_end, open_end) == 0, "%s", fail_text());
}

static bool our_get(void *db, struct slice key, struct buf *value)
{
    int rc = store_get(db, NULL, key, value);
    ck_assert_msg(rc == 0 || rc == -ENOENT, "%s", fail_text());
    return rc == 0;
}

static void *our_iter(void *db)
{
    return store_iter(db, NULL);
}

static void our_first(void *it)
{
    iter_first(it);
}

static void our_last(void *it)
{
    iter_last(it);
}

static void our_seek(void *it, struct slice key)
{
    iter_seek(it, key);
}

static void our_next(void *it)
{
    iter_next(it);
}

static void our_prev(void *it)
{
    iter_prev(it);
}

static struct cursor our_at(void *it)
{
    const struct iter *i = it;
    ck_assert_msg(i->status == 0, "%s", fail_text());
    return (struct cursor){i->valid, i->key, i->value};
}

static void our_iter_end(void *it)
{
    iter_destroy(it);
}

/* ---- LevelDB's */

static void *their_open(const char *dir, struct kind kind)
{
    struct level *l = level_open(dir, true, kind.snappy, kind.bloom, 64 << 10);
    ck_assert_msg(!level_failed(l), "LevelDB: %s", l->error);
    return l;
}

static void their_close(void *db)
{
    level_close(db);
}

static void their_put(void *db, struct slice key, struct slice value, bool sync)
{
    struct level *l = db;
    ck_assert_msg(level_put(l, key, value, sync), "LevelDB: %s", l->error);
}

static void their_del(void *db, struct slice key)
{
    struct level *l = db;
    ck_assert_msg(level_delete(l, key), "LevelDB: %s", l->error);
}

static void their_compact(void *db)
{
    struct level *l = db;
    leveldb_compact_range(l->db, NULL, 0, NULL, 0);
}

static bool their_get(void *db, struct slice key, struct buf *value)
{
    struct level *l = db;
    bool found = level_get(l, key, value);
    ck_assert_msg(!level_failed(l), "LevelDB: %s", l->error);
    return found;
}

static void *their_iter(void *db)
{
    struct level *l = db;
    return leveldb_create_iterator(l->db, l->read);
}

static void their_first(void *it)
{
    leveldb_iter_seek_to_first(it);
}

static void their_last(void *it)
{
    leveldb_iter_seek_to_last(it);
}

static void their_seek(void *it, struct slice key)
{
    leveldb_iter_seek(it, key.data, key.len);
}

static void their_next(void *it)
{
    leveldb_iter_next(it);
}

static void their_prev(void *it)
{
    leveldb_iter_prev(it);
}

static struct cursor their_at(void *it)
{
    struct cursor c = {.valid = leveldb_iter_valid(it)};
    char *error = NULL;
    leveldb_iter_get_error(it, &error);
    ck_assert_msg(!error, "LevelDB: %s", error);
    if (c.valid) {
        c.key.data = leveldb_iter_key(it, &c.key.len);
        c.value.data = leveldb_iter_value(it, &c.value.len);
    }
    return c;
}

static void their_iter_end(void *it)
{
    leveldb_iter_destroy(it);
}

static const struct engine ours = {
    our_open,  our_close, our_put,  our_del,  our_compact, our_get, our_iter,
    our_first, our_last,  our_seek, our_next, our_prev,    our_at,  our_iter_end,
};
static const struct engine theirs = {
    their_open,  their_close, their_put,  their_del,  their_compact, their_get, their_iter,
    their_first, their_last,  their_seek, their_next, their_prev,    their_at,  their_iter_end,
};

/* ---- changes */

/* With it all that a test writes fits into one memtable. */
static bool only_short;

static struct sim_random begin(const char *what)
{
    uint64_t seed = sim_env_number("SEED", (uint64_t)getpid());
    printf("%s: SEED=%llu\n", what, (unsigned long long)seed);
    fflush(stdout);
    model_reset();
    only_short = false;
    return (struct sim_random){seed};
}

/* Overwrites, and one delete in four, noted in the model. */
static void change(const struct engine *e, void *db, struct sim_random *r, int times, bool sync)
{
    char room[64];
    for (int n = 0; n < times; n++) {
        int i = (int)sim_below(r, KEYS);
        struct slice key = key_of(room, i);
        if (sim_chance(r, 25)) {
            e->del(db, key);
            model[i] = 0;
        } else {
            uint32_t number = 1 + (uint32_t)sim_below(r, 1000000);
            number += only_short && number % 101 == 0;
            e->put(db, key, value_of(number), sync);
            model[i] = number;
        }
    }
}

/* The same in a child that ends without closing. */
static void change_and_die(const struct engine *e, const char *dir, struct kind kind,
                           struct sim_random *r, int times, bool sync)
{
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        change(e, e->open(dir, kind), r, times, sync);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

/* Files of the folder whose name ends so; the size of the last one in *size. */
/* *size: of all of them. */
static int count_files(const char *dir, const char *ending, off_t *size)
{
    DIR *d = opendir(dir);
    int count = 0;
    ck_assert_ptr_nonnull(d);
    if (size)
        *size = 0;
    for (struct dirent *entry; (entry = readdir(d));) {
        size_t n = strlen(entry->d_name), m = strlen(ending);
        struct stat st;
        if (n < m || strcmp(entry->d_name + n - m, ending) != 0)
            continue;
        count++;
        if (size && fstatat(dirfd(d), entry->d_name, &st, 0) == 0)
            *size += st.st_size;
    }
    closedir(d);
    return count;
}

/* The first two differ in all. */
static const struct kind kinds[] = {{false, false}, {true, true}, {false, true}, {true, false}};
enum { KINDS = 4 };

/* ---- turns */

/* One writes and closes; the other agrees, writes, closes; and so on. Compactions in between. */
static void take_turns(const struct engine *first, const struct engine *second, struct kind kind,
                       struct sim_random *r)
{
    for (int turn = 0; turn < 6; turn++) {
        const struct engine *e = turn % 2 ? second : first;
        void *db = e->open(temp_path("turns"), kind);
        verify(e, db, r);
        change(e, db, r, turn < 2 ? 300 : 2000, false);
        if (turn == 3 || turn == 4)
            e->compact(db);
        verify(e, db, r);
        e->close(db);
    }
}

START_TEST(leveldb_and_we_agree_on_a_store_that_we_made)
{
    temp_dir_clear();
    struct sim_random r = begin("ours first");
    take_turns(&ours, &theirs, kinds[_i], &r);
}
END_TEST

START_TEST(leveldb_and_we_agree_on_a_database_that_it_made)
{
    temp_dir_clear();
    struct sim_random r = begin("LevelDB's first");
    take_turns(&theirs, &ours, kinds[_i], &r);
}
END_TEST

/* Compression and filter may change from one open to the next: each table says what it has. */
START_TEST(each_reads_the_others_tables_of_another_kind)
{
    temp_dir_clear();
    struct sim_random r = begin("mixed");
    for (int turn = 0; turn < 8; turn++) {
        const struct engine *e = turn % 2 ? &ours : &theirs;
        void *db = e->open(temp_path("mixed"), kinds[sim_below(&r, KINDS)]);
        verify(e, db, &r);
        change(e, db, &r, 1000, false);
        e->close(db);
    }
}
END_TEST

/* ---- ours, read by LevelDB */

static int deepest_level(struct store *s)
{
    struct store_stats stats;
    int deepest = 0;
    store_get_stats(s, &stats);
    for (int i = 0; i < 7; i++)
        if (stats.level_files[i] > 0)
            deepest = i;
    return deepest;
}

START_TEST(leveldb_reads_our_levels_after_heavy_overwrites_deletes_and_compactions)
{
    temp_dir_clear();
    struct sim_random r = begin("heavy");
    struct store *s = our_open(temp_path("heavy"), kinds[_i]);
    for (int round = 0; round < 3; round++) {
        struct store_snapshot *snap = store_snapshot_take(s); /* old versions stay in the tables */
        change(&ours, s, &r, 3000, false);
        if (round == 1)
            our_compact(s);
        change(&ours, s, &r, 1000, false);
        ck_assert_int_eq(store_flush(s), 0);
        store_snapshot_release(s, snap);
    }
    ck_assert_int_ge(deepest_level(s), 2);
    our_close(s);
    ck_assert_int_gt(count_files(temp_path("heavy"), ".ldb", NULL), 5);
    struct level *l = their_open(temp_path("heavy"), kinds[_i]);
    verify(&theirs, l, &r);
    their_compact(l);
    verify(&theirs, l, &r);
    level_close(l);
    s = our_open(temp_path("heavy"), kinds[_i]);
    verify(&ours, s, &r);
    our_close(s);
}
END_TEST

START_TEST(leveldb_opens_our_store_after_every_key_was_deleted)
{
    temp_dir_clear();
    struct sim_random r = begin("emptied");
    char room[64];
    struct store *s = our_open(temp_path("emptied"), kinds[_i]);
    change(&ours, s, &r, 3000, false);
    for (int i = 0; i < KEYS; i++)
        our_del(s, key_of(room, i));
    model_reset();
    our_close(s);
    struct level *l = their_open(temp_path("emptied"), kinds[_i]);
    verify(&theirs, l, &r);
    change(&theirs, l, &r, 300, false);
    level_close(l);
    s = our_open(temp_path("emptied"), kinds[_i]);
    verify(&ours, s, &r);
    our_close(s);
}
END_TEST

START_TEST(leveldb_reads_what_we_left_when_killed)
{
    temp_dir_clear();
    struct sim_random r = begin("ours killed");
    const char *dir = temp_path("killed");
    change_and_die(&ours, dir, kinds[_i], &r, 3000, false);
    ck_assert_int_gt(count_files(dir, ".ldb", NULL), 0);
    struct level *l = their_open(dir, kinds[_i]);
    verify(&theirs, l, &r);
    change(&theirs, l, &r, 1000, false);
    level_close(l);
    struct store *s = our_open(dir, kinds[_i]);
    verify(&ours, s, &r);
    our_close(s);
}
END_TEST

/* What the marks in the logs of the folder say was durable. */
static uint64_t marked_durable(const char *dir)
{
    uint64_t durable = 0;
    for (uint64_t number = 1; number < 20; number++) {
        char *path = name_log(dir, number);
        int rc = marks_find(env_posix(), path, 0, false, &durable);
        ck_assert(rc == 0 || rc == -ENOENT);
        free(path);
    }
    return durable;
}

#define MOST_ZEROES (24 << 10) /* a log that is this long is so for its zeroes */

/* Two sync writes close to each other make the writer put zeroes ahead; and each one behind a sync
 * has a mark before it, which LevelDB takes for an empty batch. */
START_TEST(leveldb_ends_at_zeroes_ahead_in_our_log_and_passes_over_marks)
{
    temp_dir_clear();
    struct sim_random r = begin("zeroes");
    const char *dir = temp_path("zeroes");
    off_t size = 0;
    only_short = true;
    change_and_die(&ours, dir, kinds[_i], &r, 40, true);
    ck_assert_int_eq(count_files(dir, ".ldb", NULL), 0);
    ck_assert_int_le(count_files(dir, ".log", &size), 2); /* the next one, empty */
    ck_assert_int_ge(size, MOST_ZEROES);
    ck_assert_int_gt(model_count(), 20);
    ck_assert_uint_ge(marked_durable(dir), 20);
    struct level *l = their_open(dir, kinds[_i]);
    verify(&theirs, l, &r);
    change(&theirs, l, &r, 500, false);
    level_close(l);
    struct store *s = our_open(dir, kinds[_i]);
    verify(&ours, s, &r);
    our_close(s);
}
END_TEST

START_TEST(a_clean_close_leaves_no_zeroes_in_the_log)
{
    temp_dir_clear();
    struct sim_random r = begin("trimmed");
    const char *dir = temp_path("trimmed");
    off_t size = -1;
    only_short = true;
    struct store *s = our_open(dir, kinds[0]);
    change(&ours, s, &r, 40, true);
    ck_assert_int_le(count_files(dir, ".log", &size), 2);
    ck_assert_int_ge(size, MOST_ZEROES);
    our_close(s);
    ck_assert_int_eq(count_files(dir, ".log", &size), 1);
    ck_assert_int_lt(size, MOST_ZEROES);
}
END_TEST

/* ---- LevelDB's, read by us */

static void we_agree(const char *dir, struct kind kind, struct sim_random *r)
{
    struct store *s = our_open(dir, kind);
    verify(&ours, s, r);
    change(&ours, s, r, 500, false);
    our_close(s);
    s = our_open(dir, kind);
    verify(&ours, s, r);
    our_close(s);
}

START_TEST(we_read_a_database_of_leveldb_that_is_a_log_only)
{
    temp_dir_clear();
    struct sim_random r = begin("log only");
    struct level *l = their_open(temp_path("log"), kinds[_i]);
    only_short = true;
    change(&theirs, l, &r, 50, true);
    change(&theirs, l, &r, 150, false);
    level_close(l);
    ck_assert_int_eq(count_files(temp_path("log"), ".ldb", NULL), 0);
    ck_assert_int_gt(model_count(), 0);
    we_agree(temp_path("log"), kinds[_i], &r);
}
END_TEST

START_TEST(we_read_a_database_of_leveldb_of_many_tables)
{
    temp_dir_clear();
    struct sim_random r = begin("many tables");
    struct level *l = their_open(temp_path("many"), kinds[_i]);
    change(&theirs, l, &r, 6000, false);
    level_close(l);
    ck_assert_int_ge(count_files(temp_path("many"), ".ldb", NULL), 2);
    we_agree(temp_path("many"), kinds[_i], &r);
}
END_TEST

START_TEST(we_read_a_database_that_leveldb_compacted)
{
    temp_dir_clear();
    struct sim_random r = begin("compacted");
    struct level *l = their_open(temp_path("compacted"), kinds[_i]);
    change(&theirs, l, &r, 4000, false);
    their_compact(l);
    level_close(l);
    we_agree(temp_path("compacted"), kinds[_i], &r);
}
END_TEST

START_TEST(we_read_what_a_killed_leveldb_left)
{
    temp_dir_clear();
    struct sim_random r = begin("LevelDB killed");
    const char *dir = temp_path("their-killed");
    change_and_die(&theirs, dir, kinds[_i], &r, 3000 + (int)sim_below(&r, 1000), false);
    ck_assert_int_gt(count_files(dir, ".ldb", NULL), 0);
    we_agree(dir, kinds[_i], &r);
    struct level *l = their_open(dir, kinds[_i]);
    verify(&theirs, l, &r);
    level_close(l);
}
END_TEST

START_TEST(neither_opens_what_the_other_has_open)
{
    temp_dir_clear();
    struct store_options o = our_options(kinds[0]);
    struct store *s;
    fflush(NULL);
    pid_t pid = fork(); /* LevelDB's fcntl lock does not see its own process */
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        s = our_open(temp_path("locked"), kinds[0]);
        struct level *l = level_open(temp_path("locked"), true, true, true, 64 << 10);
        _exit(level_failed(l) ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    struct level *l = their_open(temp_path("locked"), kinds[0]);
    ck_assert_int_eq(store_open(temp_path("locked"), &o, &s), -EWOULDBLOCK);
    level_close(l);
    our_close(our_open(temp_path("locked"), kinds[0]));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("leveldb");
    TCase *tc = tcase_create("leveldb");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, leveldb_and_we_agree_on_a_store_that_we_made, 0, KINDS);
    tcase_add_loop_test(tc, leveldb_and_we_agree_on_a_database_that_it_made, 0, KINDS);
    tcase_add_test(tc, each_reads_the_others_tables_of_another_kind);
    tcase_add_loop_test(tc, leveldb_reads_our_levels_after_heavy_overwrites_deletes_and_compactions,
                        0, KINDS);
    tcase_add_loop_test(tc, leveldb_opens_our_store_after_every_key_was_deleted, 0, 2);
    tcase_add_loop_test(tc, leveldb_reads_what_we_left_when_killed, 0, 2);
    tcase_add_loop_test(tc, leveldb_ends_at_zeroes_ahead_in_our_log_and_passes_over_marks, 0, 2);
    tcase_add_test(tc, a_clean_close_leaves_no_zeroes_in_the_log);
    tcase_add_loop_test(tc, we_read_a_database_of_leveldb_that_is_a_log_only, 0, 2);
    tcase_add_loop_test(tc, we_read_a_database_of_leveldb_of_many_tables, 0, 2);
    tcase_add_loop_test(tc, we_read_a_database_that_leveldb_compacted, 0, 2);
    tcase_add_loop_test(tc, we_read_what_a_killed_leveldb_left, 0, 2);
    tcase_add_test(tc, neither_opens_what_the_other_has_open);
    suite_add_tcase(suite, tc);
    temp_dir_make();
    setenv("CK_FORK", "yes", 1); /* see level.h */
    int result = run_suite(suite);
    temp_dir_remove();
    return result;
}
