/* Attributes by name: namespaces, limits, errors, and who may do what. */
#include "posix.h"

#include <stdio.h>
#include <sys/xattr.h>

static void set(const char *name, const char *attr, const char *value)
{
    ck_assert_msg(setxattr(name, attr, value, strlen(value), 0) == 0, "%s of %s: %s", attr, name,
                  strerrorname_np(errno));
}

static void expect(const char *name, const char *attr, const char *value)
{
    char got[256] = "";
    ck_assert_int_eq(getxattr(name, attr, got, sizeof got), (ssize_t)strlen(value));
    ck_assert_str_eq(got, value);
}

static bool lists(const char *name, const char *attr)
{
    char list[4096];
    ssize_t n = llistxattr(name, list, sizeof list);
    ok(n);
    for (const char *p = list; p < list + n; p += strlen(p) + 1)
        if (strcmp(p, attr) == 0)
            return true;
    return false;
}

START_TEST(an_attribute_is_set_read_listed_replaced_and_removed)
{
    make_file("file", "");
    ck_assert(!lists("file", "user.a"));
    set("file", "user.a", "value");
    set("file", "user.b", "other");
    expect("file", "user.a", "value");
    ck_assert(lists("file", "user.a") && lists("file", "user.b"));
    set("file", "user.a", "a longer value");
    expect("file", "user.a", "a longer value");
    ok(removexattr("file", "user.a"));
    fails(getxattr("file", "user.a", NULL, 0), ENODATA);
    ck_assert(!lists("file", "user.a") && lists("file", "user.b"));
}
END_TEST

START_TEST(what_is_not_there_is_ENODATA)
{
    char got[8];
    make_file("file", "");
    fails(getxattr("file", "user.a", got, sizeof got), ENODATA);
    fails(removexattr("file", "user.a"), ENODATA);
    fails(getxattr("file", "trusted.a", got, sizeof got), ENODATA);
    fails(getxattr("file", "security.a", got, sizeof got), ENODATA);
}
END_TEST

START_TEST(CREATE_makes_a_new_one_alone_and_REPLACE_none)
{
    make_file("file", "");
    fails(setxattr("file", "user.a", "x", 1, XATTR_REPLACE), ENODATA);
    ok(setxattr("file", "user.a", "x", 1, XATTR_CREATE));
    fails(setxattr("file", "user.a", "y", 1, XATTR_CREATE), EEXIST);
    expect("file", "user.a", "x");
    ok(setxattr("file", "user.a", "z", 1, XATTR_REPLACE));
    expect("file", "user.a", "z");
    fails(setxattr("file", "user.a", "z", 1, 64), EINVAL);
}
END_TEST

START_TEST(an_empty_value_is_a_value)
{
    char got[8];
    make_file("file", "");
    ok(setxattr("file", "user.empty", "", 0, 0));
    ck_assert_int_eq(getxattr("file", "user.empty", got, sizeof got), 0);
    ck_assert(lists("file", "user.empty"));
}
END_TEST

START_TEST(values_have_any_bytes)
{
    char bytes[256], got[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    make_file("file", "");
    ok(setxattr("file", "user.bytes", bytes, 256, 0));
    ck_assert_int_eq(getxattr("file", "user.bytes", got, 256), 256);
    ck_assert_int_eq(memcmp(bytes, got, 256), 0);
}
END_TEST

START_TEST(a_size_of_0_asks_for_the_length_and_too_small_a_one_is_ERANGE)
{
    char got[16];
    make_file("file", "");
    set("file", "user.a", "0123456789");
    ck_assert_int_eq(getxattr("file", "user.a", NULL, 0), 10);
    ck_assert_int_eq(getxattr("file", "user.a", got, 10), 10);
    fails(getxattr("file", "user.a", got, 9), ERANGE);
    ssize_t n = listxattr("file", NULL, 0);
    ck_assert_int_ge(n, (ssize_t)sizeof "user.a");
    fails(listxattr("file", got, (size_t)n - 1), ERANGE);
}
END_TEST

START_TEST(names_reach_to_255_bytes)
{
    char *name = name_of_length(256);
    memcpy(name, "user.", 5);
    make_file("file", "");
    fails(setxattr("file", name, "x", 1, 0), ERANGE);
    fails(getxattr("file", name, NULL, 0), ERANGE);
    name[255] = '\0';
    set("file", name, "long");
    expect("file", name, "long");
    ck_assert(lists("file", name));
    free(name);
}
END_TEST

START_TEST(values_reach_to_64_KiB_where_the_disk_has_room_for_them)
{
    static char value[65537], got[65537];
    make_file("file", "");
    fails(setxattr("file", "user.large", value, 65537, 0), E2BIG);
    memset(value, 'v', sizeof value);
    if (on_native())
        return; /* ext4: a block, XFS: 64 KiB, tmpfs: none */
    ok(setxattr("file", "user.large", value, 65536, 0));
    ck_assert_int_eq(getxattr("file", "user.large", got, sizeof got), 65536);
    ck_assert_int_eq(memcmp(value, got, 65536), 0);
}
END_TEST

START_TEST(thirty_attributes_are_listed_each_once)
{
    char name[32];
    make_file("file", "");
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "user.%d", i);
        set("file", name, name);
    }
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "user.%d", i);
        expect("file", name, name);
        ck_assert(lists("file", name));
    }
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "user.%d", i);
        ok(removexattr("file", name));
        ck_assert(!lists("file", name));
    }
}
END_TEST

START_TEST(names_need_a_namespace_that_there_is)
{
    make_file("file", "");
    fails(setxattr("file", "nothing", "x", 1, 0), EOPNOTSUPP);
    fails(setxattr("file", "other.x", "x", 1, 0), EOPNOTSUPP);
    fails(getxattr("file", "other.x", NULL, 0), EOPNOTSUPP);
    fails(setxattr("file", "user.", "x", 1, 0), EINVAL);
    fails(setxattr("file", "", "x", 1, 0), ERANGE);
}
END_TEST

/* ---- what has attributes */

START_TEST(folders_have_attributes)
{
    ok(mkdir("dir", 0755));
    set("dir", "user.a", "value");
    set("dir", "trusted.a", "value");
    expect("dir", "user.a", "value");
}
END_TEST

START_TEST(user_attributes_are_for_files_and_folders_alone)
{
    ok(symlink("missing", "link"));
    ok(mkfifo("fifo", 0666));
    fails(lsetxattr("link", "user.a", "x", 1, 0), EPERM);
    fails(setxattr("fifo", "user.a", "x", 1, 0), EPERM);
    ok(lsetxattr("link", "trusted.a", "x", 1, 0));
    ok(setxattr("fifo", "trusted.a", "x", 1, 0));
    ck_assert(lists("link", "trusted.a"));
}
END_TEST

START_TEST(calls_without_l_follow_a_symlink)
{
    make_file("file", "");
    ok(symlink("file", "link"));
    set("link", "user.a", "value");
    expect("file", "user.a", "value");
    fails(lgetxattr("link", "user.a", NULL, 0), ENODATA);
}
END_TEST

START_TEST(attributes_follow_renames_and_are_the_same_under_every_name)
{
    make_file("file", "");
    set("file", "user.a", "value");
    ok(rename("file", "moved"));
    ok(link("moved", "second"));
    expect("second", "user.a", "value");
    ok(unlink("moved"));
    set("second", "user.b", "value");
    expect("second", "user.a", "value");
}
END_TEST

START_TEST(a_new_file_under_an_old_name_has_none_of_its_attributes)
{
    make_file("file", "");
    set("file", "user.a", "value");
    ok(unlink("file"));
    make_file("file", "");
    fails(getxattr("file", "user.a", NULL, 0), ENODATA);
    set("file", "user.a", "value");
    make_file("new", "");
    ok(rename("new", "file"));
    fails(getxattr("file", "user.a", NULL, 0), ENODATA);
}
END_TEST

START_TEST(an_open_file_without_a_name_has_attributes)
{
    char got[8] = "";
    make_file("file", "");
    int fd = open("file", O_RDONLY);
    ok(fsetxattr(fd, "user.a", "before", 6, 0));
    ok(unlink("file"));
    ok(fsetxattr(fd, "user.b", "after", 5, 0));
    ck_assert_int_eq(fgetxattr(fd, "user.a", got, sizeof got), 6);
    ck_assert_int_eq(flistxattr(fd, NULL, 0), 14);
    ok(fremovexattr(fd, "user.a"));
}
END_TEST

START_TEST(chmod_and_write_leave_attributes)
{
    make_file("file", "");
    set("file", "user.a", "value");
    ok(chmod("file", 0600));
    ok(chown("file", ALICE, ALICE));
    ok(truncate("file", 1000));
    expect("file", "user.a", "value");
}
END_TEST

/* ---- who may */

START_TEST(user_attributes_need_the_rights_to_the_content)
{
    make_file("file", "");
    set("file", "user.a", "value");
    ok(chmod("file", 0604));
    become(ALICE, ALICE, 0);
    expect("file", "user.a", "value");
    fails(setxattr("file", "user.a", "x", 1, 0), EACCES);
    fails(removexattr("file", "user.a"), EACCES);
    become_root();
    ok(chmod("file", 0602));
    become(ALICE, ALICE, 0);
    fails(getxattr("file", "user.a", NULL, 0), EACCES);
    set("file", "user.a", "new");
}
END_TEST

START_TEST(in_a_sticky_folder_its_own_attributes_are_the_owners)
{
    ok(mkdir("tmp", 0777));
    ok(chmod("tmp", 01777));
    become(ALICE, ALICE, 0);
    fails(setxattr("tmp", "user.a", "x", 1, 0), EPERM);
    ok(mkdir("mine", 0777));
    ok(chmod("mine", 01777));
    set("mine", "user.a", "value");
}
END_TEST

START_TEST(trusted_attributes_are_for_root)
{
    make_file("file", "");
    ok(chmod("file", 0666));
    set("file", "trusted.a", "value");
    expect("file", "trusted.a", "value");
    become(ALICE, ALICE, 0);
    fails(setxattr("file", "trusted.b", "x", 1, 0), EPERM);
    fails(getxattr("file", "trusted.a", NULL, 0), ENODATA);
    fails(removexattr("file", "trusted.a"), EPERM);
}
END_TEST

START_TEST(trusted_attributes_are_listed_for_root_alone)
{
    make_file("file", "");
    ok(chmod("file", 0666));
    set("file", "trusted.a", "value");
    set("file", "user.a", "value");
    ck_assert(lists("file", "trusted.a"));
    become(ALICE, ALICE, 0);
    ck_assert(lists("file", "user.a"));
    ck_assert(!lists("file", "trusted.a"));
}
END_TEST

START_TEST(security_attributes_are_set_by_root_and_read_by_all)
{
    make_file("file", "");
    ok(chmod("file", 0600));
    set("file", "security.a", "value");
    become(ALICE, ALICE, 0);
    expect("file", "security.a", "value");
    fails(setxattr("file", "security.a", "x", 1, 0), EPERM);
    fails(removexattr("file", "security.a"), EPERM);
}
END_TEST

START_TEST(a_label_of_SELinux_is_kept_where_none_runs_and_none_is_not_supported)
{
    char got[16];
    make_file("plain", "");
    make_file("labelled", "");
    if (access("/sys/fs/selinux", F_OK) == 0)
        return; /* it decides itself */
    set("labelled", "security.selinux", "a:b:c");
    expect("labelled", "security.selinux", "a:b:c");
    ck_assert(lists("labelled", "security.selinux"));
    fails(getxattr("plain", "security.selinux", got, sizeof got),
          on_native() ? ENODATA : EOPNOTSUPP);
    fails(removexattr("plain", "security.selinux"), ENODATA);
    ok(removexattr("labelled", "security.selinux"));
    ck_assert(!lists("labelled", "security.selinux"));
}
END_TEST

RUN("xattrs", an_attribute_is_set_read_listed_replaced_and_removed, what_is_not_there_is_ENODATA,
    CREATE_makes_a_new_one_alone_and_REPLACE_none, an_empty_value_is_a_value, values_have_any_bytes,
    a_size_of_0_asks_for_the_length_and_too_small_a_one_is_ERANGE, names_reach_to_255_bytes,
    values_reach_to_64_KiB_where_the_disk_has_room_for_them, thirty_attributes_are_listed_each_once,
    names_need_a_namespace_that_there_is, folders_have_attributes,
    user_attributes_are_for_files_and_folders_alone, calls_without_l_follow_a_symlink,
    attributes_follow_renames_and_are_the_same_under_every_name,
    a_new_file_under_an_old_name_has_none_of_its_attributes,
    an_open_file_without_a_name_has_attributes, chmod_and_write_leave_attributes,
    user_attributes_need_the_rights_to_the_content,
    in_a_sticky_folder_its_own_attributes_are_the_owners, trusted_attributes_are_for_root,
    trusted_attributes_are_listed_for_root_alone,
    security_attributes_are_set_by_root_and_read_by_all,
    a_label_of_SELinux_is_kept_where_none_runs_and_none_is_not_supported)
