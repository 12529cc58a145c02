/* A table whose index cannot be read: all entries of blocks that are whole are found, and nothing
 * that is none. SEED= repeats a run. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../table/table_builder.h"
#include "../table/table_scan.h"
#include "env_sim.h"
#include "history.h"
#include "run_suite.h"
#include "sim_random.h"

#define PATH "/000007.ldb"
enum { KEYS = 500 };

static struct env *env;
static struct buf file;
static bool found[KEYS];
static int count, last;

static void setup(void)
{
    env = env_sim_new();
}

static void teardown(void)
{
    buf_free(&file);
    env_sim_free(env);
}

static struct slice value_of(char *to, int i)
{
    return slice_of(to,
                    (size_t)snprintf(to, 100, "value %d of some length, which is %d", i, i * i));
}

static struct env_file *out;
static struct table_builder *builder;

static void begin_table(const struct table_build_options *o)
{
    ck_assert_int_eq(env_open(env, PATH, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &out), 0);
    builder = table_builder_new(env, out, PATH, o);
}

static void add_entry(const char *name, uint64_t sequence, struct slice value)
{
    struct buf key = BUF_INIT;
    buf_put_ikey(&key, slice_str(name), sequence, KEY_PUT);
    ck_assert_int_eq(table_builder_add(builder, buf_slice(&key), value), 0);
    buf_free(&key);
}

/* Its bytes are in `file` then. */
static void end_table(void)
{
    uint64_t size;
    ck_assert_int_eq(table_builder_finish(builder), 0);
    table_builder_free(builder);
    ck_assert_int_eq(env_size(env, out, &size), 0);
    buf_clear(&file);
    ck_assert_int_eq(env_pread(env, out, buf_reserve(&file, size), size, 0), (ssize_t)size);
    file.len = size;
    env_close(env, out);
}

static void build(int keys, const struct table_build_options *o)
{
    char name[32], value[100];
    begin_table(o);
    for (int i = 0; i < keys; i++) {
        snprintf(name, sizeof name, "Key%05d", i);
        add_entry(name, 100 + (uint64_t)i, value_of(value, i));
    }
    end_table();
}

/* Whatever is given is an entry of the table, and comes behind the one before it. */
static void take(void *arg, struct slice ikey, struct slice value)
{
    char want[100];
    int i;
    (void)arg;
    MUST(ikey.len == 16 && memcmp(ikey.data, "Key", 3) == 0, "a key of %zu bytes", ikey.len);
    i = atoi(ikey.data + 3) % 100000;
    MUST(i > last && i < KEYS, "%d behind %d", i, last);
    MUST(key_sequence(ikey) == 100 + (uint64_t)i && key_type(ikey) == KEY_PUT, "number of %d", i);
    MUST(slice_equal(value, value_of(want, i)), "value of %d", i);
    found[i] = true;
    last = i;
    count++;
}

static uint64_t scan(void)
{
    memset(found, 0, sizeof found);
    count = 0;
    last = -1;
    return table_scan(buf_slice(&file), take, NULL);
}

static const struct table_build_options ways[] = {
    {256, 4, 10, TABLE_NONE},     {256, 4, 0, TABLE_NONE},       {256, 4, 10, TABLE_SNAPPY},
    {4096, 16, 10, TABLE_SNAPPY}, {1 << 20, 16, 10, TABLE_NONE}, {1, 1, 10, TABLE_NONE},
};
#define WAYS (int)(sizeof ways / sizeof *ways)

START_TEST(a_whole_table_is_found_and_nothing_else_of_it)
{
    static const int keys[] = {KEYS, 1, 2, 50, 0};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        build(keys[i], &ways[_i]);
        uint64_t blocks = scan();
        ck_assert_int_eq(count, keys[i]);
        ck_assert(keys[i] == 0 ? blocks == 0 : blocks > 0);
    }
}
END_TEST

START_TEST(without_footer_and_index_all_is_found)
{
    build(KEYS, &ways[_i]);
    uint64_t blocks = scan();
    for (size_t cut = 1; cut < 200; cut += 45) {
        file.data[file.len - cut] ^= 1;
        ck_assert_uint_eq(scan(), blocks);
        ck_assert_int_eq(count, KEYS);
    }
}
END_TEST

/* Where the file ends early the blocks before that are found. */
START_TEST(of_a_torn_table_the_beginning_is_found)
{
    int before = -1;
    build(60, &ways[_i]);
    for (size_t size = file.len, n = 0; n <= size; n += n + 5 < size ? 5 : 1) {
        file.len = n;
        scan();
        ck_assert_int_ge(count, before);
        ck_assert(count == 0 || last == count - 1);
        before = count;
    }
    ck_assert_int_eq(count, 60);
}
END_TEST

START_TEST(a_damaged_block_is_passed_over)
{
    struct sim_random r = {sim_env_number("SEED", (uint64_t)getpid())};
    printf("SEED=%llu\n", (unsigned long long)r.state);
    build(KEYS, &ways[0]);
    uint64_t blocks = scan();
    for (int i = 0; i < 20; i++) {
        size_t at = sim_below(&r, file.len / 2);
        char was = file.data[at];
        file.data[at] ^= (char)(1 + sim_below(&r, 255));
        ck_assert_uint_eq(scan(), blocks - 1);
        ck_assert_int_ge(count, KEYS - 20);
        ck_assert_int_lt(count, KEYS);
        file.data[at] = was;
    }
}
END_TEST

/* Sectors that cannot be read are zeroes by then. */
START_TEST(what_comes_behind_many_lost_sectors_is_found)
{
    build(KEYS, &ways[_i]);
    scan();
    size_t from = file.len / 4, to = file.len / 2;
    memset(file.data + from, 0, to - from);
    scan();
    ck_assert_int_gt(count, KEYS / 2);
    ck_assert_int_lt(count, KEYS * 9 / 10);
    ck_assert_int_eq(last, KEYS - 1);
}
END_TEST

static int foreign;

static void count_foreign(void *arg, struct slice ikey, struct slice value)
{
    (void)arg;
    (void)value;
    foreign += memcmp(ikey.data, "Key", 3) == 0;
}

/* A value that is a table itself, in a block that is damaged: its entries are not ours. */
START_TEST(a_table_in_a_value_is_not_taken_for_blocks)
{
    static const struct table_build_options small = {4096, 16, 10, TABLE_NONE};
    struct buf inner = BUF_INIT;
    char name[32];
    build(8, &small);
    buf_set(&inner, buf_slice(&file));
    begin_table(&small);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "Outer%05d", i);
        add_entry(name, 7, buf_slice(&inner));
    }
    end_table();
    file.data[2] ^= 1; /* the first block's */
    foreign = 0;
    ck_assert_uint_eq(table_scan(buf_slice(&file), count_foreign, NULL), 2); /* of three */
    ck_assert_int_eq(foreign, 0);
    buf_free(&inner);
}
END_TEST

/* It takes an end, also of what has no block far and wide. */
START_TEST(other_bytes_have_no_entries)
{
    struct sim_random r = {1};
    buf_clear(&file);
    for (int i = 0; i < 2 << 20; i++)
        buf_append(&file, (const char[]){(char)sim_below(&r, 256)}, 1);
    ck_assert_uint_eq(scan(), 0);
    memset(file.data, 0, file.len);
    ck_assert_uint_eq(scan(), 0);
    file.len = 3;
    ck_assert_uint_eq(scan(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("table_scan");
    TCase *tc = tcase_create("table_scan");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_whole_table_is_found_and_nothing_else_of_it, 0, WAYS);
    tcase_add_loop_test(tc, without_footer_and_index_all_is_found, 0, WAYS);
    tcase_add_loop_test(tc, of_a_torn_table_the_beginning_is_found, 0, 4);
    tcase_add_test(tc, a_damaged_block_is_passed_over);
    tcase_add_loop_test(tc, what_comes_behind_many_lost_sectors_is_found, 0, 4);
    tcase_add_test(tc, a_table_in_a_value_is_not_taken_for_blocks);
    tcase_add_test(tc, other_bytes_have_no_entries);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
