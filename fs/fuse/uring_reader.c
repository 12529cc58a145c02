/* Who reads a queue's ring: see uring.c. */
#include "elsewhere.h"
#include "looking.h"
#include "request.h"
#include "uring.h"
#include "uring_queue.h"

#include <linux/fuse.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define BATCH 8           /* so many answers are sent at a time at the latest */
#define LARGE (64u << 10) /* ... or at once, after a request or an answer of so many bytes */

#define SETTLED 16 /* so many other requests in a row, and no more is read */

static _Thread_local enum place_role role;
static _Thread_local struct uring_queue *mine; /* NULL: no thread of a ring */
static _Thread_local struct uring_entry *served;

bool uring_is_reader_of(const struct uring_queue *q)
{
    return mine == q && role == PLACE_READER;
}

struct uring_entry *uring_served_entry(void)
{
    return served;
}

char *uring_reply_buffer(size_t size)
{
    return served && size <= served->queue->payload_bytes ? served->payload : NULL;
}

/* ---- the place */

/* An idle thread shall take the place when there is a request; EPOLLONESHOT: only one. Where the
 * kernel has no memory for it, one wakes and looks for itself. */
static void watch_ring(struct uring_queue *q)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = q->ring.fd};
    if (epoll_ctl(q->place.epoll, EPOLL_CTL_MOD, q->ring.fd, &e) < 0)
        place_kick_later(&q->place);
}

/* None shall. Where that fails, one wakes in vain. */
static void unwatch_ring(struct uring_queue *q)
{
    struct epoll_event e = {.data.fd = q->ring.fd};
    epoll_ctl(q->place.epoll, EPOLL_CTL_MOD, q->ring.fd, &e);
}

static void offer(struct uring_queue *q)
{
    place_offer(&q->place);
    watch_ring(q);
    if (atomic_load(&q->answered))
        place_kick(&q->place);
}

void uring_about_to_wait(void)
{
    struct uring_queue *q = mine;
    if (q == NULL || role != PLACE_READER)
        return;
    role = PLACE_WAITS;
    if (q->ring.added)
        ring_enter(&q->ring, 0); /* what is answered does not wait with us */
    place_need_thread(&q->place);
    offer(q);
}

void uring_has_waited(void)
{
    if (mine == NULL || role != PLACE_WAITS || !place_take(&mine->place))
        return;
    unwatch_ring(mine);
    role = PLACE_READER;
}

struct place *uring_place(void)
{
    return mine ? &mine->place : NULL;
}

void uring_slow_call(void (*call)(void *arg), void *arg)
{
    if (mine)
        elsewhere_run(call, arg);
    else
        call(arg);
}

void uring_hand_over(struct uring_entry *e)
{
    struct uring_queue *q = e->queue;
    e->next = atomic_load(&q->answered);
    while (!atomic_compare_exchange_weak(&q->answered, &e->next, e))
        ;
    if (place_is_offered(&q->place))
        place_kick(&q->place);
    else if (atomic_exchange(&q->sleeps, false))
        eventfd_write(q->wake_fd, 1);
}

/* ---- reading */

void uring_commit_answered(struct uring_queue *q)
{
    struct uring_entry *e = atomic_exchange(&q->answered, NULL), *next;
    for (; e; e = next) {
        next = e->next;
        uring_queue_commit(q, e);
    }
}

/* A reader stays beside the programs whose requests these are: they sleep while they wait for the
 * answer, and an idle CPU takes long to wake. But the kernel reads ahead, and then a program does
 * not sleep: it takes up what it has while the next piece is served. So a large piece is sent at
 * once; and while files are read the thread may go to an idle CPU. */
static void choose_cpu(struct uring_queue *q, bool reads)
{
    static _Thread_local unsigned others; /* requests since the last read */
    static _Thread_local bool roams;
    others = reads ? 0 : others + 1;
    if (reads && !roams) {
        pthread_setaffinity_np(pthread_self(), sizeof q->cpus, &q->cpus);
        roams = true;
    } else if (roams && others >= SETTLED) {
        stay_on_cpu(pthread_self(), q->number);
        roams = false;
    }
}

static bool is_read(const struct fuse_buf *request)
{
    struct fuse_in_header head;
    memcpy(&head, request->mem, sizeof head);
    return head.opcode == FUSE_READ;
}

static void serve(struct uring_queue *q, struct uring_entry *e)
{
    struct fuse_buf buf;
    if (++q->out >= atomic_load(&q->entries)) /* the kernel has no more to give a request to */
        uring_queue_add_entry(q);
    if (!uring_entry_request(e, &buf))
        abort(); /* the kernel does not send such */
    bool large = buf.size >= LARGE, reads = is_read(&buf);
    served = e;
    request_process(q->s, &buf);
    served = NULL;
    large |= e->head->payload_bytes >= LARGE;
    choose_cpu(q, reads);
    uring_has_waited();
    if (fs_sync_needed(q->s->fs) != STORE_SYNC_NONE)
        flusher_wake();
    if (role == PLACE_READER && q->ring.added && (large || q->ring.added >= BATCH))
        ring_enter(&q->ring, 0);
}

static void take_completion(struct uring_queue *q, const struct io_uring_cqe *c)
{
    eventfd_t wakes;
    if (c->user_data == URING_TAG_STOP) {
        fuse_session_exit(q->s->se);
    } else if (c->user_data == URING_TAG_WAKE) {
        eventfd_read(q->wake_fd, &wakes);
        uring_queue_watch(q, q->wake_fd, URING_TAG_WAKE);
    } else if (c->res >= 0) {
        serve(q, (struct uring_entry *)(uintptr_t)c->user_data);
    }
    /* Else the connection has ended, or the kernel refused the entry and goes on with /dev/fuse:
     * that loop sees either. */
}

/* Looks for a request, without sleeping; the yield is also where the kernel brings it. Unlike
 * loop.c, not at all where that does not pay. */
static bool look(struct uring_queue *q)
{
    struct look k;
    look_begin(&k, &q->looking);
    if (!k.pays)
        return false;
    if (q->ring.added)
        ring_enter(&q->ring, 0);
    do {
        if (ring_ready(&q->ring) || atomic_load(&q->answered)) {
            look_found(&k);
            return true;
        }
        sched_yield();
    } while (look_on(&k, false));
    return false;
}

/* Sends what is answered, and sleeps until something comes. */
static int sleep_in_ring(struct uring_queue *q)
{
    atomic_store(&q->sleeps, true);
    unsigned wait = atomic_load(&q->answered) == NULL;
    int r = ring_enter(&q->ring, wait);
    atomic_store(&q->sleeps, false);
    return r == -EINTR || r == -EAGAIN || r == -EBUSY ? 0 : r;
}

/* Serves requests until somebody else reads. Negative: the ring is broken. */
static int read_on(struct uring_queue *q)
{
    struct io_uring_cqe c;
    while (role == PLACE_READER && !fuse_session_exited(q->s->se)) {
        int r = 0;
        uring_commit_answered(q);
        if (ring_take(&q->ring, &c))
            take_completion(q, &c);
        else if (!look(q))
            r = sleep_in_ring(q);
        if (r < 0)
            return r;
    }
    return 0;
}

void *uring_work(void *arg)
{
    struct uring_queue *q = arg;
    mine = q;
    stay_on_cpu(pthread_self(), q->number);
    int r = 0;
    while (r == 0 && place_await(&q->place)) {
        role = PLACE_READER;
        r = read_on(q);
        role = PLACE_OUTSIDE;
    }
    if (r < 0)
        loop_fail(r);
    elsewhere_end();
    return NULL;
}
