/* See elsewhere.h. */
#include "elsewhere.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>

static void wait_on(sem_t *s)
{
    while (sem_wait(s) < 0 && errno == EINTR)
        ;
}

void stay_on_cpu(pthread_t thread, unsigned number)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(number, &set);
    pthread_setaffinity_np(thread, sizeof set, &set);
}

/* ---- a companion for each thread that asked for one */

struct companion {
    pthread_t thread;
    sem_t asked, done;
    void (*call)(void *arg); /* NULL: it shall end. Guarded by who waits for whom */
    void *arg;
};

static _Thread_local struct companion *mine;

static void *accompany(void *arg)
{
    struct companion *c = arg;
    for (;;) {
        wait_on(&c->asked);
        if (c->call == NULL)
            return NULL;
        c->call(c->arg);
        sem_post(&c->done);
    }
}

static struct companion *companion_new(void)
{
    struct companion *c = mem_zalloc(sizeof *c);
    sem_init(&c->asked, 0, 0);
    sem_init(&c->done, 0, 0);
    if (pthread_create(&c->thread, NULL, accompany, c) == 0)
        return c;
    free(c);
    return NULL;
}

void elsewhere_run(void (*call)(void *arg), void *arg)
{
    if (mine == NULL)
        mine = companion_new();
    if (mine == NULL) {
        call(arg);
        return;
    }
    mine->call = call;
    mine->arg = arg;
    sem_post(&mine->asked);
    wait_on(&mine->done);
}

void elsewhere_end(void)
{
    if (mine == NULL)
        return;
    mine->call = NULL;
    sem_post(&mine->asked);
    pthread_join(mine->thread, NULL);
    sem_destroy(&mine->asked);
    sem_destroy(&mine->done);
    free(mine);
    mine = NULL;
}

/* ---- the flusher */

static struct {
    struct session *s;
    pthread_t thread;
    sem_t wake;
    atomic_bool woken, works, ends;
    atomic_int cpu; /* that it may run on; -1: any */
} flusher;

static void *flush(void *arg)
{
    struct fs *fs = flusher.s->fs;
    (void)arg;
    for (;;) {
        atomic_store(&flusher.works, false);
        wait_on(&flusher.wake);
        atomic_store(&flusher.works, true);
        atomic_store(&flusher.woken, false);
        if (atomic_load(&flusher.ends))
            return NULL;
        for (;;) {
            enum store_sync_need need = fs_sync_needed(fs);
            if (need == STORE_SYNC_NONE)
                break;
            if (need >= STORE_SYNC_NOW)
                fs_sync_run(fs);
            else
                sched_yield(); /* a matter of microseconds */
        }
    }
}

int flusher_start(struct session *s)
{
    flusher.s = s;
    atomic_store(&flusher.woken, false);
    atomic_store(&flusher.ends, false);
    atomic_store(&flusher.cpu, -1);
    sem_init(&flusher.wake, 0, 0);
    int r = -pthread_create(&flusher.thread, NULL, flush, NULL);
    if (r < 0)
        sem_destroy(&flusher.wake);
    return r;
}

/* To the CPU of the thread that wakes it, which has the program's fsync and answers it: another one
 * is idle where there is but one program, and takes long to wake. */
static void move_here(void)
{
    int cpu = sched_getcpu();
    if (cpu >= 0 && cpu < CPU_SETSIZE && atomic_exchange(&flusher.cpu, cpu) != cpu)
        stay_on_cpu(flusher.thread, (unsigned)cpu);
}

void flusher_wake(void)
{
    if (atomic_exchange(&flusher.woken, true))
        return;
    if (!atomic_load(&flusher.works))
        move_here();
    sem_post(&flusher.wake);
}

void flusher_end(void)
{
    atomic_store(&flusher.ends, true);
    sem_post(&flusher.wake);
    pthread_join(flusher.thread, NULL);
    sem_destroy(&flusher.wake);
}
