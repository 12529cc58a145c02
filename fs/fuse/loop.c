/* The request loop. One thread, the *reader* (place.h), takes requests from the kernel and serves
 * them itself: an answer then costs no switch to another thread. No request ever stands behind one
 * that waits:
 *
 * A reader that is about to wait (for the disk, a lock, a commit) *offers* the reading: it arms
 * /dev/fuse in an epoll that the idle threads sleep in. When a request comes meanwhile, one of them
 * wakes, takes the offer and is the reader. When none came, the old reader takes the offer back as
 * soon as it has waited, and nobody else ever ran: a lone program that calls fsync pays two calls
 * of epoll_ctl, and no thread is woken.
 *
 * Where one request is there after the other, their answers are sent several at a time (held.h).
 *
 * A reader without a request looks for the next one for a moment before it goes idle (looking.h).
 *
 * An fsync does not wait in its thread at all (reply_after_sync). When the reader has no other
 * request left (or has served MOST_AHEAD meanwhile), and those who may be expected to share the
 * flush have come, it leads the flush, and then answers all of them: sixteen programs that fsync
 * cost no more switches between threads than one.
 *
 * Threads are made when there is none to take an offer, up to options.threads. */
#include "held.h"
#include "looking.h"
#include "place.h"
#include "reply.h"
#include "request.h"
#include "uring.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MOST_AHEAD 64  /* requests that are served before a flush that is due */
#define GATHER_US 1000 /* so long what needs no answer may wait for more of its kind */

struct loop {
    struct session *s;
    struct place place;        /* its epoll has fd while the reading is offered */
    int fd;                    /* /dev/fuse, non-blocking */
    atomic_bool in_epoll;      /* fd, most likely: it saves a call that would fail */
    atomic_uint flushing;      /* threads that lead a flush */
    struct looking looking[2]; /* the reader's; [1]: while somebody leads a flush */
    unsigned ahead;            /* the reader's */
    struct held held;          /* the reader's */
    bool quiet;                /* the reader's: it has read nothing lately that wants an answer */

    pthread_mutex_t mu;
    pthread_cond_t ended;
    bool stopping; /* guarded by mu, as what follows */
    int error;
};

static _Thread_local enum place_role role;
static struct loop *running; /* the process's one loop */

/* ---- who reads */

/* An idle thread shall read when there is a request; EPOLLONESHOT: only one. Where two do this at
 * the same moment, or one just after the other's unwatch, it is watched in the end: at worst a
 * thread wakes in vain. Where the kernel has no memory for it, one wakes and looks for itself. */
static void watch(struct loop *l)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = l->fd};
    bool in = atomic_exchange(&l->in_epoll, true);
    while (epoll_ctl(l->place.epoll, in ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, l->fd, &e) < 0) {
        in = errno == EEXIST;
        if (errno != EEXIST && errno != ENOENT) {
            place_kick_later(&l->place);
            return;
        }
    }
}

/* No thread shall wake for a request. For that it leaves the epoll: with no events asked for, the
 * kernel would wake a thread for each request all the same, only to find that it was not to. */
static void unwatch(struct loop *l)
{
    atomic_store(&l->in_epoll, false);
    epoll_ctl(l->place.epoll, EPOLL_CTL_DEL, l->fd, NULL);
}

/* A flush that is due must not stand behind what the old reader waits for, nor be forgotten by one
 * who goes idle while another thread, not a reader, starts an fsync. */
static void offer(struct loop *l)
{
    place_offer(&l->place);
    watch(l);
    if (fs_sync_needed(l->s->fs) != STORE_SYNC_NONE)
        place_kick(&l->place);
}

void loop_about_to_wait(void)
{
    uring_about_to_wait();
    if (role != PLACE_READER)
        return;
    role = PLACE_WAITS;
    held_send(&running->held);
    place_need_thread(&running->place);
    offer(running);
}

void loop_has_waited(void)
{
    uring_has_waited();
    if (role != PLACE_WAITS || !place_take(&running->place))
        return;
    unwatch(running);
    role = PLACE_READER;
}

bool loop_others_serve(void)
{
    struct place *ring = uring_place();
    return place_have_two(ring ? ring : &running->place);
}

static void stop(struct loop *l, int error)
{
    pthread_mutex_lock(&l->mu);
    l->stopping = true;
    if (l->error == 0)
        l->error = error;
    pthread_cond_signal(&l->ended);
    pthread_mutex_unlock(&l->mu);
    fuse_session_exit(l->s->se);
    eventfd_write(l->s->loop_fd, 1); /* wakes one idle thread after the other: nobody reads it */
}

void loop_fail(int error)
{
    stop(running, error);
}

/* ---- reading */

/* Requests that never end would keep a flush from ever being led. And an urgent one comes first. */
static bool flush_is_overdue(struct loop *l)
{
    enum store_sync_need need = fs_sync_needed(l->s->fs);
    if (need == STORE_SYNC_AT_ONCE)
        return true;
    if (need != STORE_SYNC_NOW)
        l->ahead = 0;
    else if (++l->ahead > MOST_AHEAD)
        return true;
    return false;
}

bool loop_holds(const struct iovec *iov, int count)
{
    return role == PLACE_READER && held_take(&running->held, iov, count);
}

static bool wants_answer(const struct fuse_buf *buf)
{
    struct fuse_in_header head;
    memcpy(&head, buf->mem, sizeof head);
    return head.opcode != FUSE_FORGET && head.opcode != FUSE_BATCH_FORGET &&
           head.opcode != FUSE_INTERRUPT;
}

/* Where requests come over rings, only what needs no answer comes here, a FORGET for each file that
 * is removed. Looking for them one by one would keep a CPU busy beside the rings' readers; to who
 * comes later the kernel gives many in one piece. */
static void gather(struct loop *l)
{
    if (l->quiet && uring_takes_requests())
        usleep(GATHER_US);
    l->quiet = true;
}

/* As fuse_session_receive_buf. -ECONNABORTED: the kernel ended the connection, as it does at an
 * unmount, while a request was on its way; that is no other end than one between two requests. */
static int receive(struct loop *l, struct fuse_buf *buf)
{
    int r = fuse_session_receive_buf(l->s->se, buf);
    return r == -ECONNABORTED ? 0 : r;
}

/* Looks for a request, without sleeping. As fuse_session_receive_buf; -EAGAIN also where a flush is
 * due, and not before where one is to come. */
static int look(struct loop *l, struct fuse_buf *buf)
{
    struct look k;
    if (flush_is_overdue(l)) {
        held_send(&l->held);
        return -EAGAIN;
    }
    int r = receive(l, buf);
    if (r <= 0)
        held_none(&l->held);
    enum store_sync_need need = fs_sync_needed(l->s->fs);
    if (r != -EAGAIN || need >= STORE_SYNC_NOW || (l->quiet && uring_takes_requests()))
        return r;
    look_begin(&k, &l->looking[atomic_load_explicit(&l->flushing, memory_order_relaxed) > 0]);
    do {
        sched_yield();
        r = receive(l, buf);
        if (r != -EAGAIN) {
            look_found(&k);
            return r;
        }
        need = fs_sync_needed(l->s->fs);
    } while (need < STORE_SYNC_NOW && look_on(&k, need == STORE_SYNC_LATER));
    return r;
}

/* Serves requests until there is none or somebody else reads. 0: the session ends. */
static int read_on(struct loop *l, struct fuse_buf *buf)
{
    while (role == PLACE_READER) {
        int r = look(l, buf);
        if (r > 0) {
            l->quiet &= !wants_answer(buf);
            held_begin(&l->held, buf->mem, buf->size);
            request_process(l->s, buf);
            loop_has_waited();
            if (role == PLACE_READER)
                held_end(&l->held);
        } else if (r == -EAGAIN && fs_sync_needed(l->s->fs) >= STORE_SYNC_NOW) {
            atomic_fetch_add(&l->flushing, 1);
            fs_sync_run(l->s->fs);
            atomic_fetch_sub(&l->flushing, 1);
            loop_has_waited();
        } else if (r == -EAGAIN) {
            role = PLACE_OUTSIDE;
            offer(l);
        } else if (r != -EINTR) {
            return r;
        }
    }
    role = PLACE_OUTSIDE;
    return 1;
}

static void *work(void *arg)
{
    struct loop *l = arg;
    struct fuse_buf buf = {0};
    int r = 1;
    while (r > 0 && place_await(&l->place)) {
        role = PLACE_READER;
        gather(l);
        r = read_on(l, &buf);
    }
    stop(l, r < 0 ? r : 0);
    free(buf.mem);
    return NULL;
}

/* ---- the whole */

static int loop_init(struct loop *l, struct session *s)
{
    *l = (struct loop){.s = s, .fd = fuse_session_fd(s->se)};
    l->held.fd = l->fd;
    pthread_mutex_init(&l->mu, NULL);
    pthread_cond_init(&l->ended, NULL);
    int r = place_init(&l->place, s, work, l), flags = fcntl(l->fd, F_GETFL);
    if (r == 0 && (flags < 0 || fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) < 0))
        r = -errno;
    return r ? fail(r, "/dev/fuse: %s", fail_name(r)) : 0;
}

static void loop_free(struct loop *l)
{
    place_join(&l->place);
    uring_stop();
    fs_sync_run(l->s->fs);   /* those whose flush was not led any more */
    reply_await_syncs(l->s); /* another thread, the commit timer's, may be leading for some */
    uring_end();
    place_free(&l->place);
    pthread_cond_destroy(&l->ended);
    pthread_mutex_destroy(&l->mu);
}

int loop_run(struct session *s)
{
    struct loop l;
    int r = loop_init(&l, s);
    if (r == 0) {
        running = &l;
        store_on_wait(loop_about_to_wait);
        store_on_slow_call(uring_slow_call);
        offer(&l);
        r = place_add_thread(&l.place);
        if (r)
            fail(r, "a thread for requests: %s", fail_name(r));
        pthread_mutex_lock(&l.mu);
        while (r == 0 && !l.stopping)
            pthread_cond_wait(&l.ended, &l.mu);
        pthread_mutex_unlock(&l.mu);
    }
    loop_free(&l);
    if (r == 0 && l.error) /* of any thread: all have ended */
        r = fail(l.error, "the request loop: %s", fail_name(l.error));
    store_on_wait(NULL);
    store_on_slow_call(NULL);
    running = NULL;
    return r;
}

void loop_stop(struct session *s)
{
    fuse_session_exit(s->se);
    if (eventfd_write(s->loop_fd, 1) < 0)
        abort(); /* it counts to 2^64 */
}
