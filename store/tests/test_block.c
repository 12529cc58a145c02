/* Blocks of a table: the bytes that LevelDB writes, a cursor that moves as over a sorted array, and
 * damaged bytes that end it with an error.
 *
 * SEED= repeats a run, ITERATIONS= says how many random blocks (default 300). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/error.h"
#include "../memtable/key_format.h"
#include "../table/block.h"
#include "../table/block_builder.h"
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

/* Of a copy that ends where the bytes end, so that a read behind them is caught. */
static char *exact_copy(struct slice s)
{
    char *p = mem_alloc(s.len);
    if (s.len)
        memcpy(p, s.data, s.len);
    return p;
}

/* ---- the bytes */

#define TAG(n) "\x01" n "\0\0\0\0\0\0" /* put, sequence n (one byte) */

static void add(struct block_builder *b, const char *key, size_t len, const char *value)
{
    block_builder_add(b, slice_of(key, len), slice_str(value));
}

START_TEST(a_block_has_these_bytes)
{
    struct block_builder b;
    block_builder_init(&b, 2);
    add(&b, "apple" TAG("\x09"), 13, "A");
    add(&b, "apply" TAG("\x08"), 13, "");
    add(&b, "apply" TAG("\x07"), 13, "BC"); /* a restart point: shares nothing */
    size_t before = block_builder_bytes(&b);
    struct slice out = block_builder_finish(&b);
    static const char expected[] = "\0\x0d\x01" /* shares 0, 13 more, 1 of value */
                                   "apple\x01\x09\0\0\0\0\0\0"
                                   "A"
                                   "\x04\x09\0"
                                   "y\x01\x08\0\0\0\0\0\0"
                                   "\0\x0d\x02"
                                   "apply\x01\x07\0\0\0\0\0\0"
                                   "BC"
                                   "\0\0\0\0\x1d\0\0\0\x02\0\0\0"; /* restarts 0 and 29 */
    ck_assert_uint_eq(out.len, sizeof expected - 1);
    ck_assert_mem_eq(out.data, expected, out.len);
    ck_assert_uint_eq(before, out.len);
    ck_assert_uint_eq(b.entries, 3);
    block_builder_free(&b);
}
END_TEST

START_TEST(a_builder_that_was_cleared_starts_anew)
{
    struct block_builder b;
    struct buf first = BUF_INIT;
    block_builder_init(&b, 2);
    for (int round = 0; round < 3; round++) {
        add(&b, "apple" TAG("\x09"), 13, "A");
        add(&b, "apply" TAG("\x08"), 13, "");
        add(&b, "apply" TAG("\x07"), 13, "BC");
        ck_assert_uint_eq(b.entries, 3);
        struct slice out = block_builder_finish(&b);
        if (round == 0)
            buf_set(&first, out);
        ck_assert(slice_equal(out, buf_slice(&first)));
        block_builder_clear(&b);
    }
    buf_free(&first);
    block_builder_free(&b);
}
END_TEST

/* ---- against a sorted array */

#define MOST 200

/* The block of these entries, on the heap. */
static char *build(const struct sorted *m, int interval, size_t *len)
{
    struct block_builder b;
    block_builder_init(&b, interval);
    for (int i = 0; i < m->count; i++)
        block_builder_add(&b, buf_slice(&m->at[i].key), buf_slice(&m->at[i].value));
    ck_assert_uint_eq(b.entries, (uint64_t)m->count);
    size_t told = block_builder_bytes(&b);
    struct slice out = block_builder_finish(&b);
    ck_assert_uint_eq(out.len, m->count ? told : told + 4); /* a block has one restart at least */
    char *data = exact_copy(out);
    *len = out.len;
    block_builder_free(&b);
    return data;
}

static void check_at(const struct block_cursor *c, const struct sorted *m, int i)
{
    ck_assert_int_eq(c->status, 0);
    ck_assert_int_eq(block_cursor_valid(c), i >= 0 && i < m->count);
    if (!block_cursor_valid(c))
        return;
    ck_assert(slice_equal(buf_slice(&c->key), buf_slice(&m->at[i].key)));
    ck_assert(slice_equal(c->value, buf_slice(&m->at[i].value)));
}

/* A random move of both; returns the array's place. */
static int random_move(struct sim_random *r, struct block_cursor *c, const struct sorted *m, int i,
                       struct buf *target)
{
    bool valid = i >= 0 && i < m->count;
    uint64_t move = sim_below(r, 100);
    if (valid && move < 40) {
        block_cursor_next(c);
        return i + 1;
    }
    if (valid && move < 80) {
        block_cursor_prev(c);
        return i - 1;
    }
    if (move < 84) {
        block_cursor_first(c);
        return m->count ? 0 : -1;
    }
    if (move < 88) {
        block_cursor_last(c);
        return m->count - 1;
    }
    if (m->count && sim_chance(r, 50))
        buf_set(target, buf_slice(&m->at[sim_below(r, (uint64_t)m->count)].key));
    else
        sorted_random_ikey(r, target);
    block_cursor_seek(c, buf_slice(target));
    return sorted_seek(m, buf_slice(target));
}

START_TEST(a_cursor_moves_as_over_a_sorted_array)
{
    static const int intervals[] = {1, 2, 3, 16, 1000};
    uint64_t n;
    struct sim_random r = begin(&n);
    struct buf target = BUF_INIT;
    while (n-- > 0) {
        struct sorted m;
        struct block block;
        struct block_cursor c;
        size_t len;
        sorted_random(&r, &m, sim_chance(&r, 30) ? 5 : MOST);
        int interval = intervals[sim_below(&r, 5)];
        char *data = build(&m, interval, &len);
        ck_assert_int_eq(block_init(&block, slice_of(data, len)), 0);
        block_cursor_init(&c, &block);
        ck_assert(!block_cursor_valid(&c));

        int i = 0;
        for (block_cursor_first(&c); block_cursor_valid(&c); block_cursor_next(&c))
            check_at(&c, &m, i++);
        ck_assert_int_eq(i, m.count);
        for (block_cursor_last(&c); block_cursor_valid(&c); block_cursor_prev(&c))
            check_at(&c, &m, --i);
        ck_assert_int_eq(i, 0);
        ck_assert_int_eq(c.status, 0);
        i = -1;
        for (int moves = 0; moves < 300; moves++) {
            i = random_move(&r, &c, &m, i, &target);
            check_at(&c, &m, i);
        }
        block_cursor_free(&c);
        free(data);
        sorted_free(&m);
    }
    buf_free(&target);
}
END_TEST

START_TEST(an_empty_block_has_no_place_for_a_cursor)
{
    static const char bytes[] = "\0\0\0\0\1\0\0\0", none[] = "\0\0\0\0"; /* no restart point */
    for (int which = 0; which < 2; which++) {
        struct block block;
        struct block_cursor c;
        ck_assert_int_eq(block_init(&block, which ? slice_of(none, 4) : slice_of(bytes, 8)), 0);
        block_cursor_init(&c, &block);
        block_cursor_first(&c);
        ck_assert(!block_cursor_valid(&c));
        block_cursor_last(&c);
        ck_assert(!block_cursor_valid(&c));
        block_cursor_seek(&c, slice_of("12345678", 8));
        ck_assert(!block_cursor_valid(&c));
        ck_assert_int_eq(c.status, 0);
        block_cursor_free(&c);
    }
}
END_TEST

/* ---- damage */

static int init(const char *bytes, size_t len)
{
    struct block b;
    char *copy = exact_copy(slice_of(bytes, len));
    int rc = block_init(&b, slice_of(copy, len));
    free(copy);
    return rc;
}

START_TEST(a_block_without_room_for_its_restarts_is_refused)
{
    ck_assert_int_eq(init("", 0), STORE_ECORRUPT);
    ck_assert_int_eq(init("\0\0\0", 3), STORE_ECORRUPT);
    ck_assert_int_eq(init("\1\0\0\0", 4), STORE_ECORRUPT);
    ck_assert_int_eq(init("\0\0\0\0\0\2\0\0\0", 9), STORE_ECORRUPT);
    ck_assert_int_eq(init("\0\0\0\0\xff\xff\xff\xff", 8), STORE_ECORRUPT);
    ck_assert_int_eq(init("\0\0\0\0\1\0\0\x40", 8), STORE_ECORRUPT); /* times 4 it is 4 again */
    ck_assert_int_eq(init("\0\0\0\0\1\0\0\0", 8), 0);
}
END_TEST

/* What a cursor says to each move on a block with these entries and these restarts. */
static void check_all_moves_fail(const char *bytes, size_t len, bool seek_too)
{
    struct block block;
    struct block_cursor c;
    char *copy = exact_copy(slice_of(bytes, len));
    ck_assert_int_eq(block_init(&block, slice_of(copy, len)), 0);
    block_cursor_init(&c, &block);
    for (block_cursor_first(&c); block_cursor_valid(&c);)
        block_cursor_next(&c);
    ck_assert_int_eq(c.status, STORE_ECORRUPT);
    for (block_cursor_last(&c); block_cursor_valid(&c);)
        block_cursor_prev(&c);
    ck_assert_int_eq(c.status, STORE_ECORRUPT);
    block_cursor_seek(&c, slice_of("zzzz\1\0\0\0\0\0\0\0", 12));
    ck_assert(!block_cursor_valid(&c));
    ck_assert_int_eq(c.status, seek_too ? STORE_ECORRUPT : 0);
    block_cursor_free(&c);
    free(copy);
}

START_TEST(an_entry_that_does_not_fit_is_damage)
{
#define ENDS "\0\0\0\0\1\0\0\0"
#define FAILS(bytes) check_all_moves_fail(bytes, sizeof bytes - 1, true)
    FAILS("\0\x09\0"
          "12345678" ENDS); /* a key longer than what is left */
    FAILS("\0\x08\x01"
          "12345678" ENDS); /* a value longer than what is left */
    FAILS("\1\x08\0"
          "12345678" ENDS); /* a first key that shares */
    FAILS("\0\x07\0"
          "1234567" ENDS); /* a key too short for its number */
    FAILS("\0\x08" ENDS);  /* no third length */
    FAILS("\x80\x80\x80\x80\x80" ENDS);
    FAILS("\0\xff\xff\xff\xff\x0f\0"
          "12345678" ENDS);
    FAILS("\0\x08\xff\xff\xff\xff\x0f"
          "12345678" ENDS);
}
END_TEST

START_TEST(a_restart_point_that_points_nowhere_is_damage)
{
    struct block block;
    struct block_cursor c;
    /* two restart points, the second behind the entries */
    static const char bytes[] = "\0\x08\0"
                                "12345678"
                                "\0\0\0\0\xff\xff\xff\x7f\2\0\0\0";
    ck_assert_int_eq(block_init(&block, slice_of(bytes, sizeof bytes - 1)), 0);
    block_cursor_init(&c, &block);
    block_cursor_last(&c);
    ck_assert(!block_cursor_valid(&c));
    ck_assert_int_eq(c.status, STORE_ECORRUPT);
    block_cursor_seek(&c, slice_of("zzz\1\0\0\0\0\0\0\0", 11));
    ck_assert(!block_cursor_valid(&c));
    ck_assert_int_eq(c.status, STORE_ECORRUPT);
    block_cursor_first(&c); /* a new placement forgets the error */
    ck_assert(block_cursor_valid(&c));
    ck_assert_int_eq(c.status, 0);
    block_cursor_free(&c);
}
END_TEST

/* What a cursor shows lies in the block, and it comes to an end. The address sanitizer looks on. */
static void wander(struct sim_random *r, const struct block *block)
{
    struct block_cursor c;
    struct buf target = BUF_INIT;
    uint32_t steps = 0, before = 0;
    block_cursor_init(&c, block);
    for (block_cursor_first(&c); block_cursor_valid(&c); block_cursor_next(&c)) {
        ck_assert(c.value.data >= block->data.data);
        ck_assert(c.value.data + c.value.len <= block->data.data + block->restarts);
        ck_assert_uint_ge(c.key.len, KEY_TAG_SIZE);
        ck_assert(steps++ == 0 || c.at > before);
        before = c.at;
    }
    for (block_cursor_last(&c); block_cursor_valid(&c); block_cursor_prev(&c))
        ck_assert_uint_le(steps++, 3 * block->restarts);
    for (int i = 0; i < 20; i++) {
        sorted_random_ikey(r, &target);
        block_cursor_seek(&c, buf_slice(&target));
        for (int moves = 0; moves < 5 && block_cursor_valid(&c); moves++)
            if (sim_chance(r, 50))
                block_cursor_next(&c);
            else
                block_cursor_prev(&c);
        ck_assert(c.status == 0 || c.status == STORE_ECORRUPT);
        ck_assert(c.status == 0 || !block_cursor_valid(&c));
    }
    block_cursor_free(&c);
    buf_free(&target);
}

START_TEST(a_damaged_block_is_never_read_beyond)
{
    uint64_t n;
    struct sim_random r = begin(&n);
    while (n-- > 0) {
        struct sorted m;
        struct block block;
        size_t len;
        sorted_random(&r, &m, 30);
        char *good = build(&m, 1 + (int)sim_below(&r, 5), &len);
        for (int round = 0; round < 10; round++) {
            size_t cut = sim_chance(&r, 50) ? len : sim_below(&r, len + 1);
            char *bad = exact_copy(slice_of(good, cut));
            for (uint64_t flips = cut ? sim_below(&r, 5) : 0; flips > 0; flips--)
                bad[sim_below(&r, cut)] = (char)sim_next(&r);
            int rc = block_init(&block, slice_of(bad, cut));
            ck_assert(rc == 0 || rc == STORE_ECORRUPT);
            if (rc == 0)
                wander(&r, &block);
            free(bad);
        }
        free(good);
        sorted_free(&m);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("block");
    TCase *bytes = tcase_create("bytes"), *cursor = tcase_create("cursor"),
          *damage = tcase_create("damage");
    tcase_add_test(bytes, a_block_has_these_bytes);
    tcase_add_test(bytes, a_builder_that_was_cleared_starts_anew);
    suite_add_tcase(suite, bytes);
    tcase_set_timeout(cursor, 120);
    tcase_add_test(cursor, a_cursor_moves_as_over_a_sorted_array);
    tcase_add_test(cursor, an_empty_block_has_no_place_for_a_cursor);
    suite_add_tcase(suite, cursor);
    tcase_set_timeout(damage, 120);
    tcase_add_test(damage, a_block_without_room_for_its_restarts_is_refused);
    tcase_add_test(damage, an_entry_that_does_not_fit_is_damage);
    tcase_add_test(damage, a_restart_point_that_points_nowhere_is_damage);
    tcase_add_test(damage, a_damaged_block_is_never_read_beyond);
    suite_add_tcase(suite, damage);
    return run_suite(suite);
}
