/* What a filesystem that is mounted read-only refuses, and what it still does. The folder this
 * starts in is read-only and holds what the shell test has made there:
 *
 *   file (text "text", mode 0666, user.there=yes), dir (0777), dir/sub (empty), link -> file,
 *   fifo, program (a shell script, 0755), closed (0700, root's), closed/file
 *
 * EROFS is for calls that would change something. */
#include "posix.h"

#include <dirent.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "../../store/tests/run_suite.h"

START_TEST(opening_to_write_is_EROFS)
{
    fails(open("file", O_WRONLY), EROFS);
    fails(open("file", O_RDWR), EROFS);
    fails(open("file", O_RDONLY | O_TRUNC), EROFS);
    fails(open("link", O_WRONLY), EROFS);
    fails(open("dir/new", O_WRONLY | O_CREAT, 0644), EROFS);
    fails(creat("file", 0644), EROFS);
    fails(truncate("file", 0), EROFS);
    expect_text("file", "text");
}
END_TEST

START_TEST(O_CREAT_of_a_file_that_is_there_opens_it_to_read)
{
    int fd = open("file", O_RDONLY | O_CREAT, 0644);
    ok(fd);
    ok(close(fd));
    fails(open("file", O_RDONLY | O_CREAT | O_EXCL, 0644), EEXIST);
}
END_TEST

START_TEST(making_anything_is_EROFS)
{
    fails(mkdir("dir/new", 0755), EROFS);
    fails(mkfifo("dir/new", 0644), EROFS);
    fails(mknod("dir/new", S_IFREG | 0644, 0), EROFS);
    fails(symlink("file", "dir/new"), EROFS);
    fails(link("file", "dir/new"), EROFS);
}
END_TEST

START_TEST(removing_and_renaming_are_EROFS)
{
    fails(unlink("file"), EROFS);
    fails(unlink("link"), EROFS);
    fails(rmdir("dir/sub"), EROFS);
    fails(rename("file", "dir/new"), EROFS);
    fails(rename("file", "fifo"), EROFS);
    fails(renameat2(AT_FDCWD, "file", AT_FDCWD, "fifo", RENAME_EXCHANGE), EROFS);
    expect_text("file", "text");
}
END_TEST

START_TEST(changing_attributes_is_EROFS)
{
    const struct timespec t[2] = {{1, 0}, {2, 0}};
    fails(chmod("file", 0600), EROFS);
    fails(chown("file", ALICE, ALICE), EROFS);
    fails(lchown("link", ALICE, ALICE), EROFS);
    fails(utimensat(AT_FDCWD, "file", t, 0), EROFS);
    fails(utimensat(AT_FDCWD, "file", NULL, 0), EROFS);
    fails(setxattr("file", "user.x", "x", 1, 0), EROFS);
    fails(removexattr("file", "user.there"), EROFS);
    ck_assert_int_eq(mode_of("file"), 0666);
}
END_TEST

START_TEST(an_open_file_takes_no_new_mode_owner_or_time)
{
    int fd = open("file", O_RDONLY);
    ok(fd);
    fails(fchmod(fd, 0600), EROFS);
    fails(fchown(fd, ALICE, ALICE), EROFS);
    fails(futimens(fd, NULL), EROFS);
    fails(fsetxattr(fd, "user.x", "x", 1, 0), EROFS);
    ok(fsync(fd));
}
END_TEST

/* POSIX leaves the order open; Linux looks whether it may write before it looks for the name. */
START_TEST(removing_what_is_missing_is_EROFS)
{
    fails(unlink("missing"), EROFS);
    fails(rmdir("missing"), EROFS);
    fails(rename("missing", "new"), EROFS);
    fails(unlink("dir"), EROFS);
    fails(rmdir("file"), EROFS);
    fails(unlink("missing/file"), ENOENT);
    fails(unlink("file/file"), ENOTDIR);
}
END_TEST

START_TEST(what_is_missing_or_taken_comes_before_EROFS)
{
    fails(open("missing", O_WRONLY), ENOENT);
    fails(chmod("missing", 0644), ENOENT);
    fails(truncate("missing", 0), ENOENT);
    fails(mkdir("dir", 0755), EEXIST);
    fails(symlink("x", "link"), EEXIST);
    fails(mkdir("file/new", 0755), ENOTDIR);
    fails(open("dir", O_WRONLY), EISDIR);
}
END_TEST

START_TEST(a_folder_that_may_not_be_searched_is_EACCES_before_EROFS)
{
    become(ALICE, ALICE, 0);
    fails(open("closed/file", O_WRONLY), EACCES);
    fails(unlink("closed/file"), EACCES);
    fails(mkdir("closed/new", 0755), EACCES);
}
END_TEST

START_TEST(access_to_write_is_EROFS_where_it_would_write_the_disk)
{
    ok(access("file", R_OK));
    fails(access("file", W_OK), EROFS);
    fails(access("dir", W_OK), EROFS);
    ok(access("fifo", W_OK)); /* a fifo's bytes do not go to the disk */
    become(ALICE, ALICE, 0);
    fails(access("file", W_OK), EROFS);
}
END_TEST

START_TEST(everything_is_read_as_ever)
{
    char target[16] = "", value[16] = "";
    expect_text("file", "text");
    ck_assert_int_eq(readlink("link", target, sizeof target), 4);
    ck_assert_str_eq(target, "file");
    ck_assert_int_eq(getxattr("file", "user.there", value, sizeof value), 3);
    int n = 0;
    DIR *d = opendir("dir");
    ck_assert_ptr_nonnull(d);
    while (readdir(d))
        n++;
    closedir(d);
    ck_assert_int_eq(n, 3);
    int fd = open("dir", O_RDONLY | O_DIRECTORY);
    ok(fd);
    ok(fsync(fd));
}
END_TEST

START_TEST(a_private_mapping_is_written)
{
    int fd = open("file", O_RDONLY);
    char *p = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    p[0] = 'T';
    ck_assert(memcmp(p, "Text", 4) == 0);
    expect_text("file", "text");
    ck_assert_ptr_eq(mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    ck_assert_int_eq(errno, EACCES);
}
END_TEST

static int program(void *arg)
{
    execl("./program", "program", (char *)NULL);
    (void)arg;
    return 126;
}

START_TEST(programs_run)
{
    ck_assert_int_eq(in_child(program, NULL), 7);
}
END_TEST

START_TEST(a_fifo_carries_bytes)
{
    char got[4] = "";
    int fd = open("fifo", O_RDWR);
    ok(fd);
    ck_assert_int_eq(write(fd, "abc", 3), 3);
    ck_assert_int_eq(read(fd, got, 3), 3);
    ck_assert_str_eq(got, "abc");
}
END_TEST

START_TEST(statvfs_says_so)
{
    struct statvfs st;
    ok(statvfs(".", &st));
    ck_assert_msg(st.f_flag & ST_RDONLY, "f_flag %lx", st.f_flag);
}
END_TEST

/* Not posix_run: nothing can be made here for a test. */
int main(void)
{
    const TTest *const tests[] = {
        opening_to_write_is_EROFS,
        O_CREAT_of_a_file_that_is_there_opens_it_to_read,
        making_anything_is_EROFS,
        removing_and_renaming_are_EROFS,
        changing_attributes_is_EROFS,
        an_open_file_takes_no_new_mode_owner_or_time,
        removing_what_is_missing_is_EROFS,
        what_is_missing_or_taken_comes_before_EROFS,
        a_folder_that_may_not_be_searched_is_EACCES_before_EROFS,
        access_to_write_is_EROFS_where_it_would_write_the_disk,
        everything_is_read_as_ever,
        a_private_mapping_is_written,
        programs_run,
        a_fifo_carries_bytes,
        statvfs_says_so,
        NULL,
    };
    return run_tests("read_only", 60, NULL, NULL, tests);
}
