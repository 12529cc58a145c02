/* Who waits for whom in the background: a flush for no compaction, a compaction only for one that
 * works on the same keys. On the simulated disk, whose hook holds a compaction where it makes a
 * table.
 *
 * SEED= repeats a run (as far as the threads allow), ITERATIONS= says how many writes (default
 * 20000). */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "../compact/background.h"
#include "env_sim.h"
#include "history.h"
#include "run_suite.h"
#include <check.h> /* last: it defines a macro `fail` */

#define MANY 1000 /* so many tables in level 0 that nothing is compacted by itself */
#define PATIENCE 10000

static struct env *env;
static struct store *store;
static struct store_options options;

static _Thread_local bool held_here; /* this thread's compactions stop at the gate */
static atomic_int at_gate, most_at_once;
static atomic_bool gate_open;

static bool is_table(const char *path)
{
    size_t len = strlen(path);
    return len > 4 && strcmp(path + len - 4, ".ldb") == 0;
}

static void stand_at_gate(void)
{
    atomic_fetch_add(&at_gate, 1);
    while (!atomic_load(&gate_open))
        usleep(200);
    atomic_fetch_sub(&at_gate, 1);
}

static int gate(void *arg, enum sim_call call, const char *path)
{
    (void)arg;
    if (!held_here || call != SIM_CREATE || !is_table(path))
        return 0;
    stand_at_gate();
    return 0;
}

static void setup(void)
{
    env = env_sim_new();
    store_options_init(&options);
    options.env = env;
    options.l0_compact = MANY;
    options.l0_slow = MANY + 1;
    options.l0_stop = MANY + 2;
    options.compression = STORE_COMPRESS_NONE;
    atomic_store(&at_gate, 0);
    atomic_store(&gate_open, false);
}

static void teardown(void)
{
    MUST(store_close(store) == 0, "%s", fail_text());
    env_sim_free(env);
}

static void open_store(env_sim_hook *hook)
{
    MUST(store_open("/db", &options, &store) == 0, "%s", fail_text());
    env_sim_set_hook(env, hook, NULL);
}

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

/* Tables with the same keys, two of them in level 0 (those before go deeper, where nothing is in
 * the way): their compaction has something to write. */
static void make_tables(int from, int count)
{
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < count; i++)
            put(from + i, round ? "new" : "old");
        MUST(store_flush(store) == 0, "%s", fail_text());
    }
}

struct task {
    pthread_t thread;
    int from, to;
    atomic_bool done;
};

static void *compact_held(void *arg)
{
    struct task *t = arg;
    char a[16], b[16];
    held_here = true;
    MUST(store_compact(store, key_of(t->from, a), key_of(t->to, b)) == 0, "%s", fail_text());
    atomic_store(&t->done, true);
    return NULL;
}

static void start(struct task *t, int from, int to)
{
    t->from = from;
    t->to = to;
    atomic_init(&t->done, false);
    MUST(pthread_create(&t->thread, NULL, compact_held, t) == 0, "thread");
}

static void await_at_gate(int count)
{
    for (int i = 0; i < PATIENCE && atomic_load(&at_gate) != count; i++)
        usleep(1000);
    ck_assert_int_eq(atomic_load(&at_gate), count);
}

static void *flush_once(void *arg)
{
    MUST(store_flush(store) == 0, "%s", fail_text());
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

START_TEST(a_flush_waits_for_no_compaction)
{
    struct task a;
    pthread_t thread;
    atomic_bool flushed = false;
    open_store(gate);
    make_tables(0, 100);
    start(&a, 0, 99);
    await_at_gate(1);
    put(50, "newest");
    MUST(pthread_create(&thread, NULL, flush_once, &flushed) == 0, "thread");
    for (int i = 0; i < PATIENCE && !atomic_load(&flushed); i++)
        usleep(1000);
    ck_assert(atomic_load(&flushed));
    ck_assert(!atomic_load(&a.done));
    ck_assert_int_eq(atomic_load(&at_gate), 1);
    atomic_store(&gate_open, true);
    pthread_join(thread, NULL);
    pthread_join(a.thread, NULL);
    struct buf value = BUF_INIT;
    char room[16];
    ck_assert_int_eq(store_get(store, NULL, key_of(50, room), &value), 0);
    ck_assert(slice_equal(buf_slice(&value), slice_str("newest")));
    buf_free(&value);
}
END_TEST

START_TEST(compactions_of_different_keys_run_side_by_side)
{
    struct task a, b;
    open_store(gate);
    make_tables(0, 100);
    make_tables(1000, 100);
    start(&a, 0, 99);
    start(&b, 1000, 1099);
    await_at_gate(2);
    ck_assert(!atomic_load(&a.done) && !atomic_load(&b.done));
    atomic_store(&gate_open, true);
    pthread_join(a.thread, NULL);
    pthread_join(b.thread, NULL);
}
END_TEST

/* They have no table in common, but the first may write one table over the gap between its inputs.
 */
START_TEST(compactions_of_the_same_range_run_one_after_the_other)
{
    struct task a, b;
    open_store(gate);
    make_tables(0, 100);
    make_tables(200, 100);
    start(&a, 0, 299);
    await_at_gate(1);
    make_tables(120, 50);
    start(&b, 120, 169);
    usleep(100000);
    ck_assert_int_eq(atomic_load(&at_gate), 1);
    ck_assert(!atomic_load(&b.done));
    atomic_store(&gate_open, true);
    pthread_join(a.thread, NULL);
    pthread_join(b.thread, NULL);
}
END_TEST

/* ---------------------------------------------------------------- what they cost */

/* `count` keys from `from` on in one more table, with values of `len` bytes. */
static void add_table(int from, int count, size_t len)
{
    char *value = mem_zalloc(len + 1);
    memset(value, 'v', len);
    for (int i = 0; i < count; i++)
        put(from + i, value);
    MUST(store_flush(store) == 0, "%s", fail_text());
    free(value);
}

static struct store_stats stats(void)
{
    struct store_stats st;
    store_get_stats(store, &st);
    return st;
}

static atomic_int tables_made;

/* Compactions stop at the gate: here that is who makes a table behind the eighth. */
static int gate_behind_eight(void *arg, enum sim_call call, const char *path)
{
    (void)arg;
    if (call != SIM_CREATE || !is_table(path) || atomic_fetch_add(&tables_made, 1) < 8)
        return 0;
    stand_at_gate();
    return 0;
}

/* One table of four is too much for level 1: while it is on its way out no other has to go. */
START_TEST(a_second_thread_does_not_empty_a_level_further_than_it_needs)
{
    options.table_bytes = 32 << 10;
    options.level_base_bytes = 70000;
    options.compaction_threads = 2;
    atomic_store(&tables_made, 0);
    open_store(gate_behind_eight);
    for (int level = 2; level > 0; level--)
        for (int i = 0; i < 4; i++)
            add_table(100 * i, 20, 1000);
    ck_assert_int_eq(stats().level_files[2], 4);
    ck_assert_int_eq(stats().level_files[1], 4);
    await_at_gate(1);
    usleep(50000);
    ck_assert_int_eq(atomic_load(&at_gate), 1);
    atomic_store(&gate_open, true);
    for (int i = 0; i < PATIENCE && stats().compactions < 1; i++)
        usleep(1000);
    usleep(20000);
    ck_assert_int_eq(stats().level_files[1], 3);
    ck_assert_uint_eq(stats().compactions, 1);
}
END_TEST

START_TEST(the_table_that_meets_least_of_the_next_level_goes_first)
{
    char room[16];
    options.table_bytes = 32 << 10;
    options.level_base_bytes = 45000;
    open_store(NULL);
    for (int i = 0; i < 3; i++)
        add_table(10 * i, 10, 1000);
    add_table(50, 10, 10);
    ck_assert_int_eq(stats().level_files[2], 4);
    add_table(0, 30, 1000);  /* meets three tables */
    add_table(50, 10, 3000); /* meets a small one; now level 1 has too much */
    for (int i = 0; i < PATIENCE && stats().compactions < 1; i++)
        usleep(1000);
    usleep(20000);
    ck_assert_int_eq(stats().level_files[1], 1);
    pthread_mutex_lock(&store->mu);
    struct slice first = key_user(buf_slice(&store->versions.current->level[1].files[0]->smallest));
    ck_assert(slice_equal(first, key_of(0, room)));
    pthread_mutex_unlock(&store->mu);
}
END_TEST

/* ---------------------------------------------------------------- at random */

static bool meet(const struct compaction *a, const struct compaction *b)
{
    return slice_compare(a->smallest, b->largest) <= 0 &&
           slice_compare(b->smallest, a->largest) <= 0;
}

static bool share_a_table(const struct compaction *a, const struct compaction *b)
{
    for (int i = 0; i < 4; i++) {
        const struct version_level *x = &a->inputs[i / 2], *y = &b->inputs[i % 2];
        for (int j = 0; j < x->count; j++)
            for (int k = 0; k < y->count; k++)
                if (x->files[j] == y->files[k])
                    return true;
    }
    return false;
}

/* Whenever somebody makes a table, no two that run may be in each other's way. The disk is slow, so
 * that there are several. */
static int check_running(void *arg, enum sim_call call, const char *path)
{
    int count = 0;
    (void)arg;
    if (call != SIM_CREATE || !is_table(path))
        return 0;
    pthread_mutex_lock(&store->mu);
    struct compaction *all = store->background ? background_running(store) : NULL;
    for (struct compaction *a = all; a; a = a->next, count++)
        for (struct compaction *b = a->next; b; b = b->next) {
            MUST(!share_a_table(a, b), "two compactions have a table in common");
            MUST(a->output_level != b->output_level || !meet(a, b),
                 "two compactions write into one range of level %d", a->output_level);
        }
    pthread_mutex_unlock(&store->mu);
    if (count > atomic_load(&most_at_once))
        atomic_store(&most_at_once, count);
    usleep(300);
    return 0;
}

START_TEST(no_two_compactions_are_ever_in_each_others_way)
{
    uint64_t seed = sim_env_number("SEED", (uint64_t)getpid());
    uint64_t writes = sim_env_number("ITERATIONS", 20000);
    struct sim_random r = {seed};
    char value[60];
    printf("SEED=%llu ITERATIONS=%llu\n", (unsigned long long)seed, (unsigned long long)writes);
    fflush(stdout);
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = 0;
    options.memtable_bytes = 8 << 10;
    options.table_bytes = 4 << 10;
    options.level_base_bytes = 16 << 10;
    options.l0_compact = 4;
    options.l0_slow = 8;
    options.l0_stop = 12;
    options.compaction_threads = 4;
    open_store(check_running);
    for (uint64_t i = 0; i < writes; i++) {
        put((int)sim_below(&r, 10000), value);
        if (i % 2000 == 1999) {
            char a[16], b[16];
            int from = (int)sim_below(&r, 9000);
            int rc = store_compact(store, key_of(from, a), key_of(from + 1000, b));
            MUST(rc == 0, "%s", fail_text());
        }
    }
    MUST(writes < 20000 || atomic_load(&most_at_once) > 1,
         "never two compactions at once: the test shows nothing");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("background");
    TCase *tc = tcase_create("background");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, a_flush_waits_for_no_compaction);
    tcase_add_test(tc, compactions_of_different_keys_run_side_by_side);
    tcase_add_test(tc, compactions_of_the_same_range_run_one_after_the_other);
    tcase_add_test(tc, a_second_thread_does_not_empty_a_level_further_than_it_needs);
    tcase_add_test(tc, the_table_that_meets_least_of_the_next_level_goes_first);
    tcase_add_test(tc, no_two_compactions_are_ever_in_each_others_way);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
