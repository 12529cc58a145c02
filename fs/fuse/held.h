/* Answers that the reader of /dev/fuse holds back while it serves requests that are there already.
 *
 * Waking a program costs the reader as much as serving a small request, above all where that has to
 * wake a sleeping CPU. Of several answers that follow each other closely only the first one does;
 * behind it the programs come into the queue of a CPU that runs. So where many programs wait,
 * the answers to HELD_MOST requests are sent in one go.
 *
 * None is held that somebody could miss: only while the next request was there each time the reader
 * looked, and they are sent before it waits, goes idle, leads a flush, or serves what may take
 * long. An answer that the kernel does not take (its connection is gone) is lost without a word, as
 * all are then.
 *
 * Threads: one at a time has a `struct held`, the reader that it is of. */
#ifndef FS_FUSE_HELD_H
#define FS_FUSE_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#define HELD_MOST 8     /* requests */
#define HELD_BYTES 256u /* the longest that is held */
#define HELD_BUSY 3     /* so many requests in a row that were there: programs wait */

/* Begins as {0}, but for fd. */
struct held {
    int fd;                 /* /dev/fuse */
    unsigned in_turn;       /* requests in a row that were there */
    bool serving;           /* one whose answer may be held */
    unsigned count, served; /* answers that are held, requests since the first of them */
    size_t length[HELD_MOST];
    char bytes[HELD_MOST][HELD_BYTES];
};

/* The reader has read a request (of `size` bytes, FUSE's header first), and serves it now. */
void held_begin(struct held *h, const void *request, size_t size);
/* It has served it, and is still the reader. */
void held_end(struct held *h);
/* The answer to it. False: it is not held, and to be sent by the caller. */
bool held_take(struct held *h, const struct iovec *iov, int count);
/* The reader has looked, and there is no request: all are sent. */
void held_none(struct held *h);
/* It is about to do something else: all are sent. */
void held_send(struct held *h);

#endif
