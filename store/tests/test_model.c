/* The whole store against a sorted array: random operations, small memtables, tables and levels,
 * snapshots and iterators held over many changes. On the real disk and on the simulated one.
 *
 * SEED= repeats a run, ITERATIONS= says how many operations (default 200000, shared by the two
 * disks). */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "../base/error.h"
#include "../store.h"
#include "env_sim.h"
#include "history.h"
#include "run_suite.h"
#include <check.h> /* last: it defines a macro `fail` */

#define KEYS 300
#define KEY_ROOM 48
#define MAX_HELD 6

/* What each key holds: the tag its value follows from; 0: nothing. */
struct model {
    uint64_t tags[KEYS];
};

/* A snapshot, or an iterator in the middle of its way, and what it must show. */
struct held {
    struct store_snapshot *snap;
    struct iter *it;
    int at; /* where the iterator is: a key's number, -1: nowhere */
    struct model model;
};

struct run {
    struct store_options options;
    const char *dir;
    struct store *store;
    struct model now;
    struct held held[MAX_HELD];
    int held_count;
    struct sim_random random;
    struct buf value; /* scratch */
    uint64_t operation;
};

/* ---------------------------------------------------------------- keys and values */

/* In the order of their numbers; each second one begins with the one before it. */
static struct slice key_of(int key, char room[KEY_ROOM])
{
    snprintf(room, KEY_ROOM, "%04d%s", key / 2, key % 2 ? "\xff\xff-longer" : "");
    return slice_str(room);
}

static struct slice value_of(struct run *r, uint64_t tag)
{
    history_value(tag, &r->value);
    return buf_slice(&r->value);
}

static int random_key(struct run *r)
{
    /* Half of the work on few keys, so that versions pile up. */
    return (int)sim_below(&r->random, sim_chance(&r->random, 50) ? 20 : KEYS);
}

static void random_options(struct run *r, struct env *env)
{
    struct store_options *o = &r->options;
    store_options_init(o);
    o->env = env;
    o->memtable_bytes = 4096u << sim_below(&r->random, 5);
    o->table_bytes = 4096u << sim_below(&r->random, 4);
    o->table_prefix = sim_below(&r->random, 4); /* of keys that begin with four digits */
    o->level_base_bytes = o->table_bytes << sim_below(&r->random, 4);
    o->block_bytes = 256u << sim_below(&r->random, 5);
    o->restart_interval = 1 + (int)sim_below(&r->random, 16);
    o->cache_bytes = sim_below(&r->random, 2) * (64u << 10);
    o->max_open_tables = 16;
    o->bloom_bits = sim_chance(&r->random, 70) ? 10 : 0;
    o->compression = sim_chance(&r->random, 50) ? STORE_COMPRESS_SNAPPY : STORE_COMPRESS_NONE;
    o->max_immutables = 1 + (int)sim_below(&r->random, 3);
    o->zero_ahead_bytes = sim_below(&r->random, 2) * (16u << 10);
    o->log_window_bytes = sim_below(&r->random, 3) * (8u << 10);
    o->visible_when_durable = sim_chance(&r->random, 30);
    o->compaction_threads = 1 + (int)sim_below(&r->random, 3);
}

/* ---------------------------------------------------------------- checks */

static void check_get(struct run *r, const struct store_snapshot *snap, const struct model *m,
                      int key)
{
    char room[KEY_ROOM];
    struct buf got = BUF_INIT;
    int rc = store_get(r->store, snap, key_of(key, room), &got);
    unsigned long long op = r->operation;
    if (m->tags[key]) {
        MUST(rc == 0, "operation %llu: key %d: %s %s", op, key, fail_name(rc), fail_text());
        MUST(slice_equal(buf_slice(&got), value_of(r, m->tags[key])),
             "operation %llu: key %d: wrong value", op, key);
    } else {
        MUST(rc == -ENOENT, "operation %llu: key %d should be missing: %d", op, key, rc);
    }
    buf_free(&got);
}

static int next_present(const struct model *m, int key)
{
    while (key < KEYS && m->tags[key] == 0)
        key++;
    return key < KEYS ? key : -1;
}

static int previous_present(const struct model *m, int key)
{
    while (key >= 0 && m->tags[key] == 0)
        key--;
    return key;
}

/* The iterator must stand at this key of the model (-1: at an end). */
static void check_at(struct run *r, struct iter *it, const struct model *m, int key)
{
    char room[KEY_ROOM];
    unsigned long long op = r->operation;
    MUST(it->valid == (key >= 0), "operation %llu: iterator is %svalid, key %d: %s", op,
         it->valid ? "" : "not ", key, it->status ? fail_text() : "no error");
    MUST(it->valid || it->status == 0, "operation %llu: %s", op, fail_text());
    if (key < 0)
        return;
    MUST(slice_equal(it->key, key_of(key, room)), "operation %llu: iterator not at key %d", op,
         key);
    MUST(slice_equal(it->value, value_of(r, m->tags[key])),
         "operation %llu: iterator at key %d: wrong value", op, key);
}

/* Places the iterator, or moves it by one; returns where it must be. */
static int step(struct run *r, struct iter *it, const struct model *m, int at)
{
    char room[KEY_ROOM];
    uint64_t move = sim_below(&r->random, at < 0 ? 3 : 12);
    if (move == 0) {
        iter_first(it);
        return next_present(m, 0);
    } else if (move == 1) {
        iter_last(it);
        return previous_present(m, KEYS - 1);
    } else if (move == 2) {
        int key = random_key(r);
        struct slice k = key_of(key, room);
        bool between = sim_chance(&r->random, 30); /* a key that is never there, behind this one */
        if (between)
            k.len = (size_t)snprintf(room, KEY_ROOM, "%04d%s", key / 2,
                                     key % 2 ? "\xff\xff-longer+" : "\x01");
        iter_seek(it, k);
        return next_present(m, key + between);
    } else if (move < 8) {
        iter_next(it);
        return next_present(m, at + 1);
    }
    iter_prev(it);
    return previous_present(m, at - 1);
}

static void check_walk(struct run *r, const struct store_snapshot *snap, const struct model *m,
                       int steps)
{
    struct iter *it = store_iter(r->store, snap);
    for (int at = -1; steps > 0; steps--) {
        at = step(r, it, m, at);
        check_at(r, it, m, at);
    }
    iter_destroy(it);
}

static void check_all(struct run *r, const struct store_snapshot *snap, const struct model *m)
{
    struct iter *it = store_iter(r->store, snap);
    iter_first(it);
    for (int at = next_present(m, 0);; at = next_present(m, at + 1)) {
        check_at(r, it, m, at);
        if (at < 0)
            break;
        iter_next(it);
    }
    iter_last(it);
    for (int at = previous_present(m, KEYS - 1);; at = previous_present(m, at - 1)) {
        check_at(r, it, m, at);
        if (at < 0)
            break;
        iter_prev(it);
    }
    iter_destroy(it);
    for (int key = 0; key < KEYS; key++)
        check_get(r, snap, m, key);
}

/* ---------------------------------------------------------------- operations */

static void change_one(struct run *r, struct store_batch *b)
{
    char room[KEY_ROOM];
    int key = random_key(r);
    uint64_t tag = sim_chance(&r->random, 30) ? 0 : sim_next(&r->random) | 1;
    struct slice k = key_of(key, room);
    if (tag)
        store_batch_put(b, k, value_of(r, tag));
    else
        store_batch_delete(b, k);
    r->now.tags[key] = tag;
}

static void write_some(struct run *r, int records)
{
    struct store_batch b = STORE_BATCH_INIT;
    uint64_t before = store_last_sequence(r->store);
    for (int i = 0; i < records; i++)
        change_one(r, &b);
    int rc = store_write(r->store, &b, sim_chance(&r->random, 5));
    MUST(rc == 0, "operation %llu: %s", (unsigned long long)r->operation, fail_text());
    MUST(store_last_sequence(r->store) == before + (uint64_t)records, "operation %llu: sequence",
         (unsigned long long)r->operation);
    store_batch_free(&b);
}

static void let_go(struct run *r, int n)
{
    iter_destroy(r->held[n].it);
    if (r->held[n].snap)
        store_snapshot_release(r->store, r->held[n].snap);
    r->held[n] = r->held[--r->held_count];
}

static void hold(struct run *r)
{
    if (r->held_count == MAX_HELD)
        let_go(r, (int)sim_below(&r->random, MAX_HELD));
    struct held *h = &r->held[r->held_count++];
    *h = (struct held){.at = -1, .model = r->now};
    if (sim_chance(&r->random, 60))
        h->snap = store_snapshot_take(r->store);
    else
        h->it = store_iter(r->store, NULL);
}

static void look_at_held(struct run *r)
{
    if (r->held_count == 0)
        return;
    int n = (int)sim_below(&r->random, (uint64_t)r->held_count);
    struct held *h = &r->held[n];
    if (h->snap && sim_chance(&r->random, 10)) {
        check_all(r, h->snap, &h->model);
    } else if (h->snap) {
        check_get(r, h->snap, &h->model, random_key(r));
        check_walk(r, h->snap, &h->model, 10);
    } else {
        for (int steps = 0; steps < 20; steps++) {
            h->at = step(r, h->it, &h->model, h->at);
            check_at(r, h->it, &h->model, h->at);
        }
    }
    if (sim_chance(&r->random, 20))
        let_go(r, n);
}

static void compact_range(struct run *r)
{
    char from_room[KEY_ROOM], to_room[KEY_ROOM];
    int a = random_key(r), b = random_key(r);
    struct slice from = key_of(a < b ? a : b, from_room), to = key_of(a < b ? b : a, to_room);
    if (sim_chance(&r->random, 30))
        from = slice_of(NULL, 0);
    if (sim_chance(&r->random, 30))
        to = slice_of(NULL, 0);
    int rc = store_compact(r->store, from, to);
    MUST(rc == 0, "operation %llu: %s", (unsigned long long)r->operation, fail_text());
}

static void reopen(struct run *r)
{
    while (r->held_count)
        let_go(r, 0);
    uint64_t last = store_last_sequence(r->store);
    int rc = store_close(r->store);
    MUST(rc == 0, "close: %s", fail_text());
    random_options(r, r->options.env);
    rc = store_open(r->dir, &r->options, &r->store);
    MUST(rc == 0, "reopen: %s", fail_text());
    MUST(store_last_sequence(r->store) == last, "operation %llu: sequence after reopening",
         (unsigned long long)r->operation);
    check_all(r, NULL, &r->now);
}

static void operate(struct run *r)
{
    uint64_t what = sim_below(&r->random, 100000);
    if (what < 50000)
        write_some(r, 1);
    else if (what < 60000)
        write_some(r, 1 + (int)sim_below(&r->random, 30));
    else if (what < 88000)
        check_get(r, NULL, &r->now, random_key(r));
    else if (what < 94000)
        check_walk(r, NULL, &r->now, 12);
    else if (what < 96000)
        hold(r);
    else if (what < 99700)
        look_at_held(r);
    else if (what < 99800)
        check_all(r, NULL, &r->now);
    else if (what < 99900)
        MUST(store_flush(r->store) == 0, "%s", fail_text());
    else if (what < 99960)
        compact_range(r);
    else
        reopen(r);
}

static void play(struct env *env, const char *dir, uint64_t seed, uint64_t operations)
{
    struct run r = {.dir = dir, .random = {seed}};
    printf("%s: SEED=%llu ITERATIONS=%llu\n", dir, (unsigned long long)seed,
           (unsigned long long)operations);
    fflush(stdout);
    random_options(&r, env);
    ck_assert_int_eq(store_open(dir, &r.options, &r.store), 0);
    for (r.operation = 0; r.operation < operations; r.operation++)
        operate(&r);
    reopen(&r);
    ck_assert_int_eq(store_close(r.store), 0);
    ck_assert_int_eq(store_destroy(dir, env), 0);
    buf_free(&r.value);
}

static uint64_t seed_of(void)
{
    return sim_env_number("SEED", (uint64_t)getpid());
}

START_TEST(the_store_equals_a_sorted_array_on_a_simulated_disk)
{
    struct env *env = env_sim_new();
    uint64_t all = sim_env_number("ITERATIONS", 200000);
    for (int part = 0; part < 4; part++)
        play(env, "/db", seed_of() + (uint64_t)part, all / 8);
    env_sim_free(env);
}
END_TEST

START_TEST(the_store_equals_a_sorted_array_on_the_real_disk)
{
    const char *tmp = getenv("TMPDIR");
    char *top = mem_printf("%s/test_model.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(top));
    char *dir = mem_printf("%s/db", top);
    play(env_posix(), dir, seed_of() + 100, sim_env_number("ITERATIONS", 200000) / 2);
    ck_assert_int_eq(rmdir(dir), 0);
    ck_assert_int_eq(rmdir(top), 0);
    free(dir);
    free(top);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model");
    TCase *all = tcase_create("model");
    tcase_set_timeout(all, 1800);
    tcase_add_test(all, the_store_equals_a_sorted_array_on_a_simulated_disk);
    tcase_add_test(all, the_store_equals_a_sorted_array_on_the_real_disk);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
