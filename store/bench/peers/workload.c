/* The work. Keys are 16 digits, values cut out of a text that compresses to half: as in LevelDB's
 * db_bench. Every engine gets the same keys in the same order; random ones come from a generator
 * that begins alike in each run.
 *
 * What is limited by a count (num) runs in the calling thread; what is limited by time (whatever
 * syncs, and readers beside a writer) in threads that look at a flag. */
#include "peers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "blocked.h"

/* ---- clocks, keys, values */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_now(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static struct slice make_key(char *at, uint64_t n)
{
    for (int i = KEY_BYTES; i-- > 0; n /= 10)
        at[i] = (char)('0' + n % 10);
    return slice_of(at, KEY_BYTES);
}

static void make_values(struct work *w)
{
    enum { PIECE = 100, FRESH = 50, TEXT = 1 << 20 };
    uint64_t random = 301;
    char piece[PIECE];
    while (w->values.len < (size_t)TEXT + (size_t)w->value_bytes) {
        for (int i = 0; i < PIECE; i++)
            piece[i] = i < FRESH ? (char)(' ' + next_random(&random) % 95) : piece[i - FRESH];
        buf_append(&w->values, piece, PIECE);
    }
}

/* ---- one thread's part */

struct part {
    struct work *work;
    uint64_t random, ops, put_bytes;
    void *reader;           /* engine->get's */
    struct buf nanoseconds; /* uint32_t of each operation */
    double started;
    char key[KEY_BYTES + 1];
    int id;
    void (*body)(struct part *p); /* of a thread */
};

static void start_part(struct part *p, struct work *w, int id)
{
    *p = (struct part){.work = w, .id = id, .random = 0x9e3779b97f4a7c15ull * (uint64_t)(id + 1)};
}

static void end_part(struct part *p)
{
    p->work->engine->get_end(p->reader);
    buf_free(&p->nanoseconds);
}

static struct slice any_value(struct part *p)
{
    struct work *w = p->work;
    size_t most = w->values.len - (size_t)w->value_bytes;
    return slice_of(w->values.data + next_random(&p->random) % most, (size_t)w->value_bytes);
}

static uint64_t any_number(struct part *p)
{
    return next_random(&p->random) % (uint64_t)p->work->num;
}

static void put(struct part *p, uint64_t n, bool sync)
{
    struct work *w = p->work;
    struct slice key = make_key(p->key, n), value = any_value(p);
    w->engine->put(w->db, key, value, sync);
    p->put_bytes += key.len + value.len;
    p->ops++;
}

static void time_from_here(struct part *p)
{
    p->started = now();
}

static uint32_t time_to_here(struct part *p)
{
    uint32_t ns = (uint32_t)((now() - p->started) * 1e9);
    buf_append(&p->nanoseconds, &ns, sizeof ns);
    return ns;
}

static int compare_times(const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

/* p50, p99 and the longest of the parts in `from`..`to`. */
static void set_latency(struct work *w, const struct part *parts, int from, int to)
{
    struct buf all = BUF_INIT;
    for (int i = from; i < to; i++)
        buf_append_slice(&all, buf_slice(&parts[i].nanoseconds));
    size_t n = all.len / sizeof(uint32_t);
    if (n > 0) {
        const uint32_t *ns = (const uint32_t *)(void *)all.data;
        qsort(all.data, n, sizeof *ns, compare_times);
        w->result.p50_us = ns[n / 2] / 1e3;
        w->result.p99_us = ns[n * 99 / 100] / 1e3;
        w->result.max_us = ns[n - 1] / 1e3;
    }
    buf_free(&all);
}

static void count_part(struct part *p)
{
    p->work->result.ops += p->ops;
    p->work->result.put_bytes += p->put_bytes;
    end_part(p);
}

/* ---- limited by a count */

enum { LONG = 20 };

static void fill_in_order(struct work *w)
{
    struct part p;
    start_part(&p, w, 0);
    for (long i = 0; i < w->num; i++)
        put(&p, (uint64_t)i, false);
    count_part(&p);
}

static void fill_anywhere(struct work *w)
{
    struct part p;
    start_part(&p, w, 0);
    for (long i = 0; i < w->num; i++)
        put(&p, any_number(&p), false);
    count_part(&p);
}

/* More than the background carries away meanwhile: the writer has to be held up. */
static void fill_for_long(struct work *w)
{
    struct part p;
    struct blocked blocked;
    start_part(&p, w, 0);
    blocked_start(&blocked);
    for (long i = 0; i < w->num * LONG; i++) {
        time_from_here(&p);
        put(&p, any_number(&p), false);
        blocked_note(&blocked, time_to_here(&p));
    }
    set_latency(w, &p, 0, 1);
    if (blocked.longest_ns)
        w->result.max_us = (double)blocked.longest_ns / 1e3;
    blocked_end(&blocked);
    count_part(&p);
}

static void delete_in_order(struct work *w)
{
    struct part p;
    start_part(&p, w, 0);
    for (long i = 0; i < w->num; i++) {
        w->engine->remove(w->db, make_key(p.key, (uint64_t)i), false);
        p.put_bytes += KEY_BYTES;
        p.ops++;
    }
    count_part(&p);
}

static void must_find(struct work *w, bool found, bool wanted)
{
    if (found != wanted)
        engine_failed(w->engine->name, w->workload->name,
                      found ? "a key is there that was never put" : "a key is not found");
}

static void read_among(struct work *w, long keys)
{
    struct part p;
    size_t len;
    start_part(&p, w, 0);
    for (long i = 0; i < w->num; i++) {
        uint64_t n = any_number(&p) % (uint64_t)keys * (uint64_t)(w->num / keys);
        must_find(w, w->engine->get(w->db, &p.reader, make_key(p.key, n), &len), true);
        p.ops++;
    }
    count_part(&p);
}

static void read_anywhere(struct work *w)
{
    read_among(w, w->num);
}

static void read_hot(struct work *w)
{
    read_among(w, w->num / 100 + 1);
}

static void read_missing(struct work *w)
{
    struct part p;
    size_t len;
    start_part(&p, w, 0);
    for (long i = 0; i < w->num; i++) {
        make_key(p.key, any_number(&p));
        p.key[KEY_BYTES] = '.';
        must_find(w, w->engine->get(w->db, &p.reader, slice_of(p.key, sizeof p.key), &len), false);
        p.ops++;
    }
    count_part(&p);
}

/* Keys and values are looked at, so that no engine can leave out fetching them. */
static volatile unsigned seen;

static bool look(struct work *w, void *cursor)
{
    struct slice key, value;
    if (!w->engine->entry(cursor, &key, &value))
        return false;
    seen = seen + (unsigned char)key.data[key.len - 1] + (unsigned char)value.data[value.len - 1];
    return true;
}

static void walk(struct work *w, bool forward)
{
    void *c = w->engine->cursor(w->db);
    forward ? w->engine->first(c) : w->engine->last(c);
    for (; look(w, c); forward ? w->engine->next(c) : w->engine->prev(c))
        w->result.ops++;
    w->engine->cursor_end(c);
    must_find(w, w->result.ops == (uint64_t)w->num, true);
}

static void read_in_order(struct work *w)
{
    walk(w, true);
}

static void read_reverse(struct work *w)
{
    walk(w, false);
}

static void seek_anywhere(struct work *w, bool new_cursor)
{
    struct part p;
    void *c = NULL;
    start_part(&p, w, 0);
    for (long i = 0; i < w->num; i++) {
        if (new_cursor && c) {
            w->engine->cursor_end(c);
            c = NULL;
        }
        if (!c)
            c = w->engine->cursor(w->db);
        w->engine->seek(c, make_key(p.key, any_number(&p)));
        must_find(w, look(w, c), true);
        p.ops++;
    }
    w->engine->cursor_end(c);
    count_part(&p);
}

static void seek_with_new(struct work *w)
{
    seek_anywhere(w, true);
}

static void seek_with_one(struct work *w)
{
    seek_anywhere(w, false);
}

/* ---- limited by time */

static atomic_bool time_is_up;

static void *thread_main(void *arg)
{
    struct part *p = arg;
    p->body(p);
    return NULL;
}

/* Runs `body` in the workload's threads for the set time. The caller counts the parts. */
static struct part *run_threads(struct work *w, void (*body)(struct part *p))
{
    int count = w->workload->threads;
    struct part *parts = mem_zalloc((size_t)count * sizeof *parts);
    pthread_t *ids = mem_zalloc((size_t)count * sizeof *ids);
    atomic_store(&time_is_up, false);
    for (int i = 0; i < count; i++) {
        start_part(&parts[i], w, i);
        parts[i].body = body;
        pthread_create(&ids[i], NULL, thread_main, &parts[i]);
    }
    usleep((useconds_t)(w->settings->milliseconds * 1000));
    atomic_store(&time_is_up, true);
    for (int i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
    free(ids);
    return parts;
}

static bool go_on(void)
{
    return !atomic_load_explicit(&time_is_up, memory_order_relaxed);
}

static void sync_writer(struct part *p)
{
    while (go_on()) {
        time_from_here(p);
        put(p, any_number(p), true);
        time_to_here(p);
    }
}

static void fill_sync(struct work *w)
{
    struct part *parts = run_threads(w, sync_writer);
    set_latency(w, parts, 0, w->workload->threads);
    for (int i = 0; i < w->workload->threads; i++)
        count_part(&parts[i]);
    free(parts);
}

enum { MIXED_SYNC = 4, MIXED_PLAIN = 2, THINK_US = 100 };

static void mixed_writer(struct part *p)
{
    if (p->id < MIXED_SYNC) {
        sync_writer(p);
        return;
    }
    while (go_on()) {
        time_from_here(p);
        put(p, any_number(p), false);
        time_to_here(p);
        usleep(THINK_US);
    }
}

/* The rate is that of the sync writers, the latency that of the plain ones. */
static void mixed(struct work *w)
{
    struct part *parts = run_threads(w, mixed_writer);
    set_latency(w, parts, MIXED_SYNC, MIXED_SYNC + MIXED_PLAIN);
    for (int i = 0; i < MIXED_SYNC + MIXED_PLAIN; i++) {
        if (i >= MIXED_SYNC)
            parts[i].ops = 0;
        count_part(&parts[i]);
    }
    free(parts);
}

static void reader(struct part *p)
{
    size_t len;
    while (go_on()) {
        bool found =
            p->work->engine->get(p->work->db, &p->reader, make_key(p->key, any_number(p)), &len);
        must_find(p->work, found, true);
        p->ops++;
    }
}

/* A fixed rate, so that each engine's readers have the same writing beside them. */
enum { WRITES_A_SECOND = 20000, BURST = 20 };

static void reader_or_writer(struct part *p)
{
    if (p->id > 0) {
        reader(p);
        return;
    }
    double begin = now();
    for (double sent = 0; go_on(); sent += BURST) {
        for (int i = 0; i < BURST; i++)
            put(p, any_number(p), false);
        double early = begin + sent / WRITES_A_SECOND - now();
        if (early > 0)
            usleep((useconds_t)(early * 1e6));
    }
    p->ops = 0;
}

static void count_threads(struct work *w, void (*body)(struct part *p))
{
    struct part *parts = run_threads(w, body);
    for (int i = 0; i < w->workload->threads; i++)
        count_part(&parts[i]);
    free(parts);
}

static void read_while_writing(struct work *w)
{
    count_threads(w, reader_or_writer);
}

static void read_by_threads(struct work *w)
{
    count_threads(w, reader);
}

/* ---- the list */

#define FILLSYNC(n, text)                                                                          \
    {                                                                                              \
        .name = "fillsync" #n, .run = fill_sync, .threads = n, .what = text                        \
    }
const struct workload workloads[] = {
    {.name = "fillseq", .run = fill_in_order, .what = "puts, keys ascending"},
    {.name = "fillrandom", .run = fill_anywhere, .what = "puts of random keys"},
    {.name = "overwrite", .run = fill_anywhere, .filled = true, .what = "the same, all keys there"},
    {.name = "waits",
     .run = fill_for_long,
     .filled = true,
     .what = "overwrite, 20 times as long, each put timed"},
    {.name = "deleteseq", .run = delete_in_order, .filled = true, .what = "deletes, ascending"},
    {.name = "fill100K",
     .run = fill_anywhere,
     .value_bytes = 100000,
     .divide = 1000,
     .what = "values of 100 kB, num / 1000 of them"},
    FILLSYNC(1, "puts with sync, one thread"),
    FILLSYNC(2, "2 threads"),
    FILLSYNC(4, "4 threads"),
    FILLSYNC(8, "8 threads"),
    FILLSYNC(16, "16 threads"),
    FILLSYNC(32, "32 threads"),
    {.name = "mixed",
     .run = mixed,
     .threads = MIXED_SYNC + MIXED_PLAIN,
     .what = "4 sync writers (the rate), 2 plain ones that pause (the latency)"},
    {.name = "readrandom", .run = read_anywhere, .filled = true, .warm = true, .what = "gets"},
    {.name = "readrandom2",
     .run = read_by_threads,
     .threads = 2,
     .filled = true,
     .warm = true,
     .what = "gets, 2 threads"},
    {.name = "readmissing",
     .run = read_missing,
     .filled = true,
     .warm = true,
     .what = "gets of absent keys"},
    {.name = "readhot",
     .run = read_hot,
     .filled = true,
     .warm = true,
     .what = "gets of one key in a hundred"},
    {.name = "readseq",
     .run = read_in_order,
     .filled = true,
     .warm = true,
     .what = "a cursor through all"},
    {.name = "readreverse", .run = read_reverse, .filled = true, .warm = true, .what = "and back"},
    {.name = "seekrandom",
     .run = seek_with_new,
     .filled = true,
     .warm = true,
     .what = "seeks, a cursor each"},
    {.name = "seekagain",
     .run = seek_with_one,
     .filled = true,
     .warm = true,
     .what = "seeks, one cursor"},
    {.name = "readwhilewriting",
     .run = read_while_writing,
     .threads = 2,
     .filled = true,
     .warm = true,
     .what = "gets beside 20,000 puts a second"},
};
const int workload_count = sizeof workloads / sizeof workloads[0];

/* ---- around it */

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

void work_fill(struct work *w)
{
    struct part p;
    uint64_t step = (uint64_t)w->num * 5 / 8 | 1; /* scattered, and prime to num: each key once */
    make_values(w);
    while (common_divisor(step, (uint64_t)w->num) != 1)
        step += 2;
    start_part(&p, w, 0);
    for (long i = 0; i < w->num; i++)
        put(&p, (uint64_t)i * step % (uint64_t)w->num, false);
    count_part(&p);
}

void work_run(struct work *w)
{
    make_values(w);
    if (w->workload->warm) {
        walk(w, true);
        w->result.ops = 0;
    }
    double cpu = cpu_now(), start = now();
    w->workload->run(w);
    w->result.seconds = now() - start;
    w->result.cpu_seconds = cpu_now() - cpu;
    w->result.done = true;
}
