/* How many inodes there are, value of key C:
 *
 *     count:u64le | sequence:u64le
 *
 * Written last of all by a clean umount. `sequence` is this record's own number in the store: where
 * the store's newest number is another one, something was committed later, and the count is old. */
#ifndef FS_FORMAT_COUNT_FORMAT_H
#define FS_FORMAT_COUNT_FORMAT_H

#include "../../store/store.h"

struct count_record {
    uint64_t count, sequence;
};

void count_encode(const struct count_record *c, struct buf *out);
int count_decode(struct count_record *c, struct slice in); /* 0 or STORE_ECORRUPT */

#endif
