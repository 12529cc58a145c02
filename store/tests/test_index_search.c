/* The quick search in index blocks: it finds what a search entry by entry finds, with any keys;
 * blocks that are not as tables have them it leaves to others.
 *
 * SEED= repeats a run, ITERATIONS= says how many random blocks (default 300). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../memtable/key_format.h"
#include "../table/block_builder.h"
#include "../table/index_search.h"
#include "run_suite.h"
#include "sorted.h"

static struct sim_random begin(uint64_t *iterations)
{
    struct sim_random r = {sim_env_number("SEED", (uint64_t)getpid())};
    *iterations = sim_env_number("ITERATIONS", 300);
    printf("SEED=%llu ITERATIONS=%llu\n", (unsigned long long)r.state,
           (unsigned long long)*iterations);
    fflush(stdout);
    return r;
}

/* ---- blocks */

struct made {
    char *bytes;
    struct block block;
    struct index_search search;
};

static struct slice handle(int i, uint64_t first)
{
    static char room[32];
    char *end = put_varint64(room, first + 4096 * (uint64_t)i);
    return slice_of(room, (size_t)(put_varint64(end, 4000 + (uint64_t)i) - room));
}

/* An index block with these keys; the bytes are an exact copy, so that a read behind them is
 * caught. */
static void make(struct made *m, const struct sorted *s, int interval, uint64_t first)
{
    struct block_builder b;
    block_builder_init(&b, interval);
    for (int i = 0; i < s->count; i++)
        block_builder_add(&b, buf_slice(&s->at[i].key), handle(i, first));
    struct slice out = block_builder_finish(&b);
    m->bytes = memcpy(mem_alloc(out.len), out.data, out.len);
    ck_assert_int_eq(block_init(&m->block, slice_of(m->bytes, out.len)), 0);
    index_search_init(&m->search, &m->block);
    block_builder_free(&b);
}

static void unmake(struct made *m)
{
    index_search_free(&m->search);
    free(m->bytes);
}

/* ---- against a sorted array */

/* A key of one of the kinds that are searched differently: alike in nothing, in much, in more than
 * eight bytes behind that; some end where others go on, or are one user key with many numbers. */
static void random_key(struct sim_random *r, int kind, struct buf *out)
{
    char text[64];
    buf_clear(out);
    if (kind == 0) {
        sorted_random_ikey(r, out);
        return;
    }
    snprintf(text, sizeof text, "%s%0*d%s", kind == 1 ? "" : "all of them begin so/",
             kind == 3 ? 20 : 1, (int)sim_below(r, 3000), sim_chance(r, 20) ? "-and on" : "");
    buf_put_ikey(out, slice_str(text), kind == 4 ? sim_below(r, 1000) : 7, KEY_PUT);
}

static void random_keys(struct sim_random *r, int kind, struct sorted *s)
{
    struct buf key = BUF_INIT;
    *s = (struct sorted){.count = 0};
    for (uint64_t n = 1 + sim_below(r, sim_chance(r, 30) ? 3 : 200); n > 0; n--) {
        random_key(r, kind, &key);
        sorted_add(s, buf_slice(&key), slice_of(NULL, 0), 0);
    }
    if (sim_chance(r, 50)) { /* tables end their index like that */
        buf_clear(&key);
        buf_put_ikey(&key, slice_str("z"), KEY_MAX_SEQUENCE, KEY_TYPE_SEEK);
        sorted_add(s, buf_slice(&key), slice_of(NULL, 0), 0);
    }
    sorted_sort(s);
    sorted_drop_equal(s);
    buf_free(&key);
}

static void check_find(const struct made *m, const struct sorted *s, struct slice ikey)
{
    char *exact = memcpy(mem_alloc(ikey.len), ikey.data, ikey.len);
    uint32_t found = index_search_find(&m->search, slice_of(exact, ikey.len));
    ck_assert_int_eq((int)found, sorted_seek(s, ikey));
    if ((int)found < s->count) {
        struct block_handle h = index_search_handle(&m->search, found);
        ck_assert_uint_eq(h.offset, 100 + 4096 * (uint64_t)found);
        ck_assert_uint_eq(h.size, 4000 + (uint64_t)found);
    }
    free(exact);
}

START_TEST(it_finds_what_a_search_entry_by_entry_finds)
{
    uint64_t n;
    struct sim_random r = begin(&n);
    struct buf key = BUF_INIT;
    while (n-- > 0) {
        struct sorted s;
        struct made m;
        int kind = (int)sim_below(&r, 5);
        random_keys(&r, kind, &s);
        make(&m, &s, 1, 100);
        ck_assert_int_eq((int)m.search.count, s.count);
        for (int i = 0; i < s.count; i++)
            check_find(&m, &s, buf_slice(&s.at[i].key));
        for (int i = 0; i < 200; i++) {
            random_key(&r, sim_chance(&r, 80) ? kind : (int)sim_below(&r, 5), &key);
            check_find(&m, &s, buf_slice(&key));
        }
        unmake(&m);
        sorted_free(&s);
    }
    buf_free(&key);
}
END_TEST

/* ---- blocks that are not so */

static void add(struct sorted *s, const char *user)
{
    struct buf key = BUF_INIT;
    buf_put_ikey(&key, slice_str(user), 7, KEY_PUT);
    sorted_add(s, buf_slice(&key), slice_of(NULL, 0), 0);
    buf_free(&key);
}

static uint32_t count_of(const struct sorted *s, int interval, uint64_t first)
{
    struct made m;
    make(&m, s, interval, first);
    uint32_t count = m.search.count;
    unmake(&m);
    return count;
}

START_TEST(a_block_with_fewer_restart_points_than_entries_is_left_to_others)
{
    struct sorted s = {.count = 0};
    add(&s, "a"), add(&s, "b"), add(&s, "c"), add(&s, "d");
    ck_assert_uint_eq(count_of(&s, 1, 0), 4);
    ck_assert_uint_eq(count_of(&s, 2, 0), 0);
    sorted_free(&s);
}
END_TEST

START_TEST(a_block_beyond_four_gigabytes_is_left_to_others)
{
    struct sorted s = {.count = 0};
    add(&s, "a"), add(&s, "b");
    ck_assert_uint_eq(count_of(&s, 1, UINT32_MAX - 4096), 2);
    ck_assert_uint_eq(count_of(&s, 1, UINT32_MAX - 4095), 0);
    sorted_free(&s);
}
END_TEST

START_TEST(keys_that_do_not_ascend_are_left_to_others)
{
    struct sorted s = {.count = 0};
    add(&s, "a"), add(&s, "c"), add(&s, "b"), add(&s, "d");
    ck_assert_uint_eq(count_of(&s, 1, 0), 0);
    sorted_free(&s);
    s = (struct sorted){.count = 0};
    add(&s, "a"), add(&s, "a");
    ck_assert_uint_eq(count_of(&s, 1, 0), 0);
    sorted_free(&s);
}
END_TEST

/* A block whose every byte is changed in turn, under the address sanitizer. */
START_TEST(a_damaged_block_is_never_read_beyond)
{
    struct sim_random r = {sim_env_number("SEED", (uint64_t)getpid())};
    struct sorted s = {.count = 0};
    struct made good;
    struct buf key = BUF_INIT;
    add(&s, "apple"), add(&s, "apply"), add(&s, "b"), add(&s, "cab");
    make(&good, &s, 1, 0);
    for (size_t i = 0; i < good.block.data.len; i++)
        for (int turn = 0; turn < 8; turn++) {
            struct index_search search;
            struct block block;
            size_t len = good.block.data.len;
            char *bytes = memcpy(mem_alloc(len), good.bytes, len);
            bytes[i] = (char)(bytes[i] ^ (turn < 7 ? 1 << turn : 0xff));
            if (block_init(&block, slice_of(bytes, len)) == 0) {
                index_search_init(&search, &block);
                for (int k = 0; k < 10 && search.count; k++) {
                    random_key(&r, 0, &key);
                    ck_assert_uint_le(index_search_find(&search, buf_slice(&key)), search.count);
                }
                index_search_free(&search);
            }
            free(bytes);
        }
    buf_free(&key);
    unmake(&good);
    sorted_free(&s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        it_finds_what_a_search_entry_by_entry_finds,
        a_block_with_fewer_restart_points_than_entries_is_left_to_others,
        a_block_beyond_four_gigabytes_is_left_to_others,
        keys_that_do_not_ascend_are_left_to_others,
        a_damaged_block_is_never_read_beyond,
        NULL,
    };
    return run_tests("index_search", 120, NULL, NULL, tests);
}
