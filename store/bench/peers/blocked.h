/* How long a thread was held up: asleep, waiting for a lock, for another thread or for the disk.
 * What it waited for a processor is left out: that is what others on the machine cost it.
 *
 * The kernel counts both for each thread. Asking costs about what a put does, so it is done behind
 * long operations and now and then between them. */
#ifndef STORE_BENCH_PEERS_BLOCKED_H
#define STORE_BENCH_PEERS_BLOCKED_H

#include <stdint.h>

struct blocked {
    int fd;                         /* -1: the kernel does not tell */
    uint64_t wall_ns, processor_ns; /* when it was last asked; on a processor or waiting for one */
    unsigned ops;                   /* since */
    uint64_t longest_ns;
};

/* Of the calling thread. */
void blocked_start(struct blocked *b);
void blocked_end(struct blocked *b);
/* An operation of the thread took so long. Keeps the longest that one was held up (at most a
 * thousand others, which were short, are counted with it). */
void blocked_note(struct blocked *b, uint64_t ns);

#endif
