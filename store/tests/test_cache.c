/* The cache of blocks and the cache of open tables: what is held stays, what is not goes oldest
 * first, everything is freed once. With many threads too.
 *
 * SEED= repeats a run (as far as the threads allow), ITERATIONS= says how many random operations
 * (default 100000). */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/error.h"
#include "../table/table_builder.h"
#include "../table/table_cache.h"
#include "../version/file_name.h"
#include "env_sim.h"
#include "history.h"
#include "run_suite.h"

static struct sim_random begin(uint64_t *iterations)
{
    struct sim_random r = {sim_env_number("SEED", (uint64_t)getpid())};
    *iterations = sim_env_number("ITERATIONS", 100000);
    printf("SEED=%llu ITERATIONS=%llu\n", (unsigned long long)r.state,
           (unsigned long long)*iterations);
    fflush(stdout);
    return r;
}

/* ---- values that know their key, and who is still alive */

#define ALIVE 0x600df00du

struct item {
    uint64_t a, b, number; /* number: which insertion of all */
    uint32_t alive;
};

static atomic_ullong made, freed, last_freed;

static void free_item(void *value)
{
    struct item *item = value;
    MUST(item->alive == ALIVE, "freed twice");
    item->alive = 0;
    last_freed = item->number;
    atomic_fetch_add(&freed, 1);
    free(item);
}

static struct item *new_item(uint64_t a, uint64_t b)
{
    struct item *item = mem_alloc(sizeof *item);
    *item = (struct item){a, b, atomic_fetch_add(&made, 1), ALIVE};
    return item;
}

static struct cache_entry *insert(struct cache *c, uint64_t a, uint64_t b, size_t bytes)
{
    return cache_insert(c, a, b, new_item(a, b), bytes);
}

static struct item *item_of(struct cache_entry *e)
{
    return cache_value(e);
}

static bool is_there(struct cache *c, uint64_t a, uint64_t b)
{
    struct cache_entry *e = cache_find(c, a, b);
    if (e) {
        ck_assert_uint_eq(item_of(e)->a, a);
        ck_assert_uint_eq(item_of(e)->b, b);
        cache_release(c, e);
    }
    return e != NULL;
}

/* ---- one thread */

START_TEST(what_was_inserted_is_found_under_its_key_only)
{
    struct cache *c = cache_new(1 << 30, free_item);
    for (uint64_t a = 0; a < 50; a++)
        for (uint64_t b = 0; b < 50; b++)
            cache_release(c, insert(c, a << 32, b << 12, 1));
    for (uint64_t a = 0; a < 50; a++)
        for (uint64_t b = 0; b < 50; b++) {
            ck_assert(is_there(c, a << 32, b << 12));
            ck_assert(!is_there(c, a << 32 | 1, b << 12));
            ck_assert(a == b || (b << 12) < 50 || !is_there(c, b << 12, a << 32));
        }
    ck_assert_uint_eq(cache_bytes(c), 2500);
    ck_assert_uint_eq(freed, 0);
    cache_free(c);
    ck_assert_uint_eq(freed, 2500);
}
END_TEST

START_TEST(a_new_value_replaces_the_old_one_which_lives_while_held)
{
    struct cache *c = cache_new(1 << 20, free_item);
    struct cache_entry *old = insert(c, 1, 2, 100);
    struct cache_entry *new = insert(c, 1, 2, 50);
    ck_assert_uint_eq(cache_bytes(c), 50);
    ck_assert_uint_eq(item_of(old)->alive, ALIVE);
    ck_assert_uint_eq(item_of(old)->number, 0);
    struct cache_entry *found = cache_find(c, 1, 2);
    ck_assert_ptr_eq(found, new);
    cache_release(c, found);
    cache_release(c, new);
    ck_assert_uint_eq(freed, 0);
    cache_release(c, old);
    ck_assert_uint_eq(freed, 1);
    ck_assert_uint_eq(last_freed, 0);
    ck_assert(is_there(c, 1, 2));
    cache_release(c, insert(c, 1, 2, 10)); /* nobody holds the one before */
    ck_assert_uint_eq(freed, 2);
    cache_free(c);
    ck_assert_uint_eq(freed, 3);
}
END_TEST

START_TEST(an_erased_entry_is_gone_and_lives_while_held)
{
    struct cache *c = cache_new(1 << 20, free_item);
    struct cache_entry *e = insert(c, 1, 2, 100);
    cache_erase(c, 1, 2);
    ck_assert(!is_there(c, 1, 2));
    ck_assert_uint_eq(cache_bytes(c), 0);
    cache_erase(c, 1, 2); /* nothing there: nothing happens */
    ck_assert_uint_eq(freed, 0);
    ck_assert_uint_eq(item_of(e)->alive, ALIVE);
    cache_release(c, e);
    ck_assert_uint_eq(freed, 1);
    cache_release(c, insert(c, 3, 4, 100));
    cache_erase(c, 3, 4);
    ck_assert_uint_eq(freed, 2);
    cache_free(c);
}
END_TEST

START_TEST(the_limit_holds_and_the_newest_stay)
{
    enum { LIMIT = 160000, BYTES = 100 };
    struct cache *c = cache_new(LIMIT, free_item);
    for (uint64_t i = 0; i < 20000; i++) {
        struct cache_entry *e = insert(c, i, 7, BYTES);
        ck_assert_uint_le(cache_bytes(c), LIMIT); /* also while the new one is held */
        cache_release(c, e);
        ck_assert(is_there(c, i, 7));
    }
    ck_assert_uint_eq(cache_bytes(c), LIMIT); /* nothing goes without need */
    int newest = 0, oldest = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        oldest += is_there(c, i, 7);
        newest += is_there(c, 19999 - i, 7);
    }
    ck_assert_int_eq(oldest, 0);
    ck_assert_int_ge(newest, 990); /* keys spread over the shards: they fill about evenly */
    cache_free(c);
    ck_assert_uint_eq(freed, 20000);
}
END_TEST

START_TEST(what_is_used_again_stays_while_others_go)
{
    struct cache *c = cache_new(160 * 100, free_item);
    for (uint64_t hot = 0; hot < 20; hot++)
        cache_release(c, insert(c, hot, 0, 100));
    for (uint64_t i = 0; i < 20000; i++) {
        cache_release(c, insert(c, i, 1, 100));
        if (i % 10 == 0)
            for (uint64_t hot = 0; hot < 20; hot++)
                ck_assert_msg(is_there(c, hot, 0), "after %llu others", (unsigned long long)i);
    }
    for (uint64_t i = 0; i < 20000; i++)
        cache_release(c, insert(c, i, 2, 100));
    for (uint64_t hot = 0; hot < 20; hot++) /* and goes when it is not */
        ck_assert(!is_there(c, hot, 0));
    cache_free(c);
}
END_TEST

START_TEST(what_is_held_stays_however_full_it_is)
{
    struct cache_entry *held[100];
    struct cache *c = cache_new(1600, free_item);
    for (uint64_t i = 0; i < 100; i++)
        held[i] = insert(c, i, 0, 1000);
    ck_assert_uint_eq(cache_bytes(c), 100000);
    for (uint64_t i = 0; i < 1000; i++)
        cache_release(c, insert(c, i, 1, 10));
    for (uint64_t i = 0; i < 100; i++) {
        ck_assert(is_there(c, i, 0));
        ck_assert_uint_eq(item_of(held[i])->alive, ALIVE);
        ck_assert_uint_eq(item_of(held[i])->a, i);
    }
    for (int i = 0; i < 100; i++)
        cache_release(c, held[i]);
    ck_assert_uint_le(cache_bytes(c), 1600); /* too large to stay once nobody holds it */
    cache_free(c);
    ck_assert_uint_eq(freed, made);
}
END_TEST

START_TEST(a_cache_of_no_size_serves_those_who_hold)
{
    struct cache *c = cache_new(0, free_item);
    struct cache_entry *e = insert(c, 1, 1, 10), *same = cache_find(c, 1, 1);
    ck_assert_ptr_eq(e, same);
    cache_release(c, e);
    ck_assert_uint_eq(freed, 0);
    cache_release(c, same);
    ck_assert_uint_eq(freed, 1);
    ck_assert(!is_there(c, 1, 1));
    cache_free(c);
    cache_free(NULL);
}
END_TEST

/* What a key was last given, and who holds it. The cache may forget what nobody holds; it may not
 * return anything else. */
#define KEYS 300
#define HOLDS 40

struct model {
    uint64_t current[KEYS]; /* number of its item + 1; 0: none */
    int holds_of_current[KEYS];
    struct cache_entry *held[HOLDS];
    int held_key[HOLDS];
    uint64_t held_number[HOLDS];
    int count;
};

static void hold(struct model *m, struct cache_entry *e, int key)
{
    m->held[m->count] = e;
    m->held_key[m->count] = key;
    m->held_number[m->count++] = item_of(e)->number;
    m->holds_of_current[key]++;
}

static void let_go(struct model *m, struct cache *c, int i)
{
    int key = m->held_key[i];
    MUST(item_of(m->held[i])->alive == ALIVE, "freed while held");
    MUST(item_of(m->held[i])->number == m->held_number[i], "changed while held");
    if (m->current[key] == m->held_number[i] + 1)
        m->holds_of_current[key]--;
    cache_release(c, m->held[i]);
    m->held[i] = m->held[--m->count];
    m->held_key[i] = m->held_key[m->count];
    m->held_number[i] = m->held_number[m->count];
}

static void random_step(struct sim_random *r, struct model *m, struct cache *c)
{
    int key = (int)sim_below(r, KEYS);
    uint64_t move = sim_below(r, 100);
    uint64_t a = (uint64_t)key * 7, b = (uint64_t)key << 12;
    if (m->count == HOLDS || (m->count > 0 && move < 40)) {
        let_go(m, c, (int)sim_below(r, (uint64_t)m->count));
    } else if (move < 65) {
        struct cache_entry *e = insert(c, a, b, 1 + sim_below(r, 300));
        m->current[key] = item_of(e)->number + 1;
        m->holds_of_current[key] = 0;
        hold(m, e, key);
    } else if (move < 95) {
        struct cache_entry *e = cache_find(c, a, b);
        MUST(e || m->holds_of_current[key] == 0, "held, but not found");
        if (e) {
            MUST(item_of(e)->number + 1 == m->current[key], "not what was inserted last");
            hold(m, e, key);
        }
    } else {
        cache_erase(c, a, b);
        m->current[key] = 0;
        m->holds_of_current[key] = 0;
    }
}

START_TEST(it_gives_what_was_inserted_last_or_nothing)
{
    static const size_t limits[] = {0, 2000, 20000, 1 << 30};
    uint64_t n;
    struct sim_random r = begin(&n);
    for (int which = 0; which < 4; which++) {
        struct model m = {.count = 0};
        struct cache *c = cache_new(limits[which], free_item);
        for (uint64_t i = 0; i < n / 4; i++)
            random_step(&r, &m, c);
        while (m.count > 0)
            let_go(&m, c, 0);
        ck_assert_uint_le(cache_bytes(c), limits[which] + 16);
        cache_free(c);
        ck_assert_uint_eq(freed, made);
    }
}
END_TEST

/* ---- many threads */

struct crowd {
    pthread_t thread;
    struct cache *cache;
    uint64_t seed, steps, hits;
};

static void check_item(struct cache_entry *e, uint64_t a, uint64_t b)
{
    MUST(item_of(e)->alive == ALIVE && item_of(e)->a == a && item_of(e)->b == b,
         "key %llu: the value of another, or a freed one", (unsigned long long)a);
}

static void *crowd_run(void *arg)
{
    struct crowd *t = arg;
    struct sim_random r = {t->seed};
    struct cache_entry *held[4] = {NULL};
    uint64_t key[4] = {0};
    for (uint64_t i = 0; i < t->steps; i++) {
        uint64_t a = sim_below(&r, 200), slot = sim_below(&r, 4);
        if (held[slot]) {
            check_item(held[slot], key[slot], 5);
            cache_release(t->cache, held[slot]);
        }
        key[slot] = a;
        held[slot] = sim_chance(&r, 3) ? NULL : cache_find(t->cache, a, 5);
        if (held[slot])
            t->hits++;
        else if (sim_chance(&r, 80))
            held[slot] = insert(t->cache, a, 5, 1 + sim_below(&r, 100));
        else
            cache_erase(t->cache, a, 5);
        if (held[slot])
            check_item(held[slot], a, 5);
    }
    for (int slot = 0; slot < 4; slot++)
        if (held[slot])
            cache_release(t->cache, held[slot]);
    return NULL;
}

START_TEST(threads_share_it_and_everything_is_freed_once)
{
    enum { THREADS = 6, LIMIT = 4000 };
    uint64_t n, hits = 0;
    struct sim_random r = begin(&n);
    struct cache *c = cache_new(LIMIT, free_item);
    struct crowd crowd[THREADS];
    for (int i = 0; i < THREADS; i++) {
        crowd[i] = (struct crowd){.cache = c, .seed = sim_next(&r), .steps = n};
        pthread_create(&crowd[i].thread, NULL, crowd_run, &crowd[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(crowd[i].thread, NULL);
        hits += crowd[i].hits;
    }
    ck_assert_uint_gt(hits, 0);
    ck_assert_uint_gt(freed, 0);
    ck_assert_uint_le(cache_bytes(c), LIMIT);
    cache_free(c);
    ck_assert_uint_eq(freed, made);
}
END_TEST

/* ---- open tables, on a disk that counts them */

struct counting_env {
    struct env env; /* first */
    struct env *disk;
    atomic_int open, most, opens;
};

static struct counting_env counting;

static int counting_open(struct env *e, const char *path, int flags, struct env_file **out)
{
    struct counting_env *c = (struct counting_env *)e;
    int rc = env_open(c->disk, path, flags, out);
    if (rc == 0) {
        int now = atomic_fetch_add(&c->open, 1) + 1;
        if (now > c->most)
            c->most = now;
        c->opens++;
    }
    return rc;
}

static void counting_close(struct env *e, struct env_file *f)
{
    struct counting_env *c = (struct counting_env *)e;
    c->open--;
    env_close(c->disk, f);
}

static ssize_t counting_pread(struct env *e, struct env_file *f, void *p, size_t n, uint64_t off)
{
    return env_pread(((struct counting_env *)e)->disk, f, p, n, off);
}

static const struct env_ops counting_ops = {
    .open = counting_open, .close = counting_close, .pread = counting_pread};

#define DIR "/db"
#define TABLES 64
#define ROWS 20

static uint64_t size_of_table[TABLES + 1]; /* tables are numbered from 1 */

static struct slice row_key(int row, char room[16])
{
    snprintf(room, 16, "row%04d", row);
    return slice_str(room);
}

/* Table t holds for each row "t:row". */
static void make_table(int t)
{
    struct table_build_options o = {256, 4, 10, TABLE_NONE};
    struct buf ikey = BUF_INIT;
    struct env_file *file;
    char *path = name_table(DIR, (uint64_t)t), room[16], value[32];
    MUST(env_open(counting.disk, path, ENV_WRITE | ENV_CREATE, &file) == 0, "%s", fail_text());
    struct table_builder *b = table_builder_new(counting.disk, file, path, &o);
    for (int row = 0; row < ROWS; row++) {
        buf_clear(&ikey);
        buf_put_ikey(&ikey, row_key(row, room), 1, KEY_PUT);
        snprintf(value, sizeof value, "%d:%d", t, row);
        MUST(table_builder_add(b, buf_slice(&ikey), slice_str(value)) == 0, "%s", fail_text());
    }
    MUST(table_builder_finish(b) == 0, "%s", fail_text());
    size_of_table[t] = table_builder_bytes(b);
    table_builder_free(b);
    env_close(counting.disk, file);
    buf_free(&ikey);
    free(path);
}

static void free_bytes(void *value)
{
    free(value);
}

static struct cache *blocks;
static struct table_cache *tables;

static void setup_tables(void)
{
    counting.env.ops = &counting_ops;
    counting.disk = env_sim_new();
    counting.open = counting.most = counting.opens = 0;
    MUST(env_mkdir(counting.disk, DIR) == 0, "%s", fail_text());
    for (int t = 1; t <= TABLES; t++)
        make_table(t);
    blocks = cache_new(4000, free_bytes);
    tables = table_cache_new(&counting.env, DIR, 16, 16 << 20, blocks);
}

static void teardown_tables(void)
{
    table_cache_free(tables);
    cache_free(blocks);
    MUST(counting.open == 0, "%d files are still open", (int)counting.open);
    env_sim_free(counting.disk);
}

static void check_row(int t, int row)
{
    struct buf value = BUF_INIT;
    char room[16], expected[32];
    int r = table_cache_get(tables, (uint64_t)t, size_of_table[t], row_key(row, room), 9, &value);
    MUST(r == 1, "table %d row %d: %d %s", t, row, r, fail_text());
    snprintf(expected, sizeof expected, "%d:%d", t, row);
    MUST(slice_equal(buf_slice(&value), slice_str(expected)), "table %d row %d: %.*s", t, row,
         (int)value.len, value.data);
    buf_free(&value);
}

START_TEST(a_table_is_opened_once_while_it_stays)
{
    for (int round = 0; round < 5; round++)
        for (int row = 0; row < ROWS; row++)
            check_row(7, row);
    ck_assert_int_eq(table_cache_check(tables, 7, size_of_table[7]), 0);
    ck_assert_uint_gt(
        table_cache_offset(tables, 7, size_of_table[7], slice_of("zzzz\1\0\0\0\0\0\0\0", 12)), 0);
    ck_assert_int_eq(counting.opens, 1);
    table_cache_evict(tables, 7);
    ck_assert_int_eq(counting.open, 0);
    check_row(7, 1);
    ck_assert_int_eq(counting.opens, 2);
}
END_TEST

START_TEST(no_more_tables_stay_open_than_allowed)
{
    for (int round = 0; round < 3; round++)
        for (int t = 1; t <= TABLES; t++) {
            check_row(t, t % ROWS);
            ck_assert_int_le(counting.open, 16);
        }
    ck_assert_int_gt(counting.open, 4);
}
END_TEST

/* Their indexes and filters take a few hundred bytes each: of those, too, only so many stay. */
START_TEST(no_more_bytes_of_open_tables_stay_than_allowed)
{
    struct table *t;
    char *path = name_table(DIR, 1);
    ck_assert_int_eq(table_open(counting.disk, path, size_of_table[1], 1, NULL, &t), 0);
    size_t each = table_memory(t);
    table_close(t);
    free(path);
    ck_assert_uint_gt(each, 0);
    table_cache_free(tables);
    /* the cache has 16 shards */
    tables = table_cache_new(&counting.env, DIR, 1000000, 16 * each + 15, blocks);
    for (int round = 0; round < 3; round++)
        for (int i = 1; i <= TABLES; i++) {
            check_row(i, i % ROWS);
            ck_assert_int_le(counting.open, 17);
        }
    ck_assert_int_gt(counting.opens, TABLES);
}
END_TEST

START_TEST(an_iterator_keeps_its_table_open_also_when_the_file_is_gone)
{
    char room[16];
    struct iter *it = table_cache_iter(tables, 3, size_of_table[3], true);
    iter_first(it);
    char *path = name_table(DIR, 3);
    ck_assert_int_eq(env_unlink(counting.disk, path), 0);
    table_cache_evict(tables, 3);
    for (int t = 10; t <= TABLES; t++)
        check_row(t, 0);
    for (int row = 0; row < ROWS; row++, iter_next(it)) {
        ck_assert(it->valid);
        ck_assert(slice_equal(key_user(it->key), row_key(row, room)));
    }
    ck_assert(!it->valid);
    ck_assert_int_eq(it->status, 0);
    iter_last(it);
    ck_assert(it->valid);
    iter_prev(it);
    ck_assert(slice_equal(key_user(it->key), row_key(ROWS - 2, room)));
    iter_seek(it, slice_of("row0004\1\x09\0\0\0\0\0\0", 15));
    ck_assert(slice_equal(it->value, slice_str("3:4")));
    iter_destroy(it);
    free(path);
}
END_TEST

START_TEST(a_missing_table_is_damage_and_is_named)
{
    struct buf value = BUF_INIT;
    int r = table_cache_get(tables, 4711, 100, slice_str("k"), 9, &value);
    ck_assert_int_eq(r, STORE_ECORRUPT); /* and not "the key is not there" */
    ck_assert_ptr_nonnull(strstr(fail_text(), "004711"));
    struct iter *it = table_cache_iter(tables, 4711, 100, true);
    iter_first(it);
    ck_assert(!it->valid);
    ck_assert_int_eq(it->status, STORE_ECORRUPT);
    iter_destroy(it);
    ck_assert_int_eq(table_cache_check(tables, 4711, 100), STORE_ECORRUPT);
    buf_free(&value);
}
END_TEST

START_TEST(a_table_that_could_not_be_opened_is_tried_again)
{
    char *path = name_table(DIR, 5), *aside = mem_printf("%s.aside", path);
    ck_assert_int_eq(env_rename(counting.disk, path, aside), 0);
    ck_assert_int_eq(table_cache_check(tables, 5, size_of_table[5]), STORE_ECORRUPT);
    ck_assert_int_eq(env_rename(counting.disk, aside, path), 0);
    check_row(5, 5);
    free(path);
    free(aside);
}
END_TEST

static void *read_tables(void *arg)
{
    struct crowd *t = arg;
    struct sim_random r = {t->seed};
    for (uint64_t i = 0; i < t->steps; i++) {
        int table = 1 + (int)sim_below(&r, TABLES);
        if (sim_chance(&r, 10)) {
            table_cache_evict(tables, (uint64_t)table);
        } else if (sim_chance(&r, 10)) {
            int rows = 0;
            struct iter *it =
                table_cache_iter(tables, (uint64_t)table, size_of_table[table], sim_chance(&r, 50));
            for (iter_last(it); it->valid; iter_prev(it))
                rows++;
            MUST(it->status == 0 && rows == ROWS, "table %d: %d rows: %s", table, rows,
                 fail_text());
            iter_destroy(it);
        } else {
            check_row(table, (int)sim_below(&r, ROWS));
        }
    }
    return NULL;
}

START_TEST(threads_share_the_open_tables)
{
    enum { THREADS = 4 };
    uint64_t n;
    struct sim_random r = begin(&n);
    struct crowd crowd[THREADS];
    for (int i = 0; i < THREADS; i++) {
        crowd[i] = (struct crowd){.seed = sim_next(&r), .steps = n / 10};
        pthread_create(&crowd[i].thread, NULL, read_tables, &crowd[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(crowd[i].thread, NULL);
    ck_assert_int_le(counting.open, 16);
    ck_assert_int_le(counting.most, 16 + 2 * THREADS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache");
    TCase *one = tcase_create("one thread"), *many = tcase_create("many threads"),
          *open = tcase_create("open tables");
    tcase_set_timeout(one, 120);
    tcase_add_test(one, what_was_inserted_is_found_under_its_key_only);
    tcase_add_test(one, a_new_value_replaces_the_old_one_which_lives_while_held);
    tcase_add_test(one, an_erased_entry_is_gone_and_lives_while_held);
    tcase_add_test(one, the_limit_holds_and_the_newest_stay);
    tcase_add_test(one, what_is_used_again_stays_while_others_go);
    tcase_add_test(one, what_is_held_stays_however_full_it_is);
    tcase_add_test(one, a_cache_of_no_size_serves_those_who_hold);
    tcase_add_test(one, it_gives_what_was_inserted_last_or_nothing);
    suite_add_tcase(suite, one);
    tcase_set_timeout(many, 120);
    tcase_add_test(many, threads_share_it_and_everything_is_freed_once);
    suite_add_tcase(suite, many);
    tcase_set_timeout(open, 120);
    tcase_add_checked_fixture(open, setup_tables, teardown_tables);
    tcase_add_test(open, a_table_is_opened_once_while_it_stays);
    tcase_add_test(open, no_more_tables_stay_open_than_allowed);
    tcase_add_test(open, no_more_bytes_of_open_tables_stay_than_allowed);
    tcase_add_test(open, an_iterator_keeps_its_table_open_also_when_the_file_is_gone);
    tcase_add_test(open, a_missing_table_is_damage_and_is_named);
    tcase_add_test(open, a_table_that_could_not_be_opened_is_tried_again);
    tcase_add_test(open, threads_share_the_open_tables);
    suite_add_tcase(suite, open);
    return run_suite(suite);
}
