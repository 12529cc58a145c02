/* Random operations on the filesystem and on a model of one, which must agree in every answer and
 * in the whole tree, also after closing, killing and opening again. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../store/tests/run_suite.h"
#include "check_store.h"
#include "model.h"

static void compare(struct model *m)
{
    struct buf want = BUF_INIT, got = BUF_INIT;
    model_text(m, &want);
    fs_text(&got);
    if (!slice_equal(buf_slice(&want), buf_slice(&got)))
        ck_abort_msg("after step %d it should be\n%.*s\nand is\n%.*s", m->step, (int)want.len,
                     want.data, (int)got.len, got.data);
    buf_free(&want);
    buf_free(&got);
}

START_TEST(random_operations_agree_with_the_model)
{
    struct random r = {random_seed()};
    struct model m;
    int n = random_iterations(15000);
    model_init(&m);
    for (int i = 0; i < n; i++) {
        model_step(&m, &r);
        if (i % 500 == 499)
            compare(&m);
        if (random_below(&r, 400) == 0) {
            random_below(&r, 2) ? fixture_reopen() : fixture_kill();
            model_reopened(&m);
            compare(&m);
            fixture_settle();
            check_store(fs, CHECK_NOTHING_OPEN);
        }
    }
    compare(&m);
    check_store(fs, CHECK_GARBAGE_MAY_BE);
    model_free(&m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fs_model");
    TCase *tc = tcase_create("fs_model");
    tcase_set_timeout(tc, 600);
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, random_operations_agree_with_the_model);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
