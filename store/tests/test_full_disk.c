/* A disk that is full, and then is not (and, at the end, one that fails reads): writes that put get
 * -ENOSPC, reads and deletes go on, what was acknowledged stays (also in a store opened from a copy
 * of the disk), and once there is space the same open store takes writes again. After a failed
 * fdatasync it does not, and says so. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "../base/error.h"
#include "full_disk.h"
#include "run_suite.h"

/* ---------------------------------------------------------------- full, and not full */

START_TEST(reads_go_on_when_the_disk_is_full)
{
    int n = full_fill();
    full_must_have(full.store, 0, n);
    full_must_lack(full.store, n, n + 1);
    ck_assert_int_eq(store_background_error(full.store), 0);
    ck_assert_int_eq(store_sync(full.store, 0), 0); /* what is there can still be made durable */
    full_check_copy(SIM_LOSE_ALL, 0, n, n + 1);
}
END_TEST

START_TEST(deletes_go_on_when_the_disk_is_full_and_bring_the_space_back)
{
    struct store_stats stats;
    int n = full_fill(), kept = n / 4;
    ck_assert_int_eq(full_put(n, false), -ENOSPC);
    for (int i = kept; i < n; i++)
        ck_assert_msg(full_drop_patiently(i) == 0, "delete %d of %d: %s", i, n, fail_text());
    full_must_have(full.store, 0, kept);
    full_must_lack(full.store, kept, n);
    ck_assert_msg(full_put_patiently(kept) == 0, "%s", fail_text());
    for (int i = kept + 1; i < n / 2; i++)
        ck_assert_msg(full_put_patiently(i) == 0, "%s", fail_text());
    store_get_stats(full.store, &stats);
    ck_assert_uint_ge(stats.space_refused, 2);
    ck_assert_int_eq(store_sync(full.store, 0), 0);
    full_check_copy(SIM_LOSE_ALL, 0, n / 2, n);
}
END_TEST

START_TEST(a_full_disk_that_gets_space_from_outside_needs_no_reopen)
{
    int n = full_fill();
    env_sim_set_capacity(full.disk, 2 * FULL_CAPACITY);
    ck_assert_msg(full_put(n, true) == 0, "%s", fail_text());
    for (int i = n + 1; i < n + 200; i++)
        ck_assert_msg(full_put_patiently(i) == 0, "%s", fail_text());
    ck_assert_int_eq(store_flush(full.store), 0);
    struct store_stats stats;
    store_get_stats(full.store, &stats);
    ck_assert(!stats.space_low);
    ck_assert(full_has_file("RESERVE"));
    full_must_have(full.store, 0, n + 200);
    ck_assert_int_eq(store_sync(full.store, 0), 0);
    full_check_copy(SIM_LOSE_ALL, 0, n + 200, n + 201);
}
END_TEST

/* They are so few that no memtable would be full for a long time. */
START_TEST(few_deletes_bring_their_space_back_by_themselves)
{
    struct store_batch b = STORE_BATCH_INIT;
    char room[16];
    int n = full_fill();
    for (int i = n / 4; i < n / 2; i++)
        store_batch_delete(&b, full_key(i, room));
    ck_assert_int_eq(store_write(full.store, &b, false), 0);
    ck_assert_msg(full_put_patiently(n) == 0, "%s", fail_text());
    for (int i = n + 1; i < n + n / 8; i++)
        ck_assert_msg(full_put_patiently(i) == 0, "%s", fail_text());
    full_must_have(full.store, 0, n / 4);
    full_must_lack(full.store, n / 4, n / 2);
    full_must_have(full.store, n / 2, n + n / 8);
    store_batch_free(&b);
}
END_TEST

START_TEST(what_is_marked_reclaim_may_put_on_a_full_disk)
{
    struct store_batch b = STORE_BATCH_INIT;
    char room[16];
    int n = full_fill();
    ck_assert_int_eq(full_put(n, false), -ENOSPC);
    store_batch_delete(&b, full_key(0, room));
    store_batch_put(&b, slice_str("note"), slice_str("one less"));
    ck_assert_int_eq(store_write(full.store, &b, false), -ENOSPC);
    struct store_writer w = {.batch = &b, .reclaim = true};
    store_enqueue(full.store, &w);
    ck_assert_msg(store_wait(full.store, &w) == 0, "%s", fail_text());
    full_must_lack(full.store, 0, 1);
    store_batch_free(&b);
}
END_TEST

START_TEST(a_full_disk_is_opened_and_deletes_work)
{
    int n = full_fill();
    int closed = store_close(full.store);
    ck_assert(closed == 0 || closed == -ENOSPC);
    full_open();
    full_must_have(full.store, 0, n);
    for (int i = 0; i < n; i++)
        ck_assert_msg(full_drop(i) == 0, "delete %d: %s", i, fail_text());
    ck_assert_msg(full_put_patiently(n) == 0, "%s", fail_text());
    full_must_lack(full.store, 0, n);
    full_must_have(full.store, n, n + 1);
}
END_TEST

/* The last memtable is looked at while a thread that brings space back may switch it. */
START_TEST(a_full_disk_is_closed_right_after_deletes)
{
    int n = full_fill();
    for (int i = 0; i < 60; i++) {
        ck_assert_msg(full_drop(i) == 0, "delete %d: %s", i, fail_text());
        int closed = store_close(full.store);
        ck_assert(closed == 0 || closed == -ENOSPC);
        full_open();
        full_must_lack(full.store, 0, i + 1);
    }
    full_must_have(full.store, 60, n);
}
END_TEST

/* The disk does not tell that a quota is used up: then the open itself finds no space. */
START_TEST(a_store_whose_quota_is_used_up_opens_thanks_to_the_reserve)
{
    struct env_space space;
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(full_put(i, true), 0);
    ck_assert_int_eq(store_close(full.store), 0);
    ck_assert(full_has_file("RESERVE"));
    ck_assert_int_eq(env_space(full.disk, FULL_DIR, &space), 0);
    env_sim_set_quota(full.disk, space.total - space.available);
    full_open();
    ck_assert(!full_has_file("RESERVE"));
    full_must_have(full.store, 0, 100);
    ck_assert_msg(full_drop(99) == 0, "%s", fail_text());
    full_must_lack(full.store, 99, 100);
}
END_TEST

/* The reserve is held, and the disk tells of space: each write would be tried, cut off the log
 * again and synced. */
START_TEST(writes_beyond_a_used_up_quota_are_refused_before_the_log)
{
    struct env_space space;
    int n = 0;
    ck_assert_int_eq(env_space(full.disk, FULL_DIR, &space), 0);
    env_sim_set_quota(full.disk, space.total - space.available + KB);
    while (n < 100 && full_put(n, false) == 0) /* fewer than a memtable takes */
        n++;
    ck_assert_int_lt(n, 100);
    uint64_t cut_off = env_sim_count(full.disk, SIM_TRUNCATE);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(full_put(n, false), -ENOSPC);
    ck_assert_uint_le(env_sim_count(full.disk, SIM_TRUNCATE), cut_off + 5);
    ck_assert_msg(full_drop(0) == 0, "%s", fail_text());
    env_sim_set_quota(full.disk, FULL_CAPACITY);
    ck_assert_msg(full_put_patiently(n) == 0, "%s", fail_text());
    full_must_have(full.store, 1, n + 1);
}
END_TEST

START_TEST(a_memtable_is_a_small_part_of_a_small_disk)
{
    struct store_stats stats;
    store_close(full.store);
    full.options.memtable_bytes = FULL_CAPACITY / 2;
    full_open();
    for (unsigned i = 0; i * FULL_VALUE < FULL_CAPACITY / 32 + 2 * KB; i++)
        ck_assert_int_eq(full_put((int)i, false), 0);
    store_get_stats(full.store, &stats);
    ck_assert_uint_eq(stats.switches, 1);
}
END_TEST

/* As by default on a disk of a hundred megabytes: a memtable is an eighth of the disk, and so would
 * the reserve be. */
START_TEST(deletes_work_where_a_memtable_is_large_for_the_disk)
{
    store_close(full.store);
    full.options.memtable_bytes = 128 * KB;
    full.options.table_bytes = 16 * KB;
    full.options.level_base_bytes = 80 * KB;
    full_open();
    int n = full_fill();
    ck_assert_int_gt(n, FULL_CAPACITY / FULL_VALUE / 2);
    for (int i = 0; i < n; i++)
        if (i % 2 == _i)
            ck_assert_msg(full_drop(i) == 0, "delete %d of %d: %s", i, n, fail_text());
    for (int i = 0; i < n / 4; i++)
        ck_assert_msg(full_put_patiently(n + i) == 0, "put %d: %s", i, fail_text());
    for (int i = 0; i < n; i++)
        if (i % 2 == _i)
            full_must_lack(full.store, i, i + 1);
        else
            full_must_have(full.store, i, i + 1);
}
END_TEST

/* No reserve: deletes may fail, too, and nothing else is different. */
START_TEST(a_full_disk_without_a_reserve_loses_nothing)
{
    store_close(full.store);
    full.options.reserve_bytes = 0;
    env_sim_set_capacity(full.disk, 0);
    ck_assert_int_eq(store_destroy(FULL_DIR, full.disk), 0);
    env_sim_set_capacity(full.disk, FULL_CAPACITY);
    full_open();
    ck_assert(!full_has_file("RESERVE"));
    int n = full_fill();
    full_must_have(full.store, 0, n);
    env_sim_set_capacity(full.disk, 2 * FULL_CAPACITY);
    ck_assert_msg(full_put_patiently(n) == 0, "%s", fail_text());
    full_must_have(full.store, 0, n + 1);
}
END_TEST

/* ---------------------------------------------------------------- the log */

START_TEST(a_record_without_space_leaves_no_gap_in_the_log)
{
    ck_assert_int_eq(full_put(0, true), 0);
    uint64_t before = store_last_sequence(full.store);
    env_sim_fail(full.disk, SIM_WRITE, env_sim_count(full.disk, SIM_WRITE) + 1, -ENOSPC,
                 SIM_DONE_PART);
    ck_assert_int_eq(full_put(5000, true), -ENOSPC);
    ck_assert_uint_eq(store_last_sequence(full.store), before);
    ck_assert_int_eq(full_put(1, true), 0);
    ck_assert_uint_eq(store_last_sequence(full.store), before + 1);
    for (int i = 2; i < 8; i++)
        ck_assert_int_eq(full_put(i, true), 0);
    full_check_copy(SIM_LOSE_ALL, 0, 8, 10000);
    full_check_copy(SIM_KEEP_ALL, 0, 8, 10000);
}
END_TEST

START_TEST(a_record_that_cannot_be_taken_back_ends_all_writing)
{
    struct full_target t = {SIM_TRUNCATE, NAME_LOG, 0, 100, -ENOSPC};
    ck_assert_int_eq(full_put(0, true), 0);
    env_sim_set_hook(full.disk, full_strike, &t);
    env_sim_fail(full.disk, SIM_WRITE, env_sim_count(full.disk, SIM_WRITE) + 1, -ENOSPC,
                 SIM_DONE_PART);
    ck_assert_int_eq(full_put(1, false), -EIO);
    env_sim_set_hook(full.disk, NULL, NULL);
    ck_assert_int_eq(full_put(2, false), -EIO);
    ck_assert_int_eq(store_background_error(full.store), -EIO);
    full_must_have(full.store, 0, 1);
    full_check_copy(SIM_LOSE_ALL, 0, 1, 3);
}
END_TEST

START_TEST(a_failed_sync_stays_an_error_even_for_want_of_space)
{
    struct full_target t = {SIM_SYNC, NAME_LOG, 0, 1, -ENOSPC};
    ck_assert_int_eq(full_put(0, true), 0);
    env_sim_set_hook(full.disk, full_strike, &t);
    ck_assert_int_eq(full_put(1, true), -ENOSPC);
    env_sim_set_hook(full.disk, NULL, NULL);
    env_sim_set_capacity(full.disk, 0);
    for (int i = 2; i < 20; i++)
        ck_assert_int_eq(full_put(i, i % 2), -ENOSPC);
    ck_assert_int_eq(full_drop(0), -ENOSPC);
    ck_assert_msg(strstr(fail_text(), "opened again") != NULL, "%s", fail_text());
    ck_assert_msg(strstr(fail_text(), "unmount") != NULL, "%s", fail_text());
    ck_assert_int_eq(store_background_error(full.store), -ENOSPC);
    full_must_have(full.store, 0, 1);
}
END_TEST

START_TEST(zeroes_written_ahead_need_not_fit)
{
    for (int i = 0; i < 6; i++) /* the log becomes one that is synced often */
        ck_assert_int_eq(full_put(i, true), 0);
    ck_assert_int_eq(store_flush(full.store), 0); /* a new log, without zeroes */
    struct env_space space;
    env_space(full.disk, FULL_DIR, &space);
    uint64_t used = space.total - space.available;
    env_sim_set_capacity(full.disk, used + 4 * KB); /* less than zero_ahead_bytes */
    for (int i = 6; i < 9; i++)
        ck_assert_msg(full_put(i, true) == 0, "%s", fail_text());
    env_sim_set_capacity(full.disk, 0);
    full_check_copy(SIM_LOSE_ALL, 0, 9, 10);
}
END_TEST

/* ---------------------------------------------------------------- failing reads */

/* Each opening and reading of a file fails once while keys are read: the error is told, or the
 * value is right; nothing stays wrong. Returns whether it came to the k-th. */
static bool fail_read(enum sim_call call, uint64_t k, int n)
{
    struct buf value = BUF_INIT;
    char room[16];
    ck_assert_int_eq(store_close(full.store), 0);
    full_open(); /* nothing is cached */
    env_sim_fail(full.disk, call, env_sim_count(full.disk, call) + k, -EIO, SIM_DONE_NOTHING);
    for (int i = 0; i < n; i++) {
        int rc = store_get(full.store, NULL, full_key(i, room), &value);
        ck_assert_msg(rc == 0 || rc == -EIO, "%s: %s", room, fail_text());
        if (rc == 0)
            ck_assert_int_eq(value.data[FULL_VALUE - 1], 'a' + i % 26);
        else
            ck_assert(env_sim_failed(full.disk));
    }
    bool failed = env_sim_failed(full.disk);
    env_sim_fail(full.disk, call, 0, -EIO, SIM_DONE_NOTHING);
    full_must_have(full.store, 0, n);
    ck_assert_int_eq(store_background_error(full.store), 0);
    ck_assert_int_eq(full_put(n, true), 0);
    ck_assert_int_eq(full_drop(n), 0);
    buf_free(&value);
    return failed;
}

START_TEST(a_failed_read_is_told_and_changes_nothing)
{
    int n = 150;
    uint64_t k = 1;
    ck_assert_int_eq(store_close(full.store), 0);
    full.options.l0_compact =
        1000; /* compactions read, too: what they fail with ends all writing */
    full.options.level_base_bytes = 64 << 20;
    full_open();
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(full_put(i, false), 0);
    while (fail_read(SIM_READ, k, n))
        k++;
    ck_assert_uint_gt(k, 10);
    for (k = 1; fail_read(SIM_OPEN, k, n);)
        k++;
    ck_assert_uint_gt(k, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("full disk");
    TCase *full_disk = tcase_create("full_disk");
    TCase *log = tcase_create("log");
    TCase *failing_reads = tcase_create("failing_reads");
    tcase_add_test(full_disk, reads_go_on_when_the_disk_is_full);
    tcase_add_test(full_disk, deletes_go_on_when_the_disk_is_full_and_bring_the_space_back);
    tcase_add_test(full_disk, a_full_disk_that_gets_space_from_outside_needs_no_reopen);
    tcase_add_test(full_disk, few_deletes_bring_their_space_back_by_themselves);
    tcase_add_test(full_disk, what_is_marked_reclaim_may_put_on_a_full_disk);
    tcase_add_test(full_disk, a_full_disk_is_opened_and_deletes_work);
    tcase_add_test(full_disk, a_full_disk_is_closed_right_after_deletes);
    tcase_add_test(full_disk, a_store_whose_quota_is_used_up_opens_thanks_to_the_reserve);
    tcase_add_test(full_disk, writes_beyond_a_used_up_quota_are_refused_before_the_log);
    tcase_add_test(full_disk, a_memtable_is_a_small_part_of_a_small_disk);
    tcase_add_loop_test(full_disk, deletes_work_where_a_memtable_is_large_for_the_disk, 0, 2);
    tcase_add_test(full_disk, a_full_disk_without_a_reserve_loses_nothing);
    tcase_add_test(log, a_record_without_space_leaves_no_gap_in_the_log);
    tcase_add_test(log, a_record_that_cannot_be_taken_back_ends_all_writing);
    tcase_add_test(log, a_failed_sync_stays_an_error_even_for_want_of_space);
    tcase_add_test(log, zeroes_written_ahead_need_not_fit);
    tcase_add_test(failing_reads, a_failed_read_is_told_and_changes_nothing);
    tcase_set_timeout(full_disk, 60);
    tcase_add_checked_fixture(full_disk, full_set_up, full_tear_down);
    suite_add_tcase(suite, full_disk);
    tcase_set_timeout(log, 60);
    tcase_add_checked_fixture(log, full_set_up, full_tear_down);
    suite_add_tcase(suite, log);
    tcase_set_timeout(failing_reads, 300);
    tcase_add_checked_fixture(failing_reads, full_set_up, full_tear_down);
    suite_add_tcase(suite, failing_reads);
    setvbuf(stdout, NULL, _IOLBF, 0);
    return run_suite(suite);
}
