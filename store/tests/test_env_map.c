/* Tests of files that do not change and are read through a mapping: they give what calls give, no
 * page that may be cold is touched, and where the memory cannot be had the process goes on. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/error.h"
#include "../env/env.h"
#include "../env/env_posix.h"
#include "../store.h"
#include "run_suite.h"
#include "sim_random.h"
#include "temp_dir.h"

enum { PAGE = 4096, PAGES = 80, SIZE = PAGES * PAGE + 1000 };

static struct env *env;
static struct env_file *file; /* SIZE bytes, opened as constant */
static char *bytes;           /* what it has */

static void write_all(void)
{
    struct env_file *f;
    ck_assert_int_eq(env_open(env, temp_path("f"), ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &f), 0);
    ck_assert_int_eq(env_pwrite(env, f, bytes, SIZE, 0), 0);
    env_close(env, f);
}

static void cut_to(uint64_t size)
{
    struct env_file *f;
    ck_assert_int_eq(env_open(env, temp_path("f"), ENV_WRITE, &f), 0);
    ck_assert_int_eq(env_truncate(env, f, size), 0);
    env_close(env, f);
}

static void setup(void)
{
    struct sim_random r = {7};
    env = env_posix();
    temp_dir_clear();
    bytes = mem_alloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)sim_next(&r);
    write_all();
    ck_assert_int_eq(env_open(env, temp_path("f"), ENV_READ | ENV_CONSTANT, &file), 0);
}

static void teardown(void)
{
    store_on_slow_call(NULL);
    store_on_wait(NULL);
    env_close(env, file);
    free(bytes);
}

/* Reads, and checks that it is what the file had, as far as it goes. */
static ssize_t read_at(uint64_t off, size_t n)
{
    char *p = mem_alloc(n);
    ssize_t r = env_pread(env, file, p, n, off);
    ck_assert_int_le(r, (ssize_t)n);
    if (r > 0)
        ck_assert_mem_eq(p, bytes + off, (size_t)r);
    free(p);
    return r;
}

static void read_all_pages(void)
{
    for (uint64_t off = 0; off < PAGES * PAGE; off += PAGE)
        ck_assert_int_eq(read_at(off, PAGE), PAGE);
}

/* ---- what is read */

START_TEST(it_is_what_the_file_has)
{
    struct sim_random r = {sim_env_number("SEED", (uint64_t)getpid())};
    for (int i = 0; i < 20000; i++) {
        uint64_t off = sim_below(&r, SIZE + 100);
        size_t n = (size_t)sim_below(&r, sim_chance(&r, 90) ? 6000 : 40000);
        size_t rest = off < SIZE ? (size_t)(SIZE - off) : 0;
        ck_assert_int_eq(read_at(off, n), (ssize_t)(n < rest ? n : rest));
    }
}
END_TEST

static void *read_on(void *arg)
{
    struct sim_random r = {(uint64_t)(uintptr_t)arg};
    for (int i = 0; i < 2000; i++)
        if (read_at(sim_below(&r, SIZE - 5000), 5000) != 5000)
            return "a short read";
    return NULL;
}

START_TEST(threads_read_side_by_side)
{
    enum { THREADS = 4 };
    pthread_t id[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&id[i], NULL, read_on, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        ck_assert_int_eq(pthread_join(id[i], &wrong), 0);
        ck_assert_msg(!wrong, "%s", (char *)wrong);
    }
}
END_TEST

/* ---- how it is read */

/* The calls of read() and its like that this process has made; -1: the kernel does not tell. */
static long calls(void)
{
    char line[128];
    long n = -1;
    FILE *f = fopen("/proc/self/io", "r");
    while (f && fgets(line, sizeof line, f))
        sscanf(line, "syscr: %ld", &n);
    if (f)
        fclose(f);
    return n;
}

/* How many calls one reading of page `page` makes. */
static long calls_of_page(uint64_t page)
{
    static long own = -1; /* of calls() */
    if (own < 0) {
        long first = calls();
        own = calls() - first;
    }
    long before = calls();
    ck_assert_int_eq(read_at(page * PAGE, PAGE), PAGE);
    return calls() - before - own;
}

/* Whether it can be seen here that a file is read without calls. */
static bool can_tell(void)
{
    FILE *f = fopen(temp_path("f"), "r");
    bool mapped = f && posix_shares_pages(fileno(f));
    if (f)
        fclose(f);
    if (!mapped || calls() < 0)
        printf("no mappings on this filesystem, or no /proc/self/io\n");
    return mapped && calls() >= 0;
}

START_TEST(the_second_time_it_is_read_without_a_call)
{
    if (!can_tell())
        return;
    ck_assert_int_ge(calls_of_page(5), 1);
    ck_assert_int_eq(calls_of_page(5), 0);
    ck_assert_int_eq(calls_of_page(5), 0);
}
END_TEST

/* The cache has all of them, but who knows? A page fault would not ask. */
START_TEST(a_page_that_no_call_has_read_is_read_by_one)
{
    if (!can_tell())
        return;
    ck_assert_int_ge(calls_of_page(70), 1);
    for (uint64_t page = 0; page < PAGES; page++)
        ck_assert_int_eq(calls_of_page(page) > 0, page != 70);
    for (uint64_t page = 0; page < PAGES; page++)
        ck_assert_int_eq(calls_of_page(page), 0);
}
END_TEST

START_TEST(a_file_that_may_change_is_read_by_calls)
{
    if (!can_tell())
        return;
    env_close(env, file);
    ck_assert_int_eq(env_open(env, temp_path("f"), ENV_READ, &file), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_ge(calls_of_page(5), 1);
}
END_TEST

static void call_it(void (*call)(void *arg), void *arg)
{
    call(arg);
}

static void nothing(void)
{
}

START_TEST(threads_that_must_not_sleep_unseen_read_by_calls)
{
    if (!can_tell())
        return;
    read_all_pages();
    ck_assert_int_eq(calls_of_page(5), 0);
    store_on_slow_call(call_it);
    ck_assert_int_ge(calls_of_page(5), 1);
    store_on_slow_call(NULL);
    ck_assert_int_eq(calls_of_page(5), 0);
    store_on_wait(nothing);
    ck_assert_int_ge(calls_of_page(5), 1);
    store_on_wait(NULL);
    ck_assert_int_eq(calls_of_page(5), 0);
}
END_TEST

/* ---- pages that are gone */

/* The file is cut short below the mapping, which is what a disk that fails looks like. */
START_TEST(pages_that_are_gone_are_read_by_calls_which_tell)
{
    for (int i = 0; i < 3; i++) { /* more than once: the signal must not stay blocked */
        read_all_pages();
        cut_to(10 * PAGE);
        ck_assert_int_eq(read_at(0, PAGE), PAGE);
        ck_assert_int_eq(read_at(10 * PAGE, PAGE), 0);
        ck_assert_int_eq(read_at(70 * PAGE - 100, 200), 0);
        ck_assert_int_eq(read_at(10 * PAGE - 100, 200), 100); /* over the border */
        write_all();
    }
    read_all_pages();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        it_is_what_the_file_has,
        threads_read_side_by_side,
        the_second_time_it_is_read_without_a_call,
        a_page_that_no_call_has_read_is_read_by_one,
        a_file_that_may_change_is_read_by_calls,
        threads_that_must_not_sleep_unseen_read_by_calls,
        pages_that_are_gone_are_read_by_calls_which_tell,
        NULL,
    };
    temp_dir_make();
    int result = run_tests("env_map", 60, setup, teardown, tests);
    temp_dir_remove();
    return result;
}
