/* Names: making, finding, linking, removing and moving them, and every error on the way. */
#include <check.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "../../store/tests/run_suite.h"
#include "check_store.h"
#include "fixture.h"

static const struct fs_caller me = {.uid = 1000, .gid = 100};
static char long_name[300];

static int make(uint64_t dir, const char *name, mode_t mode)
{
    struct stat st;
    return fs_make(fs, &me, dir, name, mode, 0, NULL, &st);
}

static int move(uint64_t dir, const char *name, uint64_t new_dir, const char *new_name)
{
    return fs_rename(fs, dir, name, new_dir, new_name, 0);
}

static int look(uint64_t dir, const char *name)
{
    struct stat st;
    return fs_lookup(fs, dir, name, &st);
}

static int make_link(uint64_t ino, uint64_t dir, const char *name)
{
    struct stat st;
    return fs_link(fs, ino, dir, name, &st);
}

static nlink_t links(uint64_t ino)
{
    return stat_of(ino).st_nlink;
}

static void set_mode(uint64_t ino, mode_t mode)
{
    struct stat in = {.st_mode = mode}, st;
    ck_assert_int_eq(fs_setattr(fs, ino, &in, FS_SET_MODE, &st), 0);
}

static const char *long_name_of(size_t len)
{
    memset(long_name, 'n', len);
    long_name[len] = 0;
    return long_name;
}

/* ---- making */

START_TEST(what_is_made_has_its_makers_owner_and_the_mode)
{
    struct stat st;
    ck_assert_int_eq(fs_make(fs, &me, FS_ROOT, "f", S_IFREG | 0640, 0, NULL, &st), 0);
    ck_assert_uint_eq(st.st_mode, S_IFREG | 0640);
    ck_assert_uint_eq(st.st_uid, 1000);
    ck_assert_uint_eq(st.st_gid, 100);
    ck_assert_uint_eq(st.st_nlink, 1);
    ck_assert_int_eq(st.st_size, 0);
    ck_assert_int_eq(st.st_blocks, 0);
    ck_assert_uint_eq(find(FS_ROOT, "f"), st.st_ino);
    fixture_reopen();
    ck_assert_uint_eq(find(FS_ROOT, "f"), st.st_ino);
    ck_assert_uint_eq(stat_of(st.st_ino).st_mode, S_IFREG | 0640);
}
END_TEST

START_TEST(every_type_can_be_made_and_keeps_what_it_has)
{
    struct stat st;
    char target[16];
    dev_t device = makedev(8, 300);
    ck_assert_int_eq(fs_make(fs, &me, FS_ROOT, "b", S_IFBLK | 0600, device, NULL, &st), 0);
    ck_assert_int_eq(make(FS_ROOT, "p", S_IFIFO | 0600), 0);
    ck_assert_int_eq(make(FS_ROOT, "s", S_IFSOCK | 0600), 0);
    ck_assert_int_eq(fs_make(fs, &me, FS_ROOT, "l", S_IFLNK | 0777, 0, "to/there", &st), 0);
    ck_assert_int_eq(st.st_size, 8);
    fixture_reopen();
    ck_assert_uint_eq(stat_of(find(FS_ROOT, "b")).st_rdev, device);
    ck_assert(S_ISFIFO(stat_of(find(FS_ROOT, "p")).st_mode));
    ck_assert(S_ISSOCK(stat_of(find(FS_ROOT, "s")).st_mode));
    uint64_t l = find(FS_ROOT, "l");
    ck_assert_int_eq(fs_readlink(fs, l, target, sizeof target), 8);
    ck_assert_mem_eq(target, "to/there", 8);
    ck_assert_int_eq(fs_readlink(fs, l, target, 3), 3);
    ck_assert_int_eq(fs_readlink(fs, find(FS_ROOT, "p"), target, sizeof target), -EINVAL);
}
END_TEST

START_TEST(a_symlinks_target_has_a_longest_length)
{
    struct stat st;
    char *target = mem_zalloc(FS_SYMLINK_MAX + 2), got[FS_SYMLINK_MAX + 1];
    memset(target, 't', FS_SYMLINK_MAX + 1);
    mode_t mode = S_IFLNK | 0777;
    ck_assert_int_eq(fs_make(fs, &me, FS_ROOT, "l", mode, 0, target, &st), -ENAMETOOLONG);
    ck_assert_int_eq(fs_make(fs, &me, FS_ROOT, "l", mode, 0, "", &st), -ENOENT);
    target[FS_SYMLINK_MAX] = 0;
    ck_assert_int_eq(fs_make(fs, &me, FS_ROOT, "l", mode, 0, target, &st), 0);
    fixture_reopen();
    int n = fs_readlink(fs, find(FS_ROOT, "l"), got, sizeof got);
    ck_assert_int_eq(n, FS_SYMLINK_MAX);
    ck_assert(memcmp(got, target, FS_SYMLINK_MAX) == 0);
    free(target);
}
END_TEST

START_TEST(a_taken_name_is_refused)
{
    uint64_t f = make_file(FS_ROOT, "f");
    make_dir(FS_ROOT, "d");
    ck_assert_int_eq(make(FS_ROOT, "f", S_IFREG | 0600), -EEXIST);
    ck_assert_int_eq(make(FS_ROOT, "f", S_IFDIR | 0700), -EEXIST);
    ck_assert_int_eq(make(FS_ROOT, "d", S_IFREG | 0600), -EEXIST);
    ck_assert_int_eq(make(FS_ROOT, ".", S_IFDIR | 0700), -EEXIST);
    ck_assert_int_eq(make(FS_ROOT, "..", S_IFDIR | 0700), -EEXIST);
    ck_assert_int_eq(make_link(f, FS_ROOT, "d"), -EEXIST);
    ck_assert_int_eq(make_link(f, FS_ROOT, "f"), -EEXIST);
    ck_assert_uint_eq(links(f), 1);
}
END_TEST

START_TEST(names_of_255_bytes_and_no_longer)
{
    uint64_t f = make_file(FS_ROOT, long_name_of(255));
    ck_assert_uint_eq(find(FS_ROOT, long_name), f);
    ck_assert_int_eq(make(FS_ROOT, long_name_of(256), S_IFREG), -ENAMETOOLONG);
    ck_assert_int_eq(look(FS_ROOT, long_name), -ENAMETOOLONG);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, long_name), -ENAMETOOLONG);
    ck_assert_int_eq(move(FS_ROOT, long_name_of(255), FS_ROOT, "x"), 0);
    ck_assert_int_eq(move(FS_ROOT, "x", FS_ROOT, long_name_of(256)), -ENAMETOOLONG);
    ck_assert_int_eq(make_link(f, FS_ROOT, long_name), -ENAMETOOLONG);
}
END_TEST

START_TEST(names_are_any_bytes)
{
    const char *names[] = {"\xff\xfe", "\x01", "a\n", " ", "-", "\xc3\xbc", "a\xff", "a"};
    uint64_t ino[8];
    for (int i = 0; i < 8; i++)
        ino[i] = make_file(FS_ROOT, names[i]);
    fixture_reopen();
    for (int i = 0; i < 8; i++)
        ck_assert_uint_eq(find(FS_ROOT, names[i]), ino[i]);
}
END_TEST

START_TEST(a_setgid_directory_passes_its_group_on)
{
    struct stat in = {.st_gid = 77}, st;
    uint64_t d = make_dir(FS_ROOT, "d");
    ck_assert_int_eq(fs_setattr(fs, d, &in, FS_SET_GID, &st), 0);
    set_mode(d, S_ISGID | 0775);
    ck_assert_int_eq(fs_make(fs, &me, d, "f", S_IFREG | 0644, 0, NULL, &st), 0);
    ck_assert_uint_eq(st.st_gid, 77);
    ck_assert_uint_eq(st.st_mode, S_IFREG | 0644);
    ck_assert_int_eq(fs_make(fs, &me, d, "sub", S_IFDIR | 0755, 0, NULL, &st), 0);
    ck_assert_uint_eq(st.st_gid, 77);
    ck_assert_uint_eq(st.st_mode, S_IFDIR | S_ISGID | 0755);
}
END_TEST

/* ---- finding */

START_TEST(lookup_tells_what_is_not_there_from_what_is_no_directory)
{
    uint64_t f = make_file(FS_ROOT, "f");
    ck_assert_int_eq(look(FS_ROOT, "g"), -ENOENT);
    ck_assert_int_eq(look(FS_ROOT, "fo"), -ENOENT);
    ck_assert_int_eq(look(f, "x"), -ENOTDIR);
    ck_assert_int_eq(look(f, ".."), -ENOTDIR);
    ck_assert_int_eq(make(f, "x", S_IFREG), -ENOTDIR);
    ck_assert_int_eq(fs_unlink(fs, f, "x"), -ENOTDIR);
    ck_assert_int_eq(fs_rmdir(fs, f, "x"), -ENOTDIR);
    ck_assert_int_eq(make_link(f, f, "x"), -ENOTDIR);
    ck_assert_int_eq(move(FS_ROOT, "f", f, "x"), -ENOTDIR);
    ck_assert_int_eq(move(f, "x", FS_ROOT, "y"), -ENOTDIR);
}
END_TEST

START_TEST(dot_and_dotdot_are_found)
{
    uint64_t a = make_dir(FS_ROOT, "a"), b = make_dir(a, "b");
    ck_assert_uint_eq(find(b, "."), b);
    ck_assert_uint_eq(find(b, ".."), a);
    ck_assert_uint_eq(find(FS_ROOT, ".."), FS_ROOT);
    ck_assert_int_eq(move(a, "b", FS_ROOT, "b"), 0);
    ck_assert_uint_eq(find(b, ".."), FS_ROOT);
}
END_TEST

START_TEST(a_forgotten_inode_is_found_again_with_what_it_was)
{
    uint64_t f = make_file(FS_ROOT, "f");
    write_text(f, "hello");
    set_mode(f, 0751);
    fs_forget(fs, f, 1);
    struct stat st;
    ck_assert_int_eq(fs_getattr(fs, f, &st), -ESTALE);
    ck_assert_uint_eq(find(FS_ROOT, "f"), f);
    ck_assert_uint_eq(stat_of(f).st_mode, S_IFREG | 0751);
    ck_assert_int_eq(stat_of(f).st_size, 5);
}
END_TEST

/* ---- linking */

START_TEST(two_names_are_one_file)
{
    uint64_t f = make_file(FS_ROOT, "f"), d = make_dir(FS_ROOT, "d");
    write_text(f, "one");
    ck_assert_int_eq(make_link(f, d, "g"), 0);
    ck_assert_uint_eq(links(f), 2);
    fixture_reopen();
    ck_assert_uint_eq(find(find(FS_ROOT, "d"), "g"), f);
    ck_assert_uint_eq(find(FS_ROOT, "f"), f);
    write_text(f, "two");
    set_mode(f, 0600);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    fixture_reopen();
    ck_assert_uint_eq(find(find(FS_ROOT, "d"), "g"), f);
    ck_assert_uint_eq(links(f), 1);
    ck_assert_uint_eq(stat_of(f).st_mode, S_IFREG | 0600);
    expect_text(f, "two");
}
END_TEST

START_TEST(directories_have_one_name_only)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    ck_assert_int_eq(make_link(d, FS_ROOT, "e"), -EPERM);
    ck_assert_int_eq(make_link(FS_ROOT, d, "e"), -EPERM);
}
END_TEST

START_TEST(a_file_without_a_name_gets_none)
{
    uint64_t f = make_file(FS_ROOT, "f");
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    ck_assert_int_eq(make_link(f, FS_ROOT, "g"), -ENOENT);
}
END_TEST

/* ---- removing */

START_TEST(unlink_and_rmdir_keep_to_their_kind)
{
    make_file(FS_ROOT, "f");
    make_dir(FS_ROOT, "d");
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "d"), -EISDIR);
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "f"), -ENOTDIR);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "g"), -ENOENT);
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "g"), -ENOENT);
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "."), -EINVAL);
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, ".."), -ENOTEMPTY);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "."), -EISDIR);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, ""), -ENOENT);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "d"), 0);
    ck_assert(!exists(FS_ROOT, "f") && !exists(FS_ROOT, "d"));
}
END_TEST

START_TEST(a_directory_must_be_empty)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    make_file(d, "f");
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "d"), -ENOTEMPTY);
    fixture_reopen();
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "d"), -ENOTEMPTY);
    ck_assert_int_eq(fs_unlink(fs, find(FS_ROOT, "d"), "f"), 0);
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "d"), 0);
}
END_TEST

START_TEST(nothing_is_made_in_a_removed_directory)
{
    uint64_t d = make_dir(FS_ROOT, "d"), f = make_file(FS_ROOT, "f");
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "d"), 0);
    ck_assert_uint_eq(links(d), 0);
    ck_assert_int_eq(make(d, "x", S_IFREG), -ENOENT);
    ck_assert_int_eq(make_link(f, d, "x"), -ENOENT);
    ck_assert_int_eq(move(FS_ROOT, "f", d, "x"), -ENOENT);
    ck_assert_int_eq(look(d, "x"), -ENOENT);
}
END_TEST

START_TEST(a_directory_counts_its_names_and_subdirectories)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    nlink_t root = links(FS_ROOT);
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        i % 2 ? make_file(d, name) : make_dir(d, name);
    }
    ck_assert_uint_eq(links(d), 12);
    ck_assert_int_eq(fs_rmdir(fs, d, "0"), 0);
    ck_assert_int_eq(fs_unlink(fs, d, "1"), 0);
    ck_assert_int_eq(move(d, "2", FS_ROOT, "2"), 0);
    ck_assert_uint_eq(links(d), 10);
    ck_assert_uint_eq(links(FS_ROOT), root + 1);
    check_store(fs, CHECK_NO_GARBAGE);
}
END_TEST

/* ---- moving */

START_TEST(a_file_is_moved_and_stays_itself)
{
    uint64_t f = make_file(FS_ROOT, "f"), d = make_dir(FS_ROOT, "d");
    write_text(f, "hello");
    ck_assert_int_eq(move(FS_ROOT, "f", d, "g"), 0);
    ck_assert(!exists(FS_ROOT, "f"));
    set_mode(f, 0111); /* to its new place, not the old one */
    fixture_reopen();
    ck_assert(!exists(FS_ROOT, "f"));
    ck_assert_uint_eq(find(find(FS_ROOT, "d"), "g"), f);
    ck_assert_uint_eq(stat_of(f).st_mode, S_IFREG | 0111);
    expect_text(f, "hello");
}
END_TEST

START_TEST(a_file_of_two_names_is_moved_by_one)
{
    uint64_t f = make_file(FS_ROOT, "f");
    ck_assert_int_eq(make_link(f, FS_ROOT, "g"), 0);
    ck_assert_int_eq(move(FS_ROOT, "g", FS_ROOT, "h"), 0);
    ck_assert_uint_eq(find(FS_ROOT, "f"), f);
    ck_assert_uint_eq(find(FS_ROOT, "h"), f);
    ck_assert(!exists(FS_ROOT, "g"));
    check_store(fs, CHECK_NO_GARBAGE);
}
END_TEST

START_TEST(two_names_of_one_file_both_stay)
{
    uint64_t f = make_file(FS_ROOT, "f");
    ck_assert_int_eq(make_link(f, FS_ROOT, "g"), 0);
    ck_assert_int_eq(move(FS_ROOT, "f", FS_ROOT, "g"), 0);
    ck_assert(exists(FS_ROOT, "f") && exists(FS_ROOT, "g"));
    ck_assert_int_eq(move(FS_ROOT, "f", FS_ROOT, "f"), 0);
    ck_assert(exists(FS_ROOT, "f"));
    ck_assert_uint_eq(links(f), 2);
}
END_TEST

START_TEST(what_a_file_replaces_goes)
{
    uint64_t f = make_file(FS_ROOT, "f"), g = make_file(FS_ROOT, "g");
    write_text(f, "new");
    write_text(g, "old");
    ck_assert_int_eq(move(FS_ROOT, "f", FS_ROOT, "g"), 0);
    ck_assert_uint_eq(find(FS_ROOT, "g"), f);
    ck_assert_uint_eq(links(g), 0);
    expect_text(g, "old"); /* somebody may have it open */
    fs_forget(fs, g, 1);
    fixture_settle();
    ck_assert_int_eq(count_records('E', g), 0);
}
END_TEST

START_TEST(a_replaced_file_of_two_names_keeps_the_other)
{
    uint64_t f = make_file(FS_ROOT, "f"), g = make_file(FS_ROOT, "g");
    write_text(g, "old");
    ck_assert_int_eq(make_link(g, FS_ROOT, "h"), 0);
    ck_assert_int_eq(move(FS_ROOT, "f", FS_ROOT, "g"), 0);
    ck_assert_uint_eq(find(FS_ROOT, "g"), f);
    ck_assert_uint_eq(find(FS_ROOT, "h"), g);
    ck_assert_uint_eq(links(g), 1);
    expect_text(g, "old");
}
END_TEST

START_TEST(rename_replaces_like_by_like)
{
    uint64_t d = make_dir(FS_ROOT, "d"), full = make_dir(FS_ROOT, "full");
    make_file(FS_ROOT, "f");
    make_file(full, "x");
    make_dir(FS_ROOT, "empty");
    ck_assert_int_eq(move(FS_ROOT, "f", FS_ROOT, "empty"), -EISDIR);
    ck_assert_int_eq(move(FS_ROOT, "d", FS_ROOT, "f"), -ENOTDIR);
    ck_assert_int_eq(move(FS_ROOT, "d", FS_ROOT, "full"), -ENOTEMPTY);
    ck_assert_int_eq(move(FS_ROOT, "none", FS_ROOT, "f"), -ENOENT);
    ck_assert_int_eq(move(FS_ROOT, "d", FS_ROOT, "empty"), 0);
    ck_assert_uint_eq(find(FS_ROOT, "empty"), d);
    ck_assert_int_eq(move(FS_ROOT, ".", FS_ROOT, "y"), -EBUSY);
    ck_assert_int_eq(move(FS_ROOT, "f", full, ".."), -EBUSY);
}
END_TEST

START_TEST(a_directory_never_goes_under_itself)
{
    uint64_t a = make_dir(FS_ROOT, "a"), b = make_dir(a, "b"), c = make_dir(b, "c");
    ck_assert_int_eq(move(FS_ROOT, "a", a, "x"), -EINVAL);
    ck_assert_int_eq(move(FS_ROOT, "a", b, "x"), -EINVAL);
    ck_assert_int_eq(move(FS_ROOT, "a", c, "x"), -EINVAL);
    ck_assert_int_eq(move(a, "b", b, "c"), -EINVAL);
    ck_assert_int_eq(move(b, "c", FS_ROOT, "a"), -ENOTEMPTY); /* what it is under */
    ck_assert_int_eq(fs_rename(fs, b, "c", FS_ROOT, "a", RENAME_EXCHANGE), -EINVAL);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "a", b, "c", RENAME_EXCHANGE), -EINVAL);
    ck_assert_int_eq(move(b, "c", FS_ROOT, "c"), 0);
    ck_assert_int_eq(move(FS_ROOT, "a", c, "a"), 0);
    ck_assert_uint_eq(find(a, ".."), c);
    check_store(fs, CHECK_NO_GARBAGE);
}
END_TEST

START_TEST(a_directory_whose_way_up_is_not_known_takes_no_directory)
{
    uint64_t a = make_dir(FS_ROOT, "a"), b = make_dir(a, "b"), c = make_dir(b, "c");
    fs_forget(fs, b, 1);
    ck_assert_int_eq(move(FS_ROOT, "a", c, "x"), -EINVAL);
    fs_forget(fs, a, 1);
    ck_assert_int_eq(move(FS_ROOT, "a", c, "x"), -EINVAL);
}
END_TEST

START_TEST(a_moved_directory_takes_its_link_along)
{
    uint64_t a = make_dir(FS_ROOT, "a"), b = make_dir(FS_ROOT, "b"), d = make_dir(a, "d");
    uint64_t f = make_file(d, "f");
    ck_assert_int_eq(move(a, "d", b, "d"), 0);
    ck_assert_uint_eq(links(a), 2);
    ck_assert_uint_eq(links(b), 3);
    ck_assert_uint_eq(find(d, "f"), f);
    make_dir(a, "d");
    ck_assert_int_eq(move(b, "d", a, "d"), 0); /* replaces one: a's count stays */
    ck_assert_uint_eq(links(a), 3);
    ck_assert_uint_eq(links(b), 2);
    fixture_reopen();
    a = find(FS_ROOT, "a");
    ck_assert_uint_eq(links(a), 3);
    ck_assert_uint_eq(find(find(a, "d"), "f"), f);
}
END_TEST

START_TEST(noreplace_replaces_nothing)
{
    uint64_t f = make_file(FS_ROOT, "f");
    make_file(FS_ROOT, "g");
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "f", FS_ROOT, "g", RENAME_NOREPLACE), -EEXIST);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "f", FS_ROOT, "f", RENAME_NOREPLACE), -EEXIST);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "f", FS_ROOT, "h", RENAME_NOREPLACE), 0);
    ck_assert_uint_eq(find(FS_ROOT, "h"), f);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "h", FS_ROOT, "g", RENAME_NOREPLACE | RENAME_EXCHANGE),
                     -EINVAL);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "h", FS_ROOT, "i", RENAME_WHITEOUT), -EINVAL);
}
END_TEST

START_TEST(exchange_swaps_whatever_it_is)
{
    uint64_t a = make_dir(FS_ROOT, "a"), b = make_dir(FS_ROOT, "b");
    uint64_t f = make_file(a, "f"), d = make_dir(b, "d"), x = make_file(d, "x");
    ck_assert_int_eq(fs_rename(fs, a, "f", b, "none", RENAME_EXCHANGE), -ENOENT);
    ck_assert_int_eq(fs_rename(fs, a, "none", b, "d", RENAME_EXCHANGE), -ENOENT);
    ck_assert_int_eq(fs_rename(fs, a, "f", b, "d", RENAME_EXCHANGE), 0);
    ck_assert_uint_eq(find(a, "f"), d);
    ck_assert_uint_eq(find(b, "d"), f);
    ck_assert_uint_eq(links(a), 3);
    ck_assert_uint_eq(links(b), 2);
    ck_assert_uint_eq(find(d, ".."), a);
    make_file(b, "two");
    ck_assert_int_eq(fs_rename(fs, b, "two", b, "d", RENAME_EXCHANGE), 0);
    fixture_reopen();
    a = find(FS_ROOT, "a");
    b = find(FS_ROOT, "b");
    ck_assert_uint_eq(find(find(a, "f"), "x"), x);
    ck_assert_uint_eq(find(b, "two"), f);
    ck_assert_uint_eq(find(d, ".."), a);
}
END_TEST

static bool later(struct timespec a, struct timespec b)
{
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

START_TEST(times_follow_names)
{
    uint64_t a = make_dir(FS_ROOT, "a"), b = make_dir(FS_ROOT, "b"), f = make_file(a, "f");
    const struct stat old = {.st_mtim = {1000, 5}, .st_ctim = {1000, 6}};
    struct stat st;
    unsigned what = FS_SET_MTIME | FS_SET_CTIME;
    const uint64_t all[] = {a, b, f};
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(fs_setattr(fs, all[i], &old, what, &st), 0);
    ck_assert_int_eq(move(a, "f", b, "f"), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert(later(stat_of(all[i]).st_mtim, old.st_mtim));
        ck_assert(later(stat_of(all[i]).st_ctim, old.st_ctim));
    }
    ck_assert(later(stat_of(f).st_ctim, old.st_ctim));
    ck_assert_int_eq(stat_of(f).st_mtim.tv_sec, 1000);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(fs_setattr(fs, all[i], &old, what, &st), 0);
    ck_assert_int_eq(make_link(f, b, "g"), 0);
    ck_assert(later(stat_of(b).st_mtim, old.st_mtim));
    ck_assert(later(stat_of(f).st_ctim, old.st_ctim));
    ck_assert_int_eq(fs_setattr(fs, f, &old, what, &st), 0);
    ck_assert_int_eq(fs_unlink(fs, b, "g"), 0);
    ck_assert(later(stat_of(f).st_ctim, old.st_ctim));
    ck_assert_int_eq(stat_of(a).st_mtim.tv_sec, 1000);
    ck_assert_int_eq(stat_of(a).st_mtim.tv_nsec, 5);
}
END_TEST

/* ---- many, and again */

START_TEST(many_names_in_one_directory)
{
    enum { N = 3000 };
    static uint64_t ino[N];
    uint64_t d = make_dir(FS_ROOT, "d");
    char name[32];
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "file-%d", i);
        ino[i] = make_file(d, name);
    }
    fixture_kill();
    d = find(FS_ROOT, "d");
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "file-%d", i);
        ck_assert_uint_eq(find(d, name), ino[i]);
        if (i % 3)
            ck_assert_int_eq(fs_unlink(fs, d, name), 0);
    }
    ck_assert_int_eq(count_records('D', d), N / 3);
}
END_TEST

START_TEST(numbers_are_never_given_again)
{
    uint64_t last = FS_ROOT;
    for (int round = 0; round < 6; round++) {
        uint64_t f = make_file(FS_ROOT, "f"), g = make_file(FS_ROOT, "g");
        ck_assert_uint_gt(f, last);
        ck_assert_uint_gt(g, f);
        last = g;
        ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
        ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "g"), 0);
        round % 2 ? fixture_reopen() : fixture_kill();
    }
}
END_TEST

START_TEST(a_read_only_filesystem_changes_nothing)
{
    uint64_t f = make_file(FS_ROOT, "f");
    write_text(f, "hello");
    fixture_close();
    fixture_options.read_only = true;
    fixture_open();
    struct stat st = {0};
    f = find(FS_ROOT, "f");
    expect_text(f, "hello");
    ck_assert_int_eq(make(FS_ROOT, "g", S_IFREG), -EROFS);
    ck_assert_int_eq(make_link(f, FS_ROOT, "g"), -EROFS);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), -EROFS);
    ck_assert_int_eq(move(FS_ROOT, "f", FS_ROOT, "g"), -EROFS);
    ck_assert_int_eq(fs_write(fs, f, "x", 1, 0, false), -EROFS);
    ck_assert_int_eq(fs_setattr(fs, f, &st, FS_SET_MODE, &st), -EROFS);
    ck_assert_int_eq(fs_setxattr(fs, f, "user.a", "x", 1, 0), -EROFS);
    ck_assert_int_eq(fs_removexattr(fs, f, "user.a"), -EROFS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("names");
    TCase *tc = tcase_create("names");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, what_is_made_has_its_makers_owner_and_the_mode);
    tcase_add_test(tc, every_type_can_be_made_and_keeps_what_it_has);
    tcase_add_test(tc, a_symlinks_target_has_a_longest_length);
    tcase_add_test(tc, a_taken_name_is_refused);
    tcase_add_test(tc, names_of_255_bytes_and_no_longer);
    tcase_add_test(tc, names_are_any_bytes);
    tcase_add_test(tc, a_setgid_directory_passes_its_group_on);
    tcase_add_test(tc, lookup_tells_what_is_not_there_from_what_is_no_directory);
    tcase_add_test(tc, dot_and_dotdot_are_found);
    tcase_add_test(tc, a_forgotten_inode_is_found_again_with_what_it_was);
    tcase_add_test(tc, two_names_are_one_file);
    tcase_add_test(tc, directories_have_one_name_only);
    tcase_add_test(tc, a_file_without_a_name_gets_none);
    tcase_add_test(tc, unlink_and_rmdir_keep_to_their_kind);
    tcase_add_test(tc, a_directory_must_be_empty);
    tcase_add_test(tc, nothing_is_made_in_a_removed_directory);
    tcase_add_test(tc, a_directory_counts_its_names_and_subdirectories);
    tcase_add_test(tc, a_file_is_moved_and_stays_itself);
    tcase_add_test(tc, a_file_of_two_names_is_moved_by_one);
    tcase_add_test(tc, two_names_of_one_file_both_stay);
    tcase_add_test(tc, what_a_file_replaces_goes);
    tcase_add_test(tc, a_replaced_file_of_two_names_keeps_the_other);
    tcase_add_test(tc, rename_replaces_like_by_like);
    tcase_add_test(tc, a_directory_never_goes_under_itself);
    tcase_add_test(tc, a_directory_whose_way_up_is_not_known_takes_no_directory);
    tcase_add_test(tc, a_moved_directory_takes_its_link_along);
    tcase_add_test(tc, noreplace_replaces_nothing);
    tcase_add_test(tc, exchange_swaps_whatever_it_is);
    tcase_add_test(tc, times_follow_names);
    tcase_add_test(tc, many_names_in_one_directory);
    tcase_add_test(tc, numbers_are_never_given_again);
    tcase_add_test(tc, a_read_only_filesystem_changes_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
