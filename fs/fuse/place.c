/* See place.h. */
#include "place.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NO_MEMORY_US 1000

int place_init(struct place *p, struct session *s, void *(*work)(void *arg), void *arg)
{
    *p = (struct place){.s = s, .work = work, .arg = arg, .most = s->o->threads};
    pthread_mutex_init(&p->mu, NULL);
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event kick = {.events = EPOLLIN, .data.fd = p->kick_fd};
    struct epoll_event stop = {.events = EPOLLIN, .data.fd = s->loop_fd};
    if (p->epoll < 0 || p->kick_fd < 0 ||
        epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->kick_fd, &kick) < 0 ||
        epoll_ctl(p->epoll, EPOLL_CTL_ADD, s->loop_fd, &stop) < 0)
        return -errno;
    return 0;
}

void place_free(struct place *p)
{
    if (p->epoll >= 0)
        close(p->epoll);
    if (p->kick_fd >= 0)
        close(p->kick_fd);
    free(p->threads);
    pthread_mutex_destroy(&p->mu);
}

/* ---- its threads */

/* mu held. */
static int add_thread(struct place *p)
{
    p->threads = mem_realloc(p->threads, (p->count + 1) * sizeof *p->threads);
    int r = pthread_create(&p->threads[p->count], NULL, p->work, p->arg);
    if (r)
        return -r;
    p->count++;
    return 0;
}

int place_add_thread(struct place *p)
{
    pthread_mutex_lock(&p->mu);
    int r = add_thread(p);
    pthread_mutex_unlock(&p->mu);
    return r;
}

void place_need_thread(struct place *p)
{
    if (atomic_load(&p->idle) > 0)
        return;
    pthread_mutex_lock(&p->mu);
    if (!p->stopping && p->count < p->most)
        add_thread(p); /* without it, who is done next takes the place */
    pthread_mutex_unlock(&p->mu);
}

bool place_have_two(struct place *p)
{
    pthread_mutex_lock(&p->mu);
    if (!p->stopping && p->count < 2 && p->count < p->most)
        add_thread(p);
    bool two = p->count >= 2;
    pthread_mutex_unlock(&p->mu);
    return two;
}

void place_join(struct place *p)
{
    pthread_mutex_lock(&p->mu);
    p->stopping = true;
    pthread_mutex_unlock(&p->mu);
    for (unsigned i = 0; i < p->count; i++)
        pthread_join(p->threads[i], NULL);
    p->count = 0;
}

/* ---- who has it */

void place_offer(struct place *p)
{
    atomic_store(&p->offered, true);
}

bool place_take(struct place *p)
{
    bool offered = true;
    return atomic_compare_exchange_strong(&p->offered, &offered, false);
}

bool place_is_offered(struct place *p)
{
    return atomic_load(&p->offered);
}

void place_kick(struct place *p)
{
    eventfd_write(p->kick_fd, 1);
}

void place_kick_later(struct place *p)
{
    usleep(NO_MEMORY_US);
    place_kick(p);
}

bool place_await(struct place *p)
{
    struct epoll_event e;
    while (!fuse_session_exited(p->s->se)) {
        atomic_fetch_add(&p->idle, 1);
        int n = epoll_wait(p->epoll, &e, 1, -1);
        atomic_fetch_sub(&p->idle, 1);
        if (n != 1 || e.data.fd == p->s->loop_fd)
            continue; /* n < 0: this thread's entries of a ring got requests, which its reader sees
                       */
        eventfd_t kicks;
        if (e.data.fd == p->kick_fd)
            eventfd_read(p->kick_fd, &kicks);
        if (place_take(p))
            return true;
    }
    return false;
}
