/* Directory reading: every entry that stays is given exactly once, whatever happens meanwhile. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../store/tests/run_suite.h"
#include "fixture.h"

#define MAX 4000

struct got {
    char names[MAX][16];
    uint64_t next[MAX];
    struct stat st[MAX];
    bool looked_up[MAX];
    int count, limit;
};
static struct got got;

static bool take(void *arg, const struct fs_dirent *e)
{
    struct got *g = arg;
    if (g->count == g->limit)
        return false;
    snprintf(g->names[g->count], sizeof g->names[0], "%s", e->name);
    g->st[g->count] = *e->st;
    g->looked_up[g->count] = e->looked_up;
    g->next[g->count++] = e->next;
    return true;
}

/* The next entries, at most `limit`; returns the position behind them. */
static uint64_t list(struct fs_dir *d, uint64_t off, int limit, enum fs_dir_plus plus)
{
    got.limit = got.count + limit;
    int before = got.count;
    ck_assert_int_eq(fs_readdir(fs, d, off, plus, take, &got), 0);
    return got.count > before ? got.next[got.count - 1] : off;
}

static struct fs_dir *open_dir(uint64_t ino)
{
    struct fs_dir *d;
    ck_assert_int_eq(fs_opendir(fs, ino, &d), 0);
    got.count = 0;
    return d;
}

static const char *name_of(int i)
{
    static char name[16];
    snprintf(name, sizeof name, "f%05d", i);
    return name;
}

/* How often the name was given. */
static int times(const char *name)
{
    int n = 0;
    for (int i = 0; i < got.count; i++)
        n += strcmp(got.names[i], name) == 0;
    return n;
}

static uint64_t make_many(int n)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    for (int i = 0; i < n; i++)
        fs_forget(fs, make_file(d, name_of(i)), 1);
    return d;
}

START_TEST(an_empty_directory_has_two_entries)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    struct fs_dir *open = open_dir(d);
    uint64_t end = list(open, 0, 10, FS_DIR_NAMES);
    ck_assert_int_eq(got.count, 2);
    ck_assert_str_eq(got.names[0], ".");
    ck_assert_uint_eq(got.st[0].st_ino, d);
    ck_assert_str_eq(got.names[1], "..");
    ck_assert_uint_eq(got.st[1].st_ino, FS_ROOT);
    list(open, end, 10, FS_DIR_NAMES);
    ck_assert_int_eq(got.count, 2);
    fs_closedir(fs, open);
    ck_assert_int_eq(fs_opendir(fs, make_file(FS_ROOT, "f"), &open), -ENOTDIR);
}
END_TEST

START_TEST(all_entries_in_pieces_of_any_size)
{
    uint64_t d = make_many(700);
    const int sizes[] = {1, 2, 3, 100, 127, 128, 129, 1000};
    struct fs_dir *open = open_dir(d);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int plus = 0; plus < 2; plus++) {
            uint64_t off = 0, then;
            got.count = 0;
            while ((then = list(open, off, sizes[s], plus)) != off)
                off = then;
            ck_assert_int_eq(got.count, 702);
            for (int i = 0; i < 700; i++)
                ck_assert_str_eq(got.names[i + 2], name_of(i));
        }
    fs_closedir(fs, open);
}
END_TEST

/* The kernel takes a part of an answer and asks again from there. */
START_TEST(a_listing_goes_on_from_any_position_it_gave)
{
    uint64_t d = make_many(1000);
    struct random r = {random_seed()};
    struct fs_dir *open = open_dir(d);
    static struct got all;
    list(open, 0, MAX, FS_DIR_NAMES);
    all = got;
    for (int i = 0; i < 300; i++) {
        int at = (int)random_below(&r, 1002), n = 1 + (int)random_below(&r, 40);
        got.count = 0;
        list(open, at ? all.next[at - 1] : 0, n, random_below(&r, 2));
        ck_assert_int_eq(got.count, n < 1002 - at ? n : 1002 - at);
        for (int k = 0; k < got.count; k++)
            ck_assert_str_eq(got.names[k], all.names[at + k]);
    }
    fs_closedir(fs, open);
}
END_TEST

/* What the kernel took of the first answer ends before a position that the handle remembers for
 * long; when that position is given again it is behind another name. */
START_TEST(a_position_that_is_given_anew_is_behind_the_new_name)
{
    for (int removes = 0; removes < 2; removes++) {
        uint64_t d = make_many(1000);
        struct fs_dir *open = open_dir(d);
        list(open, 0, 300, FS_DIR_NAMES);
        uint64_t off = got.next[149];
        got.count = 150; /* the kernel took so many */
        for (int i = 160; i < 180; i++) {
            char name[16];
            snprintf(name, sizeof name, "f%05dn", i);
            if (removes)
                ck_assert_int_eq(fs_unlink(fs, d, name_of(i)), 0);
            else
                make_file(d, name);
        }
        off = list(open, off, 106, FS_DIR_NAMES);
        ck_assert_uint_eq(off, 256);
        list(open, off, MAX - got.count, FS_DIR_NAMES);
        for (int i = 0; i < 1000; i++) {
            bool gone = removes && i >= 160 && i < 180;
            ck_assert_msg(times(name_of(i)) == !gone, "%s was given %d times", name_of(i),
                          times(name_of(i)));
        }
        fs_closedir(fs, open);
        ck_assert_int_eq(fs_rename(fs, FS_ROOT, "d", FS_ROOT, removes ? "e" : "c", 0), 0);
    }
}
END_TEST

/* seekdir to where telldir was, many answers ago. */
START_TEST(an_older_position_stays_right_when_names_before_it_go)
{
    uint64_t d = make_many(1000), off = 0, then;
    struct fs_dir *open = open_dir(d);
    static struct got all;
    while ((then = list(open, off, 200, FS_DIR_NAMES)) != off)
        off = then;
    all = got;
    ck_assert_int_eq(all.count, 1002);
    for (int i = 0; i < 1000; i += 2)
        ck_assert_int_eq(fs_unlink(fs, d, name_of(i)), 0);
    for (int i = 1; i < 1000; i += 2) {
        got.count = 0;
        list(open, all.next[i + 1], 1, FS_DIR_NAMES); /* behind the name before */
        ck_assert_int_eq(got.count, 1);
        ck_assert_str_eq(got.names[0], name_of(i));
    }
    fs_closedir(fs, open);
}
END_TEST

START_TEST(what_stays_is_given_once_while_others_come_and_go)
{
    uint64_t d = make_many(1000);
    struct random r = {random_seed()};
    struct fs_dir *open = open_dir(d);
    uint64_t off = 0, then;
    while ((then = list(open, off, 1 + (int)random_below(&r, 30), random_below(&r, 2))) != off) {
        off = then;
        for (int k = 0; k < 10; k++) {
            int i = (int)random_below(&r, 1000);
            char name[16];
            if (i % 2) /* those with even numbers stay */
                fs_unlink(fs, d, name_of(i));
            snprintf(name, sizeof name, "f%05dn%d", i, (int)random_below(&r, 10));
            if (!exists(d, name))
                make_file(d, name);
        }
    }
    for (int i = 0; i < 1000; i++) {
        int n = times(name_of(i));
        ck_assert_msg(i % 2 ? n <= 1 : n == 1, "%s was given %d times", name_of(i), n);
    }
    fs_closedir(fs, open);
}
END_TEST

/* rm -r: removes what it was given, and goes on. */
START_TEST(a_directory_can_be_emptied_while_it_is_read)
{
    uint64_t d = make_many(900);
    struct fs_dir *open = open_dir(d);
    uint64_t off = 0, then;
    int done = 0;
    while ((then = list(open, off, 50, FS_DIR_NAMES)) != off) {
        off = then;
        for (; done < got.count; done++)
            if (got.names[done][0] == 'f')
                ck_assert_int_eq(fs_unlink(fs, d, got.names[done]), 0);
    }
    fs_closedir(fs, open);
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "d"), 0);
}
END_TEST

START_TEST(rewinding_shows_what_is_new)
{
    uint64_t d = make_many(5);
    struct fs_dir *open = open_dir(d);
    uint64_t off = list(open, 0, 100, FS_DIR_NAMES);
    make_file(d, "a-new");
    fs_unlink(fs, d, name_of(0));
    got.count = 0;
    list(open, off, 100, FS_DIR_NAMES);
    ck_assert_int_eq(got.count, 0);
    list(open, 0, 100, FS_DIR_NAMES);
    ck_assert_int_eq(times("a-new"), 1);
    ck_assert_int_eq(times(name_of(0)), 0);
    ck_assert_int_eq(got.count, 7);
    fs_closedir(fs, open);
}
END_TEST

START_TEST(types_are_told_without_a_lookup)
{
    uint64_t d = make_dir(FS_ROOT, "d"), f = make_file(d, "a"), sub = make_dir(d, "b");
    struct stat st;
    ck_assert_int_eq(fs_link(fs, f, d, "c", &st), 0);
    struct fs_dir *open = open_dir(d);
    list(open, 0, 100, FS_DIR_NAMES);
    ck_assert_int_eq(got.count, 5);
    ck_assert(got.st[2].st_ino == f && S_ISREG(got.st[2].st_mode));
    ck_assert(got.st[3].st_ino == sub && S_ISDIR(got.st[3].st_mode));
    ck_assert(got.st[4].st_ino == f && S_ISREG(got.st[4].st_mode));
    fs_closedir(fs, open);
}
END_TEST

static int in_memory(uint64_t ino)
{
    struct stat st;
    return fs_getattr(fs, ino, &st) == 0;
}

START_TEST(plus_gives_a_reference_to_each_entry_that_is_taken)
{
    uint64_t d = make_many(10);
    struct fs_dir *open = open_dir(d);
    list(open, 0, 6, FS_DIR_PLUS); /* the seventh is offered and not taken */
    fs_closedir(fs, open);
    for (int i = 0; i < 10; i++) {
        uint64_t ino = find(d, name_of(i));
        fs_forget(fs, ino, 1);
        ck_assert_int_eq(in_memory(ino), i < 4);
        if (i < 4) {
            ck_assert_uint_eq(got.st[i + 2].st_ino, ino);
            fs_forget(fs, ino, 1);
            ck_assert(!in_memory(ino));
        }
    }
    ck_assert(in_memory(d));
}
END_TEST

/* An entry's inode in the store may be older than the one in memory: nobody may see it. */
START_TEST(plus_shows_attributes_as_they_are)
{
    uint64_t d = make_dir(FS_ROOT, "d"), f = make_file(d, "f"), g = make_file(d, "g");
    struct stat st;
    ck_assert_int_eq(fs_link(fs, g, d, "h", &st), 0);
    write_text(g, "hello");
    write_text(f, "hi");
    struct fs_dir *open = open_dir(d);
    for (int round = 0; round < 2; round++) { /* from memory, and from the store */
        got.count = 0;
        list(open, 0, 100, FS_DIR_PLUS);
        ck_assert_int_eq(got.count, 5);
        ck_assert_int_eq(got.st[2].st_size, 2);
        ck_assert_int_eq(got.st[3].st_size, 5);
        ck_assert_uint_eq(got.st[4].st_nlink, 2);
        ck_assert_uint_eq(got.st[4].st_mode, S_IFREG | 0644);
        ck_assert_uint_eq(got.st[4].st_ino, g);
        fs_forget(fs, f, 100);
        fs_forget(fs, g, 100);
    }
    fs_closedir(fs, open);
}
END_TEST

/* At the first entry the next two go: one moves, one is another file from now on. */
static bool take_and_change(void *arg, const struct fs_dirent *e)
{
    uint64_t d = *(uint64_t *)arg;
    if (strcmp(e->name, "a") == 0) {
        ck_assert_int_eq(fs_rename(fs, d, "b", d, "a-moved", 0), 0);
        ck_assert_int_eq(fs_unlink(fs, d, "c"), 0);
        make_file(d, "c");
    }
    return take(&got, e);
}

START_TEST(plus_never_joins_a_name_with_what_it_no_longer_names)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    make_file(d, "a");
    uint64_t b = make_file(d, "b"), c = make_file(d, "c");
    struct fs_dir *open = open_dir(d);
    got.limit = MAX;
    ck_assert_int_eq(fs_readdir(fs, open, 0, FS_DIR_PLUS, take_and_change, &d), 0);
    ck_assert_int_eq(times("a"), 1);
    ck_assert_int_eq(times("b"), 0);
    for (int i = 0; i < got.count; i++)
        ck_assert(got.st[i].st_ino != c && got.st[i].st_ino != b);
    fs_closedir(fs, open);
}
END_TEST

/* ---- for a caller that keeps what it was told */

/* How many entries of a whole listing were looked up. All are told with number and type. */
static int looked_up_anew(uint64_t dir, int entries)
{
    struct fs_dir *open = open_dir(dir);
    int n = 0;
    list(open, 0, MAX, FS_DIR_PLUS_NEW);
    fs_closedir(fs, open);
    ck_assert_int_eq(got.count, entries + 2);
    for (int i = 2; i < got.count; i++) {
        struct stat st;
        ck_assert_int_eq(fs_lookup(fs, dir, got.names[i], &st), 0);
        ck_assert_uint_eq(got.st[i].st_ino, st.st_ino);
        ck_assert_uint_eq(got.st[i].st_mode & S_IFMT, st.st_mode & S_IFMT);
        fs_forget(fs, st.st_ino, got.looked_up[i] ? 2 : 1);
        n += got.looked_up[i];
    }
    return n;
}

/* Until the last sign that something is dropped counts no more. */
static void wait_for_trust(void)
{
    usleep(1100 * 1000);
}

START_TEST(new_gives_references_only_to_what_the_caller_has_none_to)
{
    uint64_t d = make_dir(FS_ROOT, "d"), kept = make_file(d, "kept");
    make_dir(d, "kept-too");
    struct stat st;
    fs_forget(fs, make_file(d, "other"), 1);
    wait_for_trust();
    struct fs_dir *open = open_dir(d);
    list(open, 0, MAX, FS_DIR_PLUS_NEW);
    fs_closedir(fs, open);
    ck_assert(!got.looked_up[2] && !got.looked_up[3] && got.looked_up[4]);
    ck_assert_uint_eq(got.st[2].st_ino, kept);
    ck_assert_uint_eq(got.st[2].st_mode, S_IFREG | 0644);
    ck_assert(S_ISDIR(got.st[3].st_mode));
    uint64_t other = got.st[4].st_ino;
    ck_assert_int_eq(fs_getattr(fs, other, &st), 0);
    fs_forget(fs, other, 1);
    ck_assert(!in_memory(other));
    fs_forget(fs, kept, 1); /* its only reference */
    ck_assert(!in_memory(kept));
}
END_TEST

START_TEST(new_gives_all_where_an_inode_with_a_name_was_forgotten)
{
    uint64_t d = make_dir(FS_ROOT, "d"), a = make_file(d, "a");
    make_file(d, "b");
    fs_forget(fs, a, 1);
    ck_assert_int_eq(looked_up_anew(d, 2), 2);
}
END_TEST

START_TEST(new_gives_all_where_a_name_is_asked_for_again)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    make_file(d, "a");
    make_file(d, "b");
    struct fs_dir *open = open_dir(d);
    list(open, 0, MAX, FS_DIR_PLUS_NEW);
    ck_assert(!got.looked_up[2] && !got.looked_up[3]);
    find(d, "b"); /* the name is dropped, the inode is not */
    got.count = 0;
    list(open, 0, MAX, FS_DIR_PLUS_NEW);
    ck_assert(got.looked_up[2] && got.looked_up[3]);
    wait_for_trust();
    got.count = 0;
    list(open, 0, MAX, FS_DIR_PLUS_NEW);
    ck_assert(!got.looked_up[2] && !got.looked_up[3]);
    fs_closedir(fs, open);
}
END_TEST

START_TEST(new_trusts_on_where_files_are_removed)
{
    uint64_t d = make_dir(FS_ROOT, "d"), a = make_file(d, "a");
    make_file(d, "b");
    ck_assert_int_eq(fs_unlink(fs, d, "a"), 0);
    fs_forget(fs, a, 1);
    ck_assert_int_eq(looked_up_anew(d, 1), 0);
}
END_TEST

START_TEST(new_trusts_on_where_an_entry_was_not_taken)
{
    uint64_t d = make_many(1);
    make_file(d, "kept");
    wait_for_trust();
    struct fs_dir *open = open_dir(d);
    list(open, 0, 2, FS_DIR_PLUS_NEW); /* the third is offered */
    fs_closedir(fs, open);
    ck_assert_int_eq(looked_up_anew(d, 2), 1);
}
END_TEST

/* With two names the caller may have the inode by the other one. */
START_TEST(new_looks_up_what_has_several_names)
{
    uint64_t d = make_dir(FS_ROOT, "d"), a = make_file(d, "a");
    struct stat st;
    ck_assert_int_eq(fs_link(fs, a, d, "b", &st), 0);
    make_file(d, "c");
    ck_assert_int_eq(looked_up_anew(d, 3), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dir");
    TCase *tc = tcase_create("dir");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, an_empty_directory_has_two_entries);
    tcase_add_test(tc, all_entries_in_pieces_of_any_size);
    tcase_add_test(tc, a_listing_goes_on_from_any_position_it_gave);
    tcase_add_test(tc, a_position_that_is_given_anew_is_behind_the_new_name);
    tcase_add_test(tc, an_older_position_stays_right_when_names_before_it_go);
    tcase_add_test(tc, what_stays_is_given_once_while_others_come_and_go);
    tcase_add_test(tc, a_directory_can_be_emptied_while_it_is_read);
    tcase_add_test(tc, rewinding_shows_what_is_new);
    tcase_add_test(tc, types_are_told_without_a_lookup);
    tcase_add_test(tc, plus_gives_a_reference_to_each_entry_that_is_taken);
    tcase_add_test(tc, plus_shows_attributes_as_they_are);
    tcase_add_test(tc, plus_never_joins_a_name_with_what_it_no_longer_names);
    tcase_add_test(tc, new_gives_references_only_to_what_the_caller_has_none_to);
    tcase_add_test(tc, new_gives_all_where_an_inode_with_a_name_was_forgotten);
    tcase_add_test(tc, new_gives_all_where_a_name_is_asked_for_again);
    tcase_add_test(tc, new_trusts_on_where_files_are_removed);
    tcase_add_test(tc, new_trusts_on_where_an_entry_was_not_taken);
    tcase_add_test(tc, new_looks_up_what_has_several_names);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
