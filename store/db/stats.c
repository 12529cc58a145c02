/* Counters and small questions about an open store. */
#include "../commit/room.h"
#include "db.h"

void store_get_stats(struct store *s, struct store_stats *out)
{
    pthread_mutex_lock(&s->mu);
    *out = s->stats;
    out->space_low = space_is_low(&s->space);
    for (int i = 0; i < VERSION_LEVELS; i++) {
        out->level_files[i] = s->versions.current->level[i].count;
        out->level_bytes[i] = s->versions.current->level[i].bytes;
    }
    pthread_mutex_unlock(&s->mu);
    out->delays = atomic_load_explicit(&s->room->delays, memory_order_relaxed);
    out->delayed_us = atomic_load_explicit(&s->room->delayed_us, memory_order_relaxed);
    out->longest_wait_us = atomic_load_explicit(&s->room->longest_us, memory_order_relaxed);
}

uint64_t store_last_sequence(struct store *s)
{
    return atomic_load_explicit(&s->last_sequence, memory_order_acquire);
}

uint64_t store_flushed_sequence(struct store *s)
{
    return atomic_load_explicit(&s->flushed_sequence, memory_order_acquire);
}

struct env *store_env(struct store *s)
{
    return s->env;
}
