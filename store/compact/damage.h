/* Compactions that meet a table they cannot read.
 *
 * Nothing of such a compaction comes into force: its inputs stay, with all that can still be read
 * in them, and what cannot is never left out in silence. The table is marked (until the store is
 * opened again) and no compaction of the background takes it any more; others go on, and so do
 * reads and writes. Where level 0 cannot be emptied for it, writes are refused once that is full:
 * with an error that names the table, and without harm to what was committed. */
#ifndef STORE_COMPACT_DAMAGE_H
#define STORE_COMPACT_DAMAGE_H

#include "compaction.h"

/* Finds out which inputs cannot be read, marks and logs them; fail_text() says why the compaction
 * failed. mu NOT held. */
void damage_find(struct store *s, struct compaction *c);
/* Is one of these marked? mu held. */
bool damage_among(const struct compaction *c);
/* Notes whether compactions are needed and none can run, because of marked tables. mu held. */
void damage_note_stuck(struct store *s, bool picked);

#endif
