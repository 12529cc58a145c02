/* Somebody sets the clock back by an hour: nothing waits an hour for it. */
#include <check.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../base/error.h"
#include "full_disk.h"
#include "run_suite.h"

/* For all of this program: a moment of the clock lies an hour ahead, as it does for whoever took it
 * before the clock was set back. */
int clock_gettime(clockid_t clock, struct timespec *t)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, t);
    if (rc == 0 && clock == CLOCK_REALTIME)
        t->tv_sec += 3600;
    return rc;
}

static struct store_stats stats(void)
{
    struct store_stats now;
    store_get_stats(full.store, &now);
    return now;
}

START_TEST(a_flush_without_space_is_tried_again_all_the_same)
{
    struct full_target t = {SIM_WRITE, NAME_TABLE, 0, 5, -ENOSPC};
    ck_assert_int_eq(store_close(full.store), 0);
    full.options.reserve_bytes = 0;
    full_open();
    env_sim_set_hook(full.disk, full_strike, &t);
    for (int i = 0; stats().switches == 0; i++)
        ck_assert_msg(full_put(i, false) == 0, "%s", fail_text());
    for (int ms = 0; ms < 5000 && stats().flushes == 0; ms++)
        usleep(1000);
    ck_assert_uint_eq(stats().space_retries, 5);
    ck_assert_uint_eq(stats().flushes, 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_flush_without_space_is_tried_again_all_the_same, NULL};
    return run_tests("clock set back", 60, full_set_up, full_tear_down, tests);
}
