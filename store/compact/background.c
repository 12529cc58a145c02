/* See background.h. The flush has a thread of its own, so that a full memtable never waits for a
 * compaction. */
#include "background.h"

#include <stdlib.h>

#include "../base/pause.h"
#include "damage.h"

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
    if (compaction_needed(s) || s->reclaim.wanted)
        pthread_cond_signal(&s->background->compact_work);
}

void background_wake(struct store *s)
{
    struct background *b = s->background;
    bool flush = s->immutable_count > 0, compact = compaction_needed(s) || s->reclaim.wanted;
    pthread_mutex_unlock(&s->mu);
    if (b && flush)
        pthread_cond_signal(&b->flush_work);
    if (b && compact)
        pthread_cond_signal(&b->compact_work);
    pthread_cond_broadcast(&s->background_changed);
    pthread_mutex_lock(&s->mu);
}

/* Perhaps there is a compaction for another thread, too. mu held at entry and exit, let go of
 * meanwhile. */
static void wake_another(struct store *s)
{
    if (!compaction_needed(s))
        return;
    pthread_mutex_unlock(&s->mu);
    pthread_cond_signal(&s->background->compact_work);
    pthread_mutex_lock(&s->mu);
}

/* A reader that let go of the last version with some table does not wait for the disk to delete it:
 * an idle compactor does that. mu NOT held. */
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

void background_retry(struct store *s)
{
    pthread_cond_broadcast(&s->background->flush_work);
    pthread_cond_broadcast(&s->background->compact_work);
}

void background_delete_obsolete(struct store *s)
{
    bool some = s->versions.obsolete_count > 0;
    set_delete_obsolete(&s->versions);
    if (some && space_is_low(&s->space)) { /* only then the disk gives the space to others */
        pthread_mutex_unlock(&s->mu);
        env_sync_dir(s->env, s->dir);
        pthread_mutex_lock(&s->mu);
    }
}

/* ---- want of space */

#define FIRST_PAUSE_MS 10
#define LONGEST_PAUSE_MS 1000

/* What becomes of a flush or compaction, begun at `mark` (db/space.h), that ended with `rc`. */
enum outcome {
    ENDED,     /* well, or with an error */
    NEXT_TRY,  /* there was no space for it; now there is the reserve's */
    LATER_TRY, /* there was no space for it */
};

/* mu held at entry and exit, let go of meanwhile. */
static enum outcome outcome_of(struct store *s, int rc, unsigned long long mark, const char *what)
{
    if (!space_lacks(rc) || s->versions.broken || s->background_error)
        return ENDED; /* (broken: what the MANIFEST on disk says is unknown) */
    s->stats.space_retries++;
    pthread_mutex_unlock(&s->mu);
    bool again = space_ran_out(s, true, mark, what);
    pthread_mutex_lock(&s->mu);
    reclaim_note_space(s);
    return again ? NEXT_TRY : LATER_TRY;
}

/* Tells who waits for a flush or compaction to end. mu held at entry and exit, let go of meanwhile;
 * but not by who pauses for space next: a retry (background_retry) that came in between would find
 * nobody. */
static void tell_ended(struct store *s, enum outcome outcome)
{
    if (outcome != LATER_TRY)
        pthread_mutex_unlock(&s->mu);
    pthread_cond_broadcast(&s->background_changed);
    if (outcome != LATER_TRY)
        pthread_mutex_lock(&s->mu);
}

/* The pause before a later try, longer each time, cut short by `work`. mu held at entry and exit,
 * let go of meanwhile. */
static void pause_for_space(pthread_mutex_t *mu, pthread_cond_t *work, unsigned *pause_ms)
{
    *pause_ms = *pause_ms == 0                     ? FIRST_PAUSE_MS
                : *pause_ms < LONGEST_PAUSE_MS / 2 ? *pause_ms * 2
                                                   : LONGEST_PAUSE_MS;
    struct timespec until = pause_end(*pause_ms / 1000.0);
    pthread_cond_timedwait(work, mu, &until);
}

/* ---- threads */

static void *flush_thread(void *arg)
{
    struct store *s = arg;
    struct background *b = s->background;
    unsigned pause_ms = 0;
    pthread_mutex_lock(&s->mu);
    live_log_prepare(s);
    for (;;) {
        if (s->immutable_count > 0 && !s->background_error && (!b->stop || b->drain)) {
            unsigned long long mark = space_mark(&s->space);
            live_log_prepare(s); /* the switch took the last one */
            s->flushes_begun++;
            int rc = flush_oldest(s);
            live_log_prepare(s); /* before those who wait for room switch again */
            s->flushes_ended++;
            enum outcome outcome = outcome_of(s, rc, mark, "flush");
            s->reclaim.progress += rc == 0;
            s->compaction_stuck = false; /* with one table more it is to be seen anew */
            s->flush_lacks_space = outcome == LATER_TRY;
            if (rc && outcome == ENDED)
                store_set_error(s, rc, "flush of a memtable");
            if (outcome == LATER_TRY) {
                tell_ended(s, outcome);
                background_schedule(s);
            } else {
                background_wake(s);
            }
            background_delete_obsolete(s);
            if (outcome != LATER_TRY)
                pause_ms = 0;
            else if (b->stop) /* nothing is lost: it is in the log */
                break;
            else if (s->flush_lacks_space) /* (nobody has looked meanwhile) */
                pause_for_space(&s->mu, &b->flush_work, &pause_ms);
        } else if (b->stop) {
            break;
        } else {
            pthread_cond_wait(&b->flush_work, &s->mu);
        }
    }
    pthread_mutex_unlock(&s->mu);
    return NULL;
}

/* A compaction, the try `number`, begun at `mark`, ended with `rc`. mu held at entry and exit, let
 * go of meanwhile. */
static enum outcome compacted(struct store *s, int rc, unsigned long long mark, uint64_t number)
{
    enum outcome outcome = outcome_of(s, rc, mark, "compaction");
    s->reclaim.progress += rc == 0;
    s->compaction_lacks_space = outcome == LATER_TRY;
    if (outcome == LATER_TRY && number > s->compaction_lacked)
        s->compaction_lacked = number;
    if (rc && outcome == ENDED && rc != -ECANCELED && rc != STORE_ECORRUPT)
        store_set_error(s, rc, "compaction");
    tell_ended(s, outcome);
    background_delete_obsolete(s);
    return outcome;
}

static enum outcome compact_once(struct store *s, struct compaction *c, uint64_t number)
{
    wake_another(s);
    unsigned long long mark = space_mark(&s->space);
    int rc = compaction_run(s, c);
    compaction_end(s, c);
    return compacted(s, rc, mark, number);
}

/* What there is to do now, done. *idle: nothing. mu held at entry and exit, let go of meanwhile. */
static enum outcome compact_something(struct store *s, bool *idle)
{
    int rc = 0;
    bool stopped = s->background_error != 0;
    unsigned long long mark = space_mark(&s->space);
    uint64_t number = ++s->compactions_begun;
    enum reclaim_result reclaimed = stopped ? RECLAIM_NOTHING : reclaim_step(s, &rc);
    *idle = false;
    if (reclaimed == RECLAIM_GOES_ON)
        return compacted(s, rc, mark, number);
    struct compaction *c = stopped || s->background_error ? NULL : compaction_pick(s);
    damage_note_stuck(s, c != NULL);
    if (c)
        return compact_once(s, c, number);
    if (can_delete(s))
        background_delete_obsolete(s);
    else if (reclaimed == RECLAIM_WAITS)
        return LATER_TRY;
    else
        *idle = true;
    return ENDED;
}

/* A compaction that needs more than there is even with the reserve gets the reserve each time it is
 * tried, and gives it back when it fails. */
static void *compact_thread(void *arg)
{
    struct store *s = arg;
    struct background *b = s->background;
    unsigned pause_ms = 0, lacked = 0;
    pthread_mutex_lock(&s->mu);
    while (!b->stop) {
        bool idle;
        enum outcome outcome = compact_something(s, &idle);
        lacked = outcome == ENDED ? 0 : lacked + 1;
        if (idle && !b->stop)
            pthread_cond_wait(&b->compact_work, &s->mu);
        else if ((outcome == LATER_TRY || lacked > 1) && !b->stop)
            pause_for_space(&s->mu, &b->compact_work, &pause_ms);
        if (!idle && outcome == ENDED &&
            !space_is_low(&s->space)) /* (else the next may fail, too) */
            pause_ms = 0;
    }
    pthread_mutex_unlock(&s->mu);
    return NULL;
}

int background_start(struct store *s)
{
    struct background *b = mem_zalloc(sizeof *b);
    int n = s->options.compaction_threads, rc;
    pause_init(&b->flush_work);
    pause_init(&b->compact_work);
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
    background_delete_obsolete(s);
    pthread_mutex_unlock(&s->mu);
    pthread_cond_destroy(&b->flush_work);
    pthread_cond_destroy(&b->compact_work);
    free(b->compactor);
    free(b);
    s->background = NULL;
}
