/* EMLINK: no count of links grows beyond FS_LINK_MAX. The counts are put into the records, as if
 * the links had been made, and put right again at the end: teardown checks them. */
#include <check.h>
#include <linux/fs.h>

#include "../../store/tests/run_suite.h"
#include "../format/inode_format.h"
#include "../format/keys_format.h"
#include "fixture.h"

static struct stat st;

/* Of an inode that has a record of its own: the root, or one that had two links. The filesystem is
 * opened anew: no reference is left. */
static void set_links(uint64_t ino, uint32_t links)
{
    struct fs_key key = key_of(KEY_INODE, ino);
    struct buf value = BUF_INIT;
    struct inode i;
    struct store_batch b = STORE_BATCH_INIT;
    fixture_reopen();
    ck_assert_int_eq(store_get(fs_store(fs), NULL, key_slice(&key), &value), 0);
    ck_assert_int_eq(inode_decode(&i, buf_slice(&value)), 0);
    i.nlink = links;
    buf_clear(&value);
    inode_encode(&i, &value);
    store_batch_put(&b, key_slice(&key), buf_slice(&value));
    ck_assert_int_eq(store_write(fs_store(fs), &b, false), 0);
    store_batch_free(&b);
    buf_free(&value);
    fixture_reopen();
}

START_TEST(a_file_takes_FS_LINK_MAX_links_and_no_more)
{
    uint64_t f = make_file(FS_ROOT, "f");
    ck_assert_int_eq(fs_link(fs, f, FS_ROOT, "two", &st), 0);
    set_links(f, FS_LINK_MAX - 1);
    ck_assert_uint_eq(find(FS_ROOT, "f"), f);
    ck_assert_int_eq(fs_link(fs, f, FS_ROOT, "last", &st), 0);
    ck_assert_uint_eq(st.st_nlink, FS_LINK_MAX);
    ck_assert_int_eq(fs_link(fs, f, FS_ROOT, "more", &st), -EMLINK);
    ck_assert(!exists(FS_ROOT, "more"));
    ck_assert_uint_eq(stat_of(f).st_nlink, FS_LINK_MAX);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "last", FS_ROOT, "renamed", 0), 0);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "renamed"), 0);
    ck_assert_int_eq(fs_link(fs, f, FS_ROOT, "again", &st), 0);
    set_links(f, 3);
}
END_TEST

START_TEST(a_directory_takes_that_many_links_from_the_directories_in_it)
{
    const struct fs_caller me = {0};
    uint64_t d = make_dir(FS_ROOT, "d");
    make_dir(d, "a");
    make_dir(d, "b");
    make_dir(FS_ROOT, "c");
    set_links(FS_ROOT, FS_LINK_MAX);
    d = find(FS_ROOT, "d");
    find(FS_ROOT, "c");
    ck_assert_int_eq(fs_make(fs, &me, FS_ROOT, "new", S_IFDIR | 0755, 0, NULL, &st), -EMLINK);
    ck_assert_int_eq(fs_make(fs, &me, FS_ROOT, "file", S_IFREG | 0644, 0, NULL, &st), 0);
    find(d, "a");
    find(d, "b");
    ck_assert_int_eq(fs_rename(fs, d, "a", FS_ROOT, "a", 0), -EMLINK);
    ck_assert_int_eq(fs_rename(fs, d, "a", FS_ROOT, "file", RENAME_EXCHANGE), -EMLINK);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "file", d, "a", RENAME_EXCHANGE), -EMLINK);
    ck_assert(exists(d, "a") && !exists(FS_ROOT, "a"));
    /* What leaves the count as it is works. */
    ck_assert_int_eq(fs_rename(fs, d, "a", FS_ROOT, "c", 0), 0);
    ck_assert_int_eq(fs_rename(fs, d, "b", FS_ROOT, "c", RENAME_EXCHANGE), 0);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "c", FS_ROOT, "e", 0), 0);
    ck_assert_uint_eq(stat_of(FS_ROOT).st_nlink, FS_LINK_MAX);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "e", d, "e", 0), 0);
    ck_assert_int_eq(fs_make(fs, &me, FS_ROOT, "new", S_IFDIR | 0755, 0, NULL, &st), 0);
    set_links(FS_ROOT, 4); /* itself twice, d, new */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link_max");
    TCase *tc = tcase_create("link_max");
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, a_file_takes_FS_LINK_MAX_links_and_no_more);
    tcase_add_test(tc, a_directory_takes_that_many_links_from_the_directories_in_it);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
