/* build/store-bench: LevelDB's db_bench for this store. The same flags mean the same, and the lines
 * look the same, so that both can be run side by side and read by the same scripts. Keys are 16
 * digits; values are cut out of a text that compresses to compression_ratio. */
#include "bench.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

uint64_t bench_random(struct bench_thread *t)
{
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return t->random;
}

void bench_op_done(struct bench_thread *t)
{
    t->done++;
    if (t->bench->flags.histogram) {
        uint64_t now = bench_now_ns();
        histogram_add(&t->latency, (double)(now - t->last_op_ns) / 1000);
        t->last_op_ns = now;
    }
}

/* ---- flags */

enum flag_kind { FLAG_TEXT, FLAG_LONG, FLAG_REAL };
struct flag {
    const char *name;
    enum flag_kind kind;
    size_t at;
};
#define FLAG(name, kind)                                                                           \
    {                                                                                              \
#name, kind, offsetof(struct bench_flags, name)                                            \
    }
static const struct flag flags[] = {
    FLAG(db, FLAG_TEXT),         FLAG(benchmarks, FLAG_TEXT),        FLAG(num, FLAG_LONG),
    FLAG(reads, FLAG_LONG),      FLAG(value_size, FLAG_LONG),        FLAG(threads, FLAG_LONG),
    FLAG(block_size, FLAG_LONG), FLAG(write_buffer_size, FLAG_LONG), FLAG(max_file_size, FLAG_LONG),
    FLAG(cache_size, FLAG_LONG), FLAG(bloom_bits, FLAG_LONG),        FLAG(open_files, FLAG_LONG),
    FLAG(histogram, FLAG_LONG),  FLAG(use_existing_db, FLAG_LONG),   FLAG(compression, FLAG_LONG),
    FLAG(seed, FLAG_LONG),       FLAG(compression_ratio, FLAG_REAL),
};
#define FLAG_COUNT (sizeof flags / sizeof *flags)

static bool set_flag(struct bench_flags *f, const struct flag *flag, char *value)
{
    char *at = (char *)f + flag->at, *end = value;
    if (flag->kind == FLAG_TEXT)
        return *(char **)at = value, true;
    if (flag->kind == FLAG_REAL)
        *(double *)at = strtod(value, &end);
    else
        *(long *)at = strtol(value, &end, 0);
    return end != value && *end == 0;
}

static bool parse_flags(struct bench_flags *f, int argc, char **argv)
{
    struct option long_options[FLAG_COUNT + 1] = {0};
    int which = 0, c;
    for (size_t i = 0; i < FLAG_COUNT; i++)
        long_options[i] = (struct option){flags[i].name, required_argument, NULL, 1};
    while ((c = getopt_long(argc, argv, "", long_options, &which)) == 1)
        if (!set_flag(f, &flags[which], optarg)) {
            fprintf(stderr, "store-bench: --%s=%s: not a number\n", flags[which].name, optarg);
            return false;
        }
    if (c == -1 && optind == argc && f->num > 0 && f->threads > 0 && f->value_size >= 0)
        return true;
    fprintf(stderr, "store-bench: flags are");
    for (size_t i = 0; i < FLAG_COUNT; i++)
        fprintf(stderr, " --%s=", flags[i].name);
    fprintf(stderr, "\n");
    return false;
}

/* ---- one benchmark */

/* Text in pieces of 100 bytes, of which a part is random and the rest repeats it. */
static void make_values(struct bench *b)
{
    struct bench_thread t = {.random = 301};
    size_t want = 1048576 + (size_t)b->flags.value_size + 100000;
    int fresh = (int)(100 * b->flags.compression_ratio);
    char piece[100];
    if (fresh < 1 || fresh > 100)
        fresh = fresh < 1 ? 1 : 100;
    while (b->values.len < want) {
        for (int i = 0; i < 100; i++)
            piece[i] = i < fresh ? (char)(' ' + bench_random(&t) % 95) : piece[i - fresh];
        buf_append(&b->values, piece, sizeof piece);
    }
}

static int open_store(struct bench *b, bool fresh)
{
    struct store_options o;
    store_options_init(&o);
    o.memtable_bytes = (size_t)b->flags.write_buffer_size;
    o.table_bytes = (size_t)b->flags.max_file_size;
    o.block_bytes = (size_t)b->flags.block_size;
    o.cache_bytes = (size_t)b->flags.cache_size;
    o.bloom_bits = b->flags.bloom_bits < 0 ? 0 : (int)b->flags.bloom_bits;
    o.max_open_tables = (int)b->flags.open_files;
    o.compression = b->flags.compression ? STORE_COMPRESS_SNAPPY : STORE_COMPRESS_NONE;
    int rc = store_close(b->store);
    b->store = NULL;
    if (rc == 0 && fresh && env_exists(env_posix(), b->flags.db))
        rc = store_destroy(b->flags.db, NULL);
    if (rc == 0)
        rc = store_open(b->flags.db, &o, &b->store);
    if (rc)
        fprintf(stderr, "store-bench: %s\n", fail_text());
    return rc;
}

static const struct benchmark *running;

static void *thread_main(void *arg)
{
    struct bench_thread *t = arg;
    t->start_ns = t->last_op_ns = bench_now_ns();
    t->finish_ns = 1;
    running->run(t);
    if (t->finish_ns)
        t->finish_ns = bench_now_ns();
    return NULL;
}

static void print_result(const struct benchmark *m, const struct bench_thread *threads, int count)
{
    struct bench_thread sum = {.start_ns = UINT64_MAX};
    double seconds = 0;
    for (int i = 0; i < count; i++) {
        const struct bench_thread *t = &threads[i];
        if (t->error)
            printf("%-12s : error: %s\n", m->name, t->error);
        if (!t->finish_ns)
            continue;
        sum.done += t->done;
        sum.bytes += t->bytes;
        sum.found += t->found;
        seconds += (double)(t->finish_ns - t->start_ns) / 1e9;
        sum.start_ns = t->start_ns < sum.start_ns ? t->start_ns : sum.start_ns;
        sum.finish_ns = t->finish_ns > sum.finish_ns ? t->finish_ns : sum.finish_ns;
        histogram_merge(&sum.latency, &t->latency);
    }
    double elapsed = (double)(sum.finish_ns - sum.start_ns) / 1e9;
    printf("%-12s : %11.3f micros/op;", m->name, seconds * 1e6 / (double)(sum.done ? sum.done : 1));
    if (sum.bytes)
        printf(" %6.1f MB/s", (double)sum.bytes / 1048576 / elapsed);
    if (strncmp(m->name, "read", 4) == 0 || strncmp(m->name, "seek", 4) == 0)
        printf(" (%llu of %llu found)", (unsigned long long)sum.found,
               (unsigned long long)sum.done);
    printf("\n");
    if (sum.latency.count) {
        printf("Microseconds per op:\n");
        histogram_print(&sum.latency, stdout);
    }
    fflush(stdout);
}

static int run_benchmark(struct bench *b, const struct benchmark *m)
{
    int count = (int)b->flags.threads + (m->one_more ? 1 : 0);
    b->num = b->flags.num;
    b->value_size = b->flags.value_size;
    b->entries_per_batch = 1;
    b->sync = false;
    if (m->set)
        m->set(b);
    if (!b->store || (m->fresh && !b->flags.use_existing_db)) {
        int rc = open_store(b, m->fresh && !b->flags.use_existing_db);
        if (rc)
            return rc;
    }
    struct bench_thread *threads = mem_zalloc((size_t)count * sizeof *threads);
    pthread_t *ids = mem_zalloc((size_t)count * sizeof *ids);
    running = m;
    for (int i = 0; i < count; i++) {
        threads[i].bench = b;
        threads[i].id = m->one_more ? i : i + 1;
        threads[i].random = (uint64_t)b->flags.seed * 2654435761u + (uint64_t)i * 1000003u + 1;
        pthread_create(&ids[i], NULL, thread_main, &threads[i]);
    }
    for (int i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
    print_result(m, threads, count);
    for (int i = 0; i < count; i++) {
        buf_free(&threads[i].key);
        buf_free(&threads[i].value);
    }
    free(threads);
    free(ids);
    return 0;
}

static void print_stats(struct bench *b)
{
    struct store_stats st;
    store_get_stats(b->store, &st);
    printf("groups %llu, writers %llu, sync rounds %llu, sync writers %llu, flushes %llu, "
           "compactions %llu\n",
           (unsigned long long)st.groups, (unsigned long long)st.writers,
           (unsigned long long)st.syncs, (unsigned long long)st.sync_writers,
           (unsigned long long)st.flushes, (unsigned long long)st.compactions);
    printf("bytes: log %llu, flush %llu, compaction read %llu, written %llu; delays %llu, stalls "
           "%llu, waits of %llu us, at most %llu us\n",
           (unsigned long long)st.log_bytes, (unsigned long long)st.flush_bytes,
           (unsigned long long)st.compact_read_bytes, (unsigned long long)st.compact_write_bytes,
           (unsigned long long)st.delays, (unsigned long long)st.stalls,
           (unsigned long long)st.delayed_us, (unsigned long long)st.longest_wait_us);
    for (int i = 0; i < 7; i++)
        if (st.level_files[i])
            printf("level %d: %d tables, %llu bytes\n", i, st.level_files[i],
                   (unsigned long long)st.level_bytes[i]);
}

int main(int argc, char **argv)
{
    static char db[] = "/tmp/store-bench";
    static char all[] =
        "fillseq,fillsync,fillrandom,overwrite,readrandom,readseq,readreverse,compact,"
        "readrandom,readseq,readreverse,fill100K";
    struct bench b = {.flags = {.db = db,
                                .benchmarks = all,
                                .num = 1000000,
                                .reads = -1,
                                .value_size = 100,
                                .threads = 1,
                                .write_buffer_size = 4 << 20,
                                .max_file_size = 2 << 20,
                                .block_size = 4096,
                                .cache_size = 8 << 20,
                                .bloom_bits = -1,
                                .open_files = 1000,
                                .compression = 1,
                                .seed = 301,
                                .compression_ratio = 0.5}};
    int rc = 0;
    if (!parse_flags(&b.flags, argc, argv))
        return 2;
    make_values(&b);
    printf("Keys:       16 bytes each\nValues:     %ld bytes each\nEntries:    %ld\n",
           b.flags.value_size, b.flags.num);
    printf("------------------------------------------------\n");
    char *list = mem_printf("%s", b.flags.benchmarks), *rest = list, *name;
    while (rc == 0 && (name = strtok_r(rest, ",", &rest))) {
        const struct benchmark *m = benchmark_find(name);
        if (strcmp(name, "stats") == 0 && b.store) {
            print_stats(&b);
        } else if (!m) {
            fprintf(stderr, "store-bench: --benchmarks: unknown benchmark '%s'\n", name);
            rc = 2;
        } else {
            rc = run_benchmark(&b, m);
        }
    }
    int close_rc = store_close(b.store);
    free(list);
    buf_free(&b.values);
    return rc || close_rc ? 1 : 0;
}
