/* Holes and room: fallocate's modes, SEEK_HOLE and SEEK_DATA, and what a file occupies. */
#include "posix.h"

#include <linux/falloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

enum { BLOCK = 4096 };

static int file_of(size_t blocks)
{
    char bytes[BLOCK];
    int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644);
    ok(fd);
    for (size_t i = 0; i < blocks; i++) {
        memset(bytes, 'a' + (int)(i % 26), BLOCK);
        ck_assert_int_eq(write(fd, bytes, BLOCK), BLOCK);
    }
    return fd;
}

static void expect_byte(int fd, off_t off, char wanted)
{
    char c = 1;
    ck_assert_int_eq(pread(fd, &c, 1, off), 1);
    ck_assert_msg(c == wanted, "byte %ld is %d, not %d", (long)off, c, wanted);
}

static void expect_size(off_t size)
{
    ck_assert_int_eq(stat_of("file").st_size, size);
}

static blkcnt_t blocks(int fd)
{
    struct stat st;
    ok(fsync(fd)); /* some disks find their blocks late */
    /* With writeback the kernel asks for a file's blocks again after a close alone. */
    ok(close(dup(fd)));
    ok(fstat(fd, &st));
    return st.st_blocks;
}

/* ---- fallocate */

START_TEST(fallocate_extends_and_leaves_what_is_there)
{
    int fd = file_of(1);
    ok(fallocate(fd, 0, 0, 10 * BLOCK));
    expect_size(10 * BLOCK);
    expect_byte(fd, 100, 'a');
    expect_byte(fd, BLOCK, 0);
    ok(fallocate(fd, 0, 0, BLOCK));
    expect_size(10 * BLOCK);
    ck_assert_int_eq(posix_fallocate(fd, 0, 12 * BLOCK + 1), 0);
    expect_size(12 * BLOCK + 1);
}
END_TEST

START_TEST(KEEP_SIZE_leaves_the_size)
{
    int fd = file_of(1);
    ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 10 * BLOCK));
    expect_size(BLOCK);
    ok(pwrite(fd, "x", 1, 9 * BLOCK));
    expect_byte(fd, 5 * BLOCK, 0);
}
END_TEST

START_TEST(PUNCH_HOLE_zeroes_and_gives_the_blocks_back)
{
    int fd = file_of(10);
    blkcnt_t before = blocks(fd);
    ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * BLOCK, 4 * BLOCK));
    expect_size(10 * BLOCK);
    expect_byte(fd, 2 * BLOCK - 1, 'b');
    expect_byte(fd, 2 * BLOCK, 0);
    expect_byte(fd, 6 * BLOCK - 1, 0);
    expect_byte(fd, 6 * BLOCK, 'g');
    ck_assert_int_eq(before - blocks(fd), 4 * BLOCK / 512);
}
END_TEST

START_TEST(a_hole_within_blocks_zeroes_to_the_byte)
{
    int fd = file_of(3);
    ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, BLOCK));
    expect_byte(fd, 99, 'a');
    expect_byte(fd, 100, 0);
    expect_byte(fd, BLOCK + 99, 0);
    expect_byte(fd, BLOCK + 100, 'b');
}
END_TEST

START_TEST(a_hole_behind_the_end_changes_nothing)
{
    int fd = file_of(1);
    ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10 * BLOCK, BLOCK));
    expect_size(BLOCK);
    expect_byte(fd, 0, 'a');
}
END_TEST

START_TEST(a_hole_is_seen_by_a_mapping)
{
    int fd = file_of(3);
    char *p = mmap(NULL, 3 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    p[BLOCK] = 'X';
    ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BLOCK, BLOCK));
    ck_assert_int_eq(p[BLOCK], 0);
    p[BLOCK + 1] = 'Y';
    expect_byte(fd, BLOCK + 1, 'Y');
    expect_byte(fd, BLOCK, 0);
}
END_TEST

START_TEST(ZERO_RANGE_zeroes_and_extends_unless_told_not_to)
{
    int fd = file_of(3);
    if (on_native() && fallocate(fd, FALLOC_FL_ZERO_RANGE, 5, 1) != 0 && errno == EOPNOTSUPP)
        return; /* tmpfs */
    ok(fallocate(fd, FALLOC_FL_ZERO_RANGE, 10, BLOCK));
    expect_byte(fd, 9, 'a');
    expect_byte(fd, 10, 0);
    expect_byte(fd, BLOCK + 10, 'b');
    ok(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 2 * BLOCK, 5 * BLOCK));
    expect_size(3 * BLOCK);
    expect_byte(fd, 3 * BLOCK - 1, 0);
    ok(fallocate(fd, FALLOC_FL_ZERO_RANGE, 2 * BLOCK, 5 * BLOCK));
    expect_size(7 * BLOCK);
}
END_TEST

START_TEST(fallocate_refuses_wrong_ranges_modes_and_files)
{
    int fd = file_of(1), r = open("file", O_RDONLY), ends[2];
    ok(pipe(ends));
    ok(mkdir("dir", 0755));
    fails(fallocate(fd, 0, 0, 0), EINVAL);
    fails(fallocate(fd, 0, -1, 10), EINVAL);
    fails(fallocate(fd, 0, 0, -10), EINVAL);
    fails(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
    fails(fallocate(fd, 0x4000, 0, 10), EOPNOTSUPP);
    fails(fallocate(fd, 0, INT64_MAX, 10), EFBIG);
    fails(fallocate(r, 0, 0, 10), EBADF);
    fails(fallocate(ends[1], 0, 0, 10), ESPIPE);
    fails(fallocate(open("dir", O_RDONLY), 0, 0, 10), EBADF);
    expect_size(BLOCK);
}
END_TEST

START_TEST(more_than_the_disk_has_is_ENOSPC)
{
    struct statvfs st;
    int fd = file_of(1);
    if (on_native())
        return; /* many a disk sets aside all it has before it fails, and others need it */
    ok(fstatvfs(fd, &st));
    fails(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)(st.f_bfree * st.f_frsize * 2)), ENOSPC);
    expect_byte(fd, 0, 'a');
}
END_TEST

START_TEST(fallocate_changes_mtime_and_ctime)
{
    int fd = file_of(1);
    const struct timespec old[2] = {{1, 0}, {1, 0}};
    ok(futimens(fd, old));
    ok(fallocate(fd, 0, 0, 2 * BLOCK));
    ck_assert_int_gt(stat_of("file").st_mtim.tv_sec, 1);
    ok(futimens(fd, old));
    ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BLOCK));
    ck_assert_int_gt(stat_of("file").st_mtim.tv_sec, 1);
}
END_TEST

START_TEST(a_users_fallocate_takes_suid)
{
    int fd = file_of(1);
    ok(fchmod(fd, 04777));
    become(ALICE, ALICE, 0);
    int mine = open("file", O_RDWR);
    ok(fallocate(mine, 0, 0, 2 * BLOCK));
    ck_assert_int_eq(mode_of("file"), 0777);
}
END_TEST

/* ---- SEEK_HOLE and SEEK_DATA */

START_TEST(a_file_without_holes_has_one_at_its_end)
{
    int fd = file_of(3);
    ck_assert_int_eq(lseek(fd, 0, SEEK_DATA), 0);
    ck_assert_int_eq(lseek(fd, 5000, SEEK_DATA), 5000);
    ck_assert_int_eq(lseek(fd, 0, SEEK_HOLE), 3 * BLOCK);
    ck_assert_int_eq(lseek(fd, 5000, SEEK_HOLE), 3 * BLOCK);
}
END_TEST

START_TEST(at_and_behind_the_end_there_is_nothing)
{
    int fd = file_of(1);
    fails(lseek(fd, BLOCK, SEEK_DATA), ENXIO);
    fails(lseek(fd, BLOCK, SEEK_HOLE), ENXIO);
    fails(lseek(fd, 100 * BLOCK, SEEK_HOLE), ENXIO);
    fails(lseek(fd, -1, SEEK_DATA), ENXIO);
    ok(ftruncate(fd, 0));
    fails(lseek(fd, 0, SEEK_HOLE), ENXIO);
}
END_TEST

START_TEST(holes_and_data_are_found)
{
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    char bytes[BLOCK];
    memset(bytes, 'x', BLOCK);
    ok(pwrite(fd, bytes, BLOCK, 16 * BLOCK));
    ok(pwrite(fd, bytes, BLOCK, 32 * BLOCK));
    ok(ftruncate(fd, 64 * BLOCK));
    ck_assert_int_eq(lseek(fd, 0, SEEK_HOLE), 0);
    ck_assert_int_eq(lseek(fd, 0, SEEK_DATA), 16 * BLOCK);
    ck_assert_int_eq(lseek(fd, 16 * BLOCK, SEEK_HOLE), 17 * BLOCK);
    ck_assert_int_eq(lseek(fd, 17 * BLOCK, SEEK_DATA), 32 * BLOCK);
    ck_assert_int_eq(lseek(fd, 32 * BLOCK + 5, SEEK_HOLE), 33 * BLOCK);
    fails(lseek(fd, 33 * BLOCK, SEEK_DATA), ENXIO);
    ck_assert_int_eq(lseek(fd, 40 * BLOCK, SEEK_HOLE), 40 * BLOCK);
}
END_TEST

START_TEST(a_punched_hole_is_one_and_a_write_fills_it)
{
    int fd = file_of(8);
    ok(fsync(fd));
    ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * BLOCK, 4 * BLOCK));
    ck_assert_int_eq(lseek(fd, 0, SEEK_HOLE), 2 * BLOCK);
    ck_assert_int_eq(lseek(fd, 2 * BLOCK, SEEK_DATA), 6 * BLOCK);
    ok(pwrite(fd, "x", 1, 3 * BLOCK));
    ck_assert_int_eq(lseek(fd, 2 * BLOCK, SEEK_DATA), 3 * BLOCK);
}
END_TEST

START_TEST(data_stored_to_a_mapping_is_no_hole)
{
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    ok(ftruncate(fd, 16 * BLOCK));
    char *p = mmap(NULL, 16 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    p[5 * BLOCK] = 'X';
    off_t data = lseek(fd, 0, SEEK_DATA);
    ck_assert(data >= 0 && data <= 5 * BLOCK);
    off_t hole = lseek(fd, 5 * BLOCK, SEEK_HOLE);
    ck_assert_int_ge(hole, 5 * BLOCK + 1);
}
END_TEST

START_TEST(a_copy_that_knows_holes_is_the_same)
{
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    ok(pwrite(fd, "begin", 5, 0));
    ok(pwrite(fd, "middle", 6, 1000000));
    ok(ftruncate(fd, 3000000));
    ck_assert_int_eq(system("cp --sparse=always file copy && cmp file copy"), 0);
    ck_assert_int_eq(system("tar cSf t.tar file && mkdir out && tar xf t.tar -C out && "
                            "cmp file out/file"),
                     0);
    ck_assert_int_le(stat_of("copy").st_blocks, 64);
}
END_TEST

/* ---- sizes */

START_TEST(a_sparse_file_of_a_terabyte_takes_next_to_nothing)
{
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    off_t size = 1L << 40;
    ok(pwrite(fd, "end", 3, size - 3));
    expect_size(size);
    ck_assert_int_le(blocks(fd), 64);
    expect_byte(fd, size / 2, 0);
    expect_byte(fd, size - 1, 'd');
    ok(ftruncate(fd, 5));
    expect_size(5);
}
END_TEST

START_TEST(blocks_count_what_is_there)
{
    int fd = file_of(10);
    ck_assert_int_ge(blocks(fd), 10 * BLOCK / 512);
    ck_assert_int_le(blocks(fd), 10 * BLOCK / 512 + 16);
    ok(ftruncate(fd, BLOCK));
    ck_assert_int_le(blocks(fd), BLOCK / 512 + 16);
    ok(ftruncate(fd, 0));
    ck_assert_int_eq(blocks(fd), 0);
    ok(ftruncate(fd, 100 * BLOCK));
    ck_assert_int_eq(blocks(fd), 0);
}
END_TEST

START_TEST(the_preferred_size_of_a_transfer_is_sensible)
{
    struct stat st = stat_of(".");
    make_file("file", "");
    ck_assert_int_ge(stat_of("file").st_blksize, 512);
    ck_assert_int_le(st.st_blksize, 4 << 20);
}
END_TEST

RUN("holes", fallocate_extends_and_leaves_what_is_there, KEEP_SIZE_leaves_the_size,
    PUNCH_HOLE_zeroes_and_gives_the_blocks_back, a_hole_within_blocks_zeroes_to_the_byte,
    a_hole_behind_the_end_changes_nothing, a_hole_is_seen_by_a_mapping,
    ZERO_RANGE_zeroes_and_extends_unless_told_not_to,
    fallocate_refuses_wrong_ranges_modes_and_files, more_than_the_disk_has_is_ENOSPC,
    fallocate_changes_mtime_and_ctime, a_users_fallocate_takes_suid,
    a_file_without_holes_has_one_at_its_end, at_and_behind_the_end_there_is_nothing,
    holes_and_data_are_found, a_punched_hole_is_one_and_a_write_fills_it,
    data_stored_to_a_mapping_is_no_hole, a_copy_that_knows_holes_is_the_same,
    a_sparse_file_of_a_terabyte_takes_next_to_nothing, blocks_count_what_is_there,
    the_preferred_size_of_a_transfer_is_sensible)
