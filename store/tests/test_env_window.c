/* Tests of windows onto files of the real disk: what is written through one is in the file,
 * outlives the process, and where the memory cannot be had the process goes on. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/error.h"
#include "../env/env.h"
#include "../env/guarded_copy.h"
#include "run_suite.h"
#include "temp_dir.h"

enum { PAGE = 4096, PAGES = 8, SIZE = PAGES * PAGE };

static struct env *env;
static struct env_file *file;
static struct env_window *window;

/* The file is zeroes, and the window is onto all but its first 100 bytes. */
static void fill_and_open(void)
{
    static const char zeroes[SIZE];
    ck_assert_int_eq(env_pwrite(env, file, zeroes, SIZE, 0), 0);
    ck_assert_msg(env_window_open(env, file, 100, SIZE - 100, &window) == 0, "%s", fail_text());
}

static void setup(void)
{
    env = env_posix();
    temp_dir_clear();
    ck_assert_int_eq(env_open(env, temp_path("f"), ENV_WRITE | ENV_CREATE, &file), 0);
    fill_and_open();
}

static void teardown(void)
{
    env_window_close(env, window);
    env_close(env, file);
}

static void assert_bytes(uint64_t off, const char *text)
{
    char found[64] = {0};
    size_t n = strlen(text);
    ck_assert_int_eq(env_pread(env, file, found, n, off), (ssize_t)n);
    ck_assert_str_eq(found, text);
}

static int write_text(const char *text, uint64_t off)
{
    return env_window_write(env, window, text, strlen(text), off);
}

START_TEST(what_goes_through_a_window_is_in_the_file_at_once)
{
    uint64_t size = 0;
    ck_assert_int_eq(write_text("first", 100), 0);
    ck_assert_int_eq(write_text("over a border", PAGE - 5), 0);
    ck_assert_int_eq(write_text("last", SIZE - 4), 0);
    assert_bytes(100, "first");
    assert_bytes(PAGE - 5, "over a border");
    assert_bytes(SIZE - 4, "last");
    ck_assert_int_eq(env_pwrite(env, file, "F", 1, 100), 0);
    ck_assert_int_eq(write_text("I", 101), 0);
    assert_bytes(100, "FIrst");
    ck_assert_int_eq(env_sync(env, file), 0);
    ck_assert_int_eq(write_text("after a sync", 200), 0);
    assert_bytes(200, "after a sync");
    ck_assert_int_eq(env_size(env, file, &size), 0);
    ck_assert_uint_eq(size, SIZE);
}
END_TEST

START_TEST(a_kill_loses_nothing_that_went_through_a_window)
{
    pid_t child = fork();
    if (child == 0) {
        for (uint64_t page = 0; page < PAGES; page++)
            if (write_text("written", page * PAGE + 100))
                _exit(1);
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (uint64_t page = 0; page < PAGES; page++)
        assert_bytes(page * PAGE + 100, "written");
}
END_TEST

/* The file is cut short below the window, which is what a disk that fails looks like. */
static void take_the_pages_away(void)
{
    ck_assert_int_eq(env_truncate(env, file, 0), 0);
}

START_TEST(where_the_memory_is_gone_the_bytes_are_written_all_the_same)
{
    for (int i = 0; i < 3; i++) { /* more than once: the signal must not stay blocked */
        take_the_pages_away();
        ck_assert_int_eq(write_text("over a border", 3 * PAGE - 5), 0);
        assert_bytes(3 * PAGE - 5, "over a border");
        ck_assert_int_eq(write_text("again", 200), 0);
        assert_bytes(200, "again");
        env_window_close(env, window);
        fill_and_open();
    }
}
END_TEST

START_TEST(where_the_bytes_cannot_be_written_either_that_is_the_error)
{
    struct rlimit before, limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = PAGE;
    signal(SIGXFSZ, SIG_IGN);
    take_the_pages_away();
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int first = write_text("lost", 2 * PAGE), second = write_text("kept", 100);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(first, -EFBIG);
    ck_assert_msg(strstr(fail_text(), temp_path("f")) != NULL, "%s", fail_text());
    ck_assert_int_eq(second, 0);
    assert_bytes(100, "kept");
}
END_TEST

/* Of the process's mappings of the file: how many there are, and how many bytes of them are in its
 * memory. */
static int mappings(size_t *resident)
{
    char line[512];
    FILE *f = fopen("/proc/self/smaps", "r");
    bool ours = false;
    int n = 0;
    size_t kib;
    ck_assert_ptr_nonnull(f);
    *resident = 0;
    while (fgets(line, sizeof line, f)) {
        if (strchr(line, '-') && strstr(line, " rw-s ")) {
            ours = strstr(line, temp_path("f")) != NULL;
            n += ours;
        } else if (ours && sscanf(line, "Rss: %zu", &kib) == 1) {
            *resident += kib << 10;
            ours = false;
        }
    }
    fclose(f);
    return n;
}

START_TEST(windows_one_behind_the_other_share_a_mapping_and_keep_no_memory)
{
    enum { WINDOW = 32 * PAGE, MANY = 40 };
    static const char zeroes[WINDOW];
    size_t resident;
    env_window_close(env, window);
    for (uint64_t i = 0; i < MANY; i++) {
        ck_assert_int_eq(env_pwrite(env, file, zeroes, WINDOW, i * WINDOW), 0);
        ck_assert_int_eq(env_window_open(env, file, i * WINDOW + 7, WINDOW - 7, &window), 0);
        ck_assert_int_eq(write_text("text", i * WINDOW + 7), 0);
        ck_assert_int_eq(mappings(&resident), 1);
        ck_assert_uint_le(resident, WINDOW);
        if (i + 1 < MANY)
            env_window_close(env, window);
    }
    for (uint64_t i = 0; i < MANY; i++)
        assert_bytes(i * WINDOW + 7, "text");
}
END_TEST

START_TEST(two_windows_far_from_each_other_are_open_at_a_time)
{
    struct env_window *far = NULL;
    uint64_t off = 100ull << 20;
    size_t resident;
    ck_assert_int_eq(env_pwrite(env, file, "0000", 4, off), 0);
    ck_assert_int_eq(env_window_open(env, file, off, 4, &far), 0);
    ck_assert_int_eq(env_window_write(env, far, "far", 3, off), 0);
    ck_assert_int_eq(write_text("near", 100), 0);
    assert_bytes(off, "far0");
    assert_bytes(100, "near");
    env_window_close(env, window);
    ck_assert_int_eq(mappings(&resident), 1);
    window = far;
}
END_TEST

START_TEST(a_window_onto_what_the_file_has_not_is_refused)
{
    struct env_window *w = NULL;
    ck_assert_int_lt(env_window_open(env, file, SIZE, PAGE, &w), 0);
    ck_assert_msg(strstr(fail_text(), temp_path("f")) != NULL, "%s", fail_text());
}
END_TEST

/* ---- SIGBUS of others */

/* Memory behind whose file there is nothing. */
static volatile char *bad_memory(void)
{
    int fd = memfd_create("bad", 0);
    void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert(fd >= 0 && p != MAP_FAILED);
    close(fd);
    return p;
}

static void leave(int number)
{
    _exit(number == SIGBUS ? 33 : 34);
}

static void leave_with_information(int number, siginfo_t *info, void *context)
{
    (void)context;
    _exit(number == SIGBUS && info->si_code == BUS_ADRERR ? 35 : 34);
}

/* How a process ends that touches bad memory; `action`: its handler before ours is installed. */
static int end_of_child(const struct sigaction *action)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        if (action)
            sigaction(SIGBUS, action, NULL);
        else
            signal(SIGBUS, SIG_DFL);
        if (!guarded_copy_ready() || guarded_copy((void *)bad_memory(), "x", 1))
            _exit(1);
        *bad_memory() = 'x';
        _exit(2);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

START_TEST(a_bus_error_of_others_is_theirs)
{
    struct sigaction plain = {.sa_handler = leave};
    struct sigaction informed = {.sa_sigaction = leave_with_information, .sa_flags = SA_SIGINFO};
    int status = end_of_child(NULL);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "%x", status);
    status = end_of_child(&plain);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 33, "%x", status);
    status = end_of_child(&informed);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 35, "%x", status);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("env_window");
    TCase *tc = tcase_create("windows"), *others = tcase_create("others");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_goes_through_a_window_is_in_the_file_at_once);
    tcase_add_test(tc, a_kill_loses_nothing_that_went_through_a_window);
    tcase_add_test(tc, where_the_memory_is_gone_the_bytes_are_written_all_the_same);
    tcase_add_test(tc, where_the_bytes_cannot_be_written_either_that_is_the_error);
    tcase_add_test(tc, windows_one_behind_the_other_share_a_mapping_and_keep_no_memory);
    tcase_add_test(tc, two_windows_far_from_each_other_are_open_at_a_time);
    tcase_add_test(tc, a_window_onto_what_the_file_has_not_is_refused);
    tcase_set_timeout(others, 60); /* no fixture: ours is not installed before the child is */
    tcase_add_test(others, a_bus_error_of_others_is_theirs);
    suite_add_tcase(suite, tc);
    suite_add_tcase(suite, others);
    temp_dir_make();
    int result = run_suite(suite);
    temp_dir_remove();
    return result;
}
