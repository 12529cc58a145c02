/* Files that are open: without a name, replaced, appended to by many, with every flag of open. */
#include "posix.h"

#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

/* The file's content through an open file, from the start. */
static void expect_content(int fd, const char *text)
{
    char got[4096] = "";
    ssize_t n = pread(fd, got, sizeof got - 1, 0);
    ck_assert_int_eq(n, (ssize_t)strlen(text));
    ck_assert_str_eq(got, text);
}

static int open_new(const char *name, int flags, const char *text)
{
    make_file(name, text);
    int fd = open(name, flags);
    ok(fd);
    return fd;
}

/* ---- without a name */

START_TEST(an_unlinked_file_is_read_written_and_cut)
{
    struct stat st;
    int fd = open_new("file", O_RDWR, "text");
    ok(unlink("file"));
    fails(access("file", F_OK), ENOENT);
    expect_content(fd, "text");
    ok(pwrite(fd, "more", 4, 4));
    expect_content(fd, "textmore");
    ok(ftruncate(fd, 3));
    expect_content(fd, "tex");
    ok(fchmod(fd, 0600));
    ok(fsync(fd));
    ok(fstat(fd, &st));
    ck_assert_uint_eq(st.st_nlink, 0);
    ck_assert_int_eq(st.st_size, 3);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(a_file_that_was_replaced_lives_on_for_who_has_it_open)
{
    int old = open_new("file", O_RDWR, "old");
    make_file("new", "new");
    ok(rename("new", "file"));
    expect_content(old, "old");
    ok(pwrite(old, "OLD", 3, 0));
    expect_content(old, "OLD");
    expect_text("file", "new");
}
END_TEST

START_TEST(a_new_file_under_the_name_of_an_unlinked_one_is_another)
{
    struct stat a, b;
    int old = open_new("file", O_RDWR, "old");
    ok(unlink("file"));
    int new = open_new("file", O_RDWR, "new");
    expect_content(old, "old");
    ok(fstat(old, &a));
    ok(fstat(new, &b));
    ck_assert_uint_ne(a.st_ino, b.st_ino);
}
END_TEST

START_TEST(an_unlinked_file_is_read_by_its_mapping)
{
    int fd = open_new("file", O_RDWR, "text");
    char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    ok(unlink("file"));
    ok(close(fd));
    ck_assert_int_eq(memcmp(p, "text", 4), 0);
}
END_TEST

START_TEST(an_unlinked_file_is_opened_again_through_proc)
{
    char path[64];
    int fd = open_new("file", O_RDONLY, "text");
    ok(unlink("file"));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_RDWR);
    ok(again);
    ok(pwrite(again, "T", 1, 0));
    expect_content(fd, "Text");
}
END_TEST

START_TEST(a_large_unlinked_file_gives_its_space_back)
{
    static char block[1 << 20];
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    for (int i = 0; i < 8; i++)
        ok(write(fd, block, sizeof block));
    ok(unlink("file"));
    ok(close(fd));
    fails(open("file", O_RDONLY), ENOENT);
}
END_TEST

/* ---- offsets */

START_TEST(each_open_has_an_offset_of_its_own)
{
    char got[8] = "";
    int a = open_new("file", O_RDONLY, "abcdef"), b = open("file", O_RDONLY);
    ck_assert_int_eq(read(a, got, 3), 3);
    ck_assert_int_eq(read(b, got, 2), 2);
    ck_assert_int_eq(memcmp(got, "ab", 2), 0);
}
END_TEST

START_TEST(dup_and_fork_share_the_offset)
{
    char got[8] = "";
    int fd = open_new("file", O_RDONLY, "abcdefgh"), copy = dup(fd);
    ck_assert_int_eq(read(fd, got, 2), 2);
    ck_assert_int_eq(read(copy, got, 2), 2);
    ck_assert_int_eq(memcmp(got, "cd", 2), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(read(fd, got, 2) != 2);
    waitpid(pid, NULL, 0);
    ck_assert_int_eq(read(fd, got, 2), 2);
    ck_assert_int_eq(memcmp(got, "gh", 2), 0);
}
END_TEST

START_TEST(pread_and_pwrite_leave_the_offset)
{
    char got[8];
    int fd = open_new("file", O_RDWR, "abcdef");
    ck_assert_int_eq(pread(fd, got, 2, 3), 2);
    ck_assert_int_eq(pwrite(fd, "X", 1, 5), 1);
    ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 0);
}
END_TEST

START_TEST(reading_at_or_behind_the_end_gives_nothing)
{
    char got[8];
    int fd = open_new("file", O_RDONLY, "abc");
    ck_assert_int_eq(pread(fd, got, 8, 0), 3);
    ck_assert_int_eq(pread(fd, got, 8, 3), 0);
    ck_assert_int_eq(pread(fd, got, 8, 1000000), 0);
}
END_TEST

START_TEST(a_write_behind_the_end_leaves_zeroes_between)
{
    char got[10003], zeroes[10000] = "";
    int fd = open_new("file", O_RDWR, "abc");
    ck_assert_int_eq(lseek(fd, 10000, SEEK_SET), 10000);
    ck_assert_int_eq(stat_of("file").st_size, 3);
    ok(write(fd, "end", 3));
    ck_assert_int_eq(pread(fd, got, sizeof got, 0), 10003);
    ck_assert_int_eq(memcmp(got, "abc", 3), 0);
    ck_assert_int_eq(memcmp(got + 3, zeroes, 9997), 0);
    ck_assert_int_eq(memcmp(got + 10000, "end", 3), 0);
}
END_TEST

START_TEST(what_was_cut_off_comes_back_as_zeroes)
{
    char got[6] = "";
    int fd = open_new("file", O_RDWR, "abcdef");
    ok(ftruncate(fd, 2));
    ok(ftruncate(fd, 6));
    ck_assert_int_eq(pread(fd, got, 6, 0), 6);
    ck_assert_int_eq(memcmp(got, "ab\0\0\0\0", 6), 0);
}
END_TEST

START_TEST(lseek_knows_the_end)
{
    int fd = open_new("file", O_RDONLY, "abcdef");
    ck_assert_int_eq(lseek(fd, -2, SEEK_END), 4);
    ck_assert_int_eq(lseek(fd, 1, SEEK_CUR), 5);
    fails(lseek(fd, -6, SEEK_CUR), EINVAL);
    fails(lseek(fd, 0, 99), EINVAL);
    int other = open("file", O_WRONLY | O_APPEND);
    ok(write(other, "gh", 2));
    ck_assert_int_eq(lseek(fd, 0, SEEK_END), 8);
}
END_TEST

START_TEST(several_buffers_are_read_and_written_in_one_call)
{
    char a[3] = "", b[3] = "";
    volatile int below_zero = -1; /* no constant: the compiler warns of those */
    struct iovec out[2] = {{"abc", 3}, {"def", 3}}, in[2] = {{a, 2}, {b, 2}};
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    ck_assert_int_eq(writev(fd, out, 2), 6);
    ck_assert_int_eq(preadv(fd, in, 2, 1), 4);
    ck_assert_str_eq(a, "bc");
    ck_assert_str_eq(b, "de");
    ck_assert_int_eq(writev(fd, out, 0), 0);
    fails(writev(fd, out, below_zero), EINVAL);
}
END_TEST

START_TEST(preadv2_and_pwritev2_take_their_flags)
{
    char got[8] = "";
    struct iovec out = {"abc", 3}, in = {got, 8};
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    ck_assert_int_eq(pwritev2(fd, &out, 1, 0, RWF_SYNC), 3);
    ck_assert_int_eq(pwritev2(fd, &out, 1, 0, RWF_DSYNC), 3);
    ck_assert_int_eq(pwritev2(fd, &out, 1, 0, RWF_APPEND), 3);
    ck_assert_int_eq(stat_of("file").st_size, 6);
    ck_assert_int_eq(pwritev2(fd, &out, 1, -1, 0), 3);
    ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 3);
    ck_assert_int_eq(preadv2(fd, &in, 1, 0, RWF_HIPRI), 6);
    ssize_t n = preadv2(fd, &in, 1, 0, RWF_NOWAIT);
    ck_assert(n == 6 || (n == -1 && (errno == EAGAIN || errno == EOPNOTSUPP)));
    fails(pwritev2(fd, &out, 1, 0, 1 << 30), EOPNOTSUPP);
}
END_TEST

/* ---- flags */

START_TEST(O_APPEND_writes_at_the_end_wherever_the_offset_is)
{
    int fd = open_new("file", O_RDWR | O_APPEND, "abc");
    ok(lseek(fd, 0, SEEK_SET));
    ok(write(fd, "def", 3));
    ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 6);
    ok(pwrite(fd, "ghi", 3, 0)); /* Linux: also pwrite appends */
    expect_text("file", "abcdefghi");
    int other = open("file", O_WRONLY);
    ok(ftruncate(other, 1));
    ok(write(fd, "z", 1));
    expect_text("file", "az");
}
END_TEST

START_TEST(O_APPEND_can_be_set_and_taken_later)
{
    int fd = open_new("file", O_RDWR, "abc");
    ok(fcntl(fd, F_SETFL, O_APPEND));
    ok(write(fd, "def", 3));
    expect_text("file", "abcdef");
    ok(fcntl(fd, F_SETFL, 0));
    ok(pwrite(fd, "X", 1, 0));
    expect_text("file", "Xbcdef");
}
END_TEST

enum { WRITERS = 8, LINES = 200, LINE = 32 };

static void append_lines(int writer)
{
    char line[LINE + 1];
    int fd = open("log", O_WRONLY | O_APPEND);
    for (int i = 0; i < LINES; i++) {
        snprintf(line, sizeof line, "%2d %8d %*s\n", writer, i, LINE - 13, "");
        if (write(fd, line, LINE) != LINE)
            _exit(1);
    }
    _exit(0);
}

START_TEST(lines_of_eight_processes_that_append_are_whole_and_none_is_missing)
{
    static char log[WRITERS * LINES * LINE];
    int next[WRITERS] = {0}, status;
    make_file("log", "");
    for (int w = 0; w < WRITERS; w++)
        if (fork() == 0)
            append_lines(w);
    for (int w = 0; w < WRITERS; w++) {
        wait(&status);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(stat_of("log").st_size, sizeof log);
    int fd = open("log", O_RDONLY);
    ck_assert_int_eq(read(fd, log, sizeof log), sizeof log);
    for (size_t at = 0; at < sizeof log; at += LINE) {
        int w, i;
        ck_assert_int_eq(sscanf(log + at, "%d %d", &w, &i), 2);
        ck_assert_int_eq(next[w]++, i);
        ck_assert_int_eq(log[at + LINE - 1], '\n');
    }
}
END_TEST

START_TEST(O_TRUNC_empties_a_file_also_for_who_has_it_open)
{
    char got[8];
    int fd = open_new("file", O_RDWR, "text");
    ok(open("file", O_WRONLY | O_TRUNC));
    ck_assert_int_eq(pread(fd, got, 8, 0), 0);
    ok(pwrite(fd, "x", 1, 2));
    ck_assert_int_eq(pread(fd, got, 8, 0), 3);
    ck_assert_int_eq(memcmp(got, "\0\0x", 3), 0);
}
END_TEST

static int make_exclusively(void *name)
{
    return open(name, O_WRONLY | O_CREAT | O_EXCL, 0644) >= 0 ? 42 : errno == EEXIST ? 0 : 1;
}

START_TEST(of_many_that_make_a_file_with_O_EXCL_one_succeeds)
{
    for (int round = 0; round < 20; round++) {
        int made = 0, status;
        char name[16];
        snprintf(name, sizeof name, "file%d", round);
        for (int i = 0; i < 6; i++)
            if (fork() == 0)
                _exit(make_exclusively(name));
        for (int i = 0; i < 6; i++) {
            wait(&status);
            ck_assert(WIFEXITED(status) && WEXITSTATUS(status) != 1);
            made += WEXITSTATUS(status) == 42;
        }
        ck_assert_int_eq(made, 1);
    }
}
END_TEST

START_TEST(O_DIRECT_reads_and_writes_what_others_see)
{
    void *p;
    ck_assert_int_eq(posix_memalign(&p, 4096, 8192), 0);
    memset(p, 'd', 8192);
    int fd = open("file", O_RDWR | O_CREAT | O_DIRECT, 0644), plain = open("file", O_RDWR);
    ok(fd);
    ck_assert_int_eq(pwrite(fd, p, 8192, 0), 8192);
    char got[8192];
    ck_assert_int_eq(pread(plain, got, 8192, 0), 8192);
    ck_assert_int_eq(memcmp(got, p, 8192), 0);
    ok(pwrite(plain, "PLAIN", 5, 4096));
    ck_assert_int_eq(pread(fd, p, 4096, 4096), 4096);
    ck_assert_int_eq(memcmp(p, "PLAINddd", 8), 0);
    ck_assert_int_eq(pread(fd, p, 4096, 8192), 0);
    memset(p, 'e', 8192);
    ck_assert_int_eq(pread(plain, got, 8192, 0), 8192); /* now cached */
    ck_assert_int_eq(pwrite(fd, p, 4096, 4096), 4096);
    ck_assert_int_eq(pread(plain, got, 4096, 4096), 4096);
    ck_assert_int_eq(got[0], 'e');
    free(p);
}
END_TEST

START_TEST(O_SYNC_and_O_DSYNC_write)
{
    int fd = open("file", O_RDWR | O_CREAT | O_SYNC, 0644);
    ok(write(fd, "abc", 3));
    int other = open("file", O_RDWR | O_DSYNC);
    ok(pwrite(other, "def", 3, 3));
    expect_text("file", "abcdef");
    ok(fsync(fd));
    ok(fdatasync(other));
    ok(syncfs(fd));
    ok(sync_file_range(fd, 0, 6, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
}
END_TEST

START_TEST(fsync_works_on_a_file_open_to_read)
{
    int fd = open_new("file", O_RDONLY, "text");
    ok(fsync(fd));
    ok(fdatasync(fd));
    fails(fsync(-1), EBADF);
}
END_TEST

START_TEST(O_PATH_needs_no_right_to_the_file_and_gives_none)
{
    char got[8];
    struct stat st;
    make_file("file", "text");
    ok(chmod("file", 0));
    become(ALICE, ALICE, 0);
    int fd = open("file", O_PATH);
    ok(fd);
    ok(fstat(fd, &st));
    ck_assert_int_eq(st.st_size, 4);
    fails(read(fd, got, 1), EBADF);
    fails(write(fd, "x", 1), EBADF);
    fails(fchmod(fd, 0644), EBADF);
    fails(ftruncate(fd, 0), EBADF);
}
END_TEST

START_TEST(O_PATH_with_O_NOFOLLOW_opens_a_symlink_itself)
{
    struct stat st;
    char target[16] = "";
    ok(symlink("missing", "link"));
    int fd = open("link", O_PATH | O_NOFOLLOW);
    ok(fd);
    ok(fstat(fd, &st));
    ck_assert(S_ISLNK(st.st_mode));
    ck_assert_int_eq(readlinkat(fd, "", target, sizeof target), 7);
    ck_assert_str_eq(target, "missing");
}
END_TEST

/* Linux before 6.2 sends no request for it. */
static bool kernel_knows_tmpfile(void)
{
    struct utsname u;
    int major = 0, minor = 0;
    ok(uname(&u));
    ck_assert_int_eq(sscanf(u.release, "%d.%d", &major, &minor), 2);
    return on_native() || major > 6 || (major == 6 && minor >= 2);
}

static int name_it(int fd, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

START_TEST(O_TMPFILE_makes_a_file_without_a_name_that_may_get_one)
{
    struct stat st;
    umask(027);
    ok(mkdir("dir", 0755));
    int fd = open("dir", O_TMPFILE | O_RDWR, 0666);
    if (!kernel_knows_tmpfile()) {
        ck_assert_int_eq(fd, -1);
        ck_assert_int_eq(errno, EOPNOTSUPP);
        return;
    }
    ok(fd);
    ok(write(fd, "text", 4));
    ok(fsync(fd));
    ok(fstat(fd, &st));
    ck_assert_uint_eq(st.st_nlink, 0);
    ck_assert_uint_eq(st.st_mode, S_IFREG | 0640);
    ck_assert_int_eq(st.st_size, 4);
    ok(rmdir("dir")); /* nothing is in it */
    ok(name_it(fd, "named"));
    expect_text("named", "text");
    ok(pwrite(fd, "more", 4, 4));
    expect_text("named", "textmore");
    ok(fstat(fd, &st));
    ck_assert_uint_eq(st.st_nlink, 1);
    ok(name_it(fd, "twice"));
    ok(unlink("named"));
    ok(unlink("twice"));
    fails(name_it(fd, "late"), ENOENT);
    expect_content(fd, "textmore");
}
END_TEST

START_TEST(O_TMPFILE_is_refused_as_the_manual_says)
{
    if (!kernel_knows_tmpfile())
        return;
    make_file("file", "text");
    fails(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    fails(open("file", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
    fails(open("missing", O_TMPFILE | O_RDWR, 0600), ENOENT);
    int fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
    ok(fd);
    fails(name_it(fd, "named"), ENOENT); /* with O_EXCL it gets none */
    ok(mkdir("dir", 0755));
    become(ALICE, ALICE, 0);
    fails(open("dir", O_TMPFILE | O_RDWR, 0600), EACCES);
}
END_TEST

START_TEST(an_open_to_write_stays_when_the_file_becomes_read_only)
{
    int fd = open_new("file", O_RDWR, "text");
    ok(chmod("file", 0444));
    ok(pwrite(fd, "T", 1, 0));
    become(ALICE, ALICE, 0);
    ok(pwrite(fd, "E", 1, 1));
    expect_content(fd, "TExt");
}
END_TEST

START_TEST(a_folder_is_opened_and_used_by_its_number)
{
    ok(mkdir("dir", 0755));
    int dir = open("dir", O_RDONLY | O_DIRECTORY);
    ok(mkdirat(dir, "sub", 0755));
    int fd = openat(dir, "sub/file", O_WRONLY | O_CREAT, 0644);
    ok(fd);
    ok(rename("dir", "moved"));
    ok(renameat(dir, "sub/file", dir, "file"));
    ok(symlinkat("file", dir, "link"));
    ok(fchmodat(dir, "file", 0600, 0));
    ok(faccessat(dir, "link", R_OK, 0));
    ok(unlinkat(dir, "sub", AT_REMOVEDIR));
    ck_assert_int_eq(mode_of("moved/file"), 0600);
}
END_TEST

START_TEST(a_thousand_files_are_open_at_a_time)
{
    enum { N = 1000 };
    static int fds[N];
    char name[16], got[16];
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "%d", i);
        fds[i] = open(name, O_RDWR | O_CREAT, 0644);
        ok(fds[i]);
        ok(write(fds[i], name, strlen(name) + 1));
        ok(unlink(name));
    }
    for (int i = 0; i < N; i++) {
        ok(pread(fds[i], got, sizeof got, 0));
        ck_assert_int_eq(atoi(got), i);
    }
}
END_TEST

START_TEST(a_program_runs_from_here)
{
    static char bytes[1 << 20];
    int in = open("/bin/true", O_RDONLY), out = open("prog", O_WRONLY | O_CREAT, 0755);
    ssize_t n = read(in, bytes, sizeof bytes);
    ck_assert_int_eq(write(out, bytes, (size_t)n), n);
    close(out);
    ck_assert_int_eq(system("./prog"), 0);
    make_file("script", "#!/bin/sh\nexit 3\n");
    ok(chmod("script", 0755));
    ck_assert_int_eq(WEXITSTATUS(system("./script")), 3);
}
END_TEST

START_TEST(poll_finds_a_file_always_ready)
{
    struct pollfd p = {.fd = open_new("file", O_RDWR, ""), .events = POLLIN | POLLOUT};
    ck_assert_int_eq(poll(&p, 1, 0), 1);
    ck_assert_int_eq(p.revents, POLLIN | POLLOUT);
}
END_TEST

/* The kernel offers poll for every file of FUSE, so that epoll takes them. */
START_TEST(epoll_refuses_a_file_or_finds_it_always_ready)
{
    struct epoll_event event = {.events = EPOLLIN};
    int fd = open_new("file", O_RDWR, ""), e = epoll_create1(0);
    if (on_native())
        fails(epoll_ctl(e, EPOLL_CTL_ADD, fd, &event), EPERM);
    else if (epoll_ctl(e, EPOLL_CTL_ADD, fd, &event) == 0)
        ck_assert_int_eq(epoll_wait(e, &event, 1, 0), 1);
    else
        ck_assert_int_eq(errno, EPERM);
}
END_TEST

START_TEST(an_unknown_ioctl_is_ENOTTY_and_FIONREAD_tells_what_is_left)
{
    int left = 0, fd = open_new("file", O_RDONLY, "text");
    fails(ioctl(fd, 0x1234, 0), ENOTTY);
    fails(ioctl(fd, TCGETS, &left), ENOTTY);
    ok(lseek(fd, 1, SEEK_SET));
    ok(ioctl(fd, FIONREAD, &left));
    ck_assert_int_eq(left, 3);
}
END_TEST

RUN("open_files", an_unlinked_file_is_read_written_and_cut,
    a_file_that_was_replaced_lives_on_for_who_has_it_open,
    a_new_file_under_the_name_of_an_unlinked_one_is_another,
    an_unlinked_file_is_read_by_its_mapping, an_unlinked_file_is_opened_again_through_proc,
    a_large_unlinked_file_gives_its_space_back, each_open_has_an_offset_of_its_own,
    dup_and_fork_share_the_offset, pread_and_pwrite_leave_the_offset,
    reading_at_or_behind_the_end_gives_nothing, a_write_behind_the_end_leaves_zeroes_between,
    what_was_cut_off_comes_back_as_zeroes, lseek_knows_the_end,
    several_buffers_are_read_and_written_in_one_call, preadv2_and_pwritev2_take_their_flags,
    O_APPEND_writes_at_the_end_wherever_the_offset_is, O_APPEND_can_be_set_and_taken_later,
    lines_of_eight_processes_that_append_are_whole_and_none_is_missing,
    O_TRUNC_empties_a_file_also_for_who_has_it_open,
    of_many_that_make_a_file_with_O_EXCL_one_succeeds, O_DIRECT_reads_and_writes_what_others_see,
    O_SYNC_and_O_DSYNC_write, fsync_works_on_a_file_open_to_read,
    O_PATH_needs_no_right_to_the_file_and_gives_none, O_PATH_with_O_NOFOLLOW_opens_a_symlink_itself,
    O_TMPFILE_makes_a_file_without_a_name_that_may_get_one, O_TMPFILE_is_refused_as_the_manual_says,
    an_open_to_write_stays_when_the_file_becomes_read_only,
    a_folder_is_opened_and_used_by_its_number, a_thousand_files_are_open_at_a_time,
    a_program_runs_from_here, poll_finds_a_file_always_ready,
    epoll_refuses_a_file_or_finds_it_always_ready,
    an_unknown_ioctl_is_ENOTTY_and_FIONREAD_tells_what_is_left)
