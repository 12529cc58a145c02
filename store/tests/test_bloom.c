/* Bloom filters and the filter block of a table: the bits that LevelDB writes, no key denied, few
 * strangers let in, and bytes that are no filter deny nothing.
 *
 * SEED= repeats a run, ITERATIONS= says how many random filter blocks (default 200). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/coding.h"
#include "../table/bloom.h"
#include "../table/filter_block.h"
#include "../table/table_format.h"
#include "run_suite.h"
#include "sim_random.h"

/* ---- the hash */

static void check_hash(const char *bytes, size_t len, uint32_t expected)
{
    char room[16];
    ck_assert_uint_eq(bloom_hash(slice_of(bytes, len)), expected);
    for (size_t shift = 1; shift < 4; shift++) { /* wherever the key lies */
        memcpy(room + shift, bytes, len);
        ck_assert_uint_eq(bloom_hash(slice_of(room + shift, len)), expected);
    }
}

START_TEST(the_hash_is_leveldbs)
{
    check_hash("", 0, 0xbc9f1d34);
    check_hash("\x62", 1, 0xef1345c4);
    check_hash("\xc3\x97", 2, 0x5b663814);
    check_hash("\xe2\x99\xa5", 3, 0x323c078f);
    check_hash("\xe1\x80\xb9\x32", 4, 0xed21633a);
}
END_TEST

/* ---- one filter */

static void add_hash(struct buf *hashes, struct slice key)
{
    uint32_t h = bloom_hash(key);
    buf_append(hashes, &h, sizeof h);
}

static void build(const struct buf *hashes, int bits_per_key, struct buf *out)
{
    bloom_build((const uint32_t *)(const void *)hashes->data, hashes->len / sizeof(uint32_t),
                bits_per_key, out);
}

/* Keys key0 ... as LevelDB 1.23 filters them. */
static void check_bits(int keys, int bits_per_key, const char *expected, size_t len)
{
    struct buf hashes = BUF_INIT, filter = BUF_INIT;
    buf_append(&filter, "before", 6);
    for (int i = 0; i < keys; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%d", i);
        add_hash(&hashes, slice_str(key));
    }
    build(&hashes, bits_per_key, &filter);
    ck_assert_uint_eq(filter.len, 6 + len);
    ck_assert_mem_eq(filter.data, "before", 6); /* it is appended */
    ck_assert_mem_eq(filter.data + 6, expected, len);
    buf_free(&hashes);
    buf_free(&filter);
}

START_TEST(the_bits_are_leveldbs)
{
    check_bits(0, 10, "\0\0\0\0\0\0\0\0\x06", 9);
    check_bits(20, 1, "\x22\x08\x49\x80\x50\x05\x00\x00\x01", 9);
    check_bits(20, 10,
               "\x3a\x16\x78\x5c\x04\x77\xc4\x34\x68\x0a\x18\xe4\x00\x40\x39\x3b\xe1\x20\x25\xc8"
               "\x13\x23\x42\x47\xe4\x06",
               26);
    check_bits(20, 40,
               "\x00\xc4\x73\xd4\x35\x71\xa0\x31\x65\x19\x45\xd8\x28\x46\x60\xe0\xf0\x16\x14\xc8"
               "\xef\x55\x31\x52\x94\x5c\xa6\x55\xd0\x48\x74\xc0\x9d\x62\x5a\x88\xf5\x17\x43\x29"
               "\x1b\x11\x61\x19\xb9\xf3\x83\xc2\x64\x76\x90\x7e\x12\xea\xee\x13\xc5\x38\x10\x1b"
               "\x28\xc4\x40\x67\x18\x09\xf0\xb0\xe4\x21\x55\xc3\x2c\x65\x5c\x2e\xb5\x5a\xa1\xd9"
               "\x49\xe0\x57\x28\x69\x58\xe4\x3b\x70\x2f\x33\xa1\x90\x35\xf9\x11\x61\x42\x45\x68"
               "\x1b",
               101);
}
END_TEST

START_TEST(bytes_above_127_and_zeroes_filter_as_in_leveldb)
{
    struct buf hashes = BUF_INIT, filter = BUF_INIT;
    add_hash(&hashes, slice_of("\x80\xff\xfe", 3));
    add_hash(&hashes, slice_of("a\0b", 3));
    add_hash(&hashes, slice_of("", 0));
    build(&hashes, 10, &filter);
    ck_assert_uint_eq(filter.len, 9);
    ck_assert_mem_eq(filter.data, "\x28\x40\x95\x00\x03\x00\x1d\x90\x06", 9);
    buf_free(&hashes);
    buf_free(&filter);
}
END_TEST

static uint32_t hash_of_number(uint32_t n)
{
    char key[4];
    put_fixed32(key, n);
    return bloom_hash(slice_of(key, 4));
}

START_TEST(no_key_is_denied_and_few_strangers_are_let_in)
{
    static const int bits[] = {1, 5, 10, 20};
    /* how many strangers are let in at most, whatever the number of keys */
    static const double most[] = {0.80, 0.15, 0.02, 0.03};
    for (int b = 0; b < 4; b++)
        for (uint32_t n = 1; n <= 10000; n = n < 10 ? n + 1 : n < 100 ? n + 10 : n * 3) {
            struct buf hashes = BUF_INIT, filter = BUF_INIT;
            for (uint32_t i = 0; i < n; i++) {
                uint32_t h = hash_of_number(i);
                buf_append(&hashes, &h, sizeof h);
            }
            build(&hashes, bits[b], &filter);
            ck_assert_uint_le(filter.len, n * (uint32_t)bits[b] / 8 + 10);
            for (uint32_t i = 0; i < n; i++)
                ck_assert_msg(bloom_may_match(buf_slice(&filter), hash_of_number(i)),
                              "%d bits, %u keys: key %u is denied", bits[b], n, i);
            int wrong = 0;
            for (uint32_t i = 0; i < 10000; i++)
                wrong += bloom_may_match(buf_slice(&filter), hash_of_number(i + 1000000000));
            ck_assert_msg(wrong <= most[b] * 10000, "%d bits, %u keys: %d of 10000 let in", bits[b],
                          n, wrong);
            ck_assert(bits[b] != 10 || n < 100 || wrong <= 130); /* small filters do worse */
            buf_free(&hashes);
            buf_free(&filter);
        }
}
END_TEST

START_TEST(a_filter_without_keys_lets_nobody_in)
{
    struct buf filter = BUF_INIT;
    bloom_build(NULL, 0, 10, &filter);
    for (uint32_t i = 0; i < 100; i++)
        ck_assert(!bloom_may_match(buf_slice(&filter), hash_of_number(i)));
    buf_free(&filter);
}
END_TEST

START_TEST(an_unknown_kind_of_filter_denies_nothing)
{
    char filter[9] = {0};
    filter[8] = 31; /* more probes than any filter has */
    ck_assert(bloom_may_match(slice_of(filter, 9), 12345));
    filter[8] = (char)255;
    ck_assert(bloom_may_match(slice_of(filter, 9), 12345));
    filter[8] = 30;
    ck_assert(!bloom_may_match(slice_of(filter, 9), 12345));
}
END_TEST

/* ---- the filter block */

/* Of a copy that ends where the bytes end, so that a read behind them is caught. */
static char *exact_copy(struct slice s)
{
    char *p = mem_alloc(s.len);
    if (s.len)
        memcpy(p, s.data, s.len);
    return p;
}

static bool may(const struct filter_reader *r, uint64_t offset, const char *key)
{
    return filter_may_match(r, offset, slice_str(key));
}

START_TEST(a_filter_block_without_blocks_has_these_bytes)
{
    struct filter_builder b;
    struct filter_reader r;
    filter_builder_init(&b, 10);
    filter_builder_start(&b, 0);
    struct slice out = filter_builder_finish(&b);
    ck_assert_uint_eq(out.len, 5);
    ck_assert_mem_eq(out.data, "\0\0\0\0\x0b", 5);
    ck_assert(filter_reader_init(&r, out));
    ck_assert(may(&r, 0, "any")); /* no filter: nothing is denied */
    ck_assert(may(&r, 100000, "any"));
    filter_builder_free(&b);
}
END_TEST

START_TEST(a_filter_serves_all_blocks_that_begin_in_its_2_KiB)
{
    struct filter_builder b;
    struct filter_reader r;
    filter_builder_init(&b, 10);
    filter_builder_start(&b, 0);
    filter_builder_add(&b, slice_str("foo"));
    filter_builder_start(&b, 2000);
    filter_builder_add(&b, slice_str("bar"));
    filter_builder_start(&b, 3100);
    filter_builder_add(&b, slice_str("box"));
    /* none begins in 4096..8191 */
    filter_builder_start(&b, 9000);
    filter_builder_add(&b, slice_str("hello"));
    filter_builder_start(&b, 9100); /* the table's end: no key behind it */
    struct slice out = filter_builder_finish(&b);
    ck_assert_int_eq(out.data[out.len - 1], TABLE_FILTER_BASE_LG);
    ck_assert(filter_reader_init(&r, out));
    ck_assert_uint_eq(r.count, 5);

    ck_assert(may(&r, 0, "foo"));
    ck_assert(may(&r, 2000, "bar"));
    ck_assert(!may(&r, 0, "box"));
    ck_assert(!may(&r, 0, "hello"));

    ck_assert(may(&r, 3100, "box"));
    ck_assert(!may(&r, 3100, "foo"));
    ck_assert(!may(&r, 3100, "hello"));

    ck_assert(!may(&r, 4096, "foo")); /* empty: there is no block */
    ck_assert(!may(&r, 6144, "box"));

    ck_assert(may(&r, 9000, "hello"));
    ck_assert(!may(&r, 9000, "box"));

    ck_assert(may(&r, 10240, "foo")); /* behind the last filter: not known */
    ck_assert(may(&r, UINT64_MAX, "foo"));
    filter_builder_free(&b);
}
END_TEST

/* A random row of blocks, each with keys of its own: `block << 8 | i`. */
struct rows {
    uint64_t offset[64];
    int keys[64];
    int count;
};

static struct slice row_key(int block, int i, char room[8])
{
    put_fixed32(room, (uint32_t)(block << 8 | i));
    put_fixed32(room + 4, 0x5eed);
    return slice_of(room, 8);
}

static void random_rows(struct sim_random *random, struct rows *rows)
{
    uint64_t at = 0;
    rows->count = 1 + (int)sim_below(random, 64);
    for (int i = 0; i < rows->count; i++) {
        rows->offset[i] = at;
        rows->keys[i] = 1 + (int)sim_below(random, 30);
        at += 20 + sim_below(random, sim_chance(random, 20) ? 20000 : 3000);
    }
}

static struct slice build_rows(struct filter_builder *b, const struct rows *rows)
{
    char room[8];
    filter_builder_init(b, 10);
    for (int i = 0; i < rows->count; i++) {
        filter_builder_start(b, rows->offset[i]);
        for (int k = 0; k < rows->keys[i]; k++)
            filter_builder_add(b, row_key(i, k, room));
    }
    return filter_builder_finish(b);
}

static struct sim_random begin(uint64_t *iterations)
{
    struct sim_random r = {sim_env_number("SEED", (uint64_t)getpid())};
    *iterations = sim_env_number("ITERATIONS", 200);
    printf("SEED=%llu ITERATIONS=%llu\n", (unsigned long long)r.state,
           (unsigned long long)*iterations);
    fflush(stdout);
    return r;
}

START_TEST(a_filter_block_denies_no_key_of_a_block)
{
    uint64_t n;
    struct sim_random random = begin(&n);
    uint64_t asked = 0, let_in = 0;
    while (n-- > 0) {
        struct filter_builder b;
        struct filter_reader r;
        struct rows rows;
        char room[8];
        random_rows(&random, &rows);
        struct slice out = build_rows(&b, &rows);
        char *copy = exact_copy(out);
        ck_assert(filter_reader_init(&r, slice_of(copy, out.len)));
        for (int i = 0; i < rows.count; i++) {
            for (int k = 0; k < rows.keys[i]; k++)
                ck_assert(filter_may_match(&r, rows.offset[i], row_key(i, k, room)));
            for (int k = 0; k < 50; k++, asked++)
                let_in += filter_may_match(&r, rows.offset[i], row_key(1000 + i, k, room));
        }
        free(copy);
        filter_builder_free(&b);
    }
    ck_assert_msg(let_in * 50 < asked, "%llu of %llu strangers let in", (unsigned long long)let_in,
                  (unsigned long long)asked); /* 2 % */
}
END_TEST

START_TEST(bytes_that_are_no_filter_block_are_never_read_beyond)
{
    uint64_t n;
    struct sim_random random = begin(&n);
    while (n-- > 0) {
        struct filter_builder b;
        struct filter_reader r;
        struct rows rows;
        char room[8];
        random_rows(&random, &rows);
        struct slice out = build_rows(&b, &rows);
        size_t len = sim_chance(&random, 50) ? out.len : sim_below(&random, out.len + 1);
        char *copy = exact_copy(slice_of(out.data + (out.len - len), len));
        for (uint64_t flips = len ? sim_below(&random, 8) : 0; flips > 0; flips--) {
            /* mostly where the offsets are */
            size_t from_end = sim_below(&random, sim_chance(&random, 70) && len > 40 ? 40 : len);
            copy[len - 1 - from_end] = (char)sim_next(&random);
        }
        if (filter_reader_init(&r, slice_of(copy, len)))
            for (int i = 0; i < 100; i++) /* the address sanitizer looks on */
                filter_may_match(&r, sim_next(&random) >> sim_below(&random, 64),
                                 row_key(i, i, room));
        free(copy);
        filter_builder_free(&b);
    }
    struct filter_reader r;
    ck_assert(!filter_reader_init(&r, slice_of("\0\0\0\x0b", 4)));   /* too short */
    ck_assert(!filter_reader_init(&r, slice_of("\1\0\0\0\x0b", 5))); /* offsets behind the end */
    ck_assert(!filter_reader_init(&r, slice_of("\0\0\0\0\x40", 5))); /* 2^64 bytes a filter */
    ck_assert(!filter_reader_init(&r, slice_of("\xff\xff\xff\xff\x0b", 5)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bloom");
    TCase *bloom = tcase_create("filter"), *block = tcase_create("block");
    tcase_set_timeout(bloom, 120);
    tcase_add_test(bloom, the_hash_is_leveldbs);
    tcase_add_test(bloom, the_bits_are_leveldbs);
    tcase_add_test(bloom, bytes_above_127_and_zeroes_filter_as_in_leveldb);
    tcase_add_test(bloom, no_key_is_denied_and_few_strangers_are_let_in);
    tcase_add_test(bloom, a_filter_without_keys_lets_nobody_in);
    tcase_add_test(bloom, an_unknown_kind_of_filter_denies_nothing);
    suite_add_tcase(suite, bloom);
    tcase_set_timeout(block, 120);
    tcase_add_test(block, a_filter_block_without_blocks_has_these_bytes);
    tcase_add_test(block, a_filter_serves_all_blocks_that_begin_in_its_2_KiB);
    tcase_add_test(block, a_filter_block_denies_no_key_of_a_block);
    tcase_add_test(block, bytes_that_are_no_filter_block_are_never_read_beyond);
    suite_add_tcase(suite, block);
    return run_suite(suite);
}
