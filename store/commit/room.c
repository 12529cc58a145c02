/* See room.h. */
#include "room.h"

#include <assert.h>
#include <stdlib.h>

#include "../base/on_wait.h"
#include "queue.h"
#include "sync.h"

/* A full memtable becomes immutable, an empty one and a new log take over. mu held, let go of while
 * the log file is made: nobody else can switch, since only the leader comes here. */
static int switch_memtable(struct store *s)
{
    uint64_t number = set_new_number(&s->versions);
    int rc = 0;
    pthread_mutex_unlock(&s->mu);
    about_to_wait();
    struct live_log *log = live_log_create(s, number, &rc);
    struct memtable *mem = memtable_new();
    pthread_mutex_lock(&s->mu);
    if (rc) {
        memtable_unref(mem);
        store_set_error(s, rc, "new log");
        return rc;
    }
    s->immutables =
        mem_realloc(s->immutables, (size_t)(s->immutable_count + 1) * sizeof *s->immutables);
    s->immutables[s->immutable_count++] = (struct immutable){
        .mem = s->mem,
        .log_after = number,
        .last_sequence = atomic_load_explicit(&s->last_sequence, memory_order_relaxed),
    };
    s->mem = mem;
    s->log->next = log;
    s->log = log;
    s->stats.switches++;
    struct view *old = view_publish(s);
    background_schedule(s);
    pthread_mutex_unlock(&s->mu);
    view_release(old);
    pthread_mutex_lock(&s->mu);
    return 0;
}

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

int room_make(struct store *s, bool force)
{
    bool may_delay = !force;
    bound_unsynced(s);
    for (;;) {
        int level0 = s->versions.current->level[0].count;
        bool full = memtable_bytes(s->mem) > s->options.memtable_bytes;
        if (s->background_error)
            return s->background_error;
        if (may_delay && level0 >= s->options.l0_slow) {
            may_delay = false;
            s->stats.delays++;
            pthread_mutex_unlock(&s->mu);
            about_to_wait();
            env_sleep_us(s->env, 1000);
            pthread_mutex_lock(&s->mu);
        } else if (!full && !(force && memtable_count(s->mem) > 0)) {
            return 0;
        } else if (s->immutable_count >= s->options.max_immutables ||
                   level0 >= s->options.l0_stop) {
            wait_for_background(s);
        } else {
            int rc = switch_memtable(s);
            if (rc)
                return rc;
            force = false;
        }
    }
}

int room_switch(struct store *s)
{
    struct store_writer w = {.force_switch = true};
    store_enqueue(s, &w);
    return store_wait(s, &w);
}
