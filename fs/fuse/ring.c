/* See ring.h. */
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SQE_BYTES 128

#define LOAD(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

static int map(struct ring *r, const struct io_uring_params *p)
{
    size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned);
    size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    r->rings_bytes = sq > cq ? sq : cq;
    r->sqes_bytes = (size_t)p->sq_entries * SQE_BYTES;
    r->rings = mmap(NULL, r->rings_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
                    IORING_OFF_SQ_RING);
    r->sqes = mmap(NULL, r->sqes_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
                   IORING_OFF_SQES);
    if (r->rings == MAP_FAILED || r->sqes == MAP_FAILED)
        return -errno;
    char *base = r->rings;
    r->sq_head = (unsigned *)(base + p->sq_off.head);
    r->sq_tail = (unsigned *)(base + p->sq_off.tail);
    r->sq_mask = p->sq_entries - 1;
    r->cq_head = (unsigned *)(base + p->cq_off.head);
    r->cq_tail = (unsigned *)(base + p->cq_off.tail);
    r->cq_mask = p->cq_entries - 1;
    r->cqes = (struct io_uring_cqe *)(base + p->cq_off.cqes);
    unsigned *array = (unsigned *)(base + p->sq_off.array);
    for (unsigned i = 0; i < p->sq_entries; i++) /* an entry's place in the queue never changes */
        array[i] = i;
    return 0;
}

int ring_init(struct ring *r, unsigned entries)
{
    struct io_uring_params p = {.flags = IORING_SETUP_SQE128 | IORING_SETUP_CLAMP |
                                         IORING_SETUP_COOP_TASKRUN};
    *r = (struct ring){.rings = MAP_FAILED, .sqes = MAP_FAILED};
    r->fd = (int)syscall(SYS_io_uring_setup, entries, &p);
    if (r->fd < 0)
        return -errno;
    int e = p.features & IORING_FEAT_SINGLE_MMAP ? map(r, &p) : -ENOSYS;
    if (e < 0)
        ring_free(r);
    return e;
}

void ring_free(struct ring *r)
{
    if (r->rings != MAP_FAILED)
        munmap(r->rings, r->rings_bytes);
    if (r->sqes != MAP_FAILED)
        munmap(r->sqes, r->sqes_bytes);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

struct io_uring_sqe *ring_add(struct ring *r)
{
    unsigned tail = *r->sq_tail;
    while (tail - LOAD(r->sq_head) > r->sq_mask) {
        if (ring_enter(r, 0) < 0)
            abort(); /* the kernel takes entries one by one: there is always room for the next */
    }
    struct io_uring_sqe *sqe = (void *)(r->sqes + (size_t)(tail & r->sq_mask) * SQE_BYTES);
    memset(sqe, 0, SQE_BYTES);
    STORE(r->sq_tail, tail + 1); /* without a kernel thread nobody looks before ring_enter */
    r->added++;
    return sqe;
}

int ring_enter(struct ring *r, unsigned wait)
{
    long n = syscall(SYS_io_uring_enter, r->fd, r->added, wait, IORING_ENTER_GETEVENTS, NULL, 0);
    if (n < 0)
        return -errno;
    r->added -= (unsigned)n;
    return 0;
}

bool ring_ready(const struct ring *r)
{
    return *r->cq_head != LOAD(r->cq_tail);
}

bool ring_take(struct ring *r, struct io_uring_cqe *out)
{
    unsigned head = *r->cq_head;
    if (head == LOAD(r->cq_tail))
        return false;
    *out = r->cqes[head & r->cq_mask];
    STORE(r->cq_head, head + 1);
    return true;
}
