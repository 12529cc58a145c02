/* The commit path: who rides with whom, what is durable when, and what an error does to whom. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../commit/queue.h"
#include "../log/log_reader.h"
#include "../table/cache.h"
#include "../table/table_cache.h"
#include "env_sim.h"
#include "run_suite.h"

/* ---- a store on a simulated disk whose log writes can be held */

static struct env *disk;
static struct store *store;

static struct {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    enum sim_call held_call; /* calls of this kind on a log (or on a table) wait ... */
    bool on_tables;
    bool held;   /* ... while this is true */
    int pass;    /* ... but for so many of them */
    int waiting; /* how many do */
    int fail;    /* and then fail with this */
} gate = {.mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int on_call(void *arg, enum sim_call call, const char *path)
{
    (void)arg;
    size_t n = strlen(path);
    int rc = 0;
    pthread_mutex_lock(&gate.mu);
    if (n < 4 || strcmp(path + n - 4, gate.on_tables ? ".ldb" : ".log") != 0) {
        pthread_mutex_unlock(&gate.mu);
        return 0;
    }
    if (call == gate.held_call) {
        gate.waiting++;
        pthread_cond_broadcast(&gate.changed);
        while (gate.held && gate.pass == 0)
            pthread_cond_wait(&gate.changed, &gate.mu);
        if (gate.held)
            gate.pass--;
        gate.waiting--;
        rc = gate.fail;
    }
    pthread_mutex_unlock(&gate.mu);
    return rc;
}

static void hold(enum sim_call call)
{
    pthread_mutex_lock(&gate.mu);
    gate.held_call = call;
    gate.held = true;
    gate.pass = 0;
    gate.fail = 0;
    pthread_mutex_unlock(&gate.mu);
}

static void let_one_pass(void)
{
    pthread_mutex_lock(&gate.mu);
    gate.pass = 1;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mu);
}

static void await_held(void)
{
    pthread_mutex_lock(&gate.mu);
    while (gate.waiting == 0)
        pthread_cond_wait(&gate.changed, &gate.mu);
    pthread_mutex_unlock(&gate.mu);
}

static void let_go(int fail_with)
{
    pthread_mutex_lock(&gate.mu);
    gate.held = false;
    gate.fail = fail_with;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mu);
}

static void open_with(const struct store_options *o)
{
    struct store_options with = *o;
    with.env = disk;
    with.zero_ahead_bytes = 0; /* one write on the log for each group */
    ck_assert_int_eq(store_open("/db", &with, &store), 0);
}

static void setup(void)
{
    struct store_options o;
    store_options_init(&o);
    gate.held = false;
    gate.held_call = SIM_CALLS;
    gate.on_tables = false;
    gate.fail = 0;
    disk = env_sim_new();
    open_with(&o);
    env_sim_set_hook(disk, on_call, NULL);
}

static void teardown(void)
{
    let_go(0);
    store_close(store);
    store = NULL;
    env_sim_free(disk);
}

/* ---- writers in threads of their own, enqueued in a known order */

struct actor {
    pthread_t thread;
    struct store_batch batch;
    struct store_writer w;
    atomic_bool enqueued, done;
};

static void *act(void *arg)
{
    struct actor *a = arg;
    store_enqueue(store, &a->w);
    a->enqueued = true;
    store_wait(store, &a->w);
    a->done = true;
    return NULL;
}

/* A writer of `puts` keys KEY0, KEY1 ... of `bytes` each; returns once it stands in the queue. */
static struct actor *start(const char *key, int puts, size_t bytes, bool sync)
{
    struct actor *a = mem_zalloc(sizeof *a);
    char *value = mem_zalloc(bytes + 1);
    for (int i = 0; i < puts; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%d", key, i);
        store_batch_put(&a->batch, slice_str(name), slice_of(value, bytes));
    }
    free(value);
    a->w.batch = &a->batch;
    a->w.sync = sync;
    pthread_create(&a->thread, NULL, act, a);
    while (!a->enqueued)
        usleep(100);
    return a;
}

static int finish(struct actor *a)
{
    pthread_join(a->thread, NULL);
    int status = a->w.status;
    store_batch_free(&a->batch);
    free(a);
    return status;
}

static bool has(struct store *s, const char *key)
{
    struct buf value = BUF_INIT;
    int rc = store_get(s, NULL, slice_str(key), &value);
    ck_assert(rc == 0 || rc == -ENOENT);
    buf_free(&value);
    return rc == 0;
}

/* Is the key there when the power goes now and everything unsynced is lost? */
static bool survives(const char *key)
{
    struct env *copy = env_sim_cut_copy(disk);
    struct store_options o;
    struct store *s;
    store_options_init(&o);
    o.env = copy;
    env_sim_survive(copy, SIM_LOSE_ALL, 1);
    ck_assert_int_eq(store_open("/db", &o, &s), 0);
    bool there = has(s, key);
    ck_assert_int_eq(store_close(s), 0);
    env_sim_free(copy);
    return there;
}

static struct store_stats stats(void)
{
    struct store_stats st;
    store_get_stats(store, &st);
    return st;
}

/* ---- groups */

START_TEST(sync_writer_never_rides_in_nonsync_group)
{
    hold(SIM_WRITE);
    struct actor *first = start("first", 1, 10, false);
    await_held();
    struct actor *plain = start("plain", 1, 10, false);
    struct actor *sync = start("sync", 1, 10, true);
    struct actor *after = start("after", 1, 10, false);
    uint64_t groups = stats().groups;
    let_go(0);
    ck_assert_int_eq(finish(sync), 0);
    ck_assert_msg(survives("sync0"),
                  "a sync writer was done, but its change is not on stable storage");
    ck_assert_int_eq(finish(first), 0);
    ck_assert_int_eq(finish(plain), 0);
    ck_assert_int_eq(finish(after), 0);
    /* {first} {plain} {sync, after} */
    ck_assert_uint_eq(stats().groups - groups, 3);
}
END_TEST

START_TEST(nonsync_writer_may_ride_in_sync_group)
{
    hold(SIM_WRITE);
    struct actor *first = start("first", 1, 10, false);
    await_held();
    struct actor *sync = start("sync", 1, 10, true);
    struct actor *plain = start("plain", 1, 10, false);
    struct actor *sync2 = start("other", 1, 10, true);
    uint64_t groups = stats().groups;
    let_go(0);
    ck_assert_int_eq(finish(first), 0);
    ck_assert_int_eq(finish(sync), 0);
    ck_assert_int_eq(finish(plain), 0);
    ck_assert_int_eq(finish(sync2), 0);
    ck_assert_uint_eq(stats().groups - groups, 2); /* {first} {sync, plain, other} */
    ck_assert(survives("plain0"));
    ck_assert(survives("other0"));
}
END_TEST

/* How many groups it takes to commit writers of these sizes that wait behind a held one. */
static uint64_t groups_for(const size_t *bytes, int n)
{
    struct actor *a[16];
    hold(SIM_WRITE);
    struct actor *first = start("first", 1, 10, false);
    await_held();
    for (int i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d-", i);
        a[i] = start(key, 1, bytes[i], false);
    }
    uint64_t before = stats().groups;
    let_go(0);
    ck_assert_int_eq(finish(first), 0);
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(finish(a[i]), 0);
    return stats().groups - before - 1;
}

START_TEST(small_leader_takes_128_KiB_of_company)
{
    ck_assert_uint_eq(groups_for((size_t[]){100, 60000, 60000}, 3), 1);
    ck_assert_uint_eq(groups_for((size_t[]){100, 60000, 60000, 60000}, 4), 2);
}
END_TEST

START_TEST(large_leader_takes_up_to_1_MiB)
{
    ck_assert_uint_eq(groups_for((size_t[]){200000, 400000, 400000}, 3), 1);
    ck_assert_uint_eq(groups_for((size_t[]){200000, 400000, 400000, 400000}, 4), 2);
    ck_assert_uint_eq(groups_for((size_t[]){2000000, 10, 10}, 3),
                      2); /* larger than any limit: alone */
}
END_TEST

START_TEST(a_group_is_one_record_with_successive_numbers)
{
    uint64_t before = store_last_sequence(store);
    hold(SIM_WRITE);
    struct actor *first = start("a", 2, 10, false);
    await_held();
    struct actor *b = start("b", 3, 10, false);
    struct actor *c = start("c", 1, 10, false);
    let_go(0);
    pthread_join(first->thread, NULL);
    pthread_join(b->thread, NULL);
    pthread_join(c->thread, NULL);
    ck_assert_uint_eq(first->w.sequence, before + 2);
    ck_assert_uint_eq(b->w.sequence, before + 5);
    ck_assert_uint_eq(c->w.sequence, before + 6);
    ck_assert_uint_eq(store_last_sequence(store), before + 6);

    struct log_reader r;
    struct slice rec;
    char *path = name_log("/db", store->log->number);
    ck_assert_int_eq(log_reader_open(&r, disk, path), 0);
    ck_assert_int_eq(log_read(&r, &rec), 1);
    ck_assert_uint_eq(batch_rep_count(rec), 0); /* the mark that each log begins with */
    ck_assert_int_eq(log_read(&r, &rec), 1);
    ck_assert_uint_eq(batch_rep_sequence(rec), before + 1);
    ck_assert_uint_eq(batch_rep_count(rec), 2);
    ck_assert_int_eq(log_read(&r, &rec), 1);
    ck_assert_uint_eq(batch_rep_sequence(rec), before + 3);
    ck_assert_uint_eq(batch_rep_count(rec), 4);
    ck_assert_int_eq(log_read(&r, &rec), 0);
    log_reader_close(&r);
    free(path);
    struct actor *all[] = {first, b, c};
    for (int i = 0; i < 3; i++) {
        store_batch_free(&all[i]->batch);
        free(all[i]);
    }
}
END_TEST

/* ---- numbers */

START_TEST(records_of_a_batch_take_successive_numbers)
{
    struct store_batch b = STORE_BATCH_INIT;
    store_batch_put(&b, slice_str("k"), slice_str("old"));
    store_batch_delete(&b, slice_str("k"));
    store_batch_put(&b, slice_str("k"), slice_str("new"));
    uint64_t before = store_last_sequence(store);
    ck_assert_int_eq(store_write(store, &b, false), 0);
    ck_assert_uint_eq(store_last_sequence(store), before + 3);
    struct buf value = BUF_INIT;
    ck_assert_int_eq(store_get(store, NULL, slice_str("k"), &value), 0);
    ck_assert(slice_equal(buf_slice(&value), slice_str("new")));
    struct iter *it = memtable_iter(store->mem); /* newest first */
    iter_first(it);
    for (uint64_t i = 3; i > 0; i--) {
        ck_assert(it->valid);
        ck_assert_uint_eq(key_sequence(it->key), before + i);
        iter_next(it);
    }
    ck_assert(!it->valid);
    iter_destroy(it);
    store_batch_clear(&b);
    store_batch_delete(&b, slice_str("k"));
    ck_assert_int_eq(store_write(store, &b, false), 0);
    ck_assert(!has(store, "k"));
    store_batch_free(&b);
    buf_free(&value);
}
END_TEST

START_TEST(recovery_leaves_the_sequence_at_the_last_record)
{
    struct store_batch b = STORE_BATCH_INIT;
    for (int i = 0; i < 7; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        store_batch_put(&b, slice_str(key), slice_str("v"));
    }
    ck_assert_int_eq(store_write(store, &b, true), 0);
    store_batch_free(&b);
    uint64_t last = store_last_sequence(store);
    struct env *copy = env_sim_cut_copy(disk);
    struct store_options o;
    struct store *s;
    store_options_init(&o);
    o.env = copy;
    env_sim_survive(copy, SIM_LOSE_ALL, 1);
    ck_assert_int_eq(store_open("/db", &o, &s), 0);
    ck_assert_uint_eq(store_last_sequence(s), last);
    ck_assert(has(s, "k6")); /* the very last record is visible at once */
    ck_assert_int_eq(store_put(s, slice_str("next"), slice_str("v"), false), 0);
    ck_assert_uint_eq(store_last_sequence(s), last + 1);
    ck_assert_int_eq(store_close(s), 0);
    env_sim_free(copy);
}
END_TEST

/* ---- errors */

START_TEST(followers_get_the_leaders_error)
{
    hold(SIM_WRITE);
    struct actor *leader = start("leader", 1, 10, false);
    await_held();
    struct actor *a = start("a", 1, 10, false);
    struct actor *b = start("b", 1, 10, true);
    let_go(-EIO);
    ck_assert_int_eq(finish(leader), -EIO);
    ck_assert_int_eq(finish(a), -EIO);
    ck_assert_int_eq(finish(b), -EIO);
    ck_assert(!has(store, "leader0"));
    ck_assert(!has(store, "a0"));
}
END_TEST

START_TEST(after_a_failed_append_nothing_is_written)
{
    ck_assert_int_eq(store_put(store, slice_str("before"), slice_str("v"), true), 0);
    env_sim_fail(disk, SIM_WRITE, env_sim_count(disk, SIM_WRITE) + 1, -EIO, SIM_DONE_PART);
    ck_assert_int_eq(store_put(store, slice_str("failed"), slice_str("v"), false), -EIO);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(store_put(store, slice_str("later"), slice_str("v"), true), -EIO);
    ck_assert_int_eq(store_sync(store, 0), -EIO);
    ck_assert(has(store, "before")); /* reads go on */
    ck_assert(!has(store, "later"));
    ck_assert(survives("before"));
}
END_TEST

START_TEST(a_writer_beyond_the_limits_fails_alone)
{
    struct store_batch bad[3] = {STORE_BATCH_INIT, STORE_BATCH_INIT, STORE_BATCH_INIT};
    const int codes[3] = {-EMSGSIZE, -EMSGSIZE, -E2BIG};
    char *key = mem_zalloc(STORE_MAX_KEY + 1);
    store_batch_put(&bad[0], slice_str("bad"), slice_str("v"));
    store_batch_put(&bad[0], slice_of(key, STORE_MAX_KEY + 1), slice_str("v"));
    store_batch_put(&bad[1], slice_str("bad"), slice_of(key, (size_t)STORE_MAX_VALUE + 1));
    store_batch_put(&bad[2], slice_str("bad"), slice_str("v"));
    size_t len = bad[2].rep.len;
    bad[2].rep.len = STORE_MAX_BATCH - 2; /* as if it were that long */
    store_batch_delete(&bad[2], slice_str("one more"));
    bad[2].rep.len = len;

    hold(SIM_WRITE);
    struct actor *leader = start("leader", 1, 10, false);
    await_held();
    struct actor *a = start("a", 1, 10, false);
    for (int i = 0; i < 3; i++) {
        struct store_writer w = {.batch = &bad[i], .sync = i == 0};
        store_enqueue(store, &w); /* and does not wait for those in front */
        ck_assert_int_eq(fail(-EIO, "something else"), -EIO);
        ck_assert_int_eq(store_wait(store, &w), codes[i]);
        ck_assert_msg(strstr(fail_text(), "too long"), "%s", fail_text());
    }
    struct actor *b = start("b", 1, 10, true);
    let_go(0);
    ck_assert_int_eq(finish(leader), 0);
    ck_assert_int_eq(finish(a), 0);
    ck_assert_int_eq(finish(b), 0);
    ck_assert(has(store, "leader0") && has(store, "a0") && has(store, "b0"));
    ck_assert(!has(store, "bad"));
    ck_assert_int_eq(store_put(store, slice_of(key, STORE_MAX_KEY + 1), slice_str("v"), true),
                     -EMSGSIZE);
    ck_assert_int_eq(store_delete(store, slice_of(key, STORE_MAX_KEY + 1), false), -EMSGSIZE);
    ck_assert_int_eq(store_put(store, slice_of(key, STORE_MAX_KEY), slice_str("v"), true), 0);
    ck_assert_int_eq(store_put(store, slice_str(""), slice_str("v"), true), 0);
    ck_assert(has(store, ""));
    ck_assert_int_eq(store_background_error(store), 0);
    ck_assert_uint_eq(store_last_sequence(store), 5); /* none was given to a refused one */
    for (int i = 0; i < 3; i++)
        store_batch_free(&bad[i]);
    free(key);
}
END_TEST

/* Closes the store and changes what its MANIFEST says was reached. Returns the number of its log.
 */
static uint64_t manifest_says(uint64_t sequence)
{
    struct version_set set;
    struct cache *cache = cache_new(1 << 20, free);
    struct table_cache *tables = table_cache_new(disk, "/db", 10, 1 << 20, cache);
    pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
    struct edit e;
    ck_assert_int_eq(store_close(store), 0);
    store = NULL;
    set_init(&set, disk, "/db", tables, &mu);
    ck_assert_int_eq(set_open(&set), 0);
    edit_init(&e);
    e.has_last_sequence = true;
    e.last_sequence = sequence;
    pthread_mutex_lock(&mu);
    ck_assert_int_eq(set_roll(&set), 0);
    ck_assert_int_eq(set_apply(&set, &e), 0);
    pthread_mutex_unlock(&mu);
    uint64_t log_number = set.log_number;
    edit_free(&e);
    set_free(&set);
    table_cache_free(tables);
    cache_free(cache);
    return log_number;
}

START_TEST(writes_end_with_an_error_when_the_sequence_numbers_do)
{
    struct store_options o;
    store_options_init(&o);
    manifest_says(KEY_MAX_SEQUENCE - 2);
    open_with(&o);
    ck_assert_uint_eq(store_last_sequence(store), KEY_MAX_SEQUENCE - 2);
    ck_assert_int_eq(store_put(store, slice_str("last"), slice_str("v"), true), 0);
    ck_assert(survives("last"));
    ck_assert_int_eq(store_put(store, slice_str("more"), slice_str("v"), false), -EOVERFLOW);
    ck_assert_int_eq(store_put(store, slice_str("more"), slice_str("v"), true), -EOVERFLOW);
    ck_assert(has(store, "last") && !has(store, "more"));
    store_close(store);
    open_with(&o);
    ck_assert(has(store, "last") && !has(store, "more"));
}
END_TEST

START_TEST(a_manifest_with_an_impossible_sequence_number_is_refused)
{
    struct store_options o;
    store_options_init(&o);
    o.env = disk;
    manifest_says(KEY_MAX_SEQUENCE + 1);
    ck_assert_int_eq(store_open("/db", &o, &store), STORE_ECORRUPT);
    ck_assert_msg(strstr(fail_text(), "MANIFEST"), "%s", fail_text());
}
END_TEST

/* LevelDB may note a newer number in the MANIFEST than its oldest unflushed record has, and may
 * leave an empty log before the one with the record. */
START_TEST(a_record_older_than_the_manifest_says_is_replayed_also_behind_an_empty_log)
{
    struct store_batch b = STORE_BATCH_INIT;
    struct store_options o;
    struct log_writer log;
    struct env_file *file;
    char *path = name_log("/db", manifest_says(10) + 100);
    store_batch_put(&b, slice_str("behind"), slice_str("v"));
    batch_set_sequence(&b, 5);
    ck_assert_int_eq(env_open(disk, path, ENV_WRITE | ENV_CREATE, &file), 0);
    log_writer_init(&log, disk, file);
    ck_assert_int_eq(log_append(&log, buf_slice(&b.rep)), 0);
    log_writer_free(&log);
    env_close(disk, file);
    free(path);
    store_batch_free(&b);
    store_options_init(&o);
    open_with(&o);
    ck_assert(has(store, "behind"));
    ck_assert_uint_eq(store_last_sequence(store), 10);
    ck_assert_uint_eq(stats().cut_records, 0);
}
END_TEST

START_TEST(after_a_failed_sync_nothing_claims_to_be_durable)
{
    env_sim_fail(disk, SIM_SYNC, env_sim_count(disk, SIM_SYNC) + 1, -EIO, SIM_DONE_NOTHING);
    ck_assert_int_eq(store_put(store, slice_str("a"), slice_str("v"), true), -EIO);
    uint64_t syncs = env_sim_count(disk, SIM_SYNC);
    ck_assert_int_eq(store_put(store, slice_str("b"), slice_str("v"), true), -EIO);
    ck_assert_int_eq(store_sync(store, 0), -EIO);
    ck_assert_uint_eq(env_sim_count(disk, SIM_SYNC), syncs); /* it was not tried again */
}
END_TEST

START_TEST(all_who_wait_for_a_failed_sync_get_its_error)
{
    hold(SIM_SYNC);
    struct actor *a = start("a", 1, 10, true);
    await_held();
    struct actor *b = start("b", 1, 10, true);
    struct actor *c = start("c", 1, 10, true);
    let_go(-EIO);
    ck_assert_int_eq(finish(a), -EIO);
    ck_assert_int_eq(finish(b), -EIO);
    ck_assert_int_eq(finish(c), -EIO);
}
END_TEST

/* ---- sync */

START_TEST(sync_covers_older_logs)
{
    store_close(store);
    struct store_options o;
    store_options_init(&o);
    o.memtable_bytes = 4096;
    o.max_immutables = 8;
    open_with(&o);
    /* Flushes are held back: no table can be made, so that older logs stay live. */
    uint64_t switches = stats().switches;
    gate.on_tables = true;
    hold(SIM_CREATE);
    for (int i = 0; stats().switches < switches + 2; i++) {
        char key[32];
        snprintf(key, sizeof key, "key%06d", i);
        ck_assert_int_eq(store_put(store, slice_str(key), slice_str("some value"), false), 0);
    }
    ck_assert_int_eq(store_put(store, slice_str("last"), slice_str("v"), true), 0);
    ck_assert(survives("last"));
    ck_assert(survives("key000000"));
}
END_TEST

START_TEST(plain_writers_go_on_while_a_sync_runs)
{
    hold(SIM_SYNC);
    struct actor *sync = start("sync", 1, 10, true);
    await_held();
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(store_put(store, slice_str("plain"), slice_str("v"), false), 0);
    ck_assert(has(store, "plain"));
    ck_assert(!sync->done);
    let_go(0);
    ck_assert_int_eq(finish(sync), 0);
}
END_TEST

START_TEST(a_round_does_not_cover_who_came_after_it_began)
{
    hold(SIM_SYNC);
    struct actor *first = start("first", 1, 10, true);
    await_held();
    uint64_t syncs = stats().syncs;
    struct actor *late[4];
    for (int i = 0; i < 4; i++) {
        char key[16];
        snprintf(key, sizeof key, "l%d", i);
        late[i] = start(key, 1, 10, true);
    }
    while (atomic_load(&store->last_sequence) < first->w.sequence + 4)
        usleep(100);
    let_go(0);
    ck_assert_int_eq(finish(first), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(finish(late[i]), 0);
    /* One more round, for all four together. */
    ck_assert_uint_ge(stats().syncs - syncs, 1);
    ck_assert_uint_le(stats().syncs - syncs, 2);
    ck_assert(survives("l30"));
}
END_TEST

START_TEST(a_sync_with_nothing_new_makes_no_call)
{
    ck_assert_int_eq(store_put(store, slice_str("a"), slice_str("v"), true), 0);
    uint64_t syncs = env_sim_count(disk, SIM_SYNC), writes = env_sim_count(disk, SIM_WRITE);
    ck_assert_int_eq(store_sync(store, 0), 0);
    ck_assert_int_eq(store_write(store, NULL, true), 0);
    ck_assert_uint_eq(env_sim_count(disk, SIM_SYNC), syncs);
    ck_assert_uint_eq(env_sim_count(disk, SIM_WRITE), writes);
    ck_assert_int_eq(store_put(store, slice_str("b"), slice_str("v"), false), 0);
    ck_assert_int_eq(store_sync(store, 0), 0);
    ck_assert_uint_eq(env_sim_count(disk, SIM_SYNC), syncs + 1);
    ck_assert(survives("b"));
}
END_TEST

START_TEST(an_empty_sync_writer_makes_all_before_it_durable)
{
    ck_assert_int_eq(store_put(store, slice_str("a"), slice_str("v"), false), 0);
    ck_assert(!survives("a"));
    ck_assert_int_eq(store_write(store, NULL, true), 0);
    ck_assert(survives("a"));
}
END_TEST

START_TEST(a_record_longer_than_the_zeroes_ahead_is_written_once)
{
    const struct sim_traced *t;
    struct store_options o;
    char *value = mem_zalloc(3 << 20);
    uint64_t written = 0;
    store_options_init(&o);
    o.env = disk;
    ck_assert_int_eq(store_close(store), 0);
    ck_assert_int_eq(store_open("/db", &o, &store), 0);
    for (int i = 0; i < 5; i++) /* the log is synced often: zeroes go ahead */
        ck_assert_int_eq(store_put(store, slice_str("k"), slice_str("v"), true), 0);
    env_sim_set_trace(disk, true);
    ck_assert_int_eq(store_put(store, slice_str("long"), slice_of(value, 3 << 20), true), 0);
    for (size_t i = 0, n = env_sim_trace(disk, &t); i < n; i++)
        if (t[i].call == SIM_WRITE && strstr(t[i].path, ".log"))
            written += t[i].len;
    env_sim_set_trace(disk, false);
    ck_assert_uint_ge(written, 3 << 20);
    ck_assert_uint_lt(written, 4 << 20);
    ck_assert(survives("long"));
    free(value);
}
END_TEST

START_TEST(visible_when_durable_shows_a_sync_write_only_after_its_sync)
{
    store_close(store);
    struct store_options o;
    store_options_init(&o);
    o.visible_when_durable = true;
    open_with(&o);
    hold(SIM_SYNC);
    struct actor *a = start("a", 1, 10, true);
    await_held();
    ck_assert(!has(store, "a0"));
    let_go(0);
    ck_assert_int_eq(finish(a), 0);
    ck_assert(has(store, "a0"));
    ck_assert(survives("a0"));
}
END_TEST

/* ---- many */

enum { MANY = 16, EACH = 100 };

static void *write_many(void *arg)
{
    long id = (long)arg;
    for (int i = 0; i < EACH; i++) {
        char key[32];
        snprintf(key, sizeof key, "t%02ld-%04d", id, i);
        ck_assert_int_eq(store_put(store, slice_str(key), slice_str("v"), (id + i) % 2), 0);
    }
    return NULL;
}

static void *flush_the_store(void *arg)
{
    int rc = store_flush(store);
    ck_assert_int_eq(rc, 0);
    *(atomic_bool *)arg = true;
    return NULL;
}

START_TEST(a_flush_does_not_wait_for_memtables_that_were_filled_after_it)
{
    atomic_bool done[2] = {false, false};
    pthread_t threads[2];
    gate.on_tables = true;
    hold(SIM_SYNC);
    for (int i = 0; i < 2; i++) {
        uint64_t switches = stats().switches;
        ck_assert_int_eq(store_put(store, slice_str("k"), slice_str("v"), false), 0);
        pthread_create(&threads[i], NULL, flush_the_store, &done[i]);
        while (stats().switches == switches)
            usleep(100);
    }
    await_held();
    let_one_pass();
    for (int i = 0; i < 5000 && !done[0]; i++)
        usleep(1000);
    bool first = done[0], second = done[1];
    let_go(0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    ck_assert_msg(first, "the flush waits for what came after it");
    ck_assert_msg(!second, "a flush ended before its memtable was in a table");
}
END_TEST

START_TEST(many_writers_share_syncs_and_lose_nothing)
{
    pthread_t threads[MANY];
    env_sim_set_sync_us(disk, 200);
    for (long i = 0; i < MANY; i++)
        pthread_create(&threads[i], NULL, write_many, (void *)i);
    for (int i = 0; i < MANY; i++)
        pthread_join(threads[i], NULL);
    for (int t = 0; t < MANY; t++)
        for (int i = 0; i < EACH; i++) {
            char key[32];
            snprintf(key, sizeof key, "t%02d-%04d", t, i);
            ck_assert_msg(has(store, key), "%s is missing", key);
        }
    struct store_stats st = stats();
    ck_assert_uint_eq(st.writers, MANY * EACH);
    ck_assert_msg(st.syncs * 3 < st.sync_writers, "%llu rounds for %llu sync writers",
                  (unsigned long long)st.syncs, (unsigned long long)st.sync_writers);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("queue");
    TCase *tc = tcase_create("commit");
    tcase_set_timeout(tc, 20);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, sync_writer_never_rides_in_nonsync_group);
    tcase_add_test(tc, nonsync_writer_may_ride_in_sync_group);
    tcase_add_test(tc, small_leader_takes_128_KiB_of_company);
    tcase_add_test(tc, large_leader_takes_up_to_1_MiB);
    tcase_add_test(tc, a_group_is_one_record_with_successive_numbers);
    tcase_add_test(tc, records_of_a_batch_take_successive_numbers);
    tcase_add_test(tc, recovery_leaves_the_sequence_at_the_last_record);
    tcase_add_test(tc, followers_get_the_leaders_error);
    tcase_add_test(tc, after_a_failed_append_nothing_is_written);
    tcase_add_test(tc, a_writer_beyond_the_limits_fails_alone);
    tcase_add_test(tc, writes_end_with_an_error_when_the_sequence_numbers_do);
    tcase_add_test(tc, a_manifest_with_an_impossible_sequence_number_is_refused);
    tcase_add_test(tc, a_record_older_than_the_manifest_says_is_replayed_also_behind_an_empty_log);
    tcase_add_test(tc, after_a_failed_sync_nothing_claims_to_be_durable);
    tcase_add_test(tc, all_who_wait_for_a_failed_sync_get_its_error);
    tcase_add_test(tc, sync_covers_older_logs);
    tcase_add_test(tc, plain_writers_go_on_while_a_sync_runs);
    tcase_add_test(tc, a_round_does_not_cover_who_came_after_it_began);
    tcase_add_test(tc, a_sync_with_nothing_new_makes_no_call);
    tcase_add_test(tc, an_empty_sync_writer_makes_all_before_it_durable);
    tcase_add_test(tc, a_record_longer_than_the_zeroes_ahead_is_written_once);
    tcase_add_test(tc, visible_when_durable_shows_a_sync_write_only_after_its_sync);
    tcase_add_test(tc, a_flush_does_not_wait_for_memtables_that_were_filled_after_it);
    tcase_add_test(tc, many_writers_share_syncs_and_lose_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
