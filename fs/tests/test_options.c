/* The words of a mount command: what each option sets, what fstab may say, what is refused and in
 * which words. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "../../store/tests/run_suite.h"
#include "../cmd/options.h"

static struct options o;

static void teardown(void)
{
    options_free(&o);
}

/* Parses these words (split at spaces; the first is the command's name). */
static int parse_as(bool root, const char *words)
{
    char copy[1024], *argv[32], *rest = NULL;
    int argc = 0;
    ck_assert_uint_lt(strlen(words), sizeof copy);
    strcpy(copy, words);
    for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        argv[argc++] = w;
    argv[argc] = NULL;
    options_free(&o);
    return options_parse(argc, argv, root, &o);
}

static void accept_as(bool root, const char *words)
{
    int r = parse_as(root, words);
    ck_assert_msg(r == 0, "%s: %s", words, fail_text());
}

static void accept(const char *words)
{
    accept_as(false, words);
}

/* Refused, in one line that holds `said`. */
static void refuse(const char *words, const char *said)
{
    int r = parse_as(false, words);
    ck_assert_msg(r == -EINVAL, "'%s' gave %d", words, r);
    ck_assert_msg(strstr(fail_text(), said), "'%s' says '%s', not '%s'", words, fail_text(), said);
    ck_assert_msg(!strchr(fail_text(), '\n'), "'%s': more than one line", words);
}

START_TEST(store_and_mountpoint_are_taken_in_this_order)
{
    accept("mount store place");
    ck_assert_str_eq(o.store, "store");
    ck_assert_str_eq(o.mountpoint, "place");
    ck_assert(!o.foreground && !o.session.debug && !o.fs.read_only && !o.session.allow_other);
}
END_TEST

START_TEST(options_may_stand_before_between_and_behind)
{
    accept("mount -o ro -f store -o threads=3 place -o cache=1m,commit=2");
    ck_assert_str_eq(o.store, "store");
    ck_assert_str_eq(o.mountpoint, "place");
    ck_assert(o.foreground && o.fs.read_only && o.session.read_only);
    ck_assert_uint_eq(o.session.threads, 3);
    ck_assert_uint_eq(o.fs.cache_bytes, 1 << 20);
    ck_assert_double_eq(o.fs.commit_seconds, 2);
}
END_TEST

START_TEST(each_option_sets_its_value)
{
    accept("mount s m -o "
           "cache=128m,memtable=64k,commit=0.5,compression=none,writeback,noxattr,io_uring");
    ck_assert_uint_eq(o.fs.cache_bytes, 128 << 20);
    ck_assert_uint_eq(o.fs.memtable_bytes, 64 << 10);
    ck_assert_double_eq(o.fs.commit_seconds, 0.5);
    ck_assert_int_eq(o.fs.store.compression, STORE_COMPRESS_NONE);
    ck_assert(o.session.writeback);
    ck_assert(o.session.no_xattr);
    ck_assert_int_eq(o.session.io_uring, SESSION_RINGS_ON);
    accept("mount s m -o commit=.001");
    ck_assert_double_eq(o.fs.commit_seconds, 0.001);
    accept("mount s m -o commit=86400.0");
    ck_assert_double_eq(o.fs.commit_seconds, 86400);
    accept("mount s m -o compression=snappy,commit_delay=200,commit_siblings=3,debug");
    ck_assert_int_eq(o.fs.store.compression, STORE_COMPRESS_SNAPPY);
    ck_assert_uint_eq(o.fs.store.commit_delay_us, 200);
    ck_assert_int_eq(o.fs.store.commit_siblings, 3);
    ck_assert(o.session.debug && o.foreground);
}
END_TEST

START_TEST(io_uring_is_auto_unless_told_and_alone_means_on)
{
    accept("mount s m");
    ck_assert_int_eq(o.session.io_uring, SESSION_RINGS_AUTO);
    accept("mount s m -o io_uring=off");
    ck_assert_int_eq(o.session.io_uring, SESSION_RINGS_OFF);
    accept("mount s m -o io_uring=off,io_uring=on");
    ck_assert_int_eq(o.session.io_uring, SESSION_RINGS_ON);
    accept("mount s m -o io_uring,io_uring=auto");
    ck_assert_int_eq(o.session.io_uring, SESSION_RINGS_AUTO);
    refuse("mount s m -o io_uring=yes", "option 'io_uring=yes': there are auto, on and off");
    refuse("mount s m -o io_uring=", "there are auto, on and off");
}
END_TEST

START_TEST(the_later_of_ro_and_rw_counts)
{
    accept("mount s m -o ro,rw");
    ck_assert(!o.fs.read_only && !o.session.read_only);
    accept("mount s m -o rw -o ro");
    ck_assert(o.fs.read_only && o.session.read_only);
}
END_TEST

START_TEST(what_fstab_and_mount_add_is_accepted)
{
    accept("skeinfs /s /m -o rw,defaults,noauto,user,users,_netdev,nofail,x-systemd.automount,"
           "X-mount.mkdir,comment=hello,noatime,nodiratime,relatime,lazytime,user=joe,"
           "default_permissions,subtype=skeinfs");
    ck_assert_ptr_null(o.flags);
}
END_TEST

START_TEST(mount_flags_go_to_the_kernel)
{
    accept("mount s m -o nosuid,nodev,noexec,sync,dirsync");
    ck_assert_str_eq(o.session.flags, "nosuid,nodev,noexec,sync,dirsync");
    ck_assert(o.session.sync_all && o.session.sync_names);
    accept("mount s m -o sync,dirsync,async");
    ck_assert(!o.session.sync_all && o.session.sync_names);
    accept("mount s m");
    ck_assert(!o.session.sync_all && !o.session.sync_names);
}
END_TEST

START_TEST(of_the_words_on_access_times_the_last_one_counts)
{
    accept("mount s m");
    ck_assert_int_eq(o.fs.atime, FS_RELATIME);
    ck_assert(!o.fs.no_directory_atime);
    accept("mount s m -o relatime,noatime,nodiratime,lazytime");
    ck_assert_int_eq(o.fs.atime, FS_NOATIME);
    ck_assert(o.fs.no_directory_atime);
    ck_assert_str_eq(o.session.flags, "noatime"); /* so that the mount table shows it */
    accept("mount s m -o noatime,nodiratime,strictatime,diratime");
    ck_assert_int_eq(o.fs.atime, FS_STRICTATIME);
    ck_assert(!o.fs.no_directory_atime);
    ck_assert_ptr_null(o.session.flags);
    accept("mount s m -o strictatime,nostrictatime");
    ck_assert_int_eq(o.fs.atime, FS_RELATIME);
    accept("mount s m -o noatime,atime");
    ck_assert_int_eq(o.fs.atime, FS_RELATIME);
}
END_TEST

START_TEST(root_shares_his_mounts_and_has_devices_unless_he_says_otherwise)
{
    accept_as(true, "mount s m");
    ck_assert(o.session.allow_other);
    ck_assert_str_eq(o.session.flags, "suid,dev");
    accept_as(true, "mount s m -o nodev,nosuid");
    ck_assert_str_eq(o.session.flags, "suid,dev,nodev,nosuid");
    accept_as(true, "mount s m -o allow_root");
    ck_assert(!o.session.allow_other && o.session.allow_root);
    accept_as(true, "mount s m -o private");
    ck_assert(!o.session.allow_other && o.session.private_mode);
}
END_TEST

START_TEST(who_may_use_the_mount_is_said_only_once)
{
    refuse("mount s m -o allow_other,allow_root", "exclude each other");
    refuse("mount s m -o private,allow_other", "'private'");
    refuse("mount s m -o allow_root,private", "'private'");
}
END_TEST

START_TEST(wrong_values_are_named)
{
    refuse("mount s m -o cache=", "'cache='");
    refuse("mount s m -o cache=lots", "'cache=lots'");
    refuse("mount s m -o cache=-1m", "'cache=-1m'");
    refuse("mount s m -o cache=64mb", "'cache=64mb'");
    refuse("mount s m -o memtable=1k", "at least 64k");
    refuse("mount s m -o memtable=99999999999g", "more than this machine");
    refuse("mount s m -o commit=0", "'commit=0'");
    refuse("mount s m -o commit=-1", "'commit=-1'");
    refuse("mount s m -o commit=nan", "'commit=nan'");
    refuse("mount s m -o commit=5s", "'commit=5s'");
    refuse("mount s m -o commit=1e-300", "option 'commit=1e-300': give seconds from 0.001 to");
    refuse("mount s m -o commit=0.0009", "from 0.001 to 86400");
    refuse("mount s m -o commit=86401", "from 0.001 to 86400");
    refuse("mount s m -o commit=0x10", "'commit=0x10'");
    refuse("mount s m -o commit=1e1", "'commit=1e1'");
    refuse("mount s m -o commit=1.2.3", "'commit=1.2.3'");
    refuse("mount s m -o commit=.", "'commit=.'");
    refuse("mount s m -o commit=", "'commit='");
    refuse("mount s m -o threads=0", "from 1 to");
    refuse("mount s m -o threads=5000", "from 1 to");
    refuse("mount s m -o threads=", "from 1 to");
    refuse("mount s m -o compression=zstd", "snappy and none");
    refuse("mount s m -o fsname=x", "'fsname=x'");
    refuse("mount s m -o subtype=ext4", "'subtype=ext4'");
}
END_TEST

START_TEST(unknown_words_are_named)
{
    refuse("mount s m -o frobnicate", "'frobnicate'");
    refuse("mount s m -o frobnicate=3,ro", "'frobnicate=3'");
    refuse("mount -q s m", "'-q'");
    refuse("mount --quick s m", "'--quick'");
    refuse("mount s m third", "'third'");
    refuse("mount s m -o", "-o");
    refuse("mount -f -t fuse.skeinfs s m", "'-t'");
}
END_TEST

START_TEST(missing_words_are_asked_for)
{
    refuse("mount", "STORE and MOUNTPOINT");
    refuse("mount -o ro", "STORE and MOUNTPOINT");
    refuse("mount store", "'store'");
}
END_TEST

START_TEST(help_needs_no_other_words)
{
    accept("mount --help");
    ck_assert(o.help);
    accept("mount -h store");
    ck_assert(o.help);
}
END_TEST

START_TEST(a_mount_helper_gets_the_switches_of_mount)
{
    accept("/sbin/mount.fuse.skeinfs /s /m -n -s -v -t fuse.skeinfs -o rw,noatime");
    ck_assert_str_eq(o.store, "/s");
    ck_assert_str_eq(o.mountpoint, "/m");
    ck_assert(!o.fake && !o.foreground);
    accept("mount.fuse.skeinfs /s /m -f -o threads=2");
    ck_assert(o.fake && !o.foreground);
    ck_assert_uint_eq(o.session.threads, 2);
}
END_TEST

START_TEST(sizes_have_units_of_1024)
{
    size_t n = 0;
    ck_assert_int_eq(options_parse_size("0", &n), 0);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(options_parse_size("123", &n), 0);
    ck_assert_uint_eq(n, 123);
    ck_assert_int_eq(options_parse_size("2k", &n), 0);
    ck_assert_uint_eq(n, 2048);
    ck_assert_int_eq(options_parse_size("3M", &n), 0);
    ck_assert_uint_eq(n, 3u << 20);
    ck_assert_int_eq(options_parse_size("1g", &n), 0);
    ck_assert_uint_eq(n, 1u << 30);
}
END_TEST

START_TEST(what_is_no_size_changes_nothing)
{
    size_t n = 7;
    ck_assert_int_eq(options_parse_size("", &n), -EINVAL);
    ck_assert_int_eq(options_parse_size("k", &n), -EINVAL);
    ck_assert_int_eq(options_parse_size(" 1", &n), -EINVAL);
    ck_assert_int_eq(options_parse_size("1kk", &n), -EINVAL);
    ck_assert_int_eq(options_parse_size("0x10", &n), -EINVAL);
    ck_assert_int_eq(options_parse_size("18446744073709551616", &n), -ERANGE);
    ck_assert_int_eq(options_parse_size("18014398509481984k", &n), -ERANGE);
    ck_assert_uint_eq(n, 7);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tc = tcase_create("options");
    tcase_set_timeout(tc, 20);
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_test(tc, store_and_mountpoint_are_taken_in_this_order);
    tcase_add_test(tc, options_may_stand_before_between_and_behind);
    tcase_add_test(tc, each_option_sets_its_value);
    tcase_add_test(tc, io_uring_is_auto_unless_told_and_alone_means_on);
    tcase_add_test(tc, the_later_of_ro_and_rw_counts);
    tcase_add_test(tc, what_fstab_and_mount_add_is_accepted);
    tcase_add_test(tc, mount_flags_go_to_the_kernel);
    tcase_add_test(tc, of_the_words_on_access_times_the_last_one_counts);
    tcase_add_test(tc, root_shares_his_mounts_and_has_devices_unless_he_says_otherwise);
    tcase_add_test(tc, who_may_use_the_mount_is_said_only_once);
    tcase_add_test(tc, wrong_values_are_named);
    tcase_add_test(tc, unknown_words_are_named);
    tcase_add_test(tc, missing_words_are_asked_for);
    tcase_add_test(tc, help_needs_no_other_words);
    tcase_add_test(tc, a_mount_helper_gets_the_switches_of_mount);
    tcase_add_test(tc, sizes_have_units_of_1024);
    tcase_add_test(tc, what_is_no_size_changes_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
