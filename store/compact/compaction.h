/* A compaction: tables of a level and those of the next that overlap them become new tables of the
 * next level, without what no reader can see any more.
 *
 * pick.c chooses, compaction.c runs; background.c and manual.c say when. While it is under way its
 * inputs are `busy` and it stands in the list of running ones, so that no other takes the same
 * tables or writes into the same range. */
#ifndef STORE_COMPACT_COMPACTION_H
#define STORE_COMPACT_COMPACTION_H

#include "../db/db.h"

struct compaction {
    struct compaction *next; /* of the running ones; guarded by mu */
    int level;               /* of inputs[0]; inputs[1] are one deeper */
    int output_level;        /* level + 1, or level: its tables are written anew where they are */
    struct version *version; /* that the inputs belong to; referenced */
    struct version_level inputs[2], grandparents;
    struct slice smallest, largest; /* user keys of all inputs; bytes of the version's files */
};

/* pick.c: all with mu held. */
/* The compaction that is needed most and can run now, or NULL. It is counted as running. */
struct compaction *compaction_pick(struct store *s);
/* For store_compact: all tables of `level` that meet from..to, with what they overlap. NULL where
 * there are none
 * (*wait false), or unless `damaged_too` one of them is known to be damaged, or where another
 * compaction is in the way (*wait true). */
struct compaction *compaction_of_range(struct store *s, int level, struct slice from,
                                       struct slice to, bool damaged_too, bool *wait);
/* The first table of `level` that meets from..to and may hold something to drop (with those that
 * share keys with it), to be written anew in its place. NULL as above. */
struct compaction *compaction_in_place(struct store *s, int level, struct slice from,
                                       struct slice to, bool *wait);
/* place.c: for a new table of these user keys, newer than all that is in tables. Where it may go
 * deeper than level 0, the table goes into the result's output_level; that stands among the running
 * compactions, so that none writes into its range, until compaction_end (behind the edit). NULL:
 * level 0. The bytes of the keys stay until then. mu held. */
struct compaction *compaction_place(struct store *s, struct slice smallest, struct slice largest);
/* pick.c: Is there something for compaction_pick? */
bool compaction_needed(struct store *s);
/* It runs no more; frees it. mu is let go of meanwhile. */
void compaction_end(struct store *s, struct compaction *c);

#define COMPACTION_OVERLAP_TABLES                                                                  \
    10 /* a table may overlap so many tables' worth of the level below its own: its own compaction \
          stays small */

/* compaction.c: mu held at entry and exit, let go of while it works. -ECANCELED when the store
 * closes; STORE_ECORRUPT just where an input cannot be read (damage.h): nothing was changed. */
int compaction_run(struct store *s, struct compaction *c);

#endif
