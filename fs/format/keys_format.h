/* The filesystem's keys in the store: one byte of kind, then big-endian integers, so that the order
 * of bytes is the natural order.
 *
 *     S                      superblock (super_format.h)
 *     D parent:u64 name      directory entry (inode_format.h): the inode itself, or a reference
 *     I ino:u64              inode that is in no entry: the root; those with several links, now or
 *                            once (inode_format.h)
 *     E ino:u64 offset:u64   extent: kind:u8 (1: data follows), data. The offset is a multiple of
 *                            4096; what the block lacks at its end is zeroes. A block without a
 *                            record is a hole, unless it is in a chunk: kind 2, under the chunk's
 *                            offset + 1 (chunk_format.h)
 *     X ino:u64 name         extended attribute: its value
 *     O ino:u64              garbage (garbage_format.h)
 *     P segment:u64 place    place of a chunk in use (chunk_format.h)
 *     F segment:u64 place .. place to be given back (chunk_format.h)
 *     C                      how many inodes there are (count_format.h) */
#ifndef FS_FORMAT_KEYS_FORMAT_H
#define FS_FORMAT_KEYS_FORMAT_H

#include "../../store/store.h"

enum key_kind {
    KEY_SUPER = 'S',
    KEY_ENTRY = 'D',
    KEY_INODE = 'I',
    KEY_EXTENT = 'E',
    KEY_XATTR = 'X',
    KEY_GARBAGE = 'O',
    KEY_COUNT = 'C',
    KEY_PLACE = 'P',
    KEY_FREED = 'F',
};

enum extent_kind { EXTENT_INLINE = 1, EXTENT_CHUNK = 2 };

/* Room for the longest key and one byte more: kind, number, a name of 255 bytes. */
struct fs_key {
    size_t len;
    char bytes[1 + 8 + 256];
};

static inline void put_be64(char *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (char)(v >> (56 - 8 * i));
}
static inline uint64_t get_be64(const char *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}
static inline struct slice key_slice(const struct fs_key *k)
{
    return slice_of(k->bytes, k->len);
}
/* kind, ino and nothing else: the key itself, or the prefix of all of an inode's. */
static inline struct fs_key key_of(enum key_kind kind, uint64_t ino)
{
    struct fs_key k = {.len = 9};
    k.bytes[0] = (char)kind;
    put_be64(k.bytes + 1, ino);
    return k;
}
/* Requires: name of at most 255 bytes. */
static inline struct fs_key key_named(enum key_kind kind, uint64_t ino, const char *name)
{
    struct fs_key k = key_of(kind, ino);
    size_t n = strlen(name);
    memcpy(k.bytes + 9, name, n);
    k.len += n;
    return k;
}
static inline struct fs_key key_extent(uint64_t ino, uint64_t offset)
{
    struct fs_key k = key_of(KEY_EXTENT, ino);
    put_be64(k.bytes + 9, offset);
    k.len = 17;
    return k;
}
static inline struct fs_key key_super(void)
{
    return (struct fs_key){.len = 1, .bytes = {KEY_SUPER}};
}
static inline struct fs_key key_count(void)
{
    return (struct fs_key){.len = 1, .bytes = {KEY_COUNT}};
}

#endif
