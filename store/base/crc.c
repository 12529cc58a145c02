/* See crc.h. ISA-L calls CRC32C by its iSCSI name and leaves the inversions to the caller. */
#include "crc.h"

#include <isa-l.h>

uint32_t crc32c_extend(uint32_t crc, const void *data, size_t len)
{
    const size_t most = 1u << 30; /* ISA-L counts in int */
    unsigned char *p = (unsigned char *)data;
    uint32_t state = ~crc;
    while (len > 0) {
        size_t n = len < most ? len : most;
        state = crc32_iscsi(p, (int)n, state);
        p += n;
        len -= n;
    }
    return ~state;
}
