/* ops DIR PROCESSES FILES [WORD...]: times the operations of programs on a filesystem.
 *
 * Each process has a directory of its own below DIR and does one operation on each of its files;
 * then comes the next operation. A line for each says how long one took as its process saw it:
 *     <operation> <processes> <microseconds>
 * WORDs choose operations (what these need is done too, but not told). As root, "cold" ones
 * begin with empty caches of the kernel. DIR is left without the files. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define BLOCK 4096
#define PIECE (64 << 10) /* of a stream */
static char block[PIECE];
static int files, processes;

/* ---- the operations: one file each, the process stands in its directory */

static void open_write(const char *name, int flags, size_t size, bool sync)
{
    int fd = open(name, O_WRONLY | flags, 0644);
    if (fd < 0)
        die(name);
    if (size > 0 && write(fd, block, size) != (ssize_t)size)
        die("write");
    if (sync)
        TRY(fsync(fd));
    TRY(close(fd));
}

static void name_of(char *to, char letter, int i)
{
    snprintf(to, 32, "%c%07d", letter, i);
}

static void do_create(const char *name, int i)
{
    (void)i;
    open_write(name, O_CREAT | O_EXCL, 0, false);
}
static void do_create4k(const char *name, int i)
{
    (void)i;
    open_write(name, O_CREAT | O_EXCL, BLOCK, false);
}
static void do_create4k_fsync(const char *name, int i)
{
    (void)i;
    open_write(name, O_CREAT | O_EXCL, BLOCK, true);
}
static void do_unlink(const char *name, int i)
{
    (void)i;
    TRY(unlink(name));
}
static void do_mkdir(const char *name, int i)
{
    (void)i;
    TRY(mkdir(name, 0755));
}
static void do_rmdir(const char *name, int i)
{
    (void)i;
    TRY(rmdir(name));
}
static void do_stat(const char *name, int i)
{
    struct stat st;
    (void)i;
    TRY(stat(name, &st));
}
static void do_read(const char *name, int i)
{
    char p[BLOCK];
    int fd = open(name, O_RDONLY);
    (void)i;
    if (fd < 0 || read(fd, p, sizeof p) != sizeof p)
        die(name);
    TRY(close(fd));
}
static void do_rename(const char *name, int i)
{
    char to[32];
    name_of(to, 'r', i);
    TRY(rename(name, to));
}
static int one_file = -1; /* open for the operations on one file */
static void do_overwrite(const char *name, int i)
{
    (void)name;
    if (pwrite(one_file, block, BLOCK, (i % 16) * BLOCK) != BLOCK)
        die("pwrite");
}
static void do_overwrite_fsync(const char *name, int i)
{
    do_overwrite(name, i);
    TRY(fsync(one_file));
}
static void do_append(const char *name, int i)
{
    (void)name, (void)i;
    if (write(one_file, block, 128) != 128)
        die("write");
}
static void do_append_fsync(const char *name, int i)
{
    do_append(name, i);
    TRY(fsync(one_file));
}

/* A stream through a file of as many pieces as the others have files, and single blocks of it. */
static void do_write_stream(const char *name, int i)
{
    (void)name;
    if (pwrite(one_file, block, PIECE, (off_t)i * PIECE) != PIECE)
        die("pwrite");
}
static void do_read_stream(const char *name, int i)
{
    (void)name;
    if (pread(one_file, block, PIECE, (off_t)i * PIECE) != PIECE)
        die("pread");
}
/* All over the file: the step has no factor in common with the number of blocks. */
static off_t scattered(int i)
{
    return (off_t)i * 7919 % ((off_t)files * (PIECE / BLOCK)) * BLOCK;
}
static void do_write_random(const char *name, int i)
{
    (void)name;
    if (pwrite(one_file, block, BLOCK, scattered(i)) != BLOCK)
        die("pwrite");
}
static void do_read_random(const char *name, int i)
{
    (void)name;
    if (pread(one_file, block, BLOCK, scattered(i)) != BLOCK)
        die("pread");
}

struct op {
    const char *name;
    void (*run)(const char *name, int i);
    char letter; /* of the files it works on; 0: one small file that is open, 1: a large one */
    bool cold;
    int share; /* only so many of the files: files / share */
};

/* In this order: each finds what those before it have left. */
static const struct op ops[] = {
    {"create", do_create, 'e', false, 1},
    {"unlink-empty", do_unlink, 'e', false, 1},
    {"create4k", do_create4k, 'f', false, 1},
    {"stat-warm", do_stat, 'f', false, 1},
    {"read-warm", do_read, 'f', false, 1},
    {"stat-cold", do_stat, 'f', true, 1},
    {"read-cold", do_read, 'f', true, 1},
    {"overwrite", do_overwrite, 0, false, 1},
    {"append", do_append, 0, false, 1},
    {"overwrite+fsync", do_overwrite_fsync, 0, false, 4},
    {"append+fsync", do_append_fsync, 0, false, 4},
    {"create4k+fsync", do_create4k_fsync, 's', false, 4},
    {"rename", do_rename, 'f', false, 1},
    {"unlink", do_unlink, 'r', false, 1},
    {"unlink-synced", do_unlink, 's', false, 4},
    {"write-64k", do_write_stream, 1, false, 1},
    {"read-64k-cold", do_read_stream, 1, true, 1},
    {"write-random-4k", do_write_random, 1, false, 1},
    {"read-random-4k-cold", do_read_random, 1, true, 1},
    {"mkdir", do_mkdir, 'd', false, 1},
    {"rmdir", do_rmdir, 'd', false, 1},
};
#define OPS (sizeof ops / sizeof *ops)

/* ---- running them */

struct shared {
    int ready, go; /* a start line for the processes */
};
static struct shared *shared;

static void run_one(const struct op *op, int process)
{
    char name[32];
    snprintf(name, sizeof name, "p%d", process);
    TRY(chdir(name));
    if (op->letter <= 1)
        TRY(one_file =
                open(op->letter ? "large" : "one",
                     O_CREAT | O_RDWR | (strncmp(op->name, "append", 6) ? 0 : O_APPEND), 0644));
    __atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&shared->go, __ATOMIC_SEQ_CST))
        usleep(50);
    for (int i = 0; i < files / op->share; i++) {
        if (op->letter > 1)
            name_of(name, op->letter, i);
        op->run(name, i);
    }
    _exit(0);
}

static void drop_caches(void)
{
    sync();
    FILE *f = fopen("/proc/sys/vm/drop_caches", "w");
    if (f == NULL || fputs("3\n", f) < 0 || fclose(f) != 0)
        fprintf(stderr, "ops: caches are not dropped: %s\n", strerror(errno));
}

static double time_op(const struct op *op)
{
    int status;
    *shared = (struct shared){0};
    if (op->cold)
        drop_caches();
    for (int p = 0; p < processes; p++) {
        pid_t pid = fork();
        if (pid < 0)
            die("fork");
        if (pid == 0)
            run_one(op, p);
    }
    while (__atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST) < processes)
        usleep(100);
    double start = now_us();
    __atomic_store_n(&shared->go, 1, __ATOMIC_SEQ_CST);
    for (int p = 0; p < processes; p++)
        if (wait(&status) < 0 || status != 0)
            exit(1);
    return (now_us() - start) / (files / op->share);
}

static bool is_told(const struct op *op, int argc, char **argv)
{
    for (int i = 4; i < argc; i++)
        if (strcmp(argv[i], op->name) == 0)
            return true;
    return argc <= 4;
}

/* Told itself, or it makes or removes the files of one that is. */
static bool is_needed(const struct op *op, int argc, char **argv)
{
    if (op->letter == 0)
        return is_told(op, argc, argv);
    for (size_t i = 0; i < OPS; i++) {
        bool same = ops[i].letter == op->letter || (ops[i].letter == 'r' && op->letter == 'f') ||
                    (ops[i].letter == 'f' && op->letter == 'r');
        if (same && is_told(&ops[i], argc, argv))
            return true;
    }
    return false;
}

static void each_folder(bool make)
{
    char name[32];
    for (int p = 0; p < processes; p++) {
        snprintf(name, sizeof name, "p%d", p);
        if (make)
            TRY(mkdir(name, 0755));
        else {
            TRY(chdir(name));
            unlink("one");
            unlink("large");
            TRY(chdir(".."));
            TRY(rmdir(name));
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 4 || (processes = atoi(argv[2])) <= 0 || (files = atoi(argv[3])) < 4) {
        fprintf(stderr, "usage: ops DIR PROCESSES FILES [OPERATION...]\n");
        return 2;
    }
    TRY(chdir(argv[1]));
    memset(block, 'b', sizeof block);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("mmap");
    each_folder(true);
    for (size_t i = 0; i < OPS; i++) {
        if (!is_needed(&ops[i], argc, argv))
            continue;
        double us = time_op(&ops[i]);
        if (is_told(&ops[i], argc, argv)) {
            printf("%s %d %.2f\n", ops[i].name, processes, us);
            fflush(stdout);
        }
    }
    each_folder(false);
    return 0;
}
