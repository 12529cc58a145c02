/* How fast writers may go, from how full the background is: the smooth part of "make room".
 *
 * A store that takes bytes faster than flush and compaction can carry them away must slow its
 * writers down. Doing that late means a stop; doing it by a fixed sleep means that a write of 10
 * bytes pays as much as one of a MiB. Here the allowed rate falls in a straight line while the
 * distance to the stop shrinks, and each writer pays for its own bytes, after its commit and
 * outside the queue: nobody stands behind one who waits.
 *
 * Nothing here knows of the store, of clocks or of threads: all is a function of the arguments, so
 * that tests can give any load and any time. room.c feeds it. Callers hold one lock over a struct.
 */
#ifndef STORE_COMMIT_THROTTLE_H
#define STORE_COMMIT_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the rate follows from. */
struct throttle_load {
    int level0, level0_slow, level0_stop; /* tables; from slow on writers are slowed down */
    uint64_t debt, debt_soft, debt_hard;  /* bytes that compaction has yet to write; as above */
    int immutables, max_immutables;       /* full memtables that wait for their flush */
    size_t memtable, memtable_limit;      /* bytes in the one that fills now */
};

/* 0: no slowing down; 1: at the stop (or beyond the hard limit of the debt). That of the memtables
 * is answered by the flush, that of level 0 and the debt (the larger of both) by compaction. */
double throttle_flush_pressure(const struct throttle_load *l);
double throttle_compact_pressure(const struct throttle_load *l);

/* Bytes per second at a pressure, where the background was lately seen to carry `drain` bytes per
 * second away (0: not known yet): twice that at the lowest pressure, falling to a least rate at 1.
 * So writers and background meet about half way, wherever `drain` is right. 0: no limit. */
uint64_t throttle_rate(double pressure, uint64_t drain);

/* A running mean of bytes per second that leans to the newest samples. */
struct throttle_meter {
    uint64_t rate; /* 0: no sample yet */
};
void throttle_meter_add(struct throttle_meter *m, uint64_t bytes, uint64_t ns);

/* The bucket. Zeroed: empty. */
struct throttle {
    uint64_t paid_until; /* time at which what was charged so far is paid off at its rate */
};

/* Charges `bytes` at `rate` (not 0). Returns how long the writer sleeps now, in ns: 0 while less
 * than half a millisecond has piled up; else what has piled up, but of others' bytes never more
 * than THROTTLE_OTHERS_NS, and THROTTLE_MAX_NS in all. */
#define THROTTLE_STEP_NS 500000ull
#define THROTTLE_OTHERS_NS 2000000ull
#define THROTTLE_MAX_NS 50000000ull
uint64_t throttle_charge(struct throttle *t, uint64_t rate, uint64_t bytes, uint64_t now_ns);

#endif
