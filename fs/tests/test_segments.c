/* Segment files by themselves, on the simulated disk: what is appended is read, stays after a sync,
 * and no failing call leaves more than it may. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../store/base/crc.h"
#include "../../store/tests/env_sim.h"
#include "../../store/tests/run_suite.h"
#include "../core/segments.h"
#include "../format/segment_format.h"
#include "fixture.h"
#include "shadow.h"

#define DIR "/segments"
#define PIECE ((size_t)8192)
#define IN_A_FILE 4 /* pieces */

static struct segments *s;
static struct segments_options options;
static int begun, begin_error;
static uint64_t last_begun;

static int begin(void *arg, uint64_t segment)
{
    ck_assert_ptr_eq(arg, &begun);
    begun++;
    last_begun = segment;
    return begin_error ? fail(begin_error, "not now") : 0;
}

static void setup(void)
{
    disk = env_sim_new();
    begun = begin_error = 0;
    options = (struct segments_options){
        .bytes = SEGMENT_HEADER + IN_A_FILE * PIECE, .begin = begin, .arg = &begun};
    s = segments_open(disk, DIR, &options);
}

static void teardown(void)
{
    segments_close(s);
    env_sim_free(disk);
}

static void reopen(void)
{
    segments_close(s);
    s = segments_open(disk, DIR, &options);
}

/* The power goes now; all that is not synced is lost. */
static void cut_power(void)
{
    segments_close(s);
    env_sim_survive(disk, SIM_LOSE_ALL, 0);
    s = segments_open(disk, DIR, &options);
}

static int try_append(unsigned tag, struct segment_place *at)
{
    char p[PIECE];
    shadow_fill(p, sizeof p, 0, tag);
    return segments_append(s, p, sizeof p, at);
}

static struct segment_place append_held(unsigned tag)
{
    struct segment_place at;
    ck_assert_int_eq(try_append(tag, &at), 0);
    return at;
}

static struct segment_place append(unsigned tag)
{
    struct segment_place at = append_held(tag);
    segments_release(s, at);
    return at;
}

static void expect_piece(struct segment_place at, unsigned tag)
{
    char want[PIECE], got[PIECE];
    shadow_fill(want, sizeof want, 0, tag);
    int rc = segments_read(s, at, got, sizeof got);
    ck_assert_msg(rc == 0, "%s", fail_text());
    ck_assert_mem_eq(got, want, sizeof got);
}

static void expect_unreadable(struct segment_place at, int error, const char *words)
{
    char got[PIECE];
    ck_assert_int_eq(segments_read(s, at, got, sizeof got), error);
    ck_assert_msg(strstr(fail_text(), words), "%s", fail_text());
}

static char *path_of(uint64_t number)
{
    static char path[64];
    snprintf(path, sizeof path, DIR "/%06llu.seg", (unsigned long long)number);
    return path;
}

static void fail_next(enum sim_call call, int error, enum sim_damage damage)
{
    env_sim_fail(disk, call, env_sim_count(disk, call) + 1, error, damage);
}

/* ---- appending */

START_TEST(what_is_appended_is_read)
{
    struct segment_place at[3];
    for (unsigned i = 0; i < 3; i++)
        at[i] = append(i);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(at[i].segment, 1);
        ck_assert_uint_eq(at[i].offset, SEGMENT_HEADER + i * PIECE);
        expect_piece(at[i], i);
    }
    reopen();
    for (unsigned i = 0; i < 3; i++)
        expect_piece(at[i], i);
}
END_TEST

START_TEST(a_full_file_is_followed_by_another)
{
    struct segment_place at[3 * IN_A_FILE];
    for (unsigned i = 0; i < 3 * IN_A_FILE; i++) {
        at[i] = append(i);
        ck_assert_uint_eq(at[i].segment, 1 + i / IN_A_FILE);
        ck_assert_int_eq(begun, (int)at[i].segment); /* once for each */
        ck_assert_uint_eq(last_begun, at[i].segment);
    }
    for (unsigned i = 0; i < 3 * IN_A_FILE; i++)
        expect_piece(at[i], i);
    ck_assert_uint_eq(segments_newest(s), 3);
}
END_TEST

START_TEST(one_append_may_be_larger_than_a_file)
{
    static char p[3 * IN_A_FILE * PIECE], got[sizeof p];
    struct segment_place at;
    append(1);
    shadow_fill(p, sizeof p, 0, 2);
    ck_assert_int_eq(segments_append(s, p, sizeof p, &at), 0);
    segments_release(s, at);
    ck_assert_uint_eq(at.segment, 2);
    ck_assert_int_eq(segments_read(s, at, got, sizeof got), 0);
    ck_assert_mem_eq(got, p, sizeof p);
    ck_assert_uint_eq(append(3).segment, 3);
}
END_TEST

START_TEST(numbers_are_above_those_that_are_known)
{
    segments_number_from(s, 41);
    segments_number_from(s, 7); /* does not go back */
    ck_assert_uint_eq(append(1).segment, 42);
    reopen();
    segments_number_from(s, 42);
    ck_assert_uint_eq(append(1).segment, 43); /* no old file is appended to */
}
END_TEST

static uint64_t listed;

static void add_up(void *arg, uint64_t segment)
{
    (void)arg;
    listed = listed * 100 + segment;
}

START_TEST(only_segment_files_are_listed)
{
    struct env_file *f;
    listed = 0;
    ck_assert_int_eq(segments_list(s, add_up, NULL), 0); /* not even a folder is there */
    append(1);
    static const char *const others[] = {DIR "/x.seg", DIR "/000009.segx", DIR "/000000.seg",
                                         DIR "/9", DIR "/.seg"};
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(env_open(disk, others[i], ENV_WRITE | ENV_CREATE, &f), 0);
        env_close(disk, f);
    }
    ck_assert_int_eq(segments_list(s, add_up, NULL), 0);
    ck_assert_uint_eq(listed, 1);
}
END_TEST

START_TEST(a_file_that_may_not_be_begun_leaves_nothing)
{
    struct segment_place at;
    begin_error = -ENOSPC;
    ck_assert_int_eq(try_append(1, &at), -ENOSPC);
    ck_assert_int_eq(begun, 1);
    ck_assert(!env_exists(disk, path_of(1)));
    begin_error = 0;
    at = append(2);
    ck_assert_uint_eq(at.segment, 2);
    expect_piece(at, 2);
}
END_TEST

static const struct {
    enum sim_call call;
    int error;
} failures[] = {
    {SIM_MKDIR, -EACCES}, {SIM_CREATE, -EMFILE}, {SIM_WRITE, -ENOSPC}, {SIM_WRITE, -EIO}};

START_TEST(a_file_that_cannot_be_made_leaves_nothing)
{
    struct segment_place at;
    fail_next(failures[_i].call, failures[_i].error, SIM_DONE_NOTHING);
    ck_assert_int_eq(try_append(1, &at), failures[_i].error);
    ck_assert(env_sim_failed(disk));
    ck_assert_int_eq(begun, 0);
    ck_assert(!env_exists(disk, path_of(1)));
    expect_piece(append(2), 2);
}
END_TEST

static bool is_zero(struct segment_place at)
{
    char p[PIECE];
    bool zero = segments_read(s, at, p, sizeof p) == 0;
    for (size_t i = 0; i < sizeof p; i++)
        zero &= p[i] == 0;
    return zero;
}

START_TEST(a_full_disk_leaves_the_file_in_use)
{
    struct segment_place first = append(1), at;
    fail_next(SIM_WRITE, -ENOSPC, SIM_DONE_PART);
    ck_assert_int_eq(try_append(2, &at), -ENOSPC);
    struct segment_place next = append(3);
    ck_assert_uint_eq(next.segment, 1);
    expect_piece(first, 1);
    expect_piece(next, 3);
    ck_assert_uint_ge(next.offset, first.offset + PIECE);
    if (next.offset > first.offset + PIECE)
        ck_assert(is_zero((struct segment_place){1, first.offset + PIECE}));
}
END_TEST

START_TEST(after_another_error_another_file_is_used)
{
    struct segment_place first = append(1), at;
    fail_next(SIM_WRITE, -EIO, SIM_DONE_PART);
    ck_assert_int_eq(try_append(2, &at), -EIO);
    ck_assert(segments_is_idle(s, 1));
    ck_assert_uint_eq(append(3).segment, 2);
    expect_piece(first, 1);
    ck_assert_int_eq(segments_sync(s), 0);
}
END_TEST

/* ---- many files */

#define MANY 150

START_TEST(more_files_than_stay_open)
{
    static struct segment_place at[MANY];
    options.bytes = SEGMENT_HEADER + PIECE;
    reopen();
    for (unsigned i = 0; i < MANY; i++)
        at[i] = append(i);
    ck_assert_uint_eq(at[MANY - 1].segment, MANY);
    ck_assert_int_eq(segments_sync(s), 0); /* all of them, though not all may stay open */
    uint64_t opened = env_sim_count(disk, SIM_OPEN);
    for (unsigned i = 0; i < MANY; i++)
        expect_piece(at[i], i);
    ck_assert_uint_ge(env_sim_count(disk, SIM_OPEN) - opened, MANY / 2); /* some were closed */
    opened = env_sim_count(disk, SIM_OPEN);
    for (int k = 0; k < 10; k++)
        expect_piece(at[MANY - 1], MANY - 1);
    ck_assert_uint_eq(env_sim_count(disk, SIM_OPEN), opened); /* and some were not */
    cut_power();
    for (unsigned i = 0; i < MANY; i++)
        expect_piece(at[i], i);
}
END_TEST

/* ---- syncing */

START_TEST(a_sync_covers_bytes_and_entries)
{
    struct segment_place at[3 * IN_A_FILE];
    for (unsigned i = 0; i < 2 * IN_A_FILE + 1; i++)
        at[i] = append(i);
    ck_assert_int_eq(segments_sync(s), 0);
    append(99); /* this one is not covered */
    cut_power();
    for (unsigned i = 0; i < 2 * IN_A_FILE + 1; i++)
        expect_piece(at[i], i);
}
END_TEST

START_TEST(without_a_sync_nothing_is_there)
{
    struct segment_place at = append(1);
    cut_power();
    expect_unreadable(at, STORE_ECORRUPT, "000001.seg: missing");
}
END_TEST

START_TEST(a_sync_with_nothing_to_do_costs_nothing)
{
    ck_assert_int_eq(segments_sync(s), 0);
    append(1);
    ck_assert_int_eq(segments_sync(s), 0);
    uint64_t calls = env_sim_count(disk, SIM_ANY);
    ck_assert_int_eq(segments_sync(s), 0);
    ck_assert_uint_eq(env_sim_count(disk, SIM_ANY), calls);
    append(2);
    ck_assert_int_eq(segments_sync(s), 0);
    ck_assert_uint_eq(env_sim_count(disk, SIM_ANY), calls + 2); /* the write, the file's sync */
}
END_TEST

START_TEST(a_failed_sync_is_never_tried_again)
{
    struct segment_place at = append(1);
    if (_i == 1)
        ck_assert_int_eq(segments_sync(s), 0);
    fail_next(_i == 2 ? SIM_SYNC_DIR : SIM_SYNC, -ENOSPC, SIM_DONE_NOTHING);
    ck_assert_int_eq(_i == 1 ? segments_sync_one(s, at.segment) : segments_sync(s), -ENOSPC);
    for (int k = 0; k < 2; k++) {
        append(2);
        ck_assert_int_eq(segments_sync(s), -ENOSPC);
        ck_assert_int_eq(segments_sync_one(s, at.segment), -ENOSPC);
    }
    expect_piece(at, 1); /* it is read all the same */
}
END_TEST

START_TEST(what_is_written_again_is_synced_again)
{
    char p[PIECE];
    struct segment_place at = append(1);
    shadow_fill(p, sizeof p, 0, 1);
    segments_close(s);
    env_sim_restart(disk); /* a kill: the bytes are in the page cache only */
    s = segments_open(disk, DIR, &options);
    ck_assert_int_eq(segments_sync(s), 0); /* of an older process' bytes it knows nothing */
    ck_assert_int_eq(segments_write_again(s, at, p, sizeof p), 0);
    ck_assert_int_eq(segments_sync(s), 0);
    cut_power();
    expect_piece(at, 1);
}
END_TEST

/* ---- damage */

static void overwrite(uint64_t number, uint64_t off, const void *p, size_t n)
{
    struct env_file *f;
    ck_assert_int_eq(env_open(disk, path_of(number), ENV_WRITE, &f), 0);
    ck_assert_int_eq(env_pwrite(disk, f, p, n, off), 0);
    env_close(disk, f);
}

static void cut_file(uint64_t number, uint64_t size)
{
    struct env_file *f;
    ck_assert_int_eq(env_open(disk, path_of(number), ENV_WRITE, &f), 0);
    ck_assert_int_eq(env_truncate(disk, f, size), 0);
    env_close(disk, f);
}

START_TEST(damage_is_told_with_the_files_name)
{
    char header[SEGMENT_HEADER];
    struct segment_place at = append(1);
    reopen();
    overwrite(1, (uint64_t)_i * 4, "\xff", 1); /* each part of the header */
    expect_unreadable(at, STORE_ECORRUPT, DIR "/000001.seg");
    segment_header_encode(2, header);
    overwrite(1, 0, header, sizeof header);
    expect_unreadable(at, STORE_ECORRUPT, DIR "/000001.seg: it says that it is number 2");
    segment_header_encode(1, header);
    overwrite(1, 0, header, sizeof header);
    expect_piece(at, 1);
}
END_TEST

START_TEST(a_file_that_is_too_short_is_damage)
{
    struct segment_place at = append(1);
    cut_file(1, at.offset + PIECE - 1);
    expect_unreadable(at, STORE_ECORRUPT, DIR "/000001.seg: it ends before");
    reopen();
    expect_unreadable(at, STORE_ECORRUPT, DIR "/000001.seg: it ends before");
    cut_file(1, SEGMENT_HEADER - 1);
    reopen();
    expect_unreadable(at, STORE_ECORRUPT, DIR "/000001.seg: it ends before");
    cut_file(1, 0);
    expect_unreadable(at, STORE_ECORRUPT, DIR "/000001.seg: it ends before");
}
END_TEST

START_TEST(a_missing_file_is_damage)
{
    struct segment_place at = append(1);
    segments_close(s);
    env_unlink(disk, path_of(1));
    s = segments_open(disk, DIR, &options);
    expect_unreadable(at, STORE_ECORRUPT, DIR "/000001.seg: missing");
    ck_assert(!segments_exists(s, 1));
}
END_TEST

START_TEST(a_newer_format_is_refused_as_such)
{
    char header[SEGMENT_HEADER];
    struct segment_place at = append(1);
    reopen();
    segment_header_encode(1, header);
    header[8] = 2;
    uint32_t crc = crc_mask(crc32c(header, 20));
    for (int i = 0; i < 4; i++)
        header[20 + i] = (char)(crc >> 8 * i);
    overwrite(1, 0, header, sizeof header);
    expect_unreadable(at, STORE_EFORMAT, DIR "/000001.seg: of a newer format");
}
END_TEST

START_TEST(a_disk_that_does_not_read_is_an_error_of_its_own)
{
    struct segment_place at = append(1);
    fail_next(SIM_READ, -EIO, SIM_DONE_NOTHING);
    expect_unreadable(at, -EIO, "");
    expect_piece(at, 1);
    reopen();
    fail_next(SIM_READ, -EIO, SIM_DONE_NOTHING);
    expect_unreadable(at, -EIO, "");
    expect_piece(at, 1);
}
END_TEST

START_TEST(a_read_only_one_reads)
{
    struct segment_place at = append(1);
    options.read_only = true;
    reopen();
    uint64_t calls = env_sim_count(disk, SIM_ANY);
    expect_piece(at, 1);
    ck_assert_uint_eq(env_sim_count(disk, SIM_ANY), calls);
}
END_TEST

/* ---- giving back */

START_TEST(what_is_punched_reads_as_zeroes)
{
    struct segment_place a = append(1), b = append(2), c = append(3);
    uint64_t size;
    ck_assert_int_eq(segments_sync(s), 0);
    ck_assert_int_eq(segments_punch(s, b, PIECE), 0);
    ck_assert(is_zero(b));
    ck_assert_int_eq(segments_sync_one(s, 1), 0);
    cut_power();
    expect_piece(a, 1);
    ck_assert(is_zero(b));
    expect_piece(c, 3);
    ck_assert_int_eq(segments_size(s, 1, &size), 0);
    ck_assert_uint_eq(size, SEGMENT_HEADER + 3 * PIECE);
}
END_TEST

START_TEST(a_disk_without_holes_is_no_error)
{
    struct segment_place at = append(1);
    fail_next(SIM_PUNCH, -EOPNOTSUPP, SIM_DONE_NOTHING);
    ck_assert_int_eq(segments_punch(s, at, PIECE), 0);
    expect_piece(at, 1);
    fail_next(SIM_PUNCH, -EIO, SIM_DONE_NOTHING);
    ck_assert_int_eq(segments_punch(s, at, PIECE), -EIO);
}
END_TEST

START_TEST(a_file_is_idle_when_nobody_holds_it)
{
    struct segment_place at[IN_A_FILE];
    for (unsigned i = 0; i < IN_A_FILE; i++)
        at[i] = append_held(i);
    struct segment_place other = append(9); /* now another one is appended to */
    ck_assert_uint_eq(other.segment, 2);
    for (int i = 0; i < IN_A_FILE; i++) {
        ck_assert(!segments_is_idle(s, 1));
        ck_assert_int_eq(segments_remove(s, 1), -EBUSY);
        segments_release(s, at[i]);
    }
    ck_assert(segments_is_idle(s, 1));
    ck_assert(!segments_is_idle(s, 2)); /* it is appended to */
    ck_assert(segments_is_idle(s, 77));
}
END_TEST

START_TEST(an_idle_file_is_removed)
{
    for (unsigned i = 0; i < IN_A_FILE; i++)
        append(i);
    struct segment_place other = append(9);
    ck_assert_int_eq(segments_remove(s, 1), 0);
    ck_assert(!env_exists(disk, path_of(1)));
    ck_assert_int_eq(segments_remove(s, 1), 0); /* it is gone: well */
    expect_unreadable((struct segment_place){1, SEGMENT_HEADER}, STORE_ECORRUPT, "missing");
    expect_piece(other, 9);
    ck_assert_int_eq(segments_sync(s), 0); /* that it is gone, too: its space is free then */
    cut_power();
    ck_assert(!env_exists(disk, path_of(1)));
    ck_assert_int_eq(segments_remove(s, 2), 0); /* one that is not open */
    ck_assert(!env_exists(disk, path_of(2)));
}
END_TEST

/* ---- threads */

#define THREADS 4
#define EACH 200

static void *append_and_read(void *arg)
{
    unsigned base = *(unsigned *)arg;
    static _Thread_local struct segment_place at[EACH];
    for (unsigned i = 0; i < EACH; i++) {
        at[i] = append_held(base + i);
        if (i % 8 == 0)
            ck_assert_int_eq(segments_sync(s), 0);
        if (i % 5 == 0)
            expect_piece(at[i / 2], base + i / 2);
        segments_release(s, at[i]);
    }
    for (unsigned i = 0; i < EACH; i++)
        expect_piece(at[i], base + i);
    return NULL;
}

START_TEST(threads_append_beside_one_another)
{
    pthread_t t[THREADS];
    unsigned base[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        base[i] = 1000 * (i + 1);
        ck_assert_int_eq(pthread_create(&t[i], NULL, append_and_read, &base[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    ck_assert_int_eq(begun, (int)segments_newest(s));
    ck_assert_uint_eq(segments_newest(s), THREADS * EACH / IN_A_FILE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("segments");
    TCase *tc = tcase_create("segments");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_is_appended_is_read);
    tcase_add_test(tc, a_full_file_is_followed_by_another);
    tcase_add_test(tc, one_append_may_be_larger_than_a_file);
    tcase_add_test(tc, numbers_are_above_those_that_are_known);
    tcase_add_test(tc, only_segment_files_are_listed);
    tcase_add_test(tc, a_file_that_may_not_be_begun_leaves_nothing);
    tcase_add_loop_test(tc, a_file_that_cannot_be_made_leaves_nothing, 0, 4);
    tcase_add_test(tc, a_full_disk_leaves_the_file_in_use);
    tcase_add_test(tc, after_another_error_another_file_is_used);
    tcase_add_test(tc, more_files_than_stay_open);
    tcase_add_test(tc, a_sync_covers_bytes_and_entries);
    tcase_add_test(tc, without_a_sync_nothing_is_there);
    tcase_add_test(tc, a_sync_with_nothing_to_do_costs_nothing);
    tcase_add_loop_test(tc, a_failed_sync_is_never_tried_again, 0, 3);
    tcase_add_test(tc, what_is_written_again_is_synced_again);
    tcase_add_loop_test(tc, damage_is_told_with_the_files_name, 0, 6);
    tcase_add_test(tc, a_file_that_is_too_short_is_damage);
    tcase_add_test(tc, a_missing_file_is_damage);
    tcase_add_test(tc, a_newer_format_is_refused_as_such);
    tcase_add_test(tc, a_disk_that_does_not_read_is_an_error_of_its_own);
    tcase_add_test(tc, a_read_only_one_reads);
    tcase_add_test(tc, what_is_punched_reads_as_zeroes);
    tcase_add_test(tc, a_disk_without_holes_is_no_error);
    tcase_add_test(tc, a_file_is_idle_when_nobody_holds_it);
    tcase_add_test(tc, an_idle_file_is_removed);
    tcase_add_test(tc, threads_append_beside_one_another);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
