/* bench-store: the same work done by this store, LevelDB and RocksDB, one after the other. What its
 * parts share: peers.c (settings, rounds), workload.c (the work), run.c (one run in a process of
 * its own), report.c (table, CSV, data of the plot). */
#ifndef STORE_BENCH_PEERS_PEERS_H
#define STORE_BENCH_PEERS_PEERS_H

#include <stdint.h>
#include <stdio.h>

#include "../../base/buf.h"
#include "engine.h"

enum { ENGINES = 3, MAX_ROUNDS = 99, KEY_BYTES = 16 };
extern const struct engine *const engines[ENGINES]; /* ours first */

struct settings {
    long num;          /* keys */
    long value_bytes;  /* of each value */
    long rounds;       /* of each workload; each goes through all engines */
    long milliseconds; /* of a run that is limited by time: those that sync */
    long memtable, cache, block, table, bloom_bits, max_open;
    long compress;
    const char *only; /* names of workloads or beginnings of them, by commas; NULL: all */
    const char *dir;  /* stores, results.csv, table.txt, ratios.dat go there */
};

/* ---- workload.c */

struct work;
struct workload {
    const char *name;
    void (*run)(struct work *w);
    int threads;
    bool filled;      /* starts with a copy of the store that has every key once; else with none */
    bool warm;        /* a cursor has gone through all of it before the clock starts */
    long value_bytes; /* 0: as set */
    long divide;      /* of num, where not 0 */
    const char *what;
};
extern const struct workload workloads[];
extern const int workload_count;

/* One run: what it gets and, in `result`, what came out. */
struct result {
    double seconds, cpu_seconds;
    uint64_t ops;         /* what the rate counts */
    uint64_t put_bytes;   /* keys and values given to the store */
    uint64_t disk_bytes;  /* handed to the disk, until the store was closed */
    uint64_t space_bytes; /* of the folder after the run */
    uint64_t peak_kib;
    double p50_us, p99_us, max_us; /* of each operation, or of the plain writers; 0: not taken */
    bool done;
};

struct work {
    const struct settings *settings;
    const struct workload *workload;
    const struct engine *engine;
    void *db;
    long num, value_bytes;
    struct buf values; /* text that compresses to half; values are cut out of it */
    struct result result;
};

/* Puts every key once, scattered: what `filled` means. */
void work_fill(struct work *w);
/* The workload between two looks at the clocks. */
void work_run(struct work *w);

/* ---- run.c */

/* One workload with one engine in a child process. False (with a line) if the child failed. */
bool run_once(const struct settings *s, const struct workload *w, const struct engine *e,
              struct result *out);
/* Makes (or makes anew) the filled store of an engine; DIR/filled-NAME. */
bool run_prepare(const struct settings *s, const struct engine *e);
/* Removes all stores of the runs. */
void run_clean(const struct settings *s);

/* ---- report.c */

struct report;
struct report *report_open(const struct settings *s);
void report_run(struct report *r, const struct workload *w, int engine, long round,
                const struct result *result);
/* Prints the workload's lines from its rounds. */
void report_workload(struct report *r, const struct workload *w);
void report_close(struct report *r);

#endif
