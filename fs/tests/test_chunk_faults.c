/* Chunks on disks that fail, are full or were damaged: nothing else goes with what is lost. */
#include <check.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../../store/tests/env_sim.h"
#include "../../store/tests/run_suite.h"
#include "../core/fs_internal.h"
#include "../format/segment_format.h"
#include "chunk_fixture.h"

#define MIB ((size_t)1 << 20)

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

/* Where syncs come often an append waits for bytes on their way; what it is told then no sync of
 * the file would hear. */
START_TEST(what_an_append_hears_of_lost_bytes_is_no_secret)
{
    static char p[4 << 20];
    memset(p, 'p', sizeof p);
    shadow_write(&one, 0, FS_CHUNK, 1);
    ck_assert_int_eq(fs_sync_all(fs), 0);
    shadow_write(&one, FS_CHUNK, FS_CHUNK, 2);
    ck_assert_int_eq(fs_sync_all(fs), 0);
    shadow_write(&one, 2 * FS_CHUNK, FS_CHUNK, 3);
    env_sim_fail(disk, SIM_AWAIT_WRITTEN, 1, -EIO, SIM_DONE_NOTHING);
    uint64_t other = make_file(FS_ROOT, "other");
    for (size_t at = 0; at < sizeof p; at += MIB)
        write_at(other, at, p + at, MIB);
    ck_assert(env_sim_failed(disk));
    ck_assert_int_eq(fs_sync_all(fs), -EIO);
    ck_assert_int_eq(fs_sync_all(fs), -EIO);
    shadow_expect(&one); /* the kernel has it still */
    fs_close(fs);
    env_sim_restart(disk);
    fixture_open(); /* recovery writes anew what it finds */
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
    forget_log();
    ck_assert_int_eq(fs_read(fs, ino, p, sizeof p, block * FS_BLOCK), -EIO);
    ck_assert_msg(was_logged(what), "%s is not in the log", what);
}

START_TEST(a_flipped_byte_is_found_and_the_rest_is_readable)
{
    char p[FS_BLOCK];
    static char all[FS_CHUNK];
    shadow_write(&one, 0, 2 * FS_CHUNK, 1);
    struct chunk c = chunk_of(one.ino, FS_CHUNK);
    flip_byte(FIRST_SEGMENT, c.place + 3 * FS_BLOCK + 7);
    expect_damage_in(one.ino, CHUNK_BLOCKS + 3, "egment");
    ck_assert_int_eq(fs_read(fs, one.ino, all, FS_CHUNK, FS_CHUNK), -EIO);
    for (uint64_t b = 0; b < 2 * CHUNK_BLOCKS; b++)
        if (b != CHUNK_BLOCKS + 3) {
            ck_assert_int_eq(fs_read(fs, one.ino, p, FS_BLOCK, b * FS_BLOCK), FS_BLOCK);
            ck_assert_mem_eq(p, one.bytes + b * FS_BLOCK, FS_BLOCK);
        }
    forget_log();
    ck_assert_int_eq(fs_check(fs, chunks_log, NULL), 1);
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
    ck_assert_int_eq(env_unlink(disk, FIRST_SEGMENT), 0);
    fixture_open();
    shadow_find(&one);
    shadow_find(&other);
    expect_damage_in(one.ino, 0, "000001.seg: missing");
    shadow_expect(&other);
    forget_log();
    ck_assert_int_eq(fs_check(fs, chunks_log, NULL), 1);
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
    flip_byte(FIRST_SEGMENT, c.place + 3 * FS_BLOCK);
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

int main(void)
{
    Suite *suite = suite_create("chunk_faults");
    TCase *tc = tcase_create("chunk_faults");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, chunks_setup, chunks_teardown);
    tcase_add_test(tc, what_recovery_finds_in_the_cache_alone_becomes_durable);
    tcase_add_test(tc, what_an_append_hears_of_lost_bytes_is_no_secret);
    tcase_add_test(tc, a_full_disk_refuses_and_loses_nothing);
    tcase_add_test(tc, a_full_disk_gives_back_what_is_free);
    tcase_add_test(tc, a_flipped_byte_is_found_and_the_rest_is_readable);
    tcase_add_test(tc, a_missing_file_is_found_and_others_are_readable);
    tcase_add_test(tc, old_damage_in_a_chunk_takes_no_later_change_with_it);
    tcase_add_loop_test(tc, a_repair_gives_back_nothing_that_a_chunk_names, 0, 2);
    tcase_add_test(tc, a_truncation_that_goes_on_is_no_inconsistency);
    suite_add_tcase(suite, tc);
    tc = tcase_create("damaged");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, chunks_setup, chunks_bare_teardown);
    tcase_add_test(tc, a_sync_that_fails_while_holes_are_made_is_no_secret);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
