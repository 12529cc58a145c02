/* Opening with options.repair: what to do where tables or the MANIFEST are damaged. */
#ifndef STORE_DB_REPAIR_H
#define STORE_DB_REPAIR_H

#include "db.h"

/* Reads every table whole. Where all are well, and the MANIFEST, nothing is changed. Else what can
 * be read becomes new tables under a new MANIFEST, and the damaged files are kept in DIR/lost.
 * Before set_open; no other thread runs. */
int repair_tables(struct store *s);

#endif
