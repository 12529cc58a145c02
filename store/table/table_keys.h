/* Whether the keys of a table are what they must be: they ascend, and lie in the range that the
 * MANIFEST gives. Where a block's checksum is right and they are not, memory failed before it was
 * made, or the MANIFEST is wrong. One thread. */
#ifndef STORE_TABLE_TABLE_KEYS_H
#define STORE_TABLE_TABLE_KEYS_H

#include "../base/buf.h"
#include "../memtable/key_format.h"

struct table_keys {
    struct slice smallest, largest; /* the range: internal keys; no data: not known */
    struct buf last;                /* the key seen last */
    const char *wrong;              /* what is, or NULL */
};

/* Takes the next key; false where it is not what it must be (`wrong` says why). */
bool table_keys_take(struct table_keys *k, struct slice ikey);
void table_keys_free(struct table_keys *k);

#endif
