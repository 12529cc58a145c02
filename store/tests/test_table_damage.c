/* Damage under a right checksum, which only a faulty writer leaves: it is told with the file and
 * the offset, costs no memory, and does not stick to an iterator that goes elsewhere. */
#include <check.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../base/error.h"
#include "../table/block_read.h"
#include "../table/table.h"
#include "../table/table_builder.h"
#include "harm.h"
#include "run_suite.h"
#include "temp_dir.h"

#define KEYS 32
#define DAMAGED 20 /* an index entry that a search for the first or the last key does not touch */

static struct env *env;

static void setup(void)
{
    env = env_posix();
    temp_dir_clear();
}

static void write_file(const char *path, const struct buf *bytes)
{
    struct env_file *f;
    ck_assert_int_eq(env_open(env, path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &f), 0);
    ck_assert_int_eq(env_pwrite(env, f, bytes->data, bytes->len, 0), 0);
    env_close(env, f);
}

/* ---- a compressed block */

/* The result of reading a file that is nothing but this one compressed block. */
static int read_snappy(const char *compressed, size_t n, char **data, size_t *len)
{
    struct buf bytes = BUF_INIT;
    struct env_file *f;
    const char *path = temp_path("block");
    buf_append(&bytes, compressed, n);
    buf_append(&bytes, (const char[TABLE_TRAILER_SIZE]){TABLE_SNAPPY}, TABLE_TRAILER_SIZE);
    harm_seal_block(bytes.data, n);
    write_file(path, &bytes);
    ck_assert_int_eq(env_open(env, path, ENV_READ, &f), 0);
    int rc = block_read(env, f, path, bytes.len, (struct block_handle){0, n}, data, len);
    env_close(env, f);
    buf_free(&bytes);
    return rc;
}

/* No more than a gigabyte beyond what the process has now (a sanitizer has a lot). */
static void limit_memory(struct rlimit *before)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%lu", &pages), 1);
    fclose(f);
    ck_assert_int_eq(getrlimit(RLIMIT_AS, before), 0);
    struct rlimit low = *before;
    low.rlim_cur = pages * (unsigned long)sysconf(_SC_PAGESIZE) + (1ul << 30);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &low), 0);
}

START_TEST(a_block_that_claims_gigabytes_is_refused_without_asking_for_them)
{
    struct buf claim = BUF_INIT;
    struct rlimit before;
    char *data;
    size_t len;
    buf_put_varint32(&claim, UINT32_MAX);
    buf_append(&claim, "\0x", 2); /* one literal byte */
    limit_memory(&before);
    int rc = read_snappy(claim.data, claim.len, &data, &len);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
    ck_assert_int_eq(rc, STORE_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(fail_text(), temp_path("block")));
    ck_assert_ptr_nonnull(strstr(fail_text(), "offset 0"));
    buf_free(&claim);
}
END_TEST

START_TEST(a_block_that_compresses_as_well_as_can_be_is_read)
{
    static const char zeroes[1 << 20];
    char *data, *compressed = mem_alloc(snappy_max_compressed_length(sizeof zeroes));
    size_t len, n = snappy_max_compressed_length(sizeof zeroes);
    ck_assert_int_eq(snappy_compress(zeroes, sizeof zeroes, compressed, &n), SNAPPY_OK);
    ck_assert_int_eq(read_snappy(compressed, n, &data, &len), 0);
    ck_assert(slice_equal(slice_of(data, len), slice_of(zeroes, sizeof zeroes)));
    free(data);
    free(compressed);
}
END_TEST

/* ---- the index block */

static struct buf ikey;

static struct slice nth_key(int i)
{
    char text[16];
    int n = snprintf(text, sizeof text, "key%02d", i);
    buf_clear(&ikey);
    buf_put_ikey(&ikey, slice_of(text, (size_t)n), 7, KEY_PUT);
    return buf_slice(&ikey);
}

/* A table of KEYS entries with a block for each. */
static void build(const char *path, struct slice value)
{
    const struct table_build_options o = {.block_bytes = 1, .restart_interval = 1};
    struct env_file *f;
    ck_assert_int_eq(env_open(env, path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &f), 0);
    struct table_builder *b = table_builder_new(env, f, path, &o);
    for (int i = 0; i < KEYS; i++)
        ck_assert_int_eq(table_builder_add(b, nth_key(i), value), 0);
    ck_assert_int_eq(table_builder_finish(b), 0);
    table_builder_free(b);
    env_close(env, f);
}

/* Gives an entry of the index a key that is longer than the block. Returns the block's offset. */
static uint64_t damage_index(const char *path)
{
    struct buf bytes = BUF_INIT;
    struct block_handle metaindex, index;
    ck_assert_int_eq(env_read_file(env, path, &bytes), 0);
    struct slice footer = slice_of(bytes.data + bytes.len - TABLE_FOOTER_SIZE, TABLE_FOOTER_SIZE);
    ck_assert(take_block_handle(&footer, &metaindex) && take_block_handle(&footer, &index));
    char *block = bytes.data + index.offset;
    const char *restarts = block + index.size - 4 - 4 * KEYS;
    ck_assert_uint_eq(get_fixed32(block + index.size - 4), KEYS);
    char *entry = block + get_fixed32(restarts + 4 * DAMAGED);
    memcpy(entry + 1, "\xff\xff\x03", 3);
    harm_seal_block(block, index.size);
    write_file(path, &bytes);
    buf_free(&bytes);
    return index.offset;
}

static struct table *open_table(const char *path)
{
    struct table *t;
    uint64_t size;
    struct env_file *f;
    ck_assert_int_eq(env_open(env, path, ENV_READ, &f), 0);
    ck_assert_int_eq(env_size(env, f, &size), 0);
    env_close(env, f);
    ck_assert_int_eq(table_open(env, path, size, 1, NULL, &t), 0);
    return t;
}

static struct table *open_damaged(uint64_t *index_offset)
{
    const char *path = temp_path("table");
    build(path, slice_str("value"));
    *index_offset = damage_index(path);
    return open_table(path);
}

static void check_told(int rc, uint64_t index_offset)
{
    char where[64];
    snprintf(where, sizeof where, "offset %llu:", (unsigned long long)index_offset);
    ck_assert_int_eq(rc, STORE_ECORRUPT);
    ck_assert_msg(strstr(fail_text(), temp_path("table")) && strstr(fail_text(), where),
                  "the words are: %s", fail_text());
}

START_TEST(a_get_that_meets_a_damaged_index_names_the_file_and_the_block)
{
    struct buf value = BUF_INIT;
    uint64_t at;
    int failed = 0;
    struct table *t = open_damaged(&at);
    for (int i = 0; i < KEYS; i++) {
        int rc = table_get(t, key_user(nth_key(i)), 9, &value);
        if (rc == 1) {
            ck_assert(slice_equal(buf_slice(&value), slice_str("value")));
            continue;
        }
        check_told(rc, at);
        failed++;
    }
    ck_assert_int_gt(failed, 0);
    ck_assert_int_lt(failed, KEYS);
    table_close(t);
    buf_free(&value);
}
END_TEST

START_TEST(an_iterator_stops_at_a_damaged_index_and_is_whole_again_elsewhere)
{
    uint64_t at;
    struct table *t = open_damaged(&at);
    struct iter *it = table_iter(t, true);
    for (int turn = 0; turn < 2; turn++) {
        int i = 0;
        for (iter_first(it); it->valid; iter_next(it), i++) {
            ck_assert_int_eq(it->status, 0);
            ck_assert(slice_equal(it->key, nth_key(i)));
        }
        ck_assert_int_eq(i, DAMAGED);
        check_told(it->status, at);
    }
    iter_last(it);
    ck_assert(it->valid && slice_equal(it->key, nth_key(KEYS - 1)));
    ck_assert_int_eq(it->status, 0);
    iter_destroy(it);
    table_close(t);
}
END_TEST

/* ---- a file whose pages are gone */

/* Its blocks were read before, so they come through a mapping, whose pages cannot be had then. */
START_TEST(an_open_table_that_is_cut_short_is_damage_and_no_end_of_the_process)
{
    enum { LEN = 5000, LEFT = 10 };
    char *value = memset(mem_alloc(LEN), 'v', LEN);
    struct buf found = BUF_INIT;
    struct env_file *f;
    const char *path = temp_path("table");
    build(path, slice_of(value, LEN));
    struct table *t = open_table(path);
    for (int turn = 0; turn < 3; turn++)
        for (int i = 0; i < KEYS; i++)
            ck_assert_int_eq(table_get(t, key_user(nth_key(i)), 9, &found), 1);
    ck_assert_int_eq(env_open(env, path, ENV_WRITE, &f), 0);
    ck_assert_int_eq(env_truncate(env, f, LEFT * LEN), 0);
    env_close(env, f);
    for (int i = 0; i < KEYS; i++) {
        int rc = table_get(t, key_user(nth_key(i)), 9, &found);
        ck_assert_int_eq(rc, i < LEFT - 1 ? 1 : STORE_ECORRUPT);
        if (rc == 1)
            ck_assert(slice_equal(buf_slice(&found), slice_of(value, LEN)));
        else
            ck_assert_msg(strstr(fail_text(), path) && strstr(fail_text(), "offset"), "%s",
                          fail_text());
    }
    table_close(t);
    buf_free(&found);
    free(value);
}
END_TEST

int main(void)
{
    temp_dir_make();
    Suite *suite = suite_create("table damage");
    TCase *tc = tcase_create("table damage");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, a_block_that_claims_gigabytes_is_refused_without_asking_for_them);
    tcase_add_test(tc, a_block_that_compresses_as_well_as_can_be_is_read);
    tcase_add_test(tc, a_get_that_meets_a_damaged_index_names_the_file_and_the_block);
    tcase_add_test(tc, an_iterator_stops_at_a_damaged_index_and_is_whole_again_elsewhere);
    tcase_add_test(tc, an_open_table_that_is_cut_short_is_damage_and_no_end_of_the_process);
    suite_add_tcase(suite, tc);
    int result = run_suite(suite);
    temp_dir_remove();
    buf_free(&ikey);
    return result;
}
