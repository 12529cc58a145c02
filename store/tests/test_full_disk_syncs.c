/* Records that are taken back for want of space, beside syncs of the same log: writers write
 * number after number, space comes and goes under them, syncs are started and led by other threads;
 * meanwhile the power is cut again and again in copies of the disk. Each copy opens, has all that a
 * sync had promised, and of each writer some first part of its numbers.
 *
 * SEED= repeats a run (as far as threads repeat), ITERATIONS= sets how many runs there are. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../store.h"
#include "env_sim.h"
#include "run_suite.h"
#include "sim_random.h"

#define MUST(condition, ...) ck_assert_msg(condition, __VA_ARGS__)

enum { WRITERS = 3, CUTS = 12 };

static struct env *disk;
static struct store *store;
static struct store_options options;
static atomic_bool stop;
static atomic_int undone;               /* started syncs */
static atomic_long refused;             /* writes */
static atomic_int written[WRITERS];     /* numbers below this one are acknowledged */
static atomic_int durable[WRITERS];     /* ... and promised to be on the disk */
static atomic_uint_fast64_t last_given; /* the newest sequence a writer was told */

static struct slice key_of_number(int writer, int number, char room[16])
{
    snprintf(room, 16, "%d.%07d", writer, number);
    return slice_str(room);
}

static void raise_to(atomic_int *at, int to)
{
    int old = atomic_load(at);
    while (old < to && !atomic_compare_exchange_weak(at, &old, to))
        ;
}

/* A number that found no space is written again: so there is never a gap. */
static void *write_numbers(void *arg)
{
    int me = *(int *)arg;
    char room[16], value[1500];
    struct sim_random r = {(uint64_t)me + 1};
    for (int n = 0; !atomic_load(&stop);) {
        struct store_batch b = STORE_BATCH_INIT;
        struct store_writer w = {.batch = &b, .sync = sim_chance(&r, 10)};
        memset(value, 'a' + n % 26, sizeof value);
        store_batch_put(&b, key_of_number(me, n, room), slice_of(value, sim_below(&r, 1500)));
        store_enqueue(store, &w);
        int rc = store_wait(store, &w);
        store_batch_free(&b);
        MUST(rc == 0 || rc == -ENOSPC, "write: %s", fail_text());
        if (rc) {
            atomic_fetch_add(&refused, 1);
            usleep(50);
            continue;
        }
        atomic_store(&written[me], ++n);
        atomic_store(&last_given, w.sequence);
        if (w.sync)
            raise_to(&durable[me], n);
    }
    return NULL;
}

static void *delete_something(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        int rc = store_delete(store, slice_str("nothing"), false);
        MUST(rc == 0 || rc == -ENOSPC, "delete: %s", fail_text());
        usleep(100);
    }
    return NULL;
}

struct promise {
    struct store_writer w; /* first */
    int written[WRITERS];
};

static void keep(struct store_writer *w)
{
    struct promise *p = (struct promise *)w;
    MUST(w->status == 0, "sync: %d", w->status);
    MUST(store_durable_sequence(store) >= w->sequence, "not durable");
    for (int i = 0; i < WRITERS; i++)
        raise_to(&durable[i], p->written[i]);
    free(p);
    atomic_fetch_sub(&undone, 1);
}

static void *start_syncs(void *arg)
{
    struct sim_random r = {*(uint64_t *)arg};
    while (!atomic_load(&stop)) {
        struct promise *p = calloc(1, sizeof *p);
        p->w.done = keep;
        for (int i = 0; i < WRITERS; i++)
            p->written[i] = atomic_load(&written[i]);
        atomic_fetch_add(&undone, 1);
        /* also numbers that were not given yet, or were given to a record that is taken back */
        store_sync_start(store, sim_chance(&r, 50) ? 0 : UINT64_MAX - 1, &p->w);
        if (sim_chance(&r, 70))
            store_sync_run(store);
        if (sim_chance(&r, 20))
            usleep(200);
    }
    store_sync_run(store);
    return NULL;
}

static int numbers_in(struct store *s, int writer)
{
    struct buf value = BUF_INIT;
    char room[16];
    int n = 0, rc;
    while ((rc = store_get(s, NULL, key_of_number(writer, n, room), &value)) == 0)
        n++;
    MUST(rc == -ENOENT, "get: %s", fail_text());
    for (int i = n; i < n + 50; i++) /* nothing behind a gap */
        MUST(store_get(s, NULL, key_of_number(writer, i, room), &value) == -ENOENT,
             "writer %d: %d is missing, %d is there", writer, n, i);
    buf_free(&value);
    return n;
}

static void cut(struct sim_random *r)
{
    int promised[WRITERS];
    struct store_options with = options;
    struct store *s;
    for (int i = 0; i < WRITERS; i++)
        promised[i] = atomic_load(&durable[i]);
    struct env *copy = env_sim_cut_copy(disk);
    enum sim_survival how = (enum sim_survival)sim_below(r, 3);
    env_sim_survive(copy, how, sim_next(r));
    with.env = copy;
    MUST(store_open("/db", &with, &s) == 0, "open after a cut: %s", fail_text());
    for (int i = 0; i < WRITERS; i++) {
        int there = numbers_in(s, i);
        MUST(there >= promised[i], "writer %d: %d promised, %d there (%d)", i, promised[i], there,
             (int)how);
    }
    store_close(s);
    env_sim_free(copy);
}

static void squeeze(struct sim_random *r)
{
    struct env_space space;
    env_space(disk, "/", &space);
    uint64_t used = space.total - space.available;
    env_sim_set_capacity(disk, used + 1 + sim_below(r, 20000));
    usleep((useconds_t)sim_below(r, 4000));
    if (sim_chance(r, 50))
        cut(r);
    env_sim_set_capacity(disk, 0);
    usleep((useconds_t)sim_below(r, 4000));
}

static void run(uint64_t seed)
{
    struct sim_random r = {seed};
    pthread_t writer[WRITERS], starter[2], deleter;
    int number[WRITERS];
    uint64_t seeds[2] = {seed + 1, seed + 2};
    disk = env_sim_new();
    store_options_init(&options);
    options.env = disk;
    options.memtable_bytes = 32 << 10;
    options.zero_ahead_bytes = sim_chance(&r, 50) ? 0 : 16 << 10;
    options.log_window_bytes = sim_chance(&r, 50) ? 0 : 8 << 10;
    options.reserve_bytes = sim_chance(&r, 50) ? 0 : 64 << 10;
    options.visible_when_durable = sim_chance(&r, 30);
    MUST(store_open("/db", &options, &store) == 0, "open: %s", fail_text());
    env_sim_set_real_time(disk, true);
    env_sim_set_sync_us(disk, (unsigned)sim_below(&r, 1500));
    atomic_store(&stop, false);
    for (int i = 0; i < WRITERS; i++) {
        number[i] = i;
        atomic_store(&written[i], 0);
        atomic_store(&durable[i], 0);
        pthread_create(&writer[i], NULL, write_numbers, &number[i]);
    }
    for (int i = 0; i < 2; i++)
        pthread_create(&starter[i], NULL, start_syncs, &seeds[i]);
    pthread_create(&deleter, NULL, delete_something, NULL);
    for (int i = 0; i < CUTS; i++) {
        squeeze(&r);
        if (sim_chance(&r, 50))
            cut(&r);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writer[i], NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(starter[i], NULL);
    pthread_join(deleter, NULL);
    store_sync_run(store);
    MUST(atomic_load(&undone) == 0, "%d syncs were never done", atomic_load(&undone));
    MUST(store_last_sequence(store) >= atomic_load(&last_given), "numbers went back");
    for (int i = 0; i < WRITERS; i++)
        MUST(numbers_in(store, i) == atomic_load(&written[i]), "writer %d", i);
    MUST(store_close(store) == 0, "close: %s", fail_text());
    env_sim_free(disk);
}

START_TEST(records_taken_back_beside_syncs_cost_nothing_that_was_promised)
{
    uint64_t first = sim_env_number("SEED", (uint64_t)getpid());
    uint64_t last = first + sim_env_number("ITERATIONS", 12);
    for (uint64_t seed = first; seed < last; seed++) {
        printf("SEED=%llu\n", (unsigned long long)seed);
        fflush(stdout);
        run(seed);
    }
    MUST(atomic_load(&refused) > 0, "the disk was never full");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {records_taken_back_beside_syncs_cost_nothing_that_was_promised,
                                  NULL};
    return run_tests("full_disk_syncs", 300, NULL, NULL, tests);
}
