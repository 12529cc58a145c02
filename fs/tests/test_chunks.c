/* Chunks: large data beside the store. What is read, counted and given back is right whatever
 * mixture of chunks and blocks a file is. */
#include <check.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../../store/tests/env_sim.h"
#include "../../store/tests/run_suite.h"
#include "../core/fs_internal.h"
#include "../format/segment_format.h"
#include "check_store.h"
#include "fixture.h"
#include "shadow.h"

#define SEGMENTS "/fs/segments"
#define FIRST SEGMENTS "/000001.seg"

static struct shadow one;
static struct buf logged;
static pthread_mutex_t logged_mu = PTHREAD_MUTEX_INITIALIZER;

static void note_line(void *arg, const char *line)
{
    (void)arg;
    pthread_mutex_lock(&logged_mu);
    buf_append(&logged, line, strlen(line));
    buf_append(&logged, "\n", 1);
    pthread_mutex_unlock(&logged_mu);
}

static bool was_logged(const char *what)
{
    buf_append(&logged, "", 1);
    logged.len--;
    return strstr(logged.data, what) != NULL;
}

static void open_fixture(void)
{
    fixture_prepare();
    fixture_options.store.log_window_bytes = 0;
    fixture_options.log = note_line;
    buf_clear(&logged);
    fixture_open();
    shadow_make(&one, "one");
}

static void setup(void)
{
    open_fixture();
}

static void expect_nothing_is_wrong(void)
{
    ck_assert_msg(fs_check(fs, note_line, NULL) == 0, "%.*s", (int)logged.len, logged.data);
}

static void teardown(void)
{
    check_store(fs, CHECK_GARBAGE_MAY_BE);
    expect_nothing_is_wrong();
    fixture_teardown();
    buf_free(&logged);
}

static void bare_teardown(void) /* of what is left damaged */
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

static int segment_files(void)
{
    number_of_files = 0;
    env_list(disk, SEGMENTS, count_file, NULL);
    return (int)number_of_files;
}

/* Are the bytes of a file on the disk all zero there? */
static bool is_zero_at(const char *path, uint64_t off, size_t n)
{
    struct buf b = BUF_INIT;
    bool zero = true;
    ck_assert_int_eq(env_read_file(disk, path, &b), 0);
    for (size_t i = 0; i < n && off + i < b.len; i++)
        zero &= b.data[off + i] == 0;
    buf_free(&b);
    return zero;
}

static void flip_byte(const char *path, uint64_t off)
{
    struct env_file *f;
    char c;
    ck_assert_int_eq(env_open(disk, path, ENV_WRITE, &f), 0);
    ck_assert_int_eq(env_pread(disk, f, &c, 1, off), 1);
    c ^= 0x10;
    ck_assert_int_eq(env_pwrite(disk, f, &c, 1, off), 0);
    env_close(disk, f);
}

/* Until what runs in the background has given back all that is free. */
static void wait_for_freed(void)
{
    for (int i = 0; i < 1000 && count_records(KEY_FREED, 0) > 0; i++)
        usleep(5000);
    ck_assert_int_eq(count_records(KEY_FREED, 0), 0);
}

static void wait_until_gone(const char *path)
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

/* Places in use: what has a mark is none. */
static int places(void)
{
    struct fs_key first = {.len = 1, .bytes = {KEY_PLACE}};
    struct iter *it = store_iter(fs_store(fs), NULL);
    int n = 0;
    for (iter_seek(it, key_slice(&first)); it->valid && it->key.data[0] == KEY_PLACE; iter_next(it))
        n += it->key.len == 17 && key_place_of(it->key) != 0;
    iter_destroy(it);
    return n;
}

static int marks(void)
{
    return count_records(KEY_PLACE, 0) - places();
}

static void expect_records(int chunks, int blocks)
{
    ck_assert_int_eq(chunk_records(one.ino), chunks);
    ck_assert_int_eq(count_records(KEY_EXTENT, one.ino) - chunks, blocks);
    ck_assert_int_eq(places(), chunks);
}

/* It is as the array says: now, and after each way to begin anew. */
static void expect_it_stays(void)
{
    shadow_expect(&one);
    fixture_kill();
    shadow_find(&one);
    shadow_expect(&one);
    fixture_reopen();
    shadow_find(&one);
    shadow_expect(&one);
}

static struct chunk chunk_of(uint64_t ino, uint64_t at)
{
    struct fs_key key = key_chunk(ino, at);
    struct buf value = BUF_INIT;
    struct chunk c;
    ck_assert_int_eq(store_get(fs_store(fs), NULL, key_slice(&key), &value), 0);
    ck_assert_int_eq(chunk_decode(&c, buf_slice(&value)), 0);
    buf_free(&value);
    return c;
}

/* ---- writing */

START_TEST(an_aligned_piece_is_one_record)
{
    shadow_write(&one, 0, FS_CHUNK, 1);
    expect_records(1, 0);
    shadow_write(&one, 2 * FS_CHUNK, 2 * FS_CHUNK, 2);
    expect_records(3, 0);
    expect_it_stays();
}
END_TEST

START_TEST(what_is_no_whole_chunk_is_blocks)
{
    shadow_write(&one, FS_BLOCK, FS_CHUNK, 1);
    expect_records(0, 16);
    shadow_write(&one, 0, FS_CHUNK - 1, 2);
    expect_records(0, 17);
    ck_assert(!env_exists(disk, SEGMENTS));
    shadow_write(&one, FS_CHUNK - 5, FS_CHUNK + 10, 3); /* a block, a chunk, a block */
    expect_records(1, 17);
    expect_it_stays();
}
END_TEST

START_TEST(zeroes_need_no_place)
{
    static char p[3 * FS_CHUNK];
    shadow_fill(p, FS_CHUNK, 0, 1);
    shadow_fill(p + 2 * FS_CHUNK, FS_CHUNK, 0, 1);
    write_at(one.ino, 0, p, sizeof p);
    shadow_note_write(&one, 0, p, sizeof p);
    expect_records(2, 16);
    p[FS_CHUNK + 5] = 1; /* one that is not zero is enough */
    write_at(one.ino, FS_CHUNK, p + FS_CHUNK, FS_CHUNK);
    shadow_note_write(&one, FS_CHUNK, p + FS_CHUNK, FS_CHUNK);
    expect_records(3, 0);
    expect_it_stays();
}
END_TEST

struct overwrite {
    uint64_t off;
    size_t n;
    int chunks, blocks;
};

static const struct overwrite overwrites[] = {
    {FS_CHUNK, FS_BLOCK, 3, 1},                           /* the first block of a chunk */
    {2 * FS_CHUNK - FS_BLOCK, FS_BLOCK, 3, 1},            /* its last one */
    {FS_CHUNK + 5 * FS_BLOCK, 3 * FS_BLOCK, 3, 3},        /* several */
    {FS_CHUNK + 5 * FS_BLOCK + 100, 10, 3, 1},            /* a part of one */
    {FS_CHUNK + 5 * FS_BLOCK + 100, FS_BLOCK, 3, 2},      /* parts of two */
    {2 * FS_CHUNK - 1, 2, 3, 2},                          /* of two chunks */
    {FS_CHUNK - FS_BLOCK, FS_CHUNK + 2 * FS_BLOCK, 3, 2}, /* all of one, and more */
    {FS_CHUNK, FS_CHUNK, 3, 0},
    {0, 3 * FS_CHUNK, 3, 0},
    {FS_CHUNK - 1, FS_CHUNK + 2, 3, 2},
    {3 * FS_CHUNK - 3, FS_CHUNK + 5, 4, 2}, /* over the end */
};
#define OVERWRITES (int)(sizeof overwrites / sizeof *overwrites)

START_TEST(what_is_written_over_leaves_its_chunk)
{
    const struct overwrite *o = &overwrites[_i];
    shadow_write(&one, 0, 3 * FS_CHUNK, 1);
    shadow_write(&one, o->off, o->n, 2);
    expect_records(o->chunks, o->blocks);
    expect_it_stays();
}
END_TEST

START_TEST(a_chunk_goes_with_its_last_block)
{
    shadow_write(&one, 0, 2 * FS_CHUNK, 1);
    for (uint64_t b = 0; b < CHUNK_BLOCKS; b++) {
        shadow_write(&one, (b * 7 % CHUNK_BLOCKS) * FS_BLOCK, FS_BLOCK, 2);
        expect_records(b == CHUNK_BLOCKS - 1 ? 1 : 2, (int)b + 1);
        shadow_expect(&one);
    }
    expect_it_stays();
    shadow_write(&one, 0, FS_CHUNK, 3); /* and the blocks with a new chunk */
    expect_records(2, 0);
    expect_it_stays();
}
END_TEST

START_TEST(a_file_in_which_only_some_blocks_are_there_takes_a_chunk)
{
    shadow_write(&one, 3 * FS_BLOCK, 10, 1);
    shadow_write(&one, 20 * FS_BLOCK, 10, 1);
    shadow_write(&one, 0, 2 * FS_CHUNK, 2);
    expect_records(2, 0);
    expect_it_stays();
}
END_TEST

/* ---- sizes and holes */

START_TEST(a_chunk_is_cut_anywhere)
{
    static const uint64_t sizes[] = {FS_CHUNK + 3 * FS_BLOCK,
                                     FS_CHUNK + 3 * FS_BLOCK + 77,
                                     FS_CHUNK + 1,
                                     FS_CHUNK,
                                     FS_CHUNK - 1,
                                     1,
                                     0};
    shadow_write(&one, 0, 3 * FS_CHUNK, 1);
    shadow_resize(&one, sizes[_i]);
    shadow_expect(&one);
    shadow_resize(&one, 3 * FS_CHUNK); /* what was cut off reads as zeroes */
    expect_it_stays();
    shadow_resize(&one, FS_CHUNK);
    shadow_write(&one, 2 * FS_CHUNK, FS_CHUNK, 2); /* behind a hole */
    expect_it_stays();
}
END_TEST

static const struct {
    uint64_t off, len;
} holes[] = {
    {FS_CHUNK, FS_CHUNK},
    {FS_CHUNK + 10, FS_CHUNK},
    {FS_CHUNK - 10, 20},
    {FS_CHUNK + FS_BLOCK, 3 * FS_BLOCK},
    {FS_CHUNK + FS_BLOCK + 5, 20},
    {5, 3 * FS_CHUNK - 10},
    {0, 3 * FS_CHUNK},
    {2 * FS_CHUNK - 5, 2 * FS_CHUNK},
    {FS_BLOCK, SHADOW_SIZE},
};
#define HOLES (int)(sizeof holes / sizeof *holes)

START_TEST(holes_are_made_in_chunks)
{
    shadow_write(&one, 0, 3 * FS_CHUNK, 1);
    shadow_write(&one, FS_CHUNK + 2 * FS_BLOCK, FS_BLOCK, 2);
    shadow_punch(&one, holes[_i].off, holes[_i].len);
    expect_it_stays();
    shadow_punch(&one, holes[_i].off, holes[_i].len); /* where there is one already */
    shadow_write(&one, FS_CHUNK, FS_CHUNK, 3);
    expect_it_stays();
}
END_TEST

START_TEST(chunks_are_copied)
{
    shadow_write(&one, 0, 2 * FS_CHUNK, 1);
    shadow_copy(&one, 0, 3 * FS_CHUNK, FS_CHUNK);
    expect_records(3, 0);
    shadow_expect(&one);
    shadow_copy(&one, FS_CHUNK - 10, 4 * FS_CHUNK + 5, 11); /* one byte of the second */
    shadow_copy(&one, FS_CHUNK / 2, 4 * FS_CHUNK, FS_CHUNK);
    expect_it_stays();
}
END_TEST

START_TEST(a_read_may_end_with_a_chunks_first_byte)
{
    char p[2 * FS_BLOCK];
    shadow_write(&one, 0, 2 * FS_CHUNK, 1);
    ck_assert_int_eq(fs_read(fs, one.ino, p, 11, FS_CHUNK - 10), 11);
    ck_assert_mem_eq(p, one.bytes + FS_CHUNK - 10, 11);
    ck_assert_int_eq(fs_read(fs, one.ino, p, FS_BLOCK + 1, FS_CHUNK - FS_BLOCK), FS_BLOCK + 1);
    ck_assert_mem_eq(p, one.bytes + FS_CHUNK - FS_BLOCK, FS_BLOCK + 1);
}
END_TEST

/* The batch that is full in the middle of a chunk: its blocks are counted once. */
START_TEST(a_big_truncation_counts_right)
{
    static char p[FS_CHUNK];
    const uint64_t chunks = 400;
    shadow_fill(p, sizeof p, 0, 1);
    uint64_t f = make_file(FS_ROOT, "big");
    for (uint64_t i = 0; i < chunks; i++)
        write_at(f, i * FS_CHUNK, p, FS_CHUNK);
    for (uint64_t i = 0; i < chunks; i++)
        write_at(f, i * FS_CHUNK + (1 + i % 8) * FS_BLOCK, p, FS_BLOCK);
    for (int b = 0; b < _i; b++) /* so that the full batch ends in different places */
        write_at(f, FS_CHUNK + (uint64_t)(10 + b) * FS_BLOCK, p, FS_BLOCK);
    set_size(f, FS_CHUNK);
    ck_assert_int_eq(stat_of(f).st_blocks, 128);
    ck_assert_int_eq(count_records(KEY_GARBAGE, 0), 0);
    set_size(f, 0);
    ck_assert_int_eq(stat_of(f).st_blocks, 0);
    ck_assert_int_eq(places(), 0);
}
END_TEST

START_TEST(a_big_hole_counts_right)
{
    static char p[FS_CHUNK];
    const uint64_t chunks = 400;
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    shadow_fill(p, sizeof p, 0, 1);
    uint64_t f = make_file(FS_ROOT, "big");
    for (uint64_t i = 0; i < chunks; i++)
        write_at(f, i * FS_CHUNK, p, FS_CHUNK);
    for (uint64_t i = 0; i < chunks; i++)
        write_at(f, i * FS_CHUNK + (1 + i % 8) * FS_BLOCK, p, FS_BLOCK);
    for (int b = 0; b < _i; b++)
        write_at(f, FS_CHUNK + (uint64_t)(10 + b) * FS_BLOCK, p, FS_BLOCK);
    ck_assert_int_eq(fs_fallocate(fs, f, mode, FS_CHUNK, (chunks - 2) * FS_CHUNK, false), 0);
    ck_assert_int_eq(stat_of(f).st_blocks, 256);
    ck_assert_int_eq(places(), 2);
}
END_TEST

static void random_step(struct random *r)
{
    uint64_t chunk = random_below(r, SHADOW_CHUNKS), off = random_below(r, SHADOW_SIZE - 1);
    uint64_t room = SHADOW_SIZE - off, len = 1 + random_below(r, room < 20000 ? room : 20000);
    unsigned tag = (unsigned)random_next(r);
    if (random_below(r, 2))
        off = off / FS_BLOCK * FS_BLOCK;
    switch (random_below(r, 12)) {
    case 0:
    case 1:
    case 2:
        shadow_write(&one, chunk * FS_CHUNK,
                     (1 + random_below(r, SHADOW_CHUNKS - chunk)) * FS_CHUNK, tag);
        break;
    case 3:
        shadow_punch(&one, off, random_below(r, 4) ? len : len * 5);
        break;
    case 4:
        shadow_resize(&one, off);
        break;
    case 5:
        if (one.size > FS_CHUNK + FS_BLOCK && off + FS_CHUNK + 3 < SHADOW_SIZE &&
            (off >= FS_CHUNK + 3 || off + FS_CHUNK + 3 > one.size))
            shadow_copy(&one, 0, off >= FS_CHUNK + 3 ? off : FS_CHUNK + 3,
                        FS_CHUNK + random_below(r, 4));
        break;
    case 6:
        if (random_below(r, 10) == 0) {
            random_below(r, 2) ? fixture_reopen() : fixture_kill();
            shadow_find(&one);
        }
        break;
    default:
        shadow_write(&one, off, len, tag);
    }
}

START_TEST(random_changes_agree_with_an_array)
{
    struct random r = {random_seed()};
    int n = random_iterations(600);
    fixture_close();
    fixture_options.segment_bytes = 5 * FS_CHUNK;
    fixture_open();
    shadow_find(&one);
    for (int i = 0; i < n; i++) {
        random_step(&r);
        if (i % 4 == 0)
            shadow_expect(&one);
        if (i % 50 == 0)
            check_store(fs, CHECK_GARBAGE_MAY_BE);
    }
    expect_it_stays();
}
END_TEST

/* ---- names and features */

START_TEST(an_unlinked_files_chunks_go)
{
    shadow_write(&one, 0, 3 * FS_CHUNK, 1);
    shadow_write(&one, FS_BLOCK, FS_BLOCK, 2);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "one"), 0);
    shadow_expect(&one); /* it is referred to */
    shadow_write(&one, 3 * FS_CHUNK, FS_CHUNK, 3);
    shadow_expect(&one);
    _i ? fs_forget(fs, one.ino, 1) : fixture_kill();
    fixture_settle();
    ck_assert_int_eq(count_records(KEY_EXTENT, one.ino), 0);
    ck_assert_int_eq(places(), 0);
    fixture_reopen();
    wait_for_freed();
    wait_until_gone(FIRST);
    ck_assert_int_eq(count_records(KEY_PLACE, 0), 0);
}
END_TEST

static uint64_t features(void)
{
    struct fs_key key = key_super();
    struct buf value = BUF_INIT;
    struct super s;
    ck_assert_int_eq(store_get(fs_store(fs), NULL, key_slice(&key), &value), 0);
    ck_assert_int_eq(super_decode(&s, buf_slice(&value)), 0);
    buf_free(&value);
    return s.incompatible;
}

START_TEST(the_first_chunk_makes_it_a_filesystem_with_segments)
{
    shadow_write(&one, 0, FS_CHUNK - 1, 1);
    ck_assert_uint_eq(features(), 0);
    shadow_write(&one, 0, FS_CHUNK, 1);
    ck_assert_uint_eq(features(), SUPER_SEGMENTS);
    fixture_reopen();
    ck_assert_uint_eq(features(), SUPER_SEGMENTS);
}
END_TEST

START_TEST(segments_have_a_size)
{
    fixture_close();
    fixture_options.segment_bytes = SEGMENT_HEADER + 2 * FS_CHUNK;
    fixture_open();
    shadow_find(&one);
    for (uint64_t i = 0; i < 5; i++)
        shadow_write(&one, i * FS_CHUNK, FS_CHUNK, 1);
    ck_assert_int_eq(segment_files(), 3);
    shadow_write(&one, 0, 5 * FS_CHUNK, 2); /* more than one may have: in one piece */
    ck_assert_int_eq(segment_files(), 4);
    expect_it_stays();
}
END_TEST

START_TEST(a_read_only_open_reads_chunks_and_writes_nothing)
{
    struct env *then;
    shadow_write(&one, 0, 2 * FS_CHUNK, 1);
    shadow_write(&one, 5, FS_BLOCK, 2);
    then = env_sim_cut_copy(disk);
    if (_i) { /* what a kill leaves; or a clean close */
        env_sim_survive(then, SIM_KEEP_ALL, 0);
        fixture_close();
        env_sim_free(disk);
        disk = then;
    } else {
        env_sim_survive(then, SIM_KEEP_ALL, 0);
        env_sim_free(then);
        fixture_close();
    }
    uint64_t before = env_sim_count(disk, SIM_ANY);
    fixture_options.read_only = true;
    fixture_open();
    shadow_find(&one);
    shadow_expect(&one);
    ck_assert_int_eq(fs_write(fs, one.ino, one.bytes, FS_CHUNK, 0, false), -EROFS);
    expect_nothing_is_wrong();
    fixture_close();
    ck_assert_uint_eq(env_sim_count(disk, SIM_ANY), before);
    fixture_options.read_only = false;
    fixture_open();
    shadow_find(&one);
    shadow_expect(&one);
}
END_TEST

/* ---- what is free */

START_TEST(what_is_written_over_is_given_back)
{
    shadow_write(&one, 0, 3 * FS_CHUNK, 1);
    struct chunk c = chunk_of(one.ino, FS_CHUNK);
    ck_assert_uint_eq(c.segment, 1);
    shadow_write(&one, FS_CHUNK + 2 * FS_BLOCK, 2 * FS_BLOCK, 2);
    ck_assert_int_eq(count_records(KEY_FREED, 0), 1);
    ck_assert(!is_zero_at(FIRST, c.place + 2 * FS_BLOCK, FS_BLOCK));
    if (_i) {
        wait_for_freed();
        ck_assert(is_zero_at(FIRST, c.place + 2 * FS_BLOCK, 2 * FS_BLOCK));
    }
    fixture_reopen();
    ck_assert_int_eq(count_records(KEY_FREED, 0), 0);
    ck_assert(is_zero_at(FIRST, c.place + 2 * FS_BLOCK, 2 * FS_BLOCK));
    shadow_find(&one);
    expect_it_stays();
}
END_TEST

START_TEST(files_without_use_are_deleted)
{
    fixture_close();
    fixture_options.segment_bytes = SEGMENT_HEADER + FS_CHUNK;
    fixture_open();
    freed_give_back(fs); /* that of the open: from now on each change has to tell */
    shadow_find(&one);
    for (unsigned i = 0; i < 5; i++)
        shadow_write(&one, 0, FS_CHUNK, i);
    ck_assert_int_eq(segment_files(), 5);
    wait_for_freed(); /* all of them lie at the same offset */
    for (int i = 0; i < 1000 && segment_files() > 1; i++)
        usleep(5000);
    ck_assert_int_eq(segment_files(), 1);
    shadow_expect(&one);
    shadow_resize(&one, 0);
    fixture_reopen();
    for (int i = 0; i < 1000 && segment_files() > 0; i++)
        usleep(5000);
    ck_assert_int_eq(segment_files(), 0);
    for (int i = 0; i < 1000 && count_records(KEY_PLACE, 0) > 0; i++)
        usleep(5000);
    ck_assert_int_eq(count_records(KEY_PLACE, 0), 0); /* no marks either */
    shadow_find(&one);
    expect_it_stays();
}
END_TEST

/* Copies of the disk from just before each hole was made. */
#define COPIES 6
static struct env *copies[COPIES];
static int copy_count;

static int copy_before_punch(void *arg, enum sim_call call, const char *path)
{
    (void)arg, (void)path;
    if (call == SIM_PUNCH && copy_count < COPIES)
        copies[copy_count++] = env_sim_cut_copy(disk);
    return 0;
}

/* The moment just before, with the hole in it: whatever the disk remembers then, all of it can be
 * read. */
static void expect_readable(struct env *e, enum sim_survival how)
{
    struct fs_options o = fixture_options;
    struct fs *then;
    struct stat st;
    static char p[SHADOW_SIZE];
    env_sim_survive(e, how, 1);
    o.store.env = e;
    ck_assert_int_eq(fs_open("/fs", &o, &then), 0);
    ck_assert_int_eq(fs_lookup(then, FS_ROOT, "one", &st), 0);
    ck_assert_int_eq(fs_read(then, st.st_ino, p, sizeof p, 0), (ssize_t)one.size);
    ck_assert_mem_eq(p, one.bytes, one.size); /* what freed the places is there for good */
    ck_assert_int_eq(fs_close(then), 0);
    env_sim_free(e);
}

START_TEST(no_hole_is_made_before_the_change_is_in_a_table)
{
    copy_count = 0;
    shadow_write(&one, 0, 3 * FS_CHUNK, 1);
    ck_assert_int_eq(fs_sync_all(fs), 0);
    shadow_write(&one, FS_CHUNK, FS_CHUNK, 2);
    shadow_write(&one, FS_BLOCK, FS_BLOCK, 3);
    ck_assert_int_eq(env_sim_count(disk, SIM_PUNCH), 0);
    env_sim_set_hook(disk, copy_before_punch, NULL);
    wait_for_freed();
    env_sim_set_hook(disk, NULL, NULL);
    ck_assert_int_ge(copy_count, 2);
    for (int i = 0; i < copy_count; i++)
        expect_readable(copies[i], (enum sim_survival)_i);
    shadow_expect(&one);
}
END_TEST

START_TEST(the_old_moment_comes_back_whole)
{
    static struct shadow old;
    shadow_write(&one, 0, 3 * FS_CHUNK, 1);
    ck_assert_int_eq(fs_sync_all(fs), 0);
    old = one;
    shadow_write(&one, FS_CHUNK, FS_CHUNK, 2);
    shadow_resize(&one, FS_CHUNK + 5);
    struct env *then = env_sim_cut_copy(disk);
    env_sim_survive(then, SIM_LOSE_ALL, 0);
    fixture_close();
    env_sim_free(disk);
    disk = then;
    fixture_open();
    shadow_find(&old);
    shadow_expect(&old);
    fixture_reopen();
    shadow_find(&old);
    shadow_expect(&old);
}
END_TEST

/* ---- what a crash leaves */

static struct env *at_log_write;
static uint64_t segment_writes;

static int copy_before_log(void *arg, enum sim_call call, const char *path)
{
    (void)arg;
    if (call == SIM_WRITE && strstr(path, ".seg"))
        segment_writes++;
    if (call == SIM_WRITE && strstr(path, ".log") && segment_writes > 0 && !at_log_write)
        at_log_write = env_sim_cut_copy(disk);
    return 0;
}

/* The data is in the file, and no record names it. */
START_TEST(what_was_appended_and_not_committed_is_given_back)
{
    shadow_write(&one, 0, FS_CHUNK, 1);
    struct chunk c = chunk_of(one.ino, 0);
    at_log_write = NULL;
    segment_writes = 0;
    env_sim_set_hook(disk, copy_before_log, NULL);
    write_at(one.ino, FS_CHUNK, one.bytes, FS_CHUNK);
    env_sim_set_hook(disk, NULL, NULL);
    ck_assert_ptr_nonnull(at_log_write);
    env_sim_survive(at_log_write, SIM_KEEP_ALL, 0);
    fixture_close();
    env_sim_free(disk);
    disk = at_log_write;
    ck_assert(!is_zero_at(FIRST, c.place + FS_CHUNK, FS_CHUNK));
    fixture_open();
    shadow_find(&one);
    shadow_expect(&one);
    for (int i = 0; i < 1000 && marks() > 0; i++)
        usleep(5000);
    ck_assert(is_zero_at(FIRST, c.place + FS_CHUNK, FS_CHUNK));
    shadow_write(&one, 0, 2 * FS_CHUNK, 3);
    ck_assert_uint_eq(chunk_of(one.ino, 0).segment, 2);
    expect_it_stays();
}
END_TEST

START_TEST(a_commit_that_fails_leaves_nothing)
{
    static char p[FS_CHUNK];
    shadow_fill(p, sizeof p, 0, 9);
    shadow_write(&one, 0, FS_CHUNK, 1);
    struct chunk c = chunk_of(one.ino, 0);
    /* the first write is the append, the second one the log's */
    env_sim_fail(disk, SIM_WRITE, env_sim_count(disk, SIM_WRITE) + 2, -ENOSPC, SIM_DONE_PART);
    ck_assert_int_eq(fs_write(fs, one.ino, p, FS_CHUNK, FS_CHUNK, false), -ENOSPC);
    ck_assert(env_sim_failed(disk));
    ck_assert(is_zero_at(FIRST, c.place + FS_CHUNK, FS_CHUNK));
    shadow_expect(&one);
    shadow_write(&one, FS_CHUNK, FS_CHUNK, 2);
    expect_it_stays();
}
END_TEST

/* The log has the record, though the disk said that it has not; the data was given back. */
START_TEST(a_commit_that_failed_and_comes_back_is_cut_off)
{
    static char p[FS_CHUNK];
    shadow_fill(p, sizeof p, 0, 9);
    shadow_write(&one, 0, FS_CHUNK, 1);
    env_sim_fail(disk, SIM_WRITE, env_sim_count(disk, SIM_WRITE) + 2, -EIO, SIM_DONE_ALL);
    ck_assert_int_eq(fs_write(fs, one.ino, p, FS_CHUNK, _i ? 0 : FS_CHUNK, false), -EIO);
    ck_assert(env_sim_failed(disk));
    shadow_expect(&one);
    struct env *then = env_sim_cut_copy(disk);
    fs_close(fs);
    env_sim_free(disk);
    disk = then;
    env_sim_survive(disk, SIM_KEEP_ALL, 0);
    fixture_open();
    shadow_find(&one);
    expect_it_stays();
}
END_TEST

START_TEST(an_append_that_fails_leaves_nothing)
{
    static char p[FS_CHUNK];
    int error = _i ? -EIO : -ENOSPC;
    shadow_fill(p, sizeof p, 0, 9);
    shadow_write(&one, 0, FS_CHUNK, 1);
    env_sim_fail(disk, SIM_WRITE, env_sim_count(disk, SIM_WRITE) + 1, error, SIM_DONE_PART);
    ck_assert_int_eq(fs_write(fs, one.ino, p, FS_CHUNK, FS_CHUNK, false), error);
    shadow_expect(&one);
    shadow_write(&one, FS_CHUNK, FS_CHUNK, 2);
    ck_assert_uint_eq(chunk_of(one.ino, FS_CHUNK).segment, _i ? 2 : 1);
    expect_it_stays();
}
END_TEST

static void put_file(const char *path, const char *text)
{
    struct env_file *f;
    ck_assert_int_eq(env_open(disk, path, ENV_WRITE | ENV_CREATE, &f), 0);
    ck_assert_int_eq(env_pwrite(disk, f, text, strlen(text), 0), 0);
    env_close(disk, f);
}

START_TEST(a_file_that_nobody_knows_goes_and_its_number_is_not_used)
{
    shadow_write(&one, 0, FS_CHUNK, 1);
    fixture_close();
    put_file(SEGMENTS "/000777.seg", "whatever");
    put_file(SEGMENTS "/notes", "not ours");
    fixture_open();
    shadow_find(&one);
    shadow_write(&one, FS_CHUNK, FS_CHUNK, 2);
    ck_assert_uint_eq(chunk_of(one.ino, FS_CHUNK).segment, 778);
    wait_until_gone(SEGMENTS "/000777.seg");
    ck_assert(env_exists(disk, SEGMENTS "/notes"));
    expect_it_stays();
}
END_TEST

/* A record that a crash brings back must not mean a file that is made later. */
START_TEST(a_number_in_a_record_is_not_given_again)
{
    struct fs_key freed = key_freed(50, 4096, 0xffff), mark = key_place(60, 0);
    struct fs_key *key = _i ? &mark : &freed;
    ck_assert_int_eq(store_put(fs_store(fs), key_slice(key), slice_of("", 0), false), 0);
    fixture_kill();
    shadow_find(&one);
    shadow_write(&one, 0, FS_CHUNK, 1);
    ck_assert_uint_eq(chunk_of(one.ino, 0).segment, _i ? 61 : 51);
    fixture_reopen();
    shadow_find(&one);
    wait_for_freed();
    expect_it_stays();
}
END_TEST

/* A crash in the moment in which a file is made may leave its mark alone. */
START_TEST(a_mark_without_a_file_goes)
{
    struct fs_key mark = key_place(60, 0);
    shadow_write(&one, 0, FS_CHUNK, 1);
    ck_assert_int_eq(store_put(fs_store(fs), key_slice(&mark), slice_of("", 0), false), 0);
    fixture_kill();
    for (int i = 0; i < 400 && marks() > 0; i++)
        usleep(5000);
    ck_assert_int_eq(marks(), 0);
    shadow_find(&one);
    expect_it_stays();
}
END_TEST

/* ---- failing disks */

static bool wrote_beside;

/* While a hole is made somebody appends to the same file, and the sync of the hole fails. */
static int append_and_fail(void *arg, enum sim_call call, const char *path)
{
    (void)arg, (void)path;
    if (call != SIM_PUNCH || wrote_beside)
        return 0;
    wrote_beside = true;
    shadow_write(&one, 2 * FS_CHUNK, FS_CHUNK, 3);
    env_sim_fail(disk, SIM_SYNC, env_sim_count(disk, SIM_SYNC) + 1, -EIO, SIM_DONE_NOTHING);
    return 0;
}

/* The page cache shows as clean what the disk has not: recovery must not take it for durable. */
START_TEST(what_recovery_finds_in_the_cache_alone_becomes_durable)
{
    shadow_write(&one, 0, FS_CHUNK, 1);
    ck_assert_int_eq(fs_sync_all(fs), 0);
    shadow_write(&one, FS_CHUNK, FS_CHUNK, 2);
    env_sim_fail(disk, SIM_SYNC, env_sim_count(disk, SIM_SYNC) + 1, -EIO, SIM_DONE_NOTHING);
    ck_assert_int_eq(fs_sync_all(fs), -EIO);
    fs_close(fs);
    env_sim_restart(disk);
    fixture_open();
    shadow_find(&one);
    shadow_expect(&one);
    fs_close(fs);
    env_sim_survive(disk, SIM_LOSE_ALL, 0);
    fixture_open();
    shadow_find(&one);
    shadow_expect(&one);
}
END_TEST

/* Linux tells one fdatasync of a file that bytes were lost, and the next one nothing: whoever got
 * the error must not keep it. */
START_TEST(a_sync_that_fails_while_holes_are_made_is_no_secret)
{
    wrote_beside = false;
    shadow_write(&one, 0, 2 * FS_CHUNK, 1);
    ck_assert_int_eq(fs_sync_all(fs), 0);
    env_sim_set_hook(disk, append_and_fail, NULL);
    shadow_write(&one, FS_BLOCK, FS_BLOCK, 2);
    for (int i = 0; i < 1000 && !env_sim_failed(disk); i++)
        usleep(5000);
    ck_assert(env_sim_failed(disk));
    int rc = fs_sync_all(fs);
    struct env *then = env_sim_cut_copy(disk);
    fs_close(fs);
    env_sim_free(disk);
    disk = then;
    env_sim_survive(disk, SIM_LOSE_ALL, 0);
    fixture_open();
    if (rc == 0) {
        shadow_find(&one);
        shadow_expect(&one);
    } else {
        ck_assert_int_eq(rc, -EIO);
    }
}
END_TEST

START_TEST(a_full_disk_refuses_and_loses_nothing)
{
    static char p[FS_CHUNK];
    struct env_space space;
    shadow_write(&one, 0, 4 * FS_CHUNK, 1);
    ck_assert_int_eq(fs_sync_all(fs), 0);
    wait_for_freed();
    env_sim_set_capacity(disk, 1);
    ck_assert_int_eq(env_space(disk, "/fs", &space), 0);
    shadow_fill(p, sizeof p, 0, 9);
    ck_assert_int_eq(fs_write(fs, one.ino, p, sizeof p, 4 * FS_CHUNK, false), -ENOSPC);
    ck_assert_int_eq(fs_write(fs, one.ino, p, sizeof p, 0, false), -ENOSPC);
    shadow_expect(&one);
    env_sim_set_capacity(disk, 0);
    shadow_write(&one, 4 * FS_CHUNK, FS_CHUNK, 2);
    expect_it_stays();
}
END_TEST

/* What is free but not given back yet is, before a write is refused. (Much: the store's reserve
 * must have room again, too.) */
START_TEST(a_full_disk_gives_back_what_is_free)
{
    static char p[16 * FS_CHUNK];
    struct statvfs sv;
    fixture_close();
    fixture_options.segment_bytes = SEGMENT_HEADER + sizeof p;
    fixture_open();
    shadow_find(&one);
    uint64_t f = make_file(FS_ROOT, "big");
    shadow_fill(p, sizeof p, 0, 1);
    for (uint64_t i = 0; i < 16; i++)
        write_at(f, i * sizeof p, p, sizeof p);
    shadow_write(&one, 0, FS_CHUNK, 1);
    set_size(f, 0);
    ck_assert_int_eq(fs_statfs(fs, &sv), 0);
    env_sim_set_capacity(disk, (sv.f_blocks - sv.f_bfree) * FS_BLOCK + FS_CHUNK / 2);
    shadow_fill(p, FS_CHUNK, FS_CHUNK, 2);
    int rc = -ENOSPC;
    for (int i = 0; rc == -ENOSPC && i < 100; i++) {
        rc = fs_write(fs, one.ino, p, FS_CHUNK, FS_CHUNK, false);
        env_sleep_us(disk, 100000); /* the store looks for its reserve now and then */
    }
    ck_assert_int_eq(rc, 0);
    shadow_note_write(&one, FS_CHUNK, p, FS_CHUNK);
    env_sim_set_capacity(disk, 0);
    ck_assert_int_le(segment_files(), 3);
    expect_it_stays();
}
END_TEST

static void expect_damage_in(uint64_t ino, uint64_t block, const char *what)
{
    char p[FS_BLOCK];
    buf_clear(&logged);
    ck_assert_int_eq(fs_read(fs, ino, p, sizeof p, block * FS_BLOCK), -EIO);
    ck_assert_msg(was_logged(what), "%.*s", (int)logged.len, logged.data);
}

START_TEST(a_flipped_byte_is_found_and_the_rest_is_readable)
{
    char p[FS_BLOCK];
    static char all[FS_CHUNK];
    shadow_write(&one, 0, 2 * FS_CHUNK, 1);
    struct chunk c = chunk_of(one.ino, FS_CHUNK);
    flip_byte(FIRST, c.place + 3 * FS_BLOCK + 7);
    expect_damage_in(one.ino, CHUNK_BLOCKS + 3, "egment");
    ck_assert_int_eq(fs_read(fs, one.ino, all, FS_CHUNK, FS_CHUNK), -EIO);
    for (uint64_t b = 0; b < 2 * CHUNK_BLOCKS; b++)
        if (b != CHUNK_BLOCKS + 3) {
            ck_assert_int_eq(fs_read(fs, one.ino, p, FS_BLOCK, b * FS_BLOCK), FS_BLOCK);
            ck_assert_mem_eq(p, one.bytes + b * FS_BLOCK, FS_BLOCK);
        }
    buf_clear(&logged);
    ck_assert_int_eq(fs_check(fs, note_line, NULL), 1);
    ck_assert(was_logged("cannot be read"));
    /* in part it cannot be written over, as a whole it can */
    ck_assert_int_eq(fs_write(fs, one.ino, "x", 1, (CHUNK_BLOCKS + 3) * FS_BLOCK, false), -EIO);
    shadow_write(&one, (CHUNK_BLOCKS + 3) * FS_BLOCK, FS_BLOCK, 2);
    shadow_expect(&one);
    expect_nothing_is_wrong();
}
END_TEST

START_TEST(a_missing_file_is_found_and_others_are_readable)
{
    static struct shadow other;
    fixture_close();
    fixture_options.segment_bytes = SEGMENT_HEADER + FS_CHUNK;
    fixture_open();
    shadow_find(&one);
    shadow_write(&one, 0, FS_CHUNK, 1);
    shadow_make(&other, "other");
    shadow_write(&other, 0, FS_CHUNK, 2);
    fixture_close();
    ck_assert_int_eq(env_unlink(disk, FIRST), 0);
    fixture_open();
    shadow_find(&one);
    shadow_find(&other);
    expect_damage_in(one.ino, 0, "000001.seg: missing");
    shadow_expect(&other);
    buf_clear(&logged);
    ck_assert_int_eq(fs_check(fs, note_line, NULL), 1);
    ck_assert(was_logged("cannot be read"));
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "one"), 0); /* it can be removed all the same */
    fs_forget(fs, one.ino, 1);
    fixture_settle();
    expect_nothing_is_wrong();
}
END_TEST

/* Damage to what was durable long ago is no reason to give up what came after it: a block beside it
 * was written over, so that the chunk's record is in the log again. */
START_TEST(old_damage_in_a_chunk_takes_no_later_change_with_it)
{
    shadow_write(&one, 0, FS_CHUNK, 1);
    struct chunk c = chunk_of(one.ino, 0);
    fixture_reopen();
    shadow_find(&one);
    flip_byte(FIRST, c.place + 3 * FS_BLOCK);
    shadow_write(&one, 0, FS_BLOCK, 2);
    make_file(FS_ROOT, "later");
    fixture_kill();
    ck_assert(exists(FS_ROOT, "later"));
    shadow_find(&one);
    shadow_write(&one, 3 * FS_BLOCK, FS_BLOCK, 3);
    shadow_expect(&one);
}
END_TEST

/* A repair may have to leave out the record that says whose a place is, or bring back an old one
 * that says that it is free: as long as a chunk names the bytes they stay. */
START_TEST(a_repair_gives_back_nothing_that_a_chunk_names)
{
    shadow_write(&one, 0, 2 * FS_CHUNK, 1);
    struct chunk c = chunk_of(one.ino, 0);
    struct fs_key place = key_place(c.segment, c.place), freed = key_freed(1, c.place, 0x8001);
    shadow_write(&one, FS_BLOCK, FS_BLOCK, 2);
    fixture_reopen();
    if (_i == 0)
        ck_assert_int_eq(store_delete(fs_store(fs), key_slice(&place), true), 0);
    else
        ck_assert_int_eq(store_put(fs_store(fs), key_slice(&freed), slice_of("", 0), true), 0);
    struct env *then = env_sim_cut_copy(disk); /* before that does any harm */
    fixture_close();
    env_sim_free(disk);
    disk = then;
    env_sim_survive(disk, SIM_KEEP_ALL, 0);
    fixture_options.store.repair = true;
    fixture_open();
    fixture_options.store.repair = false;
    fixture_reopen(); /* what the open began has ended */
    shadow_find(&one);
    expect_it_stays();
}
END_TEST

/* A file whose truncation to nothing is not finished yet still has chunks. */
START_TEST(a_truncation_that_goes_on_is_no_inconsistency)
{
    static char p[FS_CHUNK];
    struct stat st, in = {0};
    uint64_t f = make_file(FS_ROOT, "big");
    shadow_fill(p, sizeof p, 0, 1);
    for (uint64_t i = 0; i < 700; i++)
        write_at(f, i * FS_CHUNK, p, FS_CHUNK);
    ck_assert_int_eq(fs_sync_all(fs), 0);
    /* the log's first write sets the size, the second one would be the next step */
    env_sim_cut_at(disk, env_sim_count(disk, SIM_ANY) + 2);
    fs_setattr(fs, f, &in, FS_SET_SIZE, &st);
    ck_assert(env_sim_is_cut(disk));
    fs_close(fs);
    env_sim_survive(disk, SIM_KEEP_ALL, 0);
    fixture_options.read_only = true;
    fixture_open();
    ck_assert_int_eq(stat_of(find(FS_ROOT, "big")).st_size, 0);
    ck_assert_int_gt(count_records(KEY_GARBAGE, 0), 0); /* else this tests nothing */
    expect_nothing_is_wrong();
    fixture_close();
    fixture_options.read_only = false;
    fixture_open();
}
END_TEST

/* ---- threads */

#define WRITERS 3

static atomic_int writers_left;

/* Writes over its own file again and again: each read is of what was written last. */
static void *write_over(void *arg)
{
    struct random r = {*(uint64_t *)arg};
    static _Thread_local char want[3 * FS_CHUNK], got[sizeof want];
    uint64_t ino = r.state;
    int n = random_iterations(600) / 4;
    for (int i = 0; i < n; i++) {
        uint64_t at = random_below(&r, 3 * CHUNK_BLOCKS) * FS_BLOCK, len = FS_BLOCK;
        if (i == 0 || random_below(&r, 2)) {
            at = i == 0 ? 0 : chunk_start(at);
            len = i == 0 ? sizeof want : FS_CHUNK;
        }
        shadow_fill(want + at, len, at, (unsigned)random_next(&r));
        ck_assert_int_eq(fs_write(fs, ino, want + at, len, at, false), 0);
        if (random_below(&r, 16) == 0)
            ck_assert_int_eq(fs_sync_inode(fs, ino), 0);
        ck_assert_int_eq(fs_read(fs, ino, got, sizeof got, 0), sizeof got);
        ck_assert_mem_eq(got, want, sizeof got);
    }
    atomic_fetch_sub(&writers_left, 1);
    return NULL;
}

START_TEST(space_is_given_back_beside_writers_and_readers)
{
    static const char *const names[WRITERS] = {"x", "y", "z"};
    uint64_t ino[WRITERS];
    pthread_t t[WRITERS];
    fixture_close();
    fixture_options.segment_bytes = 8 * FS_CHUNK;
    fixture_open();
    atomic_store(&writers_left, WRITERS);
    for (int i = 0; i < WRITERS; i++) {
        ino[i] = make_file(FS_ROOT, names[i]);
        ck_assert_int_eq(pthread_create(&t[i], NULL, write_over, &ino[i]), 0);
    }
    while (atomic_load(&writers_left) > 0) {
        freed_give_back(fs);
        usleep(1000);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(t[i], NULL);
    freed_give_back(fs);
    ck_assert_int_eq(count_records(KEY_FREED, 0), 0);
    shadow_find(&one);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chunks");
    TCase *tc = tcase_create("chunks");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, an_aligned_piece_is_one_record);
    tcase_add_test(tc, what_is_no_whole_chunk_is_blocks);
    tcase_add_test(tc, zeroes_need_no_place);
    tcase_add_loop_test(tc, what_is_written_over_leaves_its_chunk, 0, OVERWRITES);
    tcase_add_test(tc, a_chunk_goes_with_its_last_block);
    tcase_add_test(tc, a_file_in_which_only_some_blocks_are_there_takes_a_chunk);
    tcase_add_loop_test(tc, a_chunk_is_cut_anywhere, 0, 7);
    tcase_add_loop_test(tc, holes_are_made_in_chunks, 0, HOLES);
    tcase_add_test(tc, chunks_are_copied);
    tcase_add_test(tc, a_read_may_end_with_a_chunks_first_byte);
    tcase_add_loop_test(tc, a_big_truncation_counts_right, 0, 3);
    tcase_add_loop_test(tc, a_big_hole_counts_right, 0, 3);
    tcase_add_test(tc, random_changes_agree_with_an_array);
    tcase_add_loop_test(tc, an_unlinked_files_chunks_go, 0, 2);
    tcase_add_test(tc, the_first_chunk_makes_it_a_filesystem_with_segments);
    tcase_add_test(tc, segments_have_a_size);
    tcase_add_loop_test(tc, a_read_only_open_reads_chunks_and_writes_nothing, 0, 2);
    tcase_add_loop_test(tc, what_is_written_over_is_given_back, 0, 2);
    tcase_add_test(tc, files_without_use_are_deleted);
    tcase_add_loop_test(tc, no_hole_is_made_before_the_change_is_in_a_table, 0, 3);
    tcase_add_test(tc, the_old_moment_comes_back_whole);
    tcase_add_test(tc, what_was_appended_and_not_committed_is_given_back);
    tcase_add_test(tc, a_commit_that_fails_leaves_nothing);
    tcase_add_loop_test(tc, a_commit_that_failed_and_comes_back_is_cut_off, 0, 2);
    tcase_add_loop_test(tc, an_append_that_fails_leaves_nothing, 0, 2);
    tcase_add_test(tc, a_file_that_nobody_knows_goes_and_its_number_is_not_used);
    tcase_add_loop_test(tc, a_number_in_a_record_is_not_given_again, 0, 2);
    tcase_add_test(tc, a_mark_without_a_file_goes);
    tcase_add_test(tc, what_recovery_finds_in_the_cache_alone_becomes_durable);
    tcase_add_test(tc, a_full_disk_refuses_and_loses_nothing);
    tcase_add_test(tc, a_full_disk_gives_back_what_is_free);
    tcase_add_test(tc, a_flipped_byte_is_found_and_the_rest_is_readable);
    tcase_add_test(tc, a_missing_file_is_found_and_others_are_readable);
    tcase_add_test(tc, old_damage_in_a_chunk_takes_no_later_change_with_it);
    tcase_add_loop_test(tc, a_repair_gives_back_nothing_that_a_chunk_names, 0, 2);
    tcase_add_test(tc, a_truncation_that_goes_on_is_no_inconsistency);
    tcase_add_test(tc, space_is_given_back_beside_writers_and_readers);
    suite_add_tcase(suite, tc);
    tc = tcase_create("damaged");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, bare_teardown);
    tcase_add_test(tc, a_sync_that_fails_while_holes_are_made_is_no_secret);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
