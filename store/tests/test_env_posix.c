/* Tests of the real disk's environment and of the helpers of env.c on it. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/error.h"
#include "../env/env.h"
#include "run_suite.h"
#include "temp_dir.h"

static struct env *env;

static void setup(void)
{
    env = env_posix();
    temp_dir_clear();
}

static struct env_file *open_file(const char *name, int flags)
{
    struct env_file *f = NULL;
    ck_assert_int_eq(env_open(env, temp_path(name), flags, &f), 0);
    return f;
}

static void put_file(const char *name, const char *text)
{
    struct env_file *f = open_file(name, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE);
    ck_assert_int_eq(env_pwrite(env, f, text, strlen(text), 0), 0);
    env_close(env, f);
}

static void assert_file(const char *name, const char *text)
{
    struct buf b = BUF_INIT;
    ck_assert_int_eq(env_read_file(env, temp_path(name), &b), 0);
    ck_assert(slice_equal(buf_slice(&b), slice_str(text)));
    buf_free(&b);
}

static void assert_text_names(const char *path)
{
    ck_assert_msg(strstr(fail_text(), path) != NULL, "\"%s\" does not name %s", fail_text(), path);
}

/* ---- files */

START_TEST(what_was_written_is_read_and_a_read_is_short_only_at_the_end)
{
    char p[16] = {0};
    uint64_t size = 0;
    struct env_file *f = open_file("f", ENV_WRITE | ENV_CREATE);
    ck_assert_int_eq(env_pwrite(env, f, "hello world", 11, 3), 0);
    ck_assert_int_eq(env_size(env, f, &size), 0);
    ck_assert_uint_eq(size, 14);
    ck_assert_int_eq(env_pread(env, f, p, 5, 3), 5);
    ck_assert_mem_eq(p, "hello", 5);
    ck_assert_int_eq(env_pread(env, f, p, sizeof p, 0), 14);
    ck_assert_mem_eq(p, "\0\0\0hello world", 14);
    ck_assert_int_eq(env_pread(env, f, p, 1, 14), 0);
    ck_assert_int_eq(env_sync(env, f), 0);
    env_close(env, f);
}
END_TEST

START_TEST(open_creates_and_empties_only_where_told)
{
    struct env_file *f;
    char p[4];
    ck_assert_int_eq(env_open(env, temp_path("no"), ENV_READ, &f), -ENOENT);
    assert_text_names(temp_path("no"));
    ck_assert_int_eq(env_open(env, temp_path("no"), ENV_WRITE, &f), -ENOENT);
    ck_assert(!env_exists(env, temp_path("no")));
    put_file("f", "abc");
    ck_assert(env_exists(env, temp_path("f")));
    env_close(env, open_file("f", ENV_WRITE | ENV_CREATE));
    assert_file("f", "abc");
    f = open_file("f", ENV_READ);
    ck_assert_int_eq(env_pread(env, f, p, 3, 0), 3);
    ck_assert_int_eq(env_pwrite(env, f, "x", 1, 0), -EBADF);
    assert_text_names(temp_path("f"));
    env_close(env, f);
    env_close(env, open_file("f", ENV_WRITE | ENV_TRUNCATE));
    assert_file("f", "");
}
END_TEST

START_TEST(truncate_cuts_and_extends_with_zeroes)
{
    char p[8];
    put_file("f", "abcdef");
    struct env_file *f = open_file("f", ENV_WRITE);
    ck_assert_int_eq(env_truncate(env, f, 2), 0);
    ck_assert_int_eq(env_truncate(env, f, 5), 0);
    ck_assert_int_eq(env_pread(env, f, p, sizeof p, 0), 5);
    ck_assert_mem_eq(p, "ab\0\0\0", 5);
    env_close(env, f);
}
END_TEST

START_TEST(a_range_is_written_out_and_stays_what_it_is)
{
    char p[8192];
    memset(p, 'x', sizeof p);
    struct env_file *f = open_file("f", ENV_WRITE | ENV_CREATE);
    ck_assert_int_eq(env_pwrite(env, f, p, sizeof p, 0), 0);
    ck_assert_int_eq(env_write_out(env, f, 0, 4096), 0);
    ck_assert_int_eq(env_await_written(env, f, 0, 4096), 0);
    ck_assert_int_eq(env_write_out(env, f, 4096, 1 << 20), 0); /* behind the end, too */
    ck_assert_int_eq(env_await_written(env, f, 0, 1 << 20), 0);
    ck_assert_int_eq(env_sync(env, f), 0);
    ck_assert_int_eq(env_pread(env, f, p, sizeof p, 0), sizeof p);
    ck_assert(p[0] == 'x' && p[sizeof p - 1] == 'x');
    env_close(env, f);
    f = open_file("f", ENV_READ);
    ck_assert_int_eq(env_write_out(env, f, 0, 4096), 0);
    env_close(env, f);
}
END_TEST

START_TEST(a_punched_range_reads_as_zeroes_and_the_size_stays)
{
    enum { N = 64 << 10 };
    char *p = mem_alloc(N), *zeroes = mem_zalloc(N);
    uint64_t size;
    memset(p, 'x', N);
    struct env_file *f = open_file("f", ENV_WRITE | ENV_CREATE);
    ck_assert_int_eq(env_pwrite(env, f, p, N, 0), 0);
    int rc = env_punch(env, f, N / 2, N);
    if (rc != -EOPNOTSUPP) {
        ck_assert_int_eq(rc, 0);
        ck_assert_int_eq(env_size(env, f, &size), 0);
        ck_assert_uint_eq(size, N);
        ck_assert_int_eq(env_pread(env, f, p, N, 0), N);
        ck_assert_mem_eq(p + N / 2, zeroes, N / 2);
        ck_assert(p[0] == 'x' && p[N / 2 - 1] == 'x');
    }
    env_close(env, f);
    free(p);
    free(zeroes);
}
END_TEST

START_TEST(a_write_that_stops_half_way_is_an_error)
{
    struct rlimit before, small;
    char p[200] = {0};
    struct env_file *f = open_file("f", ENV_WRITE | ENV_CREATE);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = env_pwrite(env, f, p, sizeof p, 0);
    setrlimit(RLIMIT_FSIZE, &before);
    ck_assert_int_eq(rc, -EFBIG);
    assert_text_names(temp_path("f"));
    env_close(env, f);
}
END_TEST

START_TEST(no_descriptor_survives_exec)
{
    int seen = 0;
    struct env_file *lock, *f = open_file("f", ENV_WRITE | ENV_CREATE);
    ck_assert_int_eq(env_lock(env, temp_path("LOCK"), &lock), 0);
    DIR *d = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));) {
        char target[1024];
        ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
        target[n > 0 ? n : 0] = 0;
        if (strncmp(target, temp_dir(), strlen(temp_dir())) != 0)
            continue;
        ck_assert_int_eq(fcntl(atoi(e->d_name), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        seen++;
    }
    closedir(d);
    ck_assert_int_eq(seen, 2);
    env_close(env, f);
    env_close(env, lock);
}
END_TEST

/* ---- names */

static void join_name(void *arg, const char *name)
{
    buf_append(arg, name, strlen(name));
    buf_append(arg, " ", 1);
}

START_TEST(names_are_made_moved_listed_and_removed)
{
    struct buf names = BUF_INIT;
    ck_assert_int_eq(env_mkdir(env, temp_path("d")), 0);
    ck_assert_int_eq(env_mkdir(env, temp_path("d")), -EEXIST);
    ck_assert_int_eq(env_sync_dir(env, temp_path("d")), 0);
    put_file("d/a", "one");
    put_file("d/b", "two");
    ck_assert_int_eq(env_rename(env, temp_path("d/a"), temp_path("d/b")), 0);
    assert_file("d/b", "one");
    put_file("d/.dot", "");
    ck_assert_int_eq(env_list(env, temp_path("d"), join_name, &names), 0);
    buf_append(&names, "", 1);
    ck_assert_uint_eq(strlen(names.data), strlen("b .dot "));
    ck_assert(strstr(names.data, "b ") && strstr(names.data, ".dot "));
    ck_assert_int_eq(env_unlink(env, temp_path("d/b")), 0);
    ck_assert(!env_exists(env, temp_path("d/b")));
    buf_free(&names);
}
END_TEST

START_TEST(failures_on_names_say_which)
{
    struct env_space space;
    ck_assert_int_eq(env_rename(env, temp_path("no"), temp_path("to")), -ENOENT);
    assert_text_names(temp_path("no"));
    assert_text_names(temp_path("to"));
    ck_assert_int_eq(env_unlink(env, temp_path("no")), -ENOENT);
    assert_text_names(temp_path("no"));
    ck_assert_int_eq(env_mkdir(env, temp_path("no/d")), -ENOENT);
    assert_text_names(temp_path("no/d"));
    ck_assert_int_eq(env_list(env, temp_path("none"), join_name, NULL), -ENOENT);
    assert_text_names(temp_path("none"));
    put_file("file", "");
    ck_assert_int_eq(env_sync_dir(env, temp_path("file")), -ENOTDIR);
    assert_text_names(temp_path("file"));
    ck_assert_int_eq(env_space(env, temp_path("gone"), &space), -ENOENT);
    assert_text_names(temp_path("gone"));
}
END_TEST

/* ---- locks */

static void assert_refused(pid_t holder)
{
    struct env_file *f;
    char words[64];
    snprintf(words, sizeof words, "in use by process %ld", (long)holder);
    ck_assert_int_eq(env_lock(env, temp_path("LOCK"), &f), -EWOULDBLOCK);
    assert_text_names(temp_path("LOCK"));
    assert_text_names(words);
}

START_TEST(a_lock_is_refused_to_the_process_that_has_it)
{
    struct env_file *f, *again;
    ck_assert_int_eq(env_lock(env, temp_path("LOCK"), &f), 0);
    assert_refused(getpid());
    env_close(env, open_file("LOCK", ENV_READ)); /* which lets go of no lock */
    assert_refused(getpid());
    env_close(env, f);
    ck_assert_int_eq(env_lock(env, temp_path("LOCK"), &again), 0);
    env_close(env, again);
}
END_TEST

/* Starts a process that takes the lock, by `take`, and holds it until it is killed. */
static pid_t hold_in_another_process(int (*take)(void))
{
    int ends[2];
    char c = 0;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        c = take() == 0 ? 'y' : 'n';
        if (write(ends[1], &c, 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    ck_assert_int_eq(read(ends[0], &c, 1), 1);
    ck_assert_int_eq(c, 'y');
    close(ends[0]);
    close(ends[1]);
    return child;
}

static void end_process(pid_t child)
{
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

static int take_lock(void)
{
    struct env_file *f;
    return env_lock(env, temp_path("LOCK"), &f);
}

START_TEST(a_lock_names_the_other_process_and_ends_with_it)
{
    struct env_file *f;
    pid_t child = hold_in_another_process(take_lock);
    assert_refused(child);
    end_process(child);
    ck_assert_int_eq(env_lock(env, temp_path("LOCK"), &f), 0);
    env_close(env, f);
}
END_TEST

static int take_record_lock(void)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(temp_path("LOCK"), O_RDWR | O_CREAT, 0600);
    return fcntl(fd, F_SETLK, &whole);
}

START_TEST(a_lock_heeds_and_stops_programs_that_lock_by_fcntl)
{
    struct env_file *f;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    pid_t child = hold_in_another_process(take_record_lock);
    ck_assert_int_eq(env_lock(env, temp_path("LOCK"), &f), -EWOULDBLOCK);
    end_process(child);
    ck_assert_int_eq(env_lock(env, temp_path("LOCK"), &f), 0);
    int fd = open(temp_path("LOCK"), O_RDWR);
    ck_assert_int_eq(fcntl(fd, F_SETLK, &whole), -1);
    close(fd);
    env_close(env, f);
}
END_TEST

/* ---- the rest */

START_TEST(space_and_clock_make_sense)
{
    struct env_space space;
    ck_assert_int_eq(env_space(env, temp_dir(), &space), 0);
    ck_assert_uint_gt(space.total, 1 << 20);
    ck_assert_uint_le(space.free, space.total);
    ck_assert_uint_le(space.available, space.free);
    uint64_t before = env_now_ns(env);
    env_sleep_us(env, 20000);
    uint64_t slept = env_now_ns(env) - before;
    ck_assert_uint_ge(slept, 20000000);
    ck_assert_uint_lt(slept, 20000000000ull);
}
END_TEST

START_TEST(read_file_returns_all_of_it)
{
    struct buf b = BUF_INIT;
    buf_set(&b, slice_str("what was here"));
    ck_assert_int_eq(env_read_file(env, temp_path("no"), &b), -ENOENT);
    put_file("empty", "");
    ck_assert_int_eq(env_read_file(env, temp_path("empty"), &b), 0);
    ck_assert_uint_eq(b.len, 0);
    char *text = mem_printf("%100000s|", "x");
    put_file("large", text);
    assert_file("large", text);
    free(text);
    buf_free(&b);
}
END_TEST

START_TEST(replace_file_is_whole_or_not_at_all_and_leaves_nothing_beside)
{
    struct buf names = BUF_INIT;
    put_file("CURRENT", "old, and longer");
    ck_assert_int_eq(env_replace_file(env, temp_path("CURRENT"), slice_str("new")), 0);
    assert_file("CURRENT", "new");
    ck_assert_int_eq(env_mkdir(env, temp_path("CURRENT.d")), 0);
    ck_assert_int_eq(env_mkdir(env, temp_path("CURRENT.d/in")), 0);
    ck_assert_int_lt(env_replace_file(env, temp_path("CURRENT.d"), slice_str("x")), 0);
    ck_assert_int_eq(env_replace_file(env, temp_path("no/CURRENT"), slice_str("x")), -ENOENT);
    ck_assert_int_eq(env_list(env, temp_dir(), join_name, &names), 0);
    buf_append(&names, "", 1);
    ck_assert_uint_eq(strlen(names.data), strlen("CURRENT CURRENT.d "));
    buf_free(&names);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("env_posix");
    TCase *tc = tcase_create("env_posix");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, what_was_written_is_read_and_a_read_is_short_only_at_the_end);
    tcase_add_test(tc, open_creates_and_empties_only_where_told);
    tcase_add_test(tc, truncate_cuts_and_extends_with_zeroes);
    tcase_add_test(tc, a_range_is_written_out_and_stays_what_it_is);
    tcase_add_test(tc, a_punched_range_reads_as_zeroes_and_the_size_stays);
    tcase_add_test(tc, a_write_that_stops_half_way_is_an_error);
    tcase_add_test(tc, no_descriptor_survives_exec);
    tcase_add_test(tc, names_are_made_moved_listed_and_removed);
    tcase_add_test(tc, failures_on_names_say_which);
    tcase_add_test(tc, a_lock_is_refused_to_the_process_that_has_it);
    tcase_add_test(tc, a_lock_names_the_other_process_and_ends_with_it);
    tcase_add_test(tc, a_lock_heeds_and_stops_programs_that_lock_by_fcntl);
    tcase_add_test(tc, space_and_clock_make_sense);
    tcase_add_test(tc, read_file_returns_all_of_it);
    tcase_add_test(tc, replace_file_is_whole_or_not_at_all_and_leaves_nothing_beside);
    suite_add_tcase(suite, tc);
    temp_dir_make();
    int result = run_suite(suite);
    temp_dir_remove();
    return result;
}
