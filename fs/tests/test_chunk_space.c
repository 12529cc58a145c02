/* The space of chunks that are needed no more, and of what a crash left: it is given back, and not
 * before its time. */
#include <check.h>
#include <unistd.h>

#include "../../store/tests/env_sim.h"
#include "../../store/tests/run_suite.h"
#include "../core/fs_internal.h"
#include "../format/segment_format.h"
#include "chunk_fixture.h"

/* ---- what is free */

START_TEST(what_is_written_over_is_given_back)
{
    shadow_write(&one, 0, 3 * FS_CHUNK, 1);
    struct chunk c = chunk_of(one.ino, FS_CHUNK);
    ck_assert_uint_eq(c.segment, 1);
    shadow_write(&one, FS_CHUNK + 2 * FS_BLOCK, 2 * FS_BLOCK, 2);
    ck_assert_int_eq(count_records(KEY_FREED, 0), 1);
    ck_assert(!is_zero_at(FIRST_SEGMENT, c.place + 2 * FS_BLOCK, FS_BLOCK));
    if (_i) {
        wait_for_freed();
        ck_assert(is_zero_at(FIRST_SEGMENT, c.place + 2 * FS_BLOCK, 2 * FS_BLOCK));
    }
    fixture_reopen();
    ck_assert_int_eq(count_records(KEY_FREED, 0), 0);
    ck_assert(is_zero_at(FIRST_SEGMENT, c.place + 2 * FS_BLOCK, 2 * FS_BLOCK));
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
    ck_assert(!is_zero_at(FIRST_SEGMENT, c.place + FS_CHUNK, FS_CHUNK));
    fixture_open();
    shadow_find(&one);
    shadow_expect(&one);
    for (int i = 0; i < 1000 && marks() > 0; i++)
        usleep(5000);
    ck_assert(is_zero_at(FIRST_SEGMENT, c.place + FS_CHUNK, FS_CHUNK));
    shadow_write(&one, 0, 2 * FS_CHUNK, 3);
    ck_assert_uint_eq(chunk_of(one.ino, 0).segment, 2);
    expect_it_stays();
}
END_TEST

/* arg: of files whose names end so, no write has space. */
static int no_space(void *arg, enum sim_call call, const char *path)
{
    return call == SIM_WRITE && strcmp(path + strlen(path) - 4, arg) == 0 ? -ENOSPC : 0;
}

START_TEST(a_commit_that_fails_leaves_nothing)
{
    static char p[FS_CHUNK];
    shadow_fill(p, sizeof p, 0, 9);
    shadow_write(&one, 0, FS_CHUNK, 1);
    struct chunk c = chunk_of(one.ino, 0);
    env_sim_set_hook(disk, no_space, ".log");
    ck_assert_int_eq(fs_write(fs, one.ino, p, FS_CHUNK, FS_CHUNK, false), -ENOSPC);
    env_sim_set_hook(disk, NULL, NULL);
    ck_assert(is_zero_at(FIRST_SEGMENT, c.place + FS_CHUNK, FS_CHUNK));
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

/* What brings space back is asked for before a write is refused. */
START_TEST(a_commit_without_space_for_a_moment_is_none_that_fails)
{
    static char p[FS_CHUNK];
    shadow_write(&one, 0, FS_CHUNK, 1);
    /* the first write is the append, the second one the log's */
    env_sim_fail(disk, SIM_WRITE, env_sim_count(disk, SIM_WRITE) + 1 + (uint64_t)_i, -ENOSPC,
                 SIM_DONE_PART);
    shadow_fill(p, sizeof p, 0, 9);
    ck_assert_int_eq(fs_write(fs, one.ino, p, FS_CHUNK, FS_CHUNK, false), 0);
    ck_assert(env_sim_failed(disk));
    shadow_write(&one, FS_CHUNK, FS_CHUNK, 2);
    expect_it_stays();
}
END_TEST

START_TEST(an_append_that_fails_leaves_nothing)
{
    static char p[FS_CHUNK];
    int error = _i ? -EIO : -ENOSPC;
    shadow_fill(p, sizeof p, 0, 9);
    shadow_write(&one, 0, FS_CHUNK, 1);
    if (_i)
        env_sim_fail(disk, SIM_WRITE, env_sim_count(disk, SIM_WRITE) + 1, error, SIM_DONE_PART);
    else
        env_sim_set_hook(disk, no_space, ".seg");
    ck_assert_int_eq(fs_write(fs, one.ino, p, FS_CHUNK, FS_CHUNK, false), error);
    env_sim_set_hook(disk, NULL, NULL);
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
    Suite *suite = suite_create("chunk_space");
    TCase *tc = tcase_create("chunk_space");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, chunks_setup, chunks_teardown);
    tcase_add_loop_test(tc, what_is_written_over_is_given_back, 0, 2);
    tcase_add_test(tc, files_without_use_are_deleted);
    tcase_add_loop_test(tc, no_hole_is_made_before_the_change_is_in_a_table, 0, 3);
    tcase_add_test(tc, the_old_moment_comes_back_whole);
    tcase_add_test(tc, what_was_appended_and_not_committed_is_given_back);
    tcase_add_test(tc, a_commit_that_fails_leaves_nothing);
    tcase_add_loop_test(tc, a_commit_without_space_for_a_moment_is_none_that_fails, 0, 2);
    tcase_add_loop_test(tc, a_commit_that_failed_and_comes_back_is_cut_off, 0, 2);
    tcase_add_loop_test(tc, an_append_that_fails_leaves_nothing, 0, 2);
    tcase_add_test(tc, a_file_that_nobody_knows_goes_and_its_number_is_not_used);
    tcase_add_loop_test(tc, a_number_in_a_record_is_not_given_again, 0, 2);
    tcase_add_test(tc, a_mark_without_a_file_goes);
    tcase_add_test(tc, space_is_given_back_beside_writers_and_readers);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
