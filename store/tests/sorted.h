/* A sorted array of entries, against which blocks, tables and iterators are tested, and an iterator
 * over it that is strict with whoever uses it: what it showed is gone after the next move, and one
 * of its entries may be unreadable.
 *
 * One thread. A failed check prints what it found and aborts. */
#ifndef STORE_TESTS_SORTED_H
#define STORE_TESTS_SORTED_H

#include "../base/buf.h"
#include "../iter/iter.h"
#include "sim_random.h"

struct sorted_entry {
    struct buf key, value;
    int from; /* among equal keys, the lower comes first */
};

struct sorted {
    struct sorted_entry *at;
    int count;
    bool user_keys; /* else internal keys */
};

void sorted_free(struct sorted *s);
/* Appends a copy; sorted_sort() once all are there. */
void sorted_add(struct sorted *s, struct slice key, struct slice value, int from);
void sorted_sort(struct sorted *s);
void sorted_drop_equal(struct sorted *s); /* leaves the first of each key */
/* The first entry at or behind the key; count where there is none. */
int sorted_seek(const struct sorted *s, struct slice key);

/* Keys from a small set, so that they meet: 0 to 9 letters of few kinds, seldom 300 more. */
void sorted_random_user_key(struct sim_random *r, struct buf *out);
/* The same with a number below 50, a put or a deletion. */
void sorted_random_ikey(struct sim_random *r, struct buf *out);
/* Up to `most` entries with internal keys, none twice; values of up to 500 bytes that say which. */
void sorted_random(struct sim_random *r, struct sorted *s, int most);

/* `unreadable`: index of an entry that gives -EIO when the iterator comes upon it; -1: none. The
 * array must outlive it. */
struct iter *sorted_iter(const struct sorted *s, int unreadable);
/* One move in twenty ends with -EIO, wherever it leads. */
struct iter *sorted_iter_fickle(const struct sorted *s, struct sim_random *r);

/* Does the iterator stand at entry i (-1 or count: at no entry, without an error)? */
void sorted_check_at(struct iter *it, const struct sorted *s, int i);
/* Runs forward, backward, and `moves` random moves. `error` not 0: a move may end with this error
 * instead. */
void sorted_wander(struct sim_random *r, struct iter *it, const struct sorted *s, int moves,
                   int error);

#endif
