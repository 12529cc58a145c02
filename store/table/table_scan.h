/* What is left of a table whose index cannot be read: its data blocks lie one behind the other, and
 * each has a checksum behind it, by which it is found. For repair. */
#ifndef STORE_TABLE_TABLE_SCAN_H
#define STORE_TABLE_TABLE_SCAN_H

#include "../base/slice.h"

/* Calls `take` for each entry (its internal key) of the blocks that are found in the file's bytes,
 * in order, and returns how many blocks these are. No entry of another kind of block is given. Any
 * thread. */
uint64_t table_scan(struct slice file, void (*take)(void *arg, struct slice ikey, struct slice v),
                    void *arg);

#endif
