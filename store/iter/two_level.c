/* iter_two_level: an index whose values name runs of entries (blocks of a table, tables of a
 * level), and the runs one after the other.
 *
 * Invariant: `data` is the run that index->value named when it was opened, or NULL; the iterator is
 * valid exactly where data is. A run that cannot be read ends the iteration with its error. */
#include "iter.h"

#include <assert.h>
#include <stdlib.h>

#include "../base/buf.h"

struct two_level {
    struct iter base;
    struct iter *index, *data;
    struct iter *(*open)(void *arg, struct slice index_value);
    void (*destroy_arg)(void *arg);
    void *arg;
    struct buf opened; /* the index value that `data` belongs to */
};

static void drop_data(struct two_level *t)
{
    iter_destroy(t->data);
    t->data = NULL;
}

/* Makes `data` the run under the index's position. */
static void open_data(struct two_level *t)
{
    if (!t->index->valid) {
        drop_data(t);
        return;
    }
    if (t->data && t->data->status == 0 && slice_equal(t->index->value, buf_slice(&t->opened)))
        return;
    drop_data(t);
    buf_set(&t->opened, t->index->value);
    t->data = t->open(t->arg, buf_slice(&t->opened));
}

static void show(struct two_level *t)
{
    t->base.valid = t->data && t->data->valid;
    t->base.status = t->data && t->data->status ? t->data->status : t->index->status;
    if (t->base.valid) {
        t->base.key = t->data->key;
        t->base.value = t->data->value;
    }
}

static bool at_end_of_run(const struct two_level *t)
{
    return t->index->valid && (!t->data || (!t->data->valid && t->data->status == 0));
}

static void skip_forward(struct two_level *t)
{
    while (at_end_of_run(t)) {
        iter_next(t->index);
        open_data(t);
        if (t->data)
            iter_first(t->data);
    }
    show(t);
}

static void skip_backward(struct two_level *t)
{
    while (at_end_of_run(t)) {
        iter_prev(t->index);
        open_data(t);
        if (t->data)
            iter_last(t->data);
    }
    show(t);
}

static void two_seek(struct iter *base, struct slice target)
{
    struct two_level *t = (struct two_level *)base;
    iter_seek(t->index, target);
    open_data(t);
    if (t->data)
        iter_seek(t->data, target);
    skip_forward(t);
}

static void two_first(struct iter *base)
{
    struct two_level *t = (struct two_level *)base;
    iter_first(t->index);
    open_data(t);
    if (t->data)
        iter_first(t->data);
    skip_forward(t);
}

static void two_last(struct iter *base)
{
    struct two_level *t = (struct two_level *)base;
    iter_last(t->index);
    open_data(t);
    if (t->data)
        iter_last(t->data);
    skip_backward(t);
}

static void two_next(struct iter *base)
{
    struct two_level *t = (struct two_level *)base;
    assert(base->valid);
    iter_next(t->data);
    if (t->data->valid)
        show(t);
    else
        skip_forward(t);
}

static void two_prev(struct iter *base)
{
    struct two_level *t = (struct two_level *)base;
    assert(base->valid);
    iter_prev(t->data);
    if (t->data->valid)
        show(t);
    else
        skip_backward(t);
}

static void two_destroy(struct iter *base)
{
    struct two_level *t = (struct two_level *)base;
    iter_destroy(t->data);
    iter_destroy(t->index);
    if (t->destroy_arg)
        t->destroy_arg(t->arg);
    buf_free(&t->opened);
    free(t);
}

struct iter *iter_two_level(struct iter *index,
                            struct iter *(*open)(void *arg, struct slice index_value),
                            void (*destroy_arg)(void *arg), void *arg)
{
    static const struct iter_ops ops = {two_seek, two_first, two_last,
                                        two_next, two_prev,  two_destroy};
    struct two_level *t = mem_zalloc(sizeof *t);
    t->base.ops = &ops;
    t->index = index;
    t->open = open;
    t->destroy_arg = destroy_arg;
    t->arg = arg;
    return &t->base;
}
