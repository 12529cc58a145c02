/* store_flush and store_compact: what the background would do some time, done now. */
#include <stdlib.h>

#include "../commit/room.h"
#include "background.h"

int store_flush(struct store *s)
{
    uint64_t written = atomic_load(&s->last_sequence); /* what comes later is not waited for */
    int rc = room_switch_at_last(s);
    pthread_mutex_lock(&s->mu);
    uint64_t begun = s->flushes_begun;
    while (rc == 0 && s->immutable_count > 0 && s->immutables[0].first_sequence <= written) {
        rc = s->background_error;
        if (rc == 0 && s->flush_lacks_space && s->flushes_ended > begun)
            rc = -ENOSPC;
        if (rc == 0) {
            background_retry(s); /* it may pause, or end without space and pause then */
            pthread_cond_wait(&s->background_changed, &s->mu);
        }
    }
    pthread_mutex_unlock(&s->mu);
    return rc ? store_recall_error(s, rc) : 0;
}

/* The deepest level with tables in the range; 0 where there is none. mu held. */
static int deepest_level(struct store *s, struct slice from, struct slice to)
{
    int deepest = 0;
    for (int level = 1; level < VERSION_LEVELS; level++) {
        struct table_file **files = NULL;
        if (version_overlapping(s->versions.current, level, from, to, &files) > 0)
            deepest = level;
        free(files);
    }
    return deepest;
}

/* mu held at entry and exit, let go of meanwhile. */
static bool may_try_again(struct store *s, int rc, unsigned long long mark)
{
    if (!space_lacks(rc) || s->background_error)
        return false;
    pthread_mutex_unlock(&s->mu);
    bool again = space_ran_out(s, true, mark, "compaction");
    pthread_mutex_lock(&s->mu);
    return again;
}

/* Runs a compaction that store_compact asked for. mu held at entry and exit. */
static int run(struct store *s, struct compaction *c)
{
    int rc = compaction_run(s, c);
    compaction_end(s, c);
    if (rc && rc != STORE_ECORRUPT && (!space_lacks(rc) || s->versions.broken))
        store_set_error(s, rc, "compaction");
    background_wake(s); /* this one was in the way of others, or made a level too big */
    background_delete_obsolete(s);
    return rc;
}

/* All tables of the level in the range go one deeper. mu held at entry and exit. */
static int compact_level(struct store *s, int level, struct slice from, struct slice to)
{
    for (;;) {
        bool wait;
        if (s->background_error)
            return s->background_error;
        struct compaction *c = compaction_of_range(s, level, from, to, true, &wait);
        if (c) {
            unsigned long long mark = space_mark(&s->space);
            int rc = run(s, c);
            if (may_try_again(s, rc, mark))
                continue;
            return rc;
        }
        if (!wait)
            return 0;
        pthread_cond_wait(&s->background_changed, &s->mu);
    }
}

/* The tables of the deepest level stay there, without what nobody sees. One at a time, each once.
 * mu held at entry and exit. */
static int clean_level(struct store *s, int level, struct slice from, struct slice to)
{
    struct buf next = BUF_INIT; /* the first key behind what was done */
    int rc = 0;
    for (;;) {
        bool wait;
        rc = s->background_error;
        if (rc)
            break;
        struct compaction *c = compaction_in_place(s, level, from, to, &wait);
        if (c) {
            buf_set(&next, c->largest);
            buf_append(&next, "", 1);
            rc = run(s, c);
            from = buf_slice(&next);
        } else if (wait) {
            pthread_cond_wait(&s->background_changed, &s->mu);
        }
        if (rc || (!c && !wait))
            break;
    }
    buf_free(&next);
    return rc;
}

int store_compact(struct store *s, struct slice from, struct slice to)
{
    int rc = s->options.read_only ? -EROFS : store_flush(s);
    if (rc)
        return rc == -EROFS ? store_recall_error(s, rc) : rc;
    pthread_mutex_lock(&s->mu);
    int deepest = deepest_level(s, from, to), last = deepest < 1 ? 1 : deepest;
    if (last > VERSION_LEVELS - 1)
        last = VERSION_LEVELS - 1;
    for (int level = 0; rc == 0 && level < last; level++)
        rc = compact_level(s, level, from, to);
    if (rc == 0 && (!to.data || !from.data || slice_compare(from, to) <= 0))
        rc = clean_level(s, last, from, to);
    pthread_mutex_unlock(&s->mu);
    return rc ? store_recall_error(s, rc) : 0;
}
