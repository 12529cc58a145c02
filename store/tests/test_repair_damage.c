/* Repairs of damage that is not just a changed byte: blocks that make no sense under a right
 * checksum, formats not known here, sectors that cannot be read, no MANIFEST. Nothing else is lost
 * for it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "../db/db.h"
#include "../table/table_format.h"
#include "env_sim.h"
#include "harm.h"
#include "run_suite.h"
#include "temp_dir.h"

enum { KEYS = 2000 };

static struct env *disk;
static struct store *store;
static struct store_options options;

static int open_it(bool repair)
{
    options.repair = repair;
    options.env = disk;
    return store_open("/db", &options, &store);
}

static void close_it(void)
{
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
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

static void drop(int i)
{
    char key[32];
    ck_assert_int_eq(store_delete(store, key_text(key, i), false), 0);
}

static bool has(int i)
{
    char key[32];
    struct buf value = BUF_INIT;
    int rc = store_get(store, NULL, key_text(key, i), &value);
    buf_free(&value);
    return rc == 0;
}

static uint64_t damaged_tables(void)
{
    struct store_stats st;
    store_get_stats(store, &st);
    return st.damaged_tables;
}

static int count_missing(int keys)
{
    int missing = 0;
    for (int i = 0; i < keys; i++)
        missing += !has(i);
    return missing;
}

static void compact(void)
{
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(store_compact(store, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
}

/* So many keys, from 0 on, in tables of the deepest level. */
static void fill(int keys)
{
    for (int i = 0; i < keys; i++)
        put(i, false);
    compact();
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

/* The process is killed, and nothing that it wrote is lost. */
static void kill_it(void)
{
    struct env *copy = env_sim_cut_copy(disk);
    env_sim_survive(copy, SIM_KEEP_ALL, 1);
    store_close(store);
    store = NULL;
    env_sim_free(disk);
    disk = copy;
}

static void damage_manifest(void)
{
    char *manifest = harm_first_file(disk, "/db", NAME_MANIFEST);
    harm_byte(disk, manifest, 9);
    ck_assert_int_eq(open_it(false), STORE_ECORRUPT);
    free(manifest);
}

/* ---- without a MANIFEST */

/* The newest change in tables was a delete, and a compaction dropped it: no table says its number.
 * What was synced into the log behind it is whole, and must not go for that. */
START_TEST(the_log_behind_a_delete_that_no_table_tells_of_is_taken)
{
    for (int i = 0; i < 10; i++)
        put(i, false);
    drop(3);
    compact();
    put(100, true);
    put(101, true);
    kill_it();
    damage_manifest();
    ck_assert_int_eq(open_it(true), 0);
    ck_assert(!has(3));
    ck_assert(has(9));
    ck_assert_msg(has(100) && has(101), "what was synced into a whole log is lost");
}
END_TEST

/* What a flush had written when the power was cut, with no MANIFEST to say that it is nobody's: the
 * log has all of it. */
static void leave_torn_table(double part)
{
    struct env *then = env_sim_cut_copy(disk), *before;
    struct buf bytes = BUF_INIT;
    env_sim_survive(then, SIM_KEEP_ALL, 1);
    ck_assert_int_eq(store_flush(store), 0);
    char *table = harm_first_file(disk, "/db", NAME_TABLE);
    ck_assert_int_eq(env_read_file(disk, table, &bytes), 0);
    bytes.len = (size_t)((double)bytes.len * part);
    before = disk;
    store_close(store);
    store = NULL;
    env_sim_free(before);
    disk = then;
    ck_assert_int_eq(env_replace_file(disk, table, buf_slice(&bytes)), 0);
    free(table);
    buf_free(&bytes);
}

START_TEST(the_log_is_taken_beside_what_is_left_of_its_flush)
{
    static const double parts[] = {1.0, 0.99, 0.5, 0.1, 0.0};
    options.table_bytes = 1 << 20;
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        for (int i = 0; i < 1000; i++)
            put(i, false);
        put(0, true);
        leave_torn_table(parts[p]);
        damage_manifest();
        ck_assert_int_eq(open_it(true), 0);
        ck_assert_int_eq(count_missing(1000), 0);
        drop(7); /* and what comes is newer than what was found */
        ck_assert(!has(7));
        compact();
        ck_assert(!has(7));
        teardown();
        disk = env_sim_new();
        ck_assert_int_eq(open_it(false), 0);
    }
}
END_TEST

/* No log has what a damaged table has: new changes come behind it all the same. */
START_TEST(what_is_new_is_newer_than_what_a_damaged_table_has)
{
    close_it();
    options.table_bytes = 1 << 20;
    ck_assert_int_eq(open_it(false), 0);
    for (int round = 0; round < 3; round++)
        fill(500);
    close_it();
    char *table = harm_first_file(disk, "/db", NAME_TABLE);
    struct buf bytes = BUF_INIT;
    ck_assert_int_eq(env_read_file(disk, table, &bytes), 0);
    bytes.data[bytes.len - 1] ^= 1; /* of the only one */
    ck_assert_int_eq(env_replace_file(disk, table, buf_slice(&bytes)), 0);
    damage_manifest();
    ck_assert_int_eq(open_it(true), 0);
    ck_assert_int_eq(count_missing(500), 0);
    drop(7);
    ck_assert(!has(7));
    close_it();
    ck_assert_int_eq(open_it(false), 0);
    ck_assert(!has(7));
    free(table);
    buf_free(&bytes);
}
END_TEST

enum { CUT_KEYS = 300 };

/* As above, and with a table and deletes that are in the log alone. */
static void make_store_to_cut(void)
{
    for (int i = 0; i < CUT_KEYS; i++)
        put(i, false);
    drop(3);
    compact();
    put(1000, true);
    ck_assert_int_eq(store_flush(store), 0);
    drop(4);
    put(1001, true);
    kill_it();
    damage_manifest();
}

/* Begins a repair, with the power cut at call k. True where it came to that. */
static bool repair_until(uint64_t k)
{
    env_sim_cut_at(disk, k);
    if (open_it(true) == 0)
        store_close(store);
    store = NULL;
    return env_sim_is_cut(disk);
}

/* What the cut left of the disk is a store that opens, or that a repair makes whole. */
static void expect_all_after_cut(uint64_t k, uint64_t seed)
{
    env_sim_survive(disk, SIM_RANDOM, k * 100 + seed);
    int rc = open_it(seed % 2);
    if (rc == STORE_ECORRUPT)
        rc = open_it(true);
    ck_assert_msg(rc == 0, "cut at call %llu: %s", (unsigned long long)k, fail_text());
    for (int i = 0; i < CUT_KEYS; i++)
        ck_assert_msg(has(i) == (i != 3 && i != 4), "cut at call %llu, seed %llu: key %d",
                      (unsigned long long)k, (unsigned long long)seed, i);
    ck_assert_msg(has(1000) && has(1001), "cut at call %llu, seed %llu: what was synced is lost",
                  (unsigned long long)k, (unsigned long long)seed);
    close_it();
}

START_TEST(a_repair_without_manifest_can_be_cut_at_any_call)
{
    bool cut = true;
    make_store_to_cut();
    struct env *damaged = disk;
    for (uint64_t k = 1; cut; k++)
        for (uint64_t seed = 1; seed <= 20; seed++) {
            disk = env_sim_cut_copy(damaged);
            env_sim_survive(disk, SIM_KEEP_ALL, 1);
            cut = repair_until(k);
            expect_all_after_cut(k, seed);
            env_sim_free(disk);
        }
    disk = damaged;
}
END_TEST

/* ---- blocks under a right checksum */

/* The bytes of the table that has the lowest keys. */
static char *read_first_table(struct buf *bytes)
{
    char *path = harm_first_file(disk, "/db", NAME_TABLE);
    ck_assert_int_eq(env_read_file(disk, path, bytes), 0);
    return path;
}

/* Memory that failed before the checksum was made may leave such a block. */
START_TEST(a_block_that_makes_no_sense_costs_no_other_table)
{
    struct buf bytes = BUF_INIT;
    fill(KEYS);
    put(5, false); /* so that there are two tables in the merge */
    put(KEYS - 5, false);
    ck_assert_int_eq(store_flush(store), 0);
    kill_it();
    char *path = read_first_table(&bytes);
    size_t len = harm_block_len(buf_slice(&bytes), 0);
    memset(bytes.data + len / 2, 0xff, 40);
    harm_seal_block(bytes.data, len);
    ck_assert_int_eq(env_replace_file(disk, path, buf_slice(&bytes)), 0);
    ck_assert_msg(open_it(true) == 0, "%s", fail_text());
    ck_assert_uint_eq(damaged_tables(), 1);
    ck_assert_int_lt(count_missing(KEYS), KEYS / 10);
    buf_free(&bytes);
    free(path);
}
END_TEST

/* A table of a newer LevelDB, with a compression that is not known here, is not damaged. */
START_TEST(a_table_of_unknown_compression_is_refused_and_left_alone)
{
    enum { UNKNOWN = 4 };
    struct buf bytes = BUF_INIT;
    for (int i = 0; i < KEYS; i++)
        put(i, false);
    ck_assert_int_eq(store_flush(store), 0);
    close_it();
    char *path = read_first_table(&bytes);
    for (size_t at = 0; at < bytes.len / 2;) { /* where nothing but data blocks lies */
        size_t len = harm_block_len(buf_slice(&bytes), at);
        bytes.data[at + len] = UNKNOWN;
        harm_seal_block(bytes.data + at, len);
        at += len + TABLE_TRAILER_SIZE;
    }
    ck_assert_int_eq(env_replace_file(disk, path, buf_slice(&bytes)), 0);
    ck_assert_int_eq(open_it(true), STORE_EFORMAT);
    ck_assert(env_exists(disk, path));
    buf_free(&bytes);
    free(path);
}
END_TEST

/* ---- a sector that the disk cannot read */

enum { MOST_OPEN = 64 };

/* A disk that cannot read the first sector of one file. */
static struct bad_disk {
    const struct env_ops *plain;
    struct env_ops ops;
    const char *path;
    struct env_file *open[MOST_OPEN]; /* of that path */
} bad;

/* The place of `f` in bad.open, or (NULL) a free one. */
static struct env_file **place_of(struct env_file *f)
{
    for (int i = 0; i < MOST_OPEN; i++)
        if (bad.open[i] == f)
            return &bad.open[i];
    return NULL;
}

static int open_noted(struct env *e, const char *path, int flags, struct env_file **out)
{
    int rc = bad.plain->open(e, path, flags, out);
    if (rc == 0 && strcmp(path, bad.path) == 0)
        *place_of(NULL) = *out;
    return rc;
}

static void close_noted(struct env *e, struct env_file *f)
{
    struct env_file **place = place_of(f);
    if (place)
        *place = NULL;
    bad.plain->close(e, f);
}

static ssize_t pread_bad(struct env *e, struct env_file *f, void *p, size_t n, uint64_t off)
{
    if (n > 0 && off < 512 && place_of(f))
        return fail(-EIO, "%s: read: a bad sector", bad.path);
    return bad.plain->pread(e, f, p, n, off);
}

static void first_sector_goes_bad(const char *path)
{
    bad = (struct bad_disk){.plain = disk->ops, .ops = *disk->ops, .path = path};
    bad.ops.open = open_noted;
    bad.ops.close = close_noted;
    bad.ops.pread = pread_bad;
    disk->ops = &bad.ops;
}

static void repair_with_bad_sector_in(enum name_kind kind)
{
    fill(KEYS);
    put(KEYS, true);
    kill_it();
    char *path = harm_first_file(disk, "/db", kind);
    first_sector_goes_bad(path);
    ck_assert_msg(open_it(true) == 0, "%s: %s", path, fail_text());
    ck_assert_int_lt(count_missing(KEYS), KEYS / 10);
    store_close(store);
    store = NULL;
    disk->ops = bad.plain;
    free(path);
}

START_TEST(a_sector_of_a_table_that_cannot_be_read_does_not_hinder)
{
    repair_with_bad_sector_in(NAME_TABLE);
}
END_TEST

START_TEST(a_sector_of_the_manifest_that_cannot_be_read_does_not_hinder)
{
    repair_with_bad_sector_in(NAME_MANIFEST);
}
END_TEST

START_TEST(a_sector_of_a_log_that_cannot_be_read_does_not_hinder)
{
    repair_with_bad_sector_in(NAME_LOG);
}
END_TEST

/* ---- many tables */

static void allow_descriptors(rlim_t n)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = n;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void open_on_real_disk(bool repair)
{
    options.env = NULL;
    options.repair = repair;
    ck_assert_msg(store_open(temp_path("db"), &options, &store) == 0, "%s", fail_text());
}

START_TEST(a_repair_needs_no_descriptor_for_each_table)
{
    enum { MANY = 20000 };
    close_it();
    open_on_real_disk(false);
    fill(MANY);
    close_it();
    allow_descriptors(60); /* (each test has a process of its own) */
    options.max_open_tables = 20;
    open_on_real_disk(false);
    ck_assert(has(0) && has(MANY - 1));
    close_it();
    open_on_real_disk(true);
    ck_assert_uint_eq(damaged_tables(), 0);
    ck_assert(has(0) && has(MANY - 1));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {the_log_behind_a_delete_that_no_table_tells_of_is_taken,
                                  the_log_is_taken_beside_what_is_left_of_its_flush,
                                  what_is_new_is_newer_than_what_a_damaged_table_has,
                                  a_repair_without_manifest_can_be_cut_at_any_call,
                                  a_block_that_makes_no_sense_costs_no_other_table,
                                  a_table_of_unknown_compression_is_refused_and_left_alone,
                                  a_sector_of_a_table_that_cannot_be_read_does_not_hinder,
                                  a_sector_of_the_manifest_that_cannot_be_read_does_not_hinder,
                                  a_sector_of_a_log_that_cannot_be_read_does_not_hinder,
                                  a_repair_needs_no_descriptor_for_each_table,
                                  NULL};
    temp_dir_make();
    int failed = run_tests("repair damage", 60, setup, teardown, tests);
    temp_dir_remove();
    return failed;
}
