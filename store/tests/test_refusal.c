/* A store whose files are missing, too short, unreadable or of another kind: the file is named, and
 * the refusal leaves every file as it was. On the real disk. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/error.h"
#include "../log/log_writer.h"
#include "../store.h"
#include "../version/edit.h"
#include "../version/file_name.h"
#include "run_suite.h"
#include "temp_dir.h"

static struct store *store;
static struct store_options options;

static void setup(void)
{
    temp_dir_clear();
    store_options_init(&options);
    options.reserve_bytes = 0;
    store = NULL;
}

static void teardown(void)
{
    store_close(store);
}

static const char *db(void)
{
    return temp_path("db");
}

static void open_it(void)
{
    ck_assert_msg(store_open(db(), &options, &store) == 0, "%s", fail_text());
}

static void close_it(void)
{
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
}

/* A closed store with a table and a log. */
static void make_store(void)
{
    open_it();
    ck_assert_int_eq(store_put(store, slice_str("k"), slice_str("v"), true), 0);
    close_it();
}

/* ---- files */

struct search {
    enum name_kind kind;
    char *name;
    uint64_t number;
};

static void match(void *arg, const char *name)
{
    struct search *s = arg;
    uint64_t number = 0;
    if (name_parse(name, &number) != s->kind || (s->name && number <= s->number))
        return;
    free(s->name);
    s->name = mem_printf("%s", name);
    s->number = number;
}

/* The path of the newest file of that kind (an older one may lie there still); free() it. */
static char *file_of(enum name_kind kind)
{
    struct search s = {.kind = kind};
    ck_assert_int_eq(env_list(env_posix(), db(), match, &s), 0);
    ck_assert_ptr_nonnull(s.name);
    char *path = mem_printf("%s/%s", db(), s.name);
    free(s.name);
    return path;
}

static void write_text(const char *path, const char *text)
{
    ck_assert_int_eq(env_replace_file(env_posix(), path, slice_str(text)), 0);
}

static void add_to_sum(void *arg, const char *name)
{
    uint64_t number, *sum = arg;
    enum name_kind kind = name_parse(name, &number);
    struct buf bytes = BUF_INIT;
    if (kind == NAME_LOCK || kind == NAME_INFO_LOG)
        return;
    char *path = mem_printf("%s/%s", db(), name);
    uint64_t h = 14695981039346656037u;
    for (const char *p = name; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    if (env_read_file(env_posix(), path, &bytes) == 0)
        for (size_t i = 0; i < bytes.len; i++)
            h = (h ^ (unsigned char)bytes.data[i]) * 1099511628211u;
    *sum += h;
    buf_free(&bytes);
    free(path);
}

/* Of all names and bytes, but those of LOCK and LOG. */
static uint64_t folder_sum(void)
{
    uint64_t sum = 0;
    env_list(env_posix(), db(), add_to_sum, &sum);
    return sum;
}

static void refused(int code, const char *path, const char *words)
{
    uint64_t before = folder_sum();
    ck_assert_int_eq(store_open(db(), &options, &store), code);
    ck_assert_msg(strstr(fail_text(), path) && strstr(fail_text(), words), "the text is: %s",
                  fail_text());
    ck_assert_msg(!strchr(fail_text(), '\n'), "more than a line: %s", fail_text());
    ck_assert_uint_eq(folder_sum(), before);
}

/* ---- the folder */

START_TEST(a_missing_parent_is_named)
{
    const char *deep = temp_path("none/db");
    ck_assert_int_eq(store_open(deep, &options, &store), -ENOENT);
    ck_assert_msg(strstr(fail_text(), deep) != NULL, "%s", fail_text());
}
END_TEST

/* ---- CURRENT and the MANIFEST */

START_TEST(a_CURRENT_that_names_no_manifest_is_refused)
{
    static const char *const texts[] = {"",
                                        "\n",
                                        "MANIFEST-000001",
                                        "000003.log\n",
                                        "MANI-1\n",
                                        "../MANIFEST-000001\n",
                                        "MANIFEST-000001\nMANIFEST-000002\n"};
    make_store();
    char *current = mem_printf("%s/CURRENT", db());
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_text(current, texts[i]);
        refused(STORE_ECORRUPT, current, "MANIFEST");
    }
    write_text(current, "MANIFEST-099999\n");
    refused(STORE_ECORRUPT, "MANIFEST-099999", "missing, though CURRENT names it");
    free(current);
}
END_TEST

/* Replaces the MANIFEST by one with this record. */
static void write_manifest(struct slice record)
{
    struct env_file *f;
    struct log_writer w;
    char *manifest = file_of(NAME_MANIFEST);
    ck_assert_int_eq(env_open(env_posix(), manifest, ENV_WRITE | ENV_TRUNCATE, &f), 0);
    log_writer_init(&w, env_posix(), f);
    ck_assert_int_eq(log_append(&w, record), 0);
    log_writer_free(&w);
    env_close(env_posix(), f);
    free(manifest);
}

START_TEST(another_comparator_is_refused_by_name)
{
    struct edit e;
    struct buf record = BUF_INIT;
    make_store();
    edit_init(&e);
    e.has_comparator = true;
    buf_set(&e.comparator, slice_str("rocksdb.ReverseBytewiseComparator"));
    edit_encode(&e, &record);
    write_manifest(buf_slice(&record));
    refused(STORE_EFORMAT, "MANIFEST-", "rocksdb.ReverseBytewiseComparator");
    options.repair = true; /* what it says can be read, and means something else */
    refused(STORE_EFORMAT, "MANIFEST-", "rocksdb.ReverseBytewiseComparator");
    buf_free(&record);
    edit_free(&e);
}
END_TEST

START_TEST(a_field_of_a_newer_format_in_the_manifest_is_refused)
{
    struct edit e;
    struct buf record = BUF_INIT;
    make_store();
    edit_init(&e);
    e.has_comparator = true;
    buf_set(&e.comparator, slice_str(EDIT_COMPARATOR_NAME));
    edit_encode(&e, &record);
    buf_append(&record, "\xc8\x01\x05", 3); /* field 200 */
    write_manifest(buf_slice(&record));
    refused(STORE_EFORMAT, "MANIFEST-", "offset 0");
    options.repair = true;
    refused(STORE_EFORMAT, "MANIFEST-", "offset 0");
    buf_free(&record);
    edit_free(&e);
}
END_TEST

/* ---- tables and logs */

START_TEST(a_table_that_is_missing_or_of_another_size_is_refused)
{
    make_store();
    char *table = file_of(NAME_TABLE), *away = mem_printf("%s.away", table);
    ck_assert_int_eq(rename(table, away), 0);
    refused(STORE_ECORRUPT, table, "missing, though the MANIFEST lists it");
    ck_assert_int_eq(rename(away, table), 0);
    ck_assert_int_eq(truncate(table, 40), 0);
    refused(STORE_ECORRUPT, table, "40 bytes long, though the MANIFEST says");
    free(table);
    free(away);
}
END_TEST

START_TEST(a_missing_log_is_refused)
{
    make_store();
    char *log = file_of(NAME_LOG);
    ck_assert_int_eq(unlink(log), 0);
    refused(STORE_ECORRUPT, log, "missing, though the MANIFEST names it");
    free(log);
}
END_TEST

/* ---- rights: as another user, since root may do anything */

static void as_nobody(void (*what)(void))
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
            _exit(9);
        what();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

/* Everyone may do all with the store, but for what follows. */
static void open_rights(void)
{
    static const enum name_kind kinds[] = {NAME_TABLE,    NAME_LOG,  NAME_CURRENT,
                                           NAME_MANIFEST, NAME_LOCK, NAME_INFO_LOG};
    ck_assert_int_eq(chmod(temp_dir(), 0755), 0);
    ck_assert_int_eq(chmod(db(), 0777), 0);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char *path = file_of(kinds[i]);
        ck_assert_int_eq(chmod(path, 0666), 0);
        free(path);
    }
}

static char *without_rights;

static void is_named(void)
{
    struct store *s;
    int rc = store_open(db(), &options, &s);
    if (rc != -EACCES || !strstr(fail_text(), without_rights)) {
        fprintf(stderr, "%d, %s: %s\n", rc, without_rights, fail_text());
        _exit(1);
    }
}

START_TEST(files_that_may_not_be_read_are_named)
{
    static const enum name_kind kinds[] = {NAME_TABLE, NAME_LOG, NAME_CURRENT, NAME_MANIFEST,
                                           NAME_LOCK};
    make_store();
    open_rights();
    uint64_t before = folder_sum();
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        without_rights = file_of(kinds[i]);
        ck_assert_int_eq(chmod(without_rights, 0), 0);
        as_nobody(is_named);
        ck_assert_int_eq(chmod(without_rights, 0666), 0);
        free(without_rights);
    }
    if (geteuid() == 0)
        ck_assert_uint_eq(folder_sum(), before);
    open_it(); /* and none of it did harm */
}
END_TEST

START_TEST(a_folder_that_may_not_be_written_is_named)
{
    make_store();
    open_rights();
    ck_assert_int_eq(chmod(db(), 0555), 0);
    without_rights = mem_printf("%s", db());
    as_nobody(is_named);
    ck_assert_int_eq(chmod(db(), 0777), 0);
    free(without_rights);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_missing_parent_is_named,
                                  a_CURRENT_that_names_no_manifest_is_refused,
                                  another_comparator_is_refused_by_name,
                                  a_field_of_a_newer_format_in_the_manifest_is_refused,
                                  a_table_that_is_missing_or_of_another_size_is_refused,
                                  a_missing_log_is_refused,
                                  files_that_may_not_be_read_are_named,
                                  a_folder_that_may_not_be_written_is_named,
                                  NULL};
    temp_dir_make();
    int code = run_tests("refusal", 60, setup, teardown, tests);
    temp_dir_remove();
    return code;
}
