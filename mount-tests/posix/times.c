/* Which call changes which time of which object, and how exactly times are kept. */
#include "posix.h"

#include <dirent.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <time.h>

enum { A = 1, M = 2, C = 4 };

static const struct timespec old = {1000000000, 123456789};

/* atime and mtime become old; ctime is whatever it is now, and the clock moves on from it. */
static struct stat age(const char *name)
{
    const struct timespec t[2] = {old, old};
    ok(utimensat(AT_FDCWD, name, t, AT_SYMLINK_NOFOLLOW));
    wait_ms(20); /* the clock for times is a coarse one: a tick of up to 10 ms */
    return stat_of(name);
}

static struct stat aged_file(const char *name)
{
    make_file(name, "text");
    return age(name);
}

static bool same(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static int changed_since(const struct stat *before, const char *name)
{
    struct stat now = stat_of(name);
    return (same(before->st_atim, now.st_atim) ? 0 : A) |
           (same(before->st_mtim, now.st_mtim) ? 0 : M) |
           (same(before->st_ctim, now.st_ctim) ? 0 : C);
}
#define changes(before, name, wanted)                                                              \
    do {                                                                                           \
        int got_ = changed_since(&(before), name);                                                 \
        ck_assert_msg(got_ == (wanted), "%s:%s%s%s changed", name, got_ & A ? " atime" : "",       \
                      got_ & M ? " mtime" : "", got_ & C ? " ctime" : "");                         \
    } while (0)

static struct stat aged_folder(const char *name)
{
    ok(mkdir(name, 0755));
    return age(name);
}

/* ---- what is new */

START_TEST(what_is_new_has_all_times_of_its_making)
{
    struct timespec begin, end;
    clock_gettime(CLOCK_REALTIME, &begin);
    make_file("file", "");
    ok(mkdir("dir", 0755));
    ok(symlink("x", "link"));
    ok(mkfifo("fifo", 0644));
    clock_gettime(CLOCK_REALTIME, &end);
    const char *const names[] = {"file", "dir", "link", "fifo"};
    for (int i = 0; i < 4; i++) {
        struct stat st = stat_of(names[i]);
        const struct timespec all[] = {st.st_atim, st.st_mtim, st.st_ctim};
        for (int t = 0; t < 3; t++) {
            ck_assert_int_ge(all[t].tv_sec, begin.tv_sec - 1);
            ck_assert_int_le(all[t].tv_sec, end.tv_sec);
        }
    }
}
END_TEST

/* Each of these makes or removes a name in "dir". */
static void in_dir_open(void)
{
    ok(close(open("dir/new", O_WRONLY | O_CREAT, 0644)));
}
static void in_dir_mkdir(void)
{
    ok(mkdir("dir/new", 0755));
}
static void in_dir_mkfifo(void)
{
    ok(mkfifo("dir/new", 0644));
}
static void in_dir_symlink(void)
{
    ok(symlink("x", "dir/new"));
}
static void in_dir_link(void)
{
    ok(link("other", "dir/new"));
}
static void in_dir_rename_to(void)
{
    ok(rename("other", "dir/new"));
}
static void in_dir_unlink(void)
{
    ok(unlink("dir/file"));
}
static void in_dir_rmdir(void)
{
    ok(rmdir("dir/sub"));
}
static void in_dir_rename_from(void)
{
    ok(rename("dir/file", "out"));
}
static void in_dir_rename_within(void)
{
    ok(rename("dir/file", "dir/new"));
}
static void in_dir_replace(void)
{
    ok(rename("other", "dir/file"));
}
static void in_dir_exchange(void)
{
    ok(renameat2(AT_FDCWD, "other", AT_FDCWD, "dir/file", RENAME_EXCHANGE));
}

START_TEST(every_change_of_a_name_changes_mtime_and_ctime_of_its_folder)
{
    static void (*const change[])(void) = {
        in_dir_open,    in_dir_mkdir,       in_dir_mkfifo,        in_dir_symlink,
        in_dir_link,    in_dir_rename_to,   in_dir_unlink,        in_dir_rmdir,
        in_dir_replace, in_dir_rename_from, in_dir_rename_within, in_dir_exchange,
    };
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        char round[16];
        snprintf(round, sizeof round, "round%zu", i);
        ok(mkdir(round, 0755));
        ok(chdir(round));
        ok(mkdir("dir", 0755));
        make_file("dir/file", "");
        ok(mkdir("dir/sub", 0755));
        make_file("other", "");
        struct stat dir = age("dir");
        change[i]();
        ck_assert_msg(changed_since(&dir, "dir") == (M | C), "number %zu", i);
        ok(chdir(".."));
    }
}
END_TEST

START_TEST(failed_calls_change_no_times)
{
    ok(mkdir("dir", 0755));
    make_file("dir/file", "");
    struct stat dir = age("dir"), file = age("dir/file");
    dir = age("dir");
    fails(mkdir("dir/file", 0755), EEXIST);
    fails(unlink("dir/missing"), ENOENT);
    fails(rename("dir/missing", "dir/new"), ENOENT);
    fails(rmdir("dir"), ENOTEMPTY);
    fails(link("dir/file", "dir/file"), EEXIST);
    fails(truncate("dir/file", -1), EINVAL);
    changes(dir, "dir", 0);
    changes(file, "dir/file", 0);
}
END_TEST

START_TEST(a_change_deeper_down_changes_nothing_above)
{
    ok(mkdir("dir", 0755));
    ok(mkdir("dir/sub", 0755));
    struct stat dir = age("dir");
    make_file("dir/sub/file", "");
    changes(dir, "dir", 0);
}
END_TEST

/* ---- content */

START_TEST(write_changes_mtime_and_ctime)
{
    struct stat st = aged_file("file");
    int fd = open("file", O_WRONLY);
    changes(st, "file", 0);
    ok(write(fd, "x", 1));
    changes(st, "file", M | C);
}
END_TEST

START_TEST(write_of_nothing_changes_nothing)
{
    struct stat st = aged_file("file");
    int fd = open("file", O_WRONLY);
    ok(write(fd, "x", 0));
    changes(st, "file", 0);
}
END_TEST

START_TEST(a_write_over_the_same_bytes_counts)
{
    struct stat st = aged_file("file");
    int fd = open("file", O_WRONLY);
    ok(write(fd, "text", 4));
    changes(st, "file", M | C);
}
END_TEST

START_TEST(truncate_changes_mtime_and_ctime_when_the_size_changes)
{
    struct stat a = aged_file("shorter"), b = aged_file("longer");
    ok(truncate("shorter", 1));
    ok(truncate("longer", 10000));
    changes(a, "shorter", M | C);
    changes(b, "longer", M | C);
}
END_TEST

START_TEST(ftruncate_to_the_same_size_changes_mtime_and_ctime)
{
    struct stat st = aged_file("file");
    int fd = open("file", O_WRONLY);
    ok(ftruncate(fd, 4));
    changes(st, "file", M | C);
}
END_TEST

START_TEST(O_TRUNC_changes_mtime_and_ctime_also_of_an_empty_file)
{
    make_file("empty", "");
    struct stat a = aged_file("file"), b = age("empty");
    ok(open("file", O_WRONLY | O_TRUNC));
    ok(open("empty", O_WRONLY | O_TRUNC));
    changes(a, "file", M | C);
    changes(b, "empty", M | C);
}
END_TEST

START_TEST(O_CREAT_of_what_is_there_changes_nothing)
{
    ok(mkdir("dir", 0755));
    make_file("dir/file", "");
    struct stat file = age("dir/file"), dir = age("dir");
    ok(open("dir/file", O_RDWR | O_CREAT, 0600));
    changes(file, "dir/file", 0);
    changes(dir, "dir", 0);
}
END_TEST

START_TEST(a_write_to_a_mapping_changes_mtime_and_ctime_by_msync)
{
    struct stat st = aged_file("file");
    int fd = open("file", O_RDWR);
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    p[0] = 'T';
    ok(msync(p, 4096, MS_SYNC));
    ok(munmap(p, 4096));
    ok(close(fd));
    ck_assert_int_eq(changed_since(&st, "file") & (M | C), M | C);
}
END_TEST

/* POSIX lets a filesystem be mounted so that reading leaves atime (noatime, relatime). */
#define only_atime_may_have_changed(before, name)                                                  \
    ck_assert_int_eq(changed_since(&(before), name) & ~A, 0)

START_TEST(reading_changes_nothing_but_atime)
{
    char got[16];
    ok(mkdir("dir", 0755));
    make_file("dir/entry", "");
    ok(symlink("target", "link"));
    struct stat file = aged_file("file"), dir = age("dir"), link = age("link");
    int fd = open("file", O_RDONLY);
    ck_assert_int_eq(read(fd, got, sizeof got), 4);
    char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert_int_eq(p[0], 't');
    ok(close(fd));
    DIR *d = opendir("dir");
    while (readdir(d))
        continue;
    closedir(d);
    ok(readlink("link", got, sizeof got));
    only_atime_may_have_changed(file, "file");
    only_atime_may_have_changed(dir, "dir");
    only_atime_may_have_changed(link, "link");
}
END_TEST

START_TEST(O_NOATIME_and_fsync_and_looking_change_nothing)
{
    char got[16];
    struct stat st = aged_file("file");
    int fd = open("file", O_RDWR | O_NOATIME);
    ck_assert_int_eq(read(fd, got, sizeof got), 4);
    ok(fsync(fd));
    ok(lseek(fd, 0, SEEK_END));
    ok(access("file", R_OK));
    fails(getxattr("file", "user.x", got, sizeof got), ENODATA);
    ok(close(fd));
    changes(st, "file", 0);
}
END_TEST

/* ---- attributes */

START_TEST(chmod_chown_and_attributes_change_ctime_alone)
{
    struct stat st = aged_file("file");
    ok(chmod("file", 0600));
    changes(st, "file", C);
    st = age("file");
    ok(chown("file", ALICE, ALICE));
    changes(st, "file", C);
    st = age("file");
    ok(setxattr("file", "user.x", "x", 1, 0));
    changes(st, "file", C);
    st = age("file");
    ok(removexattr("file", "user.x"));
    changes(st, "file", C);
}
END_TEST

START_TEST(chmod_to_the_same_mode_changes_ctime)
{
    struct stat st = aged_file("file");
    ok(chmod("file", 0644));
    changes(st, "file", C);
}
END_TEST

START_TEST(link_and_unlink_change_ctime_of_the_file)
{
    struct stat st = aged_file("file");
    ok(link("file", "second"));
    changes(st, "file", C);
    st = age("file");
    ok(unlink("second"));
    changes(st, "file", C);
}
END_TEST

START_TEST(rename_changes_ctime_of_what_moves)
{
    struct stat file = aged_file("file"), dir = aged_folder("dir");
    ok(rename("file", "moved"));
    ok(rename("dir", "moved_dir"));
    changes(file, "moved", C);
    changes(dir, "moved_dir", C);
}
END_TEST

START_TEST(rename_over_a_file_changes_ctime_of_the_other_names_of_what_went)
{
    make_file("target", "");
    ok(link("target", "second"));
    make_file("new", "");
    struct stat st = age("second");
    ok(rename("new", "target"));
    changes(st, "second", C);
}
END_TEST

START_TEST(rename_of_two_names_of_one_file_changes_nothing)
{
    ok(mkdir("dir", 0755));
    make_file("dir/one", "");
    ok(link("dir/one", "dir/two"));
    struct stat dir = age("dir"), file = age("dir/one");
    dir = age("dir");
    ok(rename("dir/one", "dir/two"));
    changes(file, "dir/one", 0);
    changes(dir, "dir", 0);
}
END_TEST

/* ---- both ends of a name */

START_TEST(rename_changes_mtime_and_ctime_of_both_folders_and_ctime_of_what_moves)
{
    ok(mkdir("from", 0755));
    ok(mkdir("to", 0755));
    make_file("from/file", "");
    ok(mkdir("from/dir", 0755));
    struct stat file = age("from/file"), dir = age("from/dir"), from = age("from"), to = age("to");
    ok(rename("from/file", "to/file"));
    changes(file, "to/file", C);
    changes(from, "from", M | C);
    changes(to, "to", M | C);
    from = age("from"), to = age("to");
    ok(rename("from/dir", "to/dir"));
    changes(dir, "to/dir", C); /* its ".." is another one; what is in it is not */
    changes(from, "from", M | C);
    changes(to, "to", M | C);
}
END_TEST

START_TEST(exchanging_changes_ctime_of_both_and_their_folders)
{
    ok(mkdir("a", 0755));
    ok(mkdir("b", 0755));
    make_file("a/one", "");
    ok(mkdir("b/two", 0755));
    struct stat one = age("a/one"), two = age("b/two"), a = age("a"), b = age("b");
    ok(renameat2(AT_FDCWD, "a/one", AT_FDCWD, "b/two", RENAME_EXCHANGE));
    changes(one, "b/two", C);
    changes(two, "a/one", C);
    changes(a, "a", M | C);
    changes(b, "b", M | C);
}
END_TEST

START_TEST(link_changes_the_file_and_the_folder_of_the_new_name_alone)
{
    ok(mkdir("old", 0755));
    ok(mkdir("new", 0755));
    make_file("old/file", "");
    struct stat file = age("old/file"), from = age("old"), to = age("new");
    ok(link("old/file", "new/second"));
    changes(file, "old/file", C);
    changes(from, "old", 0);
    changes(to, "new", M | C);
    file = age("old/file"), from = age("old"), to = age("new");
    ok(unlink("old/file"));
    changes(file, "new/second", C);
    changes(from, "old", M | C);
    changes(to, "new", 0);
}
END_TEST

START_TEST(an_open_file_without_a_name_has_ctime_of_losing_it)
{
    struct stat before = aged_file("file"), now;
    int fd = open("file", O_RDWR);
    ok(unlink("file"));
    ok(fstat(fd, &now));
    ck_assert(same(now.st_atim, before.st_atim) && same(now.st_mtim, before.st_mtim));
    ck_assert(!same(now.st_ctim, before.st_ctim));
    wait_ms(20);
    ok(write(fd, "x", 1));
    before = now;
    ok(fstat(fd, &now));
    ck_assert(!same(now.st_mtim, before.st_mtim) && !same(now.st_ctim, before.st_ctim));
}
END_TEST

/* ---- more of content */

START_TEST(truncate_to_the_same_size_changes_mtime_and_ctime)
{
    struct stat st = aged_file("file");
    ok(truncate("file", 4));
    /* The kernel that collects writes keeps times itself, and sees no change here. */
    changes(st, "file", getenv("POSIX_WRITEBACK") ? 0 : M | C);
}
END_TEST

START_TEST(fallocate_changes_mtime_and_ctime)
{
    static const struct {
        int mode;
        off_t off, len;
    } cases[] = {
        {0, 0, 8192},
        {FALLOC_FL_KEEP_SIZE, 100000, 4096},
        {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096},
        {FALLOC_FL_ZERO_RANGE, 1, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stat st = aged_file("file");
        int fd = open("file", O_RDWR);
        int rc = fallocate(fd, cases[i].mode, cases[i].off, cases[i].len);
        ck_assert_msg(rc == 0 || errno == EOPNOTSUPP, "number %zu: %s", i, strerrorname_np(errno));
        ok(close(fd));
        int got = changed_since(&st, "file");
        ck_assert_msg(rc || got == (M | C), "number %zu: %d", i, got);
    }
}
END_TEST

START_TEST(copy_file_range_changes_mtime_and_ctime_of_the_target_alone)
{
    struct stat from = aged_file("from"), to = aged_file("to");
    int in = open("from", O_RDONLY), out = open("to", O_WRONLY);
    ck_assert_int_eq(copy_file_range(in, NULL, out, NULL, 4, 0), 4);
    ok(close(in));
    ok(close(out));
    changes(to, "to", M | C);
    ck_assert_int_eq(changed_since(&from, "from") & ~A, 0);
}
END_TEST

START_TEST(a_mapping_that_is_written_twice_counts_twice)
{
    aged_file("file");
    int fd = open("file", O_RDWR);
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    for (int i = 0; i < 2; i++) {
        struct stat st = age("file");
        p[i] = 'T';
        ok(msync(p, 4096, MS_SYNC));
        ck_assert_int_eq(changed_since(&st, "file") & (M | C), M | C);
    }
    ok(munmap(p, 4096));
    ok(close(fd));
}
END_TEST

/* ---- attributes that stay as they are, and of other kinds */

START_TEST(chown_to_the_same_owner_changes_ctime_and_minus_one_too_or_nothing)
{
    struct stat st = aged_file("file");
    ok(chown("file", st.st_uid, st.st_gid));
    changes(st, "file", C);
    st = age("file");
    ok(chown("file", (uid_t)-1, (gid_t)-1));
    ck_assert_int_eq(changed_since(&st, "file") & ~C, 0); /* POSIX leaves it open */
}
END_TEST

START_TEST(folders_symlinks_and_fifos_have_ctime_of_their_owner_and_mode)
{
    ok(mkfifo("fifo", 0644));
    ok(symlink("nowhere", "link"));
    struct stat dir = aged_folder("dir"), fifo = age("fifo"), link = age("link");
    ok(chmod("dir", 0700));
    changes(dir, "dir", C);
    dir = age("dir");
    ok(chown("dir", ALICE, ALICE));
    changes(dir, "dir", C);
    ok(chmod("fifo", 0600));
    changes(fifo, "fifo", C);
    ok(lchown("link", ALICE, ALICE));
    changes(link, "link", C);
    const struct timespec t[2] = {{5, 0}, {0, UTIME_OMIT}};
    link = age("link");
    ok(utimensat(AT_FDCWD, "link", t, AT_SYMLINK_NOFOLLOW));
    changes(link, "link", A | C);
}
END_TEST

START_TEST(setting_an_attribute_to_what_it_is_changes_ctime_and_failing_to_nothing)
{
    make_file("file", "");
    ok(setxattr("file", "user.x", "x", 1, 0));
    struct stat st = age("file");
    ok(setxattr("file", "user.x", "y", 1, XATTR_REPLACE));
    changes(st, "file", C);
    st = age("file");
    fails(setxattr("file", "user.x", "x", 1, XATTR_CREATE), EEXIST);
    fails(removexattr("file", "user.none"), ENODATA);
    changes(st, "file", 0);
    st = aged_folder("dir");
    ok(setxattr("dir", "user.x", "x", 1, 0));
    changes(st, "dir", C);
}
END_TEST

START_TEST(a_write_that_takes_suid_and_one_that_does_not_change_the_same_times)
{
    make_file("file", "text");
    ok(chown("file", ALICE, ALICE));
    ok(chmod("file", 04755));
    struct stat st = age("file");
    become(ALICE, ALICE, 0);
    int fd = open("file", O_WRONLY);
    ok(write(fd, "x", 1));
    ok(close(fd));
    become_root();
    changes(st, "file", M | C);
}
END_TEST

START_TEST(ctime_never_goes_back_and_cannot_be_set)
{
    make_file("file", "");
    struct timespec before = stat_of("file").st_ctim;
    for (int i = 0; i < 5; i++) {
        const struct timespec t[2] = {{1000 * i, 0}, {4000000000 + i, 0}};
        wait_ms(12);
        ok(utimensat(AT_FDCWD, "file", t, 0));
        struct timespec now = stat_of("file").st_ctim;
        ck_assert(now.tv_sec > before.tv_sec ||
                  (now.tv_sec == before.tv_sec && now.tv_nsec > before.tv_nsec));
        before = now;
    }
}
END_TEST

/* ---- utimensat */

START_TEST(times_are_kept_to_the_nanosecond)
{
    make_file("file", "");
    const struct timespec t[2] = {{1234567890, 1}, {987654321, 999999999}};
    ok(utimensat(AT_FDCWD, "file", t, 0));
    struct stat st = stat_of("file");
    ck_assert(same(st.st_atim, t[0]));
    ck_assert(same(st.st_mtim, t[1]));
}
END_TEST

START_TEST(years_before_1970_and_after_2038_are_kept)
{
    static const time_t years[] = {-1,         -2000000000, 0x7fffffff, 0x80000000L,
                                   0xffffffff, 0x100000000, 15032385534};
    make_file("file", "");
    for (size_t i = 0; i < sizeof years / sizeof *years; i++) {
        const struct timespec t[2] = {{years[i], 5}, {years[i], 6}};
        ok(utimensat(AT_FDCWD, "file", t, 0));
        struct stat st = stat_of("file");
        ck_assert(same(st.st_atim, t[0]));
        ck_assert(same(st.st_mtim, t[1]));
    }
}
END_TEST

START_TEST(UTIME_OMIT_leaves_a_time_and_UTIME_NOW_sets_the_other)
{
    struct stat st = aged_file("file");
    struct timespec t[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
    ok(utimensat(AT_FDCWD, "file", t, 0));
    changes(st, "file", M | C);
    st = age("file");
    t[0].tv_nsec = UTIME_NOW, t[1].tv_nsec = UTIME_OMIT;
    ok(utimensat(AT_FDCWD, "file", t, 0));
    changes(st, "file", A | C);
}
END_TEST

START_TEST(two_UTIME_OMIT_change_nothing)
{
    struct stat st = aged_file("file");
    const struct timespec t[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    ok(utimensat(AT_FDCWD, "file", t, 0));
    changes(st, "file", 0);
}
END_TEST

START_TEST(utimensat_changes_ctime)
{
    struct stat st = aged_file("file");
    const struct timespec t[2] = {old, old};
    ok(utimensat(AT_FDCWD, "file", t, 0));
    changes(st, "file", C);
}
END_TEST

START_TEST(no_times_mean_now)
{
    struct timespec now;
    aged_file("file");
    clock_gettime(CLOCK_REALTIME, &now);
    ok(utimensat(AT_FDCWD, "file", NULL, 0));
    struct stat st = stat_of("file");
    ck_assert_int_ge(st.st_atim.tv_sec, now.tv_sec - 1);
    ck_assert_int_ge(st.st_mtim.tv_sec, now.tv_sec - 1);
}
END_TEST

START_TEST(a_symlink_has_times_of_its_own)
{
    struct stat file = aged_file("file");
    ok(symlink("file", "link"));
    const struct timespec t[2] = {{5, 0}, {6, 0}};
    ok(utimensat(AT_FDCWD, "link", t, AT_SYMLINK_NOFOLLOW));
    ck_assert_int_eq(stat_of("link").st_mtim.tv_sec, 6);
    changes(file, "file", 0);
    ok(utimensat(AT_FDCWD, "link", t, 0));
    ck_assert_int_eq(stat_of("file").st_atim.tv_sec, 5);
}
END_TEST

START_TEST(futimens_works_on_a_file_open_to_read_and_one_without_a_name)
{
    make_file("file", "");
    int fd = open("file", O_RDONLY);
    ok(unlink("file"));
    const struct timespec t[2] = {{5, 1}, {6, 2}};
    ok(futimens(fd, t));
    struct stat st;
    ok(fstat(fd, &st));
    ck_assert(same(st.st_mtim, t[1]));
}
END_TEST

START_TEST(a_write_does_not_take_back_times_set_after_it)
{
    int fd = open("file", O_WRONLY | O_CREAT, 0644);
    ok(write(fd, "text", 4));
    const struct timespec t[2] = {old, old};
    ok(futimens(fd, t));
    ok(close(fd));
    ck_assert(same(stat_of("file").st_mtim, old));
    ck_assert(same(stat_of("file").st_atim, old));
}
END_TEST

START_TEST(statx_tells_when_a_file_was_made)
{
    struct statx stx;
    make_file("file", "");
    ok(statx(AT_FDCWD, "file", 0, STATX_ALL, &stx));
    if (!(stx.stx_mask & STATX_BTIME))
        return; /* libfuse 3.14 has no operation for it */
    struct statx later;
    wait_ms(5);
    ok(truncate("file", 100));
    ok(statx(AT_FDCWD, "file", 0, STATX_ALL, &later));
    ck_assert_int_eq(stx.stx_btime.tv_nsec, later.stx_btime.tv_nsec);
}
END_TEST

RUN("times", what_is_new_has_all_times_of_its_making,
    every_change_of_a_name_changes_mtime_and_ctime_of_its_folder, failed_calls_change_no_times,
    a_change_deeper_down_changes_nothing_above, write_changes_mtime_and_ctime,
    write_of_nothing_changes_nothing, a_write_over_the_same_bytes_counts,
    truncate_changes_mtime_and_ctime_when_the_size_changes,
    ftruncate_to_the_same_size_changes_mtime_and_ctime,
    O_TRUNC_changes_mtime_and_ctime_also_of_an_empty_file, O_CREAT_of_what_is_there_changes_nothing,
    a_write_to_a_mapping_changes_mtime_and_ctime_by_msync,
    chmod_chown_and_attributes_change_ctime_alone, chmod_to_the_same_mode_changes_ctime,
    link_and_unlink_change_ctime_of_the_file, rename_changes_ctime_of_what_moves,
    rename_over_a_file_changes_ctime_of_the_other_names_of_what_went,
    rename_of_two_names_of_one_file_changes_nothing, times_are_kept_to_the_nanosecond,
    years_before_1970_and_after_2038_are_kept,
    UTIME_OMIT_leaves_a_time_and_UTIME_NOW_sets_the_other, two_UTIME_OMIT_change_nothing,
    utimensat_changes_ctime, no_times_mean_now, a_symlink_has_times_of_its_own,
    futimens_works_on_a_file_open_to_read_and_one_without_a_name,
    a_write_does_not_take_back_times_set_after_it, statx_tells_when_a_file_was_made,
    reading_changes_nothing_but_atime, O_NOATIME_and_fsync_and_looking_change_nothing,
    rename_changes_mtime_and_ctime_of_both_folders_and_ctime_of_what_moves,
    exchanging_changes_ctime_of_both_and_their_folders,
    link_changes_the_file_and_the_folder_of_the_new_name_alone,
    an_open_file_without_a_name_has_ctime_of_losing_it,
    truncate_to_the_same_size_changes_mtime_and_ctime, fallocate_changes_mtime_and_ctime,
    copy_file_range_changes_mtime_and_ctime_of_the_target_alone,
    a_mapping_that_is_written_twice_counts_twice,
    chown_to_the_same_owner_changes_ctime_and_minus_one_too_or_nothing,
    folders_symlinks_and_fifos_have_ctime_of_their_owner_and_mode,
    setting_an_attribute_to_what_it_is_changes_ctime_and_failing_to_nothing,
    a_write_that_takes_suid_and_one_that_does_not_change_the_same_times,
    ctime_never_goes_back_and_cannot_be_set)
