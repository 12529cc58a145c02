/* Extended attributes. */
#include <check.h>
#include <linux/xattr.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../store/tests/run_suite.h"
#include "fixture.h"

static uint64_t f;

static int set(const char *name, const char *value, int flags)
{
    return fs_setxattr(fs, f, name, value, strlen(value), flags);
}

static void expect(const char *name, const char *value)
{
    char got[64];
    int n = fs_getxattr(fs, f, name, got, sizeof got);
    ck_assert_int_eq(n, (int)strlen(value));
    ck_assert(memcmp(got, value, (size_t)n) == 0);
}

static int missing(const char *name)
{
    char got[4];
    return fs_getxattr(fs, f, name, got, sizeof got);
}

static void setup(void)
{
    fixture_setup();
    f = make_file(FS_ROOT, "f");
}

START_TEST(what_is_set_is_read_also_later)
{
    ck_assert_int_eq(missing("user.a"), -ENODATA);
    ck_assert_int_eq(set("user.a", "one", 0), 0);
    ck_assert_int_eq(set("user.b", "", 0), 0);
    ck_assert_int_eq(set("security.capability", "cap", 0), 0);
    ck_assert_int_eq(set("trusted.t", "t", 0), 0);
    expect("user.a", "one");
    ck_assert_int_eq(set("user.a", "two two", 0), 0);
    fixture_kill();
    ck_assert_uint_eq(find(FS_ROOT, "f"), f);
    expect("user.a", "two two");
    expect("user.b", "");
    expect("security.capability", "cap");
    ck_assert_int_eq(missing("user"), -EOPNOTSUPP);
    ck_assert_int_eq(missing("user.aa"), -ENODATA);
}
END_TEST

START_TEST(create_and_replace_mean_what_they_say)
{
    ck_assert_int_eq(set("user.a", "x", XATTR_REPLACE), -ENODATA);
    ck_assert_int_eq(missing("user.a"), -ENODATA);
    ck_assert_int_eq(set("user.a", "x", XATTR_CREATE), 0);
    ck_assert_int_eq(set("user.a", "y", XATTR_CREATE), -EEXIST);
    expect("user.a", "x");
    ck_assert_int_eq(set("user.a", "z", XATTR_REPLACE), 0);
    expect("user.a", "z");
    ck_assert_int_eq(set("user.b", "x", XATTR_REPLACE), -ENODATA);
}
END_TEST

START_TEST(what_is_removed_is_gone)
{
    ck_assert_int_eq(fs_removexattr(fs, f, "user.a"), -ENODATA);
    ck_assert_int_eq(set("user.a", "x", 0), 0);
    ck_assert_int_eq(fs_removexattr(fs, f, "user.a"), 0);
    ck_assert_int_eq(fs_removexattr(fs, f, "user.a"), -ENODATA);
    ck_assert_int_eq(missing("user.a"), -ENODATA);
    ck_assert_int_eq(count_records('X', f), 0);
}
END_TEST

START_TEST(a_buffer_too_small_is_told_and_size_0_asks_for_the_size)
{
    char got[8];
    ck_assert_int_eq(set("user.a", "value", 0), 0);
    ck_assert_int_eq(fs_getxattr(fs, f, "user.a", NULL, 0), 5);
    ck_assert_int_eq(fs_getxattr(fs, f, "user.a", got, 4), -ERANGE);
    ck_assert_int_eq(fs_getxattr(fs, f, "user.a", got, 5), 5);
    ck_assert_int_eq(fs_listxattr(fs, f, NULL, 0, true), 7);
    ck_assert_int_eq(fs_listxattr(fs, f, got, 6, true), -ERANGE);
    ck_assert_int_eq(fs_listxattr(fs, f, got, 7, true), 7);
    ck_assert_mem_eq(got, "user.a", 7);
}
END_TEST

START_TEST(the_list_has_all_names_of_this_file_only)
{
    char list[64];
    uint64_t g = make_file(FS_ROOT, "g");
    ck_assert_int_eq(fs_listxattr(fs, f, list, sizeof list, true), 0);
    ck_assert_int_eq(fs_setxattr(fs, g, "user.other", "x", 1, 0), 0);
    ck_assert_int_eq(fs_listxattr(fs, f, list, sizeof list, true), 0);
    ck_assert_int_eq(set("user.b", "x", 0), 0);
    ck_assert_int_eq(set("user.a", "x", 0), 0);
    ck_assert_int_eq(fs_listxattr(fs, f, list, sizeof list, true), 14);
    ck_assert_mem_eq(list, "user.a\0user.b", 14);
    ck_assert_int_eq(fs_removexattr(fs, f, "user.a"), 0);
    ck_assert_int_eq(fs_listxattr(fs, f, list, sizeof list, true), 7);
    ck_assert_mem_eq(list, "user.b", 7);
}
END_TEST

START_TEST(names_and_values_have_limits)
{
    char name[300];
    char *big = mem_zalloc(65537);
    memset(name, 'n', sizeof name);
    memcpy(name, "user.", 5);
    name[256] = 0;
    ck_assert_int_eq(set(name, "x", 0), -ERANGE);
    name[255] = 0;
    ck_assert_int_eq(set(name, "x", 0), 0);
    expect(name, "x");
    ck_assert_int_eq(fs_setxattr(fs, f, "user.big", big, 65537, 0), -E2BIG);
    ck_assert_int_eq(fs_setxattr(fs, f, "user.big", big, 65536, 0), 0);
    ck_assert_int_eq(fs_getxattr(fs, f, "user.big", big, 65536), 65536);
    ck_assert_int_eq(set("user.", "x", 0), -EINVAL);
    ck_assert_int_eq(set("system.other", "x", 0), -EOPNOTSUPP);
    ck_assert_int_eq(set("other", "x", 0), -EOPNOTSUPP);
    free(big);
}
END_TEST

START_TEST(everything_can_have_attributes)
{
    struct stat st;
    f = make_dir(FS_ROOT, "d");
    ck_assert_int_eq(set("user.a", "dir", 0), 0);
    uint64_t d = f;
    ck_assert_int_eq(
        fs_make(fs, &(struct fs_caller){0}, FS_ROOT, "l", S_IFLNK | 0777, 0, "to", &st), 0);
    f = st.st_ino;
    ck_assert_int_eq(set("trusted.a", "link", 0), 0);
    fixture_reopen();
    ck_assert_uint_eq(find(FS_ROOT, "d"), d);
    ck_assert_uint_eq(find(FS_ROOT, "l"), f);
    expect("trusted.a", "link");
    f = d;
    expect("user.a", "dir");
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "d"), 0);
    fs_forget(fs, d, 1);
    fixture_settle();
    ck_assert_int_eq(count_records('X', d), 0);
}
END_TEST

START_TEST(a_change_sets_ctime)
{
    struct stat st, old = {.st_ctim = {9, 9}};
    ck_assert_int_eq(fs_setattr(fs, f, &old, FS_SET_CTIME, &st), 0);
    ck_assert_int_eq(set("user.a", "x", 0), 0);
    ck_assert_int_gt(stat_of(f).st_ctim.tv_sec, 9);
    ck_assert_int_eq(fs_setattr(fs, f, &old, FS_SET_CTIME, &st), 0);
    ck_assert_int_eq(fs_removexattr(fs, f, "user.a"), 0);
    ck_assert_int_gt(stat_of(f).st_ctim.tv_sec, 9);
}
END_TEST

START_TEST(trusted_names_are_listed_when_asked_for)
{
    char list[64];
    ck_assert_int_eq(set("security.s", "x", 0), 0);
    ck_assert_int_eq(set("trusted.t", "x", 0), 0);
    ck_assert_int_eq(set("user.u", "x", 0), 0);
    ck_assert_int_eq(fs_listxattr(fs, f, list, sizeof list, true), 28);
    ck_assert_int_eq(fs_listxattr(fs, f, NULL, 0, false), 18);
    ck_assert_int_eq(fs_listxattr(fs, f, list, 18, false), 18);
    ck_assert(memcmp(list, "security.s\0user.u", 18) == 0);
}
END_TEST

static void by_write(void)
{
    write_text(f, "x");
}
static void by_size(void)
{
    set_size(f, 100);
}
static void by_owner(void)
{
    struct stat st, in = {.st_uid = 5};
    ck_assert_int_eq(fs_setattr(fs, f, &in, FS_SET_UID, &st), 0);
}
static void by_group(void)
{
    struct stat st, in = {.st_gid = 5};
    ck_assert_int_eq(fs_setattr(fs, f, &in, FS_SET_GID, &st), 0);
}
static void by_order(void)
{
    struct stat st, in = {0};
    ck_assert_int_eq(fs_setattr(fs, f, &in, FS_SET_KILL_PRIV, &st), 0);
}
static void by_fallocate(void)
{
    ck_assert_int_eq(fs_fallocate(fs, f, 0, 0, 8192, false), 0);
}
static void by_copy(void)
{
    uint64_t from = find(FS_ROOT, "from");
    ck_assert_int_eq(fs_copy(fs, from, 0, f, 0, 4, false), 4);
    fs_forget(fs, from, 1);
}

/* In the batch of the change itself; and a look that found none is not believed for ever. */
START_TEST(capabilities_go_with_the_content_and_the_owner)
{
    static void (*const changes[])(void) = {by_write, by_size,      by_owner, by_group,
                                            by_order, by_fallocate, by_copy};
    write_text(make_file(FS_ROOT, "from"), "text");
    ck_assert_int_eq(set("user.a", "a", 0), 0);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        changes[i]();
        ck_assert_int_eq(set("security.capability", "cap", 0), 0);
        uint64_t before = store_last_sequence(fs_store(fs));
        changes[i]();
        ck_assert_msg(missing("security.capability") == -ENODATA, "number %zu", i);
        expect("user.a", "a");
        uint64_t with = store_last_sequence(fs_store(fs)) - before;
        changes[i]();
        uint64_t without = store_last_sequence(fs_store(fs)) - before - with;
        ck_assert_uint_eq(with, without + 1); /* one more record, of those of one operation */
    }
}
END_TEST

START_TEST(capabilities_stay_with_the_rest_and_folders_keep_theirs)
{
    struct stat st, in = {.st_mode = 0700, .st_uid = 5};
    ck_assert_int_eq(set("security.capability", "cap", 0), 0);
    ck_assert_int_eq(fs_setattr(fs, f, &in, FS_SET_MODE | FS_SET_MTIME_NOW, &st), 0);
    ck_assert_int_eq(fs_write(fs, f, "", 0, 0, true), 0);
    expect("security.capability", "cap");
    f = make_dir(FS_ROOT, "dir");
    ck_assert_int_eq(set("security.capability", "cap", 0), 0);
    ck_assert_int_eq(fs_setattr(fs, f, &in, FS_SET_UID, &st), 0);
    expect("security.capability", "cap");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("xattr");
    TCase *tc = tcase_create("xattr");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, fixture_teardown);
    tcase_add_test(tc, what_is_set_is_read_also_later);
    tcase_add_test(tc, create_and_replace_mean_what_they_say);
    tcase_add_test(tc, what_is_removed_is_gone);
    tcase_add_test(tc, a_buffer_too_small_is_told_and_size_0_asks_for_the_size);
    tcase_add_test(tc, the_list_has_all_names_of_this_file_only);
    tcase_add_test(tc, names_and_values_have_limits);
    tcase_add_test(tc, everything_can_have_attributes);
    tcase_add_test(tc, trusted_names_are_listed_when_asked_for);
    tcase_add_test(tc, a_change_sets_ctime);
    tcase_add_test(tc, capabilities_go_with_the_content_and_the_owner);
    tcase_add_test(tc, capabilities_stay_with_the_rest_and_folders_keep_theirs);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
