/* How many inodes statvfs counts: exactly those there are, after a clean close at once, after a
 * kill as soon as they are counted anew. (That it is right after whatever else happens, each test
 * asserts that calls check_store.) */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../../store/tests/run_suite.h"
#include "../format/count_format.h"
#include "../format/keys_format.h"
#include "fixture.h"

static long inodes(void)
{
    struct statvfs sv;
    ck_assert_int_eq(fs_statfs(fs, &sv), 0);
    return (long)(sv.f_files - sv.f_ffree);
}

static void expect_soon(long wanted)
{
    for (int i = 0; i < 1000 && inodes() != wanted; i++)
        usleep(5000);
    ck_assert_int_eq(inodes(), wanted);
}

static void make_files(uint64_t dir, int n)
{
    for (int i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        fs_forget(fs, make_file(dir, name), 1);
    }
}

START_TEST(what_is_made_and_removed_is_counted_at_once)
{
    struct stat st;
    fixture_reopen();
    ck_assert_int_eq(inodes(), 1);
    uint64_t d = make_dir(FS_ROOT, "d"), f = make_file(d, "f");
    ck_assert_int_eq(inodes(), 3);
    ck_assert_int_eq(fs_link(fs, f, FS_ROOT, "second", &st), 0);
    ck_assert_int_eq(inodes(), 3);
    ck_assert_int_eq(fs_unlink(fs, d, "f"), 0);
    ck_assert_int_eq(inodes(), 3);
    fs_forget(fs, make_file(d, "g"), 1);
    ck_assert_int_eq(inodes(), 4);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "second", d, "g", 0), 0);
    ck_assert_int_eq(inodes(), 3);
    ck_assert_int_eq(fs_unlink(fs, d, "g"), 0);
    ck_assert_int_eq(inodes(), 3); /* open */
    fs_forget(fs, f, 2);
    ck_assert_int_eq(inodes(), 2);
    fs_forget(fs, d, 1);
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "d"), 0);
    ck_assert_int_eq(inodes(), 1);
}
END_TEST

START_TEST(a_failed_create_is_not_counted)
{
    struct stat st;
    make_files(FS_ROOT, 5);
    expect_soon(6);
    ck_assert_int_eq(
        fs_make(fs, &(struct fs_caller){0}, FS_ROOT, "3", S_IFREG | 0644, 0, NULL, &st), -EEXIST);
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "3"), -ENOTDIR);
    ck_assert_int_eq(inodes(), 6);
}
END_TEST

/* In the first moment: a pass over so many records would take longer. */
START_TEST(a_clean_close_leaves_the_count_for_the_next_open)
{
    make_files(FS_ROOT, 3000);
    make_file(FS_ROOT, "open");
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "open"), 0);
    expect_soon(3002);
    for (int i = 0; i < 3; i++) {
        fixture_reopen();
        ck_assert_int_eq(inodes(), 3001);
    }
    fs_forget(fs, make_file(FS_ROOT, "new"), 1);
    ck_assert_int_eq(inodes(), 3002);
    fixture_reopen();
    ck_assert_int_eq(inodes(), 3002);
}
END_TEST

START_TEST(opening_and_closing_alone_writes_nothing)
{
    make_files(FS_ROOT, 10);
    expect_soon(11);
    fixture_reopen();
    uint64_t before = store_last_sequence(fs_store(fs));
    fixture_reopen();
    ck_assert_uint_eq(store_last_sequence(fs_store(fs)), before);
}
END_TEST

START_TEST(after_a_kill_they_are_counted_anew_while_more_are_made)
{
    make_files(FS_ROOT, 1000);
    expect_soon(1001);
    fixture_reopen();
    uint64_t d = make_dir(FS_ROOT, "d");
    make_files(d, 500);
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        ck_assert_int_eq(fs_unlink(fs, FS_ROOT, name), 0);
    }
    fixture_kill();
    make_files(FS_ROOT, 100);
    expect_soon(1402);
    usleep(20000);
    ck_assert_int_eq(inodes(), 1402);
    fixture_kill();
    expect_soon(1402);
}
END_TEST

/* The count is not done: nothing may be written that says it is. */
START_TEST(a_close_while_they_are_counted_leaves_no_wrong_count)
{
    make_files(FS_ROOT, 20000);
    fixture_kill();
    fixture_reopen();
    expect_soon(20001);
}
END_TEST

START_TEST(a_count_that_is_older_than_a_change_is_not_believed)
{
    make_files(FS_ROOT, 10);
    expect_soon(11);
    struct fs_key key = key_count();
    struct buf value = BUF_INIT;
    uint64_t next = store_last_sequence(fs_store(fs)) + 1;
    count_encode(&(struct count_record){.count = 500, .sequence = next}, &value);
    ck_assert_int_eq(store_put(fs_store(fs), key_slice(&key), buf_slice(&value), false), 0);
    buf_free(&value);
    fixture_kill();
    ck_assert_int_eq(inodes(), 500); /* the newest change: believed */
    fs_forget(fs, make_file(FS_ROOT, "new"), 1);
    fixture_kill();
    expect_soon(12);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("count");
    TCase *tc = tcase_create("count");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, what_is_made_and_removed_is_counted_at_once);
    tcase_add_test(tc, a_failed_create_is_not_counted);
    tcase_add_test(tc, a_clean_close_leaves_the_count_for_the_next_open);
    tcase_add_test(tc, opening_and_closing_alone_writes_nothing);
    tcase_add_test(tc, after_a_kill_they_are_counted_anew_while_more_are_made);
    tcase_add_test(tc, a_close_while_they_are_counted_leaves_no_wrong_count);
    tcase_add_test(tc, a_count_that_is_older_than_a_change_is_not_believed);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
