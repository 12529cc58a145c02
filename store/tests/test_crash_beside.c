/* Power cuts and kills of a store whose batches refer to bytes in a file beside it (struct
 * store_beside). The file is written before each batch and synced by the store's call alone. Before
 * every call of the workload the disk is copied as if the power went just then. What is open then
 * must be a prefix of the commits with all that was promised, and what it refers to must be whole;
 * also after another cut at once.
 *
 * SEED= repeats a run; STRIDE=n takes each n-th call only; TORTURE=1 more outcomes of each. */
#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/coding.h"
#include "../base/crc.h"
#include "../store.h"
#include "env_sim.h"
#include "history.h"
#include "run_suite.h" /* last: it defines a macro `fail` */

#define DIR "/db"
#define BESIDE "/db-beside"
#define SEGMENT BESIDE "/1"

enum {
    COMMITS = 120,
    KEYS = 25,
    RECORDS = 2,      /* of each commit: its number, and a key */
    VALUE_BYTES = 20, /* commit | offset | length | crc: fixed32, but the first: fixed64 */
};

/* ---------------------------------------------------------------- the file beside a store */

struct beside {
    struct env *env;
    struct env_file *file;
    uint64_t end;
    uint64_t flushed; /* batches up to here must not be asked for */
    int asked;
};

/* The bytes that the commit writes there; none: it refers to nothing. */
static size_t bytes_of(uint64_t commit, char bytes[9000])
{
    struct sim_random r = {commit * 7 + 1};
    size_t n = commit % 3 == 2 ? 0 : 1 + sim_below(&r, sim_chance(&r, 30) ? 9000 : 600);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(1 + sim_below(&r, 255)); /* no zeroes, which a lost piece reads as */
    return n;
}

static bool is_whole(const struct beside *b, struct slice value)
{
    char bytes[9000];
    MUST(value.len >= VALUE_BYTES, "a value of %zu bytes", value.len);
    size_t n = get_fixed32(value.data + 12);
    MUST(n <= sizeof bytes, "a place of %zu bytes", n);
    return env_pread(b->env, b->file, bytes, n, get_fixed32(value.data + 8)) == (ssize_t)n &&
           crc32c(bytes, n) == get_fixed32(value.data + 16);
}

static int sync_beside(void *arg)
{
    struct beside *b = arg;
    return env_sync(b->env, b->file);
}

/* What is whole is written anew: the sync that follows may be that of a file whose last one failed,
 * and then the page cache shows what the disk has not. */
static int write_anew(struct beside *b, struct slice value)
{
    char bytes[9000];
    size_t n = get_fixed32(value.data + 12);
    uint64_t off = get_fixed32(value.data + 8);
    MUST(env_pread(b->env, b->file, bytes, n, off) == (ssize_t)n, "read");
    return n ? env_pwrite(b->env, b->file, bytes, n, off) : 0;
}

static int check_beside(void *arg, struct slice key, struct slice value)
{
    struct beside *b = arg;
    uint64_t commit = get_fixed64(value.data);
    MUST((commit + 1) * RECORDS > b->flushed, "commit %llu was flushed (up to %llu)",
         (unsigned long long)commit, (unsigned long long)b->flushed);
    b->asked++;
    if (!is_whole(b, value))
        return fail(STORE_ECORRUPT, "%.*s: not whole", (int)key.len, key.data);
    return write_anew(b, value);
}

static void open_beside(struct beside *b, struct env *env, uint64_t flushed)
{
    int rc = env_mkdir(env, BESIDE);
    MUST(rc == 0 || rc == -EEXIST, "mkdir: %d", rc);
    *b = (struct beside){.env = env, .flushed = flushed};
    rc = env_open(env, SEGMENT, ENV_WRITE | ENV_CREATE, &b->file);
    MUST(rc == 0 && env_sync_dir(env, BESIDE) == 0 && env_sync_dir(env, "/") == 0, "open: %d", rc);
    MUST(env_size(env, b->file, &b->end) == 0, "size");
}

/* ---------------------------------------------------------------- the workload */

struct workload {
    struct env *env;
    struct store_options options;
    struct beside beside;
    struct store *store;
    uint64_t seed, stride;
    int outcomes;
    atomic_uint_fast64_t acked, acked_sync, flushed; /* sequence numbers */
    atomic_uint_fast64_t calls, opened, asked, cut;
    uint64_t flushes;
};

static void init(struct workload *w)
{
    memset(w, 0, sizeof *w);
    w->env = env_sim_new();
    store_options_init(&w->options);
    w->options.memtable_bytes = 4 << 10;
    w->options.table_bytes = 8 << 10;
    w->options.block_bytes = 1024;
    w->options.cache_bytes = 32 << 10;
    w->options.zero_ahead_bytes = 8 << 10;
    w->options.log_window_bytes = 8 << 10;
    w->options.l0_compact = 2;
    w->seed = sim_env_number("SEED", (uint64_t)getpid());
    w->stride = sim_env_number("STRIDE", 1);
    w->outcomes = sim_env_number("TORTURE", 0) ? 20 : 2;
    printf("SEED=%llu\n", (unsigned long long)w->seed);
    fflush(stdout);
}

static int open_on(struct workload *w, struct env *disk, uint64_t flushed, struct beside *b,
                   struct store **out)
{
    struct store_options o = w->options;
    o.env = disk;
    open_beside(b, disk, flushed);
    o.beside = (struct store_beside){b, sync_beside, check_beside};
    return store_open(DIR, &o, out);
}

static void start(struct workload *w)
{
    int rc = open_on(w, w->env, w->flushed, &w->beside, &w->store);
    MUST(rc == 0, "open: %s", fail_text());
}

static int stop(struct workload *w)
{
    int rc = store_close(w->store);
    env_close(w->env, w->beside.file);
    return rc;
}

static struct slice key_of(uint64_t commit, char room[16])
{
    return slice_of(room, (size_t)snprintf(room, 16, "key%03d", (int)(commit % KEYS)));
}

/* Makes memtables full now and then. */
enum { PADDING = 400 };

static int commit_one(struct workload *w, uint64_t commit, bool sync)
{
    struct store_batch batch = STORE_BATCH_INIT;
    struct beside *b = &w->beside;
    char bytes[9000], room[16], value[VALUE_BYTES + PADDING] = {0};
    size_t n = bytes_of(commit, bytes);
    if (n && env_pwrite(b->env, b->file, bytes, n, b->end))
        return -EIO;
    put_fixed64(value, commit);
    put_fixed32(value + 8, (uint32_t)b->end);
    put_fixed32(value + 12, (uint32_t)n);
    put_fixed32(value + 16, crc32c(bytes, n));
    b->end += n;
    store_batch_put(&batch, slice_str("commits"), slice_of(value, VALUE_BYTES));
    store_batch_put(&batch, key_of(commit, room), slice_of(value, sizeof value));
    int rc = store_write(w->store, &batch, sync);
    store_batch_free(&batch);
    if (rc == 0)
        atomic_store(&w->acked, (commit + 1) * RECORDS);
    if (rc == 0 && sync)
        atomic_store(&w->acked_sync, (commit + 1) * RECORDS);
    return rc;
}

static int run(struct workload *w, uint64_t from, uint64_t to)
{
    struct sim_random r = {w->seed + from};
    int rc = 0;
    for (uint64_t commit = from; rc == 0 && commit < to; commit++) {
        if (sim_chance(&r, 4))
            rc = store_flush(w->store);
        atomic_store(&w->flushed, store_flushed_sequence(w->store));
        if (rc == 0)
            rc = commit_one(w, commit, sim_chance(&r, 20));
    }
    return rc;
}

/* ---------------------------------------------------------------- what must be there */

/* Commits 0..count-1, and nothing else; what they refer to is whole. */
static void check_content(struct store *s, const struct beside *b, const char *what)
{
    struct buf value = BUF_INIT;
    uint64_t last = store_last_sequence(s), count = last / RECORDS;
    MUST(last % RECORDS == 0, "%s: half a commit: %llu", what, (unsigned long long)last);
    for (int i = 0; i < KEYS; i++) {
        char room[16];
        uint64_t k = (uint64_t)i, newest = k + (count - 1 - k) / KEYS * KEYS;
        int rc = store_get(s, NULL, key_of(k, room), &value);
        MUST(rc == (k < count ? 0 : -ENOENT), "%s: key %d of %llu commits: %d", what, i,
             (unsigned long long)count, rc);
        if (rc)
            continue;
        MUST(get_fixed64(value.data) == newest, "%s: key %d: commit %llu, not %llu", what, i,
             (unsigned long long)get_fixed64(value.data), (unsigned long long)newest);
        MUST(is_whole(b, buf_slice(&value)), "%s: commit %llu of %llu: its bytes are not there",
             what, (unsigned long long)newest, (unsigned long long)count);
    }
    buf_free(&value);
}

/* What was promised when the power went: sequence numbers. */
struct promised {
    uint64_t durable, flushed;
};

static struct promised promised_now(const struct workload *w, bool killed)
{
    return (struct promised){atomic_load(killed ? &w->acked : &w->acked_sync),
                             atomic_load(&w->flushed)};
}

/* Opens it, checks and closes it. */
static void check_disk(struct workload *w, struct env *disk, struct promised promised,
                       const char *what)
{
    struct beside b;
    struct store *s;
    struct store_stats stats;
    int rc = open_on(w, disk, promised.flushed, &b, &s);
    MUST(rc == 0, "%s: open: %s", what, fail_text());
    uint64_t last = store_last_sequence(s);
    MUST(last >= promised.durable, "%s: up to %llu, though %llu was promised", what,
         (unsigned long long)last, (unsigned long long)promised.durable);
    MUST(store_flushed_sequence(s) == last, "%s: flushed", what);
    check_content(s, &b, what);
    store_get_stats(s, &stats);
    w->opened++;
    w->asked += (uint64_t)b.asked;
    w->cut += stats.cut_records;
    struct env *copy = env_sim_cut_copy(disk);
    MUST(store_close(s) == 0, "%s: close: %s", what, fail_text());
    env_close(disk, b.file);
    /* What was open once stays, even if the power goes at once. */
    env_sim_survive(copy, SIM_LOSE_ALL, 0);
    rc = open_on(w, copy, last, &b, &s);
    MUST(rc == 0 && store_last_sequence(s) == last, "%s: opened at %llu, and then at %llu", what,
         (unsigned long long)last, (unsigned long long)store_last_sequence(s));
    check_content(s, &b, what);
    MUST(store_close(s) == 0, "%s: close: %s", what, fail_text());
    env_close(copy, b.file);
    env_sim_free(copy);
}

static void check_outcome(struct workload *w, struct env *cut, enum sim_survival how, uint64_t seed,
                          struct promised promised)
{
    static const char *const names[] = {"kill", "all unsynced lost", "random"};
    struct env *disk = env_sim_cut_copy(cut);
    char *what = mem_printf("%s, outcome %llu", names[how], (unsigned long long)seed);
    env_sim_survive(disk, how, seed);
    check_disk(w, disk, promised, what);
    env_sim_free(disk);
    free(what);
}

static int cut_here(void *arg, enum sim_call call, const char *path)
{
    struct workload *w = arg;
    uint64_t number = ++w->calls;
    (void)call, (void)path;
    if (number % w->stride)
        return 0;
    /* The promises first, the disk after: what is promised later need not be there. */
    struct promised killed = promised_now(w, true), cut_off = promised_now(w, false);
    struct env *cut = env_sim_cut_copy(w->env);
    check_outcome(w, cut, SIM_KEEP_ALL, number, killed);
    check_outcome(w, cut, SIM_LOSE_ALL, number, cut_off);
    for (int i = 0; i < w->outcomes; i++)
        check_outcome(w, cut, SIM_RANDOM, w->seed + number * 100 + (uint64_t)i, cut_off);
    env_sim_free(cut);
    return 0;
}

static void cut_everywhere(struct workload *w)
{
    struct store_stats stats;
    env_sim_set_hook(w->env, cut_here, w);
    for (uint64_t from = 0; from < COMMITS; from += COMMITS / 3) {
        start(w);
        MUST(run(w, from, from + COMMITS / 3) == 0, "the workload failed: %s", fail_text());
        check_content(w->store, &w->beside, "before closing");
        store_get_stats(w->store, &stats);
        w->flushes += stats.flushes;
        MUST(stop(w) == 0, "close: %s", fail_text());
    }
    env_sim_set_hook(w->env, NULL, NULL);
    printf("%llu calls, %llu stores opened after a cut; %llu puts asked for, %llu records cut off; "
           "%llu flushes\n",
           (unsigned long long)w->calls, (unsigned long long)w->opened,
           (unsigned long long)w->asked, (unsigned long long)w->cut,
           (unsigned long long)w->flushes);
    MUST(w->calls > 100 && w->opened * w->stride > 400 && w->asked * w->stride > 100 &&
             w->cut * w->stride > 10 && w->flushes > 5,
         "the workload was too small");
}

START_TEST(what_a_store_refers_to_survives_with_it)
{
    struct workload w;
    init(&w);
    cut_everywhere(&w);
    env_sim_free(w.env);
}
END_TEST

START_TEST(it_does_as_well_where_sync_writes_show_only_when_durable)
{
    struct workload w;
    init(&w);
    w.options.visible_when_durable = true;
    w.options.zero_ahead_bytes = 0;
    cut_everywhere(&w);
    env_sim_free(w.env);
}
END_TEST

/* The process is killed at its k-th call and starts again; the power goes only then: what recovery
 * took from the page cache must have been made durable by it. */
START_TEST(what_was_recovered_from_the_page_cache_is_durable)
{
    uint64_t asked = 0;
    for (uint64_t k = 5; k < 150; k += 4) {
        struct workload w;
        init(&w);
        w.seed += k;
        start(&w);
        env_sim_cut_at(w.env, k);
        run(&w, 0, COMMITS);
        stop(&w);
        env_sim_restart(w.env);
        check_disk(&w, w.env, promised_now(&w, true), "killed");
        asked += w.asked;
        env_sim_free(w.env);
    }
    MUST(asked > 100, "%llu puts asked for", (unsigned long long)asked);
}
END_TEST

/* The same where the process ended because the sync of the file had failed, which gave up its
 * bytes, though they can be read. */
START_TEST(what_a_failed_sync_gave_up_is_durable_once_it_was_recovered)
{
    struct workload w;
    init(&w);
    w.options.memtable_bytes = 1 << 20; /* so that no flush takes the failure, */
    w.options.l0_compact = 1000;        /* and no compaction */
    w.options.l0_slow = 2000;
    w.options.l0_stop = 3000;
    for (int i = 0; i < 20; i++) {
        start(&w);
        uint64_t from = store_last_sequence(w.store) / RECORDS;
        MUST(run(&w, from, from + 2) == 0, "%s", fail_text());
        env_sim_fail(w.env, SIM_SYNC, env_sim_count(w.env, SIM_SYNC) + 1, -EIO, SIM_DONE_NOTHING);
        MUST(commit_one(&w, from + 2, true) == -EIO, "the sync failed");
        MUST(store_close(w.store) == -EIO, "closed");
        env_close(w.env, w.beside.file);
        env_sim_restart(w.env);
        check_disk(&w, w.env, promised_now(&w, true), "after a failed sync");
    }
    MUST(w.asked > 20, "%llu puts asked for", (unsigned long long)w.asked);
    env_sim_free(w.env);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {what_a_store_refers_to_survives_with_it,
                                  it_does_as_well_where_sync_writes_show_only_when_durable,
                                  what_was_recovered_from_the_page_cache_is_durable,
                                  what_a_failed_sync_gave_up_is_durable_once_it_was_recovered,
                                  NULL};
    return run_tests("crash_beside", 600, NULL, NULL, tests);
}
