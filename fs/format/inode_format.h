/* An inode as it is stored, and the directory entry that may hold it.
 *
 *     inode = version:u8 (1) | mode uid gid nlink size blocks rdev flags : varints
 *             | atime mtime ctime btime : { seconds:i64le, nanoseconds:u32le } each
 *             | directory: parent, entries : varints | symlink: target (varint length, bytes)
 *     entry = 1:u8 | ino:varint | inode          the inode lives here: it has one link
 *           | 2:u8 | ino:varint | mode:varint    a reference: the inode is under its `I` key; of
 * the mode only the type
 *
 * Bytes behind the last field, and flags that are not known here, are of a newer format and are
 * refused. */
#ifndef FS_FORMAT_INODE_FORMAT_H
#define FS_FORMAT_INODE_FORMAT_H

#include <sys/stat.h>
#include <time.h>
#include "../../store/store.h"

enum inode_flags {
    INODE_SPARSE = 1,     /* blocks below the size may be missing; without it none is */
    INODE_HAS_XATTR = 2,  /* there may be extended attributes; without it there are none */
    INODE_CUTTING = 4,    /* a big truncation is under way: there may be extents behind the size */
    INODE_HAS_CHUNKS = 8, /* some data may be in chunks; without it none is */
    INODE_FLAGS_KNOWN = 15,
};

struct inode {
    mode_t mode;
    uid_t uid;
    gid_t gid;
    uint32_t nlink;
    uint64_t size, blocks; /* blocks: allocated units of 512 bytes */
    uint64_t rdev;
    uint32_t flags;
    struct timespec atime, mtime, ctime, btime;
    uint64_t parent, entries; /* of a directory: what ".." is, and how many names it has */
    char *target;             /* of a symlink, on the heap: inode_free() */
};

enum entry_kind { ENTRY_INODE = 1, ENTRY_REFERENCE = 2 };

void inode_free(struct inode *i);
void inode_encode(const struct inode *i, struct buf *out);
/* 0, STORE_ECORRUPT, or STORE_EFORMAT; on failure there is nothing to free. */
int inode_decode(struct inode *i, struct slice in);

void entry_encode_inode(uint64_t ino, const struct inode *i, struct buf *out);
void entry_encode_reference(uint64_t ino, mode_t mode, struct buf *out);
/* Fills *ino and *kind; *i wholly for ENTRY_INODE, else only the type in i->mode. */
int entry_decode(struct slice in, uint64_t *ino, enum entry_kind *kind, struct inode *i);

/* Only the number and the kind, the rest is not looked at: 0, STORE_ECORRUPT, or STORE_EFORMAT. */
int entry_peek(struct slice in, uint64_t *ino, enum entry_kind *kind);

void inode_to_stat(uint64_t ino, const struct inode *i, struct stat *st);
/* In words, without a line's end. */
void inode_to_text(uint64_t ino, const struct inode *i, struct buf *out);

#endif
