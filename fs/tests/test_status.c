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

static void remove_file(const char *name)
{
    char *file = mem_printf("%s/%s", dir, name);
    unlink(file);
    free(file);
}

static void make_marker(void)
{
    char *file = mem_printf("%s/skeinfs", dir);
    FILE *f = fopen(file, "w");
    ck_assert_ptr_nonnull(f);
    fclose(f);
    free(file);
}

static void setup(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/skeinfs-status.XXXXXX", tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    make_marker();
}

static void teardown(void)
{
    remove_file("session");
    remove_file("skeinfs");
    rmdir(dir);
}

/* A process in the daemon's place. It has begun when this returns, and goes on when told: 'c'
 * closed, 'f' failed, 'x' exits without a word. */
struct stand_in {
    pid_t pid;
    int orders;
};

static struct stand_in start_as(bool read_only)
{
    struct stand_in d;
    int orders[2], begun[2];
    char c = 0;
    ck_assert_int_eq(pipe(orders) | pipe(begun), 0);
    d.pid = fork();
    if (d.pid == 0) {
        struct status s;
        if (status_begin(&s, dir, read_only) < 0 || write(begun[1], "", 1) != 1)
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

static struct stand_in start(void)
{
    return start_as(false);
}

static struct status_seen open_status(void)
{
    struct status_seen seen;
    ck_assert_msg(status_open(dir, &seen) == 0, "%s", fail_text());
    ck_assert_int_ge(seen.fd, 0);
    return seen;
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
    struct status_seen seen = open_status();
    ck_assert(!status_ended(&seen));
    ck_assert(!status_ended(&seen)); /* asking takes nothing */
    ck_assert_int_eq(status_pid(&seen), d.pid);
    finish(&d, 'c');
    ck_assert(status_ended(&seen));
    status_close(&seen);
}
END_TEST

START_TEST(a_closed_store_is_success)
{
    struct stand_in d = start();
    struct status_seen seen = open_status();
    finish(&d, 'c');
    ck_assert_int_eq(status_result(&seen), 0);
    status_close(&seen);
}
END_TEST

START_TEST(a_failed_close_gives_the_daemon_s_words)
{
    struct stand_in d = start();
    struct status_seen seen = open_status();
    finish(&d, 'f');
    ck_assert_int_lt(status_result(&seen), 0);
    ck_assert_str_eq(fail_text(), "closing the store: no space");
    status_close(&seen);
}
END_TEST

START_TEST(a_daemon_that_ends_without_a_word_has_not_closed_the_store)
{
    struct stand_in d = start();
    struct status_seen seen = open_status();
    finish(&d, 'x');
    ck_assert(status_ended(&seen));
    ck_assert_int_lt(status_result(&seen), 0);
    ck_assert_ptr_nonnull(strstr(fail_text(), "without closing"));
    status_close(&seen);
}
END_TEST

START_TEST(a_killed_daemon_has_ended)
{
    struct stand_in d = start();
    struct status_seen seen = open_status();
    kill(d.pid, SIGKILL);
    close(d.orders);
    ck_assert_int_eq(waitpid(d.pid, NULL, 0), d.pid);
    ck_assert(status_ended(&seen));
    ck_assert_int_lt(status_result(&seen), 0);
    status_close(&seen);
}
END_TEST

START_TEST(who_opened_the_file_waits_for_the_daemon_it_saw_and_not_for_the_next)
{
    struct stand_in first = start();
    struct status_seen seen = open_status();
    finish(&first, 'c');
    struct stand_in next = start();
    ck_assert(status_ended(&seen));
    ck_assert_int_eq(status_result(&seen), 0);
    struct status_seen fresh = open_status();
    ck_assert(!status_ended(&fresh));
    ck_assert_int_eq(status_pid(&fresh), next.pid);
    finish(&next, 'c');
    status_close(&seen);
    status_close(&fresh);
}
END_TEST

START_TEST(a_store_that_was_never_mounted_has_no_file)
{
    struct status_seen seen;
    ck_assert_int_eq(status_open(dir, &seen), -ENOENT);
    ck_assert_int_lt(seen.fd, 0);
    ck_assert_ptr_nonnull(strstr(fail_text(), dir));
}
END_TEST

/* ---- read-only mounts */

static bool is_there(const char *name)
{
    char *file = mem_printf("%s/%s", dir, name);
    bool there = access(file, F_OK) == 0;
    free(file);
    return there;
}

START_TEST(a_read_only_daemon_is_waited_for_and_leaves_no_file)
{
    struct stand_in d = start_as(true);
    struct status_seen seen = open_status();
    ck_assert(!status_ended(&seen));
    ck_assert(!status_ended(&seen));
    ck_assert_int_eq(status_pid(&seen), d.pid);
    finish(&d, _i ? 'f' : 'c');
    ck_assert(status_ended(&seen));
    ck_assert_int_eq(status_result(&seen), 0);
    status_close(&seen);
    ck_assert(!is_there("session"));
}
END_TEST

START_TEST(what_an_earlier_mount_said_is_not_taken_for_a_read_only_one_s)
{
    struct stand_in before = start();
    finish(&before, 'f');
    struct stand_in d = start_as(true);
    struct status_seen seen = open_status();
    ck_assert_int_eq(status_pid(&seen), d.pid);
    finish(&d, 'c');
    ck_assert_int_eq(status_result(&seen), 0);
    status_close(&seen);
    struct status_seen old = open_status();
    ck_assert_int_lt(status_result(&old), 0); /* left as it was */
    status_close(&old);
}
END_TEST

START_TEST(a_second_read_only_daemon_is_refused_until_the_first_has_ended)
{
    struct status s;
    struct stand_in first = start_as(true);
    struct status_seen seen = open_status();
    char *pid = mem_printf("process %ld;", (long)first.pid);
    ck_assert_int_eq(status_begin(&s, dir, true), -EWOULDBLOCK);
    ck_assert_msg(strstr(fail_text(), pid), "%s", fail_text());
    free(pid);
    finish(&first, 'c');
    struct stand_in next = start_as(true);
    ck_assert(status_ended(&seen)); /* that of the one it saw */
    status_close(&seen);
    finish(&next, 'c');
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
    tcase_add_loop_test(tc, a_read_only_daemon_is_waited_for_and_leaves_no_file, 0, 2);
    tcase_add_test(tc, what_an_earlier_mount_said_is_not_taken_for_a_read_only_one_s);
    tcase_add_test(tc, a_second_read_only_daemon_is_refused_until_the_first_has_ended);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
