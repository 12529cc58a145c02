/* Room, holes and copies: fs_fallocate, fs_seek, fs_copy. (Random ones beside a model:
 * test_fs_model.) */
#include <check.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../../store/tests/env_sim.h"
#include "../../store/tests/run_suite.h"
#include "check_store.h"
#include "fixture.h"

#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO FALLOC_FL_ZERO_RANGE
#define KEEP FALLOC_FL_KEEP_SIZE
#define B FS_BLOCK

static void fill(uint64_t ino, uint64_t off, size_t n, char c)
{
    char *p = mem_alloc(n);
    memset(p, c, n);
    write_at(ino, off, p, n);
    free(p);
}

static void expect_fill(uint64_t ino, uint64_t off, size_t n, char c)
{
    char *p = mem_alloc(n);
    ck_assert_int_eq(fs_read(fs, ino, p, n, off), (ssize_t)n);
    for (size_t i = 0; i < n; i++)
        if (p[i] != c)
            ck_abort_msg("at %llu: %d, not %d", (unsigned long long)(off + i), p[i], c);
    free(p);
}

static int allocate(uint64_t ino, int mode, uint64_t off, uint64_t len)
{
    return fs_fallocate(fs, ino, mode, off, len, false);
}

static uint64_t size_of(uint64_t ino)
{
    return (uint64_t)stat_of(ino).st_size;
}

static long blocks(uint64_t ino)
{
    return stat_of(ino).st_blocks / (B / 512);
}

START_TEST(fallocate_extends_a_file_with_zeroes)
{
    uint64_t f = make_file(FS_ROOT, "f");
    write_text(f, "abc");
    ck_assert_int_eq(allocate(f, 0, 1, 2), 0); /* within it: nothing changes */
    ck_assert_uint_eq(size_of(f), 3);
    ck_assert_int_eq(allocate(f, 0, 2 * B, B), 0);
    ck_assert_uint_eq(size_of(f), 3 * B);
    expect_fill(f, 3, 3 * B - 3, 0);
    fixture_reopen();
    f = find(FS_ROOT, "f");
    ck_assert_uint_eq(size_of(f), 3 * B);
}
END_TEST

START_TEST(fallocate_with_keep_size_leaves_the_size)
{
    uint64_t f = make_file(FS_ROOT, "f");
    write_text(f, "abc");
    ck_assert_int_eq(allocate(f, KEEP, 0, 100 * B), 0);
    ck_assert_uint_eq(size_of(f), 3);
    ck_assert_int_eq(blocks(f), 1);
}
END_TEST

START_TEST(more_room_than_the_disk_has_is_refused)
{
    uint64_t f = make_file(FS_ROOT, "f");
    struct statvfs sv;
    ck_assert_int_eq(fs_statfs(fs, &sv), 0);
    uint64_t available = (uint64_t)sv.f_bavail * sv.f_frsize;
    ck_assert_int_eq(allocate(f, 0, 0, available + 64 * B), -ENOSPC);
    ck_assert_int_eq(allocate(f, KEEP, 0, available + 64 * B), -ENOSPC);
    ck_assert_uint_eq(size_of(f), 0);
    ck_assert_int_eq(allocate(f, ZERO, 0, available + 64 * B), 0); /* a hole takes none */
}
END_TEST

/* While *left is above 0 there is no space for the log. */
static int no_space_for_a_moment(void *left, enum sim_call call, const char *path)
{
    int *n = left;
    bool is_log = strcmp(path + strlen(path) - 4, ".log") == 0;
    return call == SIM_WRITE && is_log && (*n)-- > 0 ? -ENOSPC : 0;
}

/* On a full disk a flush has all of the reserve for a moment. */
START_TEST(a_removal_is_not_refused_for_a_moment_without_space)
{
    int left = 5;
    make_file(FS_ROOT, "f");
    env_sim_set_hook(disk, no_space_for_a_moment, &left);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    env_sim_set_hook(disk, NULL, NULL);
    ck_assert(left <= 0 && !exists(FS_ROOT, "f"));
}
END_TEST

/* What cannot be deleted just now is not left to the next mount. */
START_TEST(garbage_that_found_no_space_is_deleted_later)
{
    int left = 50;
    uint64_t f = make_file(FS_ROOT, "f");
    write_text(f, "abc");
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    env_sim_set_hook(disk, no_space_for_a_moment, &left);
    fs_forget(fs, f, 1);
    fixture_settle();
    ck_assert(left <= 0);
    ck_assert_int_eq(count_records('E', f) + count_records('O', f), 0);
    env_sim_set_hook(disk, NULL, NULL);
}
END_TEST

START_TEST(what_is_there_already_needs_no_room)
{
    uint64_t f = make_file(FS_ROOT, "f");
    struct statvfs sv;
    ck_assert_int_eq(fs_statfs(fs, &sv), 0);
    uint64_t most = (uint64_t)sv.f_bavail / 64 * 64 * B; /* 64 blocks are left over at the least */
    fill(f, 0, 256 * B, 'x');
    ck_assert_int_eq(fs_statfs(fs, &sv), 0);
    uint64_t now = (uint64_t)sv.f_bavail * B;
    ck_assert_uint_ge(most, now - 300 * B);
    ck_assert_int_eq(allocate(f, KEEP, 0, now + 200 * B), 0);
    ck_assert_int_eq(allocate(f, KEEP, 0, now + 400 * B), -ENOSPC);
    ck_assert_int_eq(allocate(f, PUNCH, 0, 128 * B), 0); /* sparse from now on: counted */
    ck_assert_int_eq(fs_statfs(fs, &sv), 0);
    now = (uint64_t)sv.f_bavail * B;
    ck_assert_int_eq(allocate(f, KEEP, 0, now + 100 * B), 0);
    ck_assert_int_eq(allocate(f, KEEP, 0, now + 200 * B), -ENOSPC);
}
END_TEST

START_TEST(a_punched_hole_is_zeroes_and_takes_no_room)
{
    uint64_t f = make_file(FS_ROOT, "f");
    fill(f, 0, 10 * B, 'x');
    ck_assert_int_eq(allocate(f, PUNCH, B + 100, 4 * B), 0);
    expect_fill(f, 0, B + 100, 'x');
    expect_fill(f, B + 100, 4 * B, 0);
    expect_fill(f, 5 * B + 100, 5 * B - 100, 'x');
    ck_assert_int_eq(blocks(f), 7);
    ck_assert_int_eq(count_records('E', f), 7);
    ck_assert_uint_eq(size_of(f), 10 * B);
    ck_assert_int_eq(allocate(f, PUNCH, 10, 20), 0); /* in one block */
    expect_fill(f, 10, 20, 0);
    expect_fill(f, 30, 10, 'x');
    ck_assert_int_eq(allocate(f, PUNCH, 9 * B, 100 * B), 0); /* over the end */
    ck_assert_uint_eq(size_of(f), 10 * B);
    ck_assert_int_eq(blocks(f), 6);
    ck_assert_int_eq(allocate(f, PUNCH, 50 * B, B), 0); /* behind the end */
    fixture_kill();
    expect_fill(find(FS_ROOT, "f"), 9 * B, B, 0);
}
END_TEST

START_TEST(a_hole_over_the_end_takes_the_last_block_too)
{
    uint64_t f = make_file(FS_ROOT, "f");
    fill(f, 0, B + 10, 'x');
    ck_assert_int_eq(allocate(f, PUNCH, B, 10), 0);
    ck_assert_int_eq(blocks(f), 1);
    ck_assert_uint_eq(size_of(f), B + 10);
}
END_TEST

START_TEST(a_huge_hole_is_made_in_steps)
{
    const int n = 2500;
    uint64_t f = make_file(FS_ROOT, "f");
    for (int dense = 1; dense >= 0; dense--) {
        fill(f, 0, (size_t)n * B, 'x');
        if (!dense)
            set_size(f, 1ull << 40);
        ck_assert_int_eq(allocate(f, PUNCH, 1, (uint64_t)n * B), 0);
        ck_assert_int_eq(blocks(f), 1);
        expect_fill(f, 0, 1, 'x');
        expect_fill(f, 1, 100 * B, 0);
        expect_fill(f, (uint64_t)(n - 1) * B, B, 0);
        check_store(fs, CHECK_NO_GARBAGE);
    }
}
END_TEST

START_TEST(zero_range_extends_unless_told_not_to)
{
    uint64_t f = make_file(FS_ROOT, "f");
    fill(f, 0, 3 * B, 'x');
    ck_assert_int_eq(allocate(f, ZERO | KEEP, 2 * B, 4 * B), 0);
    ck_assert_uint_eq(size_of(f), 3 * B);
    expect_fill(f, 2 * B, B, 0);
    ck_assert_int_eq(allocate(f, ZERO, B + 1, 4 * B), 0);
    ck_assert_uint_eq(size_of(f), 5 * B + 1);
    expect_fill(f, 0, B + 1, 'x');
    expect_fill(f, B + 1, 4 * B, 0);
}
END_TEST

START_TEST(other_modes_and_other_kinds_are_refused)
{
    uint64_t f = make_file(FS_ROOT, "f"), d = make_dir(FS_ROOT, "d");
    ck_assert_int_eq(allocate(f, FALLOC_FL_COLLAPSE_RANGE, 0, B), -EOPNOTSUPP);
    ck_assert_int_eq(allocate(f, FALLOC_FL_INSERT_RANGE, 0, B), -EOPNOTSUPP);
    ck_assert_int_eq(allocate(f, FALLOC_FL_PUNCH_HOLE, 0, B), -EOPNOTSUPP);
    ck_assert_int_eq(allocate(f, 0, 0, 0), -EINVAL);
    ck_assert_int_eq(allocate(f, ZERO, INT64_MAX, 1), -EFBIG);
    ck_assert_int_eq(allocate(f, ZERO, 1, INT64_MAX), -EFBIG);
    ck_assert_int_eq(allocate(d, 0, 0, 1), -ENODEV);
    ck_assert_int_eq(allocate(4711, 0, 0, 1), -ESTALE);
}
END_TEST

/* As ext4 does: mtime and ctime, also where no byte changes. */
START_TEST(fallocate_stamps_and_takes_suid_away)
{
    uint64_t f = make_file(FS_ROOT, "f");
    struct stat st, in = {.st_mtim = {5, 0}, .st_ctim = {5, 0}, .st_mode = 04755};
    ck_assert_int_eq(fs_setattr(fs, f, &in, FS_SET_MODE | FS_SET_MTIME | FS_SET_CTIME, &st), 0);
    ck_assert_int_eq(fs_fallocate(fs, f, KEEP, 0, 1, true), 0);
    st = stat_of(f);
    ck_assert(st.st_mtim.tv_sec > 5 && st.st_ctim.tv_sec > 5);
    ck_assert_uint_eq(st.st_mode & 07777, 0755);
}
END_TEST

START_TEST(an_orphans_holes_leave_no_garbage)
{
    uint64_t f = make_file(FS_ROOT, "f");
    fill(f, 0, 8 * B, 'x');
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    ck_assert_int_eq(allocate(f, PUNCH, B, 2 * B), 0);
    expect_fill(f, 3 * B, B, 'x');
    fs_forget(fs, f, 1);
    fixture_settle();
    check_store(fs, CHECK_NO_GARBAGE);
}
END_TEST

START_TEST(seek_finds_data_and_holes)
{
    uint64_t f = make_file(FS_ROOT, "f");
    ck_assert_int_eq(fs_seek(fs, f, 0, SEEK_DATA), -ENXIO);
    fill(f, 0, 2 * B + 5, 'x');
    ck_assert_int_eq(fs_seek(fs, f, 7, SEEK_DATA), 7);
    ck_assert_int_eq(fs_seek(fs, f, 7, SEEK_HOLE), 2 * B + 5);
    ck_assert_int_eq(fs_seek(fs, f, 2 * B + 5, SEEK_HOLE), -ENXIO);
    fill(f, 10 * B, B, 'y');
    set_size(f, 20 * B);
    ck_assert_int_eq(fs_seek(fs, f, 1, SEEK_HOLE), 3 * B);
    ck_assert_int_eq(fs_seek(fs, f, 3 * B + 1, SEEK_HOLE), 3 * B + 1);
    ck_assert_int_eq(fs_seek(fs, f, 3 * B + 1, SEEK_DATA), 10 * B);
    ck_assert_int_eq(fs_seek(fs, f, 10 * B + 1, SEEK_DATA), 10 * B + 1);
    ck_assert_int_eq(fs_seek(fs, f, 11 * B, SEEK_DATA), -ENXIO);
    ck_assert_int_eq(fs_seek(fs, f, 11 * B, SEEK_HOLE), 11 * B);
    ck_assert_int_eq(fs_seek(fs, f, 20 * B, SEEK_DATA), -ENXIO);
    ck_assert_int_eq(fs_seek(fs, f, 0, SEEK_SET), -EINVAL);
}
END_TEST

START_TEST(a_neighbours_data_ends_no_hole)
{
    uint64_t f = make_file(FS_ROOT, "f"), g = make_file(FS_ROOT, "g");
    ck_assert_uint_eq(g, f + 1);
    set_size(f, 4 * B);
    fill(g, 0, 2 * B, 'g');
    ck_assert_int_eq(fs_seek(fs, f, 0, SEEK_DATA), -ENXIO);
    ck_assert_int_eq(allocate(f, PUNCH, 0, 4 * B), 0);
    expect_fill(g, 0, 2 * B, 'g');
}
END_TEST

START_TEST(copies_between_files_and_within_one)
{
    uint64_t f = make_file(FS_ROOT, "f"), g = make_file(FS_ROOT, "g");
    fill(f, 0, 3 * B, 'f');
    ck_assert_int_eq(fs_copy(fs, f, 100, g, 50, 2 * B, false), 2 * B);
    ck_assert_uint_eq(size_of(g), 2 * B + 50);
    expect_fill(g, 0, 50, 0);
    expect_fill(g, 50, 2 * B, 'f');
    ck_assert_int_eq(fs_copy(fs, g, 0, f, 0, 50, false), 50); /* the other way: other lock order */
    expect_fill(f, 0, 50, 0);
    ck_assert_int_eq(fs_copy(fs, f, 2 * B, g, 0, 5 * B, false), B); /* as far as there is some */
    ck_assert_int_eq(fs_copy(fs, f, 3 * B, g, 0, 1, false), 0);
    ck_assert_int_eq(fs_copy(fs, f, B, f, 10 * B, B, false), B);
    expect_fill(f, 10 * B, B, 'f');
    expect_fill(f, 3 * B, 7 * B, 0);
    ck_assert_int_eq(fs_copy(fs, f, 0, f, B - 1, B, false), -EINVAL);
    ck_assert_int_eq(fs_copy(fs, f, B - 1, f, 0, B, false), -EINVAL);
    ck_assert_int_eq(fs_copy(fs, f, B, f, 0, B, false), B); /* they touch, no more */
}
END_TEST

START_TEST(copies_are_bounded_and_checked)
{
    uint64_t f = make_file(FS_ROOT, "f"), g = make_file(FS_ROOT, "g"), d = make_dir(FS_ROOT, "d");
    set_size(f, 1ull << 40);
    ck_assert_int_eq(fs_copy(fs, f, 0, g, 0, 1ull << 32, false), 4 << 20);
    ck_assert_uint_eq(size_of(g), 4 << 20);
    ck_assert_int_eq(fs_copy(fs, f, 0, g, INT64_MAX, 1, false), -EFBIG);
    ck_assert_int_eq(fs_copy(fs, f, 0, d, 0, 1, false), -EINVAL);
    ck_assert_int_eq(fs_copy(fs, d, 0, f, 0, 1, false), -EINVAL);
    ck_assert_int_eq(fs_copy(fs, f, 0, 4711, 0, 1, false), -ESTALE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("space");
    TCase *tc = tcase_create("space");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, fallocate_extends_a_file_with_zeroes);
    tcase_add_test(tc, fallocate_with_keep_size_leaves_the_size);
    tcase_add_test(tc, more_room_than_the_disk_has_is_refused);
    tcase_add_test(tc, a_removal_is_not_refused_for_a_moment_without_space);
    tcase_add_test(tc, garbage_that_found_no_space_is_deleted_later);
    tcase_add_test(tc, what_is_there_already_needs_no_room);
    tcase_add_test(tc, a_punched_hole_is_zeroes_and_takes_no_room);
    tcase_add_test(tc, a_hole_over_the_end_takes_the_last_block_too);
    tcase_add_test(tc, a_huge_hole_is_made_in_steps);
    tcase_add_test(tc, zero_range_extends_unless_told_not_to);
    tcase_add_test(tc, other_modes_and_other_kinds_are_refused);
    tcase_add_test(tc, fallocate_stamps_and_takes_suid_away);
    tcase_add_test(tc, an_orphans_holes_leave_no_garbage);
    tcase_add_test(tc, seek_finds_data_and_holes);
    tcase_add_test(tc, a_neighbours_data_ends_no_hole);
    tcase_add_test(tc, copies_between_files_and_within_one);
    tcase_add_test(tc, copies_are_bounded_and_checked);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
