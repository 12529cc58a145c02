/* What the parts of store-bench share. */
#ifndef STORE_BENCH_BENCH_H
#define STORE_BENCH_BENCH_H

#include "../store.h"
#include "histogram.h"

/* The flags of LevelDB's db_bench that mean the same here. */
struct bench_flags {
    char *db, *benchmarks;
    long num, reads, value_size, threads, write_buffer_size, max_file_size, block_size, cache_size;
    long bloom_bits, open_files, histogram, use_existing_db, compression, seed, key_prefix;
    long reuse_logs, comparisons; /* accepted, without effect: see main() */
    double compression_ratio;
};

/* One thread's share of one benchmark. */
struct bench_thread {
    struct bench *bench;
    int id;
    uint64_t random; /* state of its generator */
    uint64_t done, bytes, found;
    uint64_t start_ns, finish_ns, last_op_ns;
    struct histogram latency;
    struct buf key, value;
    const char *error;
    char message[64]; /* at the end of the line */
};

struct bench {
    struct bench_flags flags;
    struct store *store;
    struct buf values; /* bytes of the wanted compression ratio; values are cut out of it */
    long num, reads, value_size, entries_per_batch;
    bool sync;
};

struct benchmark {
    const char *name;
    void (*run)(struct bench_thread *t);
    bool fresh;                   /* starts with an empty store; skipped with use_existing_db */
    bool one_more;                /* an extra thread, id 0, does something else (a writer) */
    void (*set)(struct bench *b); /* changes num, value size, sync for this one */
};

const struct benchmark *benchmark_find(const char *name);
/* Closes the store, deletes it if `fresh`, and opens it again; says so where that fails. */
int bench_open(struct bench *b, bool fresh);
/* micro.c: what needs no store, and opening it. */
void bench_crc32c(struct bench_thread *t);
void bench_snappy_compress(struct bench_thread *t);
void bench_snappy_uncompress(struct bench_thread *t);
void bench_reopen(struct bench_thread *t);
/* report.c */
void report_header(const struct bench_flags *f);
void report_result(const char *name, const struct bench_thread *threads, int count);
void report_stats(struct bench *b);
void report_tables(struct bench *b);
/* Every operation calls this once: latency, progress. */
void bench_op_done(struct bench_thread *t);
uint64_t bench_random(struct bench_thread *t);
uint64_t bench_now_ns(void);

#endif
