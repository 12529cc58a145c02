/* Room for the next group: delays, stalls and memtable switches. Only the commit leader calls
 * room_make. */
#ifndef STORE_COMMIT_ROOM_H
#define STORE_COMMIT_ROOM_H

#include "../db/db.h"

/* Returns when a group may be written, or the background error. `force` switches the memtable even
 * where it is not full (unless it is empty). mu held at entry and exit, let go of while it waits.
 */
int room_make(struct store *s, bool force);
/* Switches the memtable by way of the queue: everything enqueued before is in the old one. mu NOT
 * held. */
int room_switch(struct store *s);

#endif
