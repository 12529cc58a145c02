/* How the log is made ready for a group's record: whether it goes through a window
 * (log/log_writer.h), how large one is, and how many zeroes are written ahead without one. */
#ifndef STORE_COMMIT_WINDOW_H
#define STORE_COMMIT_WINDOW_H

#include "../db/db.h"

/* For the next append, of at most `need` bytes and with `sync` or without: the size of the window
 * to open where there is none or it is used up (>= need); 0: it goes by pwrite. mu held; the commit
 * leader only. */
size_t window_for(const struct store *s, bool sync, size_t need);
/* Without a window: so many zeroes are written before the record, where there are too few (>=
 * need); 0: none. As above. */
size_t zeroes_for(const struct store *s, bool sync, size_t need);

#endif
