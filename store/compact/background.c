/* See background.h. The flush has a thread of its own, so that a full memtable never waits for a
 * compaction. */
#include "background.h"

#include <stdlib.h>

struct background {
    pthread_cond_t flush_work, compact_work; /* with store.mu */
    pthread_t flusher, *compactor;
    int compactors;
    bool flusher_runs;
    bool drain;                 /* flush what there is before the flusher ends; guarded by mu */
    atomic_bool stop;           /* set under mu */
    struct compaction *running; /* guarded by mu */
};

struct compaction *background_running(struct store *s)
{
    return s->background->running;
}

void background_add_running(struct store *s, struct compaction *c)
{
    c->next = s->background->running;
    s->background->running = c;
}

void background_remove_running(struct store *s, struct compaction *c)
{
    struct compaction **at = &s->background->running;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
}

bool background_stopping(struct store *s)
{
    return atomic_load_explicit(&s->background->stop, memory_order_relaxed);
}

void background_schedule(struct store *s)
{
    if (!s->background)
        return;
    if (s->immutable_count > 0)
        pthread_cond_signal(&s->background->flush_work);
    if (compaction_needed(s))
        pthread_cond_signal(&s->background->compact_work);
}

/* A reader that let go of the last version with some table does not wait for the disk to delete it:
 * an idle compactor does that. mu held. */
static void obsolete_tables(void *arg)
{
    struct store *s = arg;
    if (s->background)
        pthread_cond_signal(&s->background->compact_work);
}

static bool can_delete(const struct store *s)
{
    return s->versions.obsolete_count > 0 && !s->versions.broken;
}

static void *flush_thread(void *arg)
{
    struct store *s = arg;
    struct background *b = s->background;
    pthread_mutex_lock(&s->mu);
    for (;;) {
        if (s->immutable_count > 0 && !s->background_error && (!b->stop || b->drain)) {
            int rc = flush_oldest(s);
            if (rc)
                store_set_error(s, rc, "flush of a memtable");
            pthread_cond_broadcast(&s->background_changed);
            background_schedule(s);
            set_delete_obsolete(&s->versions);
        } else if (b->stop) {
            break;
        } else {
            pthread_cond_wait(&b->flush_work, &s->mu);
        }
    }
    pthread_mutex_unlock(&s->mu);
    return NULL;
}

static void compact_once(struct store *s, struct compaction *c)
{
    int rc = compaction_run(s, c);
    if (rc && rc != -ECANCELED)
        store_set_error(s, rc, "compaction");
    compaction_end(s, c);
    pthread_cond_broadcast(&s->background_changed);
    set_delete_obsolete(&s->versions);
}

static void *compact_thread(void *arg)
{
    struct store *s = arg;
    struct background *b = s->background;
    pthread_mutex_lock(&s->mu);
    while (!b->stop) {
        struct compaction *c = s->background_error ? NULL : compaction_pick(s);
        if (!c && can_delete(s)) {
            set_delete_obsolete(&s->versions);
            continue;
        }
        if (!c) {
            pthread_cond_wait(&b->compact_work, &s->mu);
            continue;
        }
        if (compaction_needed(s))
            pthread_cond_signal(
                &b->compact_work); /* perhaps there is one for another thread, too */
        compact_once(s, c);
    }
    pthread_mutex_unlock(&s->mu);
    return NULL;
}

int background_start(struct store *s)
{
    struct background *b = mem_zalloc(sizeof *b);
    int n = s->options.compaction_threads, rc;
    pthread_cond_init(&b->flush_work, NULL);
    pthread_cond_init(&b->compact_work, NULL);
    b->compactor = mem_zalloc((size_t)n * sizeof *b->compactor);
    s->background = b;
    s->versions.on_obsolete = obsolete_tables;
    s->versions.on_obsolete_arg = s;
    rc = pthread_create(&b->flusher, NULL, flush_thread, s);
    b->flusher_runs = rc == 0;
    while (rc == 0 && b->compactors < n) {
        rc = pthread_create(&b->compactor[b->compactors], NULL, compact_thread, s);
        b->compactors += rc == 0;
    }
    if (rc == 0)
        return 0;
    background_stop(s, false);
    return fail(-rc, "%s: cannot start a background thread", s->dir);
}

void background_stop(struct store *s, bool drain)
{
    struct background *b = s->background;
    pthread_mutex_lock(&s->mu);
    b->drain = drain;
    b->stop = true;
    pthread_cond_broadcast(&b->flush_work);
    pthread_cond_broadcast(&b->compact_work);
    pthread_mutex_unlock(&s->mu);
    if (b->flusher_runs)
        pthread_join(b->flusher, NULL);
    for (int i = 0; i < b->compactors; i++)
        pthread_join(b->compactor[i], NULL);
    pthread_mutex_lock(&s->mu);
    set_delete_obsolete(&s->versions);
    pthread_mutex_unlock(&s->mu);
    pthread_cond_destroy(&b->flush_work);
    pthread_cond_destroy(&b->compact_work);
    free(b->compactor);
    free(b);
    s->background = NULL;
}
