/* Opening and closing of the file LOG, by store_open and store_close alone. info_log() itself is in
 * db.h. */
#ifndef STORE_DB_INFO_LOG_H
#define STORE_DB_INFO_LOG_H

#include "db.h"

/* Never fails: without a file, events are dropped. */
void info_log_open(struct store *s);
void info_log_close(struct store *s);

#endif
