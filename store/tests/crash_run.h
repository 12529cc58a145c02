/* A workload whose disk is copied before each of its calls, as if the power went just then, and
 * what a store on such a copy must show: for test_crash*.c.
 *
 * SEED= repeats a run (as far as the threads allow); STRIDE=n takes each n-th call only; TORTURE=1
 * more outcomes of each call. A failed check prints what it found and aborts. */
#ifndef STORE_TESTS_CRASH_RUN_H
#define STORE_TESTS_CRASH_RUN_H

#include <stdatomic.h>
#include "../store.h"
#include "env_sim.h"
#include "history.h"

#define DIR "/db"

struct workload {
    struct env *env;
    struct store_options options;
    struct history history;
    struct store *store;
    uint64_t seed;
    int commits; /* of each thread, in each round */
    int rounds;  /* the store is closed and opened again between them */
    int sync_percent;
    bool snapshots;    /* threads hold snapshots now and then */
    atomic_bool ended; /* a thread met an error */
    /* the hook's */
    uint64_t stride;
    int outcomes; /* of SIM_RANDOM, besides the two extremes */
    atomic_uint_fast64_t calls, opened, manifests;
    struct store_stats stats; /* summed up over the rounds */
};

/* A new disk, small memtables, tables and levels, so that a short run switches, flushes and
 * compacts often. Prints the seed, once in each test. */
void crash_init(struct workload *w, int threads, int commits, int sync_percent);
void crash_free(struct workload *w);
void crash_open(struct workload *w);
/* The threads commit, sync, flush and compact; returns when all have ended (w->ended: by an error).
 */
void crash_run_threads(struct workload *w, int round);
/* Opens the disk before each call of the whole workload in all its outcomes, and after a second
 * cut in the recovery. */
void crash_cut_everywhere(struct workload *w);

/* A store on a disk that came back, with its background (so that what it does there is checked,
 * too). `what` is printed with a failure. */
struct store *crash_open_survivor(struct workload *w, struct env *disk, const char *what);
void crash_close_survivor(struct store *s, const char *what);
/* Opens, checks and closes it: a prefix, up to `at_least` or further. Thoroughly: what is open
 * stays after another cut, and it goes on from there. */
void crash_check_survivor(struct workload *w, struct env *disk, uint64_t at_least, const char *what,
                          bool thoroughly);

#endif
