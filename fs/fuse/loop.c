/* The request loop. One thread, the *reader*, takes requests from the kernel and serves them
 * itself: an answer then costs no switch to another thread. No request ever stands behind one that
 * waits:
 *
 * A reader that is about to wait (for the disk, a lock, a commit) *offers* the reading: it arms
 * /dev/fuse in an epoll that the idle threads sleep in. When a request comes meanwhile, one of them
 * wakes, takes the offer and is the reader. When none came, the old reader takes the offer back as
 * soon as it has waited, and nobody else ever ran: a lone program that calls fsync pays two calls
 * of epoll_ctl, and no thread is woken.
 *
 * A reader without a request looks for the next one for up to SPIN_NS before it goes idle: a
 * program that works in the mount sends one upon the other, and to sleep and be woken costs more
 * than most requests. It goes idle at once where looking does not pay: when nothing came the last
 * few times, or when another program wants the CPU (a yield that returns late).
 *
 * An fsync does not wait in its thread at all (reply_after_sync). When the reader has no other
 * request left (or has served MOST_AHEAD meanwhile), and those who may be expected to share the
 * flush have come, it leads the flush, and then answers all of them: sixteen programs that fsync
 * cost no more switches between threads than one.
 *
 * Threads are made when there is none to take an offer, up to options.threads. */
#include "internal.h"
#include "reply.h"
#include "uring.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SPIN_NS 30000
#define OTHERS_NS 2000  /* a yield that took longer: somebody else ran, who may send something */
#define LATE_NS 1000000 /* ... so long: somebody who only computes */
#define MISSES 8        /* so often in vain: look only now and then */
#define SELDOM 64       /* ... once in so many times */
#define MOST_AHEAD 64   /* requests that are served before a flush that is due */
#define NO_MEMORY_US 1000

enum place { TAKEN, OFFERED };

/* How looking for the next request went lately. */
struct looking {
    unsigned misses, skipped;
};

struct loop {
    struct session *s;
    int fd;      /* /dev/fuse, non-blocking */
    int epoll;   /* of fd (while the reading is offered), kick_fd and s->loop_fd */
    int kick_fd; /* an eventfd: an idle thread shall be the reader though there may be no request */
    atomic_int place;
    atomic_bool in_epoll;      /* fd, most likely: it saves a call that would fail */
    atomic_int idle;           /* threads in epoll_wait */
    atomic_uint flushing;      /* threads that lead a flush */
    struct looking looking[2]; /* the reader's; [1]: while somebody leads a flush */
    unsigned ahead;            /* the reader's */

    pthread_mutex_t mu;
    pthread_cond_t ended;
    pthread_t *threads; /* guarded by mu, as what follows */
    unsigned count;
    bool stopping;
    int error;
};

/* What the thread that runs is in the loop. */
enum role { OUTSIDE, READER, WAITS /* was the reader and has offered its place */ };
static _Thread_local enum role role;
static struct loop *running; /* the process's one loop */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- who reads */

static void *work(void *arg);

/* One more thread, which begins idle. mu held. */
static int add_thread(struct loop *l)
{
    l->threads = mem_realloc(l->threads, (l->count + 1) * sizeof *l->threads);
    int r = pthread_create(&l->threads[l->count], NULL, work, l);
    if (r)
        return -r;
    l->count++;
    return 0;
}

static void need_thread(struct loop *l)
{
    pthread_mutex_lock(&l->mu);
    if (!l->stopping && l->count < l->s->o->threads)
        add_thread(l); /* without it, who is done next takes the offer */
    pthread_mutex_unlock(&l->mu);
}

/* An idle thread shall read when there is a request; EPOLLONESHOT: only one. Where two do this at
 * the same moment, or one just after the other's unwatch, it is watched in the end: at worst a
 * thread wakes in vain. Where the kernel has no memory for it, one wakes and looks for itself. */
static void watch(struct loop *l)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = l->fd};
    bool in = atomic_exchange(&l->in_epoll, true);
    while (epoll_ctl(l->epoll, in ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, l->fd, &e) < 0) {
        in = errno == EEXIST;
        if (errno != EEXIST && errno != ENOENT) {
            usleep(NO_MEMORY_US);
            eventfd_write(l->kick_fd, 1);
            return;
        }
    }
}

/* No thread shall wake for a request. For that it leaves the epoll: with no events asked for, the
 * kernel would wake a thread for each request all the same, only to find that it was not to. */
static void unwatch(struct loop *l)
{
    atomic_store(&l->in_epoll, false);
    epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->fd, NULL);
}

/* A flush that is due must not stand behind what the old reader waits for, nor be forgotten by one
 * who goes idle while another thread, not a reader, starts an fsync. */
static void offer(struct loop *l)
{
    atomic_store(&l->place, OFFERED);
    watch(l);
    if (fs_sync_needed(l->s->fs) != STORE_SYNC_NONE)
        eventfd_write(l->kick_fd, 1);
}

static bool take(struct loop *l)
{
    int offered = OFFERED;
    return atomic_compare_exchange_strong(&l->place, &offered, TAKEN);
}

void loop_about_to_wait(void)
{
    uring_about_to_wait();
    if (role != READER)
        return;
    role = WAITS;
    if (atomic_load(&running->idle) == 0)
        need_thread(running);
    offer(running);
}

void loop_has_waited(void)
{
    uring_has_waited();
    if (role != WAITS || !take(running))
        return;
    unwatch(running);
    role = READER;
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

/* Sleeps until this thread is the reader. False: the loop ends. */
static bool become_reader(struct loop *l)
{
    struct epoll_event e;
    while (!fuse_session_exited(l->s->se)) {
        atomic_fetch_add(&l->idle, 1);
        int n = epoll_wait(l->epoll, &e, 1, -1);
        atomic_fetch_sub(&l->idle, 1);
        if (n != 1 || e.data.fd == l->s->loop_fd)
            continue;
        eventfd_t kicks;
        if (e.data.fd == l->kick_fd)
            eventfd_read(l->kick_fd, &kicks);
        if (take(l)) {
            role = READER;
            return true;
        }
    }
    return false;
}

/* ---- reading */

/* Is a look for the next request worth its time? */
static bool looking_pays(struct looking *k)
{
    if (k->misses < MISSES || ++k->skipped >= SELDOM) {
        k->skipped = 0;
        return true;
    }
    return false;
}

/* Requests that never end would keep a flush from ever being led. */
static bool flush_is_overdue(struct loop *l)
{
    if (fs_sync_needed(l->s->fs) != STORE_SYNC_NOW)
        l->ahead = 0;
    else if (++l->ahead > MOST_AHEAD)
        return true;
    return false;
}

/* Looks for a request for a while, without sleeping. As fuse_session_receive_buf; -EAGAIN also
 * where a flush is due. Where looking does not pay it only lets others run on this CPU, as long as
 * there are any. */
static int look(struct loop *l, struct fuse_buf *buf)
{
    if (flush_is_overdue(l))
        return -EAGAIN;
    int r = fuse_session_receive_buf(l->s->se, buf);
    enum store_sync_need need = fs_sync_needed(l->s->fs);
    if (r != -EAGAIN || need == STORE_SYNC_NOW)
        return r;
    struct looking *k = &l->looking[atomic_load_explicit(&l->flushing, memory_order_relaxed) > 0];
    bool pays = looking_pays(k);
    uint64_t before = now_ns(), spent = 0;
    while (need == STORE_SYNC_LATER || spent < SPIN_NS) {
        sched_yield();
        r = fuse_session_receive_buf(l->s->se, buf);
        if (r != -EAGAIN) {
            k->misses = 0;
            return r;
        }
        need = fs_sync_needed(l->s->fs);
        if (need == STORE_SYNC_NOW)
            return r;
        uint64_t now = now_ns(), took = now - before;
        before = now;
        if (need == STORE_SYNC_NONE && (took > LATE_NS || (!pays && took < OTHERS_NS)))
            break;
        spent += took < OTHERS_NS ? took : OTHERS_NS;
    }
    k->misses++;
    return r;
}

/* Serves requests until there is none or somebody else reads. 0: the session ends. */
static int read_on(struct loop *l, struct fuse_buf *buf)
{
    while (role == READER) {
        int r = look(l, buf);
        if (r > 0) {
            fuse_session_process_buf(l->s->se, buf);
            loop_has_waited();
        } else if (r == -EAGAIN && fs_sync_needed(l->s->fs) == STORE_SYNC_NOW) {
            atomic_fetch_add(&l->flushing, 1);
            fs_sync_run(l->s->fs);
            atomic_fetch_sub(&l->flushing, 1);
            loop_has_waited();
        } else if (r == -EAGAIN) {
            role = OUTSIDE;
            offer(l);
        } else if (r != -EINTR) {
            return r;
        }
    }
    role = OUTSIDE;
    return 1;
}

static void *work(void *arg)
{
    struct loop *l = arg;
    struct fuse_buf buf = {0};
    int r = 1;
    while (r > 0 && become_reader(l))
        r = read_on(l, &buf);
    stop(l, r < 0 ? r : 0);
    free(buf.mem);
    return NULL;
}

/* ---- the whole */

static int loop_init(struct loop *l, struct session *s)
{
    *l = (struct loop){.s = s, .fd = fuse_session_fd(s->se), .epoll = epoll_create1(EPOLL_CLOEXEC)};
    struct epoll_event stop = {.events = EPOLLIN, .data.fd = s->loop_fd};
    struct epoll_event kick = {.events = EPOLLIN};
    l->kick_fd = kick.data.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int flags = fcntl(l->fd, F_GETFL);
    pthread_mutex_init(&l->mu, NULL);
    pthread_cond_init(&l->ended, NULL);
    if (l->epoll < 0 || flags < 0 || fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->kick_fd, &kick) < 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, s->loop_fd, &stop) < 0)
        return fail(-errno, "/dev/fuse: %s", fail_name(-errno));
    return 0;
}

static void loop_free(struct loop *l)
{
    for (unsigned i = 0; i < l->count; i++)
        pthread_join(l->threads[i], NULL);
    free(l->threads);
    uring_stop();
    fs_sync_run(l->s->fs);   /* those whose flush was not led any more */
    reply_await_syncs(l->s); /* another thread, the commit timer's, may be leading for some */
    uring_end();
    if (l->epoll >= 0)
        close(l->epoll);
    if (l->kick_fd >= 0)
        close(l->kick_fd);
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
        pthread_mutex_lock(&l.mu);
        r = add_thread(&l);
        if (r)
            fail(r, "a thread for requests: %s", fail_name(r));
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
