/* See chunk_fixture.h. */
#include "chunk_fixture.h"

#include <check.h>
#include <pthread.h>
#include <unistd.h>

#include "../../store/tests/env_sim.h"
#include "../core/fs_internal.h"
#include "check_store.h"

struct shadow one;
static struct buf logged;
static pthread_mutex_t logged_mu = PTHREAD_MUTEX_INITIALIZER;

void chunks_log(void *arg, const char *line)
{
    (void)arg;
    pthread_mutex_lock(&logged_mu);
    buf_append(&logged, line, strlen(line));
    buf_append(&logged, "\n", 1);
    pthread_mutex_unlock(&logged_mu);
}

bool was_logged(const char *what)
{
    buf_append(&logged, "", 1);
    logged.len--;
    return strstr(logged.data, what) != NULL;
}

void forget_log(void)
{
    buf_clear(&logged);
}

void open_chunks_fixture(void)
{
    fixture_prepare();
    fixture_options.store.log_window_bytes = 0;
    fixture_options.log = chunks_log;
    buf_clear(&logged);
    fixture_open();
    shadow_make(&one, "one");
}

void chunks_setup(void)
{
    open_chunks_fixture();
}

void expect_nothing_is_wrong(void)
{
    ck_assert_msg(fs_check(fs, chunks_log, NULL) == 0, "%.*s", (int)logged.len, logged.data);
}

void chunks_teardown(void)
{
    check_store(fs, CHECK_GARBAGE_MAY_BE);
    expect_nothing_is_wrong();
    fixture_teardown();
    buf_free(&logged);
}

void chunks_bare_teardown(void)
{
    fixture_close();
    env_sim_free(disk);
    buf_free(&logged);
}

/* ---- the disk */

static uint64_t number_of_files;

static void count_file(void *arg, const char *name)
{
    (void)arg;
    number_of_files += strstr(name, ".seg") != NULL;
}

int segment_files(void)
{
    number_of_files = 0;
    env_list(disk, SEGMENTS, count_file, NULL);
    return (int)number_of_files;
}

bool is_zero_at(const char *path, uint64_t off, size_t n)
{
    struct buf b = BUF_INIT;
    bool zero = true;
    ck_assert_int_eq(env_read_file(disk, path, &b), 0);
    for (size_t i = 0; i < n && off + i < b.len; i++)
        zero &= b.data[off + i] == 0;
    buf_free(&b);
    return zero;
}

void flip_byte(const char *path, uint64_t off)
{
    struct env_file *f;
    char c;
    ck_assert_int_eq(env_open(disk, path, ENV_WRITE, &f), 0);
    ck_assert_int_eq(env_pread(disk, f, &c, 1, off), 1);
    c ^= 0x10;
    ck_assert_int_eq(env_pwrite(disk, f, &c, 1, off), 0);
    env_close(disk, f);
}

void wait_for_freed(void)
{
    for (int i = 0; i < 1000 && count_records(KEY_FREED, 0) > 0; i++)
        usleep(5000);
    ck_assert_int_eq(count_records(KEY_FREED, 0), 0);
}

void wait_until_gone(const char *path)
{
    for (int i = 0; i < 1000 && env_exists(disk, path); i++)
        usleep(5000);
    ck_assert_msg(!env_exists(disk, path), "%s is still there", path);
}

/* Chunk records of a file; its other extents are blocks. */
static int chunk_records(uint64_t ino)
{
    struct fs_key prefix = key_of(KEY_EXTENT, ino);
    struct iter *it = store_iter(fs_store(fs), NULL);
    int n = 0;
    for (iter_seek(it, key_slice(&prefix));
         it->valid && slice_starts_with(it->key, key_slice(&prefix)); iter_next(it))
        n += get_be64(it->key.data + 9) % FS_BLOCK != 0;
    iter_destroy(it);
    return n;
}

int places(void)
{
    struct fs_key first = {.len = 1, .bytes = {KEY_PLACE}};
    struct iter *it = store_iter(fs_store(fs), NULL);
    int n = 0;
    for (iter_seek(it, key_slice(&first)); it->valid && it->key.data[0] == KEY_PLACE; iter_next(it))
        n += it->key.len == 17 && key_place_of(it->key) != 0;
    iter_destroy(it);
    return n;
}

int marks(void)
{
    return count_records(KEY_PLACE, 0) - places();
}

void expect_records(int chunks, int blocks)
{
    ck_assert_int_eq(chunk_records(one.ino), chunks);
    ck_assert_int_eq(count_records(KEY_EXTENT, one.ino) - chunks, blocks);
    ck_assert_int_eq(places(), chunks);
}

void expect_it_stays(void)
{
    shadow_expect(&one);
    fixture_kill();
    shadow_find(&one);
    shadow_expect(&one);
    fixture_reopen();
    shadow_find(&one);
    shadow_expect(&one);
}

struct chunk chunk_of(uint64_t ino, uint64_t at)
{
    struct fs_key key = key_chunk(ino, at);
    struct buf value = BUF_INIT;
    struct chunk c;
    ck_assert_int_eq(store_get(fs_store(fs), NULL, key_slice(&key), &value), 0);
    ck_assert_int_eq(chunk_decode(&c, buf_slice(&value)), 0);
    buf_free(&value);
    return c;
}
