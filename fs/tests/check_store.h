/* Are the records of a filesystem in the store consistent with one another?
 *
 * Walks the whole store, which nobody may change meanwhile. Asserts with libcheck; the message has
 * the record in words. What holds:
 * 1. Every inode has one record, in an entry or under `I`; every number is below the superblock's.
 * 2. An inode under `I` has as many references as links, one in an entry has one link.
 * 3. A directory counts its names and subdirectories right, and knows its parent; all of them hang
 *    on the root.
 * 4. Extents belong to a regular file, lie below its size and hold nothing behind it; `blocks`
 *    counts them; none is missing without SPARSE. Attributes belong to an inode with HAS_XATTR.
 * 5. What belongs to no inode has a garbage record that says so.
 * 6. statvfs counts as many inodes (with CHECK_NOTHING_OPEN). */
#ifndef FS_TESTS_CHECK_STORE_H
#define FS_TESTS_CHECK_STORE_H

#include "../core/fs.h"

enum check_store_what {
    CHECK_GARBAGE_MAY_BE, /* something may be unlinked and open */
    CHECK_NO_GARBAGE,
    CHECK_NOTHING_OPEN, /* ... and nobody refers to an inode without a name */
};

void check_store(struct fs *fs, enum check_store_what what);

#endif
