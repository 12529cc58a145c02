/* A repair that lost records of inodes and entries: whatever of a tree is left can be reached and
 * removed, and is counted right (core/mend_tree.c). The teardown checks all records. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../store/tests/env_sim.h"
#include "../../store/tests/run_suite.h"
#include "../core/fs.h"
#include "../format/chunk_format.h"
#include "../format/garbage_format.h"
#include "../format/inode_format.h"
#include "../format/segment_format.h"
#include "check_store.h"
#include "mend_fixture.h"

static const struct fs_caller root_user;

static uint64_t lost_found(void)
{
    return find(FS_ROOT, "lost+found");
}

/* "#<number>" there. */
static uint64_t found(uint64_t ino)
{
    char name[32];
    snprintf(name, sizeof name, "#%llu", (unsigned long long)ino);
    return find(lost_found(), name);
}

static void link_to(uint64_t ino, uint64_t dir, const char *name)
{
    struct stat st;
    ck_assert_int_eq(fs_link(fs, ino, dir, name, &st), 0);
}

static uint64_t file_with(uint64_t dir, const char *name, const char *text)
{
    uint64_t f = make_file(dir, name);
    write_text(f, text);
    return f;
}

/* Changes the inode that lives in an entry of the root. */
static void change_stored(const char *name, void (*change)(struct inode *i))
{
    struct fs_key key = key_named(KEY_ENTRY, FS_ROOT, name);
    struct buf value = record_of(key);
    enum entry_kind kind;
    struct inode i;
    uint64_t ino;
    ck_assert_int_eq(entry_decode(buf_slice(&value), &ino, &kind, &i), 0);
    change(&i);
    buf_clear(&value);
    entry_encode_inode(ino, &i, &value);
    put_back(key, buf_slice(&value));
    buf_free(&value);
}

/* ---- what has lost its inode */

START_TEST(a_lost_folders_names_are_found)
{
    uint64_t d = make_dir(FS_ROOT, "d"), e = make_dir(d, "e");
    file_with(d, "f", "text");
    file_with(e, "g", "deeper");
    make_file(FS_ROOT, "beside");
    lose(key_named(KEY_ENTRY, FS_ROOT, "d"));
    kill_and_repair();
    ck_assert_uint_eq(found(d), d);
    expect_text(find(d, "f"), "text");
    expect_text(find(find(d, "e"), "g"), "deeper");
    ck_assert_uint_eq(find(d, ".."), lost_found());
    ck_assert_int_eq(stat_of(d).st_mode, S_IFDIR | 0700);
    ck_assert_int_eq(stat_of(d).st_nlink, 3);
    ck_assert_int_eq(stat_of(FS_ROOT).st_nlink, 3);
    ck_assert(exists(FS_ROOT, "beside"));
    check_store(fs, CHECK_NO_GARBAGE);
    fixture_reopen();
    expect_text(find(found(d), "f"), "text");
}
END_TEST

START_TEST(a_lost_files_data_is_found)
{
    uint64_t f = file_with(FS_ROOT, "f", "what it held");
    char value[] = "v";
    ck_assert_int_eq(fs_setxattr(fs, f, "user.x", value, 1, 0), 0);
    lose(key_named(KEY_ENTRY, FS_ROOT, "f"));
    kill_and_repair();
    ck_assert(!exists(FS_ROOT, "f"));
    expect_text(found(f), "what it held");
    ck_assert_int_eq(stat_of(f).st_mode, S_IFREG | 0600);
    ck_assert_int_eq(fs_getxattr(fs, f, "user.x", value, 1), 1);
}
END_TEST

START_TEST(a_name_whose_inode_is_lost_keeps_its_data)
{
    uint64_t d = make_dir(FS_ROOT, "d"), f = file_with(FS_ROOT, "f", "linked");
    link_to(f, d, "g");
    lose(key_of(KEY_INODE, f));
    kill_and_repair();
    ck_assert(!exists(FS_ROOT, "lost+found"));
    expect_text(find(FS_ROOT, "f"), "linked");
    ck_assert_uint_eq(find(find(FS_ROOT, "d"), "g"), f);
    ck_assert_int_eq(stat_of(f).st_nlink, 2);
}
END_TEST

START_TEST(a_name_of_nothing_goes)
{
    uint64_t d = make_dir(FS_ROOT, "d"), f = make_file(d, "f");
    link_to(f, d, "g");
    lose(key_of(KEY_INODE, f));
    kill_and_repair();
    d = find(FS_ROOT, "d");
    ck_assert(!exists(d, "f") && !exists(d, "g"));
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "d"), 0);
}
END_TEST

START_TEST(attributes_of_nothing_go)
{
    uint64_t f = make_file(FS_ROOT, "f");
    ck_assert_int_eq(fs_setxattr(fs, f, "user.x", "v", 1, 0), 0);
    lose(key_named(KEY_ENTRY, FS_ROOT, "f"));
    kill_and_repair();
    fixture_settle();
    ck_assert_int_eq(count_records(KEY_XATTR, 0), 0);
    ck_assert(!exists(FS_ROOT, "lost+found"));
}
END_TEST

/* ---- what has lost its names */

START_TEST(an_inode_without_a_name_gets_one)
{
    uint64_t f = file_with(FS_ROOT, "f", "two names");
    link_to(f, FS_ROOT, "g");
    lose(key_named(KEY_ENTRY, FS_ROOT, "f"));
    lose(key_named(KEY_ENTRY, FS_ROOT, "g"));
    kill_and_repair();
    ck_assert_uint_eq(found(f), f);
    expect_text(f, "two names");
    ck_assert_int_eq(stat_of(f).st_nlink, 1);
}
END_TEST

/* mv a/b b; mv a b/a: and of the first one's records only the old entry is there. */
START_TEST(folders_in_each_other_are_taken_apart)
{
    uint64_t a = make_dir(FS_ROOT, "a"), b = make_dir(a, "b");
    file_with(a, "in-a", "1");
    file_with(b, "in-b", "2");
    uint64_t below = make_dir(b, "below");
    file_with(below, "deep", "3");
    struct buf old = record_of(key_named(KEY_ENTRY, a, "b"));
    ck_assert_int_eq(fs_rename(fs, a, "b", FS_ROOT, "b", 0), 0);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "a", b, "a", 0), 0);
    lose(key_named(KEY_ENTRY, FS_ROOT, "b"));
    put_back(key_named(KEY_ENTRY, a, "b"), buf_slice(&old));
    buf_free(&old);
    kill_and_repair();
    ck_assert_int_eq(stat_of(lost_found()).st_nlink, 3); /* one of the two */
    char name[32];
    snprintf(name, sizeof name, "#%llu", (unsigned long long)a);
    if (exists(lost_found(), name))
        ck_assert_uint_eq(find(found(a), "b"), b);
    else
        ck_assert_uint_eq(find(found(b), "a"), a);
    expect_text(find(a, "in-a"), "1");
    expect_text(find(b, "in-b"), "2");
    expect_text(find(find(b, "below"), "deep"), "3");
}
END_TEST

/* ---- counts */

START_TEST(an_old_link_that_is_back_takes_nothing_with_it)
{
    uint64_t f = file_with(FS_ROOT, "f", "text");
    link_to(f, FS_ROOT, "g");
    link_to(f, FS_ROOT, "old");
    struct buf old = record_of(key_named(KEY_ENTRY, FS_ROOT, "old"));
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "old"), 0);
    put_back(key_named(KEY_ENTRY, FS_ROOT, "old"), buf_slice(&old));
    buf_free(&old);
    kill_and_repair();
    ck_assert_int_eq(stat_of(find(FS_ROOT, "f")).st_nlink, 3);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "old"), 0);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "g"), 0);
    fixture_settle();
    expect_text(find(FS_ROOT, "f"), "text");
}
END_TEST

START_TEST(an_inode_in_an_entry_that_has_other_names_is_one_with_links)
{
    uint64_t f = file_with(FS_ROOT, "f", "text");
    struct buf embedded = record_of(key_named(KEY_ENTRY, FS_ROOT, "f"));
    link_to(f, FS_ROOT, "g");
    put_back(key_named(KEY_ENTRY, FS_ROOT, "f"), buf_slice(&embedded));
    buf_free(&embedded);
    lose(key_of(KEY_INODE, f));
    kill_and_repair();
    ck_assert_int_eq(stat_of(find(FS_ROOT, "g")).st_nlink, 2);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    fixture_settle();
    expect_text(find(FS_ROOT, "g"), "text");
}
END_TEST

/* More than fit into a batch: what was moved is not moved once more. */
START_TEST(many_inodes_move_out_of_their_entries_once)
{
    char name[32], other[32];
    for (int i = 0; i < 700; i++) {
        snprintf(name, sizeof name, "f%d", i);
        snprintf(other, sizeof other, "g%d", i);
        uint64_t f = make_file(FS_ROOT, name);
        struct buf embedded = record_of(key_named(KEY_ENTRY, FS_ROOT, name));
        link_to(f, FS_ROOT, other);
        put_back(key_named(KEY_ENTRY, FS_ROOT, name), buf_slice(&embedded));
        buf_free(&embedded);
        lose(key_of(KEY_INODE, f));
    }
    kill_and_repair();
    ck_assert_int_eq(count_records(KEY_ENTRY, 0), 1400);
    ck_assert_int_eq(stat_of(find(FS_ROOT, "g699")).st_nlink, 2);
}
END_TEST

START_TEST(lost_names_count_no_more)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    make_dir(d, "sub");
    make_file(d, "f");
    lose(key_named(KEY_ENTRY, d, "sub"));
    lose(key_named(KEY_ENTRY, d, "f"));
    kill_and_repair();
    ck_assert_int_eq(stat_of(find(FS_ROOT, "d")).st_nlink, 2);
}
END_TEST

/* The newest inode is lost, and an older one is back: its data is all there. */
START_TEST(a_file_is_as_long_as_its_data)
{
    static const size_t sizes[] = {3000, FS_BLOCK + 1, 3 * FS_BLOCK, 65536, 200000};
    static char p[200000], got[200000];
    for (size_t i = 0; i < sizeof p; i++)
        p[i] = (char)(i % 251 + 1);
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
        uint64_t f = make_file(FS_ROOT, "f");
        write_at(f, 0, p, 100);
        struct buf old = record_of(key_named(KEY_ENTRY, FS_ROOT, "f"));
        write_at(f, 0, p, sizes[n]);
        put_back(key_named(KEY_ENTRY, FS_ROOT, "f"), buf_slice(&old));
        buf_free(&old);
        kill_and_repair();
        fixture_settle();
        f = find(FS_ROOT, "f");
        ck_assert_int_eq(fs_read(fs, f, got, sizeof got, 0), (ssize_t)sizes[n]);
        ck_assert(memcmp(got, p, sizes[n]) == 0);
        check_store(fs, CHECK_NO_GARBAGE);
        ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    }
}
END_TEST

START_TEST(zeroes_at_the_end_are_data)
{
    static char p[3 * FS_BLOCK];
    uint64_t f = make_file(FS_ROOT, "f");
    memset(p, 'x', 2 * FS_BLOCK);
    write_at(f, 0, p, sizeof p);
    lose(key_named(KEY_ENTRY, FS_ROOT, "f"));
    kill_and_repair();
    ck_assert_int_gt(stat_of(found(f)).st_size, 2 * FS_BLOCK);
    check_store(fs, CHECK_NO_GARBAGE);
}
END_TEST

static void begin_to_cut(struct inode *i)
{
    i->flags |= INODE_CUTTING;
    i->size = i->blocks = 0;
}

/* A truncation is under way: it goes on. That flag alone, of an old inode, takes no data. */
START_TEST(a_truncation_goes_on_and_an_old_one_does_not)
{
    for (int under_way = 0; under_way < 2; under_way++) {
        uint64_t f = file_with(FS_ROOT, "f", "some text");
        struct buf value = BUF_INIT;
        change_stored("f", begin_to_cut);
        garbage_encode(&(struct garbage_record){false, 0}, &value);
        if (under_way)
            put_back(key_of(KEY_GARBAGE, f), buf_slice(&value));
        buf_free(&value);
        kill_and_repair();
        fixture_settle();
        f = find(FS_ROOT, "f");
        if (under_way)
            write_text(f, "new");
        expect_text(f, under_way ? "new" : "some text");
        ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    }
}
END_TEST

START_TEST(a_lost_file_that_was_being_cut_is_found)
{
    uint64_t f = file_with(FS_ROOT, "f", "some text");
    struct buf value = BUF_INIT;
    garbage_encode(&(struct garbage_record){false, 8 * FS_BLOCK}, &value);
    put_back(key_of(KEY_GARBAGE, f), buf_slice(&value));
    buf_free(&value);
    lose(key_named(KEY_ENTRY, FS_ROOT, "f"));
    kill_and_repair();
    expect_text(found(f), "some text");
}
END_TEST

/* The newest record of a chunk is lost, and an older one is back: who reads finds what was written
 * last, in whatever pieces. */
START_TEST(a_block_that_is_there_twice_is_the_one_of_its_own)
{
    static char p[2 * FS_CHUNK], got[2 * FS_CHUNK];
    static const uint64_t at[] = {0, 5 * FS_BLOCK, FS_CHUNK, 2 * FS_CHUNK - FS_BLOCK};
    enum { N = sizeof at / sizeof *at };
    memset(p, 'c', sizeof p);
    uint64_t f = make_file(FS_ROOT, "f");
    write_at(f, 0, p, sizeof p);
    struct buf first = record_of(key_chunk(f, 0)), second = record_of(key_chunk(f, FS_CHUNK));
    for (int i = 0; i < N; i++) {
        memset(p + at[i], 'n', FS_BLOCK);
        write_at(f, at[i], p + at[i], FS_BLOCK);
    }
    put_back(key_chunk(f, 0), buf_slice(&first));
    put_back(key_chunk(f, FS_CHUNK), buf_slice(&second));
    buf_free(&first);
    buf_free(&second);
    kill_and_repair();
    f = find(FS_ROOT, "f");
    ck_assert_int_eq(fs_read(fs, f, got, sizeof got, 0), sizeof got);
    ck_assert(memcmp(got, p, sizeof got) == 0);
    ck_assert_int_eq(stat_of(f).st_blocks, sizeof p / 512);
    check_store(fs, CHECK_NO_GARBAGE);
}
END_TEST

/* Of a file blocks are lost: what is done with it all the same leaves nothing wrong behind. */
START_TEST(a_file_with_lost_blocks_can_be_cut_written_and_removed)
{
    static char p[10 * FS_BLOCK];
    memset(p, 'x', sizeof p);
    uint64_t f = make_file(FS_ROOT, "f"), g = make_file(FS_ROOT, "g");
    write_at(f, 0, p, sizeof p);
    write_at(g, 0, p, FS_BLOCK);
    for (uint64_t at = 0; at < 10 * FS_BLOCK; at += 2 * FS_BLOCK)
        lose(key_extent(f, at));
    lose(key_extent(g, 0));
    kill_and_repair();
    f = find(FS_ROOT, "f");
    g = find(FS_ROOT, "g");
    ck_assert_int_eq(fs_read(fs, f, p, sizeof p, 0), -EIO);
    set_size(f, FS_BLOCK);
    ck_assert_int_le(stat_of(f).st_blocks, 10 * FS_BLOCK / 512);
    write_at(g, 0, p, FS_BLOCK);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "g"), 0);
    fixture_reopen();
    fixture_settle();
    ck_assert_int_eq(count_records(KEY_EXTENT, 0), 0);
}
END_TEST

/* Of a file with a hole of a terabyte: nobody writes a delete for each block that might be there.
 */
START_TEST(a_large_hole_of_a_found_file_costs_nothing)
{
    uint64_t f = make_file(FS_ROOT, "f");
    write_at(f, 0, "x", 1);
    write_at(f, (uint64_t)1 << 40, "y", 1);
    lose(key_named(KEY_ENTRY, FS_ROOT, "f"));
    kill_and_repair();
    char name[32];
    snprintf(name, sizeof name, "#%llu", (unsigned long long)f);
    ck_assert_int_eq(fs_unlink(fs, lost_found(), name), 0);
    fixture_reopen();
    fixture_settle();
    ck_assert_int_eq(count_records(KEY_EXTENT, 0), 0);
}
END_TEST

START_TEST(data_of_what_is_no_file_goes)
{
    static char p[FS_CHUNK];
    memset(p, 'x', sizeof p);
    uint64_t d = make_dir(FS_ROOT, "d"), f = file_with(FS_ROOT, "f", "x");
    uint64_t large = make_file(FS_ROOT, "large");
    write_at(large, 0, p, sizeof p);
    struct buf block = record_of(key_extent(f, 0)), chunk = record_of(key_chunk(large, 0));
    put_back(key_extent(d, FS_CHUNK), buf_slice(&block));
    put_back(key_chunk(d, 0), buf_slice(&chunk));
    lose(key_chunk(large, 0));
    lose(key_named(KEY_ENTRY, FS_ROOT, "large"));
    buf_free(&block);
    buf_free(&chunk);
    kill_and_repair();
    ck_assert_int_eq(count_records(KEY_EXTENT, d), 0);
    expect_text(find(FS_ROOT, "f"), "x");
}
END_TEST

/* ---- lost+found itself */

START_TEST(what_is_called_lost_and_found_is_left_alone)
{
    struct stat st;
    uint64_t f = file_with(FS_ROOT, "f", "1"), old = file_with(FS_ROOT, "lost+found", "mine");
    lose(key_named(KEY_ENTRY, FS_ROOT, "f"));
    kill_and_repair();
    expect_text(find(FS_ROOT, "lost+found"), "mine");
    ck_assert_uint_ne(old, f);
    uint64_t folder = find(FS_ROOT, "lost+found.2");
    ck_assert(S_ISDIR(stat_of(folder).st_mode));
    /* A second time: the same folder, and the name there is taken. */
    uint64_t g = file_with(FS_ROOT, "g", "2");
    char name[32];
    snprintf(name, sizeof name, "#%llu", (unsigned long long)g);
    ck_assert_int_eq(fs_make(fs, &root_user, folder, name, S_IFREG | 0644, 0, NULL, &st), 0);
    lose(key_named(KEY_ENTRY, FS_ROOT, "g"));
    kill_and_repair();
    snprintf(name, sizeof name, "#%llu.2", (unsigned long long)g);
    expect_text(find(find(FS_ROOT, "lost+found.2"), name), "2");
    ck_assert(!exists(FS_ROOT, "lost+found.3"));
}
END_TEST

/* ---- records that are none */

START_TEST(a_damaged_record_is_as_good_as_lost)
{
    uint64_t d = make_dir(FS_ROOT, "d"), f = file_with(d, "f", "text"), g = make_file(d, "g");
    link_to(g, FS_ROOT, "h");
    put_back(key_named(KEY_ENTRY, FS_ROOT, "d"), slice_str("\1"));
    put_back(key_of(KEY_INODE, FS_ROOT), slice_str("\1"));
    put_back(key_named(KEY_ENTRY, 0, "of no folder"), slice_str("\2\1\1"));
    kill_and_repair();
    ck_assert_int_eq(stat_of(found(d)).st_mode, S_IFDIR | 0700);
    expect_text(find(d, "f"), "text");
    ck_assert_uint_eq(find(d, "f"), f);
    ck_assert_uint_eq(find(FS_ROOT, "h"), g);
}
END_TEST

static struct slice changed_entry(struct buf *out, uint64_t ino, void (*change)(struct inode *i))
{
    struct inode i = {.mode = S_IFREG | 0644, .nlink = 1};
    change(&i);
    buf_clear(out);
    entry_encode_inode(ino, &i, out);
    return buf_slice(out);
}

static void as_it_is(struct inode *i)
{
    i->size = 0;
}
static void too_large(struct inode *i)
{
    i->size = (uint64_t)INT64_MAX + 1;
}
static void of_no_kind(struct inode *i)
{
    i->mode = 0x9000 | 0644;
}

/* Keys and values of which a bit is wrong, each beside what is whole: nothing of that is harmed,
 * and all of the others goes, or what it had is found. */
START_TEST(wrong_bits_harm_nothing_else)
{
    static const uint64_t numbers[] = {0, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63};
    static char p[FS_CHUNK];
    struct buf value = BUF_INIT;
    memset(p, 'x', sizeof p);
    uint64_t d = make_dir(FS_ROOT, "d"), f = file_with(d, "f", "text");
    uint64_t large = make_file(FS_ROOT, "large");
    write_at(large, 0, p, sizeof p);
    struct buf block = record_of(key_extent(f, 0)), chunk = record_of(key_chunk(large, 0));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        put_back(key_extent(numbers[i], 0), buf_slice(&block));
        put_back(key_named(KEY_XATTR, numbers[i], "user.x"), slice_str("v"));
        put_back(key_of(KEY_GARBAGE, numbers[i]), slice_str("?"));
        put_back(key_of(KEY_INODE, numbers[i]), slice_str("?"));
        put_back(key_named(KEY_ENTRY, numbers[i], "name"), changed_entry(&value, f, as_it_is));
        put_back(key_named(KEY_ENTRY, d, "to"), changed_entry(&value, numbers[i], as_it_is));
        put_back(key_place(numbers[i], SEGMENT_HEADER), slice_str("?"));
        put_back(key_place(1, SEGMENT_HEADER + 4096 * (i + 1)), slice_str("?"));
        put_back(key_freed(1, SEGMENT_HEADER + 4096 * (i + 1), 0xffff), slice_str(""));
        put_back(key_extent(f, numbers[i] & ~(uint64_t)0xfff), buf_slice(&block));
    }
    put_back(key_extent(f, 0), buf_slice(&block));
    put_back(key_extent(f, FS_BLOCK), slice_str("\7of no kind"));
    put_back(key_chunk(f, FS_CHUNK), slice_of(chunk.data, chunk.len - 1));
    put_back(key_named(KEY_ENTRY, d, "a/b"), changed_entry(&value, 1000, as_it_is));
    put_back(key_named(KEY_ENTRY, d, ".."), changed_entry(&value, 1001, as_it_is));
    put_back(key_named(KEY_ENTRY, d, "root"), changed_entry(&value, FS_ROOT, as_it_is));
    put_back(key_named(KEY_ENTRY, d, "huge"), changed_entry(&value, 1002, too_large));
    put_back(key_named(KEY_ENTRY, d, "odd"), changed_entry(&value, 1003, of_no_kind));
    put_back(key_of(KEY_GARBAGE, 1004), slice_str("?"));
    buf_free(&value);
    buf_free(&block);
    buf_free(&chunk);
    ck_assert_int_eq(store_flush(fs_store(fs)), 0); /* (a replay would end at the chunk) */
    kill_and_repair();
    check_store(fs, CHECK_NO_GARBAGE);
    d = find(FS_ROOT, "d");
    expect_text(find(d, "f"), "text");
    ck_assert_int_eq(fs_read(fs, find(FS_ROOT, "large"), p, sizeof p, 0), sizeof p);
    ck_assert_int_eq(stat_of(FS_ROOT).st_mode & S_IFMT, S_IFDIR);
    ck_assert(!exists(d, "root") && !exists(d, "huge") && !exists(d, "odd"));
    ck_assert_int_eq(count_records(KEY_ENTRY, d), 1); /* nor what has a name that is none */
    fixture_reopen();                                 /* what is free is given back */
    ck_assert_int_eq(fs_read(fs, find(FS_ROOT, "large"), p, sizeof p, 0), sizeof p);
    make_file(FS_ROOT, "new");
}
END_TEST

static void of_a_socket(struct inode *i)
{
    i->mode ^= S_IFREG ^ S_IFSOCK;
}

/* One bit makes a file a socket. */
START_TEST(what_has_data_is_a_file)
{
    file_with(FS_ROOT, "f", "text");
    change_stored("f", of_a_socket);
    kill_and_repair();
    expect_text(find(FS_ROOT, "f"), "text");
}
END_TEST

/* The superblock says which formats there are: another one is damage. */
START_TEST(an_unknown_record_of_a_known_format_is_damage)
{
    uint64_t f = file_with(FS_ROOT, "f", "text");
    struct buf value = record_of(key_named(KEY_ENTRY, FS_ROOT, "f"));
    value.data[0] ^= 4;
    put_back(key_named(KEY_ENTRY, FS_ROOT, "f"), buf_slice(&value));
    buf_free(&value);
    kill_and_repair();
    expect_text(found(f), "text");
}
END_TEST

START_TEST(what_is_of_a_newer_format_is_left_alone)
{
    file_with(FS_ROOT, "f", "text");
    struct buf value = record_of(key_named(KEY_ENTRY, FS_ROOT, "f"));
    buf_append(&value, "new", 3);
    put_back(key_named(KEY_ENTRY, FS_ROOT, "f"), buf_slice(&value));
    ck_assert_int_eq(store_delete(fs_store(fs), slice_str("S"), true), 0); /* to be mended */
    fixture_close();
    fixture_options.store.repair = true;
    ck_assert_int_eq(fs_open("/fs", &fixture_options, &fs), STORE_EFORMAT);
    fixture_options.store.repair = false;
    ck_assert_int_eq(fs_open("/fs", &fixture_options, &fs), STORE_EFORMAT); /* (not mended yet) */
    buf_free(&value);
    env_sim_free(disk);
    fixture_setup();
}
END_TEST

START_TEST(a_whole_tree_stays_as_it_is)
{
    uint64_t d = make_dir(FS_ROOT, "d"), f = file_with(d, "f", "text");
    link_to(f, FS_ROOT, "g");
    uint64_t before = store_last_sequence(fs_store(fs));
    kill_and_repair();
    ck_assert_uint_eq(store_last_sequence(fs_store(fs)), before);
    expect_text(find(find(FS_ROOT, "d"), "f"), "text");
}
END_TEST

/* ---- anything */

#define DIRS 30
#define FILES 120

static struct random rnd;

/* Folders, files with some data or none, links. */
static void grow_tree(void)
{
    uint64_t dirs[DIRS] = {FS_ROOT};
    char name[32];
    for (int i = 1; i < DIRS; i++) {
        snprintf(name, sizeof name, "d%d", i);
        dirs[i] = make_dir(dirs[random_below(&rnd, (uint64_t)i)], name);
    }
    for (int i = 0; i < FILES; i++) {
        static char p[70000];
        snprintf(name, sizeof name, "f%d", i);
        uint64_t f = make_file(dirs[random_below(&rnd, DIRS)], name);
        memset(p, 'a' + i % 26, sizeof p);
        if (random_below(&rnd, 3) > 0)
            write_at(f, 0, p, random_below(&rnd, 4) == 0 ? sizeof p : 1 + random_below(&rnd, 9000));
        for (uint64_t n = random_below(&rnd, 3); n > 0; n--) {
            snprintf(name, sizeof name, "l%d-%d", i, (int)n);
            link_to(f, dirs[random_below(&rnd, DIRS)], name);
        }
    }
    for (int i = 0; i < 10; i++) { /* so that old records can be back */
        snprintf(name, sizeof name, "d%d", 1 + (int)random_below(&rnd, DIRS - 1));
        for (int d = 0; d < DIRS; d++)
            if (exists(dirs[d], name))
                fs_rename(fs, dirs[d], name, dirs[random_below(&rnd, DIRS)], name, 0);
    }
}

struct record {
    struct fs_key key;
    struct buf value;
};

static size_t all_entries(struct record *out, size_t most)
{
    struct iter *it = store_iter(fs_store(fs), NULL);
    size_t n = 0;
    for (iter_first(it); it->valid && n < most; iter_next(it)) {
        if (it->key.data[0] != KEY_ENTRY && it->key.data[0] != KEY_INODE)
            continue;
        out[n] = (struct record){.key = {.len = it->key.len}};
        memcpy(out[n].key.bytes, it->key.data, it->key.len);
        buf_set(&out[n++].value, it->value);
    }
    ck_assert_int_eq(it->status, 0);
    iter_destroy(it);
    return n;
}

/* It is no file whose data is gone: that would be lost, and is not what is looked for here. */
static bool may_be_back(const struct record *r)
{
    enum entry_kind kind;
    struct inode i;
    uint64_t ino = get_be64(r->key.bytes + 1);
    struct slice value = buf_slice(&r->value);
    ck_assert_int_eq(r->key.bytes[0] == KEY_ENTRY ? entry_decode(value, &ino, &kind, &i)
                                                  : inode_decode(&i, value),
                     0);
    bool has_data = S_ISREG(i.mode) && i.size > 0;
    inode_free(&i);
    return !has_data || count_records(KEY_EXTENT, ino) > 0;
}

/* Loses some records, and brings old ones back. */
static void harm(const struct record *old, size_t olds)
{
    static struct record now[2000];
    size_t n = all_entries(now, 2000);
    for (uint64_t i = 1 + random_below(&rnd, 20); i > 0; i--)
        lose(now[random_below(&rnd, n)].key);
    for (uint64_t i = random_below(&rnd, 10); i > 0; i--) {
        const struct record *r = &old[random_below(&rnd, olds)];
        if (may_be_back(r))
            put_back(r->key, buf_slice(&r->value));
    }
    for (size_t i = 0; i < n; i++)
        buf_free(&now[i].value);
}

struct names {
    size_t count;
    char name[400][FS_NAME_MAX + 1];
};

static bool take_name(void *arg, const struct fs_dirent *e)
{
    struct names *n = arg;
    ck_assert_uint_lt(n->count, 400);
    if (strcmp(e->name, ".") && strcmp(e->name, ".."))
        snprintf(n->name[n->count++], FS_NAME_MAX + 1, "%s", e->name);
    return true;
}

/* Reads all files below, and removes everything. */
static void remove_below(uint64_t dir)
{
    struct names *n = mem_zalloc(sizeof *n);
    struct fs_dir *d;
    ck_assert_int_eq(fs_opendir(fs, dir, &d), 0);
    ck_assert_int_eq(fs_readdir(fs, d, 0, FS_DIR_NAMES, take_name, n), 0);
    fs_closedir(fs, d);
    for (size_t i = 0; i < n->count; i++) {
        uint64_t ino = find(dir, n->name[i]);
        if (S_ISDIR(stat_of(ino).st_mode)) {
            remove_below(ino);
            fs_forget(fs, ino, 1);
            ck_assert_int_eq(fs_rmdir(fs, dir, n->name[i]), 0);
        } else {
            static char p[70000];
            ck_assert_int_eq(fs_read(fs, ino, p, sizeof p, 0), stat_of(ino).st_size);
            fs_forget(fs, ino, 1);
            ck_assert_int_eq(fs_unlink(fs, dir, n->name[i]), 0);
        }
    }
    free(n);
}

START_TEST(whatever_is_left_can_be_reached_and_removed)
{
    rnd.state = random_seed() + (uint64_t)_i;
    for (int i = random_iterations(3); i > 0; i--) {
        static struct record old[2000];
        grow_tree();
        size_t olds = all_entries(old, 2000), data = (size_t)count_records(KEY_EXTENT, 0);
        fixture_reopen(); /* (nothing is open: what is unlinked is gone) */
        remove_below(find(FS_ROOT, exists(FS_ROOT, "d1") ? "d1" : "."));
        fixture_settle();
        data = (size_t)count_records(KEY_EXTENT, 0);
        harm(old, olds);
        kill_and_repair();
        check_store(fs, CHECK_NO_GARBAGE);
        ck_assert_uint_eq((size_t)count_records(KEY_EXTENT, 0), data);
        kill_and_repair();
        check_store(fs, CHECK_NO_GARBAGE);
        fixture_reopen();
        remove_below(FS_ROOT);
        fixture_settle();
        check_store(fs, CHECK_NOTHING_OPEN);
        ck_assert_int_eq(count_records(KEY_ENTRY, 0), 0);
        ck_assert_int_eq(count_records(KEY_INODE, 0), 1);
        ck_assert_int_eq(count_records(KEY_EXTENT, 0), 0);
        for (size_t r = 0; r < olds; r++)
            buf_free(&old[r].value);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mend_tree");
    TCase *tc = tcase_create("mend_tree");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, a_lost_folders_names_are_found);
    tcase_add_test(tc, a_lost_files_data_is_found);
    tcase_add_test(tc, a_name_whose_inode_is_lost_keeps_its_data);
    tcase_add_test(tc, a_name_of_nothing_goes);
    tcase_add_test(tc, attributes_of_nothing_go);
    tcase_add_test(tc, an_inode_without_a_name_gets_one);
    tcase_add_test(tc, folders_in_each_other_are_taken_apart);
    tcase_add_test(tc, an_old_link_that_is_back_takes_nothing_with_it);
    tcase_add_test(tc, an_inode_in_an_entry_that_has_other_names_is_one_with_links);
    tcase_add_test(tc, lost_names_count_no_more);
    tcase_add_test(tc, many_inodes_move_out_of_their_entries_once);
    tcase_add_test(tc, a_file_is_as_long_as_its_data);
    tcase_add_test(tc, zeroes_at_the_end_are_data);
    tcase_add_test(tc, a_truncation_goes_on_and_an_old_one_does_not);
    tcase_add_test(tc, a_lost_file_that_was_being_cut_is_found);
    tcase_add_test(tc, a_block_that_is_there_twice_is_the_one_of_its_own);
    tcase_add_test(tc, a_file_with_lost_blocks_can_be_cut_written_and_removed);
    tcase_add_test(tc, a_damaged_record_is_as_good_as_lost);
    tcase_add_test(tc, wrong_bits_harm_nothing_else);
    tcase_add_test(tc, what_has_data_is_a_file);
    tcase_add_test(tc, an_unknown_record_of_a_known_format_is_damage);
    tcase_add_test(tc, what_is_of_a_newer_format_is_left_alone);
    tcase_add_test(tc, a_large_hole_of_a_found_file_costs_nothing);
    tcase_add_test(tc, data_of_what_is_no_file_goes);
    tcase_add_test(tc, what_is_called_lost_and_found_is_left_alone);
    tcase_add_test(tc, a_whole_tree_stays_as_it_is);
    tcase_add_loop_test(tc, whatever_is_left_can_be_reached_and_removed, 0, 4);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
