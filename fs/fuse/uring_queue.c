/* One queue's ring and entries: see uring_queue.h. */
#include "uring_queue.h"

#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEAD_BYTES 4096 /* before the payload, which begins on a page of its own */

static atomic_uint large_entries;

/* What one request or answer has used stays in memory for the next one, or the kernel would have to
 * find pages anew for each; but not in every entry that ever had a large one. */
static void note_use(struct uring_entry *e, size_t bytes)
{
    if (bytes <= URING_KEPT || e->large)
        return;
    e->large = true;
    atomic_fetch_add(&large_entries, 1);
}

/* Before a small answer: what the request, or an earlier one, needed is given back. (After a large
 * one it cannot be: the kernel may be filling the entry with the next request already.) */
static void give_back(struct uring_entry *e)
{
    if (!e->large || e->head->payload_bytes > URING_KEPT ||
        atomic_load(&large_entries) <= URING_MOST_LARGE)
        return;
    madvise(e->payload + URING_KEPT, e->queue->payload_bytes - URING_KEPT, MADV_DONTNEED);
    e->large = false;
    atomic_fetch_sub(&large_entries, 1);
}

/* Room of which only what is used takes memory. */
static struct uring_entry *entry_new(struct uring_queue *q)
{
    char *p = mmap(NULL, HEAD_BYTES + q->payload_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    struct uring_entry *e = mem_zalloc(sizeof *e);
    e->queue = q;
    e->head = (void *)p;
    e->payload = p + HEAD_BYTES;
    e->iov[0] = (struct iovec){e->head, sizeof *e->head};
    e->iov[1] = (struct iovec){e->payload, q->payload_bytes};
    unsigned n = atomic_load(&q->entries);
    q->entry[n] = e;
    atomic_store(&q->entries, n + 1);
    return e;
}

int uring_queue_init(struct uring_queue *q, struct session *s, unsigned number, size_t payload)
{
    *q = (struct uring_queue){.s = s,
                              .number = number,
                              .payload_bytes = payload,
                              .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    int r = q->wake_fd < 0 ? -errno : 0;
    sched_getaffinity(0, sizeof q->cpus, &q->cpus); /* of a thread that stays on none of them */
    int placed = place_init(&q->place, s, uring_work, q);
    int ring = ring_init(&q->ring, URING_MOST); /* all: uring_queue_free finds nothing unset */
    if (r == 0)
        r = placed ? placed : ring;
    if (r)
        return r;
    struct epoll_event e = {.data.fd = q->ring.fd};
    if (epoll_ctl(q->place.epoll, EPOLL_CTL_ADD, q->ring.fd, &e) < 0)
        return -errno;
    for (unsigned i = 0; i < URING_DEPTH; i++) {
        if (entry_new(q) == NULL)
            return -ENOMEM;
    }
    return 0;
}

void uring_queue_free(struct uring_queue *q)
{
    ring_free(&q->ring);
    for (unsigned i = 0; i < atomic_load(&q->entries); i++) {
        if (q->entry[i]->large)
            atomic_fetch_sub(&large_entries, 1);
        munmap(q->entry[i]->head, HEAD_BYTES + q->payload_bytes);
        free(q->entry[i]);
    }
    if (q->wake_fd >= 0)
        close(q->wake_fd);
    place_free(&q->place);
}

static struct io_uring_sqe *command(struct uring_entry *e, int what, uint64_t id)
{
    struct uring_queue *q = e->queue;
    struct io_uring_sqe *sqe = ring_add(&q->ring);
    struct uring_abi_command c = {.commit_id = id, .queue = (uint16_t)q->number};
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->fd = fuse_session_fd(q->s->se);
    sqe->cmd_op = (uint32_t)what;
    sqe->user_data = (uintptr_t)e;
    memcpy(sqe->cmd, &c, sizeof c);
    return sqe;
}

void uring_queue_register(struct uring_entry *e)
{
    struct io_uring_sqe *sqe = command(e, URING_ABI_REGISTER, 0);
    sqe->addr = (uintptr_t)e->iov;
    sqe->len = 2;
}

void uring_queue_watch(struct uring_queue *q, int fd, uint64_t tag)
{
    struct io_uring_sqe *sqe = ring_add(&q->ring);
    sqe->opcode = IORING_OP_POLL_ADD;
    sqe->fd = fd;
    sqe->poll32_events = POLLIN;
    sqe->user_data = tag;
}

void uring_queue_add_entry(struct uring_queue *q)
{
    struct uring_entry *e = atomic_load(&q->entries) < URING_MOST ? entry_new(q) : NULL;
    if (e)
        uring_queue_register(e);
}

void uring_queue_commit(struct uring_queue *q, struct uring_entry *e)
{
    give_back(e);
    command(e, URING_ABI_COMMIT_AND_FETCH, atomic_exchange(&e->unique, 0));
    q->out--;
}

bool uring_entry_request(struct uring_entry *e, struct fuse_buf *out)
{
    struct fuse_in_header in;
    memcpy(&in, e->head->in_out, sizeof in);
    size_t payload = e->head->payload_bytes;
    if (in.len < sizeof in + payload || in.len - sizeof in - payload > sizeof e->head->op)
        return false;
    note_use(e, payload);
    /* The page before the payload holds the kernel's header at its beginning, nothing at its end.
     */
    size_t op = in.len - sizeof in - payload;
    memcpy(e->payload - op, e->head->op, op);
    char *p = memcpy(e->payload - op - sizeof in, &in, sizeof in);
    atomic_store(&e->unique, in.unique);
    *out = (struct fuse_buf){.size = in.len, .mem = p};
    return true;
}

void uring_entry_fill(struct uring_entry *e, const struct iovec *iov, int count)
{
    const size_t head = sizeof(struct fuse_out_header);
    size_t n = 0;
    memcpy(e->head->in_out, iov[0].iov_base, head);
    for (int i = 0; i < count; i++) {
        size_t skip = i == 0 ? head : 0, len = iov[i].iov_len - skip;
        if (len > e->queue->payload_bytes - n)
            abort(); /* no answer is larger than its request asked for */
        const char *p = (const char *)iov[i].iov_base + skip;
        if (p != e->payload + n) /* it was not built there: uring_reply_buffer */
            memcpy(e->payload + n, p, len);
        n += len;
    }
    note_use(e, n);
    e->head->payload_bytes = (uint32_t)n;
}
