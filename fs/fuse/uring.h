/* Requests over io_uring, beside /dev/fuse: see uring.c. There is one in the process.
 *
 * Order: uring_prepare, INIT's answer, uring_begin; uring_stop, uring_end. After uring_prepare
 * failed, or was never called, the others do nothing. */
#ifndef FS_FUSE_URING_H
#define FS_FUSE_URING_H

#include "internal.h"

#include <sys/uio.h>

/* Does the machine have so few CPUs that a queue for each is no matter? (URING_AUTO_CPUS) */
bool uring_is_cheap(void);
/* Before INIT is answered: rings, buffers and threads, which wait for uring_begin. `max_write`: as
 * INIT's answer says. 0 or negative, with words in fail_text(). */
int uring_prepare(struct session *s, unsigned max_write);
/* After INIT's answer, which said that there are rings, was sent. */
void uring_begin(void);
/* Rings have been begun: requests come over them, as far as the kernel goes along. Any thread. */
bool uring_takes_requests(void);
/* Threads end after the request they serve. Requires: the session has exited, loop_fd is readable.
 */
void uring_stop(void);
/* Sends the last answers, frees all. Requires: uring_stop, and every fsync is answered. */
void uring_end(void);

/* The answer to a request that came over a ring: takes it and returns true. Any thread. */
bool uring_reply(const struct iovec *iov, int count);

/* Where the answer to the request that this thread serves can be built, instead of being copied
 * there; the request's names and data are overwritten. NULL: it came over no ring. */
char *uring_reply_buffer(size_t size);

/* As loop_about_to_wait and loop_has_waited, for threads of a ring. */
void uring_about_to_wait(void);
void uring_has_waited(void);
/* Of the ring that this thread serves; NULL: of none. */
struct place *uring_place(void);
/* For store_on_slow_call. */
void uring_slow_call(void (*call)(void *arg), void *arg);

#endif
