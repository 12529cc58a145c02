/* Which errno calls fail with because of what they find, what they are asked for or who asks; and
 * which wins where several apply. Errors that the path alone causes: errnos.c. */
#include "posix.h"

#include <dirent.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

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

RUN("refusals", unlink_of_a_folder_is_EISDIR, rmdir_of_anything_but_a_folder_is_ENOTDIR,
    rmdir_of_a_folder_with_a_name_in_it_is_ENOTEMPTY, unknown_flags_are_EINVAL,
    a_number_that_is_no_folder_is_EBADF_or_ENOTDIR, link_of_a_folder_is_EPERM,
    another_filesystem_is_EXDEV, open_of_a_folder_to_write_is_EISDIR,
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
