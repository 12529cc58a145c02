/* MANIFEST records and file names: what is written is read back, and nothing else is accepted.
 *
 * SEED= repeats a run, ITERATIONS= says how many random edits (default 300). */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "../version/edit.h"
#include "../version/file_name.h"
#include "run_suite.h"
#include "sim_random.h"
#include <check.h> /* last: it defines a macro `fail` */

/* ---------------------------------------------------------------- random edits */

static uint64_t random_number(struct sim_random *r)
{
    return sim_next(r) >> sim_below(r, 64);
}

static void random_key(struct sim_random *r, struct buf *out)
{
    buf_clear(out);
    for (uint64_t i = sim_below(r, 20); i > 0; i--)
        buf_append(out, &(char){(char)sim_next(r)}, 1);
    buf_put_fixed64(out, key_tag(sim_below(r, 1u << 20), sim_chance(r, 50) ? KEY_PUT : KEY_DELETE));
}

static void random_edit(struct sim_random *r, struct edit *e)
{
    struct buf a = BUF_INIT, b = BUF_INIT;
    edit_init(e);
    e->has_comparator = sim_chance(r, 50);
    if (e->has_comparator)
        buf_set(&e->comparator, slice_str(EDIT_COMPARATOR_NAME));
    e->has_log_number = sim_chance(r, 50);
    e->log_number = e->has_log_number ? random_number(r) : 0;
    e->has_prev_log = sim_chance(r, 50);
    e->prev_log = e->has_prev_log ? random_number(r) : 0;
    e->has_next_file = sim_chance(r, 50);
    e->next_file = e->has_next_file ? random_number(r) : 0;
    e->has_last_sequence = sim_chance(r, 50);
    e->last_sequence = e->has_last_sequence ? random_number(r) : 0;
    for (int i = 0; i < VERSION_LEVELS; i++)
        if (sim_chance(r, 20))
            random_key(r, &e->compact_pointer[i]);
    for (uint64_t i = sim_below(r, 5); i > 0; i--)
        edit_delete_file(e, (int)sim_below(r, VERSION_LEVELS), random_number(r));
    for (uint64_t i = sim_below(r, 5); i > 0; i--) {
        random_key(r, &a);
        random_key(r, &b);
        edit_add_file(e, (int)sim_below(r, VERSION_LEVELS), random_number(r), random_number(r),
                      buf_slice(&a), buf_slice(&b));
    }
    buf_free(&a);
    buf_free(&b);
}

static void check_files(const struct edit_file *a, int a_count, const struct edit_file *b,
                        int b_count)
{
    ck_assert_int_eq(a_count, b_count);
    for (int i = 0; i < a_count; i++) {
        ck_assert_int_eq(a[i].level, b[i].level);
        ck_assert_uint_eq(a[i].number, b[i].number);
        ck_assert_uint_eq(a[i].size, b[i].size);
        ck_assert(slice_equal(buf_slice(&a[i].smallest), buf_slice(&b[i].smallest)));
        ck_assert(slice_equal(buf_slice(&a[i].largest), buf_slice(&b[i].largest)));
    }
}

static void check_same(const struct edit *a, const struct edit *b)
{
    ck_assert_int_eq(a->has_comparator, b->has_comparator);
    ck_assert(slice_equal(buf_slice(&a->comparator), buf_slice(&b->comparator)));
    ck_assert_int_eq(a->has_log_number, b->has_log_number);
    ck_assert_uint_eq(a->log_number, b->log_number);
    ck_assert_int_eq(a->has_prev_log, b->has_prev_log);
    ck_assert_uint_eq(a->prev_log, b->prev_log);
    ck_assert_int_eq(a->has_next_file, b->has_next_file);
    ck_assert_uint_eq(a->next_file, b->next_file);
    ck_assert_int_eq(a->has_last_sequence, b->has_last_sequence);
    ck_assert_uint_eq(a->last_sequence, b->last_sequence);
    for (int i = 0; i < VERSION_LEVELS; i++)
        ck_assert(
            slice_equal(buf_slice(&a->compact_pointer[i]), buf_slice(&b->compact_pointer[i])));
    check_files(a->added, a->added_count, b->added, b->added_count);
    check_files(a->deleted, a->deleted_count, b->deleted, b->deleted_count);
}

/* Of a copy that ends where the bytes end, so that a read behind them is caught. */
static int decode(struct edit *e, struct slice bytes)
{
    char *copy = mem_alloc(bytes.len + 1);
    char *end = copy + 1; /* not aligned, and exact to the last byte */
    memcpy(end, bytes.data, bytes.len);
    edit_init(e);
    int rc = edit_decode(e, slice_of(end, bytes.len));
    free(copy);
    return rc;
}

static struct sim_random begin(uint64_t *iterations)
{
    struct sim_random r = {sim_env_number("SEED", (uint64_t)getpid())};
    *iterations = sim_env_number("ITERATIONS", 300);
    printf("SEED=%llu ITERATIONS=%llu\n", (unsigned long long)r.state,
           (unsigned long long)*iterations);
    fflush(stdout);
    return r;
}

/* ---------------------------------------------------------------- tests */

START_TEST(an_edit_comes_back_from_its_bytes)
{
    uint64_t n;
    struct sim_random r = begin(&n);
    while (n-- > 0) {
        struct edit e, back;
        struct buf bytes = BUF_INIT;
        random_edit(&r, &e);
        edit_encode(&e, &bytes);
        ck_assert_int_eq(decode(&back, buf_slice(&bytes)), 0);
        check_same(&e, &back);
        edit_free(&e);
        edit_free(&back);
        buf_free(&bytes);
    }
}
END_TEST

START_TEST(a_cut_record_is_refused_unless_it_ends_behind_a_field)
{
    uint64_t n;
    struct sim_random r = begin(&n);
    for (n = n / 10 + 1; n > 0; n--) {
        struct edit e;
        struct buf bytes = BUF_INIT;
        random_edit(&r, &e);
        edit_encode(&e, &bytes);
        for (size_t cut = 0; cut < bytes.len; cut++) {
            struct edit part;
            struct buf again = BUF_INIT;
            int rc = decode(&part, slice_of(bytes.data, cut));
            ck_assert(rc == 0 || rc == STORE_ECORRUPT);
            if (rc == 0) {
                edit_encode(&part, &again);
                ck_assert(slice_equal(buf_slice(&again), slice_of(bytes.data, cut)));
            }
            edit_free(&part);
            buf_free(&again);
        }
        edit_free(&e);
        buf_free(&bytes);
    }
}
END_TEST

START_TEST(a_changed_byte_never_gives_a_level_that_is_none)
{
    uint64_t n;
    struct sim_random r = begin(&n);
    for (n = n / 10 + 1; n > 0; n--) {
        struct edit e;
        struct buf bytes = BUF_INIT;
        random_edit(&r, &e);
        edit_encode(&e, &bytes);
        for (size_t at = 0; at < bytes.len; at++) {
            struct edit got;
            char was = bytes.data[at];
            bytes.data[at] = (char)(was ^ (1 + sim_below(&r, 255)));
            int rc = decode(&got, buf_slice(&bytes));
            ck_assert(rc == 0 || rc == STORE_ECORRUPT || rc == STORE_EFORMAT);
            for (int i = 0; i < got.added_count; i++) {
                ck_assert(got.added[i].level >= 0 && got.added[i].level < VERSION_LEVELS);
                ck_assert_uint_ge(got.added[i].smallest.len, KEY_TAG_SIZE);
                ck_assert_uint_ge(got.added[i].largest.len, KEY_TAG_SIZE);
            }
            for (int i = 0; i < got.deleted_count; i++)
                ck_assert(got.deleted[i].level >= 0 && got.deleted[i].level < VERSION_LEVELS);
            edit_free(&got);
            bytes.data[at] = was;
        }
        edit_free(&e);
        buf_free(&bytes);
    }
}
END_TEST

START_TEST(an_unknown_field_is_a_newer_format)
{
    static const uint32_t unknown[] = {0, 8, 10, 11, 100, 1000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        for (int behind_others = 0; behind_others < 2; behind_others++) {
            struct edit e;
            struct buf bytes = BUF_INIT;
            if (behind_others) {
                buf_put_varint32(&bytes, EDIT_LOG_NUMBER);
                buf_put_varint64(&bytes, 7);
            }
            buf_put_varint32(&bytes, unknown[i]);
            buf_put_varint64(&bytes, 1);
            ck_assert_int_eq(decode(&e, buf_slice(&bytes)), STORE_EFORMAT);
            edit_free(&e);
            buf_free(&bytes);
        }
}
END_TEST

static void check_refused(const struct buf *bytes)
{
    struct edit e;
    ck_assert_int_eq(decode(&e, buf_slice(bytes)), STORE_ECORRUPT);
    ck_assert_str_ne(fail_text(), "");
    edit_free(&e);
}

START_TEST(a_level_beyond_the_last_is_damage)
{
    static const enum edit_tag tags[] = {EDIT_DELETED_FILE, EDIT_NEW_FILE, EDIT_COMPACT_POINTER};
    for (int i = 0; i < 3; i++) {
        struct buf bytes = BUF_INIT;
        buf_put_varint32(&bytes, (uint32_t)tags[i]);
        buf_put_varint32(&bytes, VERSION_LEVELS);
        if (tags[i] == EDIT_COMPACT_POINTER) {
            buf_put_prefixed(&bytes, slice_str("somekey-12345678"));
        } else {
            buf_put_varint64(&bytes, 5);
            buf_put_varint64(&bytes, 100);
            buf_put_prefixed(&bytes, slice_str("a-12345678"));
            buf_put_prefixed(&bytes, slice_str("b-12345678"));
        }
        check_refused(&bytes);
        buf_free(&bytes);
    }
}
END_TEST

START_TEST(a_key_without_its_number_is_damage)
{
    struct buf bytes = BUF_INIT;
    buf_put_varint32(&bytes, EDIT_NEW_FILE);
    buf_put_varint32(&bytes, 1);
    buf_put_varint64(&bytes, 5);
    buf_put_varint64(&bytes, 100);
    buf_put_prefixed(&bytes, slice_str("1234567")); /* one byte less than a tag */
    buf_put_prefixed(&bytes, slice_str("b-12345678"));
    check_refused(&bytes);
    buf_free(&bytes);
}
END_TEST

/* What LevelDB 1.23 writes for its first record in an empty folder. */
START_TEST(a_first_record_of_leveldb_is_read)
{
    static const char bytes[] = "\x01\x1aleveldb.BytewiseComparator\x02\x00\x03\x02\x04\x00";
    struct edit e;
    ck_assert_int_eq(decode(&e, slice_of(bytes, sizeof bytes - 1)), 0);
    ck_assert(slice_equal(buf_slice(&e.comparator), slice_str(EDIT_COMPARATOR_NAME)));
    ck_assert(e.has_log_number && e.log_number == 0);
    ck_assert(e.has_next_file && e.next_file == 2);
    ck_assert(e.has_last_sequence && e.last_sequence == 0);
    edit_free(&e);
}
END_TEST

static void check_name(char *path, enum name_kind kind, uint64_t number)
{
    uint64_t got;
    ck_assert_int_eq(strncmp(path, "/d/", 3), 0);
    ck_assert_int_eq(name_parse(path + 3, &got), kind);
    ck_assert_uint_eq(got, number);
    free(path);
}

START_TEST(a_file_name_tells_kind_and_number)
{
    static const uint64_t numbers[] = {1, 999999, 1000000, UINT64_MAX};
    uint64_t got;
    check_name(name_current("/d"), NAME_CURRENT, 0);
    check_name(name_lock("/d"), NAME_LOCK, 0);
    check_name(name_info_log("/d"), NAME_INFO_LOG, 0);
    for (int i = 0; i < 4; i++) {
        check_name(name_manifest("/d", numbers[i]), NAME_MANIFEST, numbers[i]);
        check_name(name_log("/d", numbers[i]), NAME_LOG, numbers[i]);
        check_name(name_table("/d", numbers[i]), NAME_TABLE, numbers[i]);
    }
    ck_assert_int_eq(name_parse("000007.sst", &got), NAME_TABLE);
    ck_assert_uint_eq(got, 7);
    ck_assert_int_eq(name_parse("000007.dbtmp", &got), NAME_TEMP);
}
END_TEST

START_TEST(a_strange_file_name_is_left_alone)
{
    static const char *const names[] = {
        "",     "foo",    "CURRENT2", "MANIFEST", "MANIFEST-", "MANIFEST-3x",
        ".ldb", "1.ldbx", "x1.ldb",   "1.LDB",    "-1.log",    "18446744073709551616.log"};
    uint64_t got;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(name_parse(names[i], &got) == NAME_OTHER, "%s", names[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("edit");
    TCase *edits = tcase_create("edits"), *names = tcase_create("names");
    tcase_set_timeout(edits, 120);
    tcase_add_test(edits, an_edit_comes_back_from_its_bytes);
    tcase_add_test(edits, a_cut_record_is_refused_unless_it_ends_behind_a_field);
    tcase_add_test(edits, a_changed_byte_never_gives_a_level_that_is_none);
    tcase_add_test(edits, an_unknown_field_is_a_newer_format);
    tcase_add_test(edits, a_level_beyond_the_last_is_damage);
    tcase_add_test(edits, a_key_without_its_number_is_damage);
    tcase_add_test(edits, a_first_record_of_leveldb_is_read);
    tcase_set_timeout(names, 60);
    tcase_add_test(names, a_file_name_tells_kind_and_number);
    tcase_add_test(names, a_strange_file_name_is_left_alone);
    suite_add_tcase(suite, edits);
    suite_add_tcase(suite, names);
    return run_suite(suite);
}
