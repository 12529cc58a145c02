/* One io_uring, as far as fs/fuse/uring.c needs one: 128-byte entries, no library. All of it from
 * the one thread that called ring_init. */
#ifndef FS_FUSE_RING_H
#define FS_FUSE_RING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
    int fd;
    unsigned *sq_head, *sq_tail, *cq_head, *cq_tail; /* shared with the kernel */
    unsigned sq_mask, cq_mask, added;                /* added: not submitted yet */
    struct io_uring_cqe *cqes;
    char *sqes;
    void *rings; /* one mapping for both */
    size_t rings_bytes, sqes_bytes;
};

/* 0, or negative errno: the kernel has no io_uring, forbids it, or is older than 6.1. */
int ring_init(struct ring *r, unsigned entries);
void ring_free(struct ring *r);

/* A cleared entry of 128 bytes, which goes to the kernel with the next ring_enter. Never NULL: a
 * full queue is submitted. */
struct io_uring_sqe *ring_add(struct ring *r);
/* Submits what was added and waits for `wait` completions. 0 or negative errno. */
int ring_enter(struct ring *r, unsigned wait);
/* Is there a completion to take? */
bool ring_ready(const struct ring *r);
/* Takes the next completion; false: there is none. */
bool ring_take(struct ring *r, struct io_uring_cqe *out);

#endif
