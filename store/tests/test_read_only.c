/* A store that is opened read-only: it shows what it would show, and nothing of its folder changes,
 * whatever state the folder is in. On the real disk, so that it is the disk that is looked at. */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../store.h"
#include "run_suite.h"
#include "temp_dir.h"

#define KEYS 3000

static struct store_options options, to_read;
static struct buf before;

static void setup(void)
{
    temp_dir_clear();
    store_options_init(&options);
    options.memtable_bytes = 32 << 10;
    options.table_bytes = 16 << 10;
    options.reserve_bytes = 0;
    to_read = options;
    to_read.read_only = true;
}

static void teardown(void)
{
    buf_free(&before);
}

/* ---- the folder: names, sizes, times of change, and bytes */

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void look(const char *dir, struct buf *out)
{
    struct dirent **names;
    struct stat st;
    int n = scandir(dir, &names, NULL, by_name);
    ck_assert_int_ge(n, 0);
    buf_clear(out);
    ck_assert_int_eq(stat(dir, &st), 0);
    buf_append(out, (char *)&st.st_mtim, sizeof st.st_mtim);
    for (int i = 0; i < n; i++) {
        char *path = mem_printf("%s/%s", dir, names[i]->d_name);
        struct buf bytes = BUF_INIT;
        ck_assert_int_eq(stat(path, &st), 0);
        if (S_ISREG(st.st_mode)) {
            buf_append(out, path, strlen(path));
            buf_append(out, (char *)&st.st_mtim, sizeof st.st_mtim);
            buf_append(out, (char *)&st.st_ctim, sizeof st.st_ctim);
            buf_append(out, (char *)&st.st_ino, sizeof st.st_ino);
            ck_assert_int_eq(env_read_file(env_posix(), path, &bytes), 0);
            buf_append(out, bytes.data, bytes.len);
        }
        buf_free(&bytes);
        free(path);
        free(names[i]);
    }
    free(names);
}

static void expect_unchanged(const char *dir)
{
    struct buf now = BUF_INIT;
    look(dir, &now);
    ck_assert(slice_equal(buf_slice(&now), buf_slice(&before)));
    buf_free(&now);
}

/* ---- stores */

static struct store *open_with(const char *dir, const struct store_options *o)
{
    struct store *s;
    ck_assert_msg(store_open(dir, o, &s) == 0, "%s", fail_text());
    return s;
}

static void put_keys(struct store *s, int from, int to)
{
    for (int i = from; i < to; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%d", i);
        ck_assert_int_eq(store_put(s, slice_str(key), slice_str(key), false), 0);
    }
}

static void expect_keys(struct store *s, int n)
{
    struct buf value = BUF_INIT;
    int count = 0;
    for (int i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%d", i);
        ck_assert_msg(store_get(s, NULL, slice_str(key), &value) == 0, "%s", key);
        ck_assert(slice_equal(buf_slice(&value), slice_str(key)));
    }
    struct iter *it = store_iter(s, NULL);
    for (iter_first(it); it->valid; iter_next(it))
        count++;
    ck_assert_int_eq(it->status, 0);
    iter_destroy(it);
    ck_assert_int_eq(count, n);
    buf_free(&value);
}

/* The files of a store that is in use, as a kill -9 would leave them. */
static void copy_folder(const char *from, const char *to)
{
    DIR *d = opendir(from);
    ck_assert_ptr_nonnull(d);
    ck_assert_int_eq(mkdir(to, 0755), 0);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        char *source = mem_printf("%s/%s", from, e->d_name);
        char *target = mem_printf("%s/%s", to, e->d_name);
        struct buf bytes = BUF_INIT;
        if (e->d_name[0] != '.') {
            ck_assert_int_eq(env_read_file(env_posix(), source, &bytes), 0);
            ck_assert_int_eq(env_replace_file(env_posix(), target, buf_slice(&bytes)), 0);
        }
        buf_free(&bytes);
        free(source);
        free(target);
    }
    closedir(d);
}

/* A closed one, or one that was killed with much in its log. */
static const char *make_store(bool killed)
{
    const char *live = temp_path("live"), *dir = temp_path("store");
    struct store *s = open_with(live, &options);
    put_keys(s, 0, KEYS - 200);
    ck_assert_int_eq(store_flush(s), 0);
    put_keys(s, KEYS - 200, KEYS);
    if (killed)
        copy_folder(live, dir);
    ck_assert_int_eq(store_close(s), 0);
    if (!killed)
        copy_folder(live, dir);
    look(dir, &before);
    return dir;
}

START_TEST(it_is_read_and_nothing_of_its_folder_changes)
{
    const char *dir = make_store(_i);
    for (int again = 0; again < 2; again++) {
        struct store *s = open_with(dir, &to_read);
        expect_keys(s, KEYS);
        struct store_snapshot *snap = store_snapshot_take(s);
        store_snapshot_release(s, snap);
        ck_assert_int_eq(store_verify(s, NULL, NULL), 0);
        expect_unchanged(dir);
        ck_assert_int_eq(store_close(s), 0);
        expect_unchanged(dir);
    }
    struct store *s = open_with(dir, &options); /* to write, it is as it was */
    expect_keys(s, KEYS);
    put_keys(s, KEYS, KEYS + 1);
    ck_assert_int_eq(store_close(s), 0);
}
END_TEST

START_TEST(whatever_would_change_something_is_EROFS)
{
    const char *dir = make_store(_i);
    struct store *s = open_with(dir, &to_read);
    struct store_batch b = STORE_BATCH_INIT;
    ck_assert_int_eq(store_put(s, slice_str("a"), slice_str("b"), false), -EROFS);
    ck_assert_msg(strstr(fail_text(), "read-only"), "%s", fail_text());
    ck_assert_int_eq(store_put(s, slice_str("a"), slice_str("b"), true), -EROFS);
    ck_assert_int_eq(store_delete(s, slice_str("key1"), false), -EROFS);
    ck_assert_int_eq(store_compact(s, slice_of(NULL, 0), slice_of(NULL, 0)), -EROFS);
    ck_assert_msg(strstr(fail_text(), "read-only"), "%s", fail_text());
    ck_assert_int_eq(store_write(s, &b, true), 0); /* it has nothing to write */
    ck_assert_int_eq(store_sync(s, 0), 0);         /* all is on the disk */
    ck_assert_int_eq(store_flush(s), 0);
    ck_assert_int_eq(store_background_error(s), 0);
    expect_keys(s, KEYS);
    ck_assert_int_eq(store_close(s), 0);
    expect_unchanged(dir);
}
END_TEST

START_TEST(a_torn_log_is_read_to_its_last_whole_record_and_left_torn)
{
    const char *live = temp_path("live"), *dir = temp_path("store");
    struct store *s = open_with(live, &options);
    struct store_stats st;
    put_keys(s, 0, 100);
    copy_folder(live, dir);
    ck_assert_int_eq(store_close(s), 0);
    char *log = mem_printf("%s/000003.log", dir);
    struct stat file;
    for (int i = 4; stat(log, &file); i++) {
        free(log);
        log = mem_printf("%s/%06d.log", dir, i);
    }
    ck_assert_int_eq(truncate(log, file.st_size - 5), 0);
    free(log);
    look(dir, &before);
    s = open_with(dir, &to_read);
    store_get_stats(s, &st);
    ck_assert_uint_gt(st.cut_bytes, 0);
    expect_keys(s, 99);
    ck_assert_int_eq(store_close(s), 0);
    expect_unchanged(dir);
}
END_TEST

START_TEST(nothing_is_made_where_there_is_no_store)
{
    struct store *s;
    ck_assert_int_eq(store_open(temp_path("none"), &to_read, &s), -ENOENT);
    ck_assert(access(temp_path("none"), F_OK) != 0);
    ck_assert_int_eq(mkdir(temp_path("empty"), 0755), 0);
    look(temp_path("empty"), &before);
    ck_assert_int_eq(store_open(temp_path("empty"), &to_read, &s), -ENOENT);
    expect_unchanged(temp_path("empty"));
}
END_TEST

START_TEST(a_damaged_store_is_refused_as_ever_and_left_alone)
{
    const char *dir = make_store(false);
    struct store *s;
    char *path = mem_printf("%s/CURRENT", dir);
    ck_assert_int_eq(truncate(path, 3), 0);
    free(path);
    look(dir, &before);
    ck_assert_int_eq(store_open(dir, &to_read, &s), STORE_ECORRUPT);
    expect_unchanged(dir);
    to_read.repair = true;
    ck_assert_int_eq(store_open(dir, &to_read, &s), -EINVAL);
    ck_assert(strstr(fail_text(), dir));
    expect_unchanged(dir);
}
END_TEST

/* ---- who else has it open */

START_TEST(readers_share_it_and_keep_writers_out)
{
    const char *dir = make_store(true);
    struct store *one = open_with(dir, &to_read), *two = open_with(dir, &to_read), *w;
    ck_assert_int_eq(store_open(dir, &options, &w), -EWOULDBLOCK);
    ck_assert_msg(strstr(fail_text(), "only reads"), "%s", fail_text());
    ck_assert_int_eq(store_close(one), 0);
    ck_assert_int_eq(store_open(dir, &options, &w), -EWOULDBLOCK);
    expect_keys(two, KEYS);
    ck_assert_int_eq(store_close(two), 0);
    expect_unchanged(dir);
    w = open_with(dir, &options);
    char *pid = mem_printf("process %ld", (long)getpid());
    ck_assert_int_eq(store_open(dir, &to_read, &one), -EWOULDBLOCK);
    ck_assert_msg(strstr(fail_text(), pid), "%s", fail_text());
    free(pid);
    ck_assert_int_eq(store_close(w), 0);
}
END_TEST

START_TEST(without_the_file_LOCK_it_is_read_all_the_same)
{
    const char *dir = make_store(true);
    char *path = mem_printf("%s/LOCK", dir);
    ck_assert_int_eq(unlink(path), 0);
    look(dir, &before);
    struct store *s = open_with(dir, &to_read);
    expect_keys(s, KEYS);
    ck_assert_int_eq(store_close(s), 0);
    ck_assert(access(path, F_OK) != 0);
    expect_unchanged(dir);
    free(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("read_only");
    TCase *tc = tcase_create("read_only");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, it_is_read_and_nothing_of_its_folder_changes, 0, 2);
    tcase_add_loop_test(tc, whatever_would_change_something_is_EROFS, 0, 2);
    tcase_add_test(tc, a_torn_log_is_read_to_its_last_whole_record_and_left_torn);
    tcase_add_test(tc, nothing_is_made_where_there_is_no_store);
    tcase_add_test(tc, a_damaged_store_is_refused_as_ever_and_left_alone);
    tcase_add_test(tc, readers_share_it_and_keep_writers_out);
    tcase_add_test(tc, without_the_file_LOCK_it_is_read_all_the_same);
    suite_add_tcase(suite, tc);
    temp_dir_make();
    int code = run_suite(suite);
    temp_dir_remove();
    return code;
}
