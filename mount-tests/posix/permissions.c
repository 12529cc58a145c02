/* Who may do what, and what happens to suid, sgid and the group of what is new. */
#include "posix.h"

#include <dirent.h>
#include <endian.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/xattr.h>

/* A file of this owner, group and mode. */
static void owned(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
    make_file(name, "text");
    ok(chown(name, uid, gid));
    ok(chmod(name, mode));
}

static void owned_folder(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
    ok(mkdir(name, 0755));
    ok(chown(name, uid, gid));
    ok(chmod(name, mode));
}

/* ---- the three classes */

START_TEST(the_owners_bits_count_for_the_owner_even_where_others_have_more)
{
    owned("file", ALICE, ALICE, 0077);
    become(ALICE, ALICE, 0);
    fails(open("file", O_RDONLY), EACCES);
    fails(access("file", R_OK), EACCES);
    become(BOB, BOB, 0);
    ok(open("file", O_RDWR));
}
END_TEST

START_TEST(the_groups_bits_count_for_members_even_where_others_have_more)
{
    owned("file", ALICE, CREW, 0707);
    become(BOB, CREW, 0);
    fails(open("file", O_RDONLY), EACCES);
    become(BOB, BOB, CREW);
    fails(open("file", O_RDONLY), EACCES);
    become(BOB, BOB, 0);
    ok(open("file", O_RDWR));
}
END_TEST

START_TEST(a_supplementary_group_gives_its_rights)
{
    owned("file", ALICE, CREW, 0060);
    become(BOB, BOB, 0);
    fails(open("file", O_RDONLY), EACCES);
    become(BOB, BOB, CREW);
    ok(open("file", O_RDWR));
}
END_TEST

START_TEST(root_reads_and_writes_everything_and_executes_what_somebody_may)
{
    owned("file", ALICE, ALICE, 0);
    ok(open("file", O_RDWR));
    ok(access("file", R_OK | W_OK));
    fails(access("file", X_OK), EACCES);
    ok(chmod("file", 0001));
    ok(access("file", X_OK));
}
END_TEST

START_TEST(access_asks_for_the_real_user_and_eaccess_for_the_effective_one)
{
    owned("file", ALICE, ALICE, 0600);
    ok(setresuid(ALICE, 0, 0));
    ok(access("file", R_OK | W_OK));
    ok(setresuid(BOB, ALICE, 0));
    fails(access("file", R_OK), EACCES);
    ok(faccessat(AT_FDCWD, "file", R_OK, AT_EACCESS));
}
END_TEST

START_TEST(access_sees_existence_and_refuses_other_modes)
{
    owned("file", ALICE, ALICE, 0);
    become(BOB, BOB, 0);
    ok(access("file", F_OK));
    fails(access("missing", F_OK), ENOENT);
    fails(access("file", 8), EINVAL);
}
END_TEST

START_TEST(an_open_file_stays_open_when_the_right_to_it_goes)
{
    owned("file", ALICE, ALICE, 0600);
    become(ALICE, ALICE, 0);
    int fd = open("file", O_RDWR);
    ok(chmod("file", 0));
    ok(pwrite(fd, "TEXT", 4, 0));
    fails(open("file", O_RDONLY), EACCES);
}
END_TEST

/* ---- folders */

START_TEST(listing_needs_read_and_entering_needs_search)
{
    owned_folder("dir", ALICE, ALICE, 0744);
    make_file("dir/file", "text");
    become(BOB, BOB, 0);
    DIR *d = opendir("dir");
    ck_assert_ptr_nonnull(d);
    ck_assert_ptr_nonnull(readdir(d));
    fails(open("dir/file", O_RDONLY), EACCES);
    fails(chdir("dir"), EACCES);
    become_root();
    ok(chmod("dir", 0711));
    become(BOB, BOB, 0);
    ck_assert_ptr_null(opendir("dir"));
    ck_assert_int_eq(errno, EACCES);
    expect_text("dir/file", "text");
    ok(chdir("dir"));
}
END_TEST

START_TEST(a_folder_with_write_alone_takes_no_name_without_search)
{
    owned_folder("dir", ALICE, ALICE, 0722);
    become(BOB, BOB, 0);
    fails(mkdir("dir/new", 0755), EACCES);
    become_root();
    ok(chmod("dir", 0733));
    become(BOB, BOB, 0);
    ok(mkdir("dir/new", 0755));
}
END_TEST

START_TEST(a_file_of_somebody_else_is_removed_by_who_may_write_the_folder)
{
    owned("file", ALICE, ALICE, 0600);
    become(BOB, BOB, 0);
    ok(rename("file", "renamed"));
    ok(unlink("renamed"));
}
END_TEST

START_TEST(moving_a_folder_elsewhere_needs_write_on_it_for_its_dotdot)
{
    owned_folder("from", BOB, BOB, 0755);
    owned_folder("to", BOB, BOB, 0755);
    owned_folder("from/dir", ALICE, ALICE, 0755);
    become(BOB, BOB, 0);
    fails(rename("from/dir", "to/dir"), EACCES);
    ok(rename("from/dir", "from/renamed"));
    become_root();
    ok(chmod("from/renamed", 0757));
    become(BOB, BOB, 0);
    ok(rename("from/renamed", "to/dir"));
}
END_TEST

/* ---- the sticky bit */

START_TEST(in_a_sticky_folder_only_owners_remove_and_rename)
{
    owned_folder("tmp", ALICE, ALICE, 01777);
    owned("tmp/bobs", BOB, BOB, 0666);
    owned_folder("tmp/bobs_folder", BOB, BOB, 0777);
    become(CREW, CREW, 0);
    fails(unlink("tmp/bobs"), EPERM);
    fails(rename("tmp/bobs", "tmp/new"), EPERM);
    fails(rename("tmp/bobs", "out"), EPERM);
    fails(rmdir("tmp/bobs_folder"), EPERM);
    make_file("tmp/mine", "");
    fails(rename("tmp/mine", "tmp/bobs"), EPERM);
    ok(unlink("tmp/mine"));
}
END_TEST

START_TEST(in_a_sticky_folder_the_files_owner_the_folders_owner_and_root_remove)
{
    owned_folder("tmp", ALICE, ALICE, 01777);
    owned("tmp/one", BOB, BOB, 0600);
    owned("tmp/two", BOB, BOB, 0600);
    owned("tmp/three", BOB, BOB, 0600);
    become(BOB, BOB, 0);
    ok(unlink("tmp/one"));
    become(ALICE, ALICE, 0);
    ok(unlink("tmp/two"));
    become_root();
    ok(unlink("tmp/three"));
}
END_TEST

START_TEST(who_owns_a_folder_may_set_it_sticky_and_anybody_a_file)
{
    become(ALICE, ALICE, 0);
    ok(mkdir("tmp", 0777));
    ok(chmod("tmp", 01777));
    ck_assert_int_eq(mode_of("tmp"), 01777);
    make_file("file", "");
    ok(chmod("file", 01644));
    ck_assert_int_eq(mode_of("file"), 01644);
}
END_TEST

/* ---- the group of what is new */

START_TEST(what_is_new_belongs_to_its_maker)
{
    become(ALICE, CREW, 0);
    make_file("file", "");
    ok(mkdir("dir", 0755));
    ok(symlink("file", "link"));
    ok(mkfifo("fifo", 0644));
    const char *const names[] = {"file", "dir", "link", "fifo"};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(stat_of(names[i]).st_uid, ALICE);
        ck_assert_int_eq(stat_of(names[i]).st_gid, CREW);
    }
}
END_TEST

START_TEST(a_setgid_folder_gives_its_group_and_to_folders_its_bit)
{
    owned_folder("dir", ALICE, CREW, 02777);
    become(BOB, BOB, 0);
    ok(mkdir("dir/sub", 0755));
    make_file("dir/file", "");
    ok(symlink("x", "dir/link"));
    ok(mkfifo("dir/fifo", 0644));
    ck_assert_int_eq(mode_of("dir/sub"), 02755);
    ck_assert_int_eq(stat_of("dir/sub").st_gid, CREW);
    ck_assert_int_eq(mode_of("dir/file"), 0644);
    ck_assert_int_eq(stat_of("dir/file").st_gid, CREW);
    ck_assert_int_eq(stat_of("dir/link").st_gid, CREW);
    ck_assert_int_eq(stat_of("dir/fifo").st_gid, CREW);
    ok(mkdir("dir/sub/sub", 0700));
    ck_assert_int_eq(mode_of("dir/sub/sub"), 02700);
}
END_TEST

START_TEST(what_moves_into_a_setgid_folder_keeps_its_group)
{
    owned_folder("dir", ALICE, CREW, 02777);
    owned("file", BOB, BOB, 0644);
    ok(rename("file", "dir/file"));
    ck_assert_int_eq(stat_of("dir/file").st_gid, BOB);
}
END_TEST

START_TEST(a_file_with_sgid_made_in_a_group_that_is_not_ones_own_loses_it)
{
    owned_folder("dir", ALICE, CREW, 02777);
    become(BOB, BOB, 0);
    ok(close(open("dir/file", O_WRONLY | O_CREAT, 02755)));
    ck_assert_int_eq(mode_of("dir/file"), 0755);
    become(BOB, BOB, CREW);
    ok(close(open("dir/member", O_WRONLY | O_CREAT, 02755)));
    ck_assert_int_eq(mode_of("dir/member"), 02755);
}
END_TEST

START_TEST(the_umask_is_taken_from_what_is_new)
{
    umask(027);
    ok(close(open("file", O_WRONLY | O_CREAT, 0666)));
    ok(close(open("suid", O_WRONLY | O_CREAT, 04777)));
    ok(mkdir("dir", 0777));
    ok(mkfifo("fifo", 0666));
    ok(symlink("x", "link"));
    ck_assert_int_eq(mode_of("file"), 0640);
    ck_assert_int_eq(mode_of("suid"), 04750);
    ck_assert_int_eq(mode_of("dir"), 0750);
    ck_assert_int_eq(mode_of("fifo"), 0640);
    ck_assert_int_eq(mode_of("link"), 0777);
    ok(chmod("file", 0666)); /* is no concern of the umask */
    ck_assert_int_eq(mode_of("file"), 0666);
}
END_TEST

START_TEST(all_twelve_bits_are_kept)
{
    make_file("file", "");
    ok(mkdir("dir", 0));
    for (mode_t mode = 0; mode <= 07777; mode += 0123) {
        ok(chmod("file", mode));
        ck_assert_int_eq(mode_of("file"), mode);
        ok(chmod("dir", mode));
        ck_assert_int_eq(mode_of("dir"), mode);
    }
}
END_TEST

/* ---- suid and sgid go */

START_TEST(a_users_write_takes_suid_and_sgid)
{
    owned("file", ALICE, ALICE, 06777);
    become(BOB, BOB, 0);
    int fd = open("file", O_WRONLY);
    ck_assert_int_eq(mode_of("file"), 06777);
    ok(write(fd, "x", 1));
    ck_assert_int_eq(mode_of("file"), 0777);
}
END_TEST

START_TEST(also_the_owners_write_takes_them)
{
    owned("file", ALICE, ALICE, 06777);
    become(ALICE, ALICE, 0);
    int fd = open("file", O_WRONLY | O_APPEND);
    ok(write(fd, "x", 1));
    ck_assert_int_eq(mode_of("file"), 0777);
}
END_TEST

START_TEST(a_users_truncation_takes_them)
{
    owned("by_name", ALICE, ALICE, 06777);
    owned("by_number", ALICE, ALICE, 06777);
    owned("by_open", ALICE, ALICE, 06777);
    become(BOB, BOB, 0);
    ok(truncate("by_name", 1));
    int fd = open("by_number", O_WRONLY);
    ok(ftruncate(fd, 1));
    ok(open("by_open", O_WRONLY | O_TRUNC));
    ck_assert_int_eq(mode_of("by_name"), 0777);
    ck_assert_int_eq(mode_of("by_number"), 0777);
    ck_assert_int_eq(mode_of("by_open"), 0777);
}
END_TEST

START_TEST(roots_write_leaves_them)
{
    owned("file", ALICE, ALICE, 06777);
    int fd = open("file", O_WRONLY);
    ok(write(fd, "x", 1));
    ok(ftruncate(fd, 100));
    ck_assert_int_eq(mode_of("file"), 06777);
}
END_TEST

START_TEST(sgid_without_group_execution_is_a_lock_mode_and_stays_for_a_member)
{
    owned("file", ALICE, ALICE, 02666);
    become(ALICE, ALICE, 0);
    int fd = open("file", O_WRONLY);
    ok(write(fd, "x", 1));
    ck_assert_int_eq(mode_of("file"), 02666);
}
END_TEST

START_TEST(chown_takes_them_also_from_root)
{
    owned("file", ALICE, ALICE, 06777);
    ok(chown("file", BOB, (gid_t)-1));
    ck_assert_int_eq(mode_of("file"), 0777);
    owned("mine", ALICE, ALICE, 06777);
    become(ALICE, ALICE, CREW);
    ok(chown("mine", (uid_t)-1, CREW));
    ck_assert_int_eq(mode_of("mine"), 0777);
}
END_TEST

/* ---- capabilities go, whoever it is */

/* cap_net_raw+ep, as setcap writes it. */
static void give_capability(const char *name)
{
    struct vfs_cap_data cap = {.magic_etc = htole32(VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE)};
    cap.data[0].permitted = htole32(1u << CAP_NET_RAW);
    ok(setxattr(name, "security.capability", &cap, XATTR_CAPS_SZ_2, 0));
    ok(setxattr(name, "user.other", "x", 1, 0));
}

static void by_write(void)
{
    ok(write(open("prog", O_WRONLY), "x", 1));
}
static void by_truncate(void)
{
    ok(truncate("prog", 1));
}
static void by_truncate_to_the_same_size(void)
{
    ok(truncate("prog", 4));
}
static void by_ftruncate(void)
{
    ok(ftruncate(open("prog", O_WRONLY), 100));
}
static void by_O_TRUNC(void)
{
    ok(open("prog", O_WRONLY | O_TRUNC));
}
static void by_fallocate(void)
{
    ok(fallocate(open("prog", O_WRONLY), 0, 0, 8192));
}
static void by_punching(void)
{
    ok(fallocate(open("prog", O_WRONLY), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2));
}
static void by_copying(void)
{
    make_file("from", "other text");
    ok(copy_file_range(open("from", O_RDONLY), NULL, open("prog", O_WRONLY), NULL, 4, 0));
}
static void by_chown(void)
{
    ok(chown("prog", BOB, (gid_t)-1));
}
static void by_chown_to_the_same_group(void)
{
    ok(chown("prog", (uid_t)-1, ALICE));
}

START_TEST(what_changes_the_content_or_the_owner_takes_capabilities)
{
    static const struct {
        void (*change)(void);
        bool by_root_alone;
    } cases[] = {
        {by_write, false},
        {by_truncate, false},
        {by_truncate_to_the_same_size, false},
        {by_ftruncate, false},
        {by_O_TRUNC, false},
        {by_fallocate, false},
        {by_punching, false},
        {by_copying, false},
        {by_chown, true},
        {by_chown_to_the_same_group, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int root = cases[i].by_root_alone; root < 2; root++) {
            char got[64];
            unlink("prog");
            owned("prog", ALICE, ALICE, 0755);
            ok(truncate("prog", 4));
            give_capability("prog");
            if (!root)
                become(ALICE, ALICE, 0);
            cases[i].change();
            become_root();
            ck_assert_msg(
                getxattr("prog", "security.capability", got, sizeof got) == -1 && errno == ENODATA,
                "number %zu, %s: it has its capabilities still", i, root ? "root" : "a user");
            ck_assert_int_eq(getxattr("prog", "user.other", got, sizeof got), 1);
            unlink("from");
        }
}
END_TEST

START_TEST(what_changes_neither_leaves_them)
{
    char got[64];
    owned("prog", ALICE, ALICE, 0755);
    give_capability("prog");
    ok(chmod("prog", 0700));
    ok(rename("prog", "moved"));
    ok(link("moved", "second"));
    ok(utimensat(AT_FDCWD, "second", NULL, 0));
    ok(setxattr("second", "user.more", "x", 1, 0));
    ok(write(open("second", O_WRONLY), "", 0));
    ck_assert_int_eq(getxattr("second", "security.capability", got, sizeof got), XATTR_CAPS_SZ_2);
}
END_TEST

START_TEST(chown_leaves_the_bits_of_folders)
{
    owned_folder("dir", ALICE, ALICE, 07777);
    ok(chown("dir", BOB, CREW));
    ck_assert_int_eq(mode_of("dir"), 07777);
}
END_TEST

START_TEST(chmod_by_an_owner_outside_the_group_drops_sgid)
{
    owned("file", ALICE, CREW, 0755);
    become(ALICE, ALICE, 0);
    ok(chmod("file", 02755));
    ck_assert_int_eq(mode_of("file"), 0755);
    become(ALICE, ALICE, CREW);
    ok(chmod("file", 02755));
    ck_assert_int_eq(mode_of("file"), 02755);
}
END_TEST

START_TEST(a_write_to_a_mapping_leaves_the_bytes_and_the_file)
{
    owned("file", ALICE, ALICE, 0666);
    become(BOB, BOB, 0);
    int fd = open("file", O_RDWR);
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    p[0] = 'T';
    ok(msync(p, 4096, MS_SYNC));
    expect_text("file", "Text");
}
END_TEST

START_TEST(chown_with_minus_one_changes_nothing)
{
    owned("file", ALICE, CREW, 0755);
    ok(chown("file", (uid_t)-1, (gid_t)-1));
    ck_assert_int_eq(stat_of("file").st_uid, ALICE);
    ck_assert_int_eq(stat_of("file").st_gid, CREW);
    ok(chown("file", BOB, (gid_t)-1));
    ck_assert_int_eq(stat_of("file").st_gid, CREW);
    ok(chown("file", (uid_t)-1, BOB));
    ck_assert_int_eq(stat_of("file").st_uid, BOB);
}
END_TEST

START_TEST(lchown_changes_the_symlink_and_chown_what_it_points_to)
{
    owned("file", ALICE, ALICE, 0755);
    ok(symlink("file", "link"));
    ok(lchown("link", BOB, BOB));
    ck_assert_int_eq(stat_of("link").st_uid, BOB);
    ck_assert_int_eq(stat_of("file").st_uid, ALICE);
    ok(chown("link", CREW, CREW));
    ck_assert_int_eq(stat_of("link").st_uid, BOB);
    ck_assert_int_eq(stat_of("file").st_uid, CREW);
}
END_TEST

START_TEST(owners_of_32_bits_are_kept)
{
    owned("file", 0xfffffffeu, 0xfffffffdu, 0644);
    ck_assert_uint_eq(stat_of("file").st_uid, 0xfffffffeu);
    ck_assert_uint_eq(stat_of("file").st_gid, 0xfffffffdu);
}
END_TEST

START_TEST(O_NOATIME_is_for_the_owner_and_root)
{
    owned("file", ALICE, ALICE, 0666);
    become(BOB, BOB, 0);
    fails(open("file", O_RDONLY | O_NOATIME), EPERM);
    int fd = open("file", O_RDONLY);
    fails(fcntl(fd, F_SETFL, O_NOATIME), EPERM);
    become(ALICE, ALICE, 0);
    ok(open("file", O_RDONLY | O_NOATIME));
    become_root();
    ok(open("file", O_RDONLY | O_NOATIME));
}
END_TEST

START_TEST(fchmod_and_fchown_work_on_a_file_open_to_read)
{
    owned("file", ALICE, ALICE, 0644);
    int fd = open("file", O_RDONLY);
    ok(fchown(fd, BOB, CREW));
    ok(fchmod(fd, 0611));
    ck_assert_int_eq(stat_of("file").st_uid, BOB);
    ck_assert_int_eq(mode_of("file"), 0611);
}
END_TEST

RUN("permissions", the_owners_bits_count_for_the_owner_even_where_others_have_more,
    the_groups_bits_count_for_members_even_where_others_have_more,
    a_supplementary_group_gives_its_rights,
    root_reads_and_writes_everything_and_executes_what_somebody_may,
    access_asks_for_the_real_user_and_eaccess_for_the_effective_one,
    access_sees_existence_and_refuses_other_modes,
    an_open_file_stays_open_when_the_right_to_it_goes, listing_needs_read_and_entering_needs_search,
    a_folder_with_write_alone_takes_no_name_without_search,
    a_file_of_somebody_else_is_removed_by_who_may_write_the_folder,
    moving_a_folder_elsewhere_needs_write_on_it_for_its_dotdot,
    in_a_sticky_folder_only_owners_remove_and_rename,
    in_a_sticky_folder_the_files_owner_the_folders_owner_and_root_remove,
    who_owns_a_folder_may_set_it_sticky_and_anybody_a_file, what_is_new_belongs_to_its_maker,
    a_setgid_folder_gives_its_group_and_to_folders_its_bit,
    what_moves_into_a_setgid_folder_keeps_its_group,
    a_file_with_sgid_made_in_a_group_that_is_not_ones_own_loses_it,
    the_umask_is_taken_from_what_is_new, all_twelve_bits_are_kept,
    a_users_write_takes_suid_and_sgid, also_the_owners_write_takes_them,
    a_users_truncation_takes_them, roots_write_leaves_them,
    sgid_without_group_execution_is_a_lock_mode_and_stays_for_a_member,
    chown_takes_them_also_from_root, what_changes_the_content_or_the_owner_takes_capabilities,
    what_changes_neither_leaves_them, chown_leaves_the_bits_of_folders,
    chmod_by_an_owner_outside_the_group_drops_sgid,
    a_write_to_a_mapping_leaves_the_bytes_and_the_file, chown_with_minus_one_changes_nothing,
    lchown_changes_the_symlink_and_chown_what_it_points_to, owners_of_32_bits_are_kept,
    O_NOATIME_is_for_the_owner_and_root, fchmod_and_fchown_work_on_a_file_open_to_read)
