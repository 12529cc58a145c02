/* Found by review: each fails before its fix. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "../base/crc.h"
#include "../db/db.h"
#include "../table/table_format.h"
#include "env_sim.h"
#include "run_suite.h"
#include "sim_random.h"
#include "temp_dir.h"

static struct env *disk;
static struct store *store;
static struct store_options options;

static int open_it(bool repair)
{
    options.repair = repair;
    options.env = disk;
    return store_open("/db", &options, &store);
}

static struct slice key_text(char *to, int i)
{
    return slice_of(to, (size_t)snprintf(to, 32, "key%06d", i));
}

static void put(int i, bool sync)
{
    char key[32];
    ck_assert_int_eq(store_put(store, key_text(key, i), slice_str("some value or other"), sync), 0);
}

static bool has(int i)
{
    char key[32];
    struct buf value = BUF_INIT;
    int rc = store_get(store, NULL, key_text(key, i), &value);
    buf_free(&value);
    return rc == 0;
}

static void setup(void)
{
    store_options_init(&options);
    disk = env_sim_new();
    options.table_bytes = 4096;
    options.compression = STORE_COMPRESS_NONE;
    ck_assert_int_eq(open_it(false), 0);
}

static void teardown(void)
{
    store_close(store);
    env_sim_free(disk);
}

static void kill_and_keep(enum sim_survival how, uint64_t seed)
{
    struct env *copy = env_sim_cut_copy(disk);
    env_sim_survive(copy, how, seed);
    store_close(store);
    store = NULL;
    env_sim_free(disk);
    disk = copy;
}

struct wanted {
    enum name_kind kind;
    char *path;
    uint64_t number;
};

static void note(void *arg, const char *name)
{
    struct wanted *w = arg;
    uint64_t number;
    if (name_parse(name, &number) != w->kind || (w->path && number > w->number))
        return;
    free(w->path);
    w->number = number;
    w->path = mem_printf("/db/%s", name);
}

/* The one with the lowest number. */
static char *lowest(enum name_kind kind)
{
    struct wanted w = {.kind = kind};
    ck_assert_int_eq(env_list(disk, "/db", note, &w), 0);
    ck_assert(w.path != NULL);
    return w.path;
}

static void change_byte(const char *path, size_t at)
{
    struct buf bytes = BUF_INIT;
    ck_assert_int_eq(env_read_file(disk, path, &bytes), 0);
    bytes.data[at] ^= 4;
    ck_assert_int_eq(env_replace_file(disk, path, buf_slice(&bytes)), 0);
    buf_free(&bytes);
}

/* The newest change in tables was a delete, and a compaction dropped it: without a MANIFEST no
 * table says its number. What was synced into the log behind it is whole, and must not go for that.
 */
START_TEST(a_repair_without_manifest_takes_the_log_behind_a_dropped_delete)
{
    char key[32];
    for (int i = 0; i < 10; i++)
        put(i, false);
    ck_assert_int_eq(store_delete(store, key_text(key, 3), false), 0);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    put(100, true);
    put(101, true);
    kill_and_keep(SIM_KEEP_ALL, 1);
    char *manifest = lowest(NAME_MANIFEST);
    change_byte(manifest, 9);
    ck_assert_int_eq(open_it(false), STORE_ECORRUPT);
    ck_assert_int_eq(open_it(true), 0);
    ck_assert(!has(3));
    ck_assert(has(9));
    ck_assert_msg(has(100) && has(101), "what was synced into a whole log is lost");
    free(manifest);
}
END_TEST

/* The same, with the power cut at each call of the repair. */
START_TEST(a_repair_without_manifest_can_be_cut_at_any_call)
{
    char key[32];
    for (int i = 0; i < 300; i++)
        put(i, false);
    ck_assert_int_eq(store_delete(store, key_text(key, 3), false), 0);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    put(1000, true);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(store_delete(store, key_text(key, 4), false), 0);
    put(1001, true);
    kill_and_keep(SIM_KEEP_ALL, 1);
    char *manifest = lowest(NAME_MANIFEST);
    change_byte(manifest, 9);
    ck_assert_int_eq(open_it(false), STORE_ECORRUPT);
    bool cut = true;
    for (uint64_t k = 1; cut; k++)
        for (uint64_t seed = 1; seed <= 20; seed++) {
            struct env *copy = env_sim_cut_copy(disk), *whole = disk;
            env_sim_survive(copy, SIM_KEEP_ALL, 1);
            disk = copy;
            env_sim_cut_at(copy, k);
            int rc = open_it(true);
            cut = env_sim_is_cut(copy);
            if (rc == 0)
                store_close(store);
            cut |= env_sim_is_cut(copy);
            env_sim_survive(copy, SIM_RANDOM, k * 100 + seed);
            rc = open_it(seed % 2);
            if (rc == STORE_ECORRUPT)
                rc = open_it(true);
            ck_assert_msg(rc == 0, "cut at call %llu: %s", (unsigned long long)k, fail_text());
            for (int i = 0; i < 300; i++)
                ck_assert_msg(has(i) == (i != 3 && i != 4), "cut at call %llu, seed %llu: key %d",
                              (unsigned long long)k, (unsigned long long)seed, i);
            ck_assert_msg(has(1000) && has(1001), "cut at call %llu, seed %llu: %d %d",
                          (unsigned long long)k, (unsigned long long)seed, has(1000), has(1001));
            store_close(store);
            store = NULL;
            env_sim_free(copy);
            disk = whole;
        }
    free(manifest);
}
END_TEST

/* A block whose checksum is right and whose bytes make no sense (memory that failed before the
 * checksum was made). Of other tables nothing may be lost for it. */
START_TEST(a_repair_goes_on_behind_a_block_that_makes_no_sense)
{
    int missing = 0;
    for (int i = 0; i < 2000; i++)
        put(i, false);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    put(5, false); /* so that there are two in the merge */
    put(1995, false);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_gt(store->versions.current->level[VERSION_LEVELS - 6].count +
                         store->versions.current->level[2].count,
                     5);
    kill_and_keep(SIM_KEEP_ALL, 1);
    char *table = NULL;
    struct buf bytes = BUF_INIT;
    for (int n = 1; n < 60 && !table; n++) { /* the first one: keys from 0 on */
        char *path = name_table("/db", (uint64_t)n);
        buf_clear(&bytes);
        if (env_read_file(disk, path, &bytes) == 0 && bytes.len > 3000)
            table = path;
        else
            free(path);
    }
    ck_assert(table != NULL);
    /* the first data block: find its end by its checksum */
    size_t len = 0;
    for (size_t n = 100; n + 5 < bytes.len && !len; n++)
        if (bytes.data[n] == TABLE_NONE &&
            crc_unmask(get_fixed32(bytes.data + n + 1)) == crc32c(bytes.data, n + 1))
            len = n;
    ck_assert_uint_gt(len, 0);
    size_t at = len / 2;
    memset(bytes.data + at, 0xff, 40);
    put_fixed32(bytes.data + len + 1, crc_mask(crc32c(bytes.data, len + 1)));
    ck_assert_int_eq(env_replace_file(disk, table, buf_slice(&bytes)), 0);
    int rc = open_it(true);
    ck_assert_msg(rc == 0, "%s", fail_text());
    for (int i = 0; i < 2000; i++)
        missing += !has(i);
    ck_assert_msg(missing < 200, "%d of 2000 keys are lost for one block", missing);
    buf_free(&bytes);
    free(table);
}
END_TEST

/* A table of a newer LevelDB, with a compression that is not known here, is not damaged. */
START_TEST(a_repair_leaves_a_store_of_unknown_compression_alone)
{
    for (int i = 0; i < 2000; i++)
        put(i, false);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
    char *path = lowest(NAME_TABLE);
    struct buf bytes = BUF_INIT;
    ck_assert_int_eq(env_read_file(disk, path, &bytes), 0);
    size_t begin = 0;
    for (size_t n = 100; begin + n + 5 < bytes.len; n++) { /* each data block */
        char *type = bytes.data + begin + n;
        if (*type != TABLE_NONE ||
            crc_unmask(get_fixed32(type + 1)) != crc32c(bytes.data + begin, n + 1))
            continue;
        *type = 4;
        put_fixed32(type + 1, crc_mask(crc32c(bytes.data + begin, n + 1)));
        begin += n + 5;
        if (begin > bytes.len / 2)
            break;
        n = 100;
    }
    ck_assert_uint_gt(begin, 0);
    ck_assert_int_eq(env_replace_file(disk, path, buf_slice(&bytes)), 0);
    ck_assert_int_eq(open_it(true), STORE_EFORMAT);
    ck_assert(env_exists(disk, path));
    buf_free(&bytes);
    free(path);
}
END_TEST

/* The same without a repair: a compaction leaves such a table as it is. */
START_TEST(a_compaction_leaves_a_table_alone_whose_keys_do_not_ascend)
{
    for (int i = 0; i < 2000; i++)
        put(i, false);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
    char *path = lowest(NAME_TABLE), *at = NULL;
    struct buf bytes = BUF_INIT;
    ck_assert_int_eq(env_read_file(disk, path, &bytes), 0);
    size_t len = 0;
    for (size_t n = 100; n + 5 < bytes.len && !len; n++)
        if (bytes.data[n] == TABLE_NONE &&
            crc_unmask(get_fixed32(bytes.data + n + 1)) == crc32c(bytes.data, n + 1))
            len = n;
    ck_assert_uint_gt(len, 0);
    at = memmem(bytes.data, len, "key000016", 9); /* a restart point: the whole key */
    ck_assert(at != NULL);
    at[8] = '0'; /* key000010 */
    at[7] = '0'; /* key000000 */
    put_fixed32(bytes.data + len + 1, crc_mask(crc32c(bytes.data, len + 1)));
    ck_assert_int_eq(env_replace_file(disk, path, buf_slice(&bytes)), 0);
    ck_assert_int_eq(open_it(false), 0);
    for (int i = 0; i < 2000; i += 3)
        put(i, false);
    int rc = store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0));
    ck_assert_int_eq(rc, STORE_ECORRUPT);
    ck_assert_int_eq(store_background_error(store), 0);
    ck_assert(has(1999));
    ck_assert_int_eq(store_close(store), 0);
    ck_assert_int_eq(open_it(true), 0); /* and a repair ends that */
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    int missing = 0;
    for (int i = 0; i < 2000; i++)
        missing += !has(i);
    ck_assert_int_lt(missing, 100);
    buf_free(&bytes);
    free(path);
}
END_TEST

/* ---- a sector that the disk cannot read */

static struct env_ops ops;
static const struct env_ops *plain;
static char *bad_path;
static uint64_t bad_at;
static struct env_file *bad_file[64];

static int open_noted(struct env *e, const char *path, int flags, struct env_file **out)
{
    int rc = plain->open(e, path, flags, out);
    if (rc == 0 && bad_path && strcmp(path, bad_path) == 0)
        for (int i = 0; i < 64; i++)
            if (!bad_file[i]) {
                bad_file[i] = *out;
                break;
            }
    return rc;
}

static void close_noted(struct env *e, struct env_file *f)
{
    for (int i = 0; i < 64; i++)
        if (bad_file[i] == f)
            bad_file[i] = NULL;
    plain->close(e, f);
}

static ssize_t pread_bad(struct env *e, struct env_file *f, void *p, size_t n, uint64_t off)
{
    for (int i = 0; i < 64; i++)
        if (bad_file[i] == f && off < bad_at + 512 && bad_at < off + n)
            return fail(-EIO, "%s: read: a bad sector", bad_path);
    return plain->pread(e, f, p, n, off);
}

static void sector_goes_bad(char *path, uint64_t at)
{
    bad_path = path;
    bad_at = at;
    plain = disk->ops;
    ops = *plain;
    ops.open = open_noted;
    ops.close = close_noted;
    ops.pread = pread_bad;
    disk->ops = &ops;
}

START_TEST(a_sector_that_cannot_be_read_does_not_hinder_the_repair)
{
    int missing = 0;
    for (int i = 0; i < 2000; i++)
        put(i, false);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    put(2000, true);
    kill_and_keep(SIM_KEEP_ALL, 1);
    char *path = lowest((enum name_kind[]){NAME_TABLE, NAME_MANIFEST, NAME_LOG}[_i]);
    sector_goes_bad(path, 0);
    int rc = open_it(true);
    ck_assert_msg(rc == 0, "%s: %s", path, fail_text());
    for (int i = 0; i < 2000; i++)
        missing += !has(i);
    ck_assert_int_lt(missing, 200);
    store_close(store);
    store = NULL;
    bad_path = NULL;
    disk->ops = plain;
    free(path);
}
END_TEST

/* ---- many tables */

START_TEST(a_repair_needs_no_descriptor_for_each_table)
{
    struct rlimit limit, few;
    char *dir = mem_printf("%s", temp_path("db"));
    store_close(store);
    store = NULL;
    options.env = NULL;
    options.repair = false;
    ck_assert_int_eq(store_open(dir, &options, &store), 0);
    for (int i = 0; i < 20000; i++)
        put(i, false);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
    getrlimit(RLIMIT_NOFILE, &limit);
    few = limit;
    few.rlim_cur = 60;
    options.max_open_tables = 20;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    ck_assert_int_eq(store_open(dir, &options, &store), 0); /* as every day */
    ck_assert(has(0) && has(19999));
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
    options.repair = true;
    int rc = store_open(dir, &options, &store);
    ck_assert_msg(rc == 0, "%s", fail_text());
    struct store_stats st;
    store_get_stats(store, &st);
    ck_assert_uint_eq(st.damaged_tables, 0);
    ck_assert(has(0) && has(19999));
    setrlimit(RLIMIT_NOFILE, &limit);
    free(dir);
}
END_TEST

/* ---- a record that was taken back */

static int put_letters(struct buf *value, char c, size_t n)
{
    memset(buf_reserve(value, n), c, n);
    value->len = n;
    return store_put(store, slice_str("k"), buf_slice(value), false);
}

/* Its bytes may be on the disk all the same, and the next record lies where it lay: after a power
 * cut there must not be a record made of both. */
START_TEST(a_record_that_was_taken_back_is_no_part_of_the_next)
{
    struct buf a = BUF_INIT, b = BUF_INIT, value = BUF_INIT;
    int mixed = 0, whole = 0;
    options.reserve_bytes = 0;
    options.zero_ahead_bytes = options.log_window_bytes = 0;
    ck_assert_int_eq(store_close(store), 0);
    ck_assert_int_eq(open_it(false), 0);
    /* the next record begins 400 bytes before the end of a block */
    memset(buf_reserve(&a, 32768), 'x', 32768);
    a.len = 32768 - 400 - 60;
    ck_assert_int_eq(store_put(store, slice_str("first"), buf_slice(&a), true), 0);
    buf_clear(&a);
    env_sim_fail(disk, SIM_WRITE, env_sim_count(disk, SIM_WRITE) + 1, -ENOSPC, SIM_DONE_PART);
    ck_assert_int_eq(put_letters(&a, 'a', 1000), -ENOSPC);
    env_sim_fail(disk, SIM_WRITE, 0, -EIO, SIM_DONE_NOTHING);
    ck_assert_int_eq(put_letters(&b, 'b', 1000), 0);
    int rc;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct env *copy = env_sim_cut_copy(disk);
        struct store *s;
        struct store_options with = options;
        env_sim_survive(copy, SIM_RANDOM, seed);
        with.env = copy;
        ck_assert_int_eq(store_open("/db", &with, &s), 0);
        rc = store_get(s, NULL, slice_str("k"), &value);
        if (rc == 0 && slice_equal(buf_slice(&value), buf_slice(&b)))
            whole++;
        else if (rc == 0)
            mixed++;
        store_close(s);
        env_sim_free(copy);
    }
    buf_free(&a);
    buf_free(&b);
    buf_free(&value);
    ck_assert_msg(mixed == 0, "mixed %d times (whole: %d)", mixed, whole);
}
END_TEST

/* ---- a MANIFEST record that was taken back */

static struct env_file *manifest_file;
static int lacks, refused, tried;

static int open_manifest(struct env *e, const char *path, int flags, struct env_file **out)
{
    int rc = plain->open(e, path, flags, out);
    if (rc == 0 && (flags & ENV_WRITE) && strstr(path, "MANIFEST"))
        manifest_file = *out;
    return rc;
}

static int pwrite_part(struct env *e, struct env_file *f, const void *p, size_t n, uint64_t off)
{
    if (f != manifest_file || lacks != 1)
        return plain->pwrite(e, f, p, n, off);
    lacks = 2;
    plain->pwrite(e, f, p, n / 2, off);
    return fail(-ENOSPC, "no space behind the first half");
}

/* The power goes before the sync of the next record. */
static int sync_cut(struct env *e, struct env_file *f)
{
    if (f == manifest_file && lacks == 2) {
        lacks = 3;
        for (uint64_t seed = 1; seed <= 1000; seed++) {
            struct env *copy = env_sim_cut_copy(e);
            struct store_options with = options;
            struct store *s;
            env_sim_survive(copy, SIM_RANDOM, seed);
            with.env = copy;
            tried++;
            if (store_open("/db", &with, &s) == 0) {
                store_close(s);
            } else if (refused++ == 0) {
                printf("seed %llu: %s\n", (unsigned long long)seed, fail_text());
                fflush(stdout);
            }
            env_sim_free(copy);
        }
    }
    return plain->sync(e, f);
}

START_TEST(a_manifest_record_that_was_taken_back_is_no_part_of_the_next)
{
    char *key = mem_alloc(40000);
    memset(key, 'k', 40000);
    options.reserve_bytes = 0;
    ck_assert_int_eq(store_close(store), 0);
    plain = disk->ops;
    ops = *plain;
    ops.open = open_manifest;
    ops.pwrite = pwrite_part;
    ops.sync = sync_cut;
    disk->ops = &ops;
    ck_assert_int_eq(open_it(false), 0);
    ck_assert_int_eq(store_put(store, slice_of(key, 40000), slice_str("x"), true), 0);
    lacks = 1;
    int rc = store_flush(store);
    ck_assert_msg(rc == 0 || rc == -ENOSPC, "%s", fail_text());
    for (int i = 0; i < 100 && rc; i++)
        rc = store_flush(store);
    ck_assert_int_eq(rc, 0);
    ck_assert_int_eq(tried, 1000);
    ck_assert_msg(refused == 0, "refused %d times after a power cut", refused);
    store_close(store);
    store = NULL;
    disk->ops = plain;
    free(key);
}
END_TEST

/* ---- a quota */

/* What statvfs says of a disk on which a quota is used up. */
static int plenty(struct env *e, const char *path, struct env_space *out)
{
    (void)e, (void)path;
    *out = (struct env_space){1ull << 40, 1ull << 40, 1ull << 40};
    return 0;
}

START_TEST(a_store_whose_quota_is_used_up_opens_thanks_to_the_reserve)
{
    struct env_space space;
    struct env_file *f;
    char zeroes[512] = "";
    options.reserve_bytes = 1 << 20;
    ck_assert_int_eq(store_close(store), 0);
    ck_assert_int_eq(open_it(false), 0);
    for (int i = 0; i < 100; i++)
        put(i, true);
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
    ck_assert(env_exists(disk, "/db/RESERVE"));
    ck_assert_int_eq(env_space(disk, "/db", &space), 0);
    env_sim_set_capacity(disk, space.total - space.available + 4096);
    ck_assert_int_eq(env_open(disk, "/others", ENV_WRITE | ENV_CREATE, &f), 0);
    for (uint64_t at = 0; env_pwrite(disk, f, zeroes, sizeof zeroes, at) == 0;)
        at += sizeof zeroes;
    env_close(disk, f);
    plain = disk->ops;
    ops = *plain;
    ops.space = plenty;
    disk->ops = &ops;
    int rc = open_it(false);
    char *why = mem_printf("%s", fail_text());
    ck_assert_msg(rc == 0, "%s (and the reserve is %s)", why,
                  env_exists(disk, "/db/RESERVE") ? "held" : "given up");
    free(why);
    ck_assert(has(99));
    char key[32];
    ck_assert_int_eq(store_delete(store, key_text(key, 99), true), 0);
    store_close(store);
    store = NULL;
    disk->ops = plain;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("review");
    TCase *tc = tcase_create("review");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_repair_without_manifest_takes_the_log_behind_a_dropped_delete);
    tcase_add_test(tc, a_repair_without_manifest_can_be_cut_at_any_call);
    tcase_add_test(tc, a_repair_goes_on_behind_a_block_that_makes_no_sense);
    tcase_add_test(tc, a_repair_leaves_a_store_of_unknown_compression_alone);
    tcase_add_test(tc, a_compaction_leaves_a_table_alone_whose_keys_do_not_ascend);
    tcase_add_loop_test(tc, a_sector_that_cannot_be_read_does_not_hinder_the_repair, 0, 3);
    tcase_add_test(tc, a_repair_needs_no_descriptor_for_each_table);
    tcase_add_test(tc, a_record_that_was_taken_back_is_no_part_of_the_next);
    tcase_add_test(tc, a_manifest_record_that_was_taken_back_is_no_part_of_the_next);
    tcase_add_test(tc, a_store_whose_quota_is_used_up_opens_thanks_to_the_reserve);
    suite_add_tcase(suite, tc);
    temp_dir_make();
    int failed = run_suite(suite);
    temp_dir_remove();
    return failed;
}
