/* fs_check: nothing to say of what is whole, and a line for each thing that is not. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../store/tests/run_suite.h"
#include "../format/chunk_format.h"
#include "../format/count_format.h"
#include "../format/garbage_format.h"
#include "../format/inode_format.h"
#include "../format/keys_format.h"
#include "../../store/tests/env_sim.h"
#include "chunk_fixture.h"

static struct buf said;

static void hear(void *arg, const char *line)
{
    (void)arg;
    buf_append(&said, line, strlen(line));
    buf_append(&said, "\n", 1);
}

static int run_check(void)
{
    buf_clear(&said);
    int n = fs_check(fs, hear, NULL);
    buf_append(&said, "", 1);
    return n;
}

static void expect(const char *what)
{
    int n = run_check();
    ck_assert_msg(n >= 1 && strstr(said.data, what), "%d findings: %s", n, said.data);
}

static void put(struct fs_key key, struct slice value)
{
    ck_assert_int_eq(store_put(fs_store(fs), key_slice(&key), value, false), 0);
}

static void del(struct fs_key key)
{
    ck_assert_int_eq(store_delete(fs_store(fs), key_slice(&key), false), 0);
}

static uint64_t file, dir, linked;

static void setup(void)
{
    fixture_setup();
    dir = make_dir(FS_ROOT, "dir");
    file = make_file(dir, "file");
    write_at(file, 0, "some bytes", 10);
    set_size(file, 3 * FS_BLOCK);
    linked = make_file(dir, "linked");
    struct stat st;
    ck_assert_int_eq(fs_link(fs, linked, FS_ROOT, "other", &st), 0);
    fs_forget(fs, linked, 1);
    ck_assert_int_eq(run_check(), 0);
}

static void teardown(void)
{
    buf_free(&said);
    fixture_close(); /* not fixture_teardown(), which wants the store whole */
    env_sim_free(disk);
}

START_TEST(a_name_that_is_gone_is_found)
{
    del(key_named(KEY_ENTRY, dir, "file"));
    expect("not as many names as it says");
    expect("data or attributes of an inode that is not there");
}
END_TEST

START_TEST(an_inode_that_is_gone_is_found)
{
    del(key_named(KEY_ENTRY, FS_ROOT, "dir"));
    expect("names in a directory that is not there");
}
END_TEST

START_TEST(a_link_count_that_is_wrong_is_found)
{
    del(key_named(KEY_ENTRY, FS_ROOT, "other"));
    expect("it has not as many names as it says");
}
END_TEST

/* Likewise of data. Zeroes would be wrong. */
START_TEST(a_lost_block_of_a_file_without_holes_is_an_error_and_no_zeroes)
{
    char p[3 * FS_BLOCK];
    memset(p, 'x', sizeof p);
    uint64_t full = make_file(dir, "full");
    write_at(full, 0, p, sizeof p);
    del(key_extent(full, FS_BLOCK));
    expect("blocks of the file are missing");
    ck_assert_int_eq(fs_read(fs, full, p, 10, FS_BLOCK), -EIO);
    ck_assert_int_eq(fs_read(fs, full, p, sizeof p, 0), -EIO);
    ck_assert_int_eq(fs_read(fs, full, p, FS_BLOCK, 2 * FS_BLOCK), FS_BLOCK);
    ck_assert_int_eq(fs_write(fs, full, "y", 1, FS_BLOCK + 10, false), -EIO);
    ck_assert_int_eq(fs_write(fs, full, p, FS_BLOCK, FS_BLOCK, false), 0);
    ck_assert_int_eq(fs_read(fs, full, p, sizeof p, 0), sizeof p);
    ck_assert_int_eq(run_check(), 0);
}
END_TEST

static void say_entries(struct fs_key key, uint64_t entries)
{
    struct buf value = BUF_INIT;
    struct inode i;
    enum entry_kind kind;
    uint64_t ino;
    ck_assert_int_eq(store_get(fs_store(fs), NULL, key_slice(&key), &value), 0);
    ck_assert_int_eq(entry_decode(buf_slice(&value), &ino, &kind, &i), 0);
    i.entries = entries;
    buf_clear(&value);
    entry_encode_inode(ino, &i, &value);
    put(key, buf_slice(&value));
    buf_free(&value);
}

/* After a repair an older inode of a directory may be back beside its newer names, and the other
 * way round. */
START_TEST(a_count_of_names_that_is_wrong_loses_no_file_and_keeps_no_directory)
{
    uint64_t many = make_dir(FS_ROOT, "many");
    make_file(many, "one");
    make_dir(FS_ROOT, "source");
    fixture_reopen();
    say_entries(key_named(KEY_ENTRY, FS_ROOT, "dir"), 0);  /* it has two */
    say_entries(key_named(KEY_ENTRY, FS_ROOT, "many"), 3); /* it has one */
    dir = find(FS_ROOT, "dir");
    many = find(FS_ROOT, "many");
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "dir"), -ENOTEMPTY);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "source", FS_ROOT, "dir", 0), -ENOTEMPTY);
    ck_assert_int_eq(fs_unlink(fs, dir, "file"), 0);
    ck_assert_int_eq(fs_unlink(fs, dir, "linked"), 0);
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "dir"), 0);
    ck_assert_int_eq(fs_unlink(fs, many, "one"), 0);
    ck_assert_int_eq(fs_rmdir(fs, FS_ROOT, "many"), 0);
}
END_TEST

static bool count_names(void *arg, const struct fs_dirent *e)
{
    int *n = arg;
    ++*n;
    ck_assert(!e->looked_up || strcmp(e->name, "linked") != 0);
    return true;
}

/* What a repair can leave (the table with the inode's record is lost, that with the names is not).
 */
START_TEST(a_name_of_a_lost_inode_is_an_error_and_no_endless_search)
{
    struct stat st;
    struct fs_dir *d;
    fs_forget(fs, linked, 1);
    del(key_of(KEY_INODE, linked));
    expect("a name of an inode that is not there");
    ck_assert_int_eq(fs_lookup(fs, dir, "linked", &st), -EIO);
    ck_assert_int_eq(fs_unlink(fs, dir, "linked"), -EIO);
    ck_assert_int_eq(fs_rename(fs, dir, "file", dir, "linked", 0), -EIO);
    ck_assert_int_eq(fs_opendir(fs, dir, &d), 0);
    int names = 0;
    ck_assert_int_eq(fs_readdir(fs, d, 0, FS_DIR_PLUS, count_names, &names), 0);
    ck_assert_int_eq(names, 4);
    fs_closedir(fs, d);
}
END_TEST

static void set_links_of(struct fs_key key, uint32_t nlink)
{
    struct buf value = BUF_INIT;
    struct inode i;
    enum entry_kind kind;
    uint64_t ino;
    bool entry = key.bytes[0] == KEY_ENTRY;
    ck_assert_int_eq(store_get(fs_store(fs), NULL, key_slice(&key), &value), 0);
    ck_assert_int_eq(entry ? entry_decode(buf_slice(&value), &ino, &kind, &i)
                           : inode_decode(&i, buf_slice(&value)),
                     0);
    i.nlink = nlink;
    buf_clear(&value);
    if (entry)
        entry_encode_inode(ino, &i, &value);
    else
        inode_encode(&i, &value);
    put(key, buf_slice(&value));
    inode_free(&i);
    buf_free(&value);
}

START_TEST(an_inode_in_its_entry_has_one_name)
{
    set_links_of(key_named(KEY_ENTRY, dir, "file"), 2);
    expect("it has not as many names as it says");
}
END_TEST

/* Nothing would ever remove it: what is open without a name has no such record. */
START_TEST(an_inode_without_a_name_is_found)
{
    del(key_named(KEY_ENTRY, FS_ROOT, "other"));
    del(key_named(KEY_ENTRY, dir, "linked"));
    set_links_of(key_of(KEY_INODE, linked), 0);
    expect("an inode without a name");
}
END_TEST

/* The next mount would delete it. */
START_TEST(data_that_counts_as_garbage_is_found)
{
    struct buf value = BUF_INIT;
    garbage_encode(&(struct garbage_record){.gone = _i == 0, .from = FS_BLOCK}, &value);
    put(key_of(KEY_GARBAGE, file), buf_slice(&value));
    buf_free(&value);
    expect("its data counts as garbage");
}
END_TEST

START_TEST(blocks_that_do_not_belong_are_found)
{
    put(key_extent(file, 8 * FS_BLOCK), slice_of("\1x", 2));
    expect("data behind the end of the file");
    put(key_extent(dir, 0), slice_of("\1x", 2));
    expect("data of what is no file");
    put(key_extent(file, 5), slice_of("\1x", 2));
    expect("a damaged extent");
}
END_TEST

/* ---- chunks */

static uint64_t chunked;

/* A file of two chunks and a half; the first block of the second one has its own record. */
static void make_chunked(void)
{
    static char p[5 * FS_CHUNK / 2];
    memset(p, 'c', sizeof p);
    chunked = make_file(dir, "chunked");
    write_at(chunked, 0, p, sizeof p);
    write_at(chunked, FS_CHUNK, p, FS_BLOCK);
    ck_assert_int_eq(run_check(), 0);
}

static void put_chunk(uint64_t ino, uint64_t at, struct chunk c)
{
    struct buf value = BUF_INIT;
    chunk_encode(&c, &value);
    put(key_chunk(ino, at), buf_slice(&value));
    buf_free(&value);
}

static void put_owner(struct chunk c, uint64_t ino, uint64_t offset)
{
    struct buf value = BUF_INIT;
    place_owner_encode((struct place_owner){ino, offset}, &value);
    put(key_place(c.segment, c.place), buf_slice(&value));
    buf_free(&value);
}

START_TEST(a_chunk_without_a_place_is_found)
{
    make_chunked();
    struct chunk c = chunk_of(chunked, 0), second = chunk_of(chunked, FS_CHUNK);
    del(key_place(c.segment, c.place));
    expect("a chunk whose place is not known as its own: E");
    put_owner(c, chunked, FS_CHUNK); /* it is said to be another one's */
    expect("a chunk whose place is not known as its own: E");
    expect("a place of a chunk that is not there: P");
    put(key_place(c.segment, c.place), slice_of("?", 1));
    expect("a damaged place: P");
    put_owner(c, chunked, 0);
    ck_assert_int_eq(run_check(), 0);
    put_chunk(chunked, 0, second); /* two chunks in one place */
    expect("a chunk whose place is not known as its own: E");
}
END_TEST

START_TEST(a_place_without_a_chunk_is_found)
{
    make_chunked();
    struct chunk c = chunk_of(chunked, 0);
    del(key_chunk(chunked, 0));
    expect("a place of a chunk that is not there: P");
    expect("the file has not as many blocks as it says");
    expect("blocks of the file are missing");
    put_chunk(chunked, 0, c);
    ck_assert_int_eq(run_check(), 0);
    c.place += 16 * FS_CHUNK;
    put_owner(c, chunked, 0);
    expect("a place of a chunk that is not there: P");
}
END_TEST

START_TEST(blocks_in_use_that_count_as_free_are_found)
{
    make_chunked();
    struct chunk c = chunk_of(chunked, 0);
    put(key_freed(c.segment, c.place, 0x0100), slice_of(NULL, 0));
    expect("blocks of a chunk that count as free: F");
    del(key_freed(c.segment, c.place, 0x0100));
    ck_assert_int_eq(run_check(), 0);
}
END_TEST

START_TEST(a_block_that_is_stored_twice_is_found)
{
    static const uint64_t blocks[] = {0, 7, 15};
    make_chunked();
    put(key_extent(chunked, blocks[_i] * FS_BLOCK), slice_of("\1x", 2));
    expect("a block that is stored twice: E");
}
END_TEST

START_TEST(a_block_that_has_left_its_chunk_is_not_stored_twice)
{
    make_chunked();
    struct chunk c = chunk_of(chunked, FS_CHUNK);
    ck_assert_uint_eq(c.map, 0xfffe);
    c.map |= 1;
    put_chunk(chunked, FS_CHUNK, c);
    expect("a block that is stored twice: E");
}
END_TEST

START_TEST(a_chunk_behind_the_end_is_found)
{
    make_chunked();
    struct chunk c = chunk_of(chunked, 0);
    c.place += 16 * FS_CHUNK;
    put_chunk(chunked, 4 * FS_CHUNK, c);
    expect("data behind the end of the file");
}
END_TEST

/* A chunk that is whole, in a file that says it has none: its blocks would not be found. */
START_TEST(chunks_that_the_inode_does_not_know_of_are_found)
{
    make_chunked();
    put_chunk(file, 0, chunk_of(chunked, 0));
    expect("chunks that it does not know of");
    put_chunk(dir, 0, chunk_of(chunked, 0));
    expect("data of what is no file");
    put_chunk(777, 0, chunk_of(chunked, 0));
    expect("inode 777: data or attributes of an inode that is not there");
}
END_TEST

START_TEST(a_chunk_that_cannot_be_read_is_found)
{
    make_chunked();
    put(key_chunk(chunked, 0), slice_of("\2", 1));
    expect("a damaged chunk: E");
    put(key_extent(chunked, 2 * FS_BLOCK + 1), slice_of("\2", 1)); /* not where chunks are */
    expect("a damaged extent: E");
}
END_TEST

START_TEST(data_that_is_not_as_its_checksum_says_is_found)
{
    make_chunked();
    struct chunk c = chunk_of(chunked, 0);
    c.crc[3]++;
    put_chunk(chunked, 0, c);
    expect("its data at 12288 cannot be read: ");
    c.crc[3]--;
    c.map &= 0xfff7; /* who does not name it does not look at it */
    c.crc[3]++;
    put_chunk(chunked, 0, c);
    ck_assert_int_gt(run_check(), 0);
    ck_assert_ptr_null(strstr(said.data, "cannot be read"));
}
END_TEST

START_TEST(records_that_cannot_be_read_are_found)
{
    put(key_named(KEY_ENTRY, dir, "broken"), slice_of("\7", 1));
    expect("a damaged entry");
    put(key_of(KEY_INODE, 77), slice_of("\7", 1));
    expect("a damaged inode");
    put(key_of(KEY_GARBAGE, 77), slice_of("", 0));
    expect("a damaged garbage record");
    del(key_of(KEY_GARBAGE, 77));
    put(key_of('?', 77), slice_of("", 0));
    expect("not of this filesystem");
}
END_TEST

START_TEST(a_count_of_inodes_that_is_wrong)
{
    struct buf value = BUF_INIT;
    uint64_t next = store_last_sequence(fs_store(fs)) + 1;
    count_encode(&(struct count_record){.count = 5, .sequence = next}, &value);
    put(key_count(), buf_slice(&value));
    expect("5 inodes are counted, and 4 are there");
    put(key_count(), buf_slice(&value)); /* not the newest any more */
    ck_assert_int_eq(run_check(), 0);
    buf_free(&value);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("check");
    TCase *tc = tcase_create("check");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_name_that_is_gone_is_found);
    tcase_add_test(tc, an_inode_that_is_gone_is_found);
    tcase_add_test(tc, a_lost_block_of_a_file_without_holes_is_an_error_and_no_zeroes);
    tcase_add_test(tc, a_count_of_names_that_is_wrong_loses_no_file_and_keeps_no_directory);
    tcase_add_test(tc, a_name_of_a_lost_inode_is_an_error_and_no_endless_search);
    tcase_add_test(tc, a_link_count_that_is_wrong_is_found);
    tcase_add_test(tc, an_inode_in_its_entry_has_one_name);
    tcase_add_test(tc, an_inode_without_a_name_is_found);
    tcase_add_loop_test(tc, data_that_counts_as_garbage_is_found, 0, 2);
    tcase_add_test(tc, blocks_that_do_not_belong_are_found);
    tcase_add_test(tc, a_count_of_inodes_that_is_wrong);
    tcase_add_test(tc, records_that_cannot_be_read_are_found);
    tcase_add_test(tc, a_chunk_without_a_place_is_found);
    tcase_add_test(tc, a_place_without_a_chunk_is_found);
    tcase_add_test(tc, blocks_in_use_that_count_as_free_are_found);
    tcase_add_loop_test(tc, a_block_that_is_stored_twice_is_found, 0, 3);
    tcase_add_test(tc, a_block_that_has_left_its_chunk_is_not_stored_twice);
    tcase_add_test(tc, a_chunk_behind_the_end_is_found);
    tcase_add_test(tc, chunks_that_the_inode_does_not_know_of_are_found);
    tcase_add_test(tc, a_chunk_that_cannot_be_read_is_found);
    tcase_add_test(tc, data_that_is_not_as_its_checksum_says_is_found);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
