/* See processor.h. */
#include "processor.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { LONG_NS = 300000, READ_EVERY = 1000 };

/* "ns on a processor, ns waiting for one, times" */
static uint64_t read_waited(const struct processor *p)
{
    char text[100];
    unsigned long long ran, waited;
    ssize_t n = p->fd < 0 ? -1 : pread(p->fd, text, sizeof text - 1, 0);
    text[n < 0 ? 0 : n] = 0;
    return sscanf(text, "%llu %llu", &ran, &waited) == 2 ? waited : 0;
}

void processor_open(struct processor *p)
{
    *p = (struct processor){.fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)};
    p->waited = read_waited(p);
}

void processor_close(struct processor *p)
{
    if (p->fd >= 0)
        close(p->fd);
}

void processor_note(struct processor *p, uint64_t ns)
{
    if (ns < LONG_NS && ++p->ops < READ_EVERY)
        return;
    uint64_t now = read_waited(p), waited = now - p->waited, own = ns > waited ? ns - waited : 0;
    if (ns >= LONG_NS && own > p->longest_ns)
        p->longest_ns = own;
    p->waited = now;
    p->ops = 0;
}
