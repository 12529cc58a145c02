/* Flush and compaction in a whole store: what they may drop, what they must keep, and that readers,
 * snapshots and deletion of files do not get in each other's way. On the simulated disk.
 *
 * SEED= repeats a run (as far as the threads allow), ITERATIONS= says how many commits (default
 * 3000). */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "../compact/compaction.h"
#include "../db/db.h"
#include "env_sim.h"
#include "history.h"
#include "run_suite.h"
#include <check.h> /* last: it defines a macro `fail` */

#define DIR "/db"

static struct env *env;
static struct store *store;
static struct store_options options;

static void open_store(void)
{
    int rc = store_open(DIR, &options, &store);
    MUST(rc == 0, "%s", fail_text());
}

static void setup(void)
{
    env = env_sim_new();
    store_options_init(&options);
    options.env = env;
    options.memtable_bytes = 8 << 10;
    options.table_bytes = 4 << 10;
    options.level_base_bytes = 16 << 10;
    options.block_bytes = 512;
    options.cache_bytes = 16 << 10;
    options.compression = STORE_COMPRESS_NONE;
    options.compaction_threads = 3;
}

static void teardown(void)
{
    MUST(store_close(store) == 0, "%s", fail_text());
    env_sim_free(env);
}

/* ---------------------------------------------------------------- the store under test */

static const struct slice open_end = {NULL, 0};

static struct slice key_of(int key, char room[16])
{
    snprintf(room, 16, "key%06d", key);
    return slice_str(room);
}

static void put(int key, const char *value)
{
    char room[16];
    MUST(store_put(store, key_of(key, room), slice_str(value), false) == 0, "%s", fail_text());
}

static void put_big(int key, size_t len)
{
    char room[16], *value = mem_alloc(len);
    memset(value, 'a' + key % 26, len);
    MUST(store_put(store, key_of(key, room), slice_of(value, len), false) == 0, "%s", fail_text());
    free(value);
}

static void del(int key)
{
    char room[16];
    MUST(store_delete(store, key_of(key, room), false) == 0, "%s", fail_text());
}

/* "-" where there is none. One buffer. */
static const char *get(const struct store_snapshot *snap, int key)
{
    static struct buf value;
    char room[16];
    int rc = store_get(store, snap, key_of(key, room), &value);
    MUST(rc == 0 || rc == -ENOENT, "%s", fail_text());
    if (rc)
        return "-";
    buf_append(&value, "", 1);
    return value.data;
}

static void compact_all(void)
{
    MUST(store_compact(store, open_end, open_end) == 0, "%s", fail_text());
}

static void flush(void)
{
    MUST(store_flush(store) == 0, "%s", fail_text());
}

static struct version *take_version(void)
{
    pthread_mutex_lock(&store->mu);
    struct version *v = store->versions.current;
    version_ref(v);
    pthread_mutex_unlock(&store->mu);
    return v;
}

/* Entries in tables, every version and deletion counted. */
static int entries_in_tables(void)
{
    struct version *v = take_version();
    struct iter **children = mem_alloc((size_t)(version_iter_count(v) + 1) * sizeof *children);
    struct iter *it = iter_merge(children, (size_t)version_iters(v, true, children));
    int n = 0;
    for (iter_first(it); it->valid; iter_next(it))
        n++;
    MUST(it->status == 0, "%s", fail_text());
    iter_destroy(it);
    free(children);
    version_unref(v);
    return n;
}

static void count_table(void *arg, const char *name)
{
    uint64_t number;
    *(int *)arg += name_parse(name, &number) == NAME_TABLE;
}

static int tables_in_folder(void)
{
    int n = 0;
    MUST(env_list(env, DIR, count_table, &n) == 0, "%s", fail_text());
    return n;
}

static int tables_in_version(void)
{
    struct store_stats stats;
    int n = 0;
    store_get_stats(store, &stats);
    for (int i = 0; i < VERSION_LEVELS; i++)
        n += stats.level_files[i];
    return n;
}

/* Deleting is the background's work: nothing but a little time is needed for it. */
static void check_no_table_is_left_over(void)
{
    for (int wait = 0; wait < 10000 && tables_in_folder() != tables_in_version(); wait++)
        usleep(1000);
    ck_assert_int_eq(tables_in_folder(), tables_in_version());
}

/* ---------------------------------------------------------------- what goes and what stays */

START_TEST(of_versions_no_snapshot_can_tell_apart_the_newest_stays)
{
    open_store();
    put(1, "one");
    put(1, "two");
    struct store_snapshot *a = store_snapshot_take(store);
    put(1, "three");
    put(1, "four");
    struct store_snapshot *b = store_snapshot_take(store);
    put(1, "five");
    flush(); /* a lone table would only move */
    put(1, "six");
    compact_all();
    ck_assert_int_eq(entries_in_tables(), 3);
    ck_assert_str_eq(get(a, 1), "two");
    ck_assert_str_eq(get(b, 1), "four");
    ck_assert_str_eq(get(NULL, 1), "six");
    store_snapshot_release(store, b); /* the one between, not the oldest */
    put(2, "x");
    put_big(1, 10);
    compact_all();
    ck_assert_str_eq(get(a, 1), "two");
    ck_assert_int_eq(entries_in_tables(), 3); /* two, the newest, and the other key */
    store_snapshot_release(store, a);
}
END_TEST

START_TEST(a_deletion_goes_once_nothing_is_left_to_hide)
{
    open_store();
    for (int i = 0; i < 500; i++)
        put_big(i, 50);
    compact_all();
    for (int i = 0; i < 500; i++)
        del(i);
    compact_all();
    compact_all();
    ck_assert_int_eq(entries_in_tables(), 0);
    ck_assert_int_eq(tables_in_version(), 0);
    ck_assert_str_eq(get(NULL, 77), "-");
}
END_TEST

START_TEST(a_deletion_stays_while_a_snapshot_sees_what_it_hides)
{
    open_store();
    put(1, "old");
    struct store_snapshot *snap = store_snapshot_take(store);
    flush();
    del(1);
    compact_all();
    ck_assert_int_eq(entries_in_tables(), 2);
    ck_assert_str_eq(get(snap, 1), "old");
    ck_assert_str_eq(get(NULL, 1), "-");
    store_snapshot_release(store, snap);
}
END_TEST

START_TEST(a_deletion_stays_while_a_deeper_level_holds_its_key)
{
    char a[16], b[16];
    open_store();
    for (int i = 0; i < 3000; i++)
        put_big(i, 100); /* enough for several levels */
    compact_all();
    struct store_stats stats;
    store_get_stats(store, &stats);
    ck_assert_int_gt(stats.level_files[2] + stats.level_files[3] + stats.level_files[4], 0);
    for (int i = 0; i < 3000; i += 3)
        del(i);
    flush();
    for (int round = 0; round < 4; round++) /* level by level, in pieces */
        for (int i = 0; i < 3000; i += 500)
            MUST(store_compact(store, key_of(i, a), key_of(i + 250, b)) == 0, "%s", fail_text());
    for (int i = 0; i < 3000; i++)
        ck_assert_msg((strcmp(get(NULL, i), "-") == 0) == (i % 3 == 0), "key %d", i);
}
END_TEST

START_TEST(all_versions_of_a_key_stay_in_one_table)
{
    struct store_snapshot *snaps[60];
    open_store();
    for (int i = 0; i < 60; i++) {
        put_big(i % 3, 400); /* each key alone fills more than one table's worth */
        put_big(100 + i, 100);
        snaps[i] = store_snapshot_take(store);
    }
    compact_all();
    ck_assert_int_eq(entries_in_tables(), 120);
    struct version *v = take_version();
    int neighbours = 0;
    for (int level = 1; level < VERSION_LEVELS; level++)
        for (int i = 1; i < v->level[level].count; i++, neighbours++)
            ck_assert_int_lt(
                slice_compare(key_user(buf_slice(&v->level[level].files[i - 1]->largest)),
                              key_user(buf_slice(&v->level[level].files[i]->smallest))),
                0);
    ck_assert_int_gt(neighbours, 2);
    version_unref(v);
    for (int i = 0; i < 60; i++)
        store_snapshot_release(store, snaps[i]);
}
END_TEST

START_TEST(a_lone_table_moves_without_being_written_again)
{
    struct store_stats stats;
    options.l0_compact = 1;
    open_store();
    put(1, "one");
    flush();
    for (int wait = 0; wait < 2000; wait++) {
        store_get_stats(store, &stats);
        if (stats.level_files[0] == 0)
            break;
        usleep(1000);
    }
    ck_assert_int_eq(stats.level_files[0], 0);
    ck_assert_uint_eq(stats.compact_write_bytes, 0);
    ck_assert_int_eq(tables_in_folder(), 1);
    ck_assert_str_eq(get(NULL, 1), "one");
}
END_TEST

START_TEST(a_manual_compaction_drops_what_nobody_sees_of_a_lone_table)
{
    open_store();
    put(1, "one");
    put(1, "two");
    put(2, "gone");
    del(2);
    flush();
    ck_assert_int_eq(tables_in_version(), 1);
    compact_all();
    ck_assert_int_eq(entries_in_tables(), 1);
    ck_assert_str_eq(get(NULL, 1), "two");
}
END_TEST

START_TEST(a_manual_compaction_cleans_tables_that_are_deepest_already)
{
    struct store_stats before, after;
    open_store();
    for (int i = 0; i < 300; i++)
        put(i, "old");
    struct store_snapshot *snap = store_snapshot_take(store);
    for (int i = 0; i < 300; i++)
        if (i % 2)
            put(i, "new");
        else
            del(i);
    compact_all();
    ck_assert_int_eq(entries_in_tables(), 600);
    store_snapshot_release(store, snap);
    compact_all();
    ck_assert_int_eq(entries_in_tables(), 150);
    store_get_stats(store, &before);
    compact_all(); /* nothing is left to drop: nothing is written */
    store_get_stats(store, &after);
    ck_assert_uint_eq(before.compact_write_bytes, after.compact_write_bytes);
    for (int i = 0; i < 300; i++)
        ck_assert_str_eq(get(NULL, i), i % 2 ? "new" : "-");
}
END_TEST

/* ---------------------------------------------------------------- against a model */

#define MODEL_KEYS 30
#define MODEL_STEPS 400
#define MODEL_SNAPS 8

struct change {
    int key;
    uint64_t sequence;
    bool put;
};

struct model {
    struct change change[MODEL_STEPS];
    int count;
    struct store_snapshot *snap[MODEL_SNAPS]; /* oldest first */
    int snaps;
};

static uint64_t seen_by(const struct model *m, int snap)
{
    return snap < m->snaps ? store_snapshot_sequence(m->snap[snap]) : UINT64_MAX; /* now */
}

/* The change that decides what a snapshot (number m->snaps: now) sees of a key; -1: none. */
static int decides(const struct model *m, int key, int snap)
{
    for (int i = m->count - 1; i >= 0; i--)
        if (m->change[i].key == key && m->change[i].sequence <= seen_by(m, snap))
            return i;
    return -1;
}

/* How many entries a compaction of everything into one level leaves: what somebody sees, and of
 * deletions those only that have a snapshot before them. */
static int should_stay(const struct model *m)
{
    int n = 0;
    for (int key = 0; key < MODEL_KEYS; key++)
        for (int snap = 0, before = -1; snap <= m->snaps; snap++) {
            int i = decides(m, key, snap);
            if (i < 0 || i == before)
                continue;
            n += m->change[i].put || (m->snaps > 0 && seen_by(m, 0) < m->change[i].sequence);
            before = i;
        }
    return n;
}

static void check_snapshots(const struct model *m)
{
    for (int snap = 0; snap <= m->snaps; snap++)
        for (int key = 0; key < MODEL_KEYS; key++) {
            char expected[24] = "-";
            int i = decides(m, key, snap);
            if (i >= 0 && m->change[i].put)
                snprintf(expected, sizeof expected, "%llu",
                         (unsigned long long)m->change[i].sequence);
            const char *got = get(snap < m->snaps ? m->snap[snap] : NULL, key);
            MUST(strcmp(got, expected) == 0, "snapshot %d of %d, key %d: %s instead of %s", snap,
                 m->snaps, key, got, expected);
        }
}

static void random_change(struct sim_random *r, struct model *m)
{
    struct change *c = &m->change[m->count++];
    char value[24];
    *c = (struct change){(int)sim_below(r, MODEL_KEYS), store_last_sequence(store) + 1,
                         sim_chance(r, 65)};
    snprintf(value, sizeof value, "%llu", (unsigned long long)c->sequence);
    if (c->put)
        put(c->key, value);
    else
        del(c->key);
    if (m->snaps < MODEL_SNAPS && sim_chance(r, 4))
        m->snap[m->snaps++] = store_snapshot_take(store);
}

static void release_one(struct sim_random *r, struct model *m)
{
    int i = (int)sim_below(r, (uint64_t)m->snaps);
    store_snapshot_release(store, m->snap[i]);
    memmove(&m->snap[i], &m->snap[i + 1], (size_t)(--m->snaps - i) * sizeof m->snap[0]);
}

START_TEST(exactly_what_some_snapshot_sees_is_left)
{
    struct sim_random r = {sim_env_number("SEED", (uint64_t)getpid())};
    printf("SEED=%llu\n", (unsigned long long)r.state);
    fflush(stdout);
    options.l0_compact = 100; /* all entries meet in one compaction */
    options.l0_slow = options.l0_stop = 200;
    options.memtable_bytes = options.table_bytes = options.level_base_bytes = 4 << 20;
    for (int round = 0; round < 30; round++) {
        struct model m = {.count = 0};
        open_store();
        int steps = 2 + (int)sim_below(&r, MODEL_STEPS - 1);
        for (int i = 0; i < steps; i++) {
            random_change(&r, &m);
            if (i == 0 || sim_chance(&r, 2)) /* two tables at least: a lone one would only move */
                flush();
        }
        while (m.snaps > 0 && sim_chance(&r, 40))
            release_one(&r, &m);
        compact_all();
        ck_assert_int_eq(entries_in_tables(), should_stay(&m));
        check_snapshots(&m);
        while (m.snaps > 0)
            release_one(&r, &m);
        MUST(store_close(store) == 0, "%s", fail_text());
        MUST(store_destroy(DIR, env) == 0, "%s", fail_text());
    }
    open_store();
}
END_TEST

/* ---------------------------------------------------------------- keys of several kinds */

/* As a filesystem's: what is written over and over, what comes in order, and one key behind all. */
static void put_kinds(int turns)
{
    char key[16], value[300];
    memset(value, 'v', sizeof value);
    for (int i = 0; i < turns; i++) {
        snprintf(key, sizeof key, "a%03d", i * 7 % 100);
        MUST(store_put(store, slice_str(key), slice_of(value, 20), false) == 0, "%s", fail_text());
        snprintf(key, sizeof key, "b%06d", i);
        MUST(store_put(store, slice_str(key), slice_of(value, 300), false) == 0, "%s", fail_text());
        MUST(store_put(store, slice_str("c"), slice_of(value, 20), false) == 0, "%s", fail_text());
    }
}

static void wait_until_idle(void)
{
    pthread_mutex_lock(&store->mu);
    while (store->immutable_count > 0 || compaction_needed(store)) {
        pthread_mutex_unlock(&store->mu);
        usleep(1000);
        pthread_mutex_lock(&store->mu);
    }
    pthread_mutex_unlock(&store->mu);
}

static char first_byte(const struct buf *ikey)
{
    return key_user(buf_slice(ikey)).data[0];
}

/* Tables behind level 0 that have keys of more than one kind. */
static int mixed_tables(void)
{
    struct version *v = take_version();
    int n = 0;
    for (int level = 1; level < VERSION_LEVELS; level++)
        for (int i = 0; i < v->level[level].count; i++)
            n += first_byte(&v->level[level].files[i]->smallest) !=
                 first_byte(&v->level[level].files[i]->largest);
    version_unref(v);
    return n;
}

START_TEST(keys_of_a_kind_that_come_in_order_are_written_anew_once)
{
    struct store_stats stats;
    options.table_prefix = 1;
    open_store();
    put_kinds(20);
    flush(); /* it goes deep, since nothing is there */
    put_kinds(3000);
    flush();
    wait_until_idle();
    ck_assert_int_le(mixed_tables(), 1); /* the first one */
    store_get_stats(store, &stats);
    ck_assert_uint_gt(stats.flush_bytes, 900000);
    ck_assert_uint_lt(stats.compact_write_bytes, stats.flush_bytes * 3 / 2);
}
END_TEST

/* ---------------------------------------------------------------- files */

START_TEST(a_cursor_keeps_the_tables_it_reads)
{
    char room[16];
    open_store();
    for (int i = 0; i < 500; i++)
        put_big(i, 60);
    flush();
    struct iter *it = store_iter(store, NULL);
    iter_first(it);
    for (int i = 0; i < 500; i++)
        del(i);
    compact_all();
    compact_all();
    ck_assert_int_eq(tables_in_version(), 0);
    ck_assert_int_gt(tables_in_folder(), 0);
    for (int i = 0; i < 500; i++, iter_next(it)) {
        ck_assert(it->valid);
        ck_assert(slice_equal(it->key, key_of(i, room)));
        ck_assert_uint_eq(it->value.len, 60);
    }
    ck_assert(!it->valid);
    ck_assert_int_eq(it->status, 0);
    iter_destroy(it);
    check_no_table_is_left_over();
}
END_TEST

START_TEST(closing_in_the_middle_of_compactions_leaves_nothing_behind)
{
    open_store();
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 400; i++)
            put_big((i * 37 + round) % 700, 80);
        MUST(store_close(store) == 0, "%s", fail_text());
        open_store();
        ck_assert_int_eq(store_background_error(store), 0);
    }
    compact_all();
    MUST(store_close(store) == 0, "%s", fail_text());
    open_store();
    check_no_table_is_left_over();
}
END_TEST

/* What a manual compaction leaves in a level may be too much for it. */
START_TEST(the_background_goes_on_where_a_manual_compaction_ends)
{
    struct store_stats st;
    options.memtable_bytes = 1 << 20;
    options.l0_compact = 100;
    open_store();
    for (int i = 0; i < 40; i++)
        put_big(i, 4000);
    MUST(store_compact(store, open_end, open_end) == 0, "%s", fail_text());
    for (int i = 0; i < 5000; i++) {
        store_get_stats(store, &st);
        if (st.level_bytes[1] < options.level_base_bytes)
            break;
        usleep(1000);
    }
    MUST(st.level_bytes[1] < options.level_base_bytes, "level 1 stays at %llu bytes",
         (unsigned long long)st.level_bytes[1]);
    MUST(st.level_files[2] > 0, "nothing went deeper");
}
END_TEST

START_TEST(a_compaction_that_fails_ends_writing_and_loses_nothing)
{
    open_store();
    for (int i = 0; i < 100; i++)
        put_big(i, 40);
    flush(); /* so that there is something to merge with */
    store_close(store);
    for (uint64_t k = 1; k < 40; k++) {
        open_store();
        for (int i = 0; i < 100; i++)
            put_big(i, 40);
        flush();
        env_sim_fail(env, SIM_ANY, env_sim_count(env, SIM_ANY) + k, -ENOSPC, SIM_DONE_PART);
        int rc = store_compact(store, open_end, open_end);
        bool reached = env_sim_failed(env);
        if (rc) {
            ck_assert(reached);
            ck_assert_int_ne(store_background_error(store), 0);
            ck_assert_int_ne(store_put(store, slice_str("x"), slice_str("y"), false), 0);
        }
        for (int i = 0; i < 100; i++)
            ck_assert_str_ne(get(NULL, i), "-");
        store_close(store);
        env_sim_fail(env, SIM_ANY, 0, -EIO, SIM_DONE_NOTHING);
        open_store();
        for (int i = 0; i < 100; i++)
            ck_assert_str_ne(get(NULL, i), "-");
        check_no_table_is_left_over();
        MUST(store_close(store) == 0, "%s", fail_text());
        if (!reached)
            break;
    }
    open_store();
}
END_TEST

/* ---------------------------------------------------------------- threads */

#define GROUPS 8
#define MEMBERS 12

struct crowd {
    atomic_bool stop;
    uint64_t seed;
    atomic_int reads;
};

/* Sets every member of a group to `tag` (0: deletes it) in one batch. */
static void set_group(int group, uint64_t tag)
{
    struct store_batch b = STORE_BATCH_INIT;
    char room[16], value[96];
    snprintf(value, sizeof value, "%020llu%060d", (unsigned long long)tag, 0);
    for (int i = 0; i < MEMBERS; i++)
        if (tag)
            store_batch_put(&b, key_of(i * GROUPS + group, room), slice_str(value));
        else
            store_batch_delete(&b, key_of(i * GROUPS + group, room));
    MUST(store_write(store, &b, false) == 0, "%s", fail_text());
    store_batch_free(&b);
}

/* What a group's members hold; they must agree. 0: nothing. */
static uint64_t group_tag(const struct store_snapshot *snap, int group)
{
    struct buf value = BUF_INIT;
    char room[16];
    uint64_t tag = 0;
    for (int i = 0; i < MEMBERS; i++) {
        int rc = store_get(store, snap, key_of(i * GROUPS + group, room), &value);
        MUST(rc == 0 || rc == -ENOENT, "%s", fail_text());
        uint64_t got = 0;
        if (rc == 0) { /* 20 digits, then padding */
            value.data[20] = 0;
            got = strtoull(value.data, NULL, 10);
        }
        if (i == 0)
            tag = got;
        MUST(got == tag, "group %d: member %d has %llu, the first %llu", group, i,
             (unsigned long long)got, (unsigned long long)tag);
        buf_clear(&value);
    }
    buf_free(&value);
    return tag;
}

/* The same through a cursor: every group has all its members or none. */
static void check_cursor(struct iter *it)
{
    int seen[GROUPS] = {0};
    for (iter_first(it); it->valid; iter_next(it))
        seen[atoi(it->key.data + 3) % GROUPS]++;
    MUST(it->status == 0, "%s", fail_text());
    for (int i = 0; i < GROUPS; i++)
        MUST(seen[i] == 0 || seen[i] == MEMBERS, "group %d: %d members", i, seen[i]);
}

static void *read_on(void *arg)
{
    struct crowd *c = arg;
    while (!atomic_load(&c->stop)) {
        struct store_snapshot *snap = store_snapshot_take(store);
        struct iter *it = store_iter(store, NULL);
        uint64_t tags[GROUPS];
        for (int i = 0; i < GROUPS; i++)
            tags[i] = group_tag(snap, i);
        usleep(500);
        for (int i = 0; i < GROUPS; i++)
            MUST(group_tag(snap, i) == tags[i], "group %d changed under a snapshot", i);
        check_cursor(it);
        iter_destroy(it);
        store_snapshot_release(store, snap);
        atomic_fetch_add(&c->reads, 1);
    }
    return NULL;
}

static void *care(void *arg)
{
    struct crowd *c = arg;
    struct sim_random r = {c->seed ^ 77};
    char a[16], b[16];
    while (!atomic_load(&c->stop)) {
        int from = (int)sim_below(&r, GROUPS * MEMBERS), to = from + (int)sim_below(&r, 50);
        int rc = sim_chance(&r, 30) ? store_flush(store)
                                    : store_compact(store, key_of(from, a), key_of(to, b));
        MUST(rc == 0, "%s", fail_text());
        usleep(2000);
    }
    return NULL;
}

START_TEST(snapshots_and_cursors_stand_still_while_all_else_moves)
{
    struct crowd c = {.seed = sim_env_number("SEED", (uint64_t)getpid())};
    uint64_t commits = sim_env_number("ITERATIONS", 3000);
    struct sim_random r = {c.seed};
    uint64_t now[GROUPS] = {0};
    pthread_t threads[4];
    printf("SEED=%llu ITERATIONS=%llu\n", (unsigned long long)c.seed, (unsigned long long)commits);
    fflush(stdout);
    options.max_open_tables = 16; /* the least there is: readers open tables all the time */
    open_store();
    for (int i = 0; i < 4; i++)
        MUST(pthread_create(&threads[i], NULL, i < 3 ? read_on : care, &c) == 0, "thread");
    for (uint64_t i = 1; i <= commits; i++) {
        int group = (int)sim_below(&r, GROUPS);
        now[group] = sim_chance(&r, 25) ? 0 : i;
        set_group(group, now[group]);
        int looked = (int)sim_below(&r, GROUPS);
        MUST(group_tag(NULL, looked) == now[looked], "group %d is not what was written", looked);
    }
    atomic_store(&c.stop, true);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < GROUPS; i++)
        MUST(group_tag(NULL, i) == now[i], "group %d at the end", i);
    ck_assert_int_gt(atomic_load(&c.reads), 0);
    check_no_table_is_left_over();
    compact_all();
    MUST(store_close(store) == 0, "%s", fail_text());
    open_store();
    for (int i = 0; i < GROUPS; i++)
        MUST(group_tag(NULL, i) == now[i], "group %d after reopening", i);
    check_no_table_is_left_over();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compaction");
    TCase *drop = tcase_create("drop"), *files = tcase_create("files"),
          *threads = tcase_create("threads");
    tcase_add_checked_fixture(drop, setup, teardown);
    tcase_set_timeout(drop, 120);
    tcase_add_test(drop, of_versions_no_snapshot_can_tell_apart_the_newest_stays);
    tcase_add_test(drop, a_deletion_goes_once_nothing_is_left_to_hide);
    tcase_add_test(drop, a_deletion_stays_while_a_snapshot_sees_what_it_hides);
    tcase_add_test(drop, a_deletion_stays_while_a_deeper_level_holds_its_key);
    tcase_add_test(drop, all_versions_of_a_key_stay_in_one_table);
    tcase_add_test(drop, a_lone_table_moves_without_being_written_again);
    tcase_add_test(drop, a_manual_compaction_drops_what_nobody_sees_of_a_lone_table);
    tcase_add_test(drop, a_manual_compaction_cleans_tables_that_are_deepest_already);
    tcase_add_test(drop, exactly_what_some_snapshot_sees_is_left);
    tcase_add_checked_fixture(files, setup, teardown);
    tcase_set_timeout(files, 120);
    tcase_add_test(files, keys_of_a_kind_that_come_in_order_are_written_anew_once);
    tcase_add_test(files, a_cursor_keeps_the_tables_it_reads);
    tcase_add_test(files, closing_in_the_middle_of_compactions_leaves_nothing_behind);
    tcase_add_test(files, the_background_goes_on_where_a_manual_compaction_ends);
    tcase_add_test(files, a_compaction_that_fails_ends_writing_and_loses_nothing);
    tcase_add_checked_fixture(threads, setup, teardown);
    tcase_set_timeout(threads, 600);
    tcase_add_test(threads, snapshots_and_cursors_stand_still_while_all_else_moves);
    suite_add_tcase(suite, drop);
    suite_add_tcase(suite, files);
    suite_add_tcase(suite, threads);
    return run_suite(suite);
}
