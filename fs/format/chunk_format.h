/* A chunk: FS_CHUNK bytes of a file, from a multiple of that on, whose data lies in a segment file
 * (segment_format.h) instead of in the store: bytes that are written once and never moved.
 *
 *     key    E ino:u64 (offset + 1):u64     behind the extent of its first block
 *     value  kind:u8 (2) | segment:u64le | place:u64le | map:u16le | crc:u32le, 16 times
 *
 * Bit i of `map`: block i of the chunk is the one at `place` + i * 4096 in the segment, and crc[i]
 * is the masked CRC32C of its 4096 bytes. A block whose bit is 0 has an extent of its own, or is a
 * hole. A chunk without any bit has no record.
 *
 * What a segment holds, so that nobody has to read all chunks to know (numbers of these keys
 * big-endian):
 *
 *     P segment:u64 place:u64            ino:u64le | offset:u64le: whose chunk lies there
 *     P segment:u64 0                    nothing: the segment was being written
 *     F segment:u64 place:u64 map:u16    nothing: these blocks of that place are needed no more;
 *                                        each bit at most once, as a bit never comes back */
#ifndef FS_FORMAT_CHUNK_FORMAT_H
#define FS_FORMAT_CHUNK_FORMAT_H

#include "keys_format.h"

#define CHUNK_BLOCKS 16
#define FS_CHUNK ((uint64_t)CHUNK_BLOCKS * 4096)
#define CHUNK_WHOLE 0xffffu /* the map of one with all its blocks */

struct chunk {
    uint64_t segment, place;
    uint16_t map;
    uint32_t crc[CHUNK_BLOCKS]; /* masked */
};

/* Whose a place is. */
struct place_owner {
    uint64_t ino, offset;
};

void chunk_encode(const struct chunk *c, struct buf *out);
int chunk_decode(struct chunk *c, struct slice in); /* 0 or STORE_ECORRUPT */
uint32_t chunk_block_crc(const char *block);        /* as it is stored, of 4096 bytes */
void place_owner_encode(struct place_owner o, struct buf *out);
int place_owner_decode(struct place_owner *o, struct slice in); /* 0 or STORE_ECORRUPT */

static inline uint64_t chunk_start(uint64_t offset)
{
    return offset & ~(FS_CHUNK - 1);
}
/* Bits of the blocks of the chunk at `at` that begin in [from, end). */
uint16_t chunk_bits(uint64_t at, uint64_t from, uint64_t end);

static inline struct fs_key key_chunk(uint64_t ino, uint64_t at)
{
    return key_extent(ino, at + 1);
}
static inline struct fs_key key_place(uint64_t segment, uint64_t place)
{
    struct fs_key k = key_of(KEY_PLACE, segment);
    put_be64(k.bytes + 9, place);
    k.len = 17;
    return k;
}
static inline struct fs_key key_freed(uint64_t segment, uint64_t place, uint16_t map)
{
    struct fs_key k = key_of(KEY_FREED, segment);
    put_be64(k.bytes + 9, place);
    k.bytes[17] = (char)(map >> 8);
    k.bytes[18] = (char)map;
    k.len = 19;
    return k;
}
/* The parts of a P or F key of the right length. */
static inline uint64_t key_segment(struct slice key)
{
    return get_be64(key.data + 1);
}
static inline uint64_t key_place_of(struct slice key)
{
    return get_be64(key.data + 9);
}
static inline uint16_t key_freed_map(struct slice key)
{
    return (uint16_t)((unsigned char)key.data[17] << 8 | (unsigned char)key.data[18]);
}

#endif
