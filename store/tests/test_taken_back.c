/* A record for which there was no space is cut off its file again. Its first bytes may be on the
 * disk all the same, and the next record lies where it lay: a power cut must not leave one record
 * made of both, from the first fragments of the one and the last of the other. */
#include <check.h>
#include <stdlib.h>

#include "../db/db.h"
#include "../log/log_format.h"
#include "env_sim.h"
#include "run_suite.h"

static struct env *disk;
static struct store *store;
static struct store_options options;

static void setup(void)
{
    store_options_init(&options);
    options.env = disk = env_sim_new();
    options.reserve_bytes = 0;
    options.zero_ahead_bytes = options.log_window_bytes = 0;
    ck_assert_int_eq(store_open("/db", &options, &store), 0);
}

static void teardown(void)
{
    store_close(store);
    env_sim_free(disk);
}

/* The store as it is after a power cut now; NULL where it is refused. */
static struct store *open_cut_copy(uint64_t seed, struct env **copy)
{
    struct store_options with = options;
    struct store *s;
    with.env = *copy = env_sim_cut_copy(disk);
    env_sim_survive(*copy, SIM_RANDOM, seed);
    return store_open("/db", &with, &s) == 0 ? s : NULL;
}

/* ---- of the log */

static int put_letters(const char *key, char letter, size_t n, bool sync)
{
    char *value = memset(mem_alloc(n), letter, n);
    int rc = store_put(store, slice_str(key), slice_of(value, n), sync);
    free(value);
    return rc;
}

/* The letter of which the value of `key` is made; 0: there is none; -1: several. */
static int letter_of(struct store *s, const char *key)
{
    struct buf value = BUF_INIT;
    int letter = 0;
    if (store_get(s, NULL, slice_str(key), &value) == 0)
        letter = value.data[0];
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] != letter)
            letter = -1;
    buf_free(&value);
    return letter;
}

/* Fails so that a part of it is in the log, and is taken back. */
static void put_without_space(const char *key, char letter, size_t n)
{
    env_sim_fail(disk, SIM_WRITE, env_sim_count(disk, SIM_WRITE) + 1, -ENOSPC, SIM_DONE_PART);
    ck_assert_int_eq(put_letters(key, letter, n, false), -ENOSPC);
}

START_TEST(a_record_that_was_taken_back_is_no_part_of_the_next)
{
    int whole = 0;
    /* the next record begins 400 bytes before the end of a block, and ends in the next block */
    ck_assert_int_eq(put_letters("first", 'x', LOG_BLOCK_SIZE - 400 - 60, true), 0);
    put_without_space("k", 'a', 1000);
    ck_assert_int_eq(put_letters("k", 'b', 1000, false), 0);
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct env *copy;
        struct store *s = open_cut_copy(seed, &copy);
        ck_assert_msg(s != NULL, "seed %llu: %s", (unsigned long long)seed, fail_text());
        int letter = letter_of(s, "k");
        ck_assert_msg(letter == 0 || letter == 'b', "seed %llu: a value of both records",
                      (unsigned long long)seed);
        whole += letter == 'b';
        store_close(s);
        env_sim_free(copy);
    }
    ck_assert_int_gt(whole, 0);
}
END_TEST

/* ---- of the MANIFEST */

/* A disk whose MANIFEST finds space for the first half of one write; from there on the power is
 * cut, in copies of it, before each sync of the MANIFEST. */
static struct manifest_disk {
    const struct env_ops *plain;
    struct env_ops ops;
    struct env_file *manifest;
    bool lacks_space, cuts_syncs;
    int syncs_cut;
} d;

static int open_noted(struct env *e, const char *path, int flags, struct env_file **out)
{
    int rc = d.plain->open(e, path, flags, out);
    if (rc == 0 && (flags & ENV_WRITE) && strstr(path, "MANIFEST"))
        d.manifest = *out;
    return rc;
}

static int write_half(struct env *e, struct env_file *f, const void *p, size_t n, uint64_t off)
{
    if (f != d.manifest || !d.lacks_space)
        return d.plain->pwrite(e, f, p, n, off);
    d.lacks_space = false;
    d.cuts_syncs = true;
    d.plain->pwrite(e, f, p, n / 2, off);
    return fail(-ENOSPC, "no space behind the first half");
}

static int sync_cut(struct env *e, struct env_file *f)
{
    bool cuts = f == d.manifest && d.cuts_syncs;
    for (uint64_t seed = 1; cuts && seed <= 1000; seed++) {
        struct env *copy;
        struct store *s = open_cut_copy(seed, &copy);
        ck_assert_msg(s != NULL, "seed %llu: %s", (unsigned long long)seed, fail_text());
        store_close(s);
        env_sim_free(copy);
    }
    d.syncs_cut += cuts;
    return d.plain->sync(e, f);
}

static void open_on_manifest_disk(void)
{
    ck_assert_int_eq(store_close(store), 0);
    d = (struct manifest_disk){.plain = disk->ops, .ops = *disk->ops};
    d.ops.open = open_noted;
    d.ops.pwrite = write_half;
    d.ops.sync = sync_cut;
    disk->ops = &d.ops;
    ck_assert_int_eq(store_open("/db", &options, &store), 0);
}

START_TEST(a_manifest_record_that_was_taken_back_is_no_part_of_the_next)
{
    enum { LONG = 40000 }; /* the table's range takes more than a block of the MANIFEST */
    char *key = memset(mem_alloc(LONG), 'k', LONG);
    int rc = -ENOSPC;
    open_on_manifest_disk();
    ck_assert_int_eq(store_put(store, slice_of(key, LONG), slice_str("x"), true), 0);
    d.lacks_space = true;
    for (int tries = 0; rc == -ENOSPC && tries < 100; tries++)
        rc = store_flush(store);
    ck_assert_msg(rc == 0, "%s", fail_text());
    d.cuts_syncs = false;
    ck_assert_int_ge(d.syncs_cut, 2); /* that of what was taken back, and that of the next record */
    free(key);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_record_that_was_taken_back_is_no_part_of_the_next,
                                  a_manifest_record_that_was_taken_back_is_no_part_of_the_next,
                                  NULL};
    return run_tests("taken back", 60, setup, teardown, tests);
}
