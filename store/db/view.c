/* Views: what a reader holds on to while it reads (db.h). Taking one costs a short lock and a
 * count; no reader ever waits for a writer's disk. */
#include "db.h"

#include <stdlib.h>

struct view *view_take(struct store *s)
{
    pthread_mutex_lock(&s->view_mu);
    struct view *v = s->view;
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&s->view_mu);
    return v;
}

void view_release(struct view *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) > 1)
        return;
    memtable_unref(v->mem);
    for (int i = 0; i < v->immutable_count; i++)
        memtable_unref(v->immutables[i]);
    version_unref(v->version);
    free(v);
}

struct view *view_publish(struct store *s)
{
    int n = s->immutable_count;
    struct view *v = mem_alloc(sizeof *v + (size_t)n * sizeof v->immutables[0]);
    atomic_init(&v->refs, 1);
    v->mem = s->mem;
    memtable_ref(v->mem);
    v->immutable_count = n;
    for (int i = 0; i < n; i++) {
        v->immutables[i] = s->immutables[n - 1 - i].mem;
        memtable_ref(v->immutables[i]);
    }
    v->version = s->versions.current;
    version_ref(v->version);
    pthread_mutex_lock(&s->view_mu);
    struct view *old = s->view;
    s->view = v;
    pthread_mutex_unlock(&s->view_mu);
    return old;
}
