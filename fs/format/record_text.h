/* A record of the filesystem's in words: one line, for logs, dumps and tests. */
#ifndef FS_FORMAT_RECORD_TEXT_H
#define FS_FORMAT_RECORD_TEXT_H

#include "../../store/store.h"

/* Appends the key and what its value says. A damaged record is shown as what it is; bytes that are
 * no plain text as \xHH. */
void record_to_text(struct slice key, struct slice value, struct buf *out);

#endif
