/* Where syncs come often, what is appended goes to the disk at once; elsewhere it does not. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../store/tests/env_sim.h"
#include "../../store/tests/run_suite.h"
#include "../core/segments.h"
#include "../format/segment_format.h"

#define DIR "/segments"
#define MIB (1u << 20)
#define PIECE ((size_t)65536)
#define IN_A_FILE (8u * MIB)

static struct env *disk;
static struct segments *s;

static int begin(void *arg, uint64_t segment)
{
    (void)arg, (void)segment;
    return 0;
}

static void setup(void)
{
    struct segments_options options = {.bytes = SEGMENT_HEADER + IN_A_FILE, .begin = begin};
    disk = env_sim_new();
    env_sim_set_trace(disk, true);
    s = segments_open(disk, DIR, &options);
}

static void teardown(void)
{
    segments_close(s);
    env_sim_free(disk);
}

static void append(size_t bytes)
{
    static char p[PIECE];
    struct segment_place at;
    memset(p, 'x', sizeof p);
    for (; bytes > 0; bytes -= PIECE) {
        ck_assert_int_eq(segments_append(s, p, PIECE, &at), 0);
        segments_release(s, at);
    }
}

static void sync_twice(unsigned pause_us)
{
    ck_assert_int_eq(segments_sync(s), 0);
    env_sleep_us(disk, pause_us);
    ck_assert_int_eq(segments_sync(s), 0);
}

static void expect_no_hurry(void)
{
    append(6 * MIB);
    ck_assert_uint_eq(env_sim_count(disk, SIM_WRITE_OUT), 0);
    ck_assert_uint_eq(env_sim_count(disk, SIM_AWAIT_WRITTEN), 0);
}

START_TEST(without_syncs_nobody_hurries)
{
    expect_no_hurry();
}
END_TEST

START_TEST(one_sync_is_not_often)
{
    env_sleep_us(disk, 2000000);
    ck_assert_int_eq(segments_sync(s), 0);
    expect_no_hurry();
}
END_TEST

START_TEST(every_two_seconds_is_not_often)
{
    sync_twice(2000000);
    expect_no_hurry();
}
END_TEST

START_TEST(what_was_often_is_so_no_more_after_a_while)
{
    sync_twice(1000);
    env_sleep_us(disk, 2000000);
    expect_no_hurry();
}
END_TEST

/* All of a file goes to the disk in pieces, without a gap, but for the last one that is not yet a
 * piece; from the first piece on who appends waits for what is some pieces behind. */
static void expect_pieces(const char *path)
{
    const struct sim_traced *t;
    uint64_t written = 0, awaited = 0, begun = 0;
    size_t n = env_sim_trace(disk, &t);
    for (size_t i = 0; i < n; i++) {
        uint64_t end = t[i].off + t[i].len;
        if (strcmp(t[i].path, path) != 0)
            continue;
        if (t[i].call == SIM_WRITE)
            written = end;
        if (t[i].call == SIM_AWAIT_WRITTEN)
            awaited = end;
        if (t[i].call == SIM_WRITE_OUT) {
            ck_assert_uint_eq(t[i].off, begun);
            ck_assert_uint_eq(end, written);
            begun = end;
        }
        ck_assert_uint_le(written - begun, begun == 0 ? 6 * MIB : MIB + PIECE);
        ck_assert_uint_le(awaited, begun);
        ck_assert_uint_le(written - awaited, 6 * MIB);
    }
    ck_assert_uint_gt(begun, 0);
    ck_assert_uint_le(written - awaited, 4 * MIB);
}

START_TEST(where_syncs_come_often_pieces_go_to_the_disk)
{
    sync_twice(1000);
    append(6 * MIB);
    expect_pieces(DIR "/000001.seg");
    ck_assert_uint_eq(env_sim_count(disk, SIM_WRITE_OUT), 6);
}
END_TEST

START_TEST(the_next_file_begins_anew)
{
    sync_twice(1000);
    append(IN_A_FILE + 6 * MIB);
    expect_pieces(DIR "/000001.seg");
    expect_pieces(DIR "/000002.seg");
}
END_TEST

START_TEST(what_was_appended_before_goes_along)
{
    append(3 * MIB);
    sync_twice(1000);
    append(PIECE);
    ck_assert_uint_eq(env_sim_count(disk, SIM_WRITE_OUT), 1);
    append(3 * MIB);
    expect_pieces(DIR "/000001.seg");
}
END_TEST

/* The kernel may tell this call alone that bytes were lost. */
START_TEST(a_failure_is_a_failed_sync)
{
    enum sim_call call = _i == 0 ? SIM_WRITE_OUT : SIM_AWAIT_WRITTEN;
    sync_twice(1000);
    env_sim_fail(disk, call, 1, -ENOSPC, SIM_DONE_NOTHING);
    append(4 * MIB);
    ck_assert(env_sim_failed(disk));
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(segments_sync(s), -ENOSPC);
        ck_assert_int_eq(segments_sync_one(s, 1), -ENOSPC);
        append(4 * MIB); /* and waits for nothing */
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("segment_pace");
    TCase *tc = tcase_create("segment_pace");
    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, without_syncs_nobody_hurries);
    tcase_add_test(tc, one_sync_is_not_often);
    tcase_add_test(tc, every_two_seconds_is_not_often);
    tcase_add_test(tc, what_was_often_is_so_no_more_after_a_while);
    tcase_add_test(tc, where_syncs_come_often_pieces_go_to_the_disk);
    tcase_add_test(tc, the_next_file_begins_anew);
    tcase_add_test(tc, what_was_appended_before_goes_along);
    tcase_add_loop_test(tc, a_failure_is_a_failed_sync, 0, 2);
    return run_suite(suite);
}
