/* iter_user: what a user of the store sees. Of the internal entries (user key, number) it shows,
 * for each user key, the newest one at or below its sequence, if that is a put.
 *
 * Invariant: going forward, `in` stands at the entry that is shown. Going backward, what is shown
 * was copied to key/value, and `in` stands before all entries of its user key. */
#include "iter.h"

#include <assert.h>
#include <stdlib.h>

#include "../base/error.h"
#include "../memtable/key_format.h"

struct user {
    struct iter base;
    struct iter *in;
    uint64_t sequence;
    void (*release)(void *arg);
    void *arg;
    bool backward;
    struct buf key, value; /* backward: what is shown; forward: key to skip */
    struct buf target;
    struct buf prefix; /* going forward ends at the first key without it */
};

static void end(struct user *u)
{
    u->base.valid = false;
    u->base.status = u->in->status;
}

/* Neither too short nor of a type that nobody here writes; else the iterator ends with an error. */
static bool sane(struct user *u)
{
    struct slice ikey = u->in->key;
    if (ikey.len >= KEY_TAG_SIZE && (key_type(ikey) == KEY_PUT || key_type(ikey) == KEY_DELETE))
        return true;
    u->base.valid = false;
    u->base.status = ikey.len < KEY_TAG_SIZE
                         ? fail(STORE_ECORRUPT, "an internal key of %zu bytes", ikey.len)
                         : fail(STORE_ECORRUPT, "an entry of unknown type %d", (int)key_type(ikey));
    return false;
}

/* From `in` on, shows the first user key whose newest visible entry is a put. `skip`: entries of
 * the key in u->key are older versions of one already dealt with. */
static void find_forward(struct user *u, bool skip)
{
    for (; u->in->valid; iter_next(u->in)) {
        if (!sane(u))
            return;
        struct slice ikey = u->in->key;
        if (!slice_starts_with(key_user(ikey), buf_slice(&u->prefix)))
            break;
        if (key_sequence(ikey) > u->sequence)
            continue;
        if (skip && slice_equal(key_user(ikey), buf_slice(&u->key)))
            continue;
        if (key_type(ikey) == KEY_PUT) {
            u->base.valid = true;
            u->base.key = key_user(ikey);
            u->base.value = u->in->value;
            return;
        }
        buf_set(&u->key, key_user(ikey));
        skip = true;
    }
    end(u);
}

/* From `in` backward, shows the first user key (going down) that is visible. Entries of a key come
 * oldest first here, so the last one at or below the sequence decides. */
static void find_backward(struct user *u)
{
    bool have = false, put = false;
    for (; u->in->valid; iter_prev(u->in)) {
        if (!sane(u))
            return;
        struct slice ikey = u->in->key;
        if (have && put && !slice_equal(key_user(ikey), buf_slice(&u->key)))
            break;
        if (key_sequence(ikey) > u->sequence)
            continue;
        have = true;
        put = key_type(ikey) == KEY_PUT;
        buf_set(&u->key, key_user(ikey));
        if (put)
            buf_set(&u->value, u->in->value);
    }
    if (u->in->status || !put) {
        end(u);
        return;
    }
    u->base.valid = true;
    u->base.key = buf_slice(&u->key);
    u->base.value = buf_slice(&u->value);
}

static void user_seek(struct iter *base, struct slice target)
{
    struct user *u = (struct user *)base;
    buf_clear(&u->target);
    buf_put_ikey(&u->target, target, u->sequence, KEY_TYPE_SEEK);
    u->backward = false;
    iter_seek(u->in, buf_slice(&u->target));
    base->status = 0;
    find_forward(u, false);
}

static void user_first(struct iter *base)
{
    struct user *u = (struct user *)base;
    u->backward = false;
    iter_first(u->in);
    base->status = 0;
    find_forward(u, false);
}

static void user_last(struct iter *base)
{
    struct user *u = (struct user *)base;
    u->backward = true;
    iter_last(u->in);
    base->status = 0;
    find_backward(u);
}

static void user_next(struct iter *base)
{
    struct user *u = (struct user *)base;
    assert(base->valid);
    if (u->backward) { /* `in` stands before the key shown: go to its first entry; the rest is
                          skipped */
        u->backward = false;
        if (u->in->valid)
            iter_next(u->in);
        else
            iter_first(u->in);
    } else {
        buf_set(&u->key, base->key);
        iter_next(u->in);
    }
    find_forward(u, true);
}

static void user_prev(struct iter *base)
{
    struct user *u = (struct user *)base;
    assert(base->valid);
    if (!u->backward) { /* go before all entries of the key shown */
        buf_set(&u->key, base->key);
        do
            iter_prev(u->in);
        while (u->in->valid && sane(u) && slice_equal(key_user(u->in->key), buf_slice(&u->key)));
        u->backward = true;
        if (base->status)
            return;
    }
    find_backward(u);
}

static void user_destroy(struct iter *base)
{
    struct user *u = (struct user *)base;
    iter_destroy(u->in);
    if (u->release)
        u->release(u->arg);
    buf_free(&u->key);
    buf_free(&u->value);
    buf_free(&u->target);
    buf_free(&u->prefix);
    free(u);
}

static const struct iter_ops user_ops = {user_seek, user_first, user_last,
                                         user_next, user_prev,  user_destroy};

void iter_stay_within(struct iter *it, struct slice prefix)
{
    if (it->ops == &user_ops)
        buf_set(&((struct user *)it)->prefix, prefix);
}

struct iter *iter_user(struct iter *internal, uint64_t sequence, void (*release)(void *arg),
                       void *arg)
{
    struct user *u = mem_zalloc(sizeof *u);
    u->base.ops = &user_ops;
    u->in = internal;
    u->sequence = sequence;
    u->release = release;
    u->arg = arg;
    return &u->base;
}
