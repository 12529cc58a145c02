/* The commit timer: what nobody synced is on stable storage after `commit_seconds`. sync(2) does
 * not reach a FUSE filesystem, so this is what bounds the window. Access times, which wait in
 * memory (atime.c), go to the store before. */
#include <errno.h>

#include "../../store/base/pause.h"
#include "fs_internal.h"

struct commit_timer {
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t wake;
    bool stop;  /* guarded by mu */
    bool hurry; /* access times are not to wait for the interval's end; guarded by mu */
};

/* mu held; it is let go meanwhile. */
static void store_access_times(struct fs *fs)
{
    fs->timer->hurry = false;
    pthread_mutex_unlock(&fs->timer->mu);
    atime_store_all(fs);
    pthread_mutex_lock(&fs->timer->mu);
}

static void *run(void *arg)
{
    struct fs *fs = arg;
    struct commit_timer *t = fs->timer;
    bool told = false;
    pthread_mutex_lock(&t->mu);
    while (!t->stop) {
        struct timespec until = pause_end(fs->options.commit_seconds);
        while (!t->stop &&
               (t->hurry || pthread_cond_timedwait(&t->wake, &t->mu, &until) != ETIMEDOUT))
            if (t->hurry)
                store_access_times(fs);
        store_access_times(fs);
        pthread_mutex_unlock(&t->mu);
        int rc = store_sync(fs->store, 0);
        if (rc && !told)
            fs_log(fs, "the store takes no more writes: %s", fail_text());
        told = told || rc;
        pthread_mutex_lock(&t->mu);
    }
    pthread_mutex_unlock(&t->mu);
    return NULL;
}

int timer_start(struct fs *fs)
{
    struct commit_timer *t = mem_zalloc(sizeof *t);
    pthread_mutex_init(&t->mu, NULL);
    pause_init(&t->wake);
    fs->timer = t;
    int rc = pthread_create(&t->thread, NULL, run, fs);
    if (rc == 0)
        return 0;
    free(t);
    fs->timer = NULL;
    return fail(-rc, "%s: cannot start a thread", fs->dir);
}

void timer_stop(struct fs *fs)
{
    struct commit_timer *t = fs->timer;
    if (!t)
        return;
    pthread_mutex_lock(&t->mu);
    t->stop = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mu);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->mu);
    free(t);
    fs->timer = NULL;
}

void timer_store_access_times(struct fs *fs)
{
    struct commit_timer *t = fs->timer;
    pthread_mutex_lock(&t->mu);
    t->hurry = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mu);
}
