/* The log for the next switch is made ahead by the flusher: no writer waits for the disk there. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../store.h"
#include "../version/file_name.h"
#include "env_sim.h"
#include "run_suite.h"

static struct env *disk;
static struct store *store;
static struct store_options options;

static pthread_t writer;
static atomic_int made, made_by_writer, to_refuse;

static bool is_log(const char *path)
{
    const char *name = strrchr(path, '/');
    uint64_t number;
    return name_parse(name ? name + 1 : path, &number) == NAME_LOG;
}

/* Who makes logs; the first `to_refuse` are refused. */
static int watch(void *arg, enum sim_call call, const char *path)
{
    (void)arg;
    if (call != SIM_CREATE || !is_log(path))
        return 0;
    if (atomic_load(&to_refuse) > 0) {
        atomic_fetch_sub(&to_refuse, 1);
        return -ENOSPC;
    }
    atomic_fetch_add(pthread_equal(pthread_self(), writer) ? &made_by_writer : &made, 1);
    return 0;
}

static void setup(void)
{
    store_options_init(&options);
    options.env = disk = env_sim_new();
    options.memtable_bytes = 64 << 10;
    writer = pthread_self();
    env_sim_set_hook(disk, watch, NULL);
}

static void open_store(void)
{
    ck_assert_msg(store_open("/db", &options, &store) == 0, "%s", fail_text());
    atomic_store(&made_by_writer, 0); /* store_open made one */
}

static void close_store(void)
{
    ck_assert_msg(store_close(store) == 0, "%s", fail_text());
}

static void teardown(void)
{
    env_sim_free(disk);
}

static struct slice key_of(int i, char room[16])
{
    return slice_of(room, (size_t)snprintf(room, 16, "%08d", i));
}

static void put(int i, bool sync)
{
    char room[16], value[1000] = {0};
    int rc = store_put(store, key_of(i, room), slice_of(value, sizeof value), sync);
    ck_assert_msg(rc == 0, "%s", fail_text());
}

static uint64_t switches(void)
{
    struct store_stats stats;
    store_get_stats(store, &stats);
    return stats.switches;
}

static void await(atomic_int *what, int n)
{
    for (int i = 0; i < 10000 && atomic_load(what) < n; i++)
        usleep(1000);
    ck_assert_int_ge(atomic_load(what), n);
}

/* Puts from the key *i on, until the memtable was switched once more. */
static void put_until_switch(int *i)
{
    for (uint64_t before = switches(); switches() == before;)
        put((*i)++, false);
}

/* So often, each time with a log that is ready. Returns the next key. */
static int switch_often(int times)
{
    int i = 0;
    for (int n = 1; n <= times; n++) {
        await(&made, n);
        put_until_switch(&i);
    }
    return i;
}

static void count_log(void *arg, const char *name)
{
    *(int *)arg += is_log(name);
}

static int logs_in_folder(void)
{
    int n = 0;
    ck_assert_int_eq(env_list(disk, "/db", count_log, &n), 0);
    return n;
}

START_TEST(a_switch_finds_its_log_made)
{
    open_store();
    switch_often(5);
    ck_assert_int_eq(atomic_load(&made_by_writer), 0);
    close_store();
}
END_TEST

START_TEST(a_clean_close_leaves_one_log)
{
    open_store();
    put(1, false);
    await(&made, 1);
    ck_assert_int_eq(logs_in_folder(), 2);
    close_store();
    ck_assert_int_eq(logs_in_folder(), 1);
}
END_TEST

/* No error of anything, and no second try before the next switch. */
START_TEST(where_none_could_be_made_the_switch_makes_its_own)
{
    int i = 0;
    open_store();
    await(&made, 1);
    atomic_store(&to_refuse, 2); /* before and after the flush */
    put_until_switch(&i);
    ck_assert_int_eq(atomic_load(&made_by_writer), 0);
    for (int n = 0; n < 10000 && atomic_load(&to_refuse) > 0; n++)
        usleep(1000);
    put_until_switch(&i);
    ck_assert_int_eq(atomic_load(&made_by_writer), 1);
    ck_assert_int_eq(store_background_error(store), 0);
    close_store();
}
END_TEST

/* The flush syncs the folder for its table; the log that was ready then needs no sync of its own.
 */
START_TEST(its_entry_is_synced_with_the_next_table)
{
    open_store();
    int i = switch_often(3);
    struct store_stats stats;
    do {
        usleep(1000);
        store_get_stats(store, &stats);
    } while (stats.flushes < stats.switches);
    uint64_t syncs = env_sim_count(disk, SIM_SYNC_DIR);
    put(i, true);
    ck_assert_uint_eq(env_sim_count(disk, SIM_SYNC_DIR), syncs);
    close_store();
}
END_TEST

START_TEST(a_power_cut_with_a_spare_log_loses_nothing_that_was_synced)
{
    int i = 0;
    open_store();
    await(&made, 1);
    put_until_switch(&i);
    put(i, true);
    struct env *cut = env_sim_cut_copy(disk);
    close_store();
    env_sim_survive(cut, SIM_LOSE_ALL, 1);
    options.env = cut;
    open_store();
    for (int k = 0; k <= i; k++) {
        char room[16];
        struct buf value = {0};
        ck_assert_int_eq(store_get(store, NULL, key_of(k, room), &value), 0);
        buf_free(&value);
    }
    close_store();
    env_sim_free(cut);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_switch_finds_its_log_made,
                                  a_clean_close_leaves_one_log,
                                  where_none_could_be_made_the_switch_makes_its_own,
                                  its_entry_is_synced_with_the_next_table,
                                  a_power_cut_with_a_spare_log_loses_nothing_that_was_synced,
                                  NULL};
    return run_tests("spare_log", 20, setup, teardown, tests);
}
