/* The overlay: what is written there is read there, and the disk below stays as it is. On the
 * simulated disk. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../env/env_overlay.h"
#include "../store.h"
#include "env_sim.h"
#include "../base/error.h"
#include "run_suite.h"

static struct env *disk, *over;

static void setup(void)
{
    disk = env_sim_new();
    ck_assert_int_eq(env_mkdir(disk, "/d"), 0);
    ck_assert_int_eq(env_replace_file(disk, "/d/a", slice_str("below a")), 0);
    ck_assert_int_eq(env_replace_file(disk, "/d/b", slice_str("below b")), 0);
    over = env_overlay_new(disk);
}

static void teardown(void)
{
    env_overlay_free(over);
    env_sim_free(disk);
}

/* The file's bytes; "-" where there is none. */
static const char *text_of(struct env *e, const char *path)
{
    static struct buf b;
    int rc = env_read_file(e, path, &b);
    if (rc == -ENOENT)
        return "-";
    ck_assert_int_eq(rc, 0);
    buf_append(&b, "", 1);
    return b.data;
}

static void note(void *arg, const char *name)
{
    unsigned *seen = arg;
    ck_assert_msg(name[0] >= 'a' && name[0] <= 'z' && !name[1], "%s", name);
    ck_assert_msg(!(*seen & 1u << (name[0] - 'a')), "%s twice", name);
    *seen |= 1u << (name[0] - 'a');
}

static void expect_names(struct env *e, const char *names)
{
    unsigned seen = 0, want = 0;
    ck_assert_int_eq(env_list(e, "/d", note, &seen), 0);
    for (; *names; names++)
        want |= 1u << (*names - 'a');
    ck_assert_uint_eq(seen, want);
}

START_TEST(writes_are_seen_above_only)
{
    struct env_file *f;
    uint64_t calls = env_sim_count(disk, SIM_ANY), size;
    ck_assert_str_eq(text_of(over, "/d/a"), "below a");
    ck_assert_int_eq(env_open(over, "/d/a", ENV_WRITE, &f), 0);
    ck_assert_int_eq(env_pwrite(over, f, "ABOVE", 5, 0), 0);
    ck_assert_int_eq(env_pwrite(over, f, "end", 3, 10), 0);
    ck_assert_int_eq(env_sync(over, f), 0);
    ck_assert_int_eq(env_size(over, f, &size), 0);
    ck_assert_uint_eq(size, 13);
    char bytes[16] = "";
    ck_assert_int_eq(env_pread(over, f, bytes, sizeof bytes, 0), 13);
    ck_assert_int_eq(memcmp(bytes, "ABOVE a\0\0\0end", 13), 0);
    ck_assert_int_eq(env_pread(over, f, bytes, sizeof bytes, 13), 0);
    ck_assert_int_eq(env_truncate(over, f, 5), 0);
    env_close(over, f);
    ck_assert_str_eq(text_of(over, "/d/a"), "ABOVE");
    ck_assert_str_eq(text_of(disk, "/d/a"), "below a");
    ck_assert_int_eq(env_open(over, "/d/c", ENV_WRITE, &f), -ENOENT);
    ck_assert_int_eq(env_open(over, "/d/c", ENV_WRITE | ENV_CREATE, &f), 0);
    env_close(over, f);
    expect_names(over, "abc");
    expect_names(disk, "ab");
    ck_assert_uint_eq(env_sim_count(disk, SIM_ANY), calls);
}
END_TEST

START_TEST(names_go_and_come_above_only)
{
    uint64_t calls = env_sim_count(disk, SIM_ANY);
    ck_assert_int_eq(env_unlink(over, "/d/a"), 0);
    ck_assert_int_eq(env_unlink(over, "/d/a"), -ENOENT);
    ck_assert_str_eq(text_of(over, "/d/a"), "-");
    ck_assert_int_eq(env_rename(over, "/d/b", "/d/x"), 0);
    ck_assert_int_eq(env_rename(over, "/d/b", "/d/y"), -ENOENT);
    ck_assert_str_eq(text_of(over, "/d/x"), "below b");
    expect_names(over, "x");
    ck_assert_int_eq(env_replace_file(over, "/d/a", slice_str("new")), 0);
    ck_assert_str_eq(text_of(over, "/d/a"), "new");
    ck_assert_int_eq(env_mkdir(over, "/d"), -EEXIST);
    ck_assert_int_eq(env_mkdir(over, "/d/m"), 0);
    ck_assert_int_eq(env_mkdir(over, "/d/m"), -EEXIST);
    ck_assert_int_eq(env_replace_file(over, "/d/m/deep", slice_str("1")), 0);
    expect_names(over, "axm");
    expect_names(disk, "ab");
    ck_assert_uint_eq(env_sim_count(disk, SIM_ANY), calls);
}
END_TEST

START_TEST(an_open_file_outlives_its_name)
{
    struct env_file *f, *g;
    char bytes[8] = "";
    ck_assert_int_eq(env_open(over, "/d/n", ENV_WRITE | ENV_CREATE, &f), 0);
    ck_assert_int_eq(env_pwrite(over, f, "12345", 5, 0), 0);
    ck_assert_int_eq(env_open(over, "/d/a", ENV_READ, &g), 0);
    ck_assert_int_eq(env_unlink(over, "/d/n"), 0);
    ck_assert_int_eq(env_unlink(over, "/d/a"), 0);
    ck_assert_int_eq(env_pread(over, f, bytes, 5, 0), 5);
    ck_assert_str_eq(bytes, "12345");
    ck_assert_int_eq(env_pread(over, g, bytes, 5, 0), 5);
    ck_assert_str_eq(bytes, "below");
    env_close(over, f);
    env_close(over, g);
}
END_TEST

START_TEST(a_lock_is_one_below)
{
    struct env_file *f, *g, *h;
    ck_assert_int_eq(env_lock(over, "/d/a", &f), 0);
    ck_assert_int_eq(env_lock(disk, "/d/a", &g), -EWOULDBLOCK);
    ck_assert_int_eq(env_lock_shared(disk, "/d/a", &g), 0);
    ck_assert_int_eq(env_lock_shared(over, "/d/a", &h), 0);
    env_close(over, f);
    env_close(over, h);
    ck_assert_int_eq(env_lock(disk, "/d/a", &h), -EWOULDBLOCK);
    env_close(disk, g);
    ck_assert_int_eq(env_lock(disk, "/d/a", &g), 0);
    ck_assert_int_eq(env_lock(over, "/d/a", &f), -EWOULDBLOCK);
    ck_assert_int_eq(env_lock_shared(over, "/d/a", &f), -EWOULDBLOCK);
    env_close(disk, g);
}
END_TEST

START_TEST(a_lock_file_that_is_missing_below_is_not_made_there)
{
    struct env_file *f, *g;
    ck_assert_int_eq(env_lock(over, "/d/l", &f), 0);
    ck_assert(!env_exists(disk, "/d/l"));
    ck_assert_int_eq(env_lock_shared(over, "/d/m", &g), 0);
    ck_assert_ptr_null(g);
    env_close(over, f);
}
END_TEST

/* After a crash, so that opening has a log to replay, and tables and a MANIFEST to write. */
START_TEST(a_store_opens_and_works_above_and_is_unchanged_below)
{
    struct store_options o;
    struct store *s;
    struct buf value = BUF_INIT;
    char key[16];
    store_options_init(&o);
    o.env = disk;
    ck_assert_int_eq(store_open("/db", &o, &s), 0);
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "%d", i);
        ck_assert_int_eq(store_put(s, slice_str(key), slice_str(key), i == 499), 0);
    }
    struct env *crashed = env_sim_cut_copy(disk);
    env_sim_survive(crashed, SIM_KEEP_ALL, 1);
    struct env *above = env_overlay_new(crashed);
    o.env = above;
    for (int round = 0; round < 2; round++) {
        struct store *t;
        ck_assert_msg(store_open("/db", &o, &t) == 0, "%s", fail_text());
        for (int i = 0; i < 500; i++) {
            snprintf(key, sizeof key, "%d", i);
            ck_assert_int_eq(store_get(t, NULL, slice_str(key), &value), 0);
            ck_assert(slice_equal(buf_slice(&value), slice_str(key)));
        }
        ck_assert_int_eq(store_put(t, slice_str("above"), slice_str("x"), true), 0);
        ck_assert_int_eq(store_compact(t, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
        ck_assert_int_eq(store_close(t), 0);
    }
    env_overlay_free(above);
    ck_assert_uint_eq(env_sim_count(crashed, SIM_ANY), 0); /* (the lock file was there) */
    env_sim_free(crashed);
    ck_assert_int_eq(store_close(s), 0);
    buf_free(&value);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {writes_are_seen_above_only,
                                  names_go_and_come_above_only,
                                  an_open_file_outlives_its_name,
                                  a_lock_is_one_below,
                                  a_lock_file_that_is_missing_below_is_not_made_there,
                                  a_store_opens_and_works_above_and_is_unchanged_below,
                                  NULL};
    return run_tests("env_overlay", 30, setup, teardown, tests);
}
