/* Point reads and cursors.
 *
 * A reader takes the view first and the sequence number after it. The other way round a compaction
 * between the two could drop the very version that the number asks for. With the view first, what
 * the number may show beyond the view lies in a newer memtable, and the reader sees the store as it
 * was when the view was taken. */
#include "db.h"

#include <stdlib.h>

static uint64_t read_sequence(struct store *s, const struct store_snapshot *snap)
{
    return snap ? snap->sequence : atomic_load_explicit(&s->last_sequence, memory_order_acquire);
}

/* As memtable_get, over the memtables of a view, newest first. */
static int get_from_memory(struct view *v, struct slice key, uint64_t sequence, struct buf *value)
{
    struct slice found;
    int r = memtable_get(v->mem, key, sequence, &found);
    for (int i = 0; r == 0 && i < v->immutable_count; i++)
        r = memtable_get(v->immutables[i], key, sequence, &found);
    if (r == 1)
        buf_set(value, found);
    return r;
}

int store_get(struct store *s, const struct store_snapshot *snap, struct slice key,
              struct buf *value)
{
    struct view *v = view_take(s);
    uint64_t sequence = read_sequence(s, snap);
    int r = get_from_memory(v, key, sequence, value);
    if (r == 0)
        r = version_get(v->version, key, sequence, value);
    view_release(v);
    return r == 1 ? 0 : r == 0 ? -ENOENT : r;
}

static void release_view(void *arg)
{
    view_release(arg);
}

static struct iter *make_iter(struct store *s, const struct store_snapshot *snap, bool keep)
{
    struct view *v = view_take(s);
    uint64_t sequence = read_sequence(s, snap);
    size_t memtables = 1 + (size_t)v->immutable_count;
    size_t most = memtables + (size_t)version_iter_count(v->version);
    struct iter **children = mem_alloc(most * sizeof *children);
    children[0] = memtable_iter(v->mem);
    for (int i = 0; i < v->immutable_count; i++)
        children[1 + i] = memtable_iter(v->immutables[i]);
    size_t n = memtables + (size_t)version_iters(v->version, keep, children + memtables);
    struct iter *merged = iter_merge(children, n);
    free(children);
    return iter_user(merged, sequence, release_view, v);
}

struct iter *store_iter(struct store *s, const struct store_snapshot *snap)
{
    return make_iter(s, snap, true);
}

struct iter *store_scan(struct store *s, const struct store_snapshot *snap)
{
    return make_iter(s, snap, false);
}

uint64_t store_approximate_size(struct store *s, struct slice from, struct slice to)
{
    struct view *v = view_take(s);
    uint64_t bytes = version_approximate_size(v->version, from, to);
    view_release(v);
    return bytes;
}
