/* Files without a name: they work as long as somebody has a reference, and then nothing of them
 * stays in the store, whatever comes in between. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../store/tests/run_suite.h"
#include "check_store.h"
#include "fixture.h"

/* A file of `n` bytes with an attribute, which has lost its name. */
static uint64_t make_orphan(size_t n)
{
    uint64_t f = make_file(FS_ROOT, "f");
    char *p = mem_alloc(n + 1);
    memset(p, 'o', n);
    write_at(f, 0, p, n);
    free(p);
    ck_assert_int_eq(fs_setxattr(fs, f, "user.a", "value", 5, 0), 0);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    return f;
}

static void expect_nothing_of(uint64_t ino)
{
    fixture_settle();
    const char kinds[] = {'E', 'X', 'O', 'I', 'D'};
    for (size_t i = 0; i < sizeof kinds; i++)
        ck_assert_msg(count_records(kinds[i], ino) == 0, "%c records stay", kinds[i]);
}

START_TEST(an_open_file_without_a_name_works)
{
    uint64_t f = make_orphan(10000);
    struct stat st, in = {.st_mode = 0600, .st_size = 5000};
    char p[8];
    ck_assert(!exists(FS_ROOT, "f"));
    ck_assert_uint_eq(stat_of(f).st_nlink, 0);
    write_at(f, 20000, "end", 3);
    ck_assert_int_eq(stat_of(f).st_size, 20003);
    ck_assert_int_eq(fs_read(fs, f, p, 8, 20000), 3);
    ck_assert_mem_eq(p, "end", 3);
    ck_assert_int_eq(fs_setattr(fs, f, &in, FS_SET_MODE | FS_SET_SIZE, &st), 0);
    ck_assert_uint_eq(st.st_mode, S_IFREG | 0600);
    ck_assert_int_eq(st.st_size, 5000);
    ck_assert_int_eq(fs_read(fs, f, p, 8, 4998), 2);
    ck_assert_int_eq(fs_getxattr(fs, f, "user.a", p, sizeof p), 5);
    ck_assert_int_eq(fs_setxattr(fs, f, "user.b", "x", 1, 0), 0);
    ck_assert_int_eq(fs_sync_inode(fs, f), 0);
    check_store(fs, CHECK_GARBAGE_MAY_BE);
    fs_forget(fs, f, 1);
    expect_nothing_of(f);
}
END_TEST

START_TEST(its_fsync_covers_what_came_before_its_last_change)
{
    uint64_t f = make_orphan(100);
    struct stat st, in = {.st_mode = 0600};
    ck_assert_int_eq(fs_sync_all(fs), 0);
    make_file(FS_ROOT, "other");
    uint64_t before = store_last_sequence(fs_store(fs));
    ck_assert_uint_lt(store_durable_sequence(fs_store(fs)), before);
    ck_assert_int_eq(fs_setattr(fs, f, &in, FS_SET_MODE, &st), 0); /* this needs no record */
    ck_assert_int_eq(fs_sync_inode(fs, f), 0);
    ck_assert_uint_ge(store_durable_sequence(fs_store(fs)), before);
    fs_forget(fs, f, 1);
}
END_TEST

START_TEST(it_lives_as_long_as_any_reference)
{
    uint64_t f = make_file(FS_ROOT, "f");
    write_text(f, "hello");
    find(FS_ROOT, "f");
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    fs_forget(fs, f, 1);
    usleep(100000); /* the background would be quicker */
    expect_text(f, "hello");
    fs_forget(fs, f, 1);
    expect_nothing_of(f);
}
END_TEST

START_TEST(without_a_reference_it_goes_at_once)
{
    uint64_t f = make_file(FS_ROOT, "f");
    write_text(f, "hello");
    fs_forget(fs, f, 1);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    expect_nothing_of(f);
}
END_TEST

START_TEST(an_empty_one_leaves_nothing_and_needs_no_record)
{
    uint64_t f = make_file(FS_ROOT, "f");
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    ck_assert_int_eq(count_records('O', 0), 0);
    fs_forget(fs, f, 1);
    expect_nothing_of(f);
}
END_TEST

/* What an orphan without data gets afterwards must not stay either. */
START_TEST(what_it_gets_later_goes_as_well)
{
    uint64_t f = make_file(FS_ROOT, "f"), g = make_file(FS_ROOT, "g");
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "g"), 0);
    write_text(f, "later");
    ck_assert_int_eq(fs_setxattr(fs, g, "user.a", "x", 1, 0), 0);
    if (_i == 0) {
        fs_forget(fs, f, 1);
        fs_forget(fs, g, 1);
    } else {
        _i == 1 ? fixture_kill() : fixture_reopen();
    }
    expect_nothing_of(f);
    expect_nothing_of(g);
}
END_TEST

START_TEST(nothing_stays_after_close_or_kill)
{
    uint64_t f = make_orphan(24 << 20); /* more than a batch deletes: a chunk needs three records */
    ck_assert_int_gt(count_records('E', f), 1000 / 3);
    _i ? fixture_kill() : fixture_reopen();
    expect_nothing_of(f);
}
END_TEST

START_TEST(close_leaves_no_garbage)
{
    uint64_t f = make_orphan(3 << 20), g = make_file(FS_ROOT, "g");
    write_text(g, "stays");
    fixture_close();
    fixture_options.read_only = true; /* deletes nothing itself */
    fixture_open();
    ck_assert_int_eq(count_records('E', f), 0);
    ck_assert_int_eq(count_records('O', 0), 0);
    expect_text(find(FS_ROOT, "g"), "stays");
}
END_TEST

/* The second kill comes while the first one's garbage is being deleted. */
START_TEST(a_kill_while_it_is_deleted_only_delays_it)
{
    uint64_t f = make_orphan(48 << 20);
    for (int i = 0; i < 4; i++)
        fixture_kill();
    expect_nothing_of(f);
}
END_TEST

START_TEST(a_removed_name_of_several_leaves_the_file)
{
    uint64_t f = make_file(FS_ROOT, "f");
    struct stat st;
    write_text(f, "hello");
    ck_assert_int_eq(fs_link(fs, f, FS_ROOT, "g", &st), 0);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    ck_assert_int_eq(count_records('O', 0), 0);
    fs_forget(fs, f, 2);
    fixture_settle();
    ck_assert_uint_eq(find(FS_ROOT, "g"), f);
    expect_text(f, "hello");
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "g"), 0);
    ck_assert_int_eq(count_records('I', f), 0);
    expect_text(f, "hello");
    fs_forget(fs, f, 1);
    expect_nothing_of(f);
}
END_TEST

START_TEST(a_removed_directory_can_still_be_asked)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    struct stat st, in = {.st_mode = 0700};
    struct fs_dir *open;
    ck_assert_int_eq(fs_opendir(fs, d, &open), 0);
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "d"), 0);
    ck_assert_int_eq(fs_setattr(fs, d, &in, FS_SET_MODE, &st), 0);
    ck_assert_uint_eq(stat_of(d).st_mode, S_IFDIR | 0700);
    ck_assert_uint_eq(find(d, ".."), FS_ROOT);
    fs_closedir(fs, open);
    fs_forget(fs, d, 1);
    expect_nothing_of(d);
}
END_TEST

/* The new file under the name is another one. */
START_TEST(a_new_file_of_that_name_is_left_alone)
{
    uint64_t f = make_orphan(10000), g = make_file(FS_ROOT, "f");
    write_text(g, "new");
    ck_assert_uint_ne(f, g);
    struct stat st, in = {.st_mode = 0111};
    ck_assert_int_eq(fs_setattr(fs, f, &in, FS_SET_MODE, &st), 0);
    write_at(f, 0, "old", 3);
    fs_forget(fs, f, 1);
    fixture_settle();
    fixture_reopen();
    ck_assert_uint_eq(find(FS_ROOT, "f"), g);
    ck_assert_uint_eq(stat_of(g).st_mode, S_IFREG | 0644);
    expect_text(g, "new");
}
END_TEST

/* ---- made without a name (O_TMPFILE) */

static uint64_t make_unnamed(const char *text)
{
    struct fs_caller who = {.uid = 7, .gid = 8, .umask = 022};
    struct stat st;
    ck_assert_int_eq(fs_make_unnamed(fs, &who, FS_ROOT, S_IFREG | 0666, &st), 0);
    ck_assert_uint_eq(st.st_nlink, 0);
    ck_assert_uint_eq(st.st_mode, S_IFREG | 0644);
    ck_assert_uint_eq(st.st_uid, 7);
    ck_assert_uint_eq(st.st_gid, 8);
    if (*text)
        write_text(st.st_ino, text);
    return st.st_ino;
}

static int link_as(uint64_t ino, const char *name)
{
    struct stat st;
    return fs_link(fs, ino, FS_ROOT, name, &st);
}

START_TEST(what_is_made_without_a_name_ends_with_its_last_reference)
{
    make_file(FS_ROOT, "other"); /* inode numbers are set aside */
    uint64_t names = (uint64_t)stat_of(FS_ROOT).st_size;
    uint64_t sequence = store_last_sequence(fs_store(fs));
    uint64_t f = make_unnamed("");
    ck_assert_uint_eq(store_last_sequence(fs_store(fs)), sequence); /* nothing is stored yet */
    write_text(f, "hello");
    expect_text(f, "hello");
    ck_assert_uint_eq((uint64_t)stat_of(FS_ROOT).st_size, names);
    if (_i == 0)
        fs_forget(fs, f, 1);
    else
        _i == 1 ? fixture_kill() : fixture_reopen();
    expect_nothing_of(f);
}
END_TEST

START_TEST(it_gets_a_name_once_and_more_after_that)
{
    uint64_t f = make_unnamed(_i ? "hello" : "");
    ck_assert_int_eq(fs_setxattr(fs, f, "user.a", "value", 5, 0), 0);
    ck_assert_int_eq(link_as(f, "named"), 0);
    ck_assert_uint_eq(stat_of(f).st_nlink, 1);
    ck_assert_int_eq(count_records('O', 0), 0);
    check_store(fs, CHECK_NO_GARBAGE);
    fixture_kill();
    ck_assert_uint_eq(find(FS_ROOT, "named"), f);
    expect_text(f, _i ? "hello" : "");
    ck_assert_int_eq(link_as(f, "again"), 0);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "named"), 0);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "again"), 0);
    ck_assert_int_eq(link_as(f, "late"), -ENOENT);
    fs_forget(fs, f, 2);
    expect_nothing_of(f);
}
END_TEST

START_TEST(a_name_that_was_lost_is_the_end_of_getting_names)
{
    uint64_t f = make_unnamed("hello");
    ck_assert_int_eq(link_as(f, "named"), 0);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "named"), 0);
    ck_assert_int_eq(link_as(f, "named"), -ENOENT);
    expect_text(f, "hello");
    fs_forget(fs, f, 2);
    expect_nothing_of(f);
}
END_TEST

START_TEST(it_is_refused_where_a_file_with_a_name_is)
{
    struct fs_caller who = {0};
    struct stat st;
    uint64_t f = make_file(FS_ROOT, "f"), d = make_dir(FS_ROOT, "d");
    ck_assert_int_eq(fs_make_unnamed(fs, &who, f, S_IFREG | 0600, &st), -ENOTDIR);
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "d"), 0);
    ck_assert_int_eq(fs_make_unnamed(fs, &who, d, S_IFREG | 0600, &st), -ENOENT);
    fixture_close();
    fixture_options.read_only = true;
    fixture_open();
    ck_assert_int_eq(fs_make_unnamed(fs, &who, FS_ROOT, S_IFREG | 0600, &st), -EROFS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("orphan");
    TCase *tc = tcase_create("orphan");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, an_open_file_without_a_name_works);
    tcase_add_test(tc, its_fsync_covers_what_came_before_its_last_change);
    tcase_add_test(tc, it_lives_as_long_as_any_reference);
    tcase_add_test(tc, without_a_reference_it_goes_at_once);
    tcase_add_test(tc, an_empty_one_leaves_nothing_and_needs_no_record);
    tcase_add_loop_test(tc, what_it_gets_later_goes_as_well, 0, 3);
    tcase_add_loop_test(tc, nothing_stays_after_close_or_kill, 0, 2);
    tcase_add_test(tc, close_leaves_no_garbage);
    tcase_add_test(tc, a_kill_while_it_is_deleted_only_delays_it);
    tcase_add_test(tc, a_removed_name_of_several_leaves_the_file);
    tcase_add_test(tc, a_removed_directory_can_still_be_asked);
    tcase_add_test(tc, a_new_file_of_that_name_is_left_alone);
    tcase_add_loop_test(tc, what_is_made_without_a_name_ends_with_its_last_reference, 0, 3);
    tcase_add_loop_test(tc, it_gets_a_name_once_and_more_after_that, 0, 2);
    tcase_add_test(tc, a_name_that_was_lost_is_the_end_of_getting_names);
    tcase_add_test(tc, it_is_refused_where_a_file_with_a_name_is);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
