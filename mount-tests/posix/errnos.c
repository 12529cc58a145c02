/* Which errno each call that takes a path fails with, and which wins where several apply. */
#include "posix.h"

#include <dirent.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/xattr.h>

/* ---- calls with one path, for errors that the path alone causes */

static int closed(int fd)
{
    return fd < 0 ? -1 : close(fd);
}
static int open_to_read(const char *p)
{
    return closed(open(p, O_RDONLY));
}
static int open_to_write(const char *p)
{
    return closed(open(p, O_WRONLY));
}
static int open_and_make(const char *p)
{
    return closed(open(p, O_RDWR | O_CREAT, 0644));
}
static int open_exclusively(const char *p)
{
    return closed(open(p, O_RDWR | O_CREAT | O_EXCL, 0644));
}
static int creat_(const char *p)
{
    return closed(creat(p, 0644));
}
static int mkdir_(const char *p)
{
    return mkdir(p, 0755);
}
static int mkfifo_(const char *p)
{
    return mkfifo(p, 0644);
}
static int mknod_file(const char *p)
{
    return mknod(p, S_IFREG | 0644, 0);
}
static int mknod_device(const char *p)
{
    return mknod(p, S_IFCHR | 0644, 0x103);
}
static int symlink_(const char *p)
{
    return symlink("target", p);
}
static int link_to(const char *p)
{
    return link("file", p);
}
static int link_from(const char *p)
{
    return link(p, "linked");
}
static int rename_to(const char *p)
{
    return rename("file", p);
}
static int rename_from(const char *p)
{
    return rename(p, "renamed");
}
static int exchange(const char *p)
{
    return renameat2(AT_FDCWD, "file", AT_FDCWD, p, RENAME_EXCHANGE);
}
static int truncate_(const char *p)
{
    return truncate(p, 5);
}
static int chmod_(const char *p)
{
    return chmod(p, 0644);
}
static int chown_(const char *p)
{
    return chown(p, 0, 0);
}
static int lchown_(const char *p)
{
    return lchown(p, 0, 0);
}
static int utimens(const char *p)
{
    return utimensat(AT_FDCWD, p, NULL, 0);
}
static int stat_(const char *p)
{
    struct stat st;
    return stat(p, &st);
}
static int lstat_(const char *p)
{
    struct stat st;
    return lstat(p, &st);
}
static int access_(const char *p)
{
    return access(p, F_OK);
}
static int readlink_(const char *p)
{
    char target[16];
    return (int)readlink(p, target, sizeof target);
}
static int opendir_(const char *p)
{
    DIR *d = opendir(p);
    return d ? closedir(d) : -1;
}
static int statvfs_(const char *p)
{
    struct statvfs st;
    return statvfs(p, &st);
}
static int getxattr_(const char *p)
{
    return (int)getxattr(p, "user.x", NULL, 0);
}
static int setxattr_(const char *p)
{
    return setxattr(p, "user.x", "x", 1, 0);
}
static int listxattr_(const char *p)
{
    return (int)listxattr(p, NULL, 0);
}
static int removexattr_(const char *p)
{
    return removexattr(p, "user.x");
}

static const struct call {
    const char *name;
    int (*call)(const char *path);
    enum { NEEDS, MAKES, MAKES_OR_OPENS } kind; /* what it wants of the last component */
} calls[] = {
    {"open O_RDONLY", open_to_read, NEEDS},
    {"open O_WRONLY", open_to_write, NEEDS},
    {"open O_CREAT", open_and_make, MAKES_OR_OPENS},
    {"open O_CREAT O_EXCL", open_exclusively, MAKES},
    {"creat", creat_, MAKES_OR_OPENS},
    {"mkdir", mkdir_, MAKES},
    {"mkfifo", mkfifo_, MAKES},
    {"mknod of a file", mknod_file, MAKES},
    {"mknod of a device", mknod_device, MAKES},
    {"symlink", symlink_, MAKES},
    {"link to", link_to, MAKES},
    {"link from", link_from, NEEDS},
    {"unlink", unlink, NEEDS},
    {"rmdir", rmdir, NEEDS},
    {"rename to", rename_to, MAKES_OR_OPENS},
    {"rename from", rename_from, NEEDS},
    {"renameat2 RENAME_EXCHANGE", exchange, NEEDS},
    {"truncate", truncate_, NEEDS},
    {"chmod", chmod_, NEEDS},
    {"chown", chown_, NEEDS},
    {"lchown", lchown_, NEEDS},
    {"utimensat", utimens, NEEDS},
    {"stat", stat_, NEEDS},
    {"lstat", lstat_, NEEDS},
    {"access", access_, NEEDS},
    {"readlink", readlink_, NEEDS},
    {"opendir", opendir_, NEEDS},
    {"chdir", chdir, NEEDS},
    {"statvfs", statvfs_, NEEDS},
    {"getxattr", getxattr_, NEEDS},
    {"setxattr", setxattr_, NEEDS},
    {"listxattr", listxattr_, NEEDS},
    {"removexattr", removexattr_, NEEDS},
};
#define EACH_CALL (const struct call *c = calls; c < calls + sizeof calls / sizeof *calls; c++)

static void expect_errno(const struct call *c, const char *path, int wanted)
{
    int r = c->call(path), e = errno;
    ck_assert_msg(r == -1 && e == wanted, "%s of %.40s: %s instead of %s", c->name, path,
                  r == -1 ? strerrorname_np(e) : "success", strerrorname_np(wanted));
}

START_TEST(a_missing_folder_on_the_way_is_ENOENT)
{
    make_file("file", "");
    for
        EACH_CALL
    expect_errno(c, "missing/name", ENOENT);
}
END_TEST

START_TEST(an_empty_path_is_ENOENT)
{
    make_file("file", "");
    for
        EACH_CALL
    expect_errno(c, "", ENOENT);
}
END_TEST

START_TEST(a_missing_name_is_ENOENT_for_calls_that_make_none)
{
    make_file("file", "");
    for
        EACH_CALL
    if (c->kind == NEEDS)
        expect_errno(c, "missing", ENOENT);
}
END_TEST

START_TEST(a_file_on_the_way_is_ENOTDIR)
{
    make_file("file", "");
    for
        EACH_CALL
    expect_errno(c, "file/name", ENOTDIR);
}
END_TEST

START_TEST(a_dangling_symlink_on_the_way_is_ENOENT)
{
    make_file("file", "");
    ok(symlink("missing", "dangling"));
    for
        EACH_CALL
    expect_errno(c, "dangling/name", ENOENT);
}
END_TEST

START_TEST(a_name_of_256_bytes_is_ENAMETOOLONG)
{
    char *name = name_of_length(256);
    make_file("file", "");
    for
        EACH_CALL
    expect_errno(c, name, ENAMETOOLONG);
    free(name);
}
END_TEST

START_TEST(a_name_of_256_bytes_on_the_way_is_ENAMETOOLONG)
{
    char *name = name_of_length(256), path[300];
    snprintf(path, sizeof path, "%s/x", name);
    make_file("file", "");
    for
        EACH_CALL
    expect_errno(c, path, ENAMETOOLONG);
    free(name);
}
END_TEST

START_TEST(names_of_255_bytes_can_be_made_renamed_linked_and_removed)
{
    char *name = name_of_length(255);
    make_file("file", "");
    for
        EACH_CALL
        {
            if (c->kind != MAKES)
                continue;
            ck_assert_msg(c->call(name) == 0, "%s: %s", c->name, strerrorname_np(errno));
            ok(rename(name, "short"));
            ok(rename("short", name));
            ok(remove(name));
        }
    free(name);
}
END_TEST

START_TEST(a_path_of_4096_bytes_is_ENAMETOOLONG)
{
    char *path = path_of_length(4096, "file");
    make_file("file", "");
    for
        EACH_CALL
    expect_errno(c, path, ENAMETOOLONG);
    free(path);
}
END_TEST

START_TEST(a_path_of_4095_bytes_is_fine)
{
    char *path = path_of_length(4095, "file");
    make_file("file", "text");
    expect_text(path, "text");
    ok(unlink(path));
    ok(mkdir(path, 0755));
    ok(rmdir("file"));
    free(path);
}
END_TEST

START_TEST(a_loop_of_symlinks_on_the_way_is_ELOOP)
{
    make_file("file", "");
    ok(symlink("loop2", "loop1"));
    ok(symlink("loop1", "loop2"));
    for
        EACH_CALL
    expect_errno(c, "loop1/name", ELOOP);
}
END_TEST

START_TEST(forty_symlinks_are_followed_and_41_are_ELOOP)
{
    char from[16], to[16] = "file";
    make_file("file", "text");
    for (int i = 1; i <= 41; i++) {
        snprintf(from, sizeof from, "link%d", i);
        ok(symlink(to, from));
        strcpy(to, from);
    }
    expect_text("link40", "text");
    fails(open("link41", O_RDONLY), ELOOP);
}
END_TEST

START_TEST(a_folder_on_the_way_without_search_permission_is_EACCES)
{
    ok(mkdir("closed", 0755));
    make_file("closed/there", "");
    make_file("file", "");
    ok(chmod("closed", 0666));
    ok(chown("file", ALICE, ALICE));
    become(ALICE, ALICE, 0);
    for
        EACH_CALL
        {
            expect_errno(c, "closed/there", EACCES);
            expect_errno(c, "closed/missing", EACCES);
        }
}
END_TEST

/* ---- what is there already */

START_TEST(a_name_that_is_taken_is_EEXIST_whatever_it_is)
{
    make_file("file", "");
    ok(mkdir("dir", 0755));
    ok(mkfifo("fifo", 0644));
    ok(symlink("missing", "dangling"));
    ok(symlink("loop", "loop"));
    for
        EACH_CALL
        {
            if (c->kind != MAKES)
                continue;
            expect_errno(c, "file", EEXIST);
            expect_errno(c, "dir", EEXIST);
            expect_errno(c, "fifo", EEXIST);
            expect_errno(c, "dangling", EEXIST);
            expect_errno(c, "loop", EEXIST);
            expect_errno(c, ".", EEXIST);
            expect_errno(c, "..", EEXIST);
            expect_errno(c, "/", EEXIST);
        }
}
END_TEST

START_TEST(EEXIST_comes_before_EACCES_of_a_folder_that_cannot_be_written)
{
    make_file("file", "");
    ok(mkdir("dir", 0755));
    make_file("dir/there", "");
    ok(chown("file", ALICE, ALICE));
    become(ALICE, ALICE, 0);
    for
        EACH_CALL
    if (c->kind == MAKES)
        expect_errno(c, "dir/there", EEXIST);
}
END_TEST

START_TEST(a_folder_that_cannot_be_written_takes_no_new_name)
{
    make_file("file", "");
    ok(mkdir("dir", 0755));
    ok(chown("file", ALICE, ALICE));
    become(ALICE, ALICE, 0);
    for
        EACH_CALL
    if (c->kind != NEEDS)
        expect_errno(c, "dir/new", EACCES);
}
END_TEST

START_TEST(ENOENT_comes_before_EACCES_of_a_folder_that_cannot_be_written)
{
    ok(mkdir("dir", 0755));
    become(ALICE, ALICE, 0);
    fails(unlink("dir/missing"), ENOENT);
    fails(rmdir("dir/missing"), ENOENT);
    fails(rename("dir/missing", "dir/new"), ENOENT);
}
END_TEST

START_TEST(a_folder_that_cannot_be_written_loses_no_name)
{
    ok(mkdir("dir", 0755));
    make_file("dir/file", "");
    ok(mkdir("dir/sub", 0777));
    ok(chown("dir/file", ALICE, ALICE));
    become(ALICE, ALICE, 0);
    fails(unlink("dir/file"), EACCES);
    fails(rmdir("dir/sub"), EACCES);
    fails(rename("dir/file", "out"), EACCES);
    fails(rename("dir/file", "dir/new"), EACCES);
}
END_TEST

/* ---- the end of a path */

START_TEST(a_slash_behind_a_new_name_means_a_folder)
{
    make_file("file", "");
    fails(open("new/", O_WRONLY | O_CREAT, 0644), EISDIR);
    fails(mknod("new/", S_IFREG | 0644, 0), ENOENT);
    fails(mkfifo("new/", 0644), ENOENT);
    fails(symlink("target", "new/"), ENOENT);
    fails(link("file", "new/"), ENOENT);
    fails(rename("file", "new/"), ENOTDIR);
    ok(mkdir("new/", 0755));
    ok(rename("new/", "newer/"));
    ok(rmdir("newer/"));
}
END_TEST

START_TEST(a_slash_behind_a_file_is_ENOTDIR)
{
    struct stat st;
    make_file("file", "");
    fails(open("file/", O_RDONLY), ENOTDIR);
    fails(stat("file/", &st), ENOTDIR);
    fails(unlink("file/"), ENOTDIR);
    fails(rename("file/", "new"), ENOTDIR);
    fails(link("file/", "new"), ENOTDIR);
    fails(truncate("file/", 0), ENOTDIR);
    fails(chmod("file/", 0644), ENOTDIR);
}
END_TEST

START_TEST(a_slash_behind_a_symlink_follows_it)
{
    struct stat st;
    ok(mkdir("dir", 0755));
    ok(symlink("dir", "link"));
    ok(lstat("link/", &st));
    ck_assert(S_ISDIR(st.st_mode));
    fails(unlink("link/"), ENOTDIR);
    fails(rmdir("link/"), ENOTDIR);
    ck_assert(S_ISLNK(stat_of("link").st_mode));
}
END_TEST

START_TEST(dot_and_dotdot_are_not_removed)
{
    ok(mkdir("dir", 0755));
    ok(mkdir("dir/sub", 0755));
    fails(rmdir("."), EINVAL);
    fails(rmdir("dir/."), EINVAL);
    fails(rmdir("dir/sub/.."), ENOTEMPTY);
    fails(unlink("."), EISDIR);
    fails(unlink("dir/.."), EISDIR);
}
END_TEST

START_TEST(dot_and_dotdot_are_not_renamed)
{
    ok(mkdir("dir", 0755));
    ok(mkdir("dir/sub", 0755));
    fails(rename("dir/.", "new"), EBUSY);
    fails(rename("dir/sub/..", "new"), EBUSY);
    fails(rename("dir", "dir/sub/."), EBUSY);
    fails(rename("dir/sub", ".."), EBUSY);
}
END_TEST

/* ---- unlink, rmdir, link */

START_TEST(unlink_of_a_folder_is_EISDIR)
{
    ok(mkdir("dir", 0755));
    fails(unlink("dir"), EISDIR);
    fails(unlinkat(AT_FDCWD, "dir", 0), EISDIR);
}
END_TEST

START_TEST(rmdir_of_anything_but_a_folder_is_ENOTDIR)
{
    make_file("file", "");
    ok(mkfifo("fifo", 0644));
    ok(mkdir("dir", 0755));
    ok(symlink("dir", "link"));
    fails(rmdir("file"), ENOTDIR);
    fails(rmdir("fifo"), ENOTDIR);
    fails(rmdir("link"), ENOTDIR);
    fails(unlinkat(AT_FDCWD, "file", AT_REMOVEDIR), ENOTDIR);
}
END_TEST

START_TEST(rmdir_of_a_folder_with_a_name_in_it_is_ENOTEMPTY)
{
    ok(mkdir("dir", 0755));
    ok(symlink("missing", "dir/dangling"));
    fails(rmdir("dir"), ENOTEMPTY);
    ok(unlink("dir/dangling"));
    ok(rmdir("dir"));
}
END_TEST

START_TEST(unknown_flags_are_EINVAL)
{
    make_file("file", "");
    fails(unlinkat(AT_FDCWD, "file", 1), EINVAL);
    fails(linkat(AT_FDCWD, "file", AT_FDCWD, "new", 1), EINVAL);
    fails(renameat2(AT_FDCWD, "file", AT_FDCWD, "new", 1 << 20), EINVAL);
    fails(renameat2(AT_FDCWD, "file", AT_FDCWD, "file", RENAME_NOREPLACE | RENAME_EXCHANGE),
          EINVAL);
    fails(fchownat(AT_FDCWD, "file", 0, 0, 1), EINVAL);
    fails(utimensat(AT_FDCWD, "file", NULL, 1), EINVAL);
    ck_assert_int_eq(stat_of("file").st_nlink, 1);
}
END_TEST

START_TEST(a_number_that_is_no_folder_is_EBADF_or_ENOTDIR)
{
    make_file("file", "");
    int fd = open("file", O_RDONLY);
    fails(openat(fd, "x", O_RDONLY), ENOTDIR);
    fails(mkdirat(fd, "x", 0755), ENOTDIR);
    fails(unlinkat(fd, "x", 0), ENOTDIR);
    fails(renameat(fd, "x", AT_FDCWD, "y"), ENOTDIR);
    close(fd);
    fails(openat(fd, "x", O_RDONLY), EBADF);
    fails(mkdirat(fd, "x", 0755), EBADF);
    fails(renameat(AT_FDCWD, "file", fd, "y"), EBADF);
}
END_TEST

START_TEST(link_of_a_folder_is_EPERM)
{
    ok(mkdir("dir", 0755));
    fails(link("dir", "new"), EPERM);
}
END_TEST

START_TEST(another_filesystem_is_EXDEV)
{
    char path[] = "/dev/shm/skeinfs-test.XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || stat_of("/dev/shm").st_dev == stat_of(".").st_dev)
        return; /* there is no other filesystem */
    make_file("file", "");
    int r1 = link(path, "new"), e1 = errno, r2 = rename(path, "new"), e2 = errno;
    int r3 = rename("file", path), e3 = errno;
    unlink(path);
    close(fd);
    ck_assert(r1 == -1 && e1 == EXDEV);
    ck_assert(r2 == -1 && e2 == EXDEV);
    ck_assert(r3 == -1 && e3 == EXDEV);
}
END_TEST

/* ---- open */

START_TEST(open_of_a_folder_to_write_is_EISDIR)
{
    ok(mkdir("dir", 0755));
    fails(open("dir", O_WRONLY), EISDIR);
    fails(open("dir", O_RDWR), EISDIR);
    fails(open("dir", O_RDONLY | O_CREAT, 0644), EISDIR);
    fails(open("dir", O_RDONLY | O_TRUNC), EISDIR);
    fails(creat("dir", 0644), EISDIR);
}
END_TEST

START_TEST(O_DIRECTORY_opens_folders_alone)
{
    make_file("file", "");
    ok(mkdir("dir", 0755));
    ok(symlink("dir", "link"));
    fails(open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
    fails(open("link", O_RDONLY | O_DIRECTORY | O_NOFOLLOW), ENOTDIR);
    ok(open("dir", O_RDONLY | O_DIRECTORY));
    ok(open("link", O_RDONLY | O_DIRECTORY));
}
END_TEST

START_TEST(O_NOFOLLOW_does_not_open_a_symlink)
{
    make_file("file", "");
    ok(symlink("file", "link"));
    fails(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
    fails(open("link", O_RDWR | O_CREAT | O_NOFOLLOW, 0644), ELOOP);
}
END_TEST

START_TEST(O_CREAT_makes_what_a_dangling_symlink_points_to)
{
    ok(symlink("target", "dangling"));
    ok(open("dangling", O_WRONLY | O_CREAT, 0644));
    ck_assert(S_ISREG(stat_of("target").st_mode));
}
END_TEST

START_TEST(a_fifo_without_a_reader_is_ENXIO_to_a_writer_that_does_not_wait)
{
    ok(mkfifo("fifo", 0644));
    fails(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    ok(open("fifo", O_RDONLY | O_NONBLOCK));
    ok(open("fifo", O_WRONLY | O_NONBLOCK));
}
END_TEST

START_TEST(open_of_a_socket_is_ENXIO)
{
    ok(mknod("socket", S_IFSOCK | 0644, 0));
    fails(open("socket", O_RDWR), ENXIO);
}
END_TEST

START_TEST(open_of_a_device_that_is_none_is_ENXIO)
{
    ok(mknod("device", S_IFCHR | 0644, 0xfff00));
    fails(open("device", O_RDONLY), ENXIO);
}
END_TEST

START_TEST(open_needs_the_permissions_it_asks_for)
{
    make_file("file", "text");
    ok(chmod("file", 0604));
    become(ALICE, ALICE, 0);
    ok(open("file", O_RDONLY));
    fails(open("file", O_WRONLY), EACCES);
    fails(open("file", O_RDWR), EACCES);
    fails(open("file", O_RDONLY | O_TRUNC), EACCES);
    fails(open("file", O_RDWR | O_CREAT, 0644), EACCES);
    fails(truncate("file", 0), EACCES);
    expect_text("file", "text");
}
END_TEST

START_TEST(O_EXCL_wins_over_missing_permissions)
{
    make_file("file", "text");
    ok(chmod("file", 0));
    become(ALICE, ALICE, 0);
    fails(open("file", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
}
END_TEST

START_TEST(a_new_file_opens_for_writing_whatever_its_mode)
{
    become(ALICE, ALICE, 0);
    int fd = open("new", O_RDWR | O_CREAT, 0);
    ok(fd);
    ok(write(fd, "text", 4));
    fails(open("new", O_RDONLY), EACCES);
}
END_TEST

static void copy_program(const char *from, const char *to)
{
    static char bytes[1 << 20];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT, 0755);
    ssize_t n;
    ok(in);
    ok(out);
    while ((n = read(in, bytes, sizeof bytes)) > 0)
        ck_assert_int_eq(write(out, bytes, (size_t)n), n);
    close(in);
    close(out);
}

START_TEST(a_program_that_runs_is_ETXTBSY_to_writers)
{
    int hold[2];
    copy_program("/bin/cat", "prog");
    ok(pipe(hold));
    pid_t pid = fork();
    if (pid == 0) {
        dup2(hold[0], 0);
        close(hold[0]);
        close(hold[1]);
        execl("./prog", "prog", (char *)NULL);
        _exit(1);
    }
    close(hold[0]);
    int fd = -1;
    for (int i = 0; i < 500; i++) { /* until it has begun */
        fd = open("prog", O_WRONLY);
        if (fd < 0)
            break;
        close(fd);
        wait_ms(10);
    }
    int e1 = errno, r2 = truncate("prog", 0), e2 = errno;
    int r3 = unlink("prog");
    close(hold[1]);
    ck_assert(fd < 0 && e1 == ETXTBSY);
    ck_assert(r2 < 0 && e2 == ETXTBSY);
    ck_assert(r3 == 0);
}
END_TEST

START_TEST(a_program_that_is_open_to_write_does_not_run)
{
    copy_program("/bin/true", "prog");
    ok(open("prog", O_WRONLY));
    fails(execl("./prog", "prog", (char *)NULL), ETXTBSY);
}
END_TEST

START_TEST(what_cannot_be_executed_is_EACCES)
{
    copy_program("/bin/true", "prog");
    ok(chmod("prog", 0644));
    ok(mkdir("dir", 0755));
    fails(execl("./prog", "prog", (char *)NULL), EACCES);
    fails(execl("./dir", "dir", (char *)NULL), EACCES);
}
END_TEST

/* ---- sizes and offsets */

START_TEST(truncate_takes_files_and_no_negative_size)
{
    make_file("file", "text");
    ok(mkdir("dir", 0755));
    ok(mkfifo("fifo", 0644));
    fails(truncate("file", -1), EINVAL);
    fails(truncate("dir", 0), EISDIR);
    fails(truncate("fifo", 0), EINVAL);
    ck_assert_int_eq(stat_of("file").st_size, 4);
}
END_TEST

START_TEST(ftruncate_needs_a_file_that_is_open_to_write)
{
    make_file("file", "text");
    ok(mkdir("dir", 0755));
    int fd = open("file", O_RDONLY), dir = open("dir", O_RDONLY);
    fails(ftruncate(fd, 0), EINVAL);
    fails(ftruncate(dir, 0), EINVAL);
    fails(ftruncate(-1, 0), EBADF);
    fd = open("file", O_RDWR);
    fails(ftruncate(fd, -1), EINVAL);
    ok(ftruncate(fd, 2));
    expect_text("file", "te");
}
END_TEST

START_TEST(beyond_the_limit_of_a_process_is_EFBIG_with_a_signal)
{
    struct rlimit limit = {10000, RLIM_INFINITY};
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    char bytes[20000] = "";
    signal(SIGXFSZ, SIG_IGN);
    ok(setrlimit(RLIMIT_FSIZE, &limit));
    ck_assert_int_eq(write(fd, bytes, sizeof bytes), 10000);
    fails(write(fd, bytes, 1), EFBIG);
    fails(ftruncate(fd, 10001), EFBIG);
    fails(truncate("file", 10001), EFBIG);
    ok(ftruncate(fd, 9999));
}
END_TEST

START_TEST(offsets_below_zero_and_beyond_64_bits_are_EINVAL)
{
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    fails(pwrite(fd, "xx", 2, INT64_MAX), EINVAL);
    fails(pwrite(fd, "x", 1, -1), EINVAL);
    fails(pwrite(fd, "x", 1, INT64_MAX), EINVAL);
    fails(lseek(fd, -1, SEEK_SET), EINVAL);
    ck_assert_int_eq(stat_of("file").st_size, 0);
}
END_TEST

START_TEST(read_and_write_need_the_right_kind_of_open_file)
{
    char c, *volatile nowhere = (char *)1;
    make_file("file", "text");
    ok(mkdir("dir", 0755));
    int r = open("file", O_RDONLY), w = open("file", O_WRONLY), d = open("dir", O_RDONLY);
    fails(write(r, "x", 1), EBADF);
    fails(read(w, &c, 1), EBADF);
    fails(read(d, &c, 1), EISDIR);
    fails(write(d, "x", 1), EBADF);
    fails(pread(r, &c, 1, -1), EINVAL);
    fails(read(r, nowhere, 1), EFAULT);
    fails(write(w, nowhere, 1), EFAULT);
}
END_TEST

/* ---- owners */

START_TEST(only_the_owner_and_root_chmod)
{
    make_file("file", "");
    ok(chown("file", ALICE, ALICE));
    become(BOB, BOB, ALICE);
    fails(chmod("file", 0666), EPERM);
    become(ALICE, ALICE, 0);
    ok(chmod("file", 0600));
    become_root();
    ok(chmod("file", 0640));
}
END_TEST

START_TEST(only_root_gives_a_file_away)
{
    make_file("file", "");
    ok(chown("file", ALICE, ALICE));
    become(ALICE, ALICE, CREW);
    fails(chown("file", BOB, (gid_t)-1), EPERM);
    fails(chown("file", (uid_t)-1, BOB), EPERM);
    ok(chown("file", (uid_t)-1, CREW));
    ok(chown("file", ALICE, CREW));
    become(BOB, BOB, CREW);
    fails(chown("file", (uid_t)-1, CREW), EPERM);
}
END_TEST

START_TEST(times_are_set_by_the_owner_and_now_by_who_may_write)
{
    struct timespec t[2] = {{1, 0}, {2, 0}};
    make_file("file", "");
    ok(chown("file", ALICE, ALICE));
    become(BOB, BOB, 0);
    fails(utimensat(AT_FDCWD, "file", t, 0), EPERM);
    fails(utimensat(AT_FDCWD, "file", NULL, 0), EACCES);
    become_root();
    ok(chmod("file", 0646));
    become(BOB, BOB, 0);
    fails(utimensat(AT_FDCWD, "file", t, 0), EPERM);
    ok(utimensat(AT_FDCWD, "file", NULL, 0));
    t[0].tv_nsec = UTIME_NOW, t[1].tv_nsec = UTIME_OMIT;
    fails(utimensat(AT_FDCWD, "file", t, 0), EPERM);
    t[0].tv_nsec = UTIME_OMIT;
    ok(utimensat(AT_FDCWD, "file", t, 0));
}
END_TEST

START_TEST(times_beyond_a_second_of_nanoseconds_are_EINVAL)
{
    struct timespec t[2] = {{1, 1000000000}, {2, 0}};
    make_file("file", "");
    fails(utimensat(AT_FDCWD, "file", t, 0), EINVAL);
    t[0].tv_nsec = -1;
    fails(utimensat(AT_FDCWD, "file", t, 0), EINVAL);
}
END_TEST

START_TEST(only_root_makes_devices)
{
    become(ALICE, ALICE, 0);
    fails(mknod("device", S_IFCHR | 0666, 0x103), EPERM);
    fails(mknod("device", S_IFBLK | 0666, 0x700), EPERM);
    ok(mknod("fifo", S_IFIFO | 0644, 0));
    ok(mknod("socket", S_IFSOCK | 0644, 0));
}
END_TEST

START_TEST(mknod_makes_no_folder)
{
    fails(mknod("dir", S_IFDIR | 0755, 0), EPERM);
    fails(mknod("link", S_IFLNK | 0777, 0), EINVAL);
}
END_TEST

START_TEST(readlink_of_what_is_no_symlink_is_EINVAL)
{
    char target[8];
    make_file("file", "");
    fails(readlink("file", target, sizeof target), EINVAL);
    fails(readlink(".", target, sizeof target), EINVAL);
}
END_TEST

START_TEST(symlink_to_nothing_is_ENOENT_and_to_4096_bytes_ENAMETOOLONG)
{
    char *target = name_of_length(4096);
    fails(symlink("", "link"), ENOENT);
    fails(symlink(target, "link"), ENAMETOOLONG);
    free(target);
}
END_TEST

START_TEST(bind_to_a_name_that_is_taken_is_EADDRINUSE)
{
    struct sockaddr_un to = {AF_UNIX, "taken"};
    make_file("taken", "");
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    fails(bind(s, (struct sockaddr *)&to, sizeof to), EADDRINUSE);
    strcpy(to.sun_path, "missing/socket");
    fails(bind(s, (struct sockaddr *)&to, sizeof to), ENOENT);
    strcpy(to.sun_path, "taken");
    fails(connect(s, (struct sockaddr *)&to, sizeof to), ECONNREFUSED);
}
END_TEST

START_TEST(in_a_removed_folder_nothing_can_be_made)
{
    ok(mkdir("dir", 0755));
    ok(chdir("dir"));
    ok(rmdir("../dir"));
    fails(open("new", O_WRONLY | O_CREAT, 0644), ENOENT);
    fails(mkdir("new", 0755), ENOENT);
    fails(symlink("x", "new"), ENOENT);
    fails(mkfifo("new", 0644), ENOENT);
    fails(open("missing", O_RDONLY), ENOENT);
}
END_TEST

RUN("errnos", a_missing_folder_on_the_way_is_ENOENT, an_empty_path_is_ENOENT,
    a_missing_name_is_ENOENT_for_calls_that_make_none, a_file_on_the_way_is_ENOTDIR,
    a_dangling_symlink_on_the_way_is_ENOENT, a_name_of_256_bytes_is_ENAMETOOLONG,
    a_name_of_256_bytes_on_the_way_is_ENAMETOOLONG,
    names_of_255_bytes_can_be_made_renamed_linked_and_removed, a_path_of_4096_bytes_is_ENAMETOOLONG,
    a_path_of_4095_bytes_is_fine, a_loop_of_symlinks_on_the_way_is_ELOOP,
    forty_symlinks_are_followed_and_41_are_ELOOP,
    a_folder_on_the_way_without_search_permission_is_EACCES,
    a_name_that_is_taken_is_EEXIST_whatever_it_is,
    EEXIST_comes_before_EACCES_of_a_folder_that_cannot_be_written,
    a_folder_that_cannot_be_written_takes_no_new_name,
    ENOENT_comes_before_EACCES_of_a_folder_that_cannot_be_written,
    a_folder_that_cannot_be_written_loses_no_name, a_slash_behind_a_new_name_means_a_folder,
    a_slash_behind_a_file_is_ENOTDIR, a_slash_behind_a_symlink_follows_it,
    dot_and_dotdot_are_not_removed, dot_and_dotdot_are_not_renamed, unlink_of_a_folder_is_EISDIR,
    rmdir_of_anything_but_a_folder_is_ENOTDIR, rmdir_of_a_folder_with_a_name_in_it_is_ENOTEMPTY,
    unknown_flags_are_EINVAL, a_number_that_is_no_folder_is_EBADF_or_ENOTDIR,
    link_of_a_folder_is_EPERM, another_filesystem_is_EXDEV, open_of_a_folder_to_write_is_EISDIR,
    O_DIRECTORY_opens_folders_alone, O_NOFOLLOW_does_not_open_a_symlink,
    O_CREAT_makes_what_a_dangling_symlink_points_to,
    a_fifo_without_a_reader_is_ENXIO_to_a_writer_that_does_not_wait, open_of_a_socket_is_ENXIO,
    open_of_a_device_that_is_none_is_ENXIO, open_needs_the_permissions_it_asks_for,
    O_EXCL_wins_over_missing_permissions, a_new_file_opens_for_writing_whatever_its_mode,
    a_program_that_runs_is_ETXTBSY_to_writers, a_program_that_is_open_to_write_does_not_run,
    what_cannot_be_executed_is_EACCES, truncate_takes_files_and_no_negative_size,
    ftruncate_needs_a_file_that_is_open_to_write,
    beyond_the_limit_of_a_process_is_EFBIG_with_a_signal,
    offsets_below_zero_and_beyond_64_bits_are_EINVAL,
    read_and_write_need_the_right_kind_of_open_file, only_the_owner_and_root_chmod,
    only_root_gives_a_file_away, times_are_set_by_the_owner_and_now_by_who_may_write,
    times_beyond_a_second_of_nanoseconds_are_EINVAL, only_root_makes_devices, mknod_makes_no_folder,
    readlink_of_what_is_no_symlink_is_EINVAL,
    symlink_to_nothing_is_ENOENT_and_to_4096_bytes_ENAMETOOLONG,
    bind_to_a_name_that_is_taken_is_EADDRINUSE, in_a_removed_folder_nothing_can_be_made)
