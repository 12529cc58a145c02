/* Tests of the memtable and its arena: against a sorted array, and with readers beside the writer.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../memtable/arena.h"
#include "../memtable/memtable.h"
#include "run_suite.h"
#include "sim_random.h"

static struct memtable *mem;

static void setup(void)
{
    mem = memtable_new();
}

static void teardown(void)
{
    memtable_unref(mem);
}

static void put(uint64_t sequence, const char *key, const char *value)
{
    memtable_add(mem, sequence, KEY_PUT, slice_str(key), slice_str(value));
}

/* The value, "gone" for a deletion, "none". */
static const char *get(uint64_t sequence, const char *key)
{
    static char text[64];
    struct slice value;
    int got = memtable_get(mem, slice_str(key), sequence, &value);
    if (got <= 0)
        return got == -ENOENT ? "gone" : got == 0 ? "none" : "error";
    snprintf(text, sizeof text, "%.*s", (int)value.len, value.data);
    return text;
}

/* ---- the arena */

START_TEST(arena_pieces_are_aligned_and_apart)
{
    enum { N = 3000 };
    struct arena a;
    struct sim_random r = {1};
    unsigned char *pieces[N];
    size_t lens[N], total = 0;
    arena_init(&a);
    for (int i = 0; i < N; i++) {
        lens[i] = sim_below(&r, sim_chance(&r, 2) ? 100000 : 200);
        total += lens[i];
        pieces[i] = arena_take(&a, lens[i]);
        ck_assert_uint_eq((uintptr_t)pieces[i] % 8, 0);
        memset(pieces[i], i & 0xff, lens[i]);
        ck_assert_uint_ge(atomic_load(&a.bytes), total);
    }
    for (int i = 0; i < N; i++)
        for (size_t k = 0; k < lens[i]; k++)
            ck_assert_msg(pieces[i][k] == (i & 0xff), "piece %d was overwritten", i);
    ck_assert_uint_le(atomic_load(&a.bytes), total + total / 4 + 65536);
    arena_free(&a);
}
END_TEST

START_TEST(a_small_memtable_takes_little_memory_and_a_large_one_little_more_than_its_entries)
{
    char value[100] = "";
    ck_assert_uint_le(memtable_bytes(mem), 4096);
    size_t before = memtable_bytes(mem), entries = 0;
    for (int i = 0; i < 10000; i++) {
        char key[32];
        int n = snprintf(key, sizeof key, "key%06d", i);
        memtable_add(mem, (uint64_t)i, KEY_PUT, slice_of(key, (size_t)n),
                     slice_of(value, sizeof value));
        entries += (size_t)n + sizeof value;
        ck_assert_uint_ge(memtable_bytes(mem), before);
        before = memtable_bytes(mem);
    }
    ck_assert_uint_ge(before, entries);
    ck_assert_uint_le(before, entries * 3 / 2);
    ck_assert_uint_eq(memtable_count(mem), 10000);
}
END_TEST

START_TEST(room_is_about_what_goes_in_before_the_limit)
{
    enum { LIMIT = 4 << 20, ENTRY = 200 };
    char value[ENTRY] = "", key[32];
    size_t end, room[3] = {0}, used[3] = {0};
    for (int i = 0; memtable_bytes(mem) <= LIMIT; i++) {
        for (int part = 1; part <= 3; part++) /* a quarter, a half, three quarters full */
            if (room[part - 1] == 0 && memtable_used(mem) > (size_t)part * LIMIT / 4) {
                used[part - 1] = memtable_used(mem);
                room[part - 1] = memtable_room(mem, LIMIT);
            }
        int n = snprintf(key, sizeof key, "key%06d", i);
        memtable_add(mem, (uint64_t)i, KEY_PUT, slice_of(key, (size_t)n),
                     slice_of(value, sizeof value));
    }
    end = memtable_used(mem);
    ck_assert_uint_eq(memtable_room(mem, LIMIT), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_lt(used[i] + room[i], end + (64 << 10));
        ck_assert_uint_gt(used[i] + room[i], end - (64 << 10));
    }
    ck_assert_uint_lt(used[2] + room[2], end + 2 * ENTRY);
    ck_assert_uint_gt(used[2] + room[2], end - 2 * ENTRY);
}
END_TEST

/* ---- one thread */

START_TEST(get_finds_the_newest_entry_at_or_below_the_sequence)
{
    put(5, "k", "five");
    put(9, "k", "nine");
    memtable_add(mem, 12, KEY_DELETE, slice_str("k"), slice_of(NULL, 0));
    put(15, "k", "fifteen");
    ck_assert_str_eq(get(4, "k"), "none");
    ck_assert_str_eq(get(5, "k"), "five");
    ck_assert_str_eq(get(8, "k"), "five");
    ck_assert_str_eq(get(9, "k"), "nine");
    ck_assert_str_eq(get(11, "k"), "nine");
    ck_assert_str_eq(get(12, "k"), "gone");
    ck_assert_str_eq(get(14, "k"), "gone");
    ck_assert_str_eq(get(15, "k"), "fifteen");
    ck_assert_str_eq(get(KEY_MAX_SEQUENCE, "k"), "fifteen");
}
END_TEST

START_TEST(get_does_not_take_a_neighbour)
{
    ck_assert_str_eq(get(9, "k"), "none");
    put(1, "aa", "1");
    put(2, "ac", "2");
    put(3, "", "empty");
    ck_assert_str_eq(get(9, "a"), "none");
    ck_assert_str_eq(get(9, "ab"), "none");
    ck_assert_str_eq(get(9, "aaa"), "none");
    ck_assert_str_eq(get(9, "b"), "none");
    ck_assert_str_eq(get(9, ""), "empty");
}
END_TEST

START_TEST(keys_and_values_of_any_length_come_back)
{
    enum { LARGE = 3 << 20 };
    static const size_t lens[] = {0, 1, 119, 120, 127, 128, 16383, 16384};
    const size_t n = sizeof lens / sizeof *lens;
    char *bytes = mem_alloc(LARGE);
    struct slice value;
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (char)(i * 31 >> 3);
    for (size_t k = 0; k < n; k++)
        for (size_t v = 0; v < n; v++) {
            struct slice key = slice_of(bytes, lens[k]), in = slice_of(bytes + v, lens[v]);
            memtable_add(mem, v, KEY_PUT, key, in);
            ck_assert_int_eq(memtable_get(mem, key, v, &value), 1);
            ck_assert(slice_equal(value, in));
        }
    memtable_add(mem, 9, KEY_PUT, slice_str("k"), slice_of(bytes, LARGE));
    ck_assert_int_eq(memtable_get(mem, slice_str("k"), 9, &value), 1);
    ck_assert(slice_equal(value, slice_of(bytes, LARGE)));
    free(bytes);
}
END_TEST

START_TEST(an_empty_memtable_has_no_place_for_an_iterator)
{
    struct buf target = BUF_INIT;
    struct iter *it = memtable_iter(mem);
    buf_put_ikey(&target, slice_str("k"), 1, KEY_TYPE_SEEK);
    ck_assert(!it->valid);
    iter_first(it);
    ck_assert(!it->valid);
    iter_last(it);
    ck_assert(!it->valid);
    iter_seek(it, buf_slice(&target));
    ck_assert(!it->valid && it->status == 0);
    iter_destroy(it);
    buf_free(&target);
}
END_TEST

START_TEST(an_iterator_keeps_the_memtable)
{
    put(1, "a", "1");
    struct iter *it = memtable_iter(mem);
    memtable_unref(mem);
    iter_first(it);
    ck_assert(it->valid && slice_equal(it->value, slice_str("1")));
    iter_destroy(it);
    mem = NULL; /* unref takes it */
}
END_TEST

/* ---- against a sorted array */

struct entry {
    struct buf ikey, value;
};

static int by_ikey(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return ikey_compare(buf_slice(&x->ikey), buf_slice(&y->ikey));
}

/* A few letters: many equal keys, prefixes of each other. */
static size_t random_key(struct sim_random *r, char key[8])
{
    size_t n = sim_below(r, 5);
    for (size_t i = 0; i < n; i++)
        key[i] = (char)("\x00\x01"
                        "az\xff"[sim_below(r, 5)]);
    return n;
}

enum order { RANDOM, RISING, FALLING, RUNS, ORDERS };

/* Adds n entries of numbers 1..n in this order of keys; the array gets them sorted. */
static void fill(struct entry *all, size_t n, enum order order, struct sim_random *r)
{
    for (size_t i = 0; i < n; i++) {
        char key[16], *value = mem_printf("value %zu", i);
        size_t len, place = order == RISING ? i : n - i;
        if (order == RUNS)
            place = (i / 7 * 7919 % n) * 7 + i % 7;
        if (order == RANDOM)
            len = random_key(r, key);
        else
            len = (size_t)snprintf(key, sizeof key, "%08zu", place);
        enum key_type type = sim_chance(r, 20) ? KEY_DELETE : KEY_PUT;
        memtable_add(mem, i + 1, type, slice_of(key, len), slice_str(value));
        buf_put_ikey(&all[i].ikey, slice_of(key, len), i + 1, type);
        buf_set(&all[i].value, slice_str(value));
        free(value);
    }
    qsort(all, n, sizeof *all, by_ikey);
}

static void assert_at(const struct iter *it, const struct entry *all, size_t n, size_t i)
{
    ck_assert_int_eq(it->valid, i < n);
    ck_assert_int_eq(it->status, 0);
    if (i < n)
        ck_assert(slice_equal(it->key, buf_slice(&all[i].ikey)) &&
                  slice_equal(it->value, buf_slice(&all[i].value)));
}

/* The first entry at or behind the target. */
static size_t lower_bound(const struct entry *all, size_t n, struct slice target)
{
    size_t i = 0;
    while (i < n && ikey_compare(buf_slice(&all[i].ikey), target) < 0)
        i++;
    return i;
}

static void walk_both_ways(const struct entry *all, size_t n)
{
    struct iter *it = memtable_iter(mem);
    iter_first(it);
    for (size_t i = 0; i < n; i++, iter_next(it))
        assert_at(it, all, n, i);
    assert_at(it, all, n, n);
    iter_last(it);
    for (size_t i = n; i-- > 0; iter_prev(it))
        assert_at(it, all, n, i);
    assert_at(it, all, n, n);
    iter_destroy(it);
}

static void jump_about(const struct entry *all, size_t n, struct sim_random *r)
{
    struct iter *it = memtable_iter(mem);
    struct buf target = BUF_INIT;
    char key[8];
    for (int k = 0; k < 500; k++) {
        struct slice user = slice_of(key, random_key(r, key)), value;
        uint64_t sequence = sim_below(r, n + 2);
        buf_clear(&target);
        buf_put_ikey(&target, user, sequence, KEY_TYPE_SEEK);
        size_t i = lower_bound(all, n, buf_slice(&target));
        iter_seek(it, buf_slice(&target));
        assert_at(it, all, n, i);

        bool found = i < n && slice_equal(key_user(buf_slice(&all[i].ikey)), user);
        int expected = !found ? 0 : key_type(buf_slice(&all[i].ikey)) == KEY_PUT ? 1 : -ENOENT;
        ck_assert_int_eq(memtable_get(mem, user, sequence, &value), expected);
        if (expected == 1)
            ck_assert(slice_equal(value, buf_slice(&all[i].value)));

        for (int step = 0; step < 4 && it->valid; step++) {
            bool forward = sim_chance(r, 50);
            forward ? iter_next(it) : iter_prev(it);
            i = forward ? i + 1 : i ? i - 1 : n;
            assert_at(it, all, n, i);
        }
    }
    iter_destroy(it);
    buf_free(&target);
}

START_TEST(it_is_a_sorted_array_whatever_the_order_of_entry)
{
    uint64_t seed = sim_env_number("SEED", 1), rounds = sim_env_number("ITERATIONS", 40);
    printf("it_is_a_sorted_array: SEED=%llu\n", (unsigned long long)seed);
    struct sim_random r = {seed};
    for (uint64_t round = 0; round < rounds; round++) {
        size_t n = 1 + sim_below(&r, 600);
        struct entry *all = mem_zalloc(n * sizeof *all);
        memtable_unref(mem);
        mem = memtable_new();
        fill(all, n, (enum order)(round % ORDERS), &r);
        ck_assert_uint_eq(memtable_count(mem), n);
        walk_both_ways(all, n);
        jump_about(all, n, &r);
        for (size_t i = 0; i < n; i++) {
            buf_free(&all[i].ikey);
            buf_free(&all[i].value);
        }
        free(all);
    }
}
END_TEST

/* Nanoseconds of this thread that it takes to find 20000 entries that came in rising or in mixed
 * order. */
static uint64_t time_to_find(bool rising)
{
    enum { N = 20000 };
    struct timespec from, to;
    struct slice value;
    char key[32];
    memtable_unref(mem);
    mem = memtable_new();
    for (size_t i = 0; i < N; i++) {
        size_t len = (size_t)snprintf(key, sizeof key, "%08zu", rising ? i : i * 7919 % N);
        memtable_add(mem, i + 1, KEY_PUT, slice_of(key, len), slice_of(NULL, 0));
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (size_t i = 0; i < N; i++) {
        size_t len = (size_t)snprintf(key, sizeof key, "%08zu", i * 7919 % N);
        ck_assert_int_eq(memtable_get(mem, slice_of(key, len), N, &value), 1);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    return (uint64_t)(to.tv_sec - from.tv_sec) * 1000000000u + (uint64_t)to.tv_nsec -
           (uint64_t)from.tv_nsec;
}

START_TEST(entries_that_came_in_order_are_found_as_fast_as_others)
{
    uint64_t mixed = time_to_find(false), rising = time_to_find(true);
    ck_assert_msg(rising < 10 * mixed, "%llu ns, but %llu ns where they came mixed",
                  (unsigned long long)rising, (unsigned long long)mixed);
}
END_TEST

/* ---- readers beside the writer */

enum { READERS = 3 };
static _Atomic uint64_t published; /* every sequence up to here is in the memtable */
static uint64_t last_sequence;

/* The entry that sequence s brings; keys come in short rising runs. */
static size_t key_of(uint64_t s, char key[32])
{
    return (size_t)snprintf(key, 32, "%08llx",
                            (unsigned long long)(s / 4 * 2654435761u % 977 * 4 + s % 4));
}

static size_t text_of(uint64_t s, char text[64])
{
    return (size_t)snprintf(text, 64, "%llu is %llu", (unsigned long long)s,
                            (unsigned long long)(s * s));
}

/* The entry an iterator stands on must be one that was written, whole. */
static void assert_true_entry(const struct iter *it)
{
    char key[32], text[64];
    uint64_t s = key_sequence(it->key);
    ck_assert(slice_equal(key_user(it->key), slice_of(key, key_of(s, key))));
    ck_assert(slice_equal(it->value, slice_of(text, text_of(s, text))));
}

static void read_forward(struct iter *it)
{
    struct buf before = BUF_INIT;
    uint64_t least = atomic_load_explicit(&published, memory_order_acquire), n = 0;
    for (iter_first(it); it->valid; iter_next(it), n++) {
        assert_true_entry(it);
        ck_assert(n == 0 || ikey_compare(buf_slice(&before), it->key) < 0);
        buf_set(&before, it->key);
    }
    ck_assert_uint_ge(n, least);
    buf_free(&before);
}

static void read_backward(struct iter *it)
{
    int n = 0;
    struct buf behind = BUF_INIT;
    for (iter_last(it); it->valid && n < 200; iter_prev(it), n++) {
        assert_true_entry(it);
        ck_assert(n == 0 || ikey_compare(it->key, buf_slice(&behind)) < 0);
        buf_set(&behind, it->key);
    }
    buf_free(&behind);
}

static void read_points(struct sim_random *r)
{
    char key[32], text[64];
    for (int i = 0; i < 200; i++) {
        uint64_t newest = atomic_load_explicit(&published, memory_order_acquire);
        if (newest == 0)
            continue;
        uint64_t s = 1 + sim_below(r, newest);
        struct slice value = {0};
        int got = memtable_get(mem, slice_of(key, key_of(s, key)), s, &value);
        ck_assert_msg(got == 1, "entry %llu is missing", (unsigned long long)s);
        ck_assert(slice_equal(value, slice_of(text, text_of(s, text))));
    }
}

static void *reader(void *arg)
{
    struct sim_random r = {(uint64_t)(uintptr_t)arg};
    while (atomic_load_explicit(&published, memory_order_relaxed) < last_sequence) {
        struct iter *it = memtable_iter(mem);
        read_points(&r);
        read_forward(it);
        read_backward(it);
        iter_destroy(it);
        ck_assert_uint_gt(memtable_bytes(mem), 0);
    }
    return NULL;
}

START_TEST(readers_beside_the_writer_see_whole_entries_in_order_and_miss_none)
{
    pthread_t threads[READERS];
    char key[32], text[64];
    last_sequence = sim_env_number("ITERATIONS", 200) * 100;
    atomic_store(&published, 0);
    for (uintptr_t i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, reader, (void *)(i + 1)), 0);
    for (uint64_t s = 1; s <= last_sequence; s++) {
        memtable_add(mem, s, KEY_PUT, slice_of(key, key_of(s, key)),
                     slice_of(text, text_of(s, text)));
        atomic_store_explicit(&published, s, memory_order_release);
    }
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    struct iter *it = memtable_iter(mem);
    read_forward(it);
    iter_destroy(it);
    ck_assert_uint_eq(memtable_count(mem), last_sequence);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memtable");
    TCase *tc = tcase_create("memtable");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, arena_pieces_are_aligned_and_apart);
    tcase_add_test(
        tc, a_small_memtable_takes_little_memory_and_a_large_one_little_more_than_its_entries);
    tcase_add_test(tc, room_is_about_what_goes_in_before_the_limit);
    tcase_add_test(tc, get_finds_the_newest_entry_at_or_below_the_sequence);
    tcase_add_test(tc, get_does_not_take_a_neighbour);
    tcase_add_test(tc, keys_and_values_of_any_length_come_back);
    tcase_add_test(tc, an_empty_memtable_has_no_place_for_an_iterator);
    tcase_add_test(tc, an_iterator_keeps_the_memtable);
    tcase_add_test(tc, it_is_a_sorted_array_whatever_the_order_of_entry);
    tcase_add_test(tc, entries_that_came_in_order_are_found_as_fast_as_others);
    tcase_add_test(tc, readers_beside_the_writer_see_whole_entries_in_order_and_miss_none);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
