/* Access control lists: what they do to modes and to what is new. */
#include <check.h>
#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../store/tests/run_suite.h"
#include "../core/acl.h"
#include "fixture.h"

#define ANN 1001u

/* A list as text: "u7 n6 g5 m4 o0" (n: the user ANN). */
static struct slice acl_of(const char *text)
{
    static _Alignas(8) char bytes[200];
    static const char letters[] = "ungxmo";
    static const uint16_t tags[] = {ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ,
                                    ACL_GROUP,    ACL_MASK, ACL_OTHER};
    struct posix_acl_xattr_header head = {htole32(POSIX_ACL_XATTR_VERSION)};
    size_t len = sizeof head;
    memcpy(bytes, &head, sizeof head);
    for (; *text; text += text[2] ? 3 : 2) {
        struct posix_acl_xattr_entry e = {htole16(tags[strchr(letters, text[0]) - letters]),
                                          htole16((uint16_t)(text[1] - '0')), htole32(ANN)};
        memcpy(bytes + len, &e, sizeof e);
        len += sizeof e;
    }
    return (struct slice){bytes, len};
}

static int set(uint64_t ino, const char *name, const char *text, int flags)
{
    struct slice acl = acl_of(text);
    return fs_setxattr(fs, ino, name, acl.data, acl.len, flags);
}

/* Is this the list that is kept? NULL: none. */
static void expect(uint64_t ino, const char *name, const char *text)
{
    char got[200];
    int n = fs_getxattr(fs, ino, name, got, sizeof got);
    if (!text) {
        ck_assert_int_eq(n, -ENODATA);
        return;
    }
    struct slice wanted = acl_of(text);
    ck_assert_int_eq(n, (int)wanted.len);
    const size_t head = sizeof(struct posix_acl_xattr_header);
    for (size_t at = head; at < wanted.len; at += sizeof(struct posix_acl_xattr_entry))
        ck_assert_msg(memcmp(got + at, (const char *)wanted.data + at, 4) == 0, "%s: entry %zu",
                      text, (at - head) / sizeof(struct posix_acl_xattr_entry));
}

static mode_t mode_of(uint64_t ino)
{
    struct stat st;
    ck_assert_int_eq(fs_getattr(fs, ino, &st), 0);
    return st.st_mode & 07777;
}

static uint64_t make(uint64_t dir, const char *name, mode_t mode, mode_t umask)
{
    struct stat st;
    const char *target = S_ISLNK(mode) ? "target" : NULL;
    ck_assert_int_eq(
        fs_make(fs, &(struct fs_caller){.umask = umask}, dir, name, mode, 0, target, &st), 0);
    return st.st_ino;
}

static void chmod_to(uint64_t ino, mode_t mode)
{
    struct stat st = {.st_mode = mode};
    ck_assert_int_eq(fs_setattr(fs, ino, &st, FS_SET_MODE, &st), 0);
}

START_TEST(what_is_no_list_is_refused)
{
    static const char *const wrong[] = {"",         "u7",          "u7 g5",    "u7 g5 o9",
                                        "u7 u7 g5", "u7 n6 g5 o0", "g5 x5 o0", "u7 g5 m4 m4 o0",
                                        "n7 m7",    "u7 g5 x5 o0"};
    uint64_t f = make_file(FS_ROOT, "f");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(set(f, ACL_ACCESS_NAME, wrong[i], 0) == -EINVAL, "'%s'", wrong[i]);
    struct slice acl = acl_of("u7 g5 o0");
    for (size_t len = 0; len < acl.len; len++)
        ck_assert_int_eq(fs_setxattr(fs, f, ACL_DEFAULT_NAME, acl.data, len, 0), -EINVAL);
    ((char *)acl.data)[0] = 1; /* another version */
    ck_assert_int_eq(fs_setxattr(fs, f, ACL_DEFAULT_NAME, acl.data, acl.len, 0), -EINVAL);
    ck_assert_uint_eq(mode_of(f), 0644);
}
END_TEST

START_TEST(a_list_sets_the_mode_and_its_mask_is_the_groups_part)
{
    uint64_t f = make_file(FS_ROOT, "f");
    ck_assert_int_eq(set(f, ACL_ACCESS_NAME, "u7 n6 g5 m4 o1", 0), 0);
    ck_assert_uint_eq(mode_of(f), 0741);
    fixture_kill();
    ck_assert_uint_eq(find(FS_ROOT, "f"), f);
    ck_assert_uint_eq(mode_of(f), 0741);
    expect(f, ACL_ACCESS_NAME, "u7 n6 g5 m4 o1");
}
END_TEST

START_TEST(a_list_that_is_a_mode_is_not_kept)
{
    uint64_t f = make_file(FS_ROOT, "f");
    ck_assert_int_eq(set(f, ACL_ACCESS_NAME, "u7 n6 g5 m4 o1", 0), 0);
    ck_assert_int_eq(set(f, ACL_ACCESS_NAME, "u6 g4 o0", 0), 0);
    ck_assert_uint_eq(mode_of(f), 0640);
    expect(f, ACL_ACCESS_NAME, NULL);
}
END_TEST

START_TEST(a_list_leaves_suid_and_takes_sgid_when_told_to)
{
    uint64_t f = make_file(FS_ROOT, "f");
    chmod_to(f, 06755);
    ck_assert_int_eq(set(f, ACL_ACCESS_NAME, "u7 n6 g5 m5 o5", 0), 0);
    ck_assert_uint_eq(mode_of(f), 06755);
    ck_assert_int_eq(set(f, ACL_ACCESS_NAME, "u7 n6 g5 m5 o5", FS_XATTR_KILL_SGID), 0);
    ck_assert_uint_eq(mode_of(f), 04755);
}
END_TEST

START_TEST(chmod_changes_owner_mask_and_others_of_the_list)
{
    uint64_t f = make_file(FS_ROOT, "f");
    ck_assert_int_eq(set(f, ACL_ACCESS_NAME, "u7 n6 g5 m4 o1", 0), 0);
    chmod_to(f, 0526);
    expect(f, ACL_ACCESS_NAME, "u5 n6 g5 m2 o6");
    ck_assert_uint_eq(mode_of(f), 0526);
    ck_assert_int_eq(set(f, ACL_ACCESS_NAME, "u7 g5 m4 o1", 0), 0); /* a mask alone is kept */
    chmod_to(f, 0070);
    expect(f, ACL_ACCESS_NAME, "u0 g5 m7 o0");
}
END_TEST

START_TEST(a_list_that_goes_leaves_the_mode)
{
    uint64_t f = make_file(FS_ROOT, "f");
    ck_assert_int_eq(set(f, ACL_ACCESS_NAME, "u7 n6 g5 m4 o1", 0), 0);
    ck_assert_int_eq(fs_removexattr(fs, f, ACL_ACCESS_NAME), 0);
    ck_assert_uint_eq(mode_of(f), 0741);
    chmod_to(f, 0600);
    expect(f, ACL_ACCESS_NAME, NULL);
}
END_TEST

START_TEST(a_list_that_is_not_there_is_removed_without_a_change)
{
    uint64_t f = make_file(FS_ROOT, "f");
    struct stat before, after;
    ck_assert_int_eq(fs_getattr(fs, f, &before), 0);
    ck_assert_int_eq(fs_removexattr(fs, f, ACL_ACCESS_NAME), 0);
    ck_assert_int_eq(fs_removexattr(fs, f, ACL_DEFAULT_NAME), 0);
    ck_assert_int_eq(fs_getattr(fs, f, &after), 0);
    ck_assert_mem_eq(&before.st_ctim, &after.st_ctim, sizeof after.st_ctim);
    ck_assert_int_eq(fs_removexattr(fs, f, "user.none"), -ENODATA);
}
END_TEST

START_TEST(without_a_default_list_the_umask_counts)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    ck_assert_int_eq(fs_setxattr(fs, d, "user.other", "x", 1, 0), 0);
    ck_assert_uint_eq(mode_of(make(d, "f", S_IFREG | 0666, 027)), 0640);
    ck_assert_uint_eq(mode_of(make(d, "s", S_IFREG | 06777, 022)), 06755);
    ck_assert_uint_eq(mode_of(make(d, "d", S_IFDIR | 0777, 077)), 0700);
    ck_assert_uint_eq(mode_of(make(d, "l", S_IFLNK | 0777, 077)), 0777);
}
END_TEST

START_TEST(a_default_list_takes_the_umasks_place)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    ck_assert_int_eq(set(d, ACL_DEFAULT_NAME, "u7 n7 g5 m7 o0", 0), 0);
    ck_assert_uint_eq(mode_of(d), 0755);
    uint64_t f = make(d, "f", S_IFREG | 0664, 077);
    ck_assert_uint_eq(mode_of(f), 0660);
    expect(f, ACL_ACCESS_NAME, "u6 n7 g5 m6 o0");
    expect(f, ACL_DEFAULT_NAME, NULL);
    uint64_t l = make(d, "l", S_IFLNK | 0777, 077);
    ck_assert_uint_eq(mode_of(l), 0777);
    expect(l, ACL_ACCESS_NAME, NULL);
}
END_TEST

START_TEST(a_new_directory_takes_the_default_list_twice)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    ck_assert_int_eq(set(d, ACL_DEFAULT_NAME, "u7 n7 g5 m7 o0", 0), 0);
    uint64_t sub = make(d, "sub", S_IFDIR | 0755, 077);
    ck_assert_uint_eq(mode_of(sub), 0750);
    fixture_kill();
    ck_assert_uint_eq(find(find(FS_ROOT, "d"), "sub"), sub);
    expect(sub, ACL_ACCESS_NAME, "u7 n7 g5 m5 o0");
    expect(sub, ACL_DEFAULT_NAME, "u7 n7 g5 m7 o0");
}
END_TEST

START_TEST(a_default_list_of_three_gives_a_mode_alone)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    ck_assert_int_eq(set(d, ACL_DEFAULT_NAME, "u7 g7 o1", 0), 0);
    uint64_t f = make(d, "f", S_IFREG | 0666, 077), sub = make(d, "s", S_IFDIR | 02777, 077);
    ck_assert_uint_eq(mode_of(f), 0660);
    expect(f, ACL_ACCESS_NAME, NULL);
    ck_assert_uint_eq(mode_of(sub), 02771);
    expect(sub, ACL_ACCESS_NAME, NULL);
    expect(sub, ACL_DEFAULT_NAME, "u7 g7 o1");
}
END_TEST

START_TEST(a_file_without_a_name_has_its_list_and_takes_it_along)
{
    uint64_t d = make_dir(FS_ROOT, "d"), f[2];
    struct fs_caller who = {.umask = 077};
    struct stat st;
    ck_assert_int_eq(set(d, ACL_DEFAULT_NAME, "u7 n7 g5 m7 o0", 0), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(fs_make_unnamed(fs, &who, d, S_IFREG | 0664, &st), 0);
        f[i] = st.st_ino;
        expect(f[i], ACL_ACCESS_NAME, "u6 n7 g5 m6 o0");
    }
    ck_assert_int_eq(fs_link(fs, f[0], d, "f", &st), 0);
    fixture_kill();
    fixture_settle();
    ck_assert_uint_eq(find(find(FS_ROOT, "d"), "f"), f[0]);
    expect(f[0], ACL_ACCESS_NAME, "u6 n7 g5 m6 o0");
    ck_assert_int_eq(count_records('X', f[1]), 0);
}
END_TEST

START_TEST(lists_go_with_what_they_are_of)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    ck_assert_int_eq(set(d, ACL_DEFAULT_NAME, "u7 n7 g5 m7 o0", 0), 0);
    make(d, "f", S_IFREG | 0664, 0);
    ck_assert_int_eq(fs_unlink(fs, d, "f"), 0); /* the fixture looks for what is left */
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "d"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("acl");
    TCase *tc = tcase_create("acl");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, what_is_no_list_is_refused);
    tcase_add_test(tc, a_list_sets_the_mode_and_its_mask_is_the_groups_part);
    tcase_add_test(tc, a_list_that_is_a_mode_is_not_kept);
    tcase_add_test(tc, a_list_leaves_suid_and_takes_sgid_when_told_to);
    tcase_add_test(tc, chmod_changes_owner_mask_and_others_of_the_list);
    tcase_add_test(tc, a_list_that_goes_leaves_the_mode);
    tcase_add_test(tc, a_list_that_is_not_there_is_removed_without_a_change);
    tcase_add_test(tc, without_a_default_list_the_umask_counts);
    tcase_add_test(tc, a_default_list_takes_the_umasks_place);
    tcase_add_test(tc, a_new_directory_takes_the_default_list_twice);
    tcase_add_test(tc, a_default_list_of_three_gives_a_mode_alone);
    tcase_add_test(tc, a_file_without_a_name_has_its_list_and_takes_it_along);
    tcase_add_test(tc, lists_go_with_what_they_are_of);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
