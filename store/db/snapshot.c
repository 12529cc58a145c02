/* Snapshots: sequence numbers in a ring, oldest first, that compaction looks at before it drops a
 * version. */
#include "db.h"

#include <stdlib.h>

struct store_snapshot *store_snapshot_take(struct store *s)
{
    struct store_snapshot *snap = mem_alloc(sizeof *snap), *head = &s->snapshots;
    pthread_mutex_lock(&s->mu);
    snap->sequence = atomic_load_explicit(&s->last_sequence, memory_order_relaxed);
    snap->next = head;
    snap->prev = head->prev;
    head->prev->next = snap;
    head->prev = snap;
    pthread_mutex_unlock(&s->mu);
    return snap;
}

void store_snapshot_release(struct store *s, struct store_snapshot *snap)
{
    if (!snap)
        return;
    pthread_mutex_lock(&s->mu);
    snap->prev->next = snap->next;
    snap->next->prev = snap->prev;
    pthread_mutex_unlock(&s->mu);
    free(snap);
}

uint64_t store_snapshot_sequence(const struct store_snapshot *snap)
{
    return snap->sequence;
}
