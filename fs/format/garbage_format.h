/* What an `O` record says is garbage, value of key O ino:
 *
 *     flags:u8 (1: the inode is gone) | from:u64le
 *
 * The inode's extents at and behind `from` are to be deleted, and its attributes too where it is
 * gone; then the record. */
#ifndef FS_FORMAT_GARBAGE_FORMAT_H
#define FS_FORMAT_GARBAGE_FORMAT_H

#include "../../store/store.h"

struct garbage_record {
    bool gone;
    uint64_t from;
};

void garbage_encode(const struct garbage_record *g, struct buf *out);
/* 0, STORE_ECORRUPT, or STORE_EFORMAT. */
int garbage_decode(struct garbage_record *g, struct slice in);

#endif
