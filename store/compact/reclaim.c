/* See reclaim.h. */
#include "reclaim.h"

#include <stdlib.h>

#include "../base/on_wait.h"
#include "../commit/room.h"
#include "../table/table_cache.h"
#include "background.h"

/* The next table of the level behind `after` in key order; NULL: there is none. */
static struct table_file *next_table(const struct version *v, int level, const struct buf *after)
{
    for (int i = 0; i < v->level[level].count; i++) {
        struct table_file *f = v->level[level].files[i];
        if (after->len == 0 ||
            slice_compare(key_user(buf_slice(&f->largest)), buf_slice(after)) > 0)
            return f;
    }
    return NULL;
}

/* A table never changes: it is read once for this. mu NOT held. */
static bool has_deletes(struct store *s, struct table_file *f)
{
    pthread_mutex_lock(&s->mu);
    bool known = f->plain || f->no_deletes, found = false;
    pthread_mutex_unlock(&s->mu);
    if (known)
        return false;
    struct iter *it = table_cache_iter(s->tables, f->number, f->size, false);
    for (iter_first(it); !found && it->valid; iter_next(it))
        found = key_type(it->key) == KEY_DELETE;
    bool none = !found && it->status == 0;
    iter_destroy(it);
    pthread_mutex_lock(&s->mu);
    f->no_deletes = none;
    pthread_mutex_unlock(&s->mu);
    return found;
}

static bool is_deepest_level(const struct version *v, int level)
{
    for (int deeper = level + 1; deeper < VERSION_LEVELS; deeper++)
        if (v->level[deeper].count > 0)
            return false;
    return true;
}

/* Where to go on: *from and *to are the keys of a table with deletes, or both empty (all of level
 * 0). False: nothing is left. Reads tables; mu NOT held. */
static bool find_next(struct store *s, struct reclaim *r, struct buf *from, struct buf *to)
{
    struct view *view = view_take(s);
    bool found = r->level == 0 && view->version->level[0].count > 0;
    if (r->level == 0 && !found)
        r->level = 1;
    while (!found && !background_stopping(s) && !is_deepest_level(view->version, r->level)) {
        struct table_file *f = next_table(view->version, r->level, &r->after);
        if (!f) {
            r->level++;
            buf_clear(&r->after);
            continue;
        }
        buf_set(from, key_user(buf_slice(&f->smallest)));
        buf_set(to, key_user(buf_slice(&f->largest)));
        found = has_deletes(s, f);
        if (!found)
            buf_set(&r->after, buf_slice(to));
    }
    view_release(view);
    return found;
}

/* What was deleted leaves the memtable first. */
static bool begin(struct store *s, struct reclaim *r)
{
    if (!r->begun) {
        r->wanted = false;
        r->begun = true;
        r->level = 0;
        buf_clear(&r->after);
        pthread_mutex_unlock(&s->mu);
        int rc = room_switch_now(s);
        pthread_mutex_lock(&s->mu);
        r->stays_behind = rc != 0;
        if (rc) /* no space for a log: the memtable's deletes have to wait */
            r->wanted = true;
        if (rc == -EAGAIN) { /* first what is full becomes emptier */
            r->begun = false;
            return false;
        }
    }
    return s->immutable_count == 0;
}

static struct slice bound(const struct reclaim *r, const struct buf *b)
{
    return r->level == 0 ? slice_of(NULL, 0) : buf_slice(b);
}

static enum reclaim_result compact_next(struct store *s, struct reclaim *r, int *rc)
{
    struct buf from = BUF_INIT, to = BUF_INIT;
    enum reclaim_result result = RECLAIM_GOES_ON;
    bool wait = false;
    pthread_mutex_unlock(&s->mu);
    bool found = find_next(s, r, &from, &to);
    pthread_mutex_lock(&s->mu);
    struct compaction *c =
        found ? compaction_of_range(s, r->level, bound(r, &from), bound(r, &to), false, &wait)
              : NULL;
    if (c) {
        *rc = compaction_run(s, c);
        compaction_end(s, c);
    }
    if (!found) {
        r->begun = false;
        if (r->stays_behind)
            result = RECLAIM_WAITS;
    } else if (wait)
        result = RECLAIM_WAITS;
    else if (r->level == 0)
        r->level = 1;
    else
        buf_set(&r->after, buf_slice(&to));
    if (space_lacks(*rc)) /* for another one there may be space, and then for this */
        r->wanted = true;
    buf_free(&from);
    buf_free(&to);
    return result;
}

void reclaim_note_space(struct store *s)
{
    bool low = space_is_low(&s->space);
    if (low && !s->reclaim.noted) {
        s->reclaim.wanted = true;
        background_schedule(s);
    }
    s->reclaim.noted = low;
}

void reclaim_note_deletes(struct store *s)
{
    s->reclaim.progress++;
    if (s->reclaim.wanted)
        return;
    s->reclaim.wanted = true;
    background_schedule(s);
}

/* Nobody may have asked to write meanwhile. Or somebody has run out of space between the look and
 * here, and counts on what is wanted. */
static bool is_still_low(struct store *s)
{
    if (!space_is_low(&s->space))
        return false;
    pthread_mutex_unlock(&s->mu);
    space_look(s);
    pthread_mutex_lock(&s->mu);
    reclaim_note_space(s);
    return space_is_low(&s->space);
}

enum reclaim_result reclaim_step(struct store *s, int *rc)
{
    struct reclaim *r = &s->reclaim;
    enum reclaim_result result = RECLAIM_NOTHING;
    *rc = 0;
    if (r->running || !(r->begun || r->wanted))
        return RECLAIM_NOTHING;
    r->running = true;
    if (!is_still_low(s))
        r->begun = r->wanted = false;
    else if (!begin(s, r))
        result = RECLAIM_WAITS;
    else
        result = compact_next(s, r, rc);
    r->running = false;
    return result;
}

/* ---- who waits for it */

#define AWAIT_MS 10000
#define STEP_MS 500 /* it is given up where nothing has come of it for so long */
#define RETRY_MS 50 /* so often what pauses for want of space is tried now */

/* Nothing, where somebody has waited in vain and nothing was done since. mu held. */
static bool is_coming(const struct store *s)
{
    const struct reclaim *r = &s->reclaim;
    bool flush = s->immutable_count > 0 && !s->flush_lacks_space;
    bool step = r->wanted || r->begun || r->running || s->versions.obsolete_count > 0;
    return s->background_error == 0 && space_is_low(&s->space) && (flush || step) &&
           r->in_vain != r->progress;
}

/* mu NOT held. */
static bool look(struct store *s, bool *coming, uint64_t *progress)
{
    bool enough = space_look(s);
    pthread_mutex_lock(&s->mu);
    reclaim_note_space(s);
    *coming = is_coming(s);
    *progress = s->reclaim.progress;
    pthread_mutex_unlock(&s->mu);
    return enough;
}

static void retry(struct store *s)
{
    pthread_mutex_lock(&s->mu);
    background_retry(s);
    pthread_mutex_unlock(&s->mu);
}

static void note_in_vain(struct store *s, uint64_t progress)
{
    pthread_mutex_lock(&s->mu);
    s->reclaim.in_vain = progress;
    pthread_mutex_unlock(&s->mu);
}

bool store_await_space(struct store *s)
{
    uint64_t progress, last;
    bool coming;
    about_to_wait();
    space_ran_out(s, false, space_mark(&s->space), "write");
    bool enough = look(s, &coming, &last);
    for (int i = 0, since = 0; coming && !enough && i < AWAIT_MS && since < STEP_MS; i++) {
        if (i % RETRY_MS == 0)
            retry(s);
        env_sleep_us(s->env, 1000);
        enough = look(s, &coming, &progress);
        since = progress == last ? since + 1 : 0;
        last = progress;
    }
    if (!enough)
        note_in_vain(s, last);
    return enough;
}
