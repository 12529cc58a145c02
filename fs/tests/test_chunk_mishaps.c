/* Chunks, when one mishap follows another: what a kill, a failed sync, a full disk or a repair left
 * behind meets the next one. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "../../store/tests/env_sim.h"
#include "../../store/tests/run_suite.h"
#include "../core/fs_internal.h"
#include "../format/segment_format.h"
#include "chunk_fixture.h"

/* The process is gone: no call of it does anything any more. The page cache stays. */
static atomic_bool dead;
static const char *die_at; /* part of a path */
static enum sim_call die_call;

static int hook_dead(void *arg, enum sim_call call, const char *path)
{
    (void)arg;
    if (die_at && call == die_call && strstr(path, die_at))
        atomic_store(&dead, true);
    return atomic_load(&dead) ? -EIO : 0;
}

static void kill_now(void)
{
    atomic_store(&dead, true);
    env_sim_set_hook(disk, hook_dead, NULL);
    fs_close(fs);
    env_sim_set_hook(disk, NULL, NULL);
    atomic_store(&dead, false);
    die_at = NULL;
    env_sim_restart(disk);
}

/* The power went when `then` was copied; all that was not synced is lost. */
static void go_on_with(struct env *then)
{
    fixture_close();
    env_sim_free(disk);
    disk = then;
    env_sim_survive(disk, SIM_LOSE_ALL, 0);
    fixture_open();
}

static void expect_it_is_durable(void)
{
    ck_assert_int_eq(fs_sync_inode(fs, one.ino), 0);
    go_on_with(env_sim_cut_copy(disk));
    shadow_find(&one);
    shadow_expect(&one);
}

/* Killed between the mkdir of the folder and the first sync; the next mount finds the folder. */
START_TEST(a_folder_that_a_killed_process_made_becomes_durable)
{
    static char p[FS_CHUNK];
    ck_assert_int_eq(fs_sync_all(fs), 0);
    shadow_fill(p, sizeof p, 0, 1);
    die_at = ".seg";
    die_call = SIM_CREATE;
    env_sim_set_hook(disk, hook_dead, NULL);
    ck_assert_int_eq(fs_write(fs, one.ino, p, sizeof p, 0, false), -EIO);
    kill_now();
    ck_assert(env_exists(disk, SEGMENTS));
    fixture_open();
    shadow_find(&one);
    shadow_write(&one, 0, FS_CHUNK, 2);
    expect_it_is_durable();
}
END_TEST

/* A place whose record is of an owner of long ago (the segment's number was used before). */
START_TEST(a_repair_keeps_the_data_of_a_place_with_an_old_owner)
{
    shadow_write(&one, 0, FS_CHUNK, 1);
    struct chunk c = chunk_of(one.ino, 0);
    struct fs_key key = key_place(c.segment, c.place);
    struct buf value = BUF_INIT;
    place_owner_encode((struct place_owner){one.ino + 1000, 0}, &value);
    ck_assert_int_eq(store_put(fs_store(fs), key_slice(&key), buf_slice(&value), true), 0);
    buf_free(&value);
    fixture_options.store.repair = true;
    fixture_kill();
    fixture_options.store.repair = false;
    shadow_find(&one);
    fixture_reopen();
    shadow_find(&one);
    shadow_expect(&one);
    expect_it_stays();
}
END_TEST

/* A pass is under way when a writer finds the disk full. */
static pthread_t writer;
static int writer_rc = 1;
static atomic_bool writer_began;

static void *write_on_full(void *arg)
{
    static char p[FS_CHUNK];
    (void)arg;
    shadow_fill(p, sizeof p, FS_CHUNK, 7);
    writer_rc = fs_write(fs, one.ino, p, FS_CHUNK, FS_CHUNK, false);
    if (writer_rc == 0)
        shadow_note_write(&one, FS_CHUNK, p, FS_CHUNK);
    return NULL;
}

static int write_while_unlinking(void *arg, enum sim_call call, const char *path)
{
    (void)arg;
    if (call != SIM_UNLINK || !strstr(path, ".seg") || writer_began)
        return 0;
    /* full, until the pass that makes this call is done */
    env_sim_fail(disk, SIM_CREATE, env_sim_count(disk, SIM_CREATE) + 1, -ENOSPC, SIM_DONE_NOTHING);
    pthread_create(&writer, NULL, write_on_full, NULL);
    writer_began = true;
    usleep(300000);
    return 0;
}

START_TEST(a_full_disk_waits_for_the_pass_that_is_under_way)
{
    fixture_close();
    fixture_options.segment_bytes = SEGMENT_HEADER + FS_CHUNK;
    fixture_open();
    shadow_find(&one);
    shadow_write(&one, 0, FS_CHUNK, 1);
    for (unsigned i = 0; i < 8; i++)
        shadow_write(&one, 0, FS_CHUNK, i + 2);
    env_sim_set_hook(disk, write_while_unlinking, NULL);
    for (int i = 0; i < 1000 && !writer_began; i++)
        usleep(5000);
    ck_assert(writer_began);
    pthread_join(writer, NULL);
    env_sim_set_hook(disk, NULL, NULL);
    int first = writer_rc;
    write_on_full(NULL);
    ck_assert_msg(first == 0, "the write beside the pass: %d; the same a moment later: %d", first,
                  writer_rc);
    expect_it_stays();
}
END_TEST

/* A segment whose header is damaged keeps its space; others' is given back all the same. */
START_TEST(damage_in_one_segment_does_not_keep_the_space_of_others)
{
    static struct shadow other;
    fixture_close();
    fixture_options.segment_bytes = SEGMENT_HEADER + FS_CHUNK;
    fixture_open();
    shadow_find(&one);
    shadow_write(&one, 0, FS_CHUNK, 1);
    shadow_make(&other, "other");
    shadow_write(&other, 0, FS_CHUNK, 2);
    struct chunk c = chunk_of(other.ino, 0);
    ck_assert_uint_eq(c.segment, 2);
    fixture_close();
    flip_byte(FIRST_SEGMENT, 3);
    fixture_open();
    shadow_find(&one);
    shadow_find(&other);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "one"), 0);
    fs_forget(fs, one.ino, 1);
    fixture_settle();
    ck_assert_int_eq(count_records(KEY_FREED, 0), 1);
    for (int i = 0; i < 3; i++) {
        shadow_write(&other, 0, FS_CHUNK, 3 + (unsigned)i);
        usleep(1500000);
    }
    shadow_expect(&other);
    ck_assert_msg(segment_files() <= 2, "%d segment files, %d freed records, told: %d",
                  segment_files(), count_records(KEY_FREED, 0), was_logged("stays taken"));
    fixture_reopen();
    fixture_reopen();
    ck_assert_int_eq(count_records(KEY_FREED, 0), 0);
}
END_TEST

/* The power goes when the mark of a new file is durable, and its header is not. */
static struct env *cut;
static int sync_before_append(void *arg, enum sim_call call, const char *path)
{
    static bool inside;
    (void)arg;
    if (call != SIM_WRITE || !strstr(path, ".seg") || inside || cut)
        return 0;
    /* the second write of the file: the first one was its header */
    static int writes;
    if (++writes < 2)
        return 0;
    inside = true;
    ck_assert_int_eq(fs_sync_all(fs), 0); /* somebody else's fsync */
    cut = env_sim_cut_copy(disk);
    inside = false;
    return 0;
}

START_TEST(a_file_that_was_just_begun_goes_after_a_power_cut)
{
    cut = NULL;
    env_sim_set_hook(disk, sync_before_append, NULL);
    shadow_write(&one, 0, FS_CHUNK, 1);
    env_sim_set_hook(disk, NULL, NULL);
    ck_assert_ptr_nonnull(cut);
    go_on_with(cut);
    usleep(1500000);
    fixture_reopen();
    usleep(500000);
    ck_assert_msg(marks() == 0 && segment_files() == 0, "%d marks, %d files, told: %d", marks(),
                  segment_files(), was_logged("stays taken"));
}
END_TEST

/* The first sync of a new segment fails: the page cache shows its header as clean as well. */
START_TEST(the_header_too_becomes_durable_after_a_failed_sync)
{
    shadow_write(&one, 0, FS_CHUNK, 1);
    env_sim_fail(disk, SIM_SYNC, env_sim_count(disk, SIM_SYNC) + 1, -EIO, SIM_DONE_NOTHING);
    ck_assert_int_eq(fs_sync_all(fs), -EIO);
    fs_close(fs);
    env_sim_restart(disk);
    fixture_open();
    shadow_find(&one);
    shadow_expect(&one);
    expect_it_is_durable();
}
END_TEST

/* Over quota is as full: what is free is given back first. */
START_TEST(what_is_free_is_given_back_before_a_quota_refuses)
{
    static char p[FS_CHUNK];
    shadow_write(&one, 0, FS_CHUNK, 1);
    shadow_write(&one, 0, FS_CHUNK, 2);
    ck_assert_int_eq(count_records(KEY_FREED, 0), 1);
    shadow_fill(p, sizeof p, FS_CHUNK, 7);
    env_sim_fail(disk, SIM_WRITE, env_sim_count(disk, SIM_WRITE) + 1, _i ? -EDQUOT : -ENOSPC,
                 SIM_DONE_NOTHING);
    ck_assert_int_eq(fs_write(fs, one.ino, p, FS_CHUNK, FS_CHUNK, false), 0);
}
END_TEST

/* A disk that cannot punch holes (as the simulated one, whose files never get smaller by it):
 * writes that are refused must not eat what is kept for deletes. */
static int no_holes(void *arg, enum sim_call call, const char *path)
{
    (void)arg, (void)path;
    return call == SIM_PUNCH ? -EOPNOTSUPP : 0;
}

START_TEST(writes_that_are_refused_leave_room_for_deletes)
{
    static char p[FS_CHUNK];
    char name[16];
    struct env_space space;
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "small%d", i);
        uint64_t f = make_file(FS_ROOT, name);
        write_at(f, 0, "x", 1);
        fs_forget(fs, f, 1);
    }
    shadow_write(&one, 0, FS_CHUNK, 1);
    env_sim_set_hook(disk, no_holes, NULL);
    ck_assert_int_eq(env_space(disk, "/fs", &space), 0);
    env_sim_set_capacity(disk, space.total - space.free + (20 << 10));
    shadow_fill(p, sizeof p, FS_CHUNK, 7);
    int refused = 0;
    for (int i = 0; i < 30; i++) {
        for (int k = 0; k < 10; k++)
            refused += fs_write(fs, one.ino, p, FS_CHUNK, FS_CHUNK, false) == -ENOSPC;
        env_space(disk, "/fs", &space);
        snprintf(name, sizeof name, "small%d", i);
        int rc = fs_unlink(fs, FS_ROOT, name);
        ck_assert_msg(rc == 0, "unlink %d: %d after %d refused writes; %llu bytes are left", i, rc,
                      refused, (unsigned long long)space.available);
    }
    env_sim_set_capacity(disk, 0);
}
END_TEST

/* A chunk's record that cannot be read is what fs_check tells of; the store opens all the same. */
START_TEST(a_repair_goes_on_beside_a_damaged_record)
{
    shadow_write(&one, 0, FS_CHUNK, 1);
    struct fs_key key = key_chunk(one.ino, 0);
    ck_assert_int_eq(store_put(fs_store(fs), key_slice(&key), slice_of("\2bad", 4), true), 0);
    fixture_reopen(); /* it is in a table then */
    fixture_options.store.repair = true;
    fixture_kill();
    fixture_options.store.repair = false;
    ck_assert(!env_exists(disk, "/fs/mend"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chunk_mishaps");
    TCase *tc = tcase_create("chunk_mishaps");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, chunks_setup, chunks_bare_teardown);
    tcase_add_test(tc, a_folder_that_a_killed_process_made_becomes_durable);
    tcase_add_test(tc, a_repair_keeps_the_data_of_a_place_with_an_old_owner);
    tcase_add_test(tc, a_full_disk_waits_for_the_pass_that_is_under_way);
    tcase_add_test(tc, damage_in_one_segment_does_not_keep_the_space_of_others);
    tcase_add_test(tc, a_file_that_was_just_begun_goes_after_a_power_cut);
    tcase_add_test(tc, the_header_too_becomes_durable_after_a_failed_sync);
    tcase_add_loop_test(tc, what_is_free_is_given_back_before_a_quota_refuses, 0, 2);
    tcase_add_test(tc, writes_that_are_refused_leave_room_for_deletes);
    tcase_add_test(tc, a_repair_goes_on_beside_a_damaged_record);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
