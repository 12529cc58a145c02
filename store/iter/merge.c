/* iter_merge: the union of sorted children. Few children (memtables, level-0 tables, one for each
 * level), so the smallest is found by looking at all of them.
 *
 * Entries are ordered by key and, among equal keys, by child. Invariant: going forward, every child
 * but the current one stands at its first entry behind the current one; going backward, at its last
 * before it. A change of direction puts the others right.
 *
 * `rival` is the best of the others, or NULL. While the current child moves ahead of it, one
 * comparison a step is enough. */
#include "iter.h"

#include <assert.h>
#include <stdlib.h>

#include "../memtable/key_format.h"

struct merge {
    struct iter base;
    size_t count;
    struct iter *current, *rival;
    bool before_rival; /* among the children */
    bool backward;
    struct iter *child[];
};

/* Takes over what the current child shows, or the end. */
static void show(struct merge *m)
{
    m->base.valid = m->current != NULL;
    if (m->current) {
        m->base.key = m->current->key;
        m->base.value = m->current->value;
    }
    m->base.status = 0;
    for (size_t i = 0; i < m->count && m->base.status == 0; i++)
        if (!m->child[i]->valid)
            m->base.status = m->child[i]->status;
    if (m->base.status) /* what a child could not read may belong here: stop rather than skip it */
        m->base.valid = false;
}

static void pick_smallest(struct merge *m)
{
    m->current = m->rival = NULL;
    for (size_t i = 0; i < m->count; i++) {
        struct iter *c = m->child[i];
        if (!c->valid)
            continue;
        if (!m->current || ikey_compare(c->key, m->current->key) < 0) {
            m->rival = m->current;
            m->current = c;
            m->before_rival = false;
        } else if (!m->rival || ikey_compare(c->key, m->rival->key) < 0) {
            m->rival = c;
            m->before_rival = true;
        }
    }
    show(m);
}

static void pick_largest(struct merge *m)
{
    m->current = m->rival = NULL;
    for (size_t i = m->count; i-- > 0;) {
        struct iter *c = m->child[i];
        if (!c->valid)
            continue;
        if (!m->current || ikey_compare(c->key, m->current->key) > 0) {
            m->rival = m->current;
            m->current = c;
            m->before_rival = true;
        } else if (!m->rival || ikey_compare(c->key, m->rival->key) > 0) {
            m->rival = c;
            m->before_rival = false;
        }
    }
    show(m);
}

/* The current child has moved: is it still the one? Then shows it. */
static bool still_ahead(struct merge *m)
{
    struct iter *c = m->current;
    if (!c->valid)
        return false;
    if (m->rival) {
        int r = ikey_compare(c->key, m->rival->key);
        if (m->backward ? r < 0 : r > 0)
            return false;
        if (r == 0 && m->before_rival == m->backward)
            return false;
    }
    m->base.key = c->key;
    m->base.value = c->value;
    return true;
}

static void merge_seek(struct iter *base, struct slice target)
{
    struct merge *m = (struct merge *)base;
    for (size_t i = 0; i < m->count; i++)
        iter_seek(m->child[i], target);
    m->backward = false;
    pick_smallest(m);
}

static void merge_first(struct iter *base)
{
    struct merge *m = (struct merge *)base;
    for (size_t i = 0; i < m->count; i++)
        iter_first(m->child[i]);
    m->backward = false;
    pick_smallest(m);
}

static void merge_last(struct iter *base)
{
    struct merge *m = (struct merge *)base;
    for (size_t i = 0; i < m->count; i++)
        iter_last(m->child[i]);
    m->backward = true;
    pick_largest(m);
}

/* An equal key in an earlier child is before the current entry, in a later child behind it. */
static void turn_forward(struct merge *m)
{
    bool earlier = true;
    for (size_t i = 0; i < m->count; i++) {
        struct iter *c = m->child[i];
        if (c == m->current) {
            earlier = false;
            continue;
        }
        iter_seek(c, m->base.key);
        if (earlier && c->valid && ikey_compare(c->key, m->base.key) == 0)
            iter_next(c);
    }
    m->backward = false;
}

static void turn_backward(struct merge *m)
{
    bool earlier = true;
    for (size_t i = 0; i < m->count; i++) {
        struct iter *c = m->child[i];
        if (c == m->current) {
            earlier = false;
            continue;
        }
        iter_seek(c, m->base.key);
        if (earlier && c->valid && ikey_compare(c->key, m->base.key) == 0)
            continue;
        if (c->valid)
            iter_prev(c);
        else if (c->status == 0)
            iter_last(c);
    }
    m->backward = true;
}

static void merge_next(struct iter *base)
{
    struct merge *m = (struct merge *)base;
    assert(base->valid);
    bool turned = m->backward;
    if (turned)
        turn_forward(m);
    iter_next(m->current);
    if (turned || !still_ahead(m))
        pick_smallest(m);
}

static void merge_prev(struct iter *base)
{
    struct merge *m = (struct merge *)base;
    assert(base->valid);
    bool turned = !m->backward;
    if (turned)
        turn_backward(m);
    iter_prev(m->current);
    if (turned || !still_ahead(m))
        pick_largest(m);
}

static void merge_destroy(struct iter *base)
{
    struct merge *m = (struct merge *)base;
    for (size_t i = 0; i < m->count; i++)
        iter_destroy(m->child[i]);
    free(m);
}

struct iter *iter_merge(struct iter **children, size_t n)
{
    static const struct iter_ops ops = {merge_seek, merge_first, merge_last,
                                        merge_next, merge_prev,  merge_destroy};
    if (n == 0)
        return iter_empty(0);
    if (n == 1)
        return children[0];
    struct merge *m = mem_zalloc(sizeof *m + n * sizeof m->child[0]);
    m->base.ops = &ops;
    m->count = n;
    memcpy(m->child, children, n * sizeof m->child[0]);
    return &m->base;
}
