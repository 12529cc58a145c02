/* See shadow.h. */
#include "shadow.h"

#include <stdlib.h>

void shadow_start(struct shadow *h, struct store *s)
{
    int n = 0;
    for (struct store_snapshot *p = s->snapshots.next; p != &s->snapshots; p = p->next)
        n++;
    *h = (struct shadow){.snapshots = mem_alloc((size_t)n * sizeof *h->snapshots)};
    for (struct store_snapshot *p = s->snapshots.next; p != &s->snapshots; p = p->next)
        h->snapshots[h->snapshot_count++] = p->sequence;
}

void shadow_end(struct shadow *h)
{
    free(h->snapshots);
    buf_free(&h->user);
}

/* Entries of one key with the same number of older snapshots look alike to every snapshot. */
static int gap_of(const struct shadow *h, uint64_t sequence)
{
    int low = 0, high = h->snapshot_count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (h->snapshots[middle] < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool shadow_hides(struct shadow *h, struct slice ikey)
{
    struct slice user = key_user(ikey);
    uint64_t sequence = key_sequence(ikey);
    int gap = gap_of(h, sequence);
    int order = h->has_user ? slice_compare(buf_slice(&h->user), user) : -1;
    h->new_user = order != 0;
    /* (the same entry in two tables, as a recovery may leave it, is none) */
    h->disorder |= order > 0 || (order == 0 && sequence > h->sequence);
    bool hidden = !h->new_user && gap == h->gap;
    if (h->new_user)
        buf_set(&h->user, user);
    h->has_user = true;
    h->gap = gap;
    h->sequence = sequence;
    return hidden;
}
