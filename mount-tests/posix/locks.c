/* flock, locks of POSIX and of open files, leases, inotify, fanotify: between processes. */
#include "posix.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/wait.h>

/* ---- a second process that does what it is told, one step at a time */

struct other {
    pid_t pid;
    int to, from;
};

/* What the other one can be told; the answer is 0 or the errno. */
struct order {
    enum { QUIT, OPEN, CLOSE, FLOCK, SETLK, SETLKW, OFD_SETLK } what;
    int flags; /* of open and flock; the type of a lock */
    off_t start, len;
};

static int obey(const struct order *o, int *fd)
{
    struct flock l = {.l_type = (short)o->flags, .l_start = o->start, .l_len = o->len};
    int r = 0;
    if (o->what == OPEN)
        r = *fd = open("file", O_RDWR);
    else if (o->what == CLOSE)
        r = close(*fd);
    else if (o->what == FLOCK)
        r = flock(*fd, o->flags);
    else if (o->what == SETLK)
        r = fcntl(*fd, F_SETLK, &l);
    else if (o->what == SETLKW)
        r = fcntl(*fd, F_SETLKW, &l);
    else if (o->what == OFD_SETLK)
        r = fcntl(*fd, F_OFD_SETLK, &l);
    return r == -1 ? errno : 0;
}

static struct other start_other(void)
{
    int to[2], from[2];
    ok(pipe(to));
    ok(pipe(from));
    struct other other = {fork(), to[1], from[0]};
    if (other.pid == 0) {
        struct order o;
        int fd = -1;
        close(to[1]);
        while (read(to[0], &o, sizeof o) == (ssize_t)sizeof o && o.what != QUIT) {
            int answer = obey(&o, &fd);
            if (write(from[1], &answer, sizeof answer) < 0)
                break;
        }
        _exit(0);
    }
    close(to[0]);
    close(from[1]);
    return other;
}

static void tell(const struct other *other, struct order o)
{
    ck_assert_int_eq(write(other->to, &o, sizeof o), (ssize_t)sizeof o);
}

static bool has_answered(const struct other *other, int ms)
{
    struct pollfd p = {.fd = other->from, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}

static int answer_of(const struct other *other)
{
    int answer = -1;
    ck_assert_int_eq(read(other->from, &answer, sizeof answer), (ssize_t)sizeof answer);
    return answer;
}

static int ask(const struct other *other, struct order o)
{
    tell(other, o);
    return answer_of(other);
}

static void end_other(const struct other *other)
{
    tell(other, (struct order){.what = QUIT});
    waitpid(other->pid, NULL, 0);
}

/* The file, open here and in another process. */
static struct other open_in_two(int *fd)
{
    make_file("file", "0123456789");
    *fd = open("file", O_RDWR);
    ok(*fd);
    struct other other = start_other();
    ck_assert_int_eq(ask(&other, (struct order){.what = OPEN}), 0);
    return other;
}

static int lock(int fd, int cmd, int type, off_t start, off_t len)
{
    struct flock l = {.l_type = (short)type, .l_start = start, .l_len = len};
    return fcntl(fd, cmd, &l);
}

static struct order setlk(int type, off_t start, off_t len)
{
    return (struct order){SETLK, type, start, len};
}

/* ---- flock */

START_TEST(flock_keeps_another_process_out)
{
    int fd;
    struct other other = open_in_two(&fd);
    ok(flock(fd, LOCK_EX));
    ck_assert_int_eq(ask(&other, (struct order){FLOCK, LOCK_EX | LOCK_NB, 0, 0}), EWOULDBLOCK);
    ck_assert_int_eq(ask(&other, (struct order){FLOCK, LOCK_SH | LOCK_NB, 0, 0}), EWOULDBLOCK);
    ok(flock(fd, LOCK_SH));
    ck_assert_int_eq(ask(&other, (struct order){FLOCK, LOCK_SH | LOCK_NB, 0, 0}), 0);
    fails(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    ck_assert_int_eq(ask(&other, (struct order){FLOCK, LOCK_UN, 0, 0}), 0);
    ok(flock(fd, LOCK_EX | LOCK_NB));
    end_other(&other);
}
END_TEST

START_TEST(flock_waits_until_the_other_lets_go)
{
    int fd;
    struct other other = open_in_two(&fd);
    ok(flock(fd, LOCK_EX));
    tell(&other, (struct order){FLOCK, LOCK_EX, 0, 0});
    ck_assert(!has_answered(&other, 50));
    ok(flock(fd, LOCK_UN));
    ck_assert_int_eq(answer_of(&other), 0);
    end_other(&other);
}
END_TEST

START_TEST(flock_belongs_to_the_open_file_and_goes_with_its_last_number)
{
    make_file("file", "");
    int a = open("file", O_RDWR), b = open("file", O_RDWR), copy = dup(a);
    ok(flock(a, LOCK_EX));
    ok(flock(copy, LOCK_EX | LOCK_NB));
    fails(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    ok(close(a));
    fails(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    ok(close(copy));
    ok(flock(b, LOCK_EX | LOCK_NB));
}
END_TEST

START_TEST(flock_of_a_process_that_dies_goes)
{
    int fd;
    struct other other = open_in_two(&fd);
    ck_assert_int_eq(ask(&other, (struct order){FLOCK, LOCK_EX, 0, 0}), 0);
    fails(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    ok(kill(other.pid, SIGKILL));
    waitpid(other.pid, NULL, 0);
    ok(flock(fd, LOCK_EX | LOCK_NB));
}
END_TEST

START_TEST(flock_works_on_folders_and_files_open_to_read)
{
    ok(mkdir("dir", 0755));
    make_file("file", "");
    int d = open("dir", O_RDONLY), r = open("file", O_RDONLY);
    ok(flock(d, LOCK_EX | LOCK_NB));
    ok(flock(r, LOCK_EX | LOCK_NB));
    fails(flock(open("dir", O_RDONLY), LOCK_SH | LOCK_NB), EWOULDBLOCK);
    fails(flock(r, 0), EINVAL);
}
END_TEST

/* ---- POSIX */

START_TEST(write_locks_exclude_all_and_read_locks_only_write_locks)
{
    int fd;
    struct other other = open_in_two(&fd);
    ok(lock(fd, F_SETLK, F_RDLCK, 0, 10));
    ck_assert_int_eq(ask(&other, setlk(F_RDLCK, 0, 10)), 0);
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 5, 1)), EAGAIN);
    ck_assert_int_eq(ask(&other, setlk(F_UNLCK, 0, 0)), 0);
    ok(lock(fd, F_SETLK, F_WRLCK, 0, 10));
    ck_assert_int_eq(ask(&other, setlk(F_RDLCK, 9, 1)), EAGAIN);
    ck_assert_int_eq(ask(&other, setlk(F_RDLCK, 10, 1)), 0);
    end_other(&other);
}
END_TEST

START_TEST(ranges_are_split_and_joined)
{
    int fd;
    struct other other = open_in_two(&fd);
    ok(lock(fd, F_SETLK, F_WRLCK, 0, 30));
    ok(lock(fd, F_SETLK, F_UNLCK, 10, 10));
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 10, 10)), 0);
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 9, 1)), EAGAIN);
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 20, 1)), EAGAIN);
    fails(lock(fd, F_SETLK, F_WRLCK, 0, 0), EAGAIN);
    end_other(&other);
    ok(lock(fd, F_SETLK, F_WRLCK, 0, 0));
}
END_TEST

START_TEST(length_0_reaches_to_infinity)
{
    int fd;
    struct other other = open_in_two(&fd);
    ok(lock(fd, F_SETLK, F_WRLCK, 100, 0));
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 1L << 60, 1)), EAGAIN);
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 99, 1)), 0);
    end_other(&other);
}
END_TEST

START_TEST(F_GETLK_tells_who_holds_what)
{
    int fd;
    struct other other = open_in_two(&fd);
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 3, 4)), 0);
    struct flock l = {.l_type = F_RDLCK, .l_start = 0, .l_len = 0};
    ok(fcntl(fd, F_GETLK, &l));
    ck_assert_int_eq(l.l_type, F_WRLCK);
    ck_assert_int_eq(l.l_pid, other.pid);
    ck_assert_int_eq(l.l_start, 3);
    ck_assert_int_eq(l.l_len, 4);
    l = (struct flock){.l_type = F_WRLCK, .l_start = 7, .l_len = 1};
    ok(fcntl(fd, F_GETLK, &l));
    ck_assert_int_eq(l.l_type, F_UNLCK);
    end_other(&other);
}
END_TEST

START_TEST(F_SETLKW_waits_until_the_other_lets_go)
{
    int fd;
    struct other other = open_in_two(&fd);
    ok(lock(fd, F_SETLK, F_WRLCK, 0, 1));
    tell(&other, (struct order){SETLKW, F_WRLCK, 0, 1});
    ck_assert(!has_answered(&other, 50));
    ok(lock(fd, F_SETLK, F_UNLCK, 0, 1));
    ck_assert_int_eq(answer_of(&other), 0);
    end_other(&other);
}
END_TEST

START_TEST(closing_any_number_of_a_file_gives_all_locks_of_the_process_up)
{
    int fd;
    struct other other = open_in_two(&fd);
    ok(lock(fd, F_SETLK, F_WRLCK, 0, 10));
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 0, 1)), EAGAIN);
    ok(close(open("file", O_RDONLY)));
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 0, 1)), 0);
    end_other(&other);
}
END_TEST

START_TEST(locks_go_when_their_process_closes_or_dies)
{
    int fd;
    struct other other = open_in_two(&fd);
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 0, 10)), 0);
    fails(lock(fd, F_SETLK, F_WRLCK, 0, 1), EAGAIN);
    ck_assert_int_eq(ask(&other, (struct order){.what = CLOSE}), 0);
    ok(lock(fd, F_SETLK, F_WRLCK, 0, 1));
    ok(lock(fd, F_SETLK, F_UNLCK, 0, 1));
    ck_assert_int_eq(ask(&other, (struct order){.what = OPEN}), 0);
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 0, 10)), 0);
    ok(kill(other.pid, SIGKILL));
    waitpid(other.pid, NULL, 0);
    ok(lock(fd, F_SETLK, F_WRLCK, 0, 1));
}
END_TEST

START_TEST(locks_are_not_inherited_by_a_child)
{
    make_file("file", "");
    int fd = open("file", O_RDWR);
    ok(lock(fd, F_SETLK, F_WRLCK, 0, 1));
    pid_t pid = fork();
    if (pid == 0)
        _exit(lock(fd, F_SETLK, F_WRLCK, 0, 1) == -1 && errno == EAGAIN ? 0 : 1);
    int status;
    waitpid(pid, &status, 0);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(two_that_wait_for_each_other_are_EDEADLK)
{
    int fd;
    struct other other = open_in_two(&fd);
    ok(lock(fd, F_SETLK, F_WRLCK, 0, 1));
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 1, 1)), 0);
    tell(&other, (struct order){SETLKW, F_WRLCK, 0, 1});
    ck_assert(!has_answered(&other, 50));
    fails(lock(fd, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
    ok(lock(fd, F_SETLK, F_UNLCK, 0, 1));
    ck_assert_int_eq(answer_of(&other), 0);
    end_other(&other);
}
END_TEST

START_TEST(locks_need_a_file_open_for_what_they_are_for)
{
    make_file("file", "");
    int r = open("file", O_RDONLY), w = open("file", O_WRONLY);
    fails(lock(r, F_SETLK, F_WRLCK, 0, 1), EBADF);
    fails(lock(w, F_SETLK, F_RDLCK, 0, 1), EBADF);
    fails(lock(r, F_SETLK, F_RDLCK, -1, 1), EINVAL);
    fails(lock(r, F_SETLK, 99, 0, 1), EINVAL);
}
END_TEST

START_TEST(lockf_locks_from_the_offset)
{
    int fd;
    struct other other = open_in_two(&fd);
    ok(lseek(fd, 5, SEEK_SET));
    ok(lockf(fd, F_TLOCK, 2));
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 6, 1)), EAGAIN);
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 7, 1)), 0);
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 4, 1)), 0);
    end_other(&other);
}
END_TEST

START_TEST(POSIX_locks_and_flock_do_not_meet)
{
    int fd;
    struct other other = open_in_two(&fd);
    ok(flock(fd, LOCK_EX));
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 0, 0)), 0);
    end_other(&other);
}
END_TEST

START_TEST(locks_follow_a_file_that_is_renamed)
{
    int fd;
    struct other other = open_in_two(&fd);
    ok(lock(fd, F_SETLK, F_WRLCK, 0, 0));
    ok(rename("file", "moved"));
    ck_assert_int_eq(ask(&other, setlk(F_WRLCK, 0, 0)), EAGAIN);
    end_other(&other);
}
END_TEST

/* ---- open file description locks */

START_TEST(locks_of_open_files_exclude_each_other_within_a_process)
{
    make_file("file", "");
    int a = open("file", O_RDWR), b = open("file", O_RDWR);
    ok(lock(a, F_OFD_SETLK, F_WRLCK, 0, 10));
    fails(lock(b, F_OFD_SETLK, F_WRLCK, 9, 1), EAGAIN);
    ok(lock(b, F_OFD_SETLK, F_WRLCK, 10, 1));
    ok(close(open("file", O_RDONLY))); /* no concern of theirs */
    fails(lock(b, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN);
    struct flock l = {.l_type = F_WRLCK, .l_len = 1};
    ok(fcntl(b, F_OFD_GETLK, &l));
    ck_assert_int_eq(l.l_pid, -1);
    ok(close(a));
    ok(lock(b, F_OFD_SETLK, F_WRLCK, 0, 1));
}
END_TEST

START_TEST(locks_of_open_files_exclude_POSIX_locks)
{
    int fd;
    struct other other = open_in_two(&fd);
    ck_assert_int_eq(ask(&other, (struct order){OFD_SETLK, F_WRLCK, 0, 10}), 0);
    fails(lock(fd, F_SETLK, F_WRLCK, 0, 1), EAGAIN);
    end_other(&other);
    ok(lock(fd, F_SETLK, F_WRLCK, 0, 1));
}
END_TEST

START_TEST(locks_of_open_files_are_shared_with_a_child)
{
    make_file("file", "");
    int a = open("file", O_RDWR), b = open("file", O_RDWR);
    ok(lock(a, F_OFD_SETLK, F_WRLCK, 0, 1));
    pid_t pid = fork();
    if (pid == 0)
        _exit(lock(a, F_OFD_SETLK, F_UNLCK, 0, 1) != 0);
    waitpid(pid, NULL, 0);
    ok(lock(b, F_OFD_SETLK, F_WRLCK, 0, 1));
}
END_TEST

/* ---- leases, inotify, fanotify */

START_TEST(a_read_lease_is_told_of_a_writer)
{
    make_file("file", "text");
    int fd = open("file", O_RDONLY);
    ok(fcntl(fd, F_SETLEASE, F_RDLCK));
    ck_assert_int_eq(fcntl(fd, F_GETLEASE), F_RDLCK);
    signal(SIGIO, SIG_IGN);
    fails(open("file", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
    ok(fcntl(fd, F_SETLEASE, F_UNLCK));
    ok(open("file", O_WRONLY | O_NONBLOCK));
}
END_TEST

START_TEST(a_write_lease_is_for_who_alone_has_the_file_open)
{
    make_file("file", "text");
    signal(SIGIO, SIG_IGN);
    int fd = open("file", O_RDWR), other = open("file", O_RDONLY);
    fails(fcntl(fd, F_SETLEASE, F_WRLCK), EAGAIN);
    ok(close(other));
    ok(fcntl(fd, F_SETLEASE, F_WRLCK));
    fails(open("file", O_RDONLY | O_NONBLOCK), EWOULDBLOCK);
    ok(fcntl(fd, F_SETLEASE, F_UNLCK));
    ok(open("file", O_RDONLY | O_NONBLOCK));
}
END_TEST

static bool read_event(int in, uint32_t mask, const char *name)
{
    _Alignas(struct inotify_event) char bytes[4096];
    struct pollfd p = {.fd = in, .events = POLLIN};
    while (poll(&p, 1, 1000) == 1) {
        ssize_t n = read(in, bytes, sizeof bytes);
        for (ssize_t at = 0; at < n;) {
            struct inotify_event *e = (struct inotify_event *)(bytes + at);
            if ((e->mask & mask) && (!name || (e->len && strcmp(e->name, name) == 0)))
                return true;
            at += (ssize_t)(sizeof *e + e->len);
        }
    }
    return false;
}

START_TEST(inotify_tells_of_what_happens_in_a_folder)
{
    ok(mkdir("dir", 0755));
    int in = inotify_init1(IN_NONBLOCK);
    ok(inotify_add_watch(in, "dir", IN_ALL_EVENTS));
    ok(close(open("dir/file", O_WRONLY | O_CREAT, 0644)));
    ck_assert(read_event(in, IN_CREATE, "file"));
    int fd = open("dir/file", O_WRONLY);
    ok(write(fd, "x", 1));
    ck_assert(read_event(in, IN_MODIFY, "file"));
    ok(close(fd));
    ck_assert(read_event(in, IN_CLOSE_WRITE, "file"));
    ok(chmod("dir/file", 0600));
    ck_assert(read_event(in, IN_ATTRIB, "file"));
    ok(rename("dir/file", "dir/moved"));
    ck_assert(read_event(in, IN_MOVED_TO, "moved"));
    ok(mkdir("dir/sub", 0755));
    ck_assert(read_event(in, IN_CREATE, "sub"));
    ok(unlink("dir/moved"));
    ck_assert(read_event(in, IN_DELETE, "moved"));
    ok(rmdir("dir/sub"));
    ok(rmdir("dir"));
    ck_assert(read_event(in, IN_DELETE_SELF, NULL));
}
END_TEST

START_TEST(inotify_tells_of_a_file_that_loses_its_last_name)
{
    make_file("file", "");
    int in = inotify_init1(IN_NONBLOCK);
    ok(inotify_add_watch(in, "file", IN_DELETE_SELF | IN_ATTRIB));
    ok(unlink("file"));
    ck_assert(read_event(in, IN_DELETE_SELF, NULL));
}
END_TEST

START_TEST(fanotify_tells_of_writes_with_the_file_and_the_process)
{
    struct fanotify_event_metadata e;
    char path[64], target[4096] = "";
    int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY);
    if (fan < 0 && (errno == ENOSYS || errno == EPERM))
        return; /* a kernel or a container without it */
    ok(fan);
    ok(fanotify_mark(fan, FAN_MARK_ADD, FAN_MODIFY | FAN_EVENT_ON_CHILD, AT_FDCWD, "."));
    make_file("file", "text");
    ck_assert_int_eq(read(fan, &e, sizeof e), (ssize_t)sizeof e);
    ck_assert(e.mask & FAN_MODIFY);
    ck_assert_int_eq(e.pid, getpid());
    snprintf(path, sizeof path, "/proc/self/fd/%d", e.fd);
    ok(readlink(path, target, sizeof target - 1));
    ck_assert_str_eq(strrchr(target, '/'), "/file");
}
END_TEST

START_TEST(fanotify_marks_a_mount)
{
    struct fanotify_event_metadata e;
    int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY);
    if (fan < 0 && (errno == ENOSYS || errno == EPERM))
        return;
    ok(fan);
    ok(fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_CLOSE_WRITE, AT_FDCWD, "."));
    make_file("file", "text");
    bool told = false;
    while (read(fan, &e, sizeof e) == (ssize_t)sizeof e) { /* also of others on this disk */
        told |= e.pid == getpid() && (e.mask & FAN_CLOSE_WRITE);
        close(e.fd);
    }
    ck_assert(told);
}
END_TEST

/* Marks of a whole filesystem need its f_fsid, which the kernel leaves 0 on FUSE. */
START_TEST(fanotify_marks_a_whole_filesystem_or_is_ENODEV)
{
    int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_NONBLOCK, O_RDONLY);
    if (fan < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL))
        return;
    ok(fan);
    int r = fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_CREATE, AT_FDCWD, ".");
    ck_assert(r == 0 || errno == (on_native() ? EOPNOTSUPP : ENODEV)); /* overlayfs has none */
}
END_TEST

RUN("locks", flock_keeps_another_process_out, flock_waits_until_the_other_lets_go,
    flock_belongs_to_the_open_file_and_goes_with_its_last_number, flock_of_a_process_that_dies_goes,
    flock_works_on_folders_and_files_open_to_read,
    write_locks_exclude_all_and_read_locks_only_write_locks, ranges_are_split_and_joined,
    length_0_reaches_to_infinity, F_GETLK_tells_who_holds_what,
    F_SETLKW_waits_until_the_other_lets_go,
    closing_any_number_of_a_file_gives_all_locks_of_the_process_up,
    locks_go_when_their_process_closes_or_dies, locks_are_not_inherited_by_a_child,
    two_that_wait_for_each_other_are_EDEADLK, locks_need_a_file_open_for_what_they_are_for,
    lockf_locks_from_the_offset, POSIX_locks_and_flock_do_not_meet,
    locks_follow_a_file_that_is_renamed, locks_of_open_files_exclude_each_other_within_a_process,
    locks_of_open_files_exclude_POSIX_locks, locks_of_open_files_are_shared_with_a_child,
    a_read_lease_is_told_of_a_writer, a_write_lease_is_for_who_alone_has_the_file_open,
    inotify_tells_of_what_happens_in_a_folder, inotify_tells_of_a_file_that_loses_its_last_name,
    fanotify_tells_of_writes_with_the_file_and_the_process, fanotify_marks_a_mount,
    fanotify_marks_a_whole_filesystem_or_is_ENODEV)
