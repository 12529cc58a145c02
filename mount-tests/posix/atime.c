/* Which call changes the access time, by the rules of relatime (mount(8)): where it is not younger
 * than mtime or ctime, or older than a day. skeinfs keeps access times as with noatime (the kernel
 * has the content and the listing in its caches and does not tell): there the same calls must
 * change nothing, and so on any mount with noatime. */
#include "posix.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <time.h>

static bool keeps_atime(void)
{
    struct statvfs st;
    ok(statvfs(".", &st));
    return on_native() && !(st.f_flag & ST_NOATIME);
}

static bool same(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* atime gets this old, mtime older; ctime is now, so relatime is due whatever the age. */
static struct stat age(const char *name, time_t seconds)
{
    const struct timespec t[2] = {{time(NULL) - seconds, 7}, {time(NULL) - 2 * seconds, 7}};
    ok(utimensat(AT_FDCWD, name, t, AT_SYMLINK_NOFOLLOW));
    return stat_of(name);
}

/* Only atime may have changed, and it has if it should. */
static void expect_access(const struct stat *before, const char *name, bool changed)
{
    struct stat now = stat_of(name);
    ck_assert_msg(same(before->st_mtim, now.st_mtim), "mtime of %s changed", name);
    ck_assert_msg(same(before->st_ctim, now.st_ctim), "ctime of %s changed", name);
    ck_assert_msg(same(before->st_atim, now.st_atim) != (changed && keeps_atime()),
                  "atime of %s %s", name, changed ? "did not change as it should" : "changed");
}

/* ---- each of these reads "file" */

static void by_read(int fd)
{
    char got[4];
    ck_assert_int_eq(read(fd, got, 4), 4);
}
static void by_pread(int fd)
{
    char got[4];
    ck_assert_int_eq(pread(fd, got, 2, 1), 2);
}
static void by_mapping(int fd)
{
    const char *p = mmap(NULL, 4, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    ck_assert_int_eq(p[0], 't');
}
static void by_sendfile(int fd)
{
    int to = open("copy", O_WRONLY | O_CREAT, 0644);
    ck_assert_int_eq(sendfile(to, fd, NULL, 4), 4);
}

START_TEST(every_way_to_read_is_an_access)
{
    static void (*const ways[])(int) = {by_read, by_pread, by_mapping, by_sendfile};
    make_file("file", "text");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct stat st = age("file", 1000);
        int fd = open("file", O_RDONLY);
        ways[i](fd);
        close(fd);
        expect_access(&st, "file", true);
    }
}
END_TEST

START_TEST(listing_a_folder_is_an_access)
{
    ok(mkdir("dir", 0755));
    make_file("dir/file", "");
    struct stat st = age("dir", 1000);
    DIR *d = opendir("dir");
    expect_access(&st, "dir", false);
    while (readdir(d))
        ;
    closedir(d);
    expect_access(&st, "dir", true);
}
END_TEST

START_TEST(reading_a_symlink_is_an_access)
{
    char target[16];
    ok(symlink("target", "link"));
    struct stat st = age("link", 1000);
    ok(readlink("link", target, sizeof target));
    expect_access(&st, "link", true);
}
END_TEST

START_TEST(running_a_program_is_an_access)
{
    make_file("script", "#!/bin/sh\nexit 0\n");
    ok(chmod("script", 0755));
    struct stat st = age("script", 1000);
    ck_assert_int_eq(system("./script"), 0);
    expect_access(&st, "script", true);
}
END_TEST

START_TEST(what_does_not_read_is_none)
{
    struct stat got;
    ok(mkdir("dir", 0755));
    make_file("dir/file", "text");
    struct stat file = age("dir/file", 1000), dir = age("dir", 1000);
    ok(stat("dir/file", &got));
    ok(access("dir/file", R_OK));
    int fd = open("dir/file", O_RDWR), path = open("dir/file", O_PATH);
    ok(fstat(path, &got));
    ok(lseek(fd, 0, SEEK_END));
    ok(read(fd, &got, 0));
    ok(fsync(fd));
    expect_access(&file, "dir/file", false);
    expect_access(&dir, "dir", false); /* to search is not to list */
    ok(pwrite(fd, "T", 1, 0));
    ck_assert(same(stat_of("dir/file").st_atim, file.st_atim));
}
END_TEST

START_TEST(O_NOATIME_reads_without_an_access)
{
    make_file("file", "text");
    struct stat st = age("file", 1000);
    int fd = open("file", O_RDONLY | O_NOATIME);
    by_read(fd);
    expect_access(&st, "file", false);
}
END_TEST

START_TEST(under_relatime_a_second_access_within_a_day_changes_nothing)
{
    struct statvfs fs;
    ok(statvfs(".", &fs));
    if (keeps_atime() && !(fs.f_flag & ST_RELATIME))
        return; /* strictatime */
    make_file("file", "text");
    age("file", 1000);
    wait_ms(20);
    by_read(open("file", O_RDONLY)); /* from here on younger than ctime */
    struct stat st = stat_of("file");
    wait_ms(20);
    by_read(open("file", O_RDONLY));
    expect_access(&st, "file", false);
}
END_TEST

START_TEST(a_time_that_was_set_stays_until_the_next_access)
{
    make_file("file", "text");
    struct stat st = age("file", 200000);
    ck_assert_int_eq(st.st_atim.tv_nsec, 7);
    expect_access(&st, "file", false);
    by_read(open("file", O_RDONLY));
    expect_access(&st, "file", true);
}
END_TEST

START_TEST(who_may_read_only_makes_an_access_too)
{
    make_file("file", "text");
    struct stat st = age("file", 1000);
    become(ALICE, ALICE, 0);
    by_read(open("file", O_RDONLY));
    become_root();
    expect_access(&st, "file", true);
}
END_TEST

RUN("atime", every_way_to_read_is_an_access, listing_a_folder_is_an_access,
    reading_a_symlink_is_an_access, running_a_program_is_an_access, what_does_not_read_is_none,
    O_NOATIME_reads_without_an_access, under_relatime_a_second_access_within_a_day_changes_nothing,
    a_time_that_was_set_stays_until_the_next_access, who_may_read_only_makes_an_access_too)
