/* DIR/lost: copies of files that are damaged, made before a repair goes on without them. */
#ifndef STORE_DB_LOST_H
#define STORE_DB_LOST_H

#include "db.h"

/* Makes the folder where it is missing. */
int lost_open(struct store *s);
/* Copies DIR/name there, and syncs the copy (lost_close syncs its entry). What the disk cannot read
 * of it is zeroes there. */
int lost_keep(struct store *s, const char *name);
int lost_close(struct store *s);

#endif
