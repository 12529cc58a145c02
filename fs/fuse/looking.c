/* See looking.h. */
#include "looking.h"

#include <time.h>

#define SPIN_NS 30000
#define OTHERS_NS 2000  /* a yield that took longer: somebody else ran, who may send something */
#define LATE_NS 1000000 /* ... so long: somebody who only computes */
#define MISSES 8        /* so often in vain: look only now and then */
#define SELDOM 64       /* ... once in so many times */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void look_begin(struct look *k, struct looking *lately)
{
    bool pays = lately->misses < MISSES || ++lately->skipped >= SELDOM;
    if (pays)
        lately->skipped = 0;
    *k = (struct look){.lately = lately, .pays = pays, .before = now_ns()};
}

void look_found(struct look *k)
{
    k->lately->misses = 0;
}

bool look_on(struct look *k, bool must)
{
    uint64_t now = now_ns(), took = now - k->before;
    k->before = now;
    k->spent += took < OTHERS_NS ? took : OTHERS_NS;
    bool in_vain = took > LATE_NS || (!k->pays && took < OTHERS_NS) || k->spent >= SPIN_NS;
    if (must || !in_vain)
        return true;
    k->lately->misses++;
    return false;
}
