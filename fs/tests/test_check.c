/* fs_check: nothing to say of what is whole, and a line for each thing that is not. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../store/tests/run_suite.h"
#include "../format/count_format.h"
#include "../format/garbage_format.h"
#include "../format/inode_format.h"
#include "../format/keys_format.h"
#include "../../store/tests/env_sim.h"
#include "fixture.h"

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
    tcase_add_test(tc, a_link_count_that_is_wrong_is_found);
    tcase_add_test(tc, an_inode_in_its_entry_has_one_name);
    tcase_add_test(tc, an_inode_without_a_name_is_found);
    tcase_add_test(tc, blocks_that_do_not_belong_are_found);
    tcase_add_test(tc, a_count_of_inodes_that_is_wrong);
    tcase_add_test(tc, records_that_cannot_be_read_are_found);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
