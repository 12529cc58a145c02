/* See blocked.h. */
#include "blocked.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LONG_NS = 300000, ASK_EVERY = 1000 };

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* schedstat: "ns on a processor, ns waiting for one, times". The first is behind by up to a tick;
 * the thread's clock is not. */
static uint64_t processor_ns(const struct blocked *b)
{
    char text[100];
    unsigned long long ran, waited;
    ssize_t n = pread(b->fd, text, sizeof text - 1, 0);
    text[n < 0 ? 0 : n] = 0;
    if (sscanf(text, "%llu %llu", &ran, &waited) != 2)
        waited = 0;
    return clock_ns(CLOCK_THREAD_CPUTIME_ID) + waited;
}

void blocked_start(struct blocked *b)
{
    *b = (struct blocked){.fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)};
    b->wall_ns = clock_ns(CLOCK_MONOTONIC);
    b->processor_ns = processor_ns(b);
}

void blocked_end(struct blocked *b)
{
    if (b->fd >= 0)
        close(b->fd);
}

void blocked_note(struct blocked *b, uint64_t ns)
{
    if (b->fd < 0 || (ns < LONG_NS && ++b->ops < ASK_EVERY))
        return;
    uint64_t wall = clock_ns(CLOCK_MONOTONIC), processor = processor_ns(b);
    uint64_t all = wall - b->wall_ns, not_blocked = processor - b->processor_ns;
    if (all > not_blocked && all - not_blocked > b->longest_ns)
        b->longest_ns = all - not_blocked;
    b->wall_ns = wall;
    b->processor_ns = processor;
    b->ops = 0;
}
