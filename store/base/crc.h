/* CRC32C (by ISA-L, which picks the CPU's instruction) and LevelDB's masking of stored ones. */
#ifndef STORE_BASE_CRC_H
#define STORE_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* The CRC32C of what `crc` covers followed by these bytes; start with 0. */
uint32_t crc32c_extend(uint32_t crc, const void *data, size_t len);
static inline uint32_t crc32c(const void *data, size_t len)
{
    return crc32c_extend(0, data, len);
}

/* A CRC stored beside data that is itself under a CRC is masked, or the two would cancel out. */
static inline uint32_t crc_mask(uint32_t crc)
{
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}
static inline uint32_t crc_unmask(uint32_t masked)
{
    uint32_t rot = masked - 0xa282ead8u;
    return (rot >> 17) | (rot << 15);
}

#endif
