/* Inside of the transport over io_uring: a queue with its entries. See uring.c. */
#ifndef FS_FUSE_URING_QUEUE_H
#define FS_FUSE_URING_QUEUE_H

#include <sched.h>
#include "looking.h"
#include "place.h"
#include "ring.h"
#include "uring_abi.h"

#define URING_DEPTH 8          /* entries of a queue from the start */
#define URING_MOST 256         /* ... with those added for requests that wait */
#define URING_KEPT (64u << 10) /* of a payload stays in memory; */
#define URING_MOST_LARGE 8     /* ... more of it only in so many entries, of all queues */

/* Room for one request and its answer; user memory of ours that the kernel reads and writes. */
struct uring_entry {
    struct uring_queue *queue;
    struct uring_abi_header *head;
    char *payload;
    struct iovec iov[2];      /* the two above, for the kernel */
    bool large;               /* more than URING_KEPT of the payload is in memory, most likely */
    _Atomic uint64_t unique;  /* the request that is being served; 0: none */
    struct uring_entry *next; /* in `answered` */
};

/* Everything that says "the reader's" is touched only by the thread that has `place`. */
struct uring_queue {
    struct session *s;
    unsigned number; /* its CPU */
    cpu_set_t cpus;  /* all that we may run on */
    size_t payload_bytes;
    struct ring ring;       /* the reader's */
    unsigned out;           /* the reader's: entries that are not with the kernel */
    struct looking looking; /* the reader's */
    struct uring_entry *entry[URING_MOST];
    atomic_uint entries;

    struct place place;
    int wake_fd;        /* an eventfd in the ring: the reader shall look at `answered` */
    atomic_bool sleeps; /* the reader, in the ring */
    _Atomic(struct uring_entry *) answered; /* by threads that do not read: the reader sends them */
};

/* uring_queue.c */
int uring_queue_init(struct uring_queue *q, struct session *s, unsigned number, size_t payload);
void uring_queue_free(struct uring_queue *q);
/* For the reader: gives the kernel a first or one more entry; the queue's eventfds. */
void uring_queue_register(struct uring_entry *e);
void uring_queue_watch(struct uring_queue *q, int fd, uint64_t tag);
void uring_queue_add_entry(struct uring_queue *q);
/* For the reader: the answer in the entry goes to the kernel, with the next ring_enter. */
void uring_queue_commit(struct uring_queue *q, struct uring_entry *e);
/* The request in the entry as libfuse wants it, in one piece; false: it makes no sense. */
bool uring_entry_request(struct uring_entry *e, struct fuse_buf *out);
void uring_entry_fill(struct uring_entry *e, const struct iovec *iov, int count);

/* uring_reader.c */
enum { URING_TAG_STOP = 1, URING_TAG_WAKE = 2 }; /* user_data that is no entry's address */
void *uring_work(void *queue);
/* Somebody else than the reader has filled the entry. */
void uring_hand_over(struct uring_entry *e);
/* For the reader: sends what was handed over, with the next ring_enter. */
void uring_commit_answered(struct uring_queue *q);
/* The entry is of the queue that this thread reads: it may commit itself. */
bool uring_is_reader_of(const struct uring_queue *q);
struct uring_entry *uring_served_entry(void);

#endif
