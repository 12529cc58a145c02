/* Who reads a queue's ring: see uring.c. */
#include "elsewhere.h"
#include "uring.h"
#include "uring_queue.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define BATCH 8           /* so many answers are sent at a time at the latest */
#define LARGE (64u << 10) /* ... or at once, after a request of so many bytes */

/* How long a reader looks for the next request before it sleeps: as in loop.c. */
#define SPIN_NS 30000
#define OTHERS_NS 2000  /* a yield that took longer: somebody else ran, who may send something */
#define LATE_NS 1000000 /* ... so long: somebody who only computes */
#define MISSES 8        /* so often in vain: look only now and then */
#define SELDOM 64       /* ... once in so many times */

#define NO_MEMORY_US 1000 /* before another try, where the kernel has no memory for the epoll */

enum role { OUTSIDE, READER, WAITS /* was the reader and has offered its place */ };
static _Thread_local enum role role;
static _Thread_local struct uring_queue *mine; /* NULL: no thread of a ring */
static _Thread_local struct uring_entry *served;

bool uring_is_reader_of(const struct uring_queue *q)
{
    return mine == q && role == READER;
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

int uring_add_thread(struct uring_queue *q)
{
    q->threads = mem_realloc(q->threads, (q->count + 1) * sizeof *q->threads);
    int r = -pthread_create(&q->threads[q->count], NULL, uring_work, q);
    if (r == 0)
        q->count++;
    return r;
}

static void need_thread(struct uring_queue *q)
{
    pthread_mutex_lock(&q->mu);
    if (!q->stopping && q->count < q->most)
        uring_add_thread(q); /* without it, who is done next takes the place */
    pthread_mutex_unlock(&q->mu);
}

/* An idle thread shall take the place when there is a request; EPOLLONESHOT: only one. Where the
 * kernel has no memory for it, one wakes and looks for itself. */
static void watch_ring(struct uring_queue *q)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = q->ring.fd};
    if (epoll_ctl(q->epoll, EPOLL_CTL_MOD, q->ring.fd, &e) == 0)
        return;
    usleep(NO_MEMORY_US);
    eventfd_write(q->kick_fd, 1);
}

/* None shall. Where that fails, one wakes in vain. */
static void unwatch_ring(struct uring_queue *q)
{
    struct epoll_event e = {.data.fd = q->ring.fd};
    epoll_ctl(q->epoll, EPOLL_CTL_MOD, q->ring.fd, &e);
}

static void offer(struct uring_queue *q)
{
    atomic_store(&q->place, URING_OFFERED);
    watch_ring(q);
    if (atomic_load(&q->answered))
        eventfd_write(q->kick_fd, 1);
}

static bool take(struct uring_queue *q)
{
    int offered = URING_OFFERED;
    return atomic_compare_exchange_strong(&q->place, &offered, URING_TAKEN);
}

void uring_about_to_wait(void)
{
    struct uring_queue *q = mine;
    if (q == NULL || role != READER)
        return;
    role = WAITS;
    if (q->ring.added)
        ring_enter(&q->ring, 0); /* what is answered does not wait with us */
    if (atomic_load(&q->idle) == 0)
        need_thread(q);
    offer(q);
}

void uring_has_waited(void)
{
    if (mine == NULL || role != WAITS || !take(mine))
        return;
    unwatch_ring(mine);
    role = READER;
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
    if (atomic_load(&q->place) == URING_OFFERED)
        eventfd_write(q->kick_fd, 1);
    else if (atomic_exchange(&q->sleeps, false))
        eventfd_write(q->wake_fd, 1);
}

/* Sleeps until this thread is the reader. False: the session ends. */
static bool become_reader(struct uring_queue *q)
{
    struct epoll_event e;
    while (!fuse_session_exited(q->s->se)) {
        atomic_fetch_add(&q->idle, 1);
        int n = epoll_wait(q->epoll, &e, 1, -1);
        atomic_fetch_sub(&q->idle, 1);
        if (n != 1 || e.data.fd == q->s->loop_fd)
            continue; /* n < 0: this thread's entries got requests, which the reader sees */
        eventfd_t kicks;
        if (e.data.fd == q->kick_fd)
            eventfd_read(q->kick_fd, &kicks);
        if (take(q)) {
            role = READER;
            return true;
        }
    }
    return false;
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

static void serve(struct uring_queue *q, struct uring_entry *e)
{
    struct fuse_buf buf;
    if (++q->out >= atomic_load(&q->entries)) /* the kernel has no more to give a request to */
        uring_queue_add_entry(q);
    if (!uring_entry_request(e, &buf))
        abort(); /* the kernel does not send such */
    bool large = buf.size > LARGE;
    served = e;
    fuse_session_process_buf(q->s->se, &buf);
    served = NULL;
    uring_has_waited();
    if (fs_sync_needed(q->s->fs) != STORE_SYNC_NONE)
        flusher_wake();
    if (role == READER && q->ring.added && (large || q->ring.added >= BATCH))
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

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Looks for a request for a while, without sleeping; the yield is also where the kernel brings it.
 * As politely as loop.c: not where it was in vain the last times, nor beside one who computes. */
static bool look(struct uring_queue *q)
{
    if (q->misses >= MISSES && ++q->skipped < SELDOM)
        return false;
    q->skipped = 0;
    if (q->ring.added)
        ring_enter(&q->ring, 0);
    uint64_t before = now_ns(), spent = 0;
    while (spent < SPIN_NS) {
        if (ring_ready(&q->ring) || atomic_load(&q->answered)) {
            q->misses = 0;
            return true;
        }
        sched_yield();
        uint64_t now = now_ns(), took = now - before;
        before = now;
        if (took > LATE_NS)
            break;
        spent += took < OTHERS_NS ? took : OTHERS_NS;
    }
    q->misses++;
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
    while (role == READER && !fuse_session_exited(q->s->se)) {
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

/* Beside the programs whose requests these are: they sleep while they wait for the answer, and an
 * idle CPU takes long to wake. Not for a CPU that is offline, or forbidden to us. */
static void stay_on_cpu(unsigned number)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(number, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

void *uring_work(void *arg)
{
    struct uring_queue *q = arg;
    mine = q;
    stay_on_cpu(q->number);
    int r = 0;
    while (r == 0 && become_reader(q)) {
        r = read_on(q);
        role = OUTSIDE;
    }
    if (r < 0)
        loop_fail(r);
    elsewhere_end();
    return NULL;
}
