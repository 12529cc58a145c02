/* The background of an open store: one thread that flushes memtables, several that compact, and the
 * list of compactions under way. db/db.h has what the rest of the store calls. */
#ifndef STORE_COMPACT_BACKGROUND_H
#define STORE_COMPACT_BACKGROUND_H

#include "compaction.h"

/* mu held. */
struct compaction *background_running(struct store *s);
void background_add_running(struct store *s, struct compaction *c);
void background_remove_running(struct store *s, struct compaction *c);
/* The store closes: long work ends early. Any thread. */
bool background_stopping(struct store *s);

/* compact/flush.c: writes the oldest immutable memtable into a table and makes its log superfluous.
 * mu held at entry and exit, let go of meanwhile. Requires: there is one. */
int flush_oldest(struct store *s);

/* Deletes tables that no version lists any more. mu held at entry and exit, let go of meanwhile. */
void background_delete_obsolete(struct store *s);

#endif
