/* How long a reader looks for the next request before it sleeps, without sleeping: a program that
 * works in the mount sends one upon the other, and to sleep and be woken costs more than most
 * requests. Where looking did not pay lately it only lets others run on this CPU, as long as there
 * are any.
 *
 *     struct look k;
 *     look_begin(&k, &looking);
 *     do {
 *         sched_yield();
 *         if (something came) {
 *             look_found(&k);
 *             break;
 *         }
 *     } while (look_on(&k, false));
 *
 * Threads: one at a time has a `struct looking`, the reader that it is of. */
#ifndef FS_FUSE_LOOKING_H
#define FS_FUSE_LOOKING_H

#include <stdbool.h>
#include <stdint.h>

/* How looking went lately. Begins as {0}. */
struct looking {
    unsigned misses, skipped; /* looks in vain, and those left out since */
};

/* One look. */
struct look {
    struct looking *lately;
    bool pays;
    uint64_t before, spent; /* ns */
};

void look_begin(struct look *k, struct looking *lately);
void look_found(struct look *k);
/* Nothing came: is there to be another try? `must`: yes, though it may not pay. */
bool look_on(struct look *k, bool must);

#endif
