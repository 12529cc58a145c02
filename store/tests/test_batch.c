/* Tests of batches: their bytes, what their users and the store do with them, and that no malformed
 * one passes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../commit/batch.h"
#include "run_suite.h"
#include "sim_random.h"

static struct store_batch batch;

static void setup(void)
{
    batch = (struct store_batch)STORE_BATCH_INIT;
}

static void teardown(void)
{
    store_batch_free(&batch);
}

static void put(const char *key, const char *value)
{
    store_batch_put(&batch, slice_str(key), slice_str(value));
}

static void delete (const char *key)
{
    store_batch_delete(&batch, slice_str(key));
}

static struct slice rep(void)
{
    return buf_slice(&batch.rep);
}

static void assert_text(struct slice of, const char *text)
{
    struct buf b = BUF_INIT;
    batch_to_text(of, &b);
    buf_append(&b, "", 1);
    ck_assert_str_eq(b.data, text);
    buf_free(&b);
}

/* ---- building */

START_TEST(a_batch_has_these_bytes)
{
    put("key", "value");
    delete ("gone");
    batch_set_sequence(&batch, 0x0102030405060708ull);
    ck_assert(slice_equal(rep(), slice_of("\x08\x07\x06\x05\x04\x03\x02\x01"
                                          "\x02\x00\x00\x00"
                                          "\x01\x03key\x05value"
                                          "\x00\x04gone",
                                          8 + 4 + 11 + 6)));
    ck_assert_uint_eq(store_batch_count(&batch), 2);
    ck_assert_uint_eq(store_batch_bytes(&batch), 29);
    ck_assert_uint_eq(batch_sequence(&batch), 0x0102030405060708ull);
    ck_assert_uint_eq(batch_rep_sequence(rep()), 0x0102030405060708ull);
    ck_assert_uint_eq(batch_rep_count(rep()), 2);
}
END_TEST

START_TEST(an_empty_batch_counts_nothing_and_can_be_numbered)
{
    ck_assert_uint_eq(store_batch_count(&batch), 0);
    ck_assert_uint_eq(store_batch_bytes(&batch), 0);
    ck_assert_uint_eq(batch_sequence(&batch), 0);
    batch_set_sequence(&batch, 7);
    ck_assert_uint_eq(batch_sequence(&batch), 7);
    ck_assert_uint_eq(store_batch_count(&batch), 0);
    ck_assert_int_eq(batch_check(rep()), 0);
    assert_text(rep(), "");
}
END_TEST

START_TEST(clear_empties_and_the_batch_serves_again)
{
    put("a", "1");
    batch_set_sequence(&batch, 9);
    store_batch_clear(&batch);
    ck_assert_uint_eq(store_batch_count(&batch), 0);
    put("b", "2");
    ck_assert_uint_eq(store_batch_count(&batch), 1);
    ck_assert_uint_eq(batch_sequence(&batch), 0);
    assert_text(rep(), "put b = 2\n");
}
END_TEST

START_TEST(append_adds_the_records_and_keeps_the_number)
{
    struct store_batch other = STORE_BATCH_INIT;
    store_batch_append(&batch, &other);
    ck_assert_uint_eq(store_batch_bytes(&batch), 0);
    store_batch_put(&other, slice_str("b"), slice_str("2"));
    store_batch_delete(&other, slice_str("c"));
    batch_set_sequence(&other, 50);
    put("a", "1");
    batch_set_sequence(&batch, 3);
    store_batch_append(&batch, &other);
    ck_assert_uint_eq(store_batch_count(&batch), 3);
    ck_assert_uint_eq(batch_sequence(&batch), 3);
    ck_assert_int_eq(batch_check(rep()), 0);
    assert_text(rep(), "put a = 1\nput b = 2\ndelete c\n");
    store_batch_clear(&batch);
    store_batch_append(&batch, &other);
    assert_text(rep(), "put b = 2\ndelete c\n");
    store_batch_free(&other);
}
END_TEST

START_TEST(a_record_beyond_the_limits_spoils_its_batch_until_it_is_cleared)
{
    struct store_batch other = STORE_BATCH_INIT;
    char *long_key = mem_zalloc(STORE_MAX_KEY + 1);
    for (int how = 0; how < 6; how++) {
        store_batch_clear(&batch);
        put("a", "b");
        size_t bytes = batch.rep.len;
        int code = how < 3 ? -EMSGSIZE : -E2BIG;
        if (how == 0)
            store_batch_put(&batch, slice_of(long_key, STORE_MAX_KEY + 1), slice_str("v"));
        if (how == 1) /* its bytes are not looked at */
            store_batch_put(&batch, slice_str("k"),
                            slice_of(long_key, (size_t)STORE_MAX_VALUE + 1));
        if (how == 2)
            store_batch_delete(&batch, slice_of(long_key, STORE_MAX_KEY + 1));
        if (how >= 3)
            batch.rep.len = STORE_MAX_BATCH - 4; /* as if it were that long */
        if (how == 3)
            put("k", "v");
        if (how == 4)
            delete ("four");
        if (how == 5) {
            store_batch_clear(&other);
            store_batch_put(&other, slice_str("k"), slice_str("v"));
            store_batch_append(&batch, &other);
        }
        if (how >= 3)
            batch.rep.len = bytes;
        put("after", "it");
        ck_assert_int_eq(batch_refusal(&batch), code);
        ck_assert_msg(strstr(fail_text(), "too long"), "%s", fail_text());
        ck_assert_uint_eq(store_batch_count(&batch), 1);
        ck_assert_uint_eq(batch.rep.len, bytes);
        store_batch_clear(&other);
        store_batch_append(&other, &batch); /* passes it on */
        ck_assert_int_eq(batch_refusal(&other), code);
        store_batch_free(&other);
        ck_assert_int_eq(batch_refusal(&other), 0);
    }
    store_batch_clear(&batch);
    ck_assert_int_eq(batch_refusal(&batch), 0);
    store_batch_put(&batch, slice_of(long_key, STORE_MAX_KEY), slice_str("v"));
    put("", ""); /* an empty key is a key */
    ck_assert_int_eq(batch_refusal(&batch), 0);
    ck_assert_uint_eq(store_batch_count(&batch), 2);
    free(long_key);
}
END_TEST

START_TEST(text_shows_bytes_that_cannot_be_printed)
{
    store_batch_put(&batch, slice_of("\0\xff\\", 3), slice_of("", 0));
    delete ("");
    assert_text(rep(), "put \\x00\\xff\\x5c = \ndelete \n");
    assert_text(slice_of("short", 5), "damaged\n");
}
END_TEST

/* ---- visiting */

struct visits {
    struct buf text;
    int stop_at; /* the visit, from 1, that fails */
    int seen;
};

static int visit_put(void *arg, struct slice key, struct slice value)
{
    struct visits *v = arg;
    buf_append(&v->text, "+", 1);
    buf_append_slice(&v->text, key);
    buf_append(&v->text, "=", 1);
    buf_append_slice(&v->text, value);
    return ++v->seen == v->stop_at ? -EINTR : 0;
}

static int visit_del(void *arg, struct slice key)
{
    struct visits *v = arg;
    buf_append(&v->text, "-", 1);
    buf_append_slice(&v->text, key);
    return ++v->seen == v->stop_at ? -EINTR : 0;
}

static const struct batch_visitor visitor = {visit_put, visit_del};

START_TEST(each_visits_in_order_and_stops_at_the_first_failure)
{
    struct visits v = {.text = BUF_INIT};
    put("a", "1");
    delete ("b");
    put("a", "2");
    ck_assert_int_eq(batch_each(rep(), &visitor, &v), 0);
    ck_assert(slice_equal(buf_slice(&v.text), slice_str("+a=1-b+a=2")));
    for (int stop = 1; stop <= 3; stop++) {
        v.seen = 0;
        v.stop_at = stop;
        ck_assert_int_eq(batch_each(rep(), &visitor, &v), -EINTR);
        ck_assert_int_eq(v.seen, stop);
    }
    buf_free(&v.text);
}
END_TEST

START_TEST(random_batches_come_back)
{
    uint64_t seed = sim_env_number("SEED", 1), rounds = sim_env_number("ITERATIONS", 200);
    printf("random_batches_come_back: SEED=%llu\n", (unsigned long long)seed);
    struct sim_random r = {seed};
    char *bytes = mem_alloc(40000);
    for (int i = 0; i < 40000; i++)
        bytes[i] = (char)sim_next(&r);
    for (uint64_t round = 0; round < rounds; round++) {
        struct visits expected = {.text = BUF_INIT}, v = {.text = BUF_INIT};
        store_batch_clear(&batch);
        for (uint64_t n = sim_below(&r, 30); n > 0; n--) {
            struct slice key = slice_of(bytes + sim_below(&r, 100), sim_below(&r, 300));
            struct slice value = slice_of(bytes, sim_below(&r, sim_chance(&r, 10) ? 40000 : 200));
            if (sim_chance(&r, 70)) {
                store_batch_put(&batch, key, value);
                visit_put(&expected, key, value);
            } else {
                store_batch_delete(&batch, key);
                visit_del(&expected, key);
            }
        }
        batch_set_sequence(&batch, round);
        ck_assert_int_eq(batch_check(rep()), 0);
        ck_assert_int_eq(batch_each(rep(), &visitor, &v), 0);
        ck_assert(slice_equal(buf_slice(&v.text), buf_slice(&expected.text)));
        ck_assert_uint_eq(store_batch_count(&batch), (unsigned)expected.seen);
        buf_free(&v.text);
        buf_free(&expected.text);
    }
    free(bytes);
}
END_TEST

/* ---- what is no batch */

static void fill(void)
{
    char value[300];
    memset(value, 'v', sizeof value);
    put("first", "value");
    delete ("second");
    store_batch_put(&batch, slice_str(""), slice_of(value, sizeof value));
    delete ("");
    put("last", "");
    batch_set_sequence(&batch, 77);
    ck_assert_int_eq(batch_check(rep()), 0);
}

/* Checks a copy of its exact size, so that a sanitizer sees each byte read behind it. */
static int check_copy(struct slice s)
{
    char *copy = mem_alloc(s.len);
    if (s.len)
        memcpy(copy, s.data, s.len);
    int rc = batch_check(slice_of(copy, s.len));
    free(copy);
    return rc;
}

START_TEST(no_part_of_a_batch_is_one)
{
    fill();
    for (size_t n = 0; n < batch.rep.len; n++)
        ck_assert_msg(check_copy(slice_of(batch.rep.data, n)) == STORE_ECORRUPT, "cut at %zu", n);
    ck_assert_ptr_nonnull(strstr(fail_text(), "batch: "));
}
END_TEST

START_TEST(bytes_behind_a_batch_are_refused)
{
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        store_batch_clear(&batch);
        fill();
        buf_append(&batch.rep, &byte, 1);
        ck_assert_int_eq(check_copy(rep()), STORE_ECORRUPT);
    }
}
END_TEST

START_TEST(unknown_kinds_of_record_are_refused)
{
    for (int good = 0; good < 2; good++) {
        store_batch_clear(&batch);
        good == 1 ? put("k", "v") : delete ("k");
        for (int kind = 0; kind < 256; kind++) {
            batch.rep.data[BATCH_HEADER_SIZE] = (char)kind;
            ck_assert_int_eq(check_copy(rep()), kind == good ? 0 : STORE_ECORRUPT);
        }
    }
}
END_TEST

START_TEST(a_wrong_count_is_refused)
{
    fill();
    for (uint32_t count = 0; count < 10; count++) {
        put_fixed32(batch.rep.data + 8, count);
        ck_assert_int_eq(check_copy(rep()), count == 5 ? 0 : STORE_ECORRUPT);
    }
    put_fixed32(batch.rep.data + 8, UINT32_MAX);
    ck_assert_int_eq(check_copy(rep()), STORE_ECORRUPT);
}
END_TEST

START_TEST(lengths_beyond_the_end_are_refused)
{
    static const char *lengths[] = {"\x05", "\xff\x01", "\xff\xff\xff\xff\x0f",
                                    "\xff\xff\xff\xff\xff"};
    for (int i = 0; i < 4; i++)
        for (int value = 0; value < 2; value++) {
            store_batch_clear(&batch);
            put("k", "v");
            batch.rep.len -= value ? 2 : 4;
            buf_append_slice(&batch.rep, slice_str(lengths[i]));
            buf_append(&batch.rep, "abc", 3);
            ck_assert_int_eq(check_copy(rep()), STORE_ECORRUPT);
        }
}
END_TEST

START_TEST(numbers_out_of_range_are_refused)
{
    put("a", "1");
    put("b", "2");
    batch_set_sequence(&batch, KEY_MAX_SEQUENCE - 2);
    ck_assert_int_eq(check_copy(rep()), 0);
    batch_set_sequence(&batch, KEY_MAX_SEQUENCE);
    ck_assert_int_eq(check_copy(rep()), STORE_ECORRUPT);
    batch_set_sequence(&batch, UINT64_MAX);
    ck_assert_int_eq(check_copy(rep()), STORE_ECORRUPT);
}
END_TEST

START_TEST(changed_bytes_never_lead_outside_the_batch)
{
    struct sim_random r = {sim_env_number("SEED", 1)};
    struct buf changed = BUF_INIT;
    int passed = 0;
    fill();
    for (int i = 0; i < 20000; i++) {
        buf_set(&changed, rep());
        for (uint64_t n = 1 + sim_below(&r, 3); n > 0; n--)
            changed.data[sim_below(&r, changed.len)] = (char)sim_next(&r);
        passed += check_copy(buf_slice(&changed)) == 0; /* bytes of keys and values may change */
    }
    ck_assert(passed > 0 && passed < 20000);
    buf_free(&changed);
}
END_TEST

/* ---- into a memtable */

START_TEST(insert_gives_each_record_a_number_of_its_own)
{
    struct memtable *m = memtable_new();
    struct slice value;
    put("k", "one");
    put("k", "two");
    delete ("k");
    put("other", "x");
    batch_set_sequence(&batch, 1000); /* the argument counts */
    ck_assert_int_eq(batch_insert(rep(), 10, m), 0);
    ck_assert_uint_eq(memtable_count(m), 4);
    ck_assert_int_eq(memtable_get(m, slice_str("k"), 9, &value), 0);
    ck_assert_int_eq(memtable_get(m, slice_str("k"), 10, &value), 1);
    ck_assert(slice_equal(value, slice_str("one")));
    ck_assert_int_eq(memtable_get(m, slice_str("k"), 11, &value), 1);
    ck_assert(slice_equal(value, slice_str("two")));
    ck_assert_int_eq(memtable_get(m, slice_str("k"), 12, &value), -ENOENT);
    ck_assert_int_eq(memtable_get(m, slice_str("other"), 12, &value), 0);
    ck_assert_int_eq(memtable_get(m, slice_str("other"), 13, &value), 1);
    batch.rep.data[BATCH_HEADER_SIZE] = 9;
    ck_assert_int_eq(batch_insert(rep(), 20, m), STORE_ECORRUPT);
    memtable_unref(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batch");
    TCase *tc = tcase_create("batch");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_batch_has_these_bytes);
    tcase_add_test(tc, an_empty_batch_counts_nothing_and_can_be_numbered);
    tcase_add_test(tc, clear_empties_and_the_batch_serves_again);
    tcase_add_test(tc, append_adds_the_records_and_keeps_the_number);
    tcase_add_test(tc, a_record_beyond_the_limits_spoils_its_batch_until_it_is_cleared);
    tcase_add_test(tc, text_shows_bytes_that_cannot_be_printed);
    tcase_add_test(tc, each_visits_in_order_and_stops_at_the_first_failure);
    tcase_add_test(tc, random_batches_come_back);
    tcase_add_test(tc, no_part_of_a_batch_is_one);
    tcase_add_test(tc, bytes_behind_a_batch_are_refused);
    tcase_add_test(tc, unknown_kinds_of_record_are_refused);
    tcase_add_test(tc, a_wrong_count_is_refused);
    tcase_add_test(tc, lengths_beyond_the_end_are_refused);
    tcase_add_test(tc, numbers_out_of_range_are_refused);
    tcase_add_test(tc, changed_bytes_never_lead_outside_the_batch);
    tcase_add_test(tc, insert_gives_each_record_a_number_of_its_own);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
