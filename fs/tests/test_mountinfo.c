/* The mount table: lines as the kernel writes them, and which mount one sees at a path. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "../../store/base/error.h"
#include "../../store/tests/run_suite.h"
#include "../fuse/mountinfo.h"

static struct mount_entry parsed(const char *line)
{
    struct mount_entry e;
    ck_assert_msg(mountinfo_parse(line, &e), "not parsed: %s", line);
    return e;
}

START_TEST(a_line_gives_device_mountpoint_type_and_source)
{
    struct mount_entry e =
        parsed("36 35 98:7 / /mnt/a rw,noatime shared:1 - fuse.skeinfs /data/s rw,user_id=0\n");
    ck_assert_uint_eq(e.id.major, 98);
    ck_assert_uint_eq(e.id.minor, 7);
    ck_assert_str_eq(e.mountpoint, "/mnt/a");
    ck_assert_str_eq(e.fstype, "fuse.skeinfs");
    ck_assert_str_eq(e.source, "/data/s");
    mountinfo_entry_free(&e);
}
END_TEST

START_TEST(any_number_of_optional_fields_is_passed_over)
{
    struct mount_entry none = parsed("36 35 0:7 / /m rw - ext4 /dev/sda1 rw");
    struct mount_entry many =
        parsed("36 35 0:7 / /m rw shared:1 master:2 propagate_from:3 - ext4 /dev/sda1 rw");
    ck_assert_str_eq(none.fstype, "ext4");
    ck_assert_str_eq(many.fstype, "ext4");
    ck_assert_str_eq(many.source, "/dev/sda1");
    mountinfo_entry_free(&none);
    mountinfo_entry_free(&many);
}
END_TEST

START_TEST(escapes_of_the_kernel_are_undone)
{
    struct mount_entry e =
        parsed("1 1 0:1 / /a\\040b\\011c\\012d\\134e\\043 rw - fuse.skeinfs /s\\040t rw");
    ck_assert_str_eq(e.mountpoint, "/a b\tc\nd\\e#");
    ck_assert_str_eq(e.source, "/s t");
    mountinfo_entry_free(&e);
}
END_TEST

START_TEST(a_backslash_without_three_octal_digits_stays)
{
    struct mount_entry e = parsed("1 1 0:1 / /a\\04 rw - t /b\\9 rw");
    ck_assert_str_eq(e.mountpoint, "/a\\04");
    ck_assert_str_eq(e.source, "/b\\9");
    mountinfo_entry_free(&e);
}
END_TEST

START_TEST(what_is_no_line_is_refused)
{
    static const char *const bad[] = {
        "",
        "\n",
        "1 2 0:1 / /m",
        "1 2 0:1 / /m rw shared:1",
        "1 2 0:1 / /m rw -",
        "1 2 0:1 / /m rw - ext4",
        "1 2 nothing / /m rw - ext4 /dev/x rw",
    };
    struct mount_entry e;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!mountinfo_parse(bad[i], &e), "taken: '%s'", bad[i]);
}
END_TEST

static int find(const char *table, const char *mountpoint, struct mount_entry *e)
{
    FILE *f = fmemopen((void *)table, strlen(table), "r");
    ck_assert_ptr_nonnull(f);
    int r = mountinfo_find_in(f, mountpoint, e);
    fclose(f);
    return r;
}

static const char stacked[] = "1 0 0:1 / / rw - ext4 /dev/root rw\n"
                              "2 1 0:2 / /mnt rw - fuse.skeinfs /first rw\n"
                              "3 1 0:3 / /mnt/deep rw - tmpfs tmpfs rw\n"
                              "4 2 0:4 / /mnt rw - fuse.skeinfs /second rw\n";

START_TEST(of_stacked_mounts_the_last_is_seen)
{
    struct mount_entry e;
    ck_assert_int_eq(find(stacked, "/mnt", &e), 0);
    ck_assert_str_eq(e.source, "/second");
    ck_assert_uint_eq(e.id.minor, 4);
    mountinfo_entry_free(&e);
}
END_TEST

START_TEST(only_the_very_path_is_a_mountpoint)
{
    struct mount_entry e;
    ck_assert_int_eq(find(stacked, "/mnt/dee", &e), -ENOENT);
    ck_assert_int_eq(find(stacked, "/mn", &e), -ENOENT);
    ck_assert_int_eq(find(stacked, "/mnt/deep/er", &e), -ENOENT);
}
END_TEST

START_TEST(the_running_system_s_table_is_read)
{
    struct mount_entry e;
    ck_assert_int_eq(mountinfo_find("/proc", &e), 0);
    ck_assert_str_eq(e.fstype, "proc");
    mountinfo_entry_free(&e);
    ck_assert_int_eq(mountinfo_find("/no/such/mount", &e), -ENOENT);
    ck_assert_ptr_nonnull(strstr(fail_text(), "/no/such/mount"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mountinfo");
    TCase *tc = tcase_create("mountinfo");
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, a_line_gives_device_mountpoint_type_and_source);
    tcase_add_test(tc, any_number_of_optional_fields_is_passed_over);
    tcase_add_test(tc, escapes_of_the_kernel_are_undone);
    tcase_add_test(tc, a_backslash_without_three_octal_digits_stays);
    tcase_add_test(tc, what_is_no_line_is_refused);
    tcase_add_test(tc, of_stacked_mounts_the_last_is_seen);
    tcase_add_test(tc, only_the_very_path_is_a_mountpoint);
    tcase_add_test(tc, the_running_system_s_table_is_read);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
