/* space DIR: what programs do about a file's room: fallocate, holes, copies inside the kernel,
 * direct and synchronous writes. A line for each; exit code 1 if one differs from what Linux says.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define B 4096

static int failed;

static void expect(int yes, const char *what)
{
    printf("%s %s%s%s\n", yes ? "ok" : "not ok", what, yes ? "" : ": ", yes ? "" : strerror(errno));
    failed |= !yes;
}

static int make_file(const char *name, int blocks, char c)
{
    char block[B];
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    memset(block, c, B);
    for (int i = 0; i < blocks; i++)
        if (write(fd, block, B) != B)
            return -1;
    return fd;
}

static int all(int fd, off_t off, size_t n, char c)
{
    char p[16 * B];
    if (pread(fd, p, n, off) != (ssize_t)n)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (p[i] != c)
            return 0;
    return 1;
}

static off_t size_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) ? -1 : st.st_size;
}

static void allocation(void)
{
    struct stat st;
    int fd = make_file("allocated", 10, 'x');
    expect(posix_fallocate(fd, 0, 20 * B) == 0 && size_of(fd) == 20 * B && all(fd, 10 * B, B, 0),
           "posix_fallocate extends with zeroes");
    expect(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 40 * B) == 0 && size_of(fd) == 20 * B,
           "KEEP_SIZE keeps the size");
    expect(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, B, 4 * B) == 0 &&
               all(fd, B, 4 * B, 0) && all(fd, 0, B, 'x') && all(fd, 5 * B, B, 'x'),
           "a punched hole is zeroes, also where the pages were cached");
    expect(fallocate(fd, FALLOC_FL_ZERO_RANGE, 6 * B + 10, 30 * B) == 0 &&
               size_of(fd) == 36 * B + 10 && all(fd, 6 * B + 10, 8 * B, 0) &&
               all(fd, 6 * B, 10, 'x'),
           "ZERO_RANGE zeroes and extends");
    expect(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 64 * B) == 0 &&
               fstat(fd, &st) == 0 && st.st_blocks * 512 <= 5 * B,
           "all punched, it takes none of the blocks below its end");
    expect(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, B) == -1 && errno == EOPNOTSUPP,
           "PUNCH_HOLE alone: EOPNOTSUPP");
    expect(fallocate(fd, 0, 0, 1ll << 60) == -1 && (errno == ENOSPC || errno == EFBIG),
           "more than the disk has: refused");
    close(fd);
    fd = open("allocated", O_RDONLY);
    expect(fallocate(fd, 0, 0, B) == -1 && errno == EBADF, "of a file open to read: EBADF");
    close(fd);
}

static void holes(void)
{
    int fd = make_file("holes", 0, 0);
    expect(ftruncate(fd, 64 * B) == 0 && pwrite(fd, "x", 1, 16 * B) == 1 &&
               lseek(fd, 0, SEEK_DATA) == 16 * B && lseek(fd, 16 * B, SEEK_HOLE) == 17 * B,
           "SEEK_DATA and SEEK_HOLE");
    expect(lseek(fd, 20 * B, SEEK_DATA) == -1 && errno == ENXIO, "no more data: ENXIO");
    expect(lseek(fd, 64 * B, SEEK_HOLE) == -1 && errno == ENXIO, "at the end: ENXIO");
    char *p = mmap(NULL, 64 * B, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    p[40 * B] = 'm'; /* dirty in the page cache only */
    expect(lseek(fd, 20 * B, SEEK_DATA) == 40 * B, "SEEK_DATA sees what a mapping wrote");
    p[18 * B] = 'm';
    p[17 * B] = 'm';
    expect(lseek(fd, 16 * B, SEEK_HOLE) == 19 * B, "SEEK_HOLE too");
    p[18 * B + 1] = 'n';
    expect(p[40 * B] == 'm' && p[18 * B] == 'm' && all(fd, 40 * B, 1, 'm') &&
               all(fd, 18 * B + 1, 1, 'n'),
           "and the mapping stays whole");
    munmap(p, 64 * B);
    close(fd);
}

static void copies(void)
{
    int from = make_file("from", 8, 'f'), to = make_file("to", 2, 't'), pipes[2];
    off_t in = B, out = B + 7;
    expect(copy_file_range(from, &in, to, &out, 3 * B, 0) == 3 * B && in == 4 * B &&
               size_of(to) == 4 * B + 7 && all(to, B + 7, 3 * B, 'f') && all(to, 0, B + 7, 't'),
           "copy_file_range");
    in = 7 * B;
    out = 0;
    expect(copy_file_range(from, &in, to, &out, 3 * B, 0) == B,
           "only as far as there is something");
    in = 0;
    out = B - 1;
    expect(copy_file_range(from, &in, from, &out, B, 0) == -1 && errno == EINVAL,
           "ranges of one file that overlap: EINVAL");
    char *p = mmap(NULL, B, PROT_READ | PROT_WRITE, MAP_SHARED, from, 0);
    p[0] = 'm';
    in = out = 0;
    expect(copy_file_range(from, &in, to, &out, 1, 0) == 1 && all(to, 0, 1, 'm'),
           "what a mapping wrote is copied");
    munmap(p, B);
    in = 2 * B;
    lseek(to, 0, SEEK_SET);
    expect(sendfile(to, from, &in, 2 * B) == 2 * B && all(to, 0, 2 * B, 'f'), "sendfile");
    in = 3 * B;
    out = 10 * B;
    expect(pipe(pipes) == 0 && splice(from, &in, pipes[1], NULL, B, 0) == B &&
               splice(pipes[0], NULL, to, &out, B, 0) == B && all(to, 10 * B, B, 'f'),
           "splice out and in");
    close(from);
    close(to);
}

static void direct_and_synchronous(void)
{
    char *p = aligned_alloc(B, 2 * B), got[B];
    struct iovec v = {p, B};
    int fd = make_file("direct", 2, 'x');
    int direct = open("direct", O_RDWR | O_DIRECT);
    memset(p, 'd', B);
    expect(direct >= 0 && pwrite(direct, p, B, B) == B && all(fd, B, B, 'd'),
           "an O_DIRECT write is seen by cached reads");
    expect(pwrite(fd, "c", 1, 0) == 1 && pread(direct, p + B, B, 0) == B && p[B] == 'c',
           "and a cached write by O_DIRECT reads");
    expect(pwritev2(fd, &v, 1, 4 * B, RWF_DSYNC) == B && size_of(fd) == 5 * B,
           "pwritev2 RWF_DSYNC");
    expect(pwritev2(fd, &v, 1, 0, RWF_APPEND) == B && size_of(fd) == 6 * B, "pwritev2 RWF_APPEND");
    v.iov_base = got;
    expect(preadv2(fd, &v, 1, 5 * B, 0) == B && got[0] == 'd', "preadv2");
    close(fd);
    close(direct);
    fd = open("direct", O_WRONLY | O_DSYNC);
    expect(fd >= 0 && pwrite(fd, "y", 1, 0) == 1, "an O_DSYNC write");
    close(fd);
    free(p);
}

static void private_mapping(void)
{
    int fd = make_file("private", 1, 'x');
    char *p = mmap(NULL, B, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    expect(p != MAP_FAILED, "map a file privately");
    p[0] = 'p';
    expect(all(fd, 0, B, 'x'), "what is written there stays there");
    munmap(p, B);
    close(fd);
}

static void sizes(const char *native)
{
    char c = 0;
    int fd = make_file("huge", 0, 0);
    off_t most = native ? 1ll << 40 : INT64_MAX; /* 8 EiB - 1; ext4 ends earlier */
    expect(ftruncate(fd, most) == 0 && size_of(fd) == most, "a file as large as they may be");
    expect(pwrite(fd, "x", 1, most - 1) == 1 && pread(fd, &c, 1, most - 1) == 1 && c == 'x',
           "its last byte");
    expect(ftruncate(fd, 0) == 0, "it is cut");
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc < 2 || chdir(argv[1]))
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    allocation();
    holes();
    copies();
    direct_and_synchronous();
    private_mapping();
    sizes(argv[2]);
    return failed;
}
