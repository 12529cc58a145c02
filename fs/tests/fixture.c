/* See fixture.h. */
#include "fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../../store/tests/env_sim.h"
#include "../format/keys_format.h"
#include "check_store.h"

struct fs *fs;
struct env *disk;
struct fs_options fixture_options;

static void log_line(void *arg, const char *line)
{
    (void)arg;
    (void)line;
}

void fixture_open(void)
{
    fixture_options.store.env = disk;
    int rc = fs_open("/fs", &fixture_options, &fs);
    ck_assert_msg(rc == 0, "%d: %s", rc, fail_text());
}

void fixture_close(void)
{
    int rc = fs_close(fs);
    fs = NULL;
    ck_assert_msg(rc == 0, "%s", fail_text());
}

void fixture_reopen(void)
{
    fixture_close();
    fixture_open();
}

void fixture_kill(void)
{
    struct env *then = env_sim_cut_copy(disk);
    env_sim_survive(then, SIM_KEEP_ALL, 0);
    fixture_close();
    env_sim_free(disk);
    disk = then;
    fixture_open();
}

void fixture_setup(void)
{
    fixture_prepare();
    fixture_open();
}

void fixture_prepare(void)
{
    disk = env_sim_new();
    fs_options_init(&fixture_options);
    fixture_options.memtable_bytes = 256 << 10; /* so that there are tables as well */
    fixture_options.commit_seconds = 3600;
    fixture_options.log = log_line;
    fixture_options.store.table_bytes = 64 << 10;
    fixture_options.store.level_base_bytes = 256 << 10;
    fixture_options.store.zero_ahead_bytes = 0;
}

void fixture_teardown(void)
{
    fixture_reopen(); /* gives all references back */
    fixture_settle();
    check_store(fs, CHECK_NOTHING_OPEN);
    fixture_close();
    env_sim_free(disk);
}

void fixture_settle(void)
{
    for (int i = 0; i < 2000 && count_records(KEY_GARBAGE, 0) > 0; i++)
        usleep(5000);
}

uint64_t make_file(uint64_t dir, const char *name)
{
    struct stat st;
    int rc = fs_make(fs, &(struct fs_caller){0}, dir, name, S_IFREG | 0644, 0, NULL, &st);
    ck_assert_msg(rc == 0, "making %s: %s", name, fail_name(rc));
    return st.st_ino;
}

uint64_t make_dir(uint64_t dir, const char *name)
{
    struct stat st;
    int rc = fs_make(fs, &(struct fs_caller){0}, dir, name, S_IFDIR | 0755, 0, NULL, &st);
    ck_assert_msg(rc == 0, "making %s: %s", name, fail_name(rc));
    return st.st_ino;
}

uint64_t find(uint64_t dir, const char *name)
{
    struct stat st;
    int rc = fs_lookup(fs, dir, name, &st);
    ck_assert_msg(rc == 0, "looking up %s: %s", name, fail_name(rc));
    return st.st_ino;
}

bool exists(uint64_t dir, const char *name)
{
    struct stat st;
    int rc = fs_lookup(fs, dir, name, &st);
    ck_assert(rc == 0 || rc == -ENOENT);
    if (rc == 0)
        fs_forget(fs, st.st_ino, 1);
    return rc == 0;
}

struct stat stat_of(uint64_t ino)
{
    struct stat st;
    ck_assert_int_eq(fs_getattr(fs, ino, &st), 0);
    return st;
}

void write_at(uint64_t ino, uint64_t off, const void *p, size_t n)
{
    int rc = fs_write(fs, ino, p, n, off, false);
    ck_assert_msg(rc == 0, "writing: %s", fail_name(rc));
}

void write_text(uint64_t ino, const char *text)
{
    write_at(ino, 0, text, strlen(text));
}

void expect_text(uint64_t ino, const char *text)
{
    char got[256];
    ssize_t n = fs_read(fs, ino, got, sizeof got, 0);
    ck_assert_int_eq(n, (ssize_t)strlen(text));
    ck_assert(memcmp(got, text, (size_t)n) == 0);
}

void set_size(uint64_t ino, uint64_t size)
{
    struct stat st, in = {.st_size = (off_t)size};
    ck_assert_int_eq(fs_setattr(fs, ino, &in, FS_SET_SIZE, &st), 0);
    ck_assert_uint_eq((uint64_t)st.st_size, size);
}

int count_records(char kind, uint64_t ino)
{
    struct fs_key prefix = key_of(kind, ino);
    if (ino == 0)
        prefix.len = 1;
    struct iter *it = store_iter(fs_store(fs), NULL);
    int n = 0;
    for (iter_seek(it, key_slice(&prefix));
         it->valid && slice_starts_with(it->key, key_slice(&prefix)); iter_next(it))
        n++;
    ck_assert_int_eq(it->status, 0);
    iter_destroy(it);
    return n;
}

uint64_t random_next(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15ull; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

uint64_t random_below(struct random *r, uint64_t n)
{
    return random_next(r) % n;
}

uint64_t random_seed(void)
{
    const char *s = getenv("SEED");
    uint64_t seed = s ? strtoull(s, NULL, 0) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    printf("SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

int random_iterations(int by_default)
{
    const char *s = getenv("ITERATIONS");
    return s ? atoi(s) : by_default;
}
