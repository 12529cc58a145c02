/* A repair that lost records of places: no data is taken for unused space (core/mend.c). */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../store/tests/env_sim.h"
#include "../../store/tests/run_suite.h"
#include "../format/chunk_format.h"
#include "../format/garbage_format.h"
#include "../format/super_format.h"
#include "check_store.h"
#include "chunk_fixture.h"
#include "mend_fixture.h"

static uint64_t file;

static void fill(char *p)
{
    for (size_t i = 0; i < 2 * FS_CHUNK; i++)
        p[i] = (char)(i / 1000 + 1);
}

static void expect_data(void)
{
    static char want[2 * FS_CHUNK], got[2 * FS_CHUNK];
    fill(want);
    file = find(FS_ROOT, "file");
    ck_assert_int_eq(fs_read(fs, file, got, sizeof got, 0), (ssize_t)sizeof got);
    ck_assert(memcmp(got, want, sizeof got) == 0);
}

static void setup(void)
{
    static char p[2 * FS_CHUNK];
    fixture_setup();
    file = make_file(FS_ROOT, "file");
    fill(p);
    write_at(file, 0, p, sizeof p);
}

static void lose_places(void)
{
    for (uint64_t at = 0; at < 2 * FS_CHUNK; at += FS_CHUNK) {
        struct chunk c = chunk_of(file, at);
        lose(key_place(c.segment, c.place));
    }
}

START_TEST(lost_places_are_found_again_by_a_repair)
{
    lose_places();
    kill_and_repair();
    ck_assert_int_eq(places(), 2);
    expect_data();
    check_store(fs, CHECK_NO_GARBAGE);
    fixture_kill(); /* what is unused is looked for: nothing is */
    fixture_reopen();
    expect_data();
}
END_TEST

START_TEST(a_place_of_a_lost_chunk_is_freed)
{
    struct chunk c = chunk_of(file, FS_CHUNK);
    lose(key_chunk(file, FS_CHUNK));
    kill_and_repair();
    ck_assert_int_eq(places(), 1);
    struct fs_key key = key_place(c.segment, c.place);
    struct buf value = BUF_INIT;
    ck_assert_int_eq(store_get(fs_store(fs), NULL, key_slice(&key), &value), -ENOENT);
    buf_free(&value);
    file = find(FS_ROOT, "file");
    set_size(file, 0); /* (blocks of it are lost) */
}
END_TEST

START_TEST(blocks_of_a_chunk_are_not_free)
{
    struct chunk c = chunk_of(file, 0);
    struct fs_key block = key_chunk(file, 0), freed = key_freed(c.segment, c.place, 0x8001);
    struct buf value = BUF_INIT;
    write_at(file, 0, "one block leaves it", 10);
    c = chunk_of(file, 0);
    ck_assert_uint_eq(c.map, 0xfffe);
    put_back(freed, slice_of("", 0));
    kill_and_repair();
    freed = key_freed(c.segment, c.place, 0x8001);
    ck_assert_int_eq(store_get(fs_store(fs), NULL, key_slice(&freed), &value), -ENOENT);
    ck_assert_int_eq(store_get(fs_store(fs), NULL, key_slice(&block), &value), 0);
    fixture_reopen(); /* what is free is given back */
    char p[10];
    ck_assert_int_eq(fs_read(fs, find(FS_ROOT, "file"), p, 10, 15 * FS_BLOCK), 10);
    buf_free(&value);
}
END_TEST

static void put_old_super(uint64_t next_ino)
{
    struct buf value = record_of(key_super());
    struct super s;
    ck_assert_int_eq(super_decode(&s, buf_slice(&value)), 0);
    s.next_ino = next_ino;
    buf_clear(&value);
    super_encode(&s, &value);
    put_back(key_super(), buf_slice(&value));
    buf_free(&value);
}

static void expect_numbers_are_new(void)
{
    expect_data();
    uint64_t another = make_file(FS_ROOT, "another");
    ck_assert_uint_gt(another, file);
    write_text(another, "not the data of the first one");
    expect_data();
}

START_TEST(a_lost_superblock_gives_no_number_twice)
{
    lose(key_super());
    kill_and_repair();
    expect_numbers_are_new();
}
END_TEST

START_TEST(an_old_superblock_gives_no_number_twice)
{
    put_old_super(2);
    kill_and_repair();
    expect_numbers_are_new();
}
END_TEST

START_TEST(without_a_repair_a_lost_superblock_is_damage_and_no_new_filesystem)
{
    lose(key_super());
    fixture_close();
    int rc = fs_open("/fs", &fixture_options, &fs);
    ck_assert_msg(rc == STORE_ECORRUPT, "%s", fail_name(rc));
    fixture_options.store.repair = true;
    fixture_open();
    fixture_options.store.repair = false;
    expect_numbers_are_new();
}
END_TEST

START_TEST(a_lost_root_is_made_anew_and_has_its_names)
{
    lose(key_of(KEY_INODE, FS_ROOT));
    kill_and_repair();
    expect_data();
    ck_assert(S_ISDIR(stat_of(FS_ROOT).st_mode));
    check_store(fs, CHECK_NO_GARBAGE);
}
END_TEST

START_TEST(a_lost_root_of_nothing_is_made_anew)
{
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "file"), 0);
    for (int super_too = 0; super_too < 2; super_too++) {
        fixture_reopen();
        lose(key_of(KEY_INODE, FS_ROOT));
        if (super_too)
            lose(key_super());
        kill_and_repair();
        ck_assert_uint_gt(make_file(FS_ROOT, "new"), FS_ROOT);
        ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "new"), 0);
    }
}
END_TEST

/* An old garbage record that is back: what it names is in use again. */
static void put_garbage(struct garbage_record g)
{
    struct buf value = BUF_INIT;
    garbage_encode(&g, &value);
    put_back(key_of(KEY_GARBAGE, file), buf_slice(&value));
    buf_free(&value);
}

START_TEST(what_is_there_is_no_garbage)
{
    for (int gone = 0; gone < 2; gone++) {
        put_garbage((struct garbage_record){gone, 0});
        kill_and_repair();
        fixture_settle();
        ck_assert_int_eq(count_records(KEY_GARBAGE, 0), 0);
        expect_data();
        struct stat st;
        ck_assert_int_eq(fs_link(fs, file, FS_ROOT, "under-I", &st), 0);
        ck_assert_int_eq(fs_unlink(fs, FS_ROOT, gone ? "file" : "under-I"), 0);
    }
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "under-I", FS_ROOT, "file", 0), 0);
}
END_TEST

START_TEST(what_is_not_there_stays_garbage)
{
    put_garbage((struct garbage_record){true, 0});
    lose(key_named(KEY_ENTRY, FS_ROOT, "file"));
    lose(key_of(KEY_INODE, FS_ROOT));
    kill_and_repair();
    fixture_settle();
    ck_assert_int_eq(count_records(KEY_EXTENT, 0), 0);
}
END_TEST

/* An entry that was removed or renamed is back. */
static void put_stale(uint64_t from_dir, const char *name, const char *stale)
{
    struct buf value = record_of(key_named(KEY_ENTRY, from_dir, name));
    put_back(key_named(KEY_ENTRY, from_dir, stale), buf_slice(&value));
    buf_free(&value);
}

START_TEST(a_file_outlives_an_old_name_of_it_that_is_back)
{
    put_stale(FS_ROOT, "file", "file.tmp");
    kill_and_repair();
    expect_data();
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "file.tmp"), 0);
    fixture_settle();
    expect_data();
    fixture_reopen();
    expect_data();
}
END_TEST

START_TEST(an_old_name_beside_several_takes_none)
{
    struct stat st;
    put_stale(FS_ROOT, "file", "file.tmp");
    ck_assert_int_eq(fs_link(fs, file, FS_ROOT, "other", &st), 0);
    kill_and_repair();
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "file.tmp"), 0);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "other"), 0);
    fixture_settle();
    expect_data();
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "file"), 0);
}
END_TEST

START_TEST(a_directory_has_its_newest_name)
{
    uint64_t d = make_dir(FS_ROOT, "old");
    make_file(d, "in it");
    put_stale(FS_ROOT, "old", "kept");
    usleep(20000);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "old", FS_ROOT, "new", 0), 0);
    put_stale(FS_ROOT, "kept", "old");
    lose(key_named(KEY_ENTRY, FS_ROOT, "kept"));
    kill_and_repair();
    ck_assert(exists(find(FS_ROOT, "new"), "in it"));
    ck_assert(!exists(FS_ROOT, "old"));
}
END_TEST

/* Whoever opens it next goes on. */
START_TEST(a_repair_that_was_cut_short_is_completed)
{
    lose_places();
    ck_assert_int_eq(env_replace_file(disk, "/fs/mend", slice_str("")), 0);
    fixture_reopen();
    ck_assert(!env_exists(disk, "/fs/mend"));
    ck_assert_int_eq(places(), 2);
    fixture_kill();
    expect_data();
}
END_TEST

START_TEST(who_only_looks_mends_nothing)
{
    lose_places();
    ck_assert_int_eq(env_replace_file(disk, "/fs/mend", slice_str("")), 0);
    fixture_options.only_read_segments = true;
    fixture_reopen();
    ck_assert_int_eq(places(), 0);
    expect_data();
    fixture_options.only_read_segments = false;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mend");
    TCase *tc = tcase_create("mend");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, fixture_teardown);
    tcase_add_test(tc, lost_places_are_found_again_by_a_repair);
    tcase_add_test(tc, a_place_of_a_lost_chunk_is_freed);
    tcase_add_test(tc, blocks_of_a_chunk_are_not_free);
    tcase_add_test(tc, a_lost_superblock_gives_no_number_twice);
    tcase_add_test(tc, an_old_superblock_gives_no_number_twice);
    tcase_add_test(tc, without_a_repair_a_lost_superblock_is_damage_and_no_new_filesystem);
    tcase_add_test(tc, a_lost_root_is_made_anew_and_has_its_names);
    tcase_add_test(tc, a_lost_root_of_nothing_is_made_anew);
    tcase_add_test(tc, what_is_there_is_no_garbage);
    tcase_add_test(tc, what_is_not_there_stays_garbage);
    tcase_add_test(tc, a_file_outlives_an_old_name_of_it_that_is_back);
    tcase_add_test(tc, an_old_name_beside_several_takes_none);
    tcase_add_test(tc, a_directory_has_its_newest_name);
    tcase_add_test(tc, a_repair_that_was_cut_short_is_completed);
    tcase_add_test(tc, who_only_looks_mends_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
