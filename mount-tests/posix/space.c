/* Counting: what statvfs says of the filesystem, st_blocks of a file, pathconf of the limits. */
#include "posix.h"

#include <stdio.h>
#include <sys/statvfs.h>

static struct statvfs space_at(const char *name)
{
    struct statvfs st;
    ck_assert_msg(statvfs(name, &st) == 0, "statvfs %s: %s", name, strerrorname_np(errno));
    return st;
}

/* ---- the filesystem */

START_TEST(the_numbers_fit_together)
{
    struct statvfs st = space_at(".");
    ck_assert_uint_gt(st.f_bsize, 0);
    ck_assert_uint_gt(st.f_frsize, 0);
    ck_assert_uint_ge(st.f_blocks, st.f_bfree);
    ck_assert_uint_ge(st.f_bfree, st.f_bavail);
    ck_assert_uint_gt(st.f_bavail, 0);
    ck_assert_uint_ge(st.f_files, st.f_ffree);
    ck_assert_uint_ge(st.f_ffree, st.f_favail);
    ck_assert_uint_gt(st.f_favail, 0);
    ck_assert(!(st.f_flag & ST_RDONLY));
}
END_TEST

START_TEST(whatever_one_asks_by_it_is_the_same_filesystem)
{
    struct statvfs st, root = space_at(".");
    make_file("file", "");
    ok(mkdir("dir", 0755));
    ok(mkfifo("fifo", 0644));
    ok(symlink("dir", "link"));
    const char *const names[] = {"file", "dir", "fifo", "link"};
    for (int i = 0; i < 4; i++) {
        st = space_at(names[i]);
        ck_assert_uint_eq(st.f_blocks, root.f_blocks);
        ck_assert_uint_eq(st.f_bsize, root.f_bsize);
        ck_assert_uint_eq(st.f_namemax, root.f_namemax);
        ck_assert_uint_eq(stat_of(names[i]).st_dev, stat_of(".").st_dev);
    }
    int fd = open("file", O_RDONLY), path = open("fifo", O_PATH);
    ok(fstatvfs(fd, &st));
    ck_assert_uint_eq(st.f_blocks, root.f_blocks);
    ok(fstatvfs(path, &st));
    ck_assert_uint_eq(st.f_blocks, root.f_blocks);
    ok(unlink("file"));
    ok(fstatvfs(fd, &st));
    ck_assert_uint_eq(st.f_blocks, root.f_blocks);
}
END_TEST

START_TEST(statvfs_needs_no_right_to_the_file)
{
    struct statvfs st;
    make_file("file", "");
    ok(chmod("file", 0));
    become(ALICE, ALICE, 0);
    ok(statvfs("file", &st));
}
END_TEST

START_TEST(the_longest_name_is_as_long_as_statvfs_says)
{
    size_t max = space_at(".").f_namemax;
    ck_assert_uint_eq(max, 255);
    char *fits = name_of_length(max), *longer = name_of_length(max + 1);
    make_file(fits, "");
    fails(open(longer, O_WRONLY | O_CREAT, 0644), ENAMETOOLONG);
    free(fits);
    free(longer);
}
END_TEST

START_TEST(pathconf_knows_the_limits)
{
    make_file("file", "");
    int fd = open("file", O_RDONLY);
    ck_assert_int_eq(pathconf(".", _PC_NAME_MAX), 255);
    ck_assert_int_eq(fpathconf(fd, _PC_NAME_MAX), 255);
    ck_assert_int_eq(pathconf(".", _PC_PATH_MAX), 4096);
    ck_assert_int_eq(pathconf(".", _PC_NO_TRUNC), 1);
    ck_assert_int_eq(pathconf(".", _PC_CHOWN_RESTRICTED), 1);
    ck_assert_int_eq(pathconf(".", _PC_2_SYMLINKS), 1);
    ck_assert_int_ge(pathconf(".", _PC_LINK_MAX), 8); /* _POSIX_LINK_MAX */
    ck_assert_int_ge(pathconf(".", _PC_PIPE_BUF), 512);
    fails(pathconf("missing", _PC_NAME_MAX), ENOENT);
}
END_TEST

static long inodes(void)
{
    struct statvfs st = space_at(".");
    return (long)(st.f_files - st.f_ffree);
}

/* Those that the test before this one removed are gone, too. */
static long inodes_at_rest(void)
{
    long now = inodes(), before = -1;
    for (int i = 0; now != before && i < 100; i++) { /* (a disk below never rests, perhaps) */
        before = now;
        wait_ms(50);
        now = inodes();
    }
    return now;
}

/* On the disk below others make files as well, so it says nothing. A file that goes is counted
 * until the kernel has let go of it, a moment later. */
static bool become_inodes(long wanted)
{
    for (int i = 0; i < 200; i++) {
        if (on_native() || inodes() == wanted)
            return true;
        wait_ms(20);
    }
    return false;
}

#define expect_inodes(wanted)                                                                      \
    ck_assert_msg(become_inodes(wanted), "%ld inodes instead of %ld", inodes(), (long)(wanted))

START_TEST(each_file_is_one_inode_until_it_is_gone)
{
    enum { N = 2000 };
    char name[16];
    long before = inodes_at_rest();
    if (before <= 0)
        return; /* the disk below does not count */
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "%d", i);
        make_file(name, "");
    }
    expect_inodes(before + N);
    ok(link("0", "second"));
    ok(mkdir("dir", 0755));
    ok(symlink("0", "link"));
    ok(mkfifo("fifo", 0644));
    ok(rename("1", "dir/1"));
    expect_inodes(before + N + 3);
    ok(rename("2", "dir/1")); /* one is replaced */
    ok(unlink("0"));          /* it has another name */
    expect_inodes(before + N + 2);
    for (int i = 3; i < N; i++) {
        snprintf(name, sizeof name, "%d", i);
        ok(unlink(name));
    }
    expect_inodes(before + 5);
}
END_TEST

START_TEST(an_open_file_without_a_name_is_counted)
{
    make_file("file", "text");
    int fd = open("file", O_RDONLY);
    long before = inodes_at_rest();
    if (before <= 0)
        return;
    ok(unlink("file"));
    wait_ms(100);
    expect_inodes(before);
    ok(close(fd));
    expect_inodes(before - 1);
}
END_TEST

/* ---- a file */

static long blocks_of(const char *name)
{
    return (long)stat_of(name).st_blocks;
}

/* `count` blocks of 4 KiB at a stride of `stride` blocks, of bytes that are no zeroes; synced,
 * since a filesystem may give out blocks late. */
static void write_blocks(const char *name, int count, int stride)
{
    char block[4096];
    memset(block, 'x', sizeof block);
    int fd = open(name, O_WRONLY | O_CREAT, 0644);
    ok(fd);
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(pwrite(fd, block, sizeof block, (off_t)i * stride * 4096), 4096);
    ok(fsync(fd));
    ok(close(fd));
}

START_TEST(an_empty_file_has_no_blocks)
{
    make_file("file", "");
    ck_assert_int_eq(blocks_of("file"), 0);
    ok(mkfifo("fifo", 0644));
    ck_assert_int_eq(blocks_of("fifo"), 0);
}
END_TEST

START_TEST(blocks_are_counted_in_512_bytes)
{
    write_blocks("file", 100, 1);
    long blocks = blocks_of("file");
    ck_assert_msg(blocks >= 800 && blocks < 900, "%ld", blocks);
    ck_assert_int_gt(stat_of("file").st_blksize, 0);
}
END_TEST

START_TEST(holes_take_no_blocks)
{
    make_file("file", "");
    ok(truncate("file", 1 << 30));
    ck_assert_int_lt(blocks_of("file"), 64);
    write_blocks("striped", 100, 16);
    long blocks = blocks_of("striped");
    ck_assert_msg(blocks >= 800 && blocks < 1000, "%ld", blocks);
}
END_TEST

START_TEST(what_is_cut_off_gives_its_blocks_back)
{
    write_blocks("file", 100, 1);
    ok(truncate("file", 10 * 4096));
    long blocks = blocks_of("file");
    ck_assert_msg(blocks >= 80 && blocks < 180, "%ld", blocks);
    ok(truncate("file", 100 * 4096)); /* does not bring them back */
    ck_assert_msg(blocks_of("file") < 180, "%ld", blocks_of("file"));
    ok(truncate("file", 0));
    ck_assert_int_eq(blocks_of("file"), 0);
}
END_TEST

START_TEST(overwriting_takes_no_more_blocks)
{
    write_blocks("file", 50, 1);
    long before = blocks_of("file");
    write_blocks("file", 50, 1);
    ck_assert_int_eq(blocks_of("file"), before);
}
END_TEST

START_TEST(two_names_of_a_file_have_the_same_blocks)
{
    write_blocks("file", 20, 1);
    ok(link("file", "second"));
    ck_assert_int_eq(blocks_of("file"), blocks_of("second"));
}
END_TEST

START_TEST(the_size_of_a_symlink_is_that_of_its_target_and_of_a_fifo_nothing)
{
    ok(symlink("twelve bytes", "link"));
    ok(mkfifo("fifo", 0644));
    ck_assert_int_eq(stat_of("link").st_size, 12);
    ck_assert_int_eq(stat_of("fifo").st_size, 0);
}
END_TEST

/* ---- how large a file may be */

START_TEST(the_last_byte_below_2_to_the_43_is_written_and_read)
{
    char got = 0;
    off_t at = ((off_t)1 << 43) - 2; /* ext4's files end at 2^44 - 4096 */
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    ok(fd);
    ck_assert_int_eq(pwrite(fd, "z", 1, at), 1);
    ck_assert_int_eq(stat_of("file").st_size, at + 1);
    ck_assert_int_eq(pread(fd, &got, 1, at), 1);
    ck_assert_int_eq(got, 'z');
    ck_assert_int_eq(pread(fd, &got, 1, at - 4096), 1);
    ck_assert_int_eq(got, 0);
    ck_assert_int_eq(lseek(fd, 0, SEEK_END), at + 1);
    ok(ftruncate(fd, at / 2));
    ck_assert_int_eq(stat_of("file").st_size, at / 2);
}
END_TEST

START_TEST(the_largest_size_there_is_can_be_had_or_is_EFBIG_and_changes_nothing)
{
    make_file("file", "text");
    int fd = open("file", O_RDWR);
    if (truncate("file", INT64_MAX) == 0) { /* FUSE itself has no limit */
        char got[4];
        ck_assert_int_eq(stat_of("file").st_size, INT64_MAX);
        ck_assert_int_eq(pread(fd, got, 4, 0), 4);
        ck_assert(memcmp(got, "text", 4) == 0);
        ck_assert_int_eq(pread(fd, got, 4, INT64_MAX - 4), 4);
        fails(pwrite(fd, "x", 1, INT64_MAX), EINVAL); /* its end is no offset */
        ok(truncate("file", 4));
    } else {
        fails(truncate("file", INT64_MAX), EFBIG);
        fails(ftruncate(fd, INT64_MAX), EFBIG);
        fails(pwrite(fd, "x", 1, INT64_MAX - 1), EFBIG);
    }
    expect_text("file", "text");
    ck_assert_int_eq(stat_of("file").st_size, 4);
}
END_TEST

RUN("space", the_numbers_fit_together, whatever_one_asks_by_it_is_the_same_filesystem,
    statvfs_needs_no_right_to_the_file, the_longest_name_is_as_long_as_statvfs_says,
    pathconf_knows_the_limits, each_file_is_one_inode_until_it_is_gone,
    an_open_file_without_a_name_is_counted, an_empty_file_has_no_blocks,
    blocks_are_counted_in_512_bytes, holes_take_no_blocks, what_is_cut_off_gives_its_blocks_back,
    overwriting_takes_no_more_blocks, two_names_of_a_file_have_the_same_blocks,
    the_size_of_a_symlink_is_that_of_its_target_and_of_a_fifo_nothing,
    the_last_byte_below_2_to_the_43_is_written_and_read,
    the_largest_size_there_is_can_be_had_or_is_EFBIG_and_changes_nothing)
