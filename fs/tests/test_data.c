/* Data: what is written is read, what was never written is zeroes, and st_blocks says what is
 * there. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../store/tests/env_sim.h"
#include "../../store/tests/run_suite.h"
#include "check_store.h"
#include "fixture.h"

#define MIB (1u << 20)

static char *block_of(char c, size_t n)
{
    char *p = mem_alloc(n);
    memset(p, c, n);
    return p;
}

static void write_fill(uint64_t ino, uint64_t off, size_t n, char c)
{
    char *p = block_of(c, n);
    write_at(ino, off, p, n);
    free(p);
}

static void expect_fill(uint64_t ino, uint64_t off, size_t n, char c)
{
    char *p = block_of((char)~c, n);
    ck_assert_int_eq(fs_read(fs, ino, p, n, off), (ssize_t)n);
    for (size_t i = 0; i < n; i++)
        if (p[i] != c)
            ck_abort_msg("at %llu: %d, not %d", (unsigned long long)(off + i), p[i], c);
    free(p);
}

static long blocks(uint64_t ino)
{
    return stat_of(ino).st_blocks;
}

START_TEST(reading_ends_at_the_end)
{
    uint64_t f = make_file(FS_ROOT, "f");
    char p[16];
    ck_assert_int_eq(fs_read(fs, f, p, sizeof p, 0), 0);
    write_text(f, "hello");
    ck_assert_int_eq(fs_read(fs, f, p, sizeof p, 0), 5);
    ck_assert_int_eq(fs_read(fs, f, p, sizeof p, 4), 1);
    ck_assert_int_eq(p[0], 'o');
    ck_assert_int_eq(fs_read(fs, f, p, sizeof p, 5), 0);
    ck_assert_int_eq(fs_read(fs, f, p, sizeof p, UINT64_MAX), 0);
    ck_assert_int_eq(fs_read(fs, f, p, 2, 1), 2);
    ck_assert_mem_eq(p, "el", 2);
}
END_TEST

START_TEST(what_has_no_data_is_not_read_and_not_written)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    struct stat st, in = {.st_size = 5};
    char p[4];
    ck_assert_int_eq(fs_read(fs, d, p, sizeof p, 0), -EISDIR);
    ck_assert_int_lt(fs_write(fs, d, "x", 1, 0, false), 0);
    ck_assert_int_eq(fs_setattr(fs, d, &in, FS_SET_SIZE, &st), -EISDIR);
    ck_assert_int_eq(
        fs_make(fs, &(struct fs_caller){0}, FS_ROOT, "p", S_IFIFO | 0600, 0, NULL, &st), 0);
    ck_assert_int_eq(fs_write(fs, st.st_ino, "x", 1, 0, false), -EINVAL);
    ck_assert_int_eq(fs_setattr(fs, st.st_ino, &in, FS_SET_SIZE, &st), -EINVAL);
    ck_assert_int_eq(fs_read(fs, 4711, p, sizeof p, 0), -ESTALE);
}
END_TEST

START_TEST(blocks_count_what_is_there)
{
    uint64_t f = make_file(FS_ROOT, "f");
    write_fill(f, 0, 1, 'a');
    ck_assert_int_eq(blocks(f), 8);
    write_fill(f, 1, 4095, 'b');
    ck_assert_int_eq(blocks(f), 8);
    write_fill(f, 4096, 1, 'c');
    ck_assert_int_eq(blocks(f), 16);
    write_fill(f, 0, 8192, 'd');
    ck_assert_int_eq(blocks(f), 16);
    write_fill(f, 10 * 4096, 4096, 'e'); /* behind a hole */
    ck_assert_int_eq(blocks(f), 24);
    write_fill(f, 5 * 4096 + 100, 10, 'f'); /* into the hole */
    ck_assert_int_eq(blocks(f), 32);
    write_fill(f, 5 * 4096, 4096, 'g');
    ck_assert_int_eq(blocks(f), 32);
    write_fill(f, 0, 11 * 4096, 'h');
    ck_assert_int_eq(blocks(f), 88);
    set_size(f, 3 * 4096 + 1);
    ck_assert_int_eq(blocks(f), 32);
    set_size(f, 0);
    ck_assert_int_eq(blocks(f), 0);
    ck_assert_int_eq(count_records('E', f), 0);
}
END_TEST

START_TEST(holes_are_zeroes_and_take_no_room)
{
    uint64_t f = make_file(FS_ROOT, "f");
    set_size(f, 10 * MIB);
    ck_assert_int_eq(blocks(f), 0);
    expect_fill(f, 0, MIB, 0);
    expect_fill(f, 10 * MIB - 1, 1, 0);
    write_fill(f, 5 * MIB + 5, 1, 'x');
    expect_fill(f, 5 * MIB - 4096, 4096 + 5, 0);
    expect_fill(f, 5 * MIB + 5, 1, 'x');
    expect_fill(f, 5 * MIB + 6, 8192, 0);
    ck_assert_int_eq(blocks(f), 8);
}
END_TEST

START_TEST(what_is_cut_off_never_comes_back)
{
    uint64_t f = make_file(FS_ROOT, "f");
    write_fill(f, 0, 3 * 4096, 'x');
    set_size(f, 4096 + 10);
    set_size(f, 3 * 4096);
    expect_fill(f, 0, 4096 + 10, 'x');
    expect_fill(f, 4096 + 10, 2 * 4096 - 10, 0);
    set_size(f, 100);
    write_fill(f, 2 * 4096, 5, 'y'); /* grows by writing behind the end */
    expect_fill(f, 0, 100, 'x');
    expect_fill(f, 100, 2 * 4096 - 100, 0);
    expect_fill(f, 2 * 4096, 5, 'y');
    set_size(f, 0);
    set_size(f, 4096);
    expect_fill(f, 0, 4096, 0);
}
END_TEST

START_TEST(zeroes_at_a_blocks_end_count_as_written)
{
    uint64_t f = make_file(FS_ROOT, "f");
    write_fill(f, 0, 2 * 4096, 0);
    ck_assert_int_eq(stat_of(f).st_size, 2 * 4096);
    ck_assert_int_eq(blocks(f), 16);
    expect_fill(f, 0, 2 * 4096, 0);
    write_fill(f, 4096, 4096, 'x');
    write_fill(f, 4096 + 10, 4096 - 10, 0);
    expect_fill(f, 4096, 10, 'x');
    expect_fill(f, 4096 + 10, 4096 - 10, 0);
}
END_TEST

START_TEST(files_have_a_largest_size)
{
    const uint64_t most = INT64_MAX; /* 8 EiB - 1: a block less its last byte */
    uint64_t f = make_file(FS_ROOT, "f");
    struct stat st, in = {.st_size = -1};
    ck_assert_int_eq(fs_setattr(fs, f, &in, FS_SET_SIZE, &st), -EINVAL);
    ck_assert_int_eq(fs_write(fs, f, "x", 1, most, false), -EFBIG);
    ck_assert_int_eq(fs_write(fs, f, "xy", 2, most - 1, false), -EFBIG);
    ck_assert_int_eq(fs_write(fs, f, "x", 1, UINT64_MAX, false), -EFBIG);
    ck_assert_int_eq(blocks(f), 0);
    write_fill(f, most - 1, 1, 'x');
    ck_assert_uint_eq((uint64_t)stat_of(f).st_size, most);
    expect_fill(f, most - 5000, 4999, 0);
    expect_fill(f, most - 1, 1, 'x');
    set_size(f, 10);
    ck_assert_int_eq(blocks(f), 0);
}
END_TEST

START_TEST(a_write_is_one_batch)
{
    uint64_t f = make_file(FS_ROOT, "f");
    struct store_stats before, after;
    write_fill(f, 4 * MIB, MIB, 'x'); /* the first such begins a segment */
    store_get_stats(fs_store(fs), &before);
    write_fill(f, 100, MIB, 'x');
    store_get_stats(fs_store(fs), &after);
    ck_assert_uint_eq(after.writers - before.writers, 1);
    expect_fill(f, 100, MIB, 'x');
}
END_TEST

/* Bytes that differ from piece to piece. */
static void write_stream(uint64_t ino, uint64_t from, uint64_t end, size_t piece)
{
    for (uint64_t off = from; off < end; off += piece)
        write_fill(ino, off, piece < end - off ? piece : (size_t)(end - off),
                   (char)(off % 101 + 1));
}

static void expect_stream(uint64_t ino, uint64_t from, uint64_t end, size_t piece)
{
    for (uint64_t off = from; off < end; off += piece)
        expect_fill(ino, off, piece < end - off ? piece : (size_t)(end - off),
                    (char)(off % 101 + 1));
}

START_TEST(small_pieces_in_order_become_chunks)
{
    static const size_t pieces[] = {4096, 10240, 1000, 65537, 65535};
    size_t piece = pieces[_i];
    uint64_t f = make_file(FS_ROOT, "f");
    write_stream(f, 0, 200000, piece);
    expect_stream(f, 0, 200000, piece);
    ck_assert_int_eq(count_records('E', f), 3 + 1); /* three, and the block at the end */
    ck_assert_int_eq(count_records('P', 0), 3 + 1); /* and the segment's mark */
    ck_assert_int_eq(blocks(f), 49 * 8);
    check_store(fs, CHECK_NO_GARBAGE);
    fixture_kill();
    expect_stream(find(FS_ROOT, "f"), 0, 200000, piece);
}
END_TEST

/* Over what is there a chunk begins where 256 KiB were in order. */
START_TEST(small_pieces_over_what_is_there_become_chunks_later)
{
    uint64_t f = make_file(FS_ROOT, "f");
    for (int i = 0; i < 3; i++) { /* over and over */
        write_stream(f, 0, 65536, 4096);
        ck_assert_int_eq(count_records('E', f), i == 0 ? 1 : 16);
    }
    write_stream(f, 65536, 393216, 4096);
    ck_assert_int_eq(count_records('E', f), 16 + 5);
    write_stream(f, 0, 393216, 2048);
    expect_stream(f, 0, 393216, 2048);
    ck_assert_int_eq(count_records('E', f), 3 * 16 + 3);
    ck_assert_int_eq(blocks(f), 6 * 128);
    check_store(fs, CHECK_NO_GARBAGE);
    fixture_kill();
    expect_stream(find(FS_ROOT, "f"), 0, 393216, 2048);
}
END_TEST

START_TEST(pieces_that_are_synced_or_not_in_order_stay_blocks)
{
    uint64_t f = make_file(FS_ROOT, "f"), g = make_file(FS_ROOT, "g"), h = make_file(FS_ROOT, "h");
    for (uint64_t off = 0; off < 65536; off += 4096) {
        if (off == 61440)
            ck_assert_int_eq(fs_sync_inode(fs, h), 0);
        write_fill(f, off, 4096, 's');
        write_fill(g, 61440 - off, 4096, 'g');
        write_fill(h, off, 4096, 'h');
        if (off == 32768)
            ck_assert_int_eq(fs_sync_inode(fs, f), 0);
    }
    ck_assert_int_eq(count_records('E', h), 16);
    ck_assert_int_eq(count_records('E', f), 16);
    ck_assert_int_eq(count_records('E', g), 16);
    write_stream(f, 65536, 131072, 4096); /* what comes behind the sync is not synced */
    ck_assert_int_eq(count_records('E', f), 16 + 1);
    expect_fill(f, 0, 65536, 's');
    expect_stream(f, 65536, 131072, 4096);
}
END_TEST

START_TEST(a_stream_of_zeroes_stays_blocks)
{
    uint64_t f = make_file(FS_ROOT, "f");
    for (uint64_t off = 0; off < 131072; off += 8192)
        write_fill(f, off, 8192, 0);
    ck_assert_int_eq(count_records('E', f), 32);
    ck_assert_int_eq(count_records('P', 0), 0);
}
END_TEST

START_TEST(nothing_to_write_changes_nothing)
{
    uint64_t f = make_file(FS_ROOT, "f");
    uint64_t before = store_last_sequence(fs_store(fs));
    ck_assert_int_eq(fs_write(fs, f, "", 0, 1000, false), 0);
    ck_assert_int_eq(stat_of(f).st_size, 0);
    ck_assert_uint_eq(store_last_sequence(fs_store(fs)), before);
}
END_TEST

/* ---- more blocks than one batch holds */

/* Every 1st, or every other, of 6000 blocks. */
static uint64_t make_big(uint64_t step)
{
    uint64_t f = make_file(FS_ROOT, "big");
    for (uint64_t at = 0; at < 6000 && step == 1; at += 200)
        write_fill(f, at * 4096, 200 * 4096, 'b');
    for (uint64_t at = 0; at < 6000 && step > 1; at += step)
        write_fill(f, at * 4096, 1, 'b');
    ck_assert_int_eq(blocks(f), (long)(6000 / step * 8));
    return f;
}

static uint64_t most_records_in_a_batch(uint64_t ino, uint64_t size)
{
    struct store_stats before, after;
    uint64_t records = store_last_sequence(fs_store(fs));
    store_get_stats(fs_store(fs), &before);
    set_size(ino, size);
    store_get_stats(fs_store(fs), &after);
    records = store_last_sequence(fs_store(fs)) - records;
    return records / (after.writers - before.writers);
}

START_TEST(a_big_truncation_goes_in_steps)
{
    uint64_t f = make_big(1 + (uint64_t)_i);
    ck_assert_uint_le(most_records_in_a_batch(f, 4097), 1001);
    ck_assert_int_eq(blocks(f), _i == 0 ? 16 : 8);
    ck_assert_int_eq(count_records('E', f), _i == 0 ? 2 : 1); /* a chunk of one block; a block */
    ck_assert_int_eq(count_records('O', 0), 0);
    set_size(f, 6000 * 4096);
    expect_fill(f, 4097, MIB, 0);
    write_fill(f, 3000 * 4096, 10, 'n');
    expect_fill(f, 3000 * 4096, 10, 'n');
    check_store(fs, CHECK_NO_GARBAGE);
    fixture_kill();
    f = find(FS_ROOT, "big");
    expect_fill(f, 4097, MIB, 0);
}
END_TEST

START_TEST(a_big_truncation_to_nothing_goes_in_steps)
{
    uint64_t f = make_big(1 + (uint64_t)_i);
    ck_assert_uint_le(most_records_in_a_batch(f, 0), 1001);
    ck_assert_int_eq(blocks(f), 0);
    ck_assert_int_eq(count_records('E', f), 0);
    ck_assert_int_eq(count_records('O', 0), 0);
}
END_TEST

START_TEST(a_big_truncation_without_a_name_goes_in_steps)
{
    uint64_t f = make_big(1 + (uint64_t)_i);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "big"), 0);
    set_size(f, 4097);
    ck_assert_int_eq(count_records('E', f), _i == 0 ? 2 : 1);
    write_fill(f, 2000 * 4096, 10, 'n');
    expect_fill(f, 4097, 4096, 0);
    expect_fill(f, 2000 * 4096, 10, 'n');
    fs_forget(fs, f, 1);
    fixture_settle();
    ck_assert_int_eq(count_records('E', f), 0);
}
END_TEST

/* A read of the disk fails while the steps look for what is to go: the file is short, and what
 * stays behind its end never shows. */
START_TEST(a_truncation_that_cannot_be_finished_brings_nothing_back)
{
    int stayed = 0;
    for (uint64_t k = 1; k < 60; k++) {
        struct stat st, in = {.st_size = 4097};
        fixture_teardown();
        fixture_prepare();
        fixture_options.cache_bytes = 0;
        fixture_options.memtable_bytes = 64 << 20; /* no compaction, which would stop the store */
        fixture_options.store.l0_compact = fixture_options.store.l0_slow = 1000;
        fixture_options.store.l0_stop = 1000;
        fixture_open();
        uint64_t f = make_big(2);
        ck_assert_int_eq(store_flush(fs_store(fs)), 0);
        env_sim_fail(disk, SIM_READ, env_sim_count(disk, SIM_READ) + k, -EIO, SIM_DONE_NOTHING);
        int rc = fs_setattr(fs, f, &in, FS_SET_SIZE, &st);
        env_sim_fail(disk, SIM_READ, 0, -EIO, SIM_DONE_NOTHING);
        ck_assert(rc == 0 || rc == -EIO);
        ck_assert_int_eq(stat_of(f).st_size, rc ? 5998 * 4096 + 1 : 4097);
        if (rc == 0) {
            stayed += count_records('E', f) > 1;
            k % 2 ? set_size(f, 6000 * 4096) : write_fill(f, 6000 * 4096 - 1, 1, 0);
            expect_fill(f, 4097, 6000 * 4096 - 4097, 0);
        }
    }
    ck_assert_int_gt(stayed, 0); /* else this tests nothing */
}
END_TEST

/* ---- attributes that go with data */

START_TEST(a_write_sets_mtime_and_ctime_and_no_read_sets_atime)
{
    uint64_t f = make_file(FS_ROOT, "f");
    struct stat st, old = {.st_mtim = {5, 5}, .st_atim = {6, 6}, .st_ctim = {7, 7}};
    char p[4];
    fs_setattr(fs, f, &old, FS_SET_MTIME | FS_SET_ATIME | FS_SET_CTIME, &st);
    ck_assert_int_eq(st.st_mtim.tv_sec, 5);
    ck_assert_int_eq(st.st_ctim.tv_nsec, 7);
    write_text(f, "x");
    fs_read(fs, f, p, sizeof p, 0);
    st = stat_of(f);
    ck_assert_int_gt(st.st_mtim.tv_sec, 1000);
    ck_assert_int_gt(st.st_ctim.tv_sec, 1000);
    ck_assert_int_eq(st.st_atim.tv_sec, 6);
    fs_setattr(fs, f, &old, FS_SET_MTIME, &st);
    set_size(f, 0);
    ck_assert_int_gt(stat_of(f).st_mtim.tv_sec, 1000);
    fs_setattr(fs, f, &old, FS_SET_MTIME | FS_SET_ATIME_NOW, &st);
    ck_assert_int_eq(st.st_mtim.tv_sec, 5);
    ck_assert_int_gt(st.st_atim.tv_sec, 1000);
    ck_assert_int_gt(st.st_ctim.tv_sec, 1000);
}
END_TEST

static void set_mode(uint64_t ino, mode_t mode)
{
    struct stat st, in = {.st_mode = mode};
    ck_assert_int_eq(fs_setattr(fs, ino, &in, FS_SET_MODE, &st), 0);
}

START_TEST(privileges_go_with_a_write_and_a_new_owner)
{
    uint64_t f = make_file(FS_ROOT, "f"), d = make_dir(FS_ROOT, "d");
    struct stat st, in = {.st_uid = 5};
    set_mode(f, 06755);
    ck_assert_int_eq(fs_write(fs, f, "x", 1, 0, false), 0);
    ck_assert_uint_eq(stat_of(f).st_mode & 07777, 06755);
    ck_assert_int_eq(fs_write(fs, f, "x", 1, 0, true), 0);
    ck_assert_uint_eq(stat_of(f).st_mode & 07777, 0755);
    set_mode(f, 06745); /* sgid without execution by the group is a lock mode */
    ck_assert_int_eq(fs_setattr(fs, f, &in, FS_SET_KILL_PRIV, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 02745);
    set_mode(f, 06755);
    ck_assert_int_eq(fs_setattr(fs, f, &in, FS_SET_UID, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0755);
    ck_assert_uint_eq(st.st_uid, 5);
    set_mode(d, 06755);
    ck_assert_int_eq(fs_setattr(fs, d, &in, FS_SET_UID, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 06755);
}
END_TEST

/* ---- durability */

START_TEST(a_sync_makes_the_last_change_durable_and_a_second_one_costs_nothing)
{
    uint64_t f = make_file(FS_ROOT, "f");
    struct store_stats before, after;
    write_text(f, "x");
    ck_assert(store_durable_sequence(fs_store(fs)) < store_last_sequence(fs_store(fs)));
    ck_assert_int_eq(fs_sync_inode(fs, f), 0);
    ck_assert_uint_eq(store_durable_sequence(fs_store(fs)), store_last_sequence(fs_store(fs)));
    store_get_stats(fs_store(fs), &before);
    ck_assert_int_eq(fs_sync_inode(fs, f), 0);
    make_file(FS_ROOT, "other"); /* nothing of f's */
    ck_assert_int_eq(fs_sync_inode(fs, f), 0);
    store_get_stats(fs_store(fs), &after);
    ck_assert_uint_eq(after.syncs, before.syncs);
    ck_assert_int_eq(fs_sync_inode(fs, FS_ROOT), 0);
    store_get_stats(fs_store(fs), &after);
    ck_assert_uint_eq(after.syncs, before.syncs + 1);
}
END_TEST

START_TEST(every_change_of_an_inode_is_waited_for)
{
    uint64_t f = make_file(FS_ROOT, "f"), d = make_dir(FS_ROOT, "d");
    struct stat st = {.st_mode = 0600};
    for (int what = 0; what < 6; what++) {
        uint64_t whose = f;
        switch (what) {
        case 0:
            fs_setattr(fs, f, &st, FS_SET_MODE, &st);
            break;
        case 1:
            fs_link(fs, f, d, "g", &st);
            break;
        case 2:
            fs_setxattr(fs, f, "user.a", "x", 1, 0);
            break;
        case 3:
            fs_rename(fs, d, "g", d, "h", 0);
            break;
        case 4:
            fs_unlink(fs, d, "h");
            whose = d;
            break;
        case 5:
            set_size(f, 100);
        }
        ck_assert_int_eq(fs_sync_inode(fs, whose), 0);
        ck_assert_msg(store_durable_sequence(fs_store(fs)) == store_last_sequence(fs_store(fs)),
                      "change %d", what);
    }
}
END_TEST

/* ---- against an array */

#define MODEL_SIZE (24 * 4096)

struct model {
    unsigned char bytes[MODEL_SIZE];
    bool there[MODEL_SIZE / 4096];
    uint64_t size;
};

static void model_resize(struct model *m, uint64_t size)
{
    if (size < m->size)
        memset(m->bytes + size, 0, m->size - size);
    for (uint64_t b = (size + 4095) / 4096; b < MODEL_SIZE / 4096; b++)
        m->there[b] = false;
    m->size = size;
}

static void model_write(struct model *m, uint64_t off, const void *p, size_t n)
{
    memcpy(m->bytes + off, p, n);
    for (uint64_t b = off / 4096; b <= (off + n - 1) / 4096; b++)
        m->there[b] = true;
    if (m->size < off + n)
        m->size = off + n;
}

static void model_compare(const struct model *m, uint64_t ino, uint64_t off, size_t n)
{
    unsigned char got[MODEL_SIZE];
    uint64_t want = off >= m->size ? 0 : m->size - off < n ? m->size - off : n;
    long want_blocks = 0;
    ck_assert_int_eq(fs_read(fs, ino, got, n, off), (ssize_t)want);
    for (uint64_t i = 0; i < want; i++)
        if (got[i] != m->bytes[off + i])
            ck_abort_msg("byte %llu is %d, not %d", (unsigned long long)(off + i), got[i],
                         m->bytes[off + i]);
    for (int b = 0; b < MODEL_SIZE / 4096; b++)
        want_blocks += m->there[b] ? 8 : 0;
    ck_assert_int_eq(blocks(ino), want_blocks);
    ck_assert_uint_eq((uint64_t)stat_of(ino).st_size, m->size);
}

static uint64_t random_offset(struct random *r)
{
    uint64_t off = random_below(r, MODEL_SIZE);
    return random_below(r, 3) ? off : off / 4096 * 4096;
}

START_TEST(random_changes_agree_with_an_array)
{
    struct random r = {random_seed()};
    static struct model m;
    static unsigned char p[MODEL_SIZE];
    uint64_t f = make_file(FS_ROOT, "f");
    int n = random_iterations(6000);
    for (int i = 0; i < n; i++) {
        uint64_t off = random_offset(&r), room = MODEL_SIZE - off;
        size_t len = 1 + random_below(&r, room < 9000 ? room : 9000);
        switch (random_below(&r, 20)) {
        case 0:
        case 1:
            set_size(f, off);
            model_resize(&m, off);
            break;
        case 2:
            if (random_below(&r, 20) == 0) {
                random_below(&r, 2) ? fixture_reopen() : fixture_kill();
                f = find(FS_ROOT, "f");
            }
            break;
        case 3:
            fs_forget(fs, f, 1);
            f = find(FS_ROOT, "f");
            break;
        case 4:
        case 5:
        case 6:
            model_compare(&m, f, off, len);
            break;
        default:
            memset(p, (int)random_below(&r, 4), len); /* 0 as well */
            p[random_below(&r, len)] = (unsigned char)random_next(&r);
            write_at(f, off, p, len);
            model_write(&m, off, p, len);
        }
    }
    model_compare(&m, f, 0, MODEL_SIZE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("data");
    TCase *tc = tcase_create("data");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, reading_ends_at_the_end);
    tcase_add_test(tc, what_has_no_data_is_not_read_and_not_written);
    tcase_add_test(tc, blocks_count_what_is_there);
    tcase_add_test(tc, holes_are_zeroes_and_take_no_room);
    tcase_add_test(tc, what_is_cut_off_never_comes_back);
    tcase_add_test(tc, zeroes_at_a_blocks_end_count_as_written);
    tcase_add_test(tc, files_have_a_largest_size);
    tcase_add_test(tc, a_write_is_one_batch);
    tcase_add_loop_test(tc, small_pieces_in_order_become_chunks, 0, 5);
    tcase_add_test(tc, small_pieces_over_what_is_there_become_chunks_later);
    tcase_add_test(tc, pieces_that_are_synced_or_not_in_order_stay_blocks);
    tcase_add_test(tc, a_stream_of_zeroes_stays_blocks);
    tcase_add_test(tc, nothing_to_write_changes_nothing);
    tcase_add_loop_test(tc, a_big_truncation_goes_in_steps, 0, 2);
    tcase_add_loop_test(tc, a_big_truncation_to_nothing_goes_in_steps, 0, 2);
    tcase_add_loop_test(tc, a_big_truncation_without_a_name_goes_in_steps, 0, 2);
    tcase_add_test(tc, a_truncation_that_cannot_be_finished_brings_nothing_back);
    tcase_add_test(tc, a_write_sets_mtime_and_ctime_and_no_read_sets_atime);
    tcase_add_test(tc, privileges_go_with_a_write_and_a_new_owner);
    tcase_add_test(tc, a_sync_makes_the_last_change_durable_and_a_second_one_costs_nothing);
    tcase_add_test(tc, every_change_of_an_inode_is_waited_for);
    tcase_add_test(tc, random_changes_agree_with_an_array);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
