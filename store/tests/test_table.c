/* Tables: what was put in is found again by every move and every read, with any options; damage
 * gives an error that names the place, and never other data.
 *
 * SEED= repeats a run, ITERATIONS= says how many random tables (default 60). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/crc.h"
#include "../base/error.h"
#include "../table/table.h"
#include "../table/table_builder.h"
#include "env_sim.h"
#include "history.h"
#include "run_suite.h"
#include "sorted.h"

#define PATH "/000007.ldb"
#define ID 7

static struct env *env;

static void setup(void)
{
    env = env_sim_new();
}

static void teardown(void)
{
    env_sim_free(env);
}

static struct sim_random begin(uint64_t *iterations)
{
    struct sim_random r = {sim_env_number("SEED", (uint64_t)getpid())};
    *iterations = sim_env_number("ITERATIONS", 60);
    printf("SEED=%llu ITERATIONS=%llu\n", (unsigned long long)r.state,
           (unsigned long long)*iterations);
    fflush(stdout);
    return r;
}

/* ---- tables on the disk */

static const struct table_build_options plain = {256, 4, 10, TABLE_NONE};

static void write_file(struct slice bytes)
{
    struct env_file *file;
    MUST(env_open(env, PATH, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file) == 0, "%s", fail_text());
    MUST(env_pwrite(env, file, bytes.data, bytes.len, 0) == 0, "%s", fail_text());
    env_close(env, file);
}

/* Writes the table of these entries; its size. */
static uint64_t build(const struct sorted *s, const struct table_build_options *o)
{
    struct env_file *file;
    MUST(env_open(env, PATH, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file) == 0, "%s", fail_text());
    struct table_builder *b = table_builder_new(env, file, PATH, o);
    for (int i = 0; i < s->count; i++)
        MUST(table_builder_add(b, buf_slice(&s->at[i].key), buf_slice(&s->at[i].value)) == 0, "%s",
             fail_text());
    MUST(table_builder_finish(b) == 0, "%s", fail_text());
    uint64_t size, told = table_builder_bytes(b);
    MUST(table_builder_entries(b) == (uint64_t)s->count, "entries");
    MUST(env_size(env, file, &size) == 0 && size == told, "told %llu, is %llu",
         (unsigned long long)told, (unsigned long long)size);
    table_builder_free(b);
    env_close(env, file);
    return size;
}

static struct table *open_table(uint64_t size, struct cache *blocks)
{
    struct table *t;
    MUST(table_open(env, PATH, size, ID, blocks, &t) == 0, "%s", fail_text());
    return t;
}

/* Entries key00000 ... of sequence 5, values of `bytes` each. */
static void fill(struct sorted *s, int count, size_t bytes)
{
    struct buf key = BUF_INIT;
    char room[16], *value = mem_alloc(bytes);
    *s = (struct sorted){.count = 0};
    for (int i = 0; i < count; i++) {
        snprintf(room, sizeof room, "key%05d", i);
        memset(value, 'a' + i % 26, bytes);
        buf_clear(&key);
        buf_put_ikey(&key, slice_str(room), 5, KEY_PUT);
        sorted_add(s, buf_slice(&key), slice_of(value, bytes), 0);
    }
    buf_free(&key);
    free(value);
}

/* What table_get should say; the entry's index for 1. */
static int model_get(const struct sorted *s, struct slice user, uint64_t sequence, int *found)
{
    struct buf target = BUF_INIT;
    buf_put_ikey(&target, user, sequence, KEY_TYPE_SEEK);
    int i = sorted_seek(s, buf_slice(&target));
    buf_free(&target);
    if (i == s->count || !slice_equal(key_user(buf_slice(&s->at[i].key)), user))
        return 0;
    *found = i;
    return key_type(buf_slice(&s->at[i].key)) == KEY_PUT ? 1 : -ENOENT;
}

static void check_get(struct table *t, const struct sorted *s, struct slice user, uint64_t sequence)
{
    struct buf value = BUF_INIT;
    int i = -1;
    int expected = model_get(s, user, sequence, &i), got = table_get(t, user, sequence, &value);
    MUST(got == expected, "got %d instead of %d at %llu: %s", got, expected,
         (unsigned long long)sequence, fail_text());
    MUST(got != 1 || slice_equal(buf_slice(&value), buf_slice(&s->at[i].value)), "another value");
    buf_free(&value);
}

static void free_bytes(void *value)
{
    free(value);
}

/* ---- reading */

static void check_offsets(struct table *t, const struct sorted *s, uint64_t size)
{
    uint64_t before = 0;
    for (int i = 0; i < s->count; i++) {
        uint64_t at = table_approximate_offset(t, buf_slice(&s->at[i].key));
        MUST(at >= before && at < size, "offset %llu of entry %d", (unsigned long long)at, i);
        before = at;
    }
}

static void check_all(struct sim_random *r, struct table *t, const struct sorted *s, uint64_t size)
{
    struct buf user = BUF_INIT;
    for (int keep = 0; keep < 2; keep++) {
        struct iter *it = table_iter(t, keep);
        MUST(!it->valid && it->status == 0, "a new iterator stands nowhere");
        sorted_wander(r, it, s, 200, 0);
        iter_destroy(it);
    }
    for (int i = 0; i < s->count; i++) {
        struct slice key = buf_slice(&s->at[i].key);
        check_get(t, s, key_user(key), key_sequence(key));
        check_get(t, s, key_user(key), sim_below(r, 60));
    }
    for (int i = 0; i < 100; i++) {
        sorted_random_user_key(r, &user);
        check_get(t, s, buf_slice(&user), sim_below(r, 60));
    }
    check_offsets(t, s, size);
    buf_free(&user);
}

START_TEST(a_table_is_read_as_a_sorted_array)
{
    static const size_t block_bytes[] = {1, 64, 300, 4096}, cache_bytes[] = {0, 1000, 1 << 20};
    static const int restarts[] = {1, 2, 16};
    uint64_t n;
    struct sim_random r = begin(&n);
    while (n-- > 0) {
        struct sorted s;
        struct table_build_options o = {block_bytes[sim_below(&r, 4)], restarts[sim_below(&r, 3)],
                                        sim_chance(&r, 70) ? 10 : 0,
                                        sim_chance(&r, 50) ? TABLE_SNAPPY : TABLE_NONE};
        struct cache *blocks =
            sim_chance(&r, 30) ? NULL : cache_new(cache_bytes[sim_below(&r, 3)], free_bytes);
        sorted_random(&r, &s, sim_chance(&r, 20) ? 3 : 500);
        uint64_t size = build(&s, &o);
        struct table *t = open_table(size, blocks);
        check_all(&r, t, &s, size);
        table_close(t);
        cache_free(blocks);
        sorted_free(&s);
    }
}
END_TEST

START_TEST(values_larger_than_any_block_come_back)
{
    uint64_t n;
    struct sim_random r = begin(&n);
    for (int snappy = 0; snappy < 2; snappy++) {
        struct sorted s;
        struct table_build_options o = plain;
        o.compression = snappy ? TABLE_SNAPPY : TABLE_NONE;
        fill(&s, 12, 100000);
        for (int i = 0; i < s.count; i += 2) /* some that cannot be compressed */
            for (size_t k = 0; k < s.at[i].value.len; k++)
                s.at[i].value.data[k] = (char)sim_next(&r);
        uint64_t size = build(&s, &o);
        struct table *t = open_table(size, NULL);
        check_all(&r, t, &s, size);
        table_close(t);
        sorted_free(&s);
    }
}
END_TEST

START_TEST(an_empty_table_has_nothing)
{
    uint64_t n;
    struct sim_random r = begin(&n);
    struct sorted none = {.count = 0};
    for (int bloom = 0; bloom <= 10; bloom += 10) {
        struct table_build_options o = plain;
        o.bloom_bits = bloom;
        uint64_t size = build(&none, &o);
        struct table *t = open_table(size, NULL);
        check_all(&r, t, &none, size);
        ck_assert_uint_eq(table_approximate_offset(t, slice_of("k\1\1\0\0\0\0\0\0", 9)), size);
        table_close(t);
    }
}
END_TEST

/* One user key fills many blocks: each of its versions is found, also where a block ends. */
START_TEST(versions_of_one_key_are_found_across_blocks)
{
    struct sorted s = {.count = 0};
    struct buf key = BUF_INIT;
    for (uint64_t sequence = 600; sequence > 0; sequence -= 2) {
        buf_clear(&key);
        buf_put_ikey(&key, slice_str("k"), sequence, sequence % 10 ? KEY_PUT : KEY_DELETE);
        sorted_add(&s, buf_slice(&key), slice_of(&sequence, sizeof sequence), 0);
    }
    struct table *t = open_table(build(&s, &plain), NULL);
    for (uint64_t sequence = 0; sequence <= 700; sequence++) {
        check_get(t, &s, slice_str("k"), sequence);
        check_get(t, &s, slice_str("j"), sequence);
        check_get(t, &s, slice_str("k1"), sequence);
        check_get(t, &s, slice_str(""), sequence);
    }
    check_get(t, &s, slice_str("k"), KEY_MAX_SEQUENCE);
    table_close(t);
    sorted_free(&s);
    buf_free(&key);
}
END_TEST

START_TEST(approximate_offsets_follow_the_data)
{
    struct sorted s;
    fill(&s, 1000, 100);
    uint64_t size = build(&s, &plain);
    struct table *t = open_table(size, NULL);
    for (int i = 0; i < 1000; i++) {
        uint64_t at = table_approximate_offset(t, buf_slice(&s.at[i].key));
        uint64_t about = (uint64_t)i * 115; /* value, key rest, lengths */
        ck_assert_msg(at + 3000 > about && at < about + 10000, "entry %d: %llu", i,
                      (unsigned long long)at);
    }
    ck_assert_uint_ge(table_approximate_offset(t, slice_of("zzz\1\1\0\0\0\0\0\0", 11)), 100000);
    table_close(t);
    sorted_free(&s);
}
END_TEST

/* ---- blocks in the file */

/* How long the block at `at` is: as long as its checksum says. 0: there is none. */
static size_t block_length(const struct buf *bytes, size_t at)
{
    for (size_t len = 4; at + len + TABLE_TRAILER_SIZE <= bytes->len; len++)
        if (crc_unmask(get_fixed32(bytes->data + at + len + 1)) ==
            crc32c(bytes->data + at, len + 1))
            return len;
    return 0;
}

static void set_checksum(struct buf *bytes, size_t at, size_t len)
{
    put_fixed32(bytes->data + at + len + 1, crc_mask(crc32c(bytes->data + at, len + 1)));
}

/* ---- what is read from the disk, and how often */

START_TEST(a_filter_saves_most_reads_of_what_is_not_there)
{
    struct sorted s;
    struct buf value = BUF_INIT;
    fill(&s, 1000, 30);
    for (int bloom = 0; bloom <= 10; bloom += 10) {
        struct table_build_options o = plain;
        o.bloom_bits = bloom;
        struct table *t = open_table(build(&s, &o), NULL);
        uint64_t reads = env_sim_count(env, SIM_READ);
        for (int i = 0; i < 1000; i++) {
            char room[16];
            snprintf(room, sizeof room, "key%05d+", i); /* between two that are there */
            ck_assert_int_eq(table_get(t, slice_str(room), 9, &value), 0);
        }
        reads = env_sim_count(env, SIM_READ) - reads;
        if (bloom)
            ck_assert_uint_le(reads, 40);
        else
            ck_assert_uint_ge(reads, 1000);
        table_close(t);
    }
    buf_free(&value);
    sorted_free(&s);
}
END_TEST

static int count_entries(struct table *t, bool keep)
{
    int n = 0;
    struct iter *it = table_iter(t, keep);
    for (iter_first(it); it->valid; iter_next(it))
        n++;
    MUST(it->status == 0, "%s", fail_text());
    iter_destroy(it);
    return n;
}

START_TEST(a_block_is_read_once_while_the_cache_keeps_it)
{
    struct sorted s;
    struct cache *blocks = cache_new(1 << 20, free_bytes);
    fill(&s, 300, 30);
    struct table *t = open_table(build(&s, &plain), blocks);
    ck_assert_int_eq(count_entries(t, false), 300); /* as compaction does: leaves no trace */
    ck_assert_uint_eq(cache_bytes(blocks), 0);
    ck_assert_int_eq(count_entries(t, true), 300);
    ck_assert_uint_gt(cache_bytes(blocks), 300 * 30);
    uint64_t reads = env_sim_count(env, SIM_READ);
    ck_assert_int_eq(count_entries(t, true), 300);
    ck_assert_int_eq(count_entries(t, false), 300);
    for (int i = 0; i < 300; i++)
        check_get(t, &s, key_user(buf_slice(&s.at[i].key)), 9);
    ck_assert_uint_eq(env_sim_count(env, SIM_READ), reads);
    table_close(t);
    cache_free(blocks);
    sorted_free(&s);
}
END_TEST

/* The compression of the file's first block. */
static int first_type(struct buf *bytes)
{
    MUST(env_read_file(env, PATH, bytes) == 0, "%s", fail_text());
    size_t len = block_length(bytes, 0);
    MUST(len > 0, "the first block has no right checksum");
    return bytes->data[len];
}

START_TEST(blocks_are_compressed_where_that_pays)
{
    struct sorted s;
    struct buf bytes = BUF_INIT;
    uint64_t n;
    struct sim_random r = begin(&n);
    struct table_build_options snappy = plain;
    snappy.compression = TABLE_SNAPPY;
    snappy.block_bytes = 4096;
    fill(&s, 500, 100);
    uint64_t uncompressed = build(&s, &plain);
    ck_assert_int_eq(first_type(&bytes), TABLE_NONE);
    ck_assert_uint_lt(build(&s, &snappy), uncompressed / 3);
    ck_assert_int_eq(first_type(&bytes), TABLE_SNAPPY);
    for (int i = 0; i < s.count; i++)
        for (size_t k = 0; k < s.at[i].value.len; k++)
            s.at[i].value.data[k] = (char)sim_next(&r);
    build(&s, &snappy);
    ck_assert_int_eq(first_type(&bytes), TABLE_NONE);
    buf_free(&bytes);
    sorted_free(&s);
}
END_TEST

START_TEST(the_disks_error_is_told_and_not_taken_for_absence)
{
    struct sorted s;
    struct buf value = BUF_INIT;
    struct table *t;
    fill(&s, 100, 30);
    uint64_t size = build(&s, &plain);
    uint64_t before = env_sim_count(env, SIM_READ);
    table_close(open_table(size, NULL));
    uint64_t reads = env_sim_count(env, SIM_READ) - before;
    ck_assert_uint_ge(reads, 4); /* footer, index, metaindex, filter */
    for (uint64_t k = 1; k <= reads; k++) {
        env_sim_fail(env, SIM_READ, env_sim_count(env, SIM_READ) + k, -EIO, SIM_DONE_NOTHING);
        ck_assert_int_eq(table_open(env, PATH, size, ID, NULL, &t), -EIO);
    }
    t = open_table(size, NULL);
    env_sim_fail(env, SIM_READ, env_sim_count(env, SIM_READ) + 1, -EIO, SIM_DONE_NOTHING);
    ck_assert_int_eq(table_get(t, slice_str("key00050"), 9, &value), -EIO);
    env_sim_fail(env, SIM_READ, env_sim_count(env, SIM_READ) + 3, -EIO, SIM_DONE_NOTHING);
    int n = 0;
    struct iter *it = table_iter(t, true);
    for (iter_first(it); it->valid; iter_next(it))
        n++;
    ck_assert_int_eq(it->status, -EIO);
    ck_assert_int_gt(n, 0);
    ck_assert_int_lt(n, 100);
    sorted_check_at((iter_seek(it, buf_slice(&s.at[n].key)), it), &s, n); /* it works again */
    iter_destroy(it);
    check_get(t, &s, slice_str("key00050"), 9);
    ck_assert_int_eq(table_open(env, "/000008.ldb", size, 8, NULL, &t), -ENOENT);
    table_close(t);
    buf_free(&value);
    sorted_free(&s);
}
END_TEST

START_TEST(a_failed_write_is_told_at_the_end_at_the_latest)
{
    struct sorted s;
    fill(&s, 3000, 100); /* several writes */
    for (uint64_t k = 1; k <= 4; k++) {
        struct env_file *file;
        ck_assert_int_eq(env_open(env, PATH, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file), 0);
        struct table_builder *b = table_builder_new(env, file, PATH, &plain);
        env_sim_fail(env, SIM_WRITE, env_sim_count(env, SIM_WRITE) + k, -ENOSPC, SIM_DONE_PART);
        int rc = 0;
        for (int i = 0; i < s.count && rc == 0; i++)
            rc = table_builder_add(b, buf_slice(&s.at[i].key), buf_slice(&s.at[i].value));
        ck_assert(rc == 0 || rc == -ENOSPC);
        ck_assert_int_eq(table_builder_finish(b), -ENOSPC);
        ck_assert(env_sim_failed(env));
        table_builder_free(b);
        env_close(env, file);
    }
    sorted_free(&s);
}
END_TEST

/* ---- damage */

/* The error of a table that was damaged, which says where. */
static void check_told(int rc)
{
    MUST(rc == STORE_ECORRUPT || rc == STORE_EFORMAT, "error %d: %s", rc, fail_text());
    MUST(strstr(fail_text(), PATH), "the file is not named: %s", fail_text());
    MUST(strstr(fail_text(), "offset") || strstr(fail_text(), "too few"), "no place: %s",
         fail_text());
}

static void check_run(struct iter *it, const struct sorted *s, bool backward)
{
    int seen = 0;
    for (backward ? iter_last(it) : iter_first(it); it->valid;
         backward ? iter_prev(it) : iter_next(it), seen++)
        sorted_check_at(it, s, backward ? s->count - 1 - seen : seen);
    if (it->status)
        check_told(it->status);
    else
        MUST(seen == s->count, "%d entries of %d, and no error", seen, s->count);
}

/* The file may be damaged: every answer is right, or an error. Returns whether there was one. */
static bool right_or_error(const struct sorted *s, uint64_t size)
{
    struct table *t;
    struct buf value = BUF_INIT;
    int rc = table_open(env, PATH, size, ID, NULL, &t);
    if (rc) {
        check_told(rc);
        return true;
    }
    struct iter *it = table_iter(t, true);
    bool error = false;
    check_run(it, s, false);
    error = it->status != 0 || table_filter_damaged(t);
    check_run(it, s, true);
    for (int i = 0; i < s->count; i++) {
        struct slice key = buf_slice(&s->at[i].key);
        int got = table_get(t, key_user(key), key_sequence(key), &value);
        if (got < 0 && got != -ENOENT) {
            check_told(got);
            error = true;
            continue;
        }
        check_get(t, s, key_user(key), key_sequence(key));
        iter_seek(it, key);
        sorted_check_at(it, s, i);
    }
    iter_destroy(it);
    table_close(t);
    buf_free(&value);
    return error;
}

START_TEST(any_changed_byte_gives_an_error_or_right_data)
{
    uint64_t n;
    struct sim_random r = begin(&n);
    for (int snappy = 0; snappy < 2; snappy++) {
        struct sorted s = {.count = 0};
        struct buf bytes = BUF_INIT;
        struct table_build_options o = plain;
        o.block_bytes = 128;
        o.compression = snappy ? TABLE_SNAPPY : TABLE_NONE;
        do {
            sorted_free(&s);
            sorted_random(&r, &s, 60);
        } while (s.count < 30);
        uint64_t size = build(&s, &o);
        ck_assert(!right_or_error(&s, size));
        ck_assert_int_eq(env_read_file(env, PATH, &bytes), 0);
        int silent = 0;
        for (size_t at = 0; at < size; at++)
            for (int how = 0; how < 3; how++) {
                char was = bytes.data[at];
                bytes.data[at] ^= (char)(how == 0 ? 1 : how == 1 ? 0x80 : 1 + sim_below(&r, 255));
                write_file(buf_slice(&bytes));
                silent += !right_or_error(&s, size);
                bytes.data[at] = was;
            }
        /* only the footer's padding and a pointer that leads to the same has no checksum */
        ck_assert_int_le(silent, 3 * 40);
        buf_free(&bytes);
        sorted_free(&s);
    }
}
END_TEST

START_TEST(a_table_that_was_cut_short_gives_an_error)
{
    struct sorted s;
    struct buf bytes = BUF_INIT;
    fill(&s, 40, 10);
    uint64_t size = build(&s, &plain);
    ck_assert_int_eq(env_read_file(env, PATH, &bytes), 0);
    for (size_t cut = 0; cut < size; cut++) {
        struct table *t;
        write_file(slice_of(bytes.data, cut));
        int rc = table_open(env, PATH, size, ID, NULL, &t); /* the length it should have */
        ck_assert_int_ne(rc, 0);
        check_told(rc);
        rc = table_open(env, PATH, cut, ID, NULL, &t); /* the length it has */
        ck_assert_int_ne(rc, 0);
        check_told(rc);
    }
    buf_free(&bytes);
    sorted_free(&s);
}
END_TEST

/* The file's first block has a right checksum, but an entry of it makes no sense. */
START_TEST(a_damaged_entry_behind_a_right_checksum_is_told)
{
    struct sorted s;
    struct buf bytes = BUF_INIT, value = BUF_INIT;
    fill(&s, 40, 10);
    uint64_t size = build(&s, &plain);
    ck_assert_int_eq(env_read_file(env, PATH, &bytes), 0);
    size_t len = block_length(&bytes, 0), second = 3 + 16 + 10; /* three lengths, key, value */
    bytes.data[second] = 100;                                   /* shares more than there is */
    set_checksum(&bytes, 0, len);
    write_file(buf_slice(&bytes));
    struct table *t = open_table(size, NULL);
    ck_assert_int_eq(table_get(t, slice_str("key00001"), 9, &value), STORE_ECORRUPT);
    check_told(STORE_ECORRUPT);
    struct iter *it = table_iter(t, true);
    iter_first(it);
    sorted_check_at(it, &s, 0);
    iter_next(it);
    ck_assert(!it->valid); /* and not the next block's first */
    ck_assert_int_eq(it->status, STORE_ECORRUPT);
    check_told(it->status);
    iter_seek(it, buf_slice(&s.at[39].key));
    sorted_check_at(it, &s, 39);
    int seen = 0;
    for (iter_last(it); it->valid; iter_prev(it))
        sorted_check_at(it, &s, 39 - seen++);
    ck_assert_int_gt(seen, 20);
    ck_assert_int_eq(it->status, STORE_ECORRUPT);
    iter_destroy(it);
    table_close(t);
    buf_free(&bytes);
    buf_free(&value);
    sorted_free(&s);
}
END_TEST

START_TEST(a_footer_that_points_outside_of_the_file_is_damage)
{
    struct sorted s;
    struct buf bytes = BUF_INIT;
    fill(&s, 40, 10);
    uint64_t size = build(&s, &plain);
    ck_assert_int_eq(env_read_file(env, PATH, &bytes), 0);
    const struct {
        uint64_t offset, size;
    } index[] = {{0, size - 4},      {0, size},     {0, size + 1},    {0, UINT64_MAX},
                 {size, 10},         {size - 4, 0}, {UINT64_MAX, 10}, {UINT64_MAX, UINT64_MAX},
                 {UINT64_MAX - 4, 3}};
    for (size_t i = 0; i < sizeof index / sizeof index[0]; i++) {
        struct table *t;
        char *p = bytes.data + size - TABLE_FOOTER_SIZE;
        memset(p, 0, TABLE_FOOTER_SIZE - 8); /* metaindex: 0 0 */
        put_varint64(put_varint64(p + 2, index[i].offset), index[i].size);
        write_file(buf_slice(&bytes));
        ck_assert_int_eq(table_open(env, PATH, size, ID, NULL, &t), STORE_ECORRUPT);
        check_told(STORE_ECORRUPT);
        ck_assert_msg(strstr(fail_text(), "outside of the file"), "%s", fail_text());
    }
    buf_free(&bytes);
    sorted_free(&s);
}
END_TEST

START_TEST(a_file_that_shrinks_under_an_open_table_is_damage)
{
    struct sorted s;
    struct buf bytes = BUF_INIT, value = BUF_INIT;
    fill(&s, 40, 10);
    struct table *t = open_table(build(&s, &plain), NULL);
    ck_assert_int_eq(env_read_file(env, PATH, &bytes), 0);
    write_file(slice_of(bytes.data, 100));
    ck_assert_int_eq(table_get(t, slice_str("key00001"), 9, &value), STORE_ECORRUPT);
    ck_assert_msg(strstr(fail_text(), "too short"), "%s", fail_text());
    check_told(STORE_ECORRUPT);
    table_close(t);
    buf_free(&bytes);
    buf_free(&value);
    sorted_free(&s);
}
END_TEST

START_TEST(an_unknown_compression_is_a_newer_format)
{
    struct sorted s;
    struct buf bytes = BUF_INIT, value = BUF_INIT;
    fill(&s, 40, 10);
    uint64_t size = build(&s, &plain);
    ck_assert_int_eq(env_read_file(env, PATH, &bytes), 0);
    size_t len = block_length(&bytes, 0);
    ck_assert_uint_gt(len, 0);
    bytes.data[len] = 2; /* the trailer's first byte */
    set_checksum(&bytes, 0, len);
    write_file(buf_slice(&bytes));
    struct table *t = open_table(size, NULL);
    ck_assert_int_eq(table_get(t, slice_str("key00000"), 9, &value), STORE_EFORMAT);
    check_told(STORE_EFORMAT);
    check_get(t, &s, slice_str("key00039"), 9); /* other blocks are well */
    table_close(t);
    buf_free(&bytes);
    buf_free(&value);
    sorted_free(&s);
}
END_TEST

START_TEST(an_entry_of_unknown_type_is_damage)
{
    struct sorted s = {.count = 0};
    struct buf value = BUF_INIT;
    sorted_add(&s, slice_of("key\7\5\0\0\0\0\0\0", 11), slice_str("v"), 0);
    struct table *t = open_table(build(&s, &plain), NULL);
    ck_assert_int_eq(table_get(t, slice_str("key"), 9, &value), STORE_ECORRUPT);
    check_told(STORE_ECORRUPT);
    table_close(t);
    buf_free(&value);
    sorted_free(&s);
}
END_TEST

/* Damage with a right checksum, as a faulty writer would leave: no promise on what is read, but
 * nothing outside of the blocks. The address sanitizer looks on. */
static void poke(struct sim_random *r, struct buf *bytes)
{
    size_t at = 0, len;
    while ((len = block_length(bytes, at)) > 0) {
        if (sim_chance(r, 30)) {
            for (uint64_t i = 1 + sim_below(r, 3); i > 0; i--)
                bytes->data[at + sim_below(r, len)] = (char)sim_next(r);
            if (sim_chance(r, 10))
                bytes->data[at + len] ^= 1; /* compressed or not */
            set_checksum(bytes, at, len);
        }
        at += len + TABLE_TRAILER_SIZE;
    }
    if (sim_chance(r, 20))
        bytes->data[bytes->len - 1 - sim_below(r, TABLE_FOOTER_SIZE)] = (char)sim_next(r);
}

/* At most so many moves: a damaged index may name a block again and again, but comes to an end. */
static void read_all(struct sim_random *r, struct table *t, const struct sorted *s, uint64_t most)
{
    struct buf value = BUF_INIT;
    uint64_t n = 0;
    struct iter *it = table_iter(t, true);
    for (iter_first(it); it->valid; iter_next(it), n++)
        MUST(it->key.len >= KEY_TAG_SIZE && n < most, "%llu entries", (unsigned long long)n);
    for (iter_last(it); it->valid; iter_prev(it), n++)
        MUST(it->key.len >= KEY_TAG_SIZE && n < 2 * most, "%llu entries", (unsigned long long)n);
    for (int i = 0; i < 20; i++) {
        struct slice key = buf_slice(&s->at[sim_below(r, (uint64_t)s->count)].key);
        int rc = table_get(t, key_user(key), key_sequence(key), &value);
        MUST(rc == 0 || rc == 1 || rc == -ENOENT || rc == STORE_ECORRUPT || rc == STORE_EFORMAT,
             "error %d", rc);
        iter_seek(it, key);
        if (it->valid)
            sim_chance(r, 50) ? iter_next(it) : iter_prev(it);
        table_approximate_offset(t, key);
    }
    iter_destroy(it);
    buf_free(&value);
}

START_TEST(damage_with_right_checksums_is_never_read_beyond)
{
    uint64_t n;
    struct sim_random r = begin(&n);
    while (n-- > 0) {
        struct sorted s = {.count = 0};
        struct buf good = BUF_INIT, bad = BUF_INIT;
        struct table_build_options o = {100, 2, sim_chance(&r, 50) ? 10 : 0,
                                        sim_chance(&r, 50) ? TABLE_SNAPPY : TABLE_NONE};
        do {
            sorted_free(&s);
            sorted_random(&r, &s, 60);
        } while (s.count == 0);
        uint64_t size = build(&s, &o);
        ck_assert_int_eq(env_read_file(env, PATH, &good), 0);
        for (int round = 0; round < 20; round++) {
            struct table *t;
            buf_set(&bad, buf_slice(&good));
            poke(&r, &bad);
            write_file(buf_slice(&bad));
            int rc = table_open(env, PATH, size, ID, NULL, &t);
            if (rc == 0) {
                read_all(&r, t, &s, size * size);
                table_close(t);
            } else {
                MUST(rc == STORE_ECORRUPT || rc == STORE_EFORMAT, "error %d", rc);
            }
        }
        buf_free(&good);
        buf_free(&bad);
        sorted_free(&s);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("table");
    TCase *read = tcase_create("read"), *disk = tcase_create("disk"),
          *damage = tcase_create("damage");
    tcase_add_checked_fixture(read, setup, teardown);
    tcase_set_timeout(read, 120);
    tcase_add_test(read, a_table_is_read_as_a_sorted_array);
    tcase_add_test(read, values_larger_than_any_block_come_back);
    tcase_add_test(read, an_empty_table_has_nothing);
    tcase_add_test(read, versions_of_one_key_are_found_across_blocks);
    tcase_add_test(read, approximate_offsets_follow_the_data);
    suite_add_tcase(suite, read);
    tcase_add_checked_fixture(disk, setup, teardown);
    tcase_set_timeout(disk, 120);
    tcase_add_test(disk, a_filter_saves_most_reads_of_what_is_not_there);
    tcase_add_test(disk, a_block_is_read_once_while_the_cache_keeps_it);
    tcase_add_test(disk, blocks_are_compressed_where_that_pays);
    tcase_add_test(disk, the_disks_error_is_told_and_not_taken_for_absence);
    tcase_add_test(disk, a_failed_write_is_told_at_the_end_at_the_latest);
    suite_add_tcase(suite, disk);
    tcase_add_checked_fixture(damage, setup, teardown);
    tcase_set_timeout(damage, 120);
    tcase_add_test(damage, any_changed_byte_gives_an_error_or_right_data);
    tcase_add_test(damage, a_table_that_was_cut_short_gives_an_error);
    tcase_add_test(damage, a_damaged_entry_behind_a_right_checksum_is_told);
    tcase_add_test(damage, a_footer_that_points_outside_of_the_file_is_damage);
    tcase_add_test(damage, a_file_that_shrinks_under_an_open_table_is_damage);
    tcase_add_test(damage, an_unknown_compression_is_a_newer_format);
    tcase_add_test(damage, an_entry_of_unknown_type_is_damage);
    tcase_add_test(damage, damage_with_right_checksums_is_never_read_beyond);
    suite_add_tcase(suite, damage);
    return run_suite(suite);
}
