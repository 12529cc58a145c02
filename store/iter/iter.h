/* A cursor over key-value pairs in key order. One thread uses it at a time.
 *
 * Invariants: where `valid`, key and value name bytes that stay until the next move or the end of
 * the iterator; where not valid, `status` says why: 0 at an end, else the error that stopped it. A
 * new iterator is not valid until it is placed. next/prev require valid. Internal iterators carry
 * internal keys (memtable/key_format.h), the user's one user keys. */
#ifndef STORE_ITER_ITER_H
#define STORE_ITER_ITER_H

#include "../base/slice.h"

struct iter;
struct iter_ops {
    void (*seek)(struct iter *, struct slice target); /* the first key >= target */
    void (*first)(struct iter *);
    void (*last)(struct iter *);
    void (*next)(struct iter *);
    void (*prev)(struct iter *);
    void (*destroy)(struct iter *);
};
struct iter {
    const struct iter_ops *ops;
    struct slice key, value;
    bool valid;
    int status;
};

static inline void iter_seek(struct iter *it, struct slice target)
{
    it->ops->seek(it, target);
}
static inline void iter_first(struct iter *it)
{
    it->ops->first(it);
}
static inline void iter_last(struct iter *it)
{
    it->ops->last(it);
}
static inline void iter_next(struct iter *it)
{
    it->ops->next(it);
}
static inline void iter_prev(struct iter *it)
{
    it->ops->prev(it);
}
static inline void iter_destroy(struct iter *it)
{
    if (it)
        it->ops->destroy(it);
}

/* Never valid; status as given. */
struct iter *iter_empty(int status);
/* Merges n children in internal-key order, the earlier child first among equals. Takes the children
 * over (the array is copied); 0 and 1 children are handed back as they are. */
struct iter *iter_merge(struct iter **children, size_t n);
/* For each value of `index` opens an iterator over what it names and runs through them in order.
 * `open` returns an iterator (iter_empty(error) for an error); `destroy_arg` may be NULL. */
struct iter *iter_two_level(struct iter *index,
                            struct iter *(*open)(void *arg, struct slice index_value),
                            void (*destroy_arg)(void *arg), void *arg);
/* User keys as of `sequence`, newest version of each, deletions hidden, over an internal iterator
 * that it takes over. `release(arg)` is called once at destroy (it lets go of what pins the data).
 */
struct iter *iter_user(struct iter *internal, uint64_t sequence, void (*release)(void *arg),
                       void *arg);
/* From now on such an iterator ends, going forward, at the first key that does not begin with
 * `prefix` (copied), so that what was deleted behind the last one that does is not gone through.
 * Requires: seeks go to keys that begin with it. Any other iterator stays as it is. */
void iter_stay_within(struct iter *it, struct slice prefix);

#endif
