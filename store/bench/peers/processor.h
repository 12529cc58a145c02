/* How long a thread waited for a processor: what others on the machine cost it, not the store.
 *
 * The kernel counts that for each thread (schedstat). Reading it costs about what a put does, so it
 * is read behind long operations, and now and then between them, so that what is taken off a long
 * one is its own. */
#ifndef STORE_BENCH_PEERS_PROCESSOR_H
#define STORE_BENCH_PEERS_PROCESSOR_H

#include <stdint.h>

struct processor {
    int fd;          /* -1: the kernel does not tell */
    uint64_t waited; /* ns, when it was last read */
    unsigned ops;    /* since */
    uint64_t longest_ns;
};

/* Of the calling thread. */
void processor_open(struct processor *p);
void processor_close(struct processor *p);
/* An operation of the thread took so long. Keeps the longest, without its waits for a processor. */
void processor_note(struct processor *p, uint64_t ns);

#endif
