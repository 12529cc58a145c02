/* How often an operation asks for memory. The numbers are limits: an operation that needs more than
 * before fails here, and whoever changes it changes the number, with a reason. Under sanitizers,
 * which have an allocator of their own, nothing is counted. */
#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../store/tests/run_suite.h"
#include "../../store/tests/temp_dir.h"
#include "../core/fs.h"

static atomic_ulong allocations;

#ifndef __SANITIZE_ADDRESS__
#ifndef __SANITIZE_THREAD__
#define COUNTS 1
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(p, n);
}
#endif
#endif

enum { TIMES = 2000 };
static struct fs *fs;
static uint64_t inos[TIMES];

/* Not an assertion of the test framework: those ask for memory, too. */
static void must(bool ok)
{
    if (!ok)
        abort();
}

static void create_one(int i)
{
    char name[32];
    struct stat st;
    struct fs_caller who = {0};
    snprintf(name, sizeof name, "file%05d", i);
    must(fs_make(fs, &who, FS_ROOT, name, S_IFREG | 0644, 0, NULL, &st) == 0);
    inos[i] = st.st_ino;
}
static void write_one(int i)
{
    static char block[FS_BLOCK];
    memset(block, 'b', sizeof block);
    must(fs_write(fs, inos[i], block, sizeof block, 0, false) == 0);
}
static void read_one(int i)
{
    char block[FS_BLOCK];
    must(fs_read(fs, inos[i], block, sizeof block, 0) == FS_BLOCK);
}
static void write_chunk(int i)
{
    static char chunk[16 * FS_BLOCK];
    memset(chunk, 'c', sizeof chunk);
    must(fs_write(fs, inos[0], chunk, sizeof chunk, (uint64_t)i * sizeof chunk, false) == 0);
}
static void stat_one(int i)
{
    struct stat st;
    must(fs_getattr(fs, inos[i], &st) == 0);
}
static void lookup_one(int i)
{
    char name[32];
    struct stat st;
    snprintf(name, sizeof name, "file%05d", i);
    must(fs_lookup(fs, FS_ROOT, name, &st) == 0);
}
static void miss_one(int i)
{
    char name[32];
    struct stat st;
    snprintf(name, sizeof name, "none%05d", i);
    must(fs_lookup(fs, FS_ROOT, name, &st) == -ENOENT);
}
static void sync_one(int i)
{
    must(fs_sync_inode(fs, inos[i]) == 0);
}
static void rename_one(int i)
{
    char name[32], to[32];
    snprintf(name, sizeof name, "file%05d", i);
    snprintf(to, sizeof to, "to%05d", i);
    must(fs_rename(fs, FS_ROOT, name, FS_ROOT, to, 0) == 0);
}
static void unlink_one(int i)
{
    char name[32];
    snprintf(name, sizeof name, "to%05d", i);
    must(fs_unlink(fs, FS_ROOT, name) == 0);
}

/* In this order. */
static const struct {
    const char *name;
    void (*run)(int i);
    double most; /* allocations for one */
} operations[] = {
    {"create", create_one, 6.1},           {"write 4 KiB", write_one, 4.1},
    {"read 4 KiB", read_one, 1.1},         {"stat", stat_one, 0},
    {"lookup", lookup_one, 1.1},           {"missing name", miss_one, 1.1},
    {"fsync, nothing new", sync_one, 0.1}, {"rename", rename_one, 6.1},
    {"unlink", unlink_one, 3.1},           {"write 64 KiB", write_chunk, 5.1},
};

START_TEST(no_operation_asks_for_memory_more_often_than_noted)
{
    temp_dir_clear();
    struct fs_options options;
    fs_options_init(&options);
    must(fs_open(temp_path("fs"), &options, &fs) == 0);
    for (size_t o = 0; o < sizeof operations / sizeof *operations; o++) {
        unsigned long before = atomic_load(&allocations);
        for (int i = 0; i < TIMES; i++)
            operations[o].run(i);
        double each = (double)(atomic_load(&allocations) - before) / TIMES;
        (void)each;
#ifdef COUNTS
        ck_assert_msg(each <= operations[o].most, "%s: %.2f allocations, at most %.2f expected",
                      operations[o].name, each, operations[o].most);
#endif
    }
    must(fs_close(fs) == 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("allocations");
    TCase *tc = tcase_create("allocations");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, no_operation_asks_for_memory_more_often_than_noted);
    suite_add_tcase(suite, tc);
    temp_dir_make();
    int result = run_suite(suite);
    temp_dir_remove();
    return result;
}
