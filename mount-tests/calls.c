/* calls DIR: what programs do with open files, mappings, holes and links, each with a word. Exit
 * code 1 if one differs from what POSIX says. Run on the native filesystem as well: a wrong
 * expectation shows there. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int failed;

static void expect(int yes, const char *what)
{
    printf("%s %s%s%s\n", yes ? "ok" : "not ok", what, yes ? "" : ": ", yes ? "" : strerror(errno));
    failed |= !yes;
}

static int make_file(const char *name, const char *text)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? fd : -1;
}

static void unlinked_but_open(void)
{
    char got[16] = "";
    struct stat st;
    int fd = make_file("gone", "content");
    expect(unlink("gone") == 0, "unlink an open file");
    expect(pread(fd, got, 7, 0) == 7 && strcmp(got, "content") == 0,
           "an unlinked open file is read");
    expect(pwrite(fd, "CON", 3, 0) == 3 && pwrite(fd, "more", 4, 5000) == 4, "and written");
    expect(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 5004,
           "it has no link and the new size");
    expect(fchmod(fd, 0600) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600,
           "its mode changes");
    expect(ftruncate(fd, 2) == 0 && pread(fd, got, 16, 0) == 2, "it is cut");
    expect(access("gone", F_OK) == -1 && errno == ENOENT, "its name is gone");
    close(fd);
}

static void shared_mapping(void)
{
    const size_t size = 3 * 4096 + 100;
    char got[8] = "";
    int fd = make_file("mapped", "start");
    expect(ftruncate(fd, (off_t)size) == 0, "extend a file to map");
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    expect(p != MAP_FAILED, "map it shared and writable");
    expect(memcmp(p, "start", 5) == 0, "the mapping shows what was written");
    memcpy(p + 8192, "by map", 6);
    expect(pread(fd, got, 6, 8192) == 6 && memcmp(got, "by map", 6) == 0,
           "read shows what the mapping wrote");
    expect(pwrite(fd, "by write", 8, 4096) == 8 && memcmp(p + 4096, "by write", 8) == 0,
           "the mapping shows what write wrote");
    expect(msync(p, size, MS_SYNC) == 0, "msync");
    expect(munmap(p, size) == 0 && close(fd) == 0, "unmap and close");
}

static void holes(void)
{
    char got[4096], zero[4096] = {0};
    struct stat st;
    int fd = make_file("holes", "");
    expect(pwrite(fd, "end", 3, 10 << 20) == 3, "write far behind the end");
    expect(fstat(fd, &st) == 0 && st.st_size == (10 << 20) + 3, "the size counts the hole");
    expect(st.st_blocks * 512 < 1 << 20, "the hole takes no space");
    expect(pread(fd, got, sizeof got, 5 << 20) == sizeof got && memcmp(got, zero, sizeof got) == 0,
           "the hole reads as zeroes");
    expect(pwrite(fd, "middle", 6, 5 << 20) == 6 && pread(fd, got, 7, 5 << 20) == 7 &&
               memcmp(got, "middle", 7) == 0,
           "a write into the hole");
    expect(ftruncate(fd, 0) == 0 && ftruncate(fd, 8192) == 0 && pread(fd, got, 4096, 0) == 4096 &&
               memcmp(got, zero, 4096) == 0,
           "cut to nothing and extended, it is all zeroes");
    expect(pwrite(fd, "tail", 4, 4094) == 4 && ftruncate(fd, 4096) == 0 &&
               ftruncate(fd, 8192) == 0 && pread(fd, got, 4, 4094) == 4 &&
               memcmp(got, "ta\0\0", 4) == 0,
           "what a cut took does not come back");
    close(fd);
}

static void kinds(void)
{
    char target[4096], got[4097];
    struct stat st;
    memset(target, 'x', sizeof target);
    target[4095] = 0;
    expect(symlink(target, "long") == 0 && readlink("long", got, sizeof got) == 4095 &&
               memcmp(got, target, 4095) == 0,
           "a symlink of 4095 bytes");
    expect(lstat("long", &st) == 0 && st.st_size == 4095, "its size is the length");
    expect(mkfifo("fifo", 0600) == 0 && stat("fifo", &st) == 0 && S_ISFIFO(st.st_mode), "a fifo");
    expect(mknod("socket", S_IFSOCK | 0600, 0) == 0 && stat("socket", &st) == 0 &&
               S_ISSOCK(st.st_mode),
           "a socket");
    if (geteuid() == 0)
        expect(mknod("null", S_IFCHR | 0600, 0x103) == 0 && stat("null", &st) == 0 &&
                   S_ISCHR(st.st_mode) && st.st_rdev == 0x103,
               "a device node");
    expect(mkdir("long", 0700) == -1 && errno == EEXIST, "mkdir over a symlink: EEXIST");
    memset(got, 'n', 256);
    got[256] = 0;
    expect(open(got, O_CREAT | O_WRONLY, 0600) == -1 && errno == ENAMETOOLONG,
           "a name of 256 bytes: ENAMETOOLONG");
    got[255] = 0;
    expect(mkdir(got, 0700) == 0 && rmdir(got) == 0, "a name of 255 bytes");
    expect(mkdir("bytes\n\\\xff", 0700) == 0 && rmdir("bytes\n\\\xff") == 0, "a name of odd bytes");
}

static void links_and_times(void)
{
    struct stat a, b;
    struct timespec set[2] = {{-1000000000, 123456789}, {5000000000, 987654321}};
    close(make_file("one", "x"));
    expect(link("one", "two") == 0 && stat("one", &a) == 0 && stat("two", &b) == 0 &&
               a.st_ino == b.st_ino && a.st_nlink == 2,
           "two names of one file");
    expect(unlink("one") == 0 && stat("two", &b) == 0 && b.st_nlink == 1 && b.st_size == 1,
           "one name goes, one stays");
    expect(rename("two", "one") == 0 && stat("one", &b) == 0 && b.st_ino == a.st_ino,
           "the other is renamed");
    expect(link("one", "one") == -1 && errno == EEXIST, "link to a name that is taken: EEXIST");
    expect(utimensat(AT_FDCWD, "one", set, 0) == 0 && stat("one", &b) == 0 &&
               b.st_atim.tv_sec == -1000000000 && b.st_atim.tv_nsec == 123456789 &&
               b.st_mtim.tv_sec == 5000000000 && b.st_mtim.tv_nsec == 987654321,
           "times before 1970 and behind 2038, with nanoseconds");
    expect(mkdir("dir", 0755) == 0 && stat("dir", &a) == 0 && a.st_nlink == 2,
           "a directory has two links");
    expect(mkdir("dir/sub", 0755) == 0 && stat("dir", &a) == 0 && a.st_nlink == 3,
           "and one more for each in it");
    expect(rmdir("dir") == -1 && errno == ENOTEMPTY, "rmdir of what is not empty: ENOTEMPTY");
    expect(unlink("dir") == -1 && errno == EISDIR, "unlink of a directory: EISDIR");
    expect(rmdir("one") == -1 && errno == ENOTDIR, "rmdir of a file: ENOTDIR");
    expect(rename("dir", "dir/sub/x") == -1 && errno == EINVAL, "a directory into itself: EINVAL");
}

static void syncs(void)
{
    struct statvfs sv;
    int dir = open(".", O_RDONLY | O_DIRECTORY), fd = make_file("synced", "x");
    expect(fsync(fd) == 0 && fdatasync(fd) == 0, "fsync and fdatasync");
    expect(fsync(dir) == 0, "fsync of a directory");
    int osync = open("osync", O_WRONLY | O_CREAT | O_SYNC, 0600);
    expect(osync >= 0 && write(osync, "x", 1) == 1, "a write with O_SYNC");
    expect(fstatvfs(fd, &sv) == 0 && sv.f_namemax == 255 && sv.f_blocks > 0, "statvfs");
    close(osync);
    close(fd);
    close(dir);
}

static void *append_many(void *arg)
{
    int fd = open("appended", O_WRONLY | O_APPEND);
    for (int i = 0; i < 500; i++)
        if (write(fd, arg, 16) != 16)
            break;
    close(fd);
    return NULL;
}

static void appends(void)
{
    static char text[4][17] = {"aaaaaaaaaaaaaaa\n", "bbbbbbbbbbbbbbb\n", "ccccccccccccccc\n",
                               "ddddddddddddddd\n"};
    pthread_t t[4];
    char got[16];
    int whole = 0, fd = make_file("appended", "");
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, append_many, text[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    lseek(fd, 0, SEEK_SET);
    while (read(fd, got, 16) == 16)
        whole += got[0] == got[14] && got[15] == '\n';
    expect(whole == 2000, "O_APPEND by four at once loses and tears nothing");
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1]))
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    unlinked_but_open();
    shared_mapping();
    holes();
    kinds();
    links_and_times();
    syncs();
    appends();
    return failed;
}
