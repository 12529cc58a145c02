/* See sync.h. */
#include "sync.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>

#include "../base/on_wait.h"
#include "wake.h"

#define COHORT_WAIT_NS 60000ull  /* the longest wait for those whom the last round released */
#define URGENT_WAIT_NS 200000ull /* ... for an urgent one, where the last round had one */
#define HOT_FLUSH_NS                                                                               \
    1000000000ull /* the log counts as synced often if two rounds were so close                    \
                   */

struct sync_state *sync_new(uint64_t durable)
{
    struct sync_state *y = mem_zalloc(sizeof *y);
    atomic_init(&y->durable, durable);
    y->committed = durable;
    pthread_cond_init(&y->flushed, NULL);
    return y;
}

void sync_free(struct sync_state *y)
{
    if (!y)
        return;
    assert(!y->first);
    pthread_cond_destroy(&y->flushed);
    free(y);
}

static uint64_t durable_now(const struct sync_state *y)
{
    return atomic_load_explicit(&y->durable, memory_order_acquire);
}

void sync_advance(struct store *s, uint64_t sequence)
{
    if (durable_now(s->sync) < sequence)
        atomic_store_explicit(&s->sync->durable, sequence, memory_order_release);
}

bool sync_is_hot(const struct store *s)
{
    return s->sync->rounds_close;
}

static void finish(struct store_writer *w, int status)
{
    w->status = status;
    wake_writer(&w->state, WRITER_DONE);
}

static void append(struct store_writer **first, struct store_writer **last, struct store_writer *w)
{
    w->next = NULL;
    if (*first)
        (*last)->next = w;
    else
        *first = w;
    *last = w;
}

/* True where nothing is left to wait for: *status says how it ended. mu held. */
static bool is_over(struct store *s, uint64_t target, int *status)
{
    *status = s->background_error;
    return s->background_error || durable_now(s->sync) >= target;
}

static void stand_in_line(struct store *s, struct store_writer *w)
{
    struct sync_state *y = s->sync;
    y->crowded |= y->led || y->first;
    append(&y->first, &y->last, w);
    atomic_fetch_add(&y->waiting, 1);
    atomic_fetch_add(&y->urgent, w->urgent);
    s->stats.sync_writers++;
}

void sync_join(struct store *s, struct store_writer *w)
{
    struct sync_state *y = s->sync;
    int status;
    if (is_over(s, w->target, &status)) {
        finish(w, status);
        return;
    }
    stand_in_line(s, w);
    if (!y->led) {
        y->led = true;
        wake_writer(&w->state, WRITER_SYNC_LEADER);
    } else {
        wake_not_yet(&w->state, WRITER_SYNCING);
    }
}

static uint64_t at_most(uint64_t ns, uint64_t limit)
{
    return ns < limit ? ns : limit;
}

/* mu held. */
static void note_gathering(struct store *s)
{
    struct sync_state *y = s->sync;
    y->gather_ns = y->awaits_urgent ? at_most(y->flush_ns, URGENT_WAIT_NS)
                                    : at_most(y->flush_ns / 2, COHORT_WAIT_NS);
}

/* Ends the wait of everyone whom `upto` covers (with an error: of all): they are put into *ended,
 * for sync_tell. Hands the lead to the first sleeper who is left; if only such are left who have a
 * function to be called the caller leads on, and true is returned. mu held. */
static bool release(struct store *s, uint64_t upto, int error, struct store_writer **ended)
{
    struct sync_state *y = s->sync;
    struct store_writer *w = y->first, *heir = NULL, *last = NULL;
    int released = 0, urgent = 0;
    y->first = y->last = NULL;
    while (w) {
        struct store_writer *next = w->next;
        if (!error && w->target > upto) {
            append(&y->first, &y->last, w);
            if (!heir && !w->done)
                heir = w;
        } else {
            released++;
            urgent += w->urgent;
            w->status = error;
            append(ended, &last, w);
        }
        w = next;
    }
    atomic_fetch_sub(&y->waiting, released);
    atomic_fetch_sub(&y->urgent, urgent);
    y->cohort = released;
    y->awaits_urgent = urgent > 0 && y->crowded;
    if (urgent > 0)
        y->crowded = false;
    note_gathering(s);
    y->led = y->first != NULL;
    if (heir)
        wake_writer(&heir->state, WRITER_SYNC_LEADER);
    return y->first && !heir;
}

void sync_tell(struct store_writer *w)
{
    while (w) {
        struct store_writer *next = w->next;
        if (w->done)
            w->done(w);
        else
            wake_writer(&w->state, WRITER_DONE);
        w = next;
    }
}

void sync_wake_all(struct store *s)
{
    pthread_cond_broadcast(&s->sync->flushed);
}

/* One log as a round sees it. */
struct target_log {
    struct live_log *log;
    uint64_t upto, taken_back;
};

/* The live logs that have something to sync, older ones first, each with a reference. mu held. */
static int collect_logs(struct store *s, struct target_log **out, bool *entries)
{
    int count = 0, n = 0;
    *entries = false;
    for (struct live_log *l = s->logs; l; l = l->next)
        count++;
    *out = mem_alloc((size_t)count * sizeof **out);
    for (struct live_log *l = s->logs; l; l = l->next) {
        if (l->synced >= l->appended && l->taken_back_synced >= l->taken_back && l->entry_synced)
            continue;
        if (!l->entry_synced)
            *entries = true;
        l->refs++;
        (*out)[n++] = (struct target_log){l, l->appended, l->taken_back};
    }
    return n;
}

/* fdatasync of every log that needs it, and before that of what their records refer to beside the
 * store: all that was committed by now was written there before. An older log may be the only place
 * of a record that the newest log's records build on, so all of them count. mu held at entry and
 * exit, let go of meanwhile. */
static int sync_logs(struct store *s)
{
    struct target_log *logs;
    bool entries;
    int n = collect_logs(s, &logs, &entries);
    pthread_mutex_unlock(&s->mu);
    int rc = beside_sync(s);
    for (int i = 0; i < n && rc == 0; i++)
        if (logs[i].log->synced < logs[i].upto ||
            logs[i].log->taken_back_synced < logs[i].taken_back)
            rc = env_sync(s->env, logs[i].log->file);
    if (rc == 0 && entries)
        rc = env_sync_dir(s->env, s->dir);
    pthread_mutex_lock(&s->mu);
    for (int i = 0; i < n; i++) {
        if (rc == 0) {
            if (logs[i].log->synced < logs[i].upto)
                logs[i].log->synced = logs[i].upto;
            logs[i].log->taken_back_synced = logs[i].taken_back;
            logs[i].log->entry_synced = true;
        }
        live_log_unref(s, logs[i].log);
    }
    free(logs);
    if (rc)
        store_set_error(s, rc, "log sync");
    return rc;
}

/* One round: notes what is committed, syncs, publishes. mu held at entry and exit. Returns what it
 * covers in *upto. */
static int run_round(struct store *s, uint64_t *upto)
{
    struct sync_state *y = s->sync;
    uint64_t start = env_now_ns(s->env);
    y->rounds_close = y->last_round_ns && start - y->last_round_ns < HOT_FLUSH_NS;
    y->last_round_ns = start;
    *upto = y->committed;
    y->unsynced_bytes = 0;
    y->flushing = true;
    s->stats.syncs++;
    int rc = sync_logs(s);
    y->flushing = false;
    if (rc == 0)
        sync_advance(s, *upto);
    y->flush_ns = (3 * y->flush_ns + (env_now_ns(s->env) - start)) / 4;
    pthread_cond_broadcast(&y->flushed);
    return rc;
}

int sync_now(struct store *s)
{
    uint64_t upto;
    while (s->sync->flushing && !s->background_error)
        pthread_cond_wait(&s->sync->flushed, &s->mu);
    if (s->background_error)
        return s->background_error;
    return run_round(s, &upto);
}

static bool has_urgent(const struct sync_state *y)
{
    return atomic_load_explicit(&y->urgent, memory_order_relaxed) > 0;
}

/* Waits (polling: a timer's slack is longer than the wait) until `enough` stand in line or the time
 * is up, or one is urgent. mu NOT held. */
static void gather(struct store *s, int enough, uint64_t limit_ns)
{
    uint64_t start = env_now_ns(s->env);
    while (atomic_load_explicit(&s->sync->waiting, memory_order_relaxed) < enough &&
           !has_urgent(s->sync) && env_now_ns(s->env) - start < limit_ns)
        sched_yield();
}

/* The pause before a round. Those whom the last round released come back one round late: a leader
 * who does not wait for them shares each round with only half of them. And where the last round had
 * an urgent one, of a crowd, the next one is likely to come soon: it must not find a round under
 * way that began without it. *enough: those who need not be waited for longer. mu held, or to
 * guess. */
static uint64_t gathering(struct store *s, int *enough)
{
    struct sync_state *y = s->sync;
    int waiting = atomic_load_explicit(&y->waiting, memory_order_relaxed);
    int cohort = atomic_load_explicit(&y->cohort, memory_order_relaxed);
    if (s->options.commit_delay_us > 0 && waiting > s->options.commit_siblings) {
        *enough = INT32_MAX;
        return s->options.commit_delay_us * 1000ull;
    }
    *enough = cohort;
    if (has_urgent(y))
        return 0;
    if (s->options.cohort_wait && atomic_load_explicit(&y->awaits_urgent, memory_order_relaxed))
        *enough = INT32_MAX;
    else if (!s->options.cohort_wait || cohort <= 1 || waiting >= cohort)
        return 0;
    return atomic_load_explicit(&y->gather_ns, memory_order_relaxed);
}

/* mu held at entry and exit, let go of meanwhile. */
static void wait_for_company(struct store *s)
{
    int enough;
    uint64_t limit = gathering(s, &enough);
    if (limit == 0)
        return;
    pthread_mutex_unlock(&s->mu);
    gather(s, enough, limit);
    pthread_mutex_lock(&s->mu);
}

/* One round for all who wait, from gathering them to releasing them; true: the caller leads on. */
static bool lead_round(struct store *s, bool may_gather)
{
    struct sync_state *y = s->sync;
    struct store_writer *ended = NULL;
    uint64_t upto = 0;
    pthread_mutex_lock(&s->mu);
    if (may_gather)
        wait_for_company(s);
    while (y->flushing && !s->background_error) /* the commit leader may be in sync_now */
        pthread_cond_wait(&y->flushed, &s->mu);
    int rc = s->background_error;
    if (rc == 0 && y->first && y->first->target <= durable_now(y))
        upto = durable_now(y);
    else if (rc == 0)
        rc = run_round(s, &upto);
    bool more = release(s, upto, rc, &ended);
    pthread_mutex_unlock(&s->mu);
    sync_tell(ended);
    return more;
}

void sync_lead(struct store *s)
{
    about_to_wait();
    while (lead_round(s, true))
        ;
}

void store_sync_start(struct store *s, uint64_t sequence, struct store_writer *w)
{
    struct sync_state *y = s->sync;
    pthread_mutex_lock(&s->mu);
    w->target = sequence && sequence < y->committed ? sequence : y->committed;
    w->sequence = w->target;
    bool over = is_over(s, w->target, &w->status);
    if (!over) {
        if (!y->led && !y->first)
            y->first_ns = env_now_ns(s->env);
        stand_in_line(s, w);
    }
    pthread_mutex_unlock(&s->mu);
    if (over)
        w->done(w);
}

enum store_sync_need store_sync_needed(struct store *s)
{
    struct sync_state *y = s->sync;
    int waiting = atomic_load_explicit(&y->waiting, memory_order_relaxed), enough;
    if (waiting == 0 || atomic_load_explicit(&y->led, memory_order_relaxed))
        return STORE_SYNC_NONE;
    if (has_urgent(y))
        return STORE_SYNC_AT_ONCE;
    uint64_t limit = gathering(s, &enough);
    return limit == 0 || waiting >= enough || env_now_ns(s->env) - y->first_ns >= limit
               ? STORE_SYNC_NOW
               : STORE_SYNC_LATER;
}

void store_sync_run(struct store *s)
{
    struct sync_state *y = s->sync;
    pthread_mutex_lock(&s->mu);
    bool lead = y->first && !y->led;
    if (lead)
        y->led = true;
    pthread_mutex_unlock(&s->mu);
    if (!lead)
        return;
    about_to_wait();
    if (lead_round(s, false)) /* who called has gathered */
        sync_lead(s);
}

int store_sync(struct store *s, uint64_t sequence)
{
    struct store_writer w = {.sync = true};
    pthread_mutex_lock(&s->mu);
    w.target = sequence && sequence < s->sync->committed ? sequence : s->sync->committed;
    w.sequence = w.target;
    sync_join(s, &w);
    pthread_mutex_unlock(&s->mu);
    return store_wait(s, &w);
}

uint64_t store_durable_sequence(struct store *s)
{
    return durable_now(s->sync);
}
