/* The superblock, value of key S:
 *
 *     "SKEINFS1" | version:u32le | incompatible:u64le | compatible:u64le | uuid:16 bytes
 *     | created:i64le | next_ino:u64le
 *
 * `incompatible` bits name features without which the filesystem cannot be read: an unknown one
 * refuses the mount. `next_ino`: every inode number given away so far is below it. */
#ifndef FS_FORMAT_SUPER_FORMAT_H
#define FS_FORMAT_SUPER_FORMAT_H

#include "../../store/store.h"

#define SUPER_VERSION 1u

enum super_incompatible {
    SUPER_SEGMENTS = 1, /* data may be in segment files (chunk_format.h) */
    SUPER_INCOMPATIBLE_KNOWN = 1,
};

struct super {
    uint32_t version;
    uint64_t incompatible, compatible;
    unsigned char uuid[16];
    int64_t created;
    uint64_t next_ino;
};

void super_encode(const struct super *s, struct buf *out);
/* 0, STORE_ECORRUPT, or STORE_EFORMAT with words on what is not known here. */
int super_decode(struct super *s, struct slice in);
void super_to_text(const struct super *s, struct buf *out);

#endif
