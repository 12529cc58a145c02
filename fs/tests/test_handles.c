/* Inodes of which nothing but the number is known, as with file handles: fs_lookup of "." and "..".
 * No reference is kept before, so that the inode is not in memory, wherever its record is. */
#include <check.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../store/tests/run_suite.h"
#include "fixture.h"

/* The inode by its number alone, with a reference. */
static int by_number(uint64_t ino)
{
    struct stat st;
    int rc = fs_lookup(fs, ino, ".", &st);
    if (rc == 0)
        ck_assert_uint_eq(st.st_ino, ino);
    return rc;
}

/* As after the kernel has dropped its caches: found, and let go of again. */
static void expect_there(uint64_t ino)
{
    ck_assert_msg(by_number(ino) == 0, "inode %llu is not found", (unsigned long long)ino);
    fs_forget(fs, ino, 1);
}

static void expect_gone(uint64_t ino)
{
    ck_assert_int_eq(by_number(ino), -ENOENT);
}

static uint64_t new_file(uint64_t dir, const char *name)
{
    uint64_t f = make_file(dir, name);
    fs_forget(fs, f, 1);
    return f;
}

static void move(uint64_t dir, const char *name, uint64_t to, const char *new_name, unsigned flags)
{
    int rc = fs_rename(fs, dir, name, to, new_name, flags);
    ck_assert_msg(rc == 0, "renaming %s: %s", name, fail_name(rc));
}

static void add_link(uint64_t ino, const char *name)
{
    struct stat st;
    ck_assert_int_eq(by_number(ino), 0);
    ck_assert_int_eq(fs_link(fs, ino, FS_ROOT, name, &st), 0);
    fs_forget(fs, ino, 2);
}

START_TEST(an_inode_is_found_by_its_number_alone)
{
    struct stat st;
    uint64_t d = make_dir(FS_ROOT, "d"), f = new_file(d, "f");
    ck_assert_int_eq(fs_make(fs, &(struct fs_caller){0}, d, "l", S_IFLNK | 0777, 0, "target", &st),
                     0);
    fs_forget(fs, st.st_ino, 1);
    fs_forget(fs, d, 1);
    for (int again = 0; again < 2; again++) {
        char target[8];
        ck_assert_int_eq(by_number(f), 0);
        if (!again)
            write_text(f, "hello");
        expect_text(f, "hello");
        fs_forget(fs, f, 1);
        ck_assert_int_eq(by_number(st.st_ino), 0);
        ck_assert_int_eq(fs_readlink(fs, st.st_ino, target, sizeof target), 6);
        fs_forget(fs, st.st_ino, 1);
        ck_assert_int_eq(by_number(d), 0);
        ck_assert_uint_eq(find(d, "f"), f);
        fs_forget(fs, f, 1);
        fs_forget(fs, d, 1);
        expect_there(FS_ROOT);
        fixture_reopen();
    }
}
END_TEST

START_TEST(a_number_never_given_away_is_not_found)
{
    expect_gone(77);
    expect_gone(0);
    expect_gone(UINT64_MAX);
}
END_TEST

/* Each with the table of places built before, and once more with one built after. */
START_TEST(it_is_found_wherever_it_went)
{
    uint64_t f = new_file(FS_ROOT, "f"), g = new_file(FS_ROOT, "g");
    uint64_t d = make_dir(FS_ROOT, "d");
    if (_i)
        expect_there(f);
    move(FS_ROOT, "f", d, "elsewhere", 0);
    expect_there(f);
    move(d, "elsewhere", d, "here", 0);
    expect_there(f);
    move(d, "here", FS_ROOT, "g", RENAME_EXCHANGE);
    expect_there(f);
    expect_there(g);
    add_link(g, "second");
    expect_there(g);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "second"), 0);
    expect_there(g);
    move(FS_ROOT, "d", FS_ROOT, "e", 0);
    fs_forget(fs, d, 1);
    expect_there(d);
    expect_there(g);
    uint64_t late = new_file(FS_ROOT, "late");
    expect_there(late);
}
END_TEST

START_TEST(what_is_gone_is_not_found)
{
    uint64_t f = new_file(FS_ROOT, "f"), g = new_file(FS_ROOT, "g"), h = new_file(FS_ROOT, "h");
    uint64_t d = make_dir(FS_ROOT, "d");
    fs_forget(fs, d, 1);
    if (_i)
        expect_there(f);
    add_link(h, "i");
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    move(FS_ROOT, "h", FS_ROOT, "g", 0);
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "d"), 0);
    expect_gone(f);
    expect_gone(g);
    expect_gone(d);
    expect_there(h);
    new_file(FS_ROOT, "f"); /* the same name is another file */
    expect_gone(f);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "g"), 0);
    expect_there(h);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "i"), 0);
    expect_gone(h);
    fixture_reopen();
    expect_gone(f);
    expect_gone(d);
    expect_gone(h);
}
END_TEST

START_TEST(an_open_file_without_a_name_is_not_found)
{
    uint64_t f = make_file(FS_ROOT, "f");
    write_text(f, "x");
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    expect_gone(f);
    expect_text(f, "x");
}
END_TEST

START_TEST(the_way_up_is_found)
{
    struct stat st;
    uint64_t a = make_dir(FS_ROOT, "a"), b = make_dir(a, "b"), c = make_dir(b, "c");
    fixture_reopen();
    ck_assert_int_eq(by_number(c), 0);
    ck_assert_int_eq(fs_lookup(fs, c, "..", &st), 0);
    ck_assert_uint_eq(st.st_ino, b);
    ck_assert_int_eq(fs_lookup(fs, b, "..", &st), 0);
    ck_assert_uint_eq(st.st_ino, a);
    ck_assert_int_eq(fs_lookup(fs, a, "..", &st), 0);
    ck_assert_uint_eq(st.st_ino, FS_ROOT);
}
END_TEST

START_TEST(filesystems_have_generations_of_their_own)
{
    uint32_t before = fs_generation(fs);
    ck_assert_uint_ne(before, 0);
    fixture_reopen();
    ck_assert_uint_eq(fs_generation(fs), before);
    fixture_close();
    fs_options_init(&fixture_options);
    fixture_options.store.env = disk;
    ck_assert_int_eq(fs_open("/other", &fixture_options, &fs), 0);
    ck_assert_uint_ne(fs_generation(fs), before);
}
END_TEST

/* ---- while others rename, link and remove */

#define FILES 4
#define DIRS 3

static uint64_t dirs[DIRS], files[FILES];
static atomic_bool finished;

/* File k is always in exactly one directory, under its own name; every other has two links at
 * times. */
static void *mover(void *arg)
{
    struct random r = {(uint64_t)(uintptr_t)arg};
    int where[FILES] = {0}, rounds = random_iterations(20000);
    for (int i = 0; i < rounds; i++) {
        uint64_t k = random_below(&r, FILES), to = random_below(&r, DIRS);
        char name[16], second[16];
        struct stat st;
        snprintf(name, sizeof name, "f%d", (int)k);
        snprintf(second, sizeof second, "s%d", (int)k);
        ck_assert_int_eq(fs_rename(fs, dirs[where[k]], name, dirs[to], name, 0), 0);
        where[k] = (int)to;
        if (k % 2 && random_below(&r, 4) == 0) {
            ck_assert_int_eq(fs_lookup(fs, dirs[to], name, &st), 0);
            ck_assert_int_eq(fs_link(fs, st.st_ino, FS_ROOT, second, &st), 0);
            fs_forget(fs, st.st_ino, 2);
            ck_assert_int_eq(fs_unlink(fs, FS_ROOT, second), 0);
        }
    }
    atomic_store(&finished, true);
    return NULL;
}

static void *asker(void *arg)
{
    struct random r = {(uint64_t)(uintptr_t)arg};
    while (!atomic_load(&finished)) {
        struct stat st;
        uint64_t k = random_below(&r, FILES);
        int rc = fs_lookup(fs, files[k], ".", &st);
        ck_assert_msg(rc == 0, "file %d: %s", (int)k, fail_name(rc));
        fs_forget(fs, st.st_ino, 1);
    }
    return NULL;
}

START_TEST(who_has_a_number_finds_the_inode_whatever_others_do)
{
    struct random r = {random_seed()};
    pthread_t moves, asks[3];
    for (int i = 0; i < DIRS; i++) {
        char name[16];
        snprintf(name, sizeof name, "d%d", i);
        dirs[i] = make_dir(FS_ROOT, name);
    }
    for (int i = 0; i < FILES; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        files[i] = new_file(dirs[0], name);
    }
    pthread_create(&moves, NULL, mover, (void *)(uintptr_t)random_next(&r));
    for (int i = 0; i < 3; i++)
        pthread_create(&asks[i], NULL, asker, (void *)(uintptr_t)random_next(&r));
    pthread_join(moves, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(asks[i], NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handles");
    TCase *tc = tcase_create("handles");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, an_inode_is_found_by_its_number_alone);
    tcase_add_test(tc, a_number_never_given_away_is_not_found);
    tcase_add_loop_test(tc, it_is_found_wherever_it_went, 0, 2);
    tcase_add_loop_test(tc, what_is_gone_is_not_found, 0, 2);
    tcase_add_test(tc, an_open_file_without_a_name_is_not_found);
    tcase_add_test(tc, the_way_up_is_found);
    tcase_add_test(tc, filesystems_have_generations_of_their_own);
    tcase_add_loop_test(tc, who_has_a_number_finds_the_inode_whatever_others_do, 0, 4);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
