/* See sorted.h. */
#include "sorted.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../memtable/key_format.h"
#include "history.h"

/* ---- the array */

void sorted_free(struct sorted *s)
{
    for (int i = 0; i < s->count; i++) {
        buf_free(&s->at[i].key);
        buf_free(&s->at[i].value);
    }
    free(s->at);
    *s = (struct sorted){.user_keys = s->user_keys};
}

void sorted_add(struct sorted *s, struct slice key, struct slice value, int from)
{
    s->at = mem_realloc(s->at, ((size_t)s->count + 1) * sizeof s->at[0]);
    struct sorted_entry *e = &s->at[s->count++];
    *e = (struct sorted_entry){.from = from};
    buf_append_slice(&e->key, key);
    buf_append_slice(&e->value, value);
}

static int compare(const struct sorted *s, struct slice a, struct slice b)
{
    return s->user_keys ? slice_compare(a, b) : ikey_compare(a, b);
}

static int by_key(const void *a, const void *b, void *s)
{
    const struct sorted_entry *x = a, *y = b;
    int order = compare(s, buf_slice(&x->key), buf_slice(&y->key));
    return order ? order : x->from - y->from;
}

void sorted_sort(struct sorted *s)
{
    if (s->count > 0)
        qsort_r(s->at, (size_t)s->count, sizeof s->at[0], by_key, s);
}

void sorted_drop_equal(struct sorted *s)
{
    int kept = 0;
    for (int i = 0; i < s->count; i++)
        if (kept > 0 && slice_equal(buf_slice(&s->at[kept - 1].key), buf_slice(&s->at[i].key))) {
            buf_free(&s->at[i].key);
            buf_free(&s->at[i].value);
        } else {
            s->at[kept++] = s->at[i];
        }
    s->count = kept;
}

int sorted_seek(const struct sorted *s, struct slice key)
{
    int low = 0, high = s->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (compare(s, buf_slice(&s->at[middle].key), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- random entries */

void sorted_random_user_key(struct sim_random *r, struct buf *out)
{
    static const char letters[] = {'a', 'b', 'c', 0, (char)0xff};
    buf_clear(out);
    for (uint64_t i = sim_below(r, 10); i > 0; i--)
        buf_append(out, &letters[sim_below(r, sim_chance(r, 80) ? 2 : 5)], 1);
    if (sim_chance(r, 2)) { /* so long that lengths take two bytes */
        memset(buf_reserve(out, 300), 'x', 300);
        out->len += 300;
    }
}

void sorted_random_ikey(struct sim_random *r, struct buf *out)
{
    sorted_random_user_key(r, out);
    buf_put_fixed64(out, key_tag(sim_below(r, 50), sim_chance(r, 75) ? KEY_PUT : KEY_DELETE));
}

void sorted_random(struct sim_random *r, struct sorted *s, int most)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    *s = (struct sorted){.count = 0};
    for (int i = (int)sim_below(r, (uint64_t)most + 1); i > 0; i--) {
        char text[16];
        sorted_random_ikey(r, &key);
        snprintf(text, sizeof text, "%d", i);
        buf_clear(&value);
        if (sim_chance(r, 90))
            buf_append_slice(&value, slice_str(text));
        for (uint64_t more = sim_chance(r, 5) ? sim_below(r, 500) : 0; more > 0; more--)
            buf_append(&value, &text[more % strlen(text)], 1);
        sorted_add(s, buf_slice(&key), buf_slice(&value), i);
    }
    sorted_sort(s);
    sorted_drop_equal(s);
    buf_free(&key);
    buf_free(&value);
}

/* ---- the iterator */

struct array_iter {
    struct iter base;
    const struct sorted *s;
    int at, unreadable;
    struct sim_random *fickle;
    char *shown; /* a copy of key and value, of exactly their length */
    size_t shown_len;
};

static void hide(struct array_iter *it)
{
    if (it->shown)
        memset(it->shown, 0xdd, it->shown_len);
    free(it->shown);
    it->shown = NULL;
}

static void stand(struct array_iter *it, int i)
{
    hide(it);
    it->at = i;
    it->base.key = it->base.value = slice_of(NULL, 0);
    bool there = i >= 0 && i < it->s->count;
    bool fails = (there && i == it->unreadable) || (it->fickle && sim_chance(it->fickle, 5));
    it->base.valid = there && !fails;
    it->base.status = fails ? -EIO : 0;
    if (!it->base.valid)
        return;
    struct slice key = buf_slice(&it->s->at[i].key), value = buf_slice(&it->s->at[i].value);
    it->shown_len = key.len + value.len;
    it->shown = mem_alloc(it->shown_len);
    if (key.len)
        memcpy(it->shown, key.data, key.len);
    if (value.len)
        memcpy(it->shown + key.len, value.data, value.len);
    it->base.key = slice_of(it->shown, key.len);
    it->base.value = slice_of(it->shown + key.len, value.len);
}

static void array_seek(struct iter *base, struct slice target)
{
    struct array_iter *it = (struct array_iter *)base;
    stand(it, sorted_seek(it->s, target));
}

static void array_first(struct iter *base)
{
    stand((struct array_iter *)base, 0);
}

static void array_last(struct iter *base)
{
    struct array_iter *it = (struct array_iter *)base;
    stand(it, it->s->count - 1);
}

static void array_next(struct iter *base)
{
    struct array_iter *it = (struct array_iter *)base;
    MUST(base->valid, "next of an iterator that stands nowhere");
    stand(it, it->at + 1);
}

static void array_prev(struct iter *base)
{
    struct array_iter *it = (struct array_iter *)base;
    MUST(base->valid, "prev of an iterator that stands nowhere");
    stand(it, it->at - 1);
}

static void array_destroy(struct iter *base)
{
    hide((struct array_iter *)base);
    free(base);
}

struct iter *sorted_iter(const struct sorted *s, int unreadable)
{
    static const struct iter_ops ops = {array_seek, array_first, array_last,
                                        array_next, array_prev,  array_destroy};
    struct array_iter *it = mem_zalloc(sizeof *it);
    it->base.ops = &ops;
    it->s = s;
    it->unreadable = unreadable;
    return &it->base;
}

struct iter *sorted_iter_fickle(const struct sorted *s, struct sim_random *r)
{
    struct iter *it = sorted_iter(s, -1);
    ((struct array_iter *)it)->fickle = r;
    return it;
}

/* ---- checks */

void sorted_check_at(struct iter *it, const struct sorted *s, int i)
{
    bool valid = i >= 0 && i < s->count;
    MUST(it->status == 0, "entry %d of %d: error %d", i, s->count, it->status);
    MUST(it->valid == valid, "entry %d of %d: valid: %d", i, s->count, it->valid);
    if (!valid)
        return;
    MUST(slice_equal(it->key, buf_slice(&s->at[i].key)), "entry %d of %d: another key", i,
         s->count);
    MUST(slice_equal(it->value, buf_slice(&s->at[i].value)), "entry %d of %d: another value", i,
         s->count);
}

/* At entry i, or stopped by the error that is allowed: then false. */
static bool stands_at(struct iter *it, const struct sorted *s, int i, int error)
{
    if (error && it->status == error) {
        MUST(!it->valid, "an error and an entry");
        return false;
    }
    sorted_check_at(it, s, i);
    return true;
}

static void run_through(struct iter *it, const struct sorted *s, int error)
{
    int i = 0;
    for (iter_first(it); stands_at(it, s, i, error) && i < s->count; i++)
        iter_next(it);
    i = s->count - 1;
    for (iter_last(it); stands_at(it, s, i, error) && i >= 0; i--)
        iter_prev(it);
}

/* Where the array stands after a random move of the iterator from entry i. */
static int random_move(struct sim_random *r, struct iter *it, const struct sorted *s, int i,
                       struct buf *target)
{
    uint64_t move = sim_below(r, 100);
    if (it->valid && move < 42) {
        iter_next(it);
        return i + 1;
    }
    if (it->valid && move < 84) {
        iter_prev(it);
        return i - 1;
    }
    if (move < 87) {
        iter_first(it);
        return 0;
    }
    if (move < 90) {
        iter_last(it);
        return s->count - 1;
    }
    if (s->count > 0 && sim_chance(r, 50))
        buf_set(target, buf_slice(&s->at[sim_below(r, (uint64_t)s->count)].key));
    else if (s->user_keys)
        sorted_random_user_key(r, target);
    else
        sorted_random_ikey(r, target);
    iter_seek(it, buf_slice(target));
    return sorted_seek(s, buf_slice(target));
}

void sorted_wander(struct sim_random *r, struct iter *it, const struct sorted *s, int moves,
                   int error)
{
    struct buf target = BUF_INIT;
    int i = -1;
    run_through(it, s, error);
    iter_first(it);
    if (stands_at(it, s, 0, error))
        i = 0;
    while (moves-- > 0) {
        i = random_move(r, it, s, i, &target);
        stands_at(it, s, i, error);
    }
    buf_free(&target);
}
