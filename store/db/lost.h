/* DIR/lost: copies of files that are damaged, made before a repair goes on without them. */
#ifndef STORE_DB_LOST_H
#define STORE_DB_LOST_H

#include "db.h"

/* Makes the folder where it is missing. */
int lost_open(struct store *s);
/* Appends all of a file; what the disk cannot read is zeroes, as little of it as the disk tells. */
int lost_read(struct store *s, const char *path, struct buf *out);
/* Copies DIR/name there, as lost_read has it, and syncs the copy (lost_close syncs its entry). */
int lost_keep(struct store *s, const char *name);
int lost_close(struct store *s);

#endif
