/* What is not a store, is of another kind, or is asked for what cannot be: each gets one clear
 * line, and nothing is changed. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../env/env.h"
#include "../store.h"
#include "../version/edit.h"
#include "../version/file_name.h"
#include "../version/version_set.h"
#include "harm.h"
#include "run_suite.h"
#include "temp_dir.h"

static struct store *store;
static struct store_options options;

static void setup(void)
{
    temp_dir_clear();
    store_options_init(&options);
    store = NULL;
}

static void make_store(void)
{
    ck_assert_int_eq(store_open(temp_path("db"), &options, &store), 0);
    ck_assert_int_eq(store_put(store, slice_str("key"), slice_str("value"), true), 0);
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
}

static void write_text(const char *name, const char *text)
{
    char *path = mem_printf("%s/%s", temp_path("db"), name);
    FILE *f = fopen(path, "w");
    ck_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
    free(path);
}

/* The open is refused with the code, and a line that has both words. */
static void expect_refusal(int code, const char *word, const char *other)
{
    int rc = store_open(temp_path("db"), &options, &store);
    ck_assert_msg(rc == code, "%d instead of %d: %s", rc, code, rc ? fail_text() : "it opens");
    ck_assert_msg(strstr(fail_text(), word) && strstr(fail_text(), other), "%s", fail_text());
    ck_assert_msg(strchr(fail_text(), '\n') == NULL, "%s", fail_text());
}

START_TEST(a_folder_with_other_files_is_left_alone)
{
    ck_assert_int_eq(mkdir(temp_path("db"), 0755), 0);
    write_text("notes.txt", "mine");
    expect_refusal(STORE_EFORMAT, "not a store", "empty folder");
    ck_assert(!env_exists(env_posix(), temp_path("db/CURRENT")));
    ck_assert(env_exists(env_posix(), temp_path("db/notes.txt")));
}
END_TEST

START_TEST(a_file_in_the_place_of_the_folder_is_told)
{
    FILE *f = fopen(temp_path("db"), "w");
    ck_assert(f && fclose(f) == 0);
    expect_refusal(-ENOTDIR, temp_path("db"), "");
}
END_TEST

START_TEST(no_store_where_none_may_be_made)
{
    options.create_if_missing = false;
    expect_refusal(-ENOENT, temp_path("db"), "no such store");
    ck_assert(!env_exists(env_posix(), temp_path("db")));
}
END_TEST

START_TEST(a_store_where_there_must_be_none)
{
    make_store();
    options.error_if_exists = true;
    expect_refusal(-EEXIST, temp_path("db"), "error_if_exists");
}
END_TEST

START_TEST(a_store_in_use_names_who_uses_it)
{
    struct store *second;
    char pid[32];
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    ck_assert_int_eq(store_open(temp_path("db"), &options, &store), 0);
    ck_assert_int_eq(store_open(temp_path("db"), &options, &second), -EWOULDBLOCK);
    ck_assert_msg(strstr(fail_text(), pid) != NULL, "%s", fail_text());
    store_close(store);
}
END_TEST

START_TEST(current_that_names_no_manifest)
{
    make_store();
    write_text("CURRENT", "MANIFEST-999999\n");
    expect_refusal(STORE_ECORRUPT, "MANIFEST-999999", "missing");
    write_text("CURRENT", "something\n");
    expect_refusal(STORE_ECORRUPT, "CURRENT", "something");
    write_text("CURRENT", "");
    expect_refusal(STORE_ECORRUPT, "CURRENT", "");
}
END_TEST

START_TEST(another_comparator_is_named)
{
    struct edit e;
    make_store();
    edit_init(&e);
    e.has_comparator = true;
    buf_set(&e.comparator, slice_str("my.own.order"));
    harm_manifest(env_posix(), temp_path("db"), &e, slice_of(NULL, 0));
    expect_refusal(STORE_EFORMAT, "my.own.order", "leveldb.BytewiseComparator");
    edit_free(&e);
}
END_TEST

START_TEST(a_record_of_a_newer_format_is_refused)
{
    struct edit e;
    make_store();
    edit_init(&e);
    e.has_log_number = true;
    e.log_number = 1;
    harm_manifest(env_posix(), temp_path("db"), &e, slice_of("\x7f\x01", 2));
    expect_refusal(STORE_EFORMAT, "MANIFEST", "127");
    edit_free(&e);
}
END_TEST

START_TEST(a_missing_table_is_named)
{
    struct edit e;
    make_store();
    edit_init(&e);
    edit_add_file(&e, 1, 77, 1000, slice_of("a\1\1\0\0\0\0\0\0", 9),
                  slice_of("b\1\1\0\0\0\0\0\0", 9));
    harm_manifest(env_posix(), temp_path("db"), &e, slice_of(NULL, 0));
    expect_refusal(STORE_ECORRUPT, "000077.ldb", "missing");
    edit_free(&e);
}
END_TEST

/* Root reads everything, so it is somebody else who tries. */
START_TEST(an_unreadable_folder_is_named)
{
    int status;
    make_store();
    ck_assert_int_eq(chmod(temp_path("db"), 0), 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && seteuid(65534) != 0)
            _exit(2);
        int rc = store_open(temp_path("db"), &options, &store);
        _exit(rc == -EACCES && strstr(fail_text(), temp_path("db")) ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(chmod(temp_path("db"), 0755), 0);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- keys and values */

static int put_sized(size_t key_len, size_t value_len)
{
    char *key = mem_zalloc(key_len + 1), *value = mem_zalloc(value_len + 1);
    int rc = store_put(store, slice_of(key, key_len), slice_of(value, value_len), false);
    free(key);
    free(value);
    return rc;
}

START_TEST(an_empty_key_is_a_key)
{
    struct buf value = BUF_INIT;
    ck_assert_int_eq(store_open(temp_path("db"), &options, &store), 0);
    ck_assert_int_eq(store_put(store, slice_of("", 0), slice_str("nothing"), false), 0);
    ck_assert_int_eq(store_flush(store), 0);
    ck_assert_int_eq(store_get(store, NULL, slice_of("", 0), &value), 0);
    ck_assert(slice_equal(buf_slice(&value), slice_str("nothing")));
    buf_free(&value);
    store_close(store);
}
END_TEST

START_TEST(limits_are_kept_and_told)
{
    struct buf value = BUF_INIT;
    char *key = mem_zalloc(STORE_MAX_KEY);
    ck_assert_int_eq(store_open(temp_path("db"), &options, &store), 0);
    ck_assert_int_eq(put_sized(STORE_MAX_KEY, 10), 0);
    ck_assert_int_eq(put_sized(STORE_MAX_KEY + 1, 10), -EMSGSIZE);
    ck_assert_msg(strstr(fail_text(), "65537 bytes") && strstr(fail_text(), "65536"), "%s",
                  fail_text());
    ck_assert_int_eq(put_sized(3, (size_t)STORE_MAX_VALUE + 1), -EMSGSIZE);
    ck_assert_int_eq(put_sized(3, 20u << 20), 0); /* far larger than the memtable */
    ck_assert_int_eq(store_get(store, NULL, slice_of(key, 3), &value), 0);
    ck_assert_uint_eq(value.len, 20u << 20);
    ck_assert_int_eq(store_close(store), 0);
    ck_assert_int_eq(store_open(temp_path("db"), &options, &store), 0);
    ck_assert_int_eq(store_get(store, NULL, slice_of(key, STORE_MAX_KEY), &value), 0);
    ck_assert_int_eq(store_get(store, NULL, slice_of(key, 3), &value), 0);
    ck_assert_uint_eq(value.len, 20u << 20);
    store_close(store);
    buf_free(&value);
    free(key);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bad_input");
    TCase *tc = tcase_create("bad_input");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, a_folder_with_other_files_is_left_alone);
    tcase_add_test(tc, a_file_in_the_place_of_the_folder_is_told);
    tcase_add_test(tc, no_store_where_none_may_be_made);
    tcase_add_test(tc, a_store_where_there_must_be_none);
    tcase_add_test(tc, a_store_in_use_names_who_uses_it);
    tcase_add_test(tc, current_that_names_no_manifest);
    tcase_add_test(tc, another_comparator_is_named);
    tcase_add_test(tc, a_record_of_a_newer_format_is_refused);
    tcase_add_test(tc, a_missing_table_is_named);
    tcase_add_test(tc, an_unreadable_folder_is_named);
    tcase_add_test(tc, an_empty_key_is_a_key);
    tcase_add_test(tc, limits_are_kept_and_told);
    suite_add_tcase(suite, tc);
    temp_dir_make();
    int result = run_suite(suite);
    temp_dir_remove();
    return result;
}
