/* Chunks: what is read and counted is right whatever mixture of chunks and blocks a file is. */
#include <check.h>
#include <linux/falloc.h>

#include "../../store/tests/env_sim.h"
#include "../../store/tests/run_suite.h"
#include "../core/fs_internal.h"
#include "../format/segment_format.h"
#include "check_store.h"
#include "chunk_fixture.h"

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

/* The run that a write goes on with is that of earlier writes: where one ends within this one, what
 * is stored there is old by now. */
START_TEST(a_write_over_the_end_of_an_earlier_one_is_new_as_a_whole)
{
    shadow_write(&one, 0, 2 * FS_BLOCK, 1);
    shadow_write(&one, FS_BLOCK, 15 * FS_BLOCK, 2);
    expect_it_stays();
}
END_TEST

START_TEST(zeroes_over_the_first_block_of_a_chunk_are_there)
{
    static const char zeroes[FS_CHUNK];
    char p[FS_BLOCK];
    shadow_write(&one, 0, FS_BLOCK, 1);
    write_at(one.ino, 0, zeroes, sizeof zeroes);
    ck_assert_int_eq(fs_read(fs, one.ino, p, sizeof p, 0), FS_BLOCK);
    for (size_t i = 0; i < sizeof p; i++)
        ck_assert(p[i] == 0);
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
    wait_until_gone(FIRST_SEGMENT);
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

int main(void)
{
    Suite *suite = suite_create("chunks");
    TCase *tc = tcase_create("chunks");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, chunks_setup, chunks_teardown);
    tcase_add_test(tc, an_aligned_piece_is_one_record);
    tcase_add_test(tc, what_is_no_whole_chunk_is_blocks);
    tcase_add_test(tc, zeroes_need_no_place);
    tcase_add_loop_test(tc, what_is_written_over_leaves_its_chunk, 0, OVERWRITES);
    tcase_add_test(tc, a_chunk_goes_with_its_last_block);
    tcase_add_test(tc, a_file_in_which_only_some_blocks_are_there_takes_a_chunk);
    tcase_add_test(tc, a_write_over_the_end_of_an_earlier_one_is_new_as_a_whole);
    tcase_add_test(tc, zeroes_over_the_first_block_of_a_chunk_are_there);
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
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
