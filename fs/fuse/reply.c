/* See reply.h. */
#include "reply.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- the buffer in which a thread of the loop builds an answer: kept from request to request,
 * since the answers of a large read need a megabyte, and freed when the thread ends */

struct thread_buffer {
    size_t size;
    char bytes[];
};

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
    /* Fails only where a process uses all its keys. */
    if (pthread_key_create(&key, free) != 0)
        abort();
}

char *reply_buffer(size_t size)
{
    pthread_once(&once, make_key);
    struct thread_buffer *b = pthread_getspecific(key);
    if (b == NULL || b->size < size) {
        free(b);
        b = mem_alloc(sizeof *b + size);
        b->size = size;
        pthread_setspecific(key, b);
    }
    return b->bytes;
}

/* ---- fsync */

struct waiting_sync {
    struct fs_sync sync; /* first */
    fuse_req_t req;
};

static void answer_sync(struct fs_sync *sync, int rc)
{
    struct waiting_sync *w = (struct waiting_sync *)sync;
    struct session *s = fuse_req_userdata(w->req);
    reply_status(w->req, rc);
    free(w);
    atomic_fetch_sub(&s->syncs, 1); /* the last that is done with the session: it may end now */
}

void reply_after_sync(fuse_req_t req, fuse_ino_t ino, bool urgent)
{
    struct waiting_sync *w = mem_alloc(sizeof *w);
    *w = (struct waiting_sync){.sync.done = answer_sync, .sync.urgent = urgent, .req = req};
    atomic_fetch_add(&((struct session *)fuse_req_userdata(req))->syncs, 1);
    fs_sync_start(fs_of(req), ino, &w->sync);
}

void reply_await_syncs(struct session *s)
{
    while (atomic_load(&s->syncs) > 0)
        usleep(1000); /* once in a mount, and seldom even then: nobody needs to be told */
}
