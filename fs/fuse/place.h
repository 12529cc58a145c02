/* The place of the reader: of the threads that serve one source of requests (/dev/fuse, or a ring
 * of uring.c) one reads, and the others sleep in an epoll until the place is offered and there is a
 * request. loop.c says why.
 *
 * Who has the place offers it (place_offer), and then arms the source in the epoll: whoever wakes
 * takes it, or the old reader takes it back. Threads are made when there is none to wake.
 *
 * Any thread may call what is here; place_init and place_free, alone. */
#ifndef FS_FUSE_PLACE_H
#define FS_FUSE_PLACE_H

#include "internal.h"

/* What a thread of the place is. */
enum place_role {
    PLACE_OUTSIDE,
    PLACE_READER,
    PLACE_WAITS /* was the reader and has offered its place */
};

struct place {
    struct session *s;
    void *(*work)(void *arg); /* a thread: calls place_await until that says no */
    void *arg;
    unsigned most; /* threads */

    int epoll;           /* of the source (armed while offered), kick_fd and s->loop_fd */
    int kick_fd;         /* an eventfd: an idle thread shall read though there may be no request */
    atomic_bool offered; /* else it is taken */
    atomic_int idle;     /* threads in epoll_wait */

    pthread_mutex_t mu;
    pthread_t *threads; /* guarded by mu, as what follows */
    unsigned count;
    bool stopping; /* no thread is made any more */
};

/* Taken, by nobody yet, and without threads. 0 or -errno; place_free in either case. */
int place_init(struct place *p, struct session *s, void *(*work)(void *arg), void *arg);
/* Requires: the threads have been joined. */
void place_free(struct place *p);

/* One more thread, which begins idle. 0 or -errno. */
int place_add_thread(struct place *p);
/* No more threads are made; waits for the end of those that were. They must be ending. */
void place_join(struct place *p);

/* For who reads and is about to wait: there shall be a thread to take the place. */
void place_need_thread(struct place *p);
/* Is there a second thread? It is made if need be; without memory, or where processes may have no
 * more threads, there may be none. */
bool place_have_two(struct place *p);
/* For who has the place. The source is armed after it. */
void place_offer(struct place *p);
/* True: the calling thread has the place now. */
bool place_take(struct place *p);
bool place_is_offered(struct place *p);
/* An idle thread wakes, and takes the place if it is offered. */
void place_kick(struct place *p);
/* The source could not be armed, since the kernel has no memory: an idle thread looks for itself,
 * after a moment. */
void place_kick_later(struct place *p);
/* Sleeps until the calling thread has the place. False: the session ends. */
bool place_await(struct place *p);

#endif
