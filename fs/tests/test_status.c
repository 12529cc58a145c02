/* STORE/session: whoever waits for a daemon sees its end, however it ended, and what it said. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../../store/base/buf.h"
#include "../../store/base/error.h"
#include "../../store/tests/run_suite.h"
#include "../cmd/status.h"

static char dir[4096];

static void setup(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/skeinfs-status.XXXXXX", tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
    char *file = mem_printf("%s/session", dir);
    unlink(file);
    free(file);
    rmdir(dir);
}

/* A process in the daemon's place. It has begun when this returns, and goes on when told: 'c'
 * closed, 'f' failed, 'x' exits without a word. */
struct stand_in {
    pid_t pid;
    int orders;
};

static struct stand_in start(void)
{
    struct stand_in d;
    int orders[2], begun[2];
    char c = 0;
    ck_assert_int_eq(pipe(orders) | pipe(begun), 0);
    d.pid = fork();
    if (d.pid == 0) {
        struct status s;
        if (status_begin(&s, dir) < 0 || write(begun[1], "", 1) != 1)
            _exit(3);
        close(orders[1]);
        if (read(orders[0], &c, 1) == 1 && c == 'c')
            status_end(&s, NULL);
        else if (c == 'f')
            status_end(&s, "closing the store: no space");
        _exit(0);
    }
    close(begun[1]);
    close(orders[0]);
    ck_assert_int_eq(read(begun[0], &c, 1), 1);
    close(begun[0]);
    d.orders = orders[1];
    return d;
}

static void finish(struct stand_in *d, char order)
{
    ck_assert_int_eq(write(d->orders, &order, 1), 1);
    close(d->orders);
    ck_assert_int_eq(waitpid(d->pid, NULL, 0), d->pid);
}

START_TEST(a_running_daemon_has_not_ended_and_tells_its_pid)
{
    struct stand_in d = start();
    int fd = status_open(dir);
    ck_assert_int_ge(fd, 0);
    ck_assert(!status_ended(fd));
    ck_assert(!status_ended(fd)); /* asking takes nothing */
    ck_assert_int_eq(status_pid(fd), d.pid);
    finish(&d, 'c');
    ck_assert(status_ended(fd));
    close(fd);
}
END_TEST

START_TEST(a_closed_store_is_success)
{
    struct stand_in d = start();
    int fd = status_open(dir);
    finish(&d, 'c');
    ck_assert_int_eq(status_result(fd), 0);
    close(fd);
}
END_TEST

START_TEST(a_failed_close_gives_the_daemon_s_words)
{
    struct stand_in d = start();
    int fd = status_open(dir);
    finish(&d, 'f');
    ck_assert_int_lt(status_result(fd), 0);
    ck_assert_str_eq(fail_text(), "closing the store: no space");
    close(fd);
}
END_TEST

START_TEST(a_daemon_that_ends_without_a_word_has_not_closed_the_store)
{
    struct stand_in d = start();
    int fd = status_open(dir);
    finish(&d, 'x');
    ck_assert(status_ended(fd));
    ck_assert_int_lt(status_result(fd), 0);
    ck_assert_ptr_nonnull(strstr(fail_text(), "without closing"));
    close(fd);
}
END_TEST

START_TEST(a_killed_daemon_has_ended)
{
    struct stand_in d = start();
    int fd = status_open(dir);
    kill(d.pid, SIGKILL);
    close(d.orders);
    ck_assert_int_eq(waitpid(d.pid, NULL, 0), d.pid);
    ck_assert(status_ended(fd));
    ck_assert_int_lt(status_result(fd), 0);
    close(fd);
}
END_TEST

START_TEST(who_opened_the_file_waits_for_the_daemon_it_saw_and_not_for_the_next)
{
    struct stand_in first = start();
    int fd = status_open(dir);
    finish(&first, 'c');
    struct stand_in next = start();
    ck_assert(status_ended(fd));
    ck_assert_int_eq(status_result(fd), 0);
    int fresh = status_open(dir);
    ck_assert(!status_ended(fresh));
    ck_assert_int_eq(status_pid(fresh), next.pid);
    finish(&next, 'c');
    close(fd);
    close(fresh);
}
END_TEST

START_TEST(a_store_that_was_never_mounted_has_no_file)
{
    ck_assert_int_eq(status_open(dir), -ENOENT);
    ck_assert_ptr_nonnull(strstr(fail_text(), dir));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status");
    TCase *tc = tcase_create("status");
    tcase_set_timeout(tc, 20);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_running_daemon_has_not_ended_and_tells_its_pid);
    tcase_add_test(tc, a_closed_store_is_success);
    tcase_add_test(tc, a_failed_close_gives_the_daemon_s_words);
    tcase_add_test(tc, a_daemon_that_ends_without_a_word_has_not_closed_the_store);
    tcase_add_test(tc, a_killed_daemon_has_ended);
    tcase_add_test(tc, who_opened_the_file_waits_for_the_daemon_it_saw_and_not_for_the_next);
    tcase_add_test(tc, a_store_that_was_never_mounted_has_no_file);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
