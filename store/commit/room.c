/* See room.h. */
#include "room.h"

#include <assert.h>
#include <stdlib.h>

#include "../base/on_wait.h"
#include "queue.h"
#include "sync.h"

struct room *room_new(void)
{
    struct room *r = mem_zalloc(sizeof *r);
    r->shrink = 1;
    pthread_mutex_init(&r->mu, NULL);
    return r;
}

void room_free(struct room *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->mu);
    free(r);
}

/* ---- the rate */

void room_note_flush(struct store *s, uint64_t memtable_bytes, uint64_t table_bytes, uint64_t ns)
{
    struct room *r = s->room;
    if (memtable_bytes == 0 || table_bytes == 0)
        return;
    r->shrink = r->shrink * 0.75 + 0.25 * (double)table_bytes / (double)memtable_bytes;
    throttle_meter_add(&r->flushed, memtable_bytes, ns);
}

/* Where level 0 was too full all the while, the time between two compactions counts, too: the
 * threads were busy with what had to come first. */
void room_note_compaction(struct store *s, uint64_t level0_bytes, uint64_t start_ns)
{
    struct room *r = s->room;
    uint64_t now = env_now_ns(s->env), since = r->busy_since ? r->busy_since : start_ns;
    throttle_meter_add(&r->compacted, (uint64_t)((double)level0_bytes / r->shrink),
                       now > since ? now - since : 0);
    r->busy_since = s->versions.current->level[0].count >= s->options.l0_compact ? now : 0;
}

static uint64_t lower_rate(uint64_t a, uint64_t b)
{
    return a == 0 ? b : b == 0 || a < b ? a : b;
}

/* The rate that fits what the background has before it. mu held. */
static void set_rate(struct store *s)
{
    const struct store_options *o = &s->options;
    uint64_t rate = 0;
    if (o->write_delay == STORE_DELAY_SMOOTH && !s->background_error) {
        struct throttle_load l = {
            .level0 = s->versions.current->level[0].count,
            .level0_slow = o->l0_slow,
            .level0_stop = o->l0_stop,
            .debt = compaction_debt(s),
            .debt_soft = o->debt_soft_bytes,
            .debt_hard = o->debt_hard_bytes,
            .immutables = s->immutable_count,
            .max_immutables = o->max_immutables,
            .memtable = memtable_bytes(s->mem),
            .memtable_limit = o->memtable_bytes,
        };
        rate = lower_rate(throttle_rate(throttle_flush_pressure(&l), s->room->flushed.rate),
                          throttle_rate(throttle_compact_pressure(&l), s->room->compacted.rate));
    }
    atomic_store_explicit(&s->room->rate, rate, memory_order_relaxed);
}

static void note_wait(struct room *r, uint64_t us)
{
    uint64_t longest = atomic_load_explicit(&r->longest_us, memory_order_relaxed);
    atomic_fetch_add_explicit(&r->delayed_us, us, memory_order_relaxed);
    while (us > longest && !atomic_compare_exchange_weak(&r->longest_us, &longest, us)) {
    }
}

void room_pay(struct store *s, size_t bytes)
{
    struct room *r = s->room;
    uint64_t rate = atomic_load_explicit(&r->rate, memory_order_relaxed);
    if (rate == 0 || bytes == 0)
        return;
    uint64_t start = env_now_ns(s->env);
    pthread_mutex_lock(&r->mu);
    uint64_t wait = throttle_charge(&r->bucket, rate, bytes, start);
    pthread_mutex_unlock(&r->mu);
    if (wait == 0)
        return;
    atomic_fetch_add_explicit(&r->delays, 1, memory_order_relaxed);
    about_to_wait();
    env_sleep_us(s->env, (unsigned)(wait / 1000));
    note_wait(r, (env_now_ns(s->env) - start) / 1000);
}

/* ---- room */

/* A full memtable becomes immutable, an empty one and a new log take over. mu held, let go of
 * meanwhile: nobody else can switch, since only the leader comes here. */
static int switch_memtable(struct store *s)
{
    int rc;
    struct live_log *log = live_log_next(s, &rc);
    if (rc) {
        if (!space_lacks(rc))
            store_set_error(s, rc, "new log");
        return rc;
    }
    pthread_mutex_unlock(&s->mu);
    struct memtable *mem = memtable_new();
    log_close_window(&s->log->writer);
    pthread_mutex_lock(&s->mu);
    s->immutables =
        mem_realloc(s->immutables, (size_t)(s->immutable_count + 1) * sizeof *s->immutables);
    s->immutables[s->immutable_count++] = (struct immutable){
        .mem = s->mem,
        .log_after = log->number,
        .first_sequence = s->switched_sequence + 1,
        .last_sequence = atomic_load_explicit(&s->last_sequence, memory_order_relaxed),
    };
    s->switched_sequence = s->immutables[s->immutable_count - 1].last_sequence;
    s->mem = mem;
    s->log->next = log;
    s->log = log;
    s->stats.switches++;
    struct view *old = view_publish(s);
    background_wake(s);
    pthread_mutex_unlock(&s->mu);
    view_release(old);
    pthread_mutex_lock(&s->mu);
    return 0;
}

#define OVERFILL 4 /* how many times its limit a memtable may hold on a full disk */

/* A plain writer steps back while a sync runs and too much has piled up behind it: the next round
 * would have to carry it all, and who waits for that round would wait for ever longer. mu held. */
static void bound_unsynced(struct store *s)
{
    while (s->sync->flushing && s->sync->unsynced_bytes > s->options.max_unsynced_bytes &&
           !s->background_error) {
        s->stats.stalls++;
        about_to_wait();
        pthread_cond_wait(&s->sync->flushed, &s->mu);
    }
}

static void wait_for_background(struct store *s)
{
    s->stats.stalls++;
    background_schedule(s);
    about_to_wait();
    pthread_cond_wait(&s->background_changed, &s->mu);
}

/* No switch is possible for want of space. Who brings space back may overfill the memtable (a batch
 * of deletes is small), within limits. 1 or the
 * error. mu held. */
static int make_do(const struct store *s, bool reclaims)
{
    return reclaims && memtable_bytes(s->mem) <= OVERFILL * s->options.memtable_bytes ? 1 : -ENOSPC;
}

/* There was no space for a new log: a result for step(). mu held at entry and exit. */
static int ran_out(struct store *s, bool reclaims, unsigned long long mark)
{
    pthread_mutex_unlock(&s->mu);
    bool again = space_ran_out(s, reclaims, mark, "new log");
    pthread_mutex_lock(&s->mu);
    return again ? 0 : make_do(s, reclaims);
}

/* One step towards room: 1 where there is room now, 0 to look again, or an error. mu held at entry
 * and exit. */
static int step(struct store *s, bool *may_delay, enum room_force *force, bool reclaims)
{
    int level0 = s->versions.current->level[0].count;
    bool full = memtable_bytes(s->mem) > s->options.memtable_bytes;
    if (s->background_error)
        return s->background_error;
    if (*may_delay && level0 >= s->options.l0_slow) {
        *may_delay = false;
        atomic_fetch_add_explicit(&s->room->delays, 1, memory_order_relaxed);
        pthread_mutex_unlock(&s->mu);
        about_to_wait();
        env_sleep_us(s->env, 1000);
        pthread_mutex_lock(&s->mu);
    } else if (!full && !(*force && memtable_count(s->mem) > 0)) {
        return 1;
    } else if (s->immutable_count >= s->options.max_immutables || level0 >= s->options.l0_stop) {
        if (*force == ROOM_SWITCH_NOW)
            return -EAGAIN;
        bool lacks_space = s->immutable_count >= s->options.max_immutables
                               ? s->flush_lacks_space
                               : s->compaction_lacks_space;
        if (lacks_space)
            return make_do(s, reclaims);
        if (s->immutable_count < s->options.max_immutables && s->compaction_stuck)
            return STORE_ECORRUPT;
        wait_for_background(s);
    } else {
        unsigned long long mark = space_mark(&s->space);
        int rc = switch_memtable(s);
        if (space_lacks(rc))
            return ran_out(s, reclaims, mark);
        if (rc == 0)
            *force = ROOM_NO_FORCE;
        return rc;
    }
    return 0;
}

/* Nothing to wait for and nothing to do: what is true of nearly every group. mu held. */
static bool has_room(struct store *s, enum room_force force)
{
    return !force && memtable_bytes(s->mem) <= s->options.memtable_bytes &&
           s->versions.current->level[0].count < s->options.l0_slow;
}

int room_make(struct store *s, enum room_force force, bool reclaims)
{
    bool may_delay = !force && s->options.write_delay == STORE_DELAY_SIMPLE;
    int rc = 0;
    bound_unsynced(s);
    if (s->background_error)
        return s->background_error;
    if (!has_room(s, force)) {
        uint64_t start = env_now_ns(s->env), waits = s->stats.stalls;
        bool delays = may_delay;
        while (rc == 0)
            rc = step(s, &may_delay, &force, reclaims);
        if (s->stats.stalls > waits || delays != may_delay)
            note_wait(s->room, (env_now_ns(s->env) - start) / 1000);
    }
    set_rate(s);
    return rc < 0 ? rc : 0;
}

static int force_switch(struct store *s, enum room_force how)
{
    struct store_writer w = {.force_switch = how};
    pthread_mutex_lock(&s->mu);
    /* Who is in front may wait for a compaction: this must not be the only thread that compacts. */
    bool must_not_wait = how == ROOM_SWITCH_NOW && s->options.compaction_threads == 1;
    bool again = must_not_wait && s->queue->first;
    if (!again)
        queue_append(s->queue, &w);
    pthread_mutex_unlock(&s->mu);
    return again ? -EAGAIN : store_wait(s, &w);
}

int room_switch(struct store *s)
{
    return force_switch(s, ROOM_SWITCH);
}

int room_switch_now(struct store *s)
{
    return force_switch(s, ROOM_SWITCH_NOW);
}

/* A flush that found no space is tried now; returns when a try has ended that began later than
 * this. */
static void await_flush_try(struct store *s)
{
    uint64_t begun = s->flushes_begun;
    while (s->flush_lacks_space && s->flushes_ended <= begun && !s->background_error) {
        background_retry(s);
        pthread_cond_wait(&s->background_changed, &s->mu);
    }
}

#define COMPACTION_TRY_MS 3000

/* The same for a compaction that has to make room in level 0; but it is not waited for long, since
 * there may be none that can run. */
static void await_compaction_try(struct store *s)
{
    uint64_t begun = s->compactions_begun;
    for (int i = 0; i < COMPACTION_TRY_MS && s->compaction_lacks_space &&
                    s->compaction_lacked <= begun && !s->background_error;
         i++) {
        background_retry(s);
        pthread_mutex_unlock(&s->mu);
        env_sleep_us(s->env, 1000);
        pthread_mutex_lock(&s->mu);
    }
}

int room_switch_at_last(struct store *s)
{
    int rc = room_switch(s);
    if (!space_lacks(rc))
        return rc;
    pthread_mutex_lock(&s->mu);
    await_flush_try(s);
    if (s->versions.current->level[0].count >= s->options.l0_stop)
        await_compaction_try(s);
    pthread_mutex_unlock(&s->mu);
    return room_switch(s);
}
