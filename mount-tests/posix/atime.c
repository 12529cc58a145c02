/* Which call changes the access time, by the rules of relatime (mount(8)): where it is not younger
 * than mtime or ctime, or older than a day; or always (strictatime) or never (noatime), as statvfs
 * or ATIME tells. skeinfs sees no reading of pages that the kernel has already: the one test that
 * shows it says so. */
#include "posix.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <time.h>

static bool keeps_atime(void)
{
    struct statvfs st;
    ok(statvfs(".", &st));
    return !(st.f_flag & ST_NOATIME);
}

/* libfuse does not know strictatime: the kernel says relatime of such a mount. */
static bool is_strict(void)
{
    struct statvfs st;
    const char *atime = getenv("ATIME");
    ok(statvfs(".", &st));
    return !(st.f_flag & (ST_RELATIME | ST_NOATIME)) ||
           (atime && strcmp(atime, "strictatime") == 0);
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

/* The next read asks the filesystem. */
static void let_go_of_pages(int fd)
{
    ok(fsync(fd));
    ok(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
}

/* The kernel does not have it any more (with writeback it has all that was just written). */
static void make_stored_file(const char *name, const char *text)
{
    make_file(name, text);
    int fd = open(name, O_RDONLY | O_NOATIME);
    let_go_of_pages(fd);
    ok(close(fd));
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
    ok(munmap((void *)p, 4));
}
static void by_sendfile(int fd)
{
    int to = open("copy", O_WRONLY | O_CREAT, 0644);
    ck_assert_int_eq(sendfile(to, fd, NULL, 4), 4);
}

START_TEST(every_way_to_read_is_an_access)
{
    static void (*const ways[])(int) = {by_read, by_pread, by_mapping, by_sendfile};
    make_stored_file("file", "text");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct stat st = age("file", 1000);
        int fd = open("file", O_RDONLY);
        let_go_of_pages(fd);
        ways[i](fd);
        close(fd);
        expect_access(&st, "file", true);
    }
}
END_TEST

/* Whole pages that a program has just written are read without a request. */
START_TEST(reading_what_the_kernel_has_is_an_access_that_the_mount_does_not_see)
{
    static const char page[4097] = "text";
    char got[4];
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    ok(write(fd, page, 4096));
    struct stat st = age("file", 1000);
    ok(pread(fd, got, 4, 0));
    expect_access(&st, "file", on_native());
    st = age("file", 1000);
    let_go_of_pages(fd);
    ok(pread(fd, got, 4, 0));
    expect_access(&st, "file", true);
}
END_TEST

START_TEST(listing_with_O_NOATIME_is_none)
{
    ok(mkdir("dir", 0755));
    make_file("dir/file", "");
    struct stat st = age("dir", 1000);
    DIR *d = fdopendir(open("dir", O_RDONLY | O_DIRECTORY | O_NOATIME));
    ck_assert_ptr_nonnull(readdir(d));
    closedir(d);
    expect_access(&st, "dir", false);
}
END_TEST

START_TEST(a_change_after_an_access_keeps_its_time)
{
    make_stored_file("file", "text");
    struct stat before = age("file", 1000);
    by_read(open("file", O_RDONLY));
    expect_access(&before, "file", true);
    struct stat read_at = stat_of("file");
    ok(chmod("file", 0600));
    ok(rename("file", "moved"));
    ok(link("moved", "second"));
    ok(truncate("moved", 2));
    ck_assert(same(stat_of("second").st_atim, read_at.st_atim));
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
    make_stored_file("script", "#!/bin/sh\nexit 0\n");
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
    make_stored_file("file", "text");
    struct stat st = age("file", 1000);
    int fd = open("file", O_RDONLY | O_NOATIME);
    by_read(fd);
    expect_access(&st, "file", false);
}
END_TEST

START_TEST(under_relatime_a_second_access_within_a_day_changes_nothing)
{
    if (is_strict())
        return;
    make_stored_file("file", "text");
    age("file", 1000);
    wait_ms(20);
    by_read(open("file", O_RDONLY)); /* from here on younger than ctime */
    struct stat st = stat_of("file");
    wait_ms(20);
    by_read(open("file", O_RDONLY));
    expect_access(&st, "file", false);
}
END_TEST

/* Of a folder: the kernel keeps no listing of the mount's. */
START_TEST(under_strictatime_every_access_counts)
{
    if (!is_strict())
        return;
    for (int i = 0; i < 3; i++) {
        struct stat st = stat_of(".");
        wait_ms(20);
        DIR *d = opendir(".");
        while (readdir(d))
            ;
        closedir(d);
        expect_access(&st, ".", true);
    }
}
END_TEST

START_TEST(a_time_that_was_set_stays_until_the_next_access)
{
    make_stored_file("file", "text");
    struct stat st = age("file", 200000);
    ck_assert_int_eq(st.st_atim.tv_nsec, 7);
    expect_access(&st, "file", false);
    by_read(open("file", O_RDONLY));
    expect_access(&st, "file", true);
}
END_TEST

START_TEST(who_may_read_only_makes_an_access_too)
{
    make_stored_file("file", "text");
    struct stat st = age("file", 1000);
    become(ALICE, ALICE, 0);
    by_read(open("file", O_RDONLY));
    become_root();
    expect_access(&st, "file", true);
}
END_TEST

RUN("atime", every_way_to_read_is_an_access, under_strictatime_every_access_counts,
    reading_what_the_kernel_has_is_an_access_that_the_mount_does_not_see,
    listing_with_O_NOATIME_is_none, a_change_after_an_access_keeps_its_time,
    listing_a_folder_is_an_access, reading_a_symlink_is_an_access, running_a_program_is_an_access,
    what_does_not_read_is_none, O_NOATIME_reads_without_an_access,
    under_relatime_a_second_access_within_a_day_changes_nothing,
    a_time_that_was_set_stays_until_the_next_access, who_may_read_only_makes_an_access_too)
