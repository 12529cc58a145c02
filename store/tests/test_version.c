/* Versions: finding keys in tables of every level, and what a version lists after many edits. On
 * the simulated disk.
 *
 * SEED= repeats a run, ITERATIONS= says how many random reads (default 20000). */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../store.h"
#include "../version/builder.h"
#include "env_sim.h"
#include "history.h"
#include "run_suite.h"
#include "set_world.h"
#include <check.h> /* last: it defines a macro `fail` */

/* ---------------------------------------------------------------- reading */

START_TEST(the_newest_table_of_level_zero_wins)
{
    struct world *w = world_new();
    char value[32];
    world_apply_table(w, 0, 1, 5, 100);
    world_apply_table(w, 0, 1, 3, 200);
    ck_assert_int_eq(world_get(w, 2, KEY_MAX_SEQUENCE, value, sizeof value), 1);
    ck_assert_str_eq(value, "201");
    ck_assert_int_eq(world_get(w, 2, 150, value, sizeof value), 1);
    ck_assert_str_eq(value, "101");
    ck_assert_int_eq(world_get(w, 5, KEY_MAX_SEQUENCE, value, sizeof value), 1);
    ck_assert_str_eq(value, "104");
    ck_assert_int_eq(world_get(w, 6, KEY_MAX_SEQUENCE, value, sizeof value), 0);
    world_free(w);
}
END_TEST

START_TEST(a_deletion_above_hides_what_is_below)
{
    struct world *w = world_new();
    struct world_entry gone = {3, 300, KEY_DELETE};
    struct edit e;
    char value[32];
    world_apply_table(w, 3, 1, 5, 100);
    edit_init(&e);
    world_add_table(w, &e, 1, &gone, 1);
    ck_assert_int_eq(world_apply(w, &e), 0);
    ck_assert_int_eq(world_get(w, 3, KEY_MAX_SEQUENCE, value, sizeof value), -ENOENT);
    ck_assert_int_eq(world_get(w, 3, 299, value, sizeof value), 1);
    ck_assert_int_eq(world_get(w, 4, KEY_MAX_SEQUENCE, value, sizeof value), 1);
    world_free(w);
}
END_TEST

#define RANDOM_KEYS 200
#define RANDOM_ENTRIES 900

/* Older entries lie deeper; every level is cut into tables between two keys. */
static void random_levels(struct world *w, struct sim_random *r, struct world_entry *all)
{
    for (int i = 0; i < RANDOM_ENTRIES; i++)
        all[i] = (struct world_entry){(int)sim_below(r, RANDOM_KEYS), (uint64_t)i + 1,
                                      sim_chance(r, 30) ? KEY_DELETE : KEY_PUT};
    for (int part = 0; part < 9; part++) { /* the oldest hundred in level 6 ... the rest in 0 */
        int level = part < 6 ? 6 - part : 0;
        struct world_entry copy[100];
        struct edit e;
        edit_init(&e);
        memcpy(copy, all + part * 100, sizeof copy);
        qsort(copy, 100, sizeof copy[0], world_entry_order);
        for (int from = 0, to; from < 100; from = to) {
            to = level == 0 ? 100 : from + 1 + (int)sim_below(r, 30);
            while (to < 100 && copy[to].key == copy[to - 1].key)
                to++;
            to = to > 100 ? 100 : to;
            world_add_table(w, &e, level, copy + from, to - from);
        }
        MUST(world_apply(w, &e) == 0, "%s", fail_text());
    }
}

static const struct world_entry *newest(const struct world_entry *all, int key, uint64_t sequence)
{
    const struct world_entry *found = NULL;
    for (int i = 0; i < RANDOM_ENTRIES; i++)
        if (all[i].key == key && all[i].sequence <= sequence)
            found = &all[i];
    return found;
}

START_TEST(a_read_finds_what_a_search_through_all_entries_finds)
{
    struct sim_random r = {sim_env_number("SEED", (uint64_t)getpid())};
    uint64_t n = sim_env_number("ITERATIONS", 20000);
    struct world_entry all[RANDOM_ENTRIES];
    printf("SEED=%llu\n", (unsigned long long)r.state);
    fflush(stdout);
    struct world *w = world_new();
    random_levels(w, &r, all);
    while (n-- > 0) {
        int key = (int)sim_below(&r, RANDOM_KEYS);
        uint64_t sequence = sim_below(&r, RANDOM_ENTRIES + 2);
        char value[32], expected[32] = "";
        const struct world_entry *e = newest(all, key, sequence);
        if (e && e->type == KEY_PUT)
            snprintf(expected, sizeof expected, "%llu", (unsigned long long)e->sequence);
        ck_assert_int_eq(world_get(w, key, sequence, value, sizeof value), !e ? 0
                                                                           : e->type == KEY_PUT
                                                                               ? 1
                                                                               : -ENOENT);
        ck_assert_str_eq(value, expected);
    }
    world_free(w);
}
END_TEST

START_TEST(iterators_show_every_entry_once_and_in_order)
{
    struct sim_random r = {sim_env_number("SEED", (uint64_t)getpid())};
    struct world_entry all[RANDOM_ENTRIES];
    struct buf last = BUF_INIT;
    struct world *w = world_new();
    int seen = 0;
    random_levels(w, &r, all);
    struct iter **children =
        mem_alloc((size_t)version_iter_count(w->set.current) * sizeof *children);
    int n = version_iters(w->set.current, true, children);
    ck_assert_int_eq(n, version_iter_count(w->set.current));
    struct iter *it = iter_merge(children, (size_t)n);
    free(children);
    for (iter_first(it); it->valid; iter_next(it)) {
        ck_assert(seen == 0 || ikey_compare(buf_slice(&last), it->key) < 0);
        buf_set(&last, it->key);
        seen++;
    }
    ck_assert_int_eq(it->status, 0);
    ck_assert_int_eq(seen, RANDOM_ENTRIES);
    for (iter_last(it); it->valid; iter_prev(it))
        seen--;
    ck_assert_int_eq(seen, 0);
    iter_destroy(it);
    buf_free(&last);
    world_free(w);
}
END_TEST

START_TEST(both_ends_of_a_range_belong_to_it)
{
    struct world *w = world_new();
    for (int i = 0; i < 4; i++)
        world_apply_table(w, 2, 10 * i + 10, 10 * i + 15, 100 * (uint64_t)i + 1);
    struct table_file **files = NULL;
    static const struct {
        int from, to, count;
    } cases[] = {{15, 20, 2}, {16, 19, 0}, {-1, 10, 1}, {-1, 9, 0},  {45, -1, 1},
                 {46, -1, 0}, {-1, -1, 4}, {0, 100, 4}, {21, 21, 1}, {14, 31, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char a[16], b[16];
        int n = version_overlapping(
            w->set.current, 2, cases[i].from < 0 ? slice_of(NULL, 0) : world_key(cases[i].from, a),
            cases[i].to < 0 ? slice_of(NULL, 0) : world_key(cases[i].to, b), &files);
        ck_assert_msg(n == cases[i].count, "%d..%d: %d tables", cases[i].from, cases[i].to, n);
        free(files);
        files = NULL;
    }
    world_free(w);
}
END_TEST

START_TEST(a_range_of_level_zero_grows_over_what_overlaps)
{
    struct world *w = world_new();
    struct table_file **files = NULL;
    char a[16];
    world_apply_table(w, 0, 10, 20, 1);
    world_apply_table(w, 0, 40, 50, 100);
    world_apply_table(w, 0, 18, 30, 200); /* joins the first one with the next */
    world_apply_table(w, 0, 30, 35, 300);
    struct slice key = world_key(12, a);
    ck_assert_int_eq(version_overlapping(w->set.current, 0, key, key, &files), 3);
    free(files);
    world_free(w);
}
END_TEST

START_TEST(a_size_grows_with_the_range)
{
    struct world *w = world_new();
    char a[16], b[16];
    for (int i = 0; i < 8; i++)
        world_apply_table(w, 1, 32 * i, 32 * i + 31, 100 * (uint64_t)i + 1);
    uint64_t all = version_approximate_size(w->set.current, world_key(0, a), world_key(999, b));
    uint64_t half = version_approximate_size(w->set.current, world_key(0, a), world_key(128, b));
    ck_assert_uint_eq(all, w->set.current->level[1].bytes);
    ck_assert_uint_gt(half, all / 3);
    ck_assert_uint_lt(half, all - all / 3);
    ck_assert_uint_eq(version_approximate_size(w->set.current, world_key(9, a), world_key(9, b)),
                      0);
    world_free(w);
}
END_TEST

/* LevelDB cuts its tables also between two versions of one key. */
START_TEST(a_deletion_does_not_leave_older_versions_in_the_next_table)
{
    struct world_entry above[] = {{1, 100, KEY_PUT}, {4, 101, KEY_PUT}};
    struct world_entry left[] = {{3, 8, KEY_PUT}, {5, 9, KEY_DELETE}};
    struct world_entry right[] = {{5, 5, KEY_PUT}, {9, 6, KEY_PUT}};
    struct world *w = world_new();
    struct store_options options;
    struct store *store;
    struct edit e;
    struct buf value = BUF_INIT;
    edit_init(&e);
    world_add_table(w, &e, 1, above, 2);
    world_add_table(w, &e, 2, left, 2);
    world_add_table(w, &e, 2, right, 2);
    e.has_last_sequence = true;
    e.last_sequence = 1000;
    ck_assert_int_eq(world_apply(w, &e), 0);
    world_close(w);
    store_options_init(&options);
    options.env = w->env;
    ck_assert_int_eq(store_open(WORLD_DIR, &options, &store), 0);
    ck_assert_int_eq(store_get(store, NULL, slice_str("key00005"), &value), -ENOENT);
    ck_assert_int_eq(store_compact(store, slice_str("key00001"), slice_str("key00004")), 0);
    ck_assert_int_eq(store_get(store, NULL, slice_str("key00005"), &value), -ENOENT);
    ck_assert_int_eq(store_close(store), 0);
    ck_assert_int_eq(world_open(w, w->env), 0);
    buf_free(&value);
    world_free(w);
}
END_TEST

/* ---------------------------------------------------------------- what edits make of it */

/* As it is after a long time: each edit takes out a table of a large level and adds one. */
START_TEST(an_edit_costs_what_it_names_however_many_tables_there_are)
{
    enum { TABLES = 20000, EDITS = 60000 };
    struct builder b;
    struct timespec start, end;
    char smallest[24], largest[24];
    builder_init(&b, NULL);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    for (uint64_t i = 0; i < EDITS; i++) {
        struct edit e;
        snprintf(smallest, sizeof smallest, "%08llu-a12345678", (unsigned long long)i);
        snprintf(largest, sizeof largest, "%08llu-b12345678", (unsigned long long)i);
        edit_init(&e);
        if (i >= TABLES)
            edit_delete_file(&e, 3, i - TABLES);
        edit_add_file(&e, 3, i, 100, slice_str(smallest), slice_str(largest));
        ck_assert_int_eq(builder_apply(&b, &e), 0);
        edit_free(&e);
    }
    struct world *w = world_new();
    struct version *v;
    ck_assert_int_eq(builder_finish(&b, &w->set, &v), 0);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    ck_assert_int_eq(v->level[3].count, TABLES);
    for (int i = 0; i < TABLES; i++)
        ck_assert_uint_eq(v->level[3].files[i]->number, (uint64_t)(EDITS - TABLES + i));
    version_unref(v);
    builder_free(&b);
    world_free(w);
    double seconds =
        (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    MUST(seconds < 2, "%.2f s for %d edits of %d tables", seconds, EDITS, TABLES);
}
END_TEST

/* Random edits against a plain list. */
START_TEST(a_version_lists_what_the_edits_leave)
{
    enum { NUMBERS = 300 };
    uint64_t seed = sim_env_number("SEED", (uint64_t)getpid());
    struct sim_random r = {seed};
    struct world *w = world_new();
    printf("SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    for (int round = 0; round < 50; round++) {
        int level_of[NUMBERS] = {0}; /* + 1; 0: nowhere */
        struct builder b;
        struct version *base = NULL, *v;
        builder_init(&b, NULL);
        for (int step = 0; step < 400; step++) {
            char key[24];
            struct edit e;
            int n = (int)sim_below(&r, NUMBERS), level = (int)sim_below(&r, VERSION_LEVELS);
            bool was = level_of[n] > 0, add = !was || sim_chance(&r, 50);
            snprintf(key, sizeof key, "%08d-12345678", n);
            edit_init(&e);
            if (was)
                edit_delete_file(&e, level_of[n] - 1, (uint64_t)n);
            if (add) /* also: moves to another level, or to its own */
                edit_add_file(&e, level, (uint64_t)n, 1, slice_str(key), slice_str(key));
            MUST(builder_apply(&b, &e) == 0, "%s", fail_text());
            edit_free(&e);
            level_of[n] = add ? level + 1 : 0;
            if (step == 200) { /* goes on from a version */
                MUST(builder_finish(&b, &w->set, &base) == 0, "%s", fail_text());
                builder_free(&b);
                builder_init(&b, base);
            }
        }
        MUST(builder_finish(&b, &w->set, &v) == 0, "%s", fail_text());
        for (int level = 0; level < VERSION_LEVELS; level++) {
            int at = 0;
            for (int n = 0; n < NUMBERS; n++)
                if (level_of[n] == level + 1) {
                    ck_assert_int_lt(at, v->level[level].count);
                    ck_assert_uint_eq(v->level[level].files[at++]->number, (uint64_t)n);
                }
            ck_assert_int_eq(at, v->level[level].count);
        }
        builder_free(&b);
        version_unref(base);
        version_unref(v);
    }
    world_free(w);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {the_newest_table_of_level_zero_wins,
                                  a_deletion_above_hides_what_is_below,
                                  a_read_finds_what_a_search_through_all_entries_finds,
                                  iterators_show_every_entry_once_and_in_order,
                                  both_ends_of_a_range_belong_to_it,
                                  a_range_of_level_zero_grows_over_what_overlaps,
                                  a_size_grows_with_the_range,
                                  a_deletion_does_not_leave_older_versions_in_the_next_table,
                                  an_edit_costs_what_it_names_however_many_tables_there_are,
                                  a_version_lists_what_the_edits_leave,
                                  NULL};
    return run_tests("version", 120, NULL, NULL, tests);
}
