/* Space on the disk: the reserve, and what happens once there is none (the rules: store.h).
 *
 * The reserve is a file, RESERVE, whose space is taken from the disk and never written. Deletes
 * need space before they give any back: their records go to the log, and only flushes and
 * compactions, which write tables first, let go of what was deleted. So the file is deleted when
 * one of these lacks space ("held" becomes false); it is made anew once there is space for it.
 *
 * `low` begins with the first -ENOSPC and ends when the disk has some space beside the reserve and
 * the reserve is held. While it lasts, the commit leader looks at the disk for each write that puts
 * something, and compact/reclaim.h before each step. Where what the disk said was wrong (a quota)
 * the headroom is also taken for a moment: else each write would be tried, cut off the log again,
 * and the log synced before the next. Without a reserve there is no `low`: each write tries. */
#ifndef STORE_DB_SPACE_H
#define STORE_DB_SPACE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct store;

struct space {
    pthread_mutex_t mu; /* guards what is below, and the file; never taken with store.mu held */
    uint64_t reserve;   /* bytes; 0: none is wanted, or the disk cannot */
    bool held;
    bool quota; /* space lacked though the disk told of some: a quota, of which it tells nothing */
    atomic_bool low;
    atomic_ullong given; /* how many times the reserve was given up */
};

/* Takes the reserve; or, where the disk is nearly full, gives it up for the recovery to come. The
 * folder is there, no thread runs yet. Errors are only logged. */
void space_open(struct store *s);
void space_free(struct space *p);
static inline bool space_is_low(const struct space *p)
{
    return atomic_load_explicit(&p->low, memory_order_relaxed);
}
/* To be noted before something that may fail for want of space. */
static inline unsigned long long space_mark(const struct space *p)
{
    return atomic_load_explicit(&p->given, memory_order_relaxed);
}
/* Something begun at `mark` failed for want of space. True where it pays to try again at once: it
 * is `essential` (it deletes, flushes or compacts), and the reserve was given up, for it or, since
 * then, for another. store.mu NOT held. */
bool space_ran_out(struct store *s, bool essential, unsigned long long mark, const char *what);
/* Looks whether there is space again; true where it is not low (any more). store.mu NOT held. */
bool space_look(struct store *s);
/* Whether a compaction may begin another table: while space is low it leaves what a flush and the
 * log need, which deletes depend on. store.mu NOT held. */
bool space_for_table(struct store *s);

#endif
