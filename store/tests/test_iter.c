/* Iterators over iterators: merged, two-level and the user's, each against a sorted array with
 * changes of direction, and over children that cannot be read.
 *
 * SEED= repeats a run, ITERATIONS= says how many random cases (default 300). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/error.h"
#include "../memtable/key_format.h"
#include "../memtable/memtable.h"
#include "history.h"
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

/* An index in 0 .. count-1 or, mostly, -1. */
static int seldom_one(struct sim_random *r, int count)
{
    return count > 0 && sim_chance(r, 20) ? (int)sim_below(r, (uint64_t)count) : -1;
}

/* ---- nothing */

START_TEST(an_empty_iterator_stays_empty_and_keeps_its_error)
{
    for (int status = 0; status >= -EIO; status -= EIO) {
        struct iter *it = iter_empty(status);
        ck_assert(!it->valid);
        iter_first(it);
        iter_last(it);
        iter_seek(it, slice_of("12345678", 8));
        ck_assert(!it->valid);
        ck_assert_int_eq(it->status, status);
        iter_destroy(it);
    }
    iter_destroy(NULL);
}
END_TEST

/* ---- merge */

#define CHILDREN 8

/* Deals the entries to children; some to several of them. `all` becomes what the merged iterator
 * should show: equal keys in the order of the children. */
static void deal(struct sim_random *r, struct sorted *all, struct sorted child[], int children)
{
    int count = all->count;
    struct buf value = BUF_INIT;
    for (int c = 0; c < children; c++)
        child[c] = (struct sorted){.count = 0};
    for (int i = 0; i < count; i++) {
        int c = (int)sim_below(r, (uint64_t)children);
        all->at[i].from = c;
        sorted_add(&child[c], buf_slice(&all->at[i].key), buf_slice(&all->at[i].value), 0);
        if (!sim_chance(r, 20))
            continue;
        int other = (int)sim_below(r, (uint64_t)children);
        if (other == c)
            continue;
        buf_set(&value, slice_str("another"));
        sorted_add(&child[other], buf_slice(&all->at[i].key), buf_slice(&value), 0);
        sorted_add(all, buf_slice(&all->at[i].key), buf_slice(&value), other);
    }
    sorted_sort(all);
    buf_free(&value);
}

/* All of them merged; -EIO is allowed where *error is set. */
static struct iter *merge(struct sim_random *r, struct sorted child[], int children, bool damage,
                          int *error)
{
    struct iter *its[CHILDREN];
    *error = 0;
    for (int c = 0; c < children; c++) {
        int unreadable = damage ? seldom_one(r, child[c].count) : -1;
        bool fickle = damage && sim_chance(r, 10);
        if (unreadable >= 0 || fickle)
            *error = -EIO;
        its[c] = fickle ? sorted_iter_fickle(&child[c], r) : sorted_iter(&child[c], unreadable);
    }
    struct iter *it = iter_merge(its, (size_t)children);
    memset(its, 0xdd, sizeof its); /* the array is not needed any more */
    return it;
}

static void check_merges(bool damage)
{
    uint64_t n;
    struct sim_random r = begin(&n);
    while (n-- > 0) {
        struct sorted all, child[CHILDREN];
        int children = 1 + (int)sim_below(&r, CHILDREN), error;
        sorted_random(&r, &all, sim_chance(&r, 30) ? 5 : 60);
        deal(&r, &all, child, children);
        struct iter *it = merge(&r, child, children, damage, &error);
        sorted_wander(&r, it, &all, 300, error);
        iter_destroy(it);
        for (int c = 0; c < children; c++)
            sorted_free(&child[c]);
        sorted_free(&all);
    }
}

START_TEST(a_merge_is_the_union_with_the_earlier_child_first_among_equals)
{
    check_merges(false);
}
END_TEST

START_TEST(a_merge_with_an_unreadable_entry_skips_nothing)
{
    check_merges(true);
}
END_TEST

START_TEST(a_merge_of_none_is_empty_and_of_one_is_that_one)
{
    struct sorted s = {.count = 0};
    struct iter *it = iter_merge(NULL, 0), *one = sorted_iter(&s, -1);
    iter_first(it);
    ck_assert(!it->valid);
    ck_assert_int_eq(it->status, 0);
    iter_destroy(it);
    ck_assert_ptr_eq(iter_merge(&one, 1), one);
    iter_destroy(one);
}
END_TEST

/* A child that cannot be read at all, however the others stand. */
START_TEST(a_merge_with_a_child_in_error_shows_nothing)
{
    struct sorted s = {.count = 0};
    sorted_add(&s, slice_of("a\1\1\0\0\0\0\0\0", 9), slice_str("v"), 0);
    for (int at = 0; at < 3; at++) {
        struct iter *its[3];
        for (int i = 0; i < 3; i++)
            its[i] = i == at ? iter_empty(-EIO) : sorted_iter(&s, -1);
        struct iter *it = iter_merge(its, 3);
        for (int move = 0; move < 3; move++) {
            if (move == 0)
                iter_first(it);
            else if (move == 1)
                iter_last(it);
            else
                iter_seek(it, slice_of("a\1\1\0\0\0\0\0\0", 9));
            ck_assert(!it->valid);
            ck_assert_int_eq(it->status, -EIO);
        }
        iter_destroy(it);
    }
    sorted_free(&s);
}
END_TEST

/* ---- two levels */

#define RUNS 20

struct runs {
    struct sorted run[RUNS], index;
    int unreadable[RUNS]; /* an entry of it, -1: none, -2: the run cannot be opened */
    int count;
    int destroyed;
};

static struct iter *open_run(void *arg, struct slice index_value)
{
    struct runs *runs = arg;
    uint32_t i = get_fixed32(index_value.data);
    MUST(index_value.len == 4 && i < (uint32_t)runs->count, "no value of the index");
    return runs->unreadable[i] == -2 ? iter_empty(-EIO)
                                     : sorted_iter(&runs->run[i], runs->unreadable[i]);
}

static void note_destroyed(void *arg)
{
    struct runs *runs = arg;
    runs->destroyed++;
}

/* Cuts `all` into runs, some of them empty; the index has the last key of each (an empty one
 * repeats the key before it, or the least there is). */
static void cut_to_runs(struct sim_random *r, const struct sorted *all, struct runs *runs,
                        bool damage, int *error)
{
    struct buf last = BUF_INIT;
    int i = 0;
    *runs = (struct runs){.count = 1 + (int)sim_below(r, RUNS)};
    *error = 0;
    buf_put_ikey(&last, slice_str(""), KEY_MAX_SEQUENCE, KEY_PUT);
    for (int run = 0; run < runs->count; run++) {
        char value[4];
        int left = all->count - i;
        int take = run == runs->count - 1 ? left
                   : sim_chance(r, 30)    ? 0
                                          : (int)sim_below(r, (uint64_t)(left / 2 + 1));
        for (; take > 0; take--, i++) {
            sorted_add(&runs->run[run], buf_slice(&all->at[i].key), buf_slice(&all->at[i].value),
                       0);
            buf_set(&last, buf_slice(&all->at[i].key));
        }
        put_fixed32(value, (uint32_t)run);
        sorted_add(&runs->index, buf_slice(&last), slice_of(value, 4), run);
        runs->unreadable[run] = damage ? seldom_one(r, runs->run[run].count) : -1;
        if (damage && sim_chance(r, 10))
            runs->unreadable[run] = -2;
        if (runs->unreadable[run] != -1)
            *error = -EIO;
    }
    buf_free(&last);
}

static void runs_free(struct runs *runs)
{
    for (int run = 0; run < runs->count; run++)
        sorted_free(&runs->run[run]);
    sorted_free(&runs->index);
}

static void check_two_levels(bool damage)
{
    uint64_t n;
    struct sim_random r = begin(&n);
    while (n-- > 0) {
        struct sorted all;
        struct runs runs;
        int error;
        sorted_random(&r, &all, sim_chance(&r, 30) ? 5 : 80);
        cut_to_runs(&r, &all, &runs, damage, &error);
        int bad_index = damage ? seldom_one(&r, runs.index.count) : -1;
        bool fickle = damage && sim_chance(&r, 20);
        struct iter *index =
            fickle ? sorted_iter_fickle(&runs.index, &r) : sorted_iter(&runs.index, bad_index);
        struct iter *it = iter_two_level(index, open_run, note_destroyed, &runs);
        ck_assert(!it->valid);
        sorted_wander(&r, it, &all, 300, fickle || bad_index >= 0 ? -EIO : error);
        ck_assert_int_eq(runs.destroyed, 0);
        iter_destroy(it);
        ck_assert_int_eq(runs.destroyed, 1);
        runs_free(&runs);
        sorted_free(&all);
    }
}

START_TEST(two_levels_are_one_run_after_the_other)
{
    check_two_levels(false);
}
END_TEST

START_TEST(two_levels_with_an_unreadable_run_skip_nothing)
{
    check_two_levels(true);
}
END_TEST

static struct iter *count_opens(void *arg, struct slice index_value)
{
    (void)index_value;
    ++*(int *)((void **)arg)[0];
    return sorted_iter(((void **)arg)[1], -1);
}

START_TEST(a_run_is_opened_once_while_the_iterator_stays_in_it)
{
    struct sorted index = {.count = 0}, run = {.count = 0};
    int opened = 0;
    void *arg[] = {&opened, &run};
    sorted_add(&index, slice_of("z\1\1\0\0\0\0\0\0", 9), slice_str("only"), 0);
    sorted_add(&run, slice_of("a\1\1\0\0\0\0\0\0", 9), slice_str("v"), 0);
    sorted_add(&run, slice_of("b\1\1\0\0\0\0\0\0", 9), slice_str("w"), 0);
    struct iter *it = iter_two_level(sorted_iter(&index, -1), count_opens, NULL, arg);
    ck_assert_int_eq(opened, 0);
    for (int i = 0; i < 5; i++) {
        iter_first(it);
        sorted_check_at(it, &run, 0);
        iter_next(it);
        sorted_check_at(it, &run, 1);
        iter_seek(it, slice_of("b\1\1\0\0\0\0\0\0", 9));
        sorted_check_at(it, &run, 1);
        iter_last(it);
        sorted_check_at(it, &run, 1);
    }
    ck_assert_int_eq(opened, 1);
    iter_destroy(it);
    sorted_free(&index);
    sorted_free(&run);
}
END_TEST

/* ---- the user's view */

/* Of each user key the newest entry at or below the sequence, where it is a put. */
static void view_of(const struct sorted *all, uint64_t sequence, struct sorted *view)
{
    *view = (struct sorted){.user_keys = true};
    for (int i = 0; i < all->count;) {
        struct slice user = key_user(buf_slice(&all->at[i].key));
        int newest = -1;
        for (; i < all->count && slice_equal(key_user(buf_slice(&all->at[i].key)), user); i++)
            if (newest < 0 && key_sequence(buf_slice(&all->at[i].key)) <= sequence)
                newest = i;
        if (newest >= 0 && key_type(buf_slice(&all->at[newest].key)) == KEY_PUT)
            sorted_add(view, user, buf_slice(&all->at[newest].value), 0);
    }
}

static void check_views(bool damage)
{
    uint64_t n;
    struct sim_random r = begin(&n);
    while (n-- > 0) {
        struct sorted all, view;
        sorted_random(&r, &all, sim_chance(&r, 30) ? 6 : 150);
        uint64_t sequence = sim_chance(&r, 10) ? KEY_MAX_SEQUENCE : sim_below(&r, 55);
        int unreadable = damage ? seldom_one(&r, all.count) : -1;
        view_of(&all, sequence, &view);
        bool fickle = damage && sim_chance(&r, 20);
        struct iter *it =
            iter_user(fickle ? sorted_iter_fickle(&all, &r) : sorted_iter(&all, unreadable),
                      sequence, NULL, NULL);
        ck_assert(!it->valid);
        sorted_wander(&r, it, &view, 300, fickle || unreadable >= 0 ? -EIO : 0);
        iter_destroy(it);
        sorted_free(&view);
        sorted_free(&all);
    }
}

START_TEST(a_user_sees_the_newest_version_as_of_a_sequence_and_no_deletions)
{
    check_views(false);
}
END_TEST

START_TEST(a_user_of_an_unreadable_entry_is_shown_nothing_old_or_deleted)
{
    check_views(true);
}
END_TEST

/* As in a store: the newest entries in memtables, older ones in tables that overlap, the oldest in
 * a level of tables that do not. */
START_TEST(the_whole_stack_is_one_sorted_array)
{
    uint64_t n;
    struct sim_random r = begin(&n);
    while (n-- > 0) {
        struct sorted all, view, table[3] = {{.count = 0}}, level = {.count = 0};
        struct memtable *mem[2] = {memtable_new(), memtable_new()};
        struct runs runs;
        struct iter *its[6];
        int error;
        sorted_random(&r, &all, 200);
        for (int i = 0; i < all.count; i++) {
            struct slice key = buf_slice(&all.at[i].key), value = buf_slice(&all.at[i].value);
            uint64_t where = key_sequence(key) / 8; /* 0 .. 6 */
            if (where >= 5)
                memtable_add(mem[where - 5], key_sequence(key), key_type(key), key_user(key),
                             value);
            else
                sorted_add(where >= 2 ? &table[where - 2] : &level, key, value, 0);
        }
        cut_to_runs(&r, &level, &runs, false, &error);
        for (int i = 0; i < 2; i++) {
            its[i] = memtable_iter(mem[1 - i]);
            memtable_unref(mem[1 - i]); /* the iterator keeps it */
        }
        for (int i = 0; i < 3; i++)
            its[2 + i] = sorted_iter(&table[2 - i], -1);
        its[5] = iter_two_level(sorted_iter(&runs.index, -1), open_run, NULL, &runs);
        uint64_t sequence = sim_below(&r, 55);
        view_of(&all, sequence, &view);
        struct iter *it = iter_user(iter_merge(its, 6), sequence, NULL, NULL);
        sorted_wander(&r, it, &view, 300, 0);
        iter_destroy(it);
        runs_free(&runs);
        for (int i = 0; i < 3; i++)
            sorted_free(&table[i]);
        sorted_free(&level);
        sorted_free(&view);
        sorted_free(&all);
    }
}
END_TEST

/* Turning round behind and before entries that nobody sees. */
START_TEST(a_user_who_turns_round_sees_the_same_keys)
{
    struct sorted all = {.count = 0}, view;
    struct buf key = BUF_INIT;
    static const struct {
        const char *user;
        uint64_t sequence;
        enum key_type type;
    } entries[] = {
        {"a", 90, KEY_PUT}, /* too new */
        {"b", 95, KEY_DELETE}, {"b", 20, KEY_PUT}, {"b", 10, KEY_PUT},
        {"c", 30, KEY_DELETE}, {"c", 12, KEY_PUT}, {"d", 50, KEY_PUT},
        {"d", 5, KEY_DELETE},  {"e", 99, KEY_PUT}, {"e", 7, KEY_DELETE},
        {"f", 98, KEY_DELETE}, {"f", 50, KEY_PUT}, {"g", 51, KEY_PUT}, /* too new */
    };
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        buf_clear(&key);
        buf_put_ikey(&key, slice_str(entries[i].user), entries[i].sequence, entries[i].type);
        sorted_add(&all, buf_slice(&key), slice_of(&entries[i].sequence, 8), 0);
    }
    view_of(&all, 50, &view);
    ck_assert_int_eq(view.count, 3); /* b d f */
    struct iter *it = iter_user(sorted_iter(&all, -1), 50, NULL, NULL);
    for (int i = 0; i < 3; i++)
        for (int steps = 0; steps < 32; steps++) { /* five moves, each forward or back */
            int at = i;
            iter_seek(it, buf_slice(&view.at[i].key));
            sorted_check_at(it, &view, at);
            for (int bit = 0; bit < 5 && at >= 0 && at < 3; bit++) {
                steps >> bit & 1 ? iter_next(it) : iter_prev(it);
                at += steps >> bit & 1 ? 1 : -1;
                sorted_check_at(it, &view, at);
            }
        }
    iter_destroy(it);
    sorted_free(&view);
    sorted_free(&all);
    buf_free(&key);
}
END_TEST

/* The entry that cannot be read shows how far it looks. */
START_TEST(who_stays_within_a_prefix_does_not_look_behind_it)
{
    struct sorted all = {.count = 0};
    struct buf key = BUF_INIT;
    static const char *const users[] = {"a1", "a2", "b1", "b2", "b3"};
    for (size_t i = 0; i < sizeof users / sizeof users[0]; i++) {
        buf_clear(&key);
        buf_put_ikey(&key, slice_str(users[i]), 5, i < 2 ? KEY_PUT : KEY_DELETE);
        sorted_add(&all, buf_slice(&key), slice_str("v"), 0);
    }
    for (int within = 0; within < 2; within++) {
        struct iter *it = iter_user(sorted_iter(&all, 4), 9, NULL, NULL);
        if (within)
            iter_stay_within(it, slice_str("a"));
        iter_seek(it, slice_str("a"));
        ck_assert(it->valid && slice_equal(it->key, slice_str("a1")));
        iter_next(it);
        ck_assert(it->valid && slice_equal(it->key, slice_str("a2")));
        iter_next(it);
        ck_assert(!it->valid);
        ck_assert(within ? it->status == 0 : it->status != 0);
        iter_seek(it, slice_str("a2")); /* and it can go on */
        ck_assert(it->valid && slice_equal(it->key, slice_str("a2")));
        iter_destroy(it);
    }
    struct iter *none = iter_empty(0);
    iter_stay_within(none, slice_str("a"));
    ck_assert(!none->valid);
    iter_destroy(none);
    sorted_free(&all);
    buf_free(&key);
}
END_TEST

START_TEST(an_entry_of_unknown_type_or_without_a_number_ends_with_an_error)
{
    static const struct slice keys[] = {{"b\7\1\0\0\0\0\0\0", 9}, {"b\1\1\0", 4}};
    for (int which = 0; which < 2; which++) {
        struct sorted s = {.user_keys = true}; /* the second has no order as an internal key */
        sorted_add(&s, slice_of("a\1\1\0\0\0\0\0\0", 9), slice_str("v"), 0);
        sorted_add(&s, keys[which], slice_str("x"), 0);
        sorted_add(&s, slice_of("c\1\1\0\0\0\0\0\0", 9), slice_str("w"), 0);
        struct iter *it = iter_user(sorted_iter(&s, -1), 1, NULL, NULL);
        iter_first(it);
        ck_assert(it->valid && slice_equal(it->key, slice_str("a")));
        iter_next(it);
        ck_assert(!it->valid);
        ck_assert_int_eq(it->status, STORE_ECORRUPT);
        iter_last(it);
        if (it->valid) { /* found before the damage was met */
            ck_assert(slice_equal(it->key, slice_str("c")));
            iter_prev(it);
        }
        ck_assert(!it->valid);
        ck_assert_int_eq(it->status, STORE_ECORRUPT);
        iter_first(it); /* a new placement forgets it */
        ck_assert(it->valid);
        ck_assert_int_eq(it->status, 0);
        iter_seek(it, slice_str("c"));
        ck_assert(it->valid);
        iter_prev(it);
        ck_assert(!it->valid);
        ck_assert_int_eq(it->status, STORE_ECORRUPT);
        iter_destroy(it);
        sorted_free(&s);
    }
}
END_TEST

static void count_release(void *arg)
{
    ++*(int *)arg;
}

START_TEST(what_pins_the_data_is_let_go_of_once_at_the_end)
{
    struct sorted s = {.count = 0};
    int released = 0;
    struct iter *it = iter_user(sorted_iter(&s, -1), 50, count_release, &released);
    iter_first(it);
    iter_last(it);
    ck_assert_int_eq(released, 0);
    iter_destroy(it);
    ck_assert_int_eq(released, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("iter");
    TCase *merges = tcase_create("merge"), *levels = tcase_create("two levels"),
          *user = tcase_create("user");
    tcase_set_timeout(merges, 120);
    tcase_add_test(merges, an_empty_iterator_stays_empty_and_keeps_its_error);
    tcase_add_test(merges, a_merge_is_the_union_with_the_earlier_child_first_among_equals);
    tcase_add_test(merges, a_merge_with_an_unreadable_entry_skips_nothing);
    tcase_add_test(merges, a_merge_of_none_is_empty_and_of_one_is_that_one);
    tcase_add_test(merges, a_merge_with_a_child_in_error_shows_nothing);
    suite_add_tcase(suite, merges);
    tcase_set_timeout(levels, 120);
    tcase_add_test(levels, two_levels_are_one_run_after_the_other);
    tcase_add_test(levels, two_levels_with_an_unreadable_run_skip_nothing);
    tcase_add_test(levels, a_run_is_opened_once_while_the_iterator_stays_in_it);
    suite_add_tcase(suite, levels);
    tcase_set_timeout(user, 120);
    tcase_add_test(user, a_user_sees_the_newest_version_as_of_a_sequence_and_no_deletions);
    tcase_add_test(user, a_user_of_an_unreadable_entry_is_shown_nothing_old_or_deleted);
    tcase_add_test(user, the_whole_stack_is_one_sorted_array);
    tcase_add_test(user, a_user_who_turns_round_sees_the_same_keys);
    tcase_add_test(user, who_stays_within_a_prefix_does_not_look_behind_it);
    tcase_add_test(user, an_entry_of_unknown_type_or_without_a_number_ends_with_an_error);
    tcase_add_test(user, what_pins_the_data_is_let_go_of_once_at_the_end);
    suite_add_tcase(suite, user);
    return run_suite(suite);
}
