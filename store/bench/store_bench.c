/* build/store-bench: LevelDB's db_bench for this store. The same flags mean the same, and the lines
 * look the same, so that both can be run side by side and read by the same scripts. Keys are 16
 * digits; values are cut out of a text that compresses to compression_ratio. */
#include "bench.h"

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
    FLAG(seed, FLAG_LONG),       FLAG(compression_ratio, FLAG_REAL), FLAG(key_prefix, FLAG_LONG),
    FLAG(reuse_logs, FLAG_LONG), FLAG(comparisons, FLAG_LONG),
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

static const struct flag *find_flag(const char *name, size_t len)
{
    for (size_t i = 0; i < FLAG_COUNT; i++)
        if (strlen(flags[i].name) == len && memcmp(flags[i].name, name, len) == 0)
            return &flags[i];
    return NULL;
}

/* --name=value, as in db_bench; one line says what is wrong. */
static bool parse_flag(struct bench_flags *f, char *arg)
{
    char *equals = strchr(arg, '=');
    const struct flag *flag = NULL;
    if (strncmp(arg, "--", 2) == 0 && equals)
        flag = find_flag(arg + 2, (size_t)(equals - arg) - 2);
    if (!flag) {
        fprintf(stderr, "store-bench: '%s': unknown flag; they are", arg);
        for (size_t i = 0; i < FLAG_COUNT; i++)
            fprintf(stderr, " --%s=", flags[i].name);
        fprintf(stderr, "\n");
        return false;
    }
    if (set_flag(f, flag, equals + 1))
        return true;
    fprintf(stderr, "store-bench: '%s': not a number\n", arg);
    return false;
}

static bool refuse(const char *flag, const char *why)
{
    fprintf(stderr, "store-bench: --%s: %s\n", flag, why);
    return false;
}

static bool parse_flags(struct bench_flags *f, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!parse_flag(f, argv[i]))
            return false;
    if (f->num < 1)
        return refuse("num", "must be at least 1");
    if (f->threads < 1 || f->threads > 10000)
        return refuse("threads", "must be 1 to 10000");
    if (f->value_size < 0 || f->value_size > STORE_MAX_VALUE)
        return refuse("value_size", "must be 0 to 256 MiB");
    if (f->key_prefix < 0 || f->key_prefix + 20 > STORE_MAX_KEY)
        return refuse("key_prefix", "must be 0 to 65516");
    if (f->write_buffer_size < 0 || f->max_file_size < 0 || f->block_size < 0 || f->open_files < 0)
        return refuse("write_buffer_size, max_file_size, block_size, open_files",
                      "must not be negative (0: the default)");
    if (f->block_size > 1 << 20)
        return refuse("block_size", "must be at most 1 MiB");
    if (f->reuse_logs)
        fprintf(stderr,
                "store-bench: --reuse_logs: no effect: this store never appends to an old log\n");
    if (f->comparisons)
        fprintf(
            stderr,
            "store-bench: --comparisons: no effect: this store has no comparator to count with\n");
    return true;
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

int bench_open(struct bench *b, bool fresh)
{
    struct store_options o;
    store_options_init(&o);
    if (b->flags.write_buffer_size)
        o.memtable_bytes = (size_t)b->flags.write_buffer_size;
    if (b->flags.max_file_size)
        o.table_bytes = (size_t)b->flags.max_file_size;
    o.block_bytes = (size_t)b->flags.block_size;
    if (b->flags.cache_size >= 0)
        o.cache_bytes = (size_t)b->flags.cache_size;
    o.bloom_bits = b->flags.bloom_bits < 0 ? 0 : (int)b->flags.bloom_bits;
    if (b->flags.open_files)
        o.max_open_tables = (int)b->flags.open_files;
    o.compression = b->flags.compression ? STORE_COMPRESS_SNAPPY : STORE_COMPRESS_NONE;
    int rc = b->store ? store_close(b->store) : 0;
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

static int run_benchmark(struct bench *b, const struct benchmark *m)
{
    int count = (int)b->flags.threads + (m->one_more ? 1 : 0);
    b->num = b->flags.num;
    b->reads = b->flags.reads < 0 ? b->flags.num : b->flags.reads;
    b->value_size = b->flags.value_size;
    b->entries_per_batch = 1;
    b->sync = false;
    if (m->set)
        m->set(b);
    if (m->fresh && b->flags.use_existing_db) {
        printf("%-12s : skipped (--use_existing_db is true)\n", m->name);
        return 0;
    }
    if (m->fresh) {
        int rc = bench_open(b, true);
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
    report_result(m->name, threads, count);
    int rc = 0;
    for (int i = 0; i < count; i++) {
        if (threads[i].error)
            rc = -EIO; /* the line said which */
        buf_free(&threads[i].key);
        buf_free(&threads[i].value);
    }
    free(threads);
    free(ids);
    return rc;
}

/* Before anything runs: a misspelled name must not cost an hour. */
static bool know_all(const char *benchmarks)
{
    char *list = mem_printf("%s", benchmarks), *rest = list, *name;
    bool known = true;
    while (known && (name = strtok_r(rest, ",", &rest)))
        if (!benchmark_find(name) && strcmp(name, "stats") && strcmp(name, "sstables")) {
            fprintf(stderr, "store-bench: --benchmarks: unknown benchmark '%s'\n", name);
            known = false;
        }
    free(list);
    return known;
}

static int run_all(struct bench *b)
{
    char *list = mem_printf("%s", b->flags.benchmarks), *rest = list, *name;
    int rc = bench_open(b, !b->flags.use_existing_db);
    while (rc == 0 && (name = strtok_r(rest, ",", &rest))) {
        if (strcmp(name, "stats") == 0)
            report_stats(b);
        else if (strcmp(name, "sstables") == 0)
            report_tables(b);
        else
            rc = run_benchmark(b, benchmark_find(name));
    }
    free(list);
    return rc;
}

int main(int argc, char **argv)
{
    static char db[] = "/tmp/store-bench";
    static char all[] = "fillseq,fillsync,fillrandom,overwrite,readrandom,readrandom,readseq,"
                        "readreverse,compact,readrandom,readseq,readreverse,fill100K,crc32c,"
                        "snappycomp,snappyuncomp";
    struct bench b = {.flags = {.db = db,
                                .benchmarks = all,
                                .num = 1000000,
                                .reads = -1,
                                .value_size = 100,
                                .threads = 1,
                                .cache_size = -1,
                                .bloom_bits = -1,
                                .compression = 1,
                                .seed = 301,
                                .compression_ratio = 0.5}};
    if (!parse_flags(&b.flags, argc, argv) || !know_all(b.flags.benchmarks))
        return 2;
    if (b.flags.block_size == 0)
        b.flags.block_size = 4096;
    make_values(&b);
    report_header(&b.flags);
    int rc = run_all(&b), close_rc = b.store ? store_close(b.store) : 0;
    buf_free(&b.values);
    return rc || close_rc ? 1 : 0;
}
