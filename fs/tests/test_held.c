/* Answers that are held back: which, how many, and when they go. The kernel's part is played by a
 * socket that keeps messages apart. */
#include <check.h>
#include <linux/fuse.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../store/tests/run_suite.h"
#include "../fuse/held.h"

static struct held held;
static int kernel; /* the other end */

static void setup(void)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
    held = (struct held){.fd = fds[0]};
    kernel = fds[1];
}

static void teardown(void)
{
    close(held.fd);
    close(kernel);
}

/* What has come; NULL: nothing. */
static const char *came(void)
{
    static char text[1024];
    ssize_t n = read(kernel, text, sizeof text - 1);
    if (n < 0)
        return NULL;
    text[n] = '\0';
    return text;
}

static void begin(unsigned opcode, size_t size)
{
    static char request[1 << 20];
    struct fuse_in_header head = {.len = (unsigned)size, .opcode = opcode};
    memcpy(request, &head, sizeof head);
    held_begin(&held, request, size);
}

/* An answer in two pieces. */
static bool answer(const char *text)
{
    size_t half = strlen(text) / 2;
    struct iovec iov[] = {{(char *)text, half}, {(char *)text + half, strlen(text) - half}};
    return held_take(&held, iov, 2);
}

/* A small request, served. True: its answer is held. */
static bool serve(const char *text)
{
    begin(FUSE_LOOKUP, 100);
    bool kept = answer(text);
    held_end(&held);
    return kept;
}

static void be_busy(void)
{
    for (int i = 1; i < HELD_BUSY; i++)
        ck_assert(!serve("before"));
}

START_TEST(a_program_alone_gets_its_answers_at_once)
{
    for (int i = 0; i < 100; i++) {
        ck_assert(!serve("alone"));
        held_none(&held);
    }
    ck_assert_ptr_null(came());
}
END_TEST

START_TEST(answers_in_turn_are_sent_together_and_in_order)
{
    char text[2] = "a";
    be_busy();
    for (int i = 0; i < HELD_MOST; i++) {
        ck_assert_ptr_null(came());
        text[0] = (char)('a' + i);
        ck_assert(serve(text));
    }
    for (int i = 0; i < HELD_MOST; i++) {
        text[0] = (char)('a' + i);
        ck_assert_str_eq(came(), text);
    }
    ck_assert_ptr_null(came());
    ck_assert(serve("and on")); /* it is busy still */
}
END_TEST

START_TEST(they_go_when_there_is_no_request)
{
    be_busy();
    ck_assert(serve("one") && serve("two"));
    held_none(&held);
    ck_assert_str_eq(came(), "one");
    ck_assert_str_eq(came(), "two");
    ck_assert(!serve("no more in a row"));
}
END_TEST

START_TEST(they_go_before_what_may_take_long)
{
    static const struct {
        unsigned opcode;
        size_t size;
    } slow[] = {{FUSE_READDIRPLUS, 100}, {FUSE_FALLOCATE, 100}, {FUSE_WRITE, 1 << 20}};
    be_busy();
    ck_assert(serve("one"));
    begin(FUSE_WRITE, 4200);
    held_end(&held);
    ck_assert_ptr_null(came());
    begin(slow[_i].opcode, slow[_i].size);
    ck_assert_str_eq(came(), "one");
    held_end(&held);
}
END_TEST

/* Nor behind requests without end whose own answers are not held, or come later. */
START_TEST(an_answer_waits_for_so_many_requests_only)
{
    be_busy();
    ck_assert(serve("one"));
    for (int i = 1; i < HELD_MOST; i++) {
        ck_assert_ptr_null(came());
        begin(FUSE_FSYNC, 100);
        held_end(&held);
    }
    ck_assert_str_eq(came(), "one");
}
END_TEST

START_TEST(a_long_answer_is_not_held)
{
    char text[HELD_BYTES + 2];
    memset(text, 'x', sizeof text);
    text[HELD_BYTES + 1] = '\0';
    be_busy();
    ck_assert(!serve(text));
    text[HELD_BYTES] = '\0';
    ck_assert(serve(text));
    held_send(&held);
    ck_assert_str_eq(came(), text);
}
END_TEST

/* Of a request that another thread serves while this one reads, or a note to the kernel. */
START_TEST(what_is_no_answer_of_the_reader_is_not_held)
{
    be_busy();
    ck_assert(!answer("of another"));
}
END_TEST

START_TEST(a_kernel_that_takes_no_answer_is_no_error)
{
    be_busy();
    ck_assert(serve("one"));
    signal(SIGPIPE, SIG_IGN);
    close(kernel);
    kernel = -1;
    held_send(&held);
    ck_assert_uint_eq(held.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("held");
    TCase *tc = tcase_create("held");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_program_alone_gets_its_answers_at_once);
    tcase_add_test(tc, answers_in_turn_are_sent_together_and_in_order);
    tcase_add_test(tc, they_go_when_there_is_no_request);
    tcase_add_loop_test(tc, they_go_before_what_may_take_long, 0, 3);
    tcase_add_test(tc, an_answer_waits_for_so_many_requests_only);
    tcase_add_test(tc, a_long_answer_is_not_held);
    tcase_add_test(tc, what_is_no_answer_of_the_reader_is_not_held);
    tcase_add_test(tc, a_kernel_that_takes_no_answer_is_no_error);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
