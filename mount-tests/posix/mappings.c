/* mmap beside read and write, and the calls that move data without a buffer of the program's. */
#include "posix.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

enum { PAGE = 4096 };

/* A new file of this size, each page filled with a letter of its own. */
static int file_of(const char *name, size_t size)
{
    char page[PAGE];
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    ok(fd);
    for (size_t at = 0; at < size; at += PAGE) {
        memset(page, 'a' + (int)(at / PAGE) % 26, PAGE);
        size_t n = size - at < PAGE ? size - at : PAGE;
        ck_assert_int_eq(write(fd, page, n), (ssize_t)n);
    }
    return fd;
}

static char *map(int fd, size_t size, int prot, int flags)
{
    char *p = mmap(NULL, size, prot, flags, fd, 0);
    ck_assert_msg(p != MAP_FAILED, "mmap: %s", strerrorname_np(errno));
    return p;
}

static char byte_at(int fd, off_t off)
{
    char c = 0;
    ck_assert_int_eq(pread(fd, &c, 1, off), 1);
    return c;
}

START_TEST(read_sees_what_is_stored_to_a_shared_mapping)
{
    int fd = file_of("file", 2 * PAGE), other = open("file", O_RDONLY);
    char *p = map(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    p[0] = 'X';
    p[PAGE + 1] = 'Y';
    ck_assert_int_eq(byte_at(fd, 0), 'X');
    ck_assert_int_eq(byte_at(other, PAGE + 1), 'Y');
    ok(msync(p, 2 * PAGE, MS_SYNC));
    ok(munmap(p, 2 * PAGE));
    ck_assert_int_eq(byte_at(other, 0), 'X');
}
END_TEST

START_TEST(a_shared_mapping_sees_what_is_written)
{
    int fd = file_of("file", 2 * PAGE);
    char *p = map(fd, 2 * PAGE, PROT_READ, MAP_SHARED);
    ck_assert_int_eq(p[0], 'a');
    ok(pwrite(fd, "Z", 1, 0));
    ck_assert_int_eq(p[0], 'Z');
    ok(pwrite(fd, "Y", 1, PAGE));
    ck_assert_int_eq(p[PAGE], 'Y');
}
END_TEST

START_TEST(two_mappings_of_a_file_are_the_same_memory)
{
    int a = file_of("file", PAGE), b = open("file", O_RDWR);
    char *p = map(a, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    char *q = map(b, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    p[5] = '5';
    ck_assert_int_eq(q[5], '5');
    q[6] = '6';
    ck_assert_int_eq(p[6], '6');
}
END_TEST

START_TEST(stores_to_a_private_mapping_stay_private)
{
    int fd = file_of("file", PAGE);
    char *p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    p[0] = 'X';
    ok(msync(p, PAGE, MS_SYNC));
    ck_assert_int_eq(byte_at(fd, 0), 'a');
    ck_assert_int_eq(p[0], 'X');
}
END_TEST

START_TEST(a_file_open_to_read_maps_private_to_write_and_shared_to_read)
{
    close(file_of("file", PAGE));
    int fd = open("file", O_RDONLY);
    map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE)[0] = 'X';
    map(fd, PAGE, PROT_READ, MAP_SHARED);
    fails(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
    int w = open("file", O_WRONLY);
    fails(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, w, 0), EACCES);
}
END_TEST

START_TEST(the_last_page_of_a_mapping_is_zero_behind_the_end_and_no_part_of_the_file)
{
    int fd = file_of("file", 100);
    char *p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    ck_assert_int_eq(p[99], 'a');
    ck_assert_int_eq(p[100], 0);
    p[200] = 'X';
    ok(msync(p, PAGE, MS_SYNC));
    ok(munmap(p, PAGE));
    ck_assert_int_eq(stat_of("file").st_size, 100);
    ok(ftruncate(fd, 300));
    if (!on_native()) /* tmpfs keeps what was stored there */
        ck_assert_int_eq(byte_at(fd, 200), 0);
}
END_TEST

static sigjmp_buf back;
static void on_sigbus(int signal)
{
    siglongjmp(back, signal);
}
static bool is_sigbus(const volatile char *p)
{
    signal(SIGBUS, on_sigbus);
    if (sigsetjmp(back, 1))
        return true;
    (void)*p;
    return false;
}

START_TEST(a_page_behind_the_end_is_SIGBUS_until_the_file_grows)
{
    int fd = file_of("file", PAGE);
    char *p = map(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    ck_assert(is_sigbus(p + PAGE));
    ok(ftruncate(fd, 2 * PAGE));
    ck_assert(!is_sigbus(p + PAGE));
    p[PAGE] = 'X';
    ck_assert_int_eq(byte_at(fd, PAGE), 'X');
}
END_TEST

START_TEST(pages_cut_off_under_a_mapping_are_SIGBUS_and_zero_when_they_return)
{
    int fd = file_of("file", 3 * PAGE);
    char *p = map(fd, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    ck_assert_int_eq(p[2 * PAGE], 'c');
    ok(ftruncate(fd, PAGE + 10));
    ck_assert(is_sigbus(p + 2 * PAGE));
    ck_assert_int_eq(p[PAGE + 9], 'b');
    ck_assert_int_eq(p[PAGE + 10], 0);
    ok(ftruncate(fd, 3 * PAGE));
    ck_assert_int_eq(p[2 * PAGE], 0);
}
END_TEST

START_TEST(stores_to_a_hole_are_kept)
{
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    ok(ftruncate(fd, 100 * PAGE));
    char *p = map(fd, 100 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    for (int i = 0; i < 100; i += 3)
        p[i * PAGE + 7] = (char)i;
    ok(munmap(p, 100 * PAGE));
    ok(fsync(fd));
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(byte_at(fd, i * PAGE + 7), i % 3 ? 0 : i);
}
END_TEST

static int store_in_child(void *p)
{
    ((char *)p)[1] = 'C';
    return 0;
}

START_TEST(a_mapping_is_shared_with_a_child)
{
    int fd = file_of("file", PAGE);
    char *p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    ck_assert_int_eq(in_child(store_in_child, p), 0);
    ck_assert_int_eq(p[1], 'C');
    ck_assert_int_eq(byte_at(fd, 1), 'C');
}
END_TEST

START_TEST(write_from_a_mapping_of_the_same_file_works)
{
    int fd = file_of("file", 2 * PAGE);
    char *p = map(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    ck_assert_int_eq(pwrite(fd, p, PAGE, PAGE), PAGE);
    ck_assert_int_eq(byte_at(fd, PAGE), 'a');
    ck_assert_int_eq(pread(fd, p + PAGE, PAGE, 0), PAGE);
    ck_assert_int_eq(byte_at(fd, 2 * PAGE - 1), 'a');
}
END_TEST

START_TEST(a_folder_is_not_mapped)
{
    ok(mkdir("dir", 0755));
    int fd = open("dir", O_RDONLY);
    fails(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0), ENODEV);
}
END_TEST

START_TEST(msync_takes_its_flags)
{
    int fd = file_of("file", PAGE);
    char *p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    p[0] = 'X';
    ok(msync(p, PAGE, MS_ASYNC));
    ok(msync(p, PAGE, MS_SYNC | MS_INVALIDATE));
    fails(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
    fails(msync(p + 1, PAGE, MS_SYNC), EINVAL);
    ok(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    ck_assert_int_eq(byte_at(fd, 0), 'X');
}
END_TEST

START_TEST(mapped_pages_can_be_locked_and_advised)
{
    int fd = file_of("file", 4 * PAGE);
    char *p = map(fd, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE);
    ok(madvise(p, 4 * PAGE, MADV_WILLNEED));
    ok(mlock(p, PAGE));
    p[0] = 'X';
    ok(munlock(p, PAGE));
    ok(madvise(p, 4 * PAGE, MADV_DONTNEED));
    ck_assert_int_eq(p[0], 'X');
}
END_TEST

/* ---- sendfile, splice, copy_file_range */

static void expect_same(int a, int b, off_t off_a, off_t off_b, size_t size)
{
    for (size_t at = 0; at < size; at += 997)
        ck_assert_int_eq(byte_at(a, off_a + (off_t)at), byte_at(b, off_b + (off_t)at));
}

START_TEST(sendfile_copies_to_a_file_and_a_pipe)
{
    int from = file_of("from", 5 * PAGE), to = open("to", O_RDWR | O_CREAT, 0644), ends[2];
    off_t off = PAGE;
    ck_assert_int_eq(sendfile(to, from, &off, 3 * PAGE), 3 * PAGE);
    ck_assert_int_eq(off, 4 * PAGE);
    expect_same(from, to, PAGE, 0, 3 * PAGE);
    ok(pipe(ends));
    off = 0;
    ck_assert_int_eq(sendfile(ends[1], from, &off, 10), 10);
    char got[10];
    ck_assert_int_eq(read(ends[0], got, 10), 10);
    ck_assert_int_eq(got[9], 'a');
}
END_TEST

START_TEST(splice_carries_from_a_file_to_a_file_through_a_pipe)
{
    int from = file_of("from", 4 * PAGE), to = open("to", O_RDWR | O_CREAT, 0644), ends[2];
    ok(pipe(ends));
    loff_t in = PAGE, out = 100;
    ck_assert_int_eq(splice(from, &in, ends[1], NULL, 2 * PAGE, 0), 2 * PAGE);
    ck_assert_int_eq(splice(ends[0], NULL, to, &out, 2 * PAGE, 0), 2 * PAGE);
    ck_assert_int_eq(stat_of("to").st_size, 100 + 2 * PAGE);
    expect_same(from, to, PAGE, 100, 2 * PAGE);
}
END_TEST

START_TEST(copy_file_range_copies_between_files)
{
    int from = file_of("from", 5 * PAGE), to = file_of("to", PAGE);
    loff_t in = 100, out = 5000;
    ck_assert_int_eq(copy_file_range(from, &in, to, &out, 3 * PAGE, 0), 3 * PAGE);
    ck_assert_int_eq(in, 100 + 3 * PAGE);
    ck_assert_int_eq(stat_of("to").st_size, 5000 + 3 * PAGE);
    ck_assert_int_eq(byte_at(to, 4500), 0);
    expect_same(from, to, 100, 5000, 3 * PAGE);
}
END_TEST

START_TEST(copy_file_range_stops_at_the_end_and_uses_the_offsets_of_the_files)
{
    int from = file_of("from", 100), to = open("to", O_RDWR | O_CREAT, 0644);
    ck_assert_int_eq(lseek(from, 40, SEEK_SET), 40);
    ck_assert_int_eq(copy_file_range(from, NULL, to, NULL, 1000, 0), 60);
    ck_assert_int_eq(copy_file_range(from, NULL, to, NULL, 1000, 0), 0);
    ck_assert_int_eq(lseek(to, 0, SEEK_CUR), 60);
}
END_TEST

START_TEST(copy_file_range_within_a_file_takes_no_overlap)
{
    int fd = file_of("file", 4 * PAGE);
    loff_t in = 0, out = PAGE;
    fails(copy_file_range(fd, &in, fd, &out, 2 * PAGE, 0), EINVAL);
    out = 2 * PAGE;
    ck_assert_int_eq(copy_file_range(fd, &in, fd, &out, 2 * PAGE, 0), 2 * PAGE);
    ck_assert_int_eq(byte_at(fd, 3 * PAGE), 'b');
}
END_TEST

START_TEST(copy_file_range_needs_the_right_kinds_of_open_files)
{
    ok(mkdir("dir", 0755));
    int from = file_of("from", 100), dir = open("dir", O_RDONLY);
    int to = open("from", O_RDONLY), append = open("to", O_WRONLY | O_CREAT | O_APPEND, 0644);
    fails(copy_file_range(from, NULL, to, NULL, 10, 0), EBADF);
    fails(copy_file_range(from, NULL, append, NULL, 10, 0), EBADF);
    fails(copy_file_range(dir, NULL, from, NULL, 10, 0), EISDIR);
    fails(copy_file_range(from, NULL, from, NULL, 10, 1), EINVAL);
}
END_TEST

START_TEST(copy_file_range_sees_what_was_stored_to_a_mapping)
{
    int from = file_of("from", PAGE), to = open("to", O_RDWR | O_CREAT, 0644);
    char *p = map(from, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    p[10] = 'X';
    ck_assert_int_eq(copy_file_range(from, NULL, to, NULL, PAGE, 0), 0); /* at its end */
    loff_t in = 0;
    ck_assert_int_eq(copy_file_range(from, &in, to, NULL, PAGE, 0), PAGE);
    ck_assert_int_eq(byte_at(to, 10), 'X');
}
END_TEST

RUN("mappings", read_sees_what_is_stored_to_a_shared_mapping, a_shared_mapping_sees_what_is_written,
    two_mappings_of_a_file_are_the_same_memory, stores_to_a_private_mapping_stay_private,
    a_file_open_to_read_maps_private_to_write_and_shared_to_read,
    the_last_page_of_a_mapping_is_zero_behind_the_end_and_no_part_of_the_file,
    a_page_behind_the_end_is_SIGBUS_until_the_file_grows,
    pages_cut_off_under_a_mapping_are_SIGBUS_and_zero_when_they_return, stores_to_a_hole_are_kept,
    a_mapping_is_shared_with_a_child, write_from_a_mapping_of_the_same_file_works,
    a_folder_is_not_mapped, msync_takes_its_flags, mapped_pages_can_be_locked_and_advised,
    sendfile_copies_to_a_file_and_a_pipe, splice_carries_from_a_file_to_a_file_through_a_pipe,
    copy_file_range_copies_between_files,
    copy_file_range_stops_at_the_end_and_uses_the_offsets_of_the_files,
    copy_file_range_within_a_file_takes_no_overlap,
    copy_file_range_needs_the_right_kinds_of_open_files,
    copy_file_range_sees_what_was_stored_to_a_mapping)
