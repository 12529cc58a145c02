/* FUSE over io_uring (Linux 6.14 and newer): requests come and answers go in a ring's shared
 * memory, one call into the kernel sends many answers and fetches many requests.
 *
 * /dev/fuse stays: INIT, FORGET and INTERRUPT come over it, and everything where this cannot be set
 * up. libfuse stays the parser: a request is put together in one piece as if it had been read, and
 * its answer is caught on the way out (init.c), found again by its number.
 *
 * The kernel keeps a *queue* for every CPU, and gives a request to a free *entry* of the queue of
 * the CPU that its program runs on. A queue has one ring and one *reader*, which takes all that has
 * come, serves it, and sends the answers together with its next look. It stays on that CPU, and
 * polls for a moment before it sleeps, as loop.c does.
 *
 * No request stands behind one that waits, and here lies the difficulty: a free entry belongs to
 * the thread that gave it to the kernel, and the request is copied in by that very thread, within
 * its next call or interruptible sleep. So:
 *
 * 1. A thread of a queue never sleeps where the kernel cannot interrupt it: calls to the disk are
 *    made by its companion, flushes led by the flusher (elsewhere.c). Locks are futexes: there the
 *    copying is done in passing.
 * 2. A reader that is about to wait offers its place, as in loop.c; the ring is armed in an epoll
 *    of idle threads meanwhile. Entries that the old reader gave to the kernel still come in
 *    through it, but in the same ring, where the new reader sees them; with each answer an entry
 *    changes over to the thread that sends it.
 * 3. Whoever answers without being the reader hands the entry over to the reader.
 * 4. Requests that wait hold their entries: when the last one is taken, the queue gets one more. */
#include "uring.h"

#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "elsewhere.h"
#include "uring_queue.h"

/* With more CPUs only where it is asked for: the kernel wants a queue for each that the machine
 * could have, and a queue takes a thread, four descriptors and about 75 KiB before it has served
 * anything (fs/README.md). */
#define URING_AUTO_CPUS 32

static struct uring_queue *queues;
static unsigned queue_count;
static atomic_bool begun;

/* The kernel wants a queue for each CPU that the machine could have. */
static unsigned possible_cpus(void)
{
    long n = sysconf(_SC_NPROCESSORS_CONF);
    return n > 0 ? (unsigned)n : 1;
}

bool uring_is_cheap(void)
{
    return possible_cpus() <= URING_AUTO_CPUS;
}

/* Every queue needs a second thread for who waits for another request (drop_pages in ops_space.c).
 */
static unsigned threads_of_each(const struct session *s, unsigned count)
{
    unsigned share = s->o->threads / count;
    return share >= 2 ? share : s->o->threads >= 2 ? 2 : 1;
}

static void free_queues(void)
{
    for (unsigned i = 0; i < queue_count; i++)
        uring_queue_free(&queues[i]);
    free(queues);
    queues = NULL;
    queue_count = 0;
}

int uring_prepare(struct session *s, unsigned max_write)
{
    unsigned count = possible_cpus();
    int r = 0;
    queues = mem_zalloc(count * sizeof *queues);
    for (unsigned i = 0; i < count && r == 0; i++) {
        queue_count++;
        r = uring_queue_init(&queues[i], s, i, max_write);
        queues[i].place.most = threads_of_each(s, count);
    }
    if (r == 0)
        r = flusher_start(s);
    if (r < 0) {
        free_queues();
        return r;
    }
    /* They find no offered place before uring_begin; where that never comes, they idle. */
    for (unsigned i = 0; i < count && r == 0; i++)
        r = place_add_thread(&queues[i].place);
    return r;
}

/* What the reader gives the kernel first; it does so when it takes the place. */
static void begin_queue(struct uring_queue *q)
{
    for (unsigned i = 0; i < URING_DEPTH; i++)
        uring_queue_register(q->entry[i]);
    uring_queue_watch(q, q->wake_fd, URING_TAG_WAKE);
    uring_queue_watch(q, q->s->loop_fd, URING_TAG_STOP);
    place_offer(&q->place);
    place_kick(&q->place);
}

void uring_begin(void)
{
    for (unsigned i = 0; i < queue_count; i++)
        begin_queue(&queues[i]);
    atomic_store(&begun, queue_count > 0);
}

bool uring_takes_requests(void)
{
    return atomic_load_explicit(&begun, memory_order_relaxed);
}

void uring_stop(void)
{
    for (unsigned i = 0; i < queue_count; i++)
        place_join(&queues[i].place);
    if (queue_count > 0)
        flusher_end();
}

/* Nobody reads any more: this thread sends the last answers. */
static void send_last(struct uring_queue *q)
{
    uring_commit_answered(q);
    if (q->ring.added)
        ring_enter(&q->ring, 0);
}

void uring_end(void)
{
    for (unsigned i = 0; i < queue_count; i++)
        send_last(&queues[i]);
    free_queues();
    atomic_store(&begun, false);
}

static struct uring_entry *find(uint64_t unique)
{
    struct uring_entry *e = uring_served_entry();
    if (e && atomic_load(&e->unique) == unique)
        return e;
    for (unsigned i = 0; i < queue_count; i++) {
        unsigned n = atomic_load(&queues[i].entries);
        for (unsigned k = 0; k < n; k++) {
            if (atomic_load(&queues[i].entry[k]->unique) == unique)
                return queues[i].entry[k];
        }
    }
    return NULL;
}

bool uring_reply(const struct iovec *iov, int count)
{
    struct fuse_out_header head;
    if (queue_count == 0)
        return false;
    memcpy(&head, iov[0].iov_base, sizeof head);
    struct uring_entry *e = head.unique ? find(head.unique) : NULL;
    if (e == NULL)
        return false;
    uring_entry_fill(e, iov, count);
    if (uring_is_reader_of(e->queue))
        uring_queue_commit(e->queue, e);
    else
        uring_hand_over(e);
    return true;
}
