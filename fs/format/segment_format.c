/* See segment_format.h. */
#include "segment_format.h"

#include <string.h>

#include "../../store/base/coding.h"
#include "../../store/base/crc.h"
#include "../../store/base/error.h"

static const char magic[] = "SKEINSEG";

enum { VERSION = 1, COVERED = 8 + 4 + 8 /* bytes that the checksum is of */ };

void segment_header_encode(uint64_t number, char header[SEGMENT_HEADER])
{
    memset(header, 0, SEGMENT_HEADER);
    memcpy(header, magic, 8);
    put_fixed32(header + 8, VERSION);
    put_fixed64(header + 12, number);
    put_fixed32(header + COVERED, crc_mask(crc32c(header, COVERED)));
}

int segment_header_check(const char *path, uint64_t number, const char header[SEGMENT_HEADER])
{
    if (memcmp(header, magic, 8) != 0 ||
        get_fixed32(header + COVERED) != crc_mask(crc32c(header, COVERED)))
        return fail(STORE_ECORRUPT, "%s: its header is damaged", path);
    if (get_fixed32(header + 8) != VERSION)
        return fail(STORE_EFORMAT, "%s: of a newer format than this skeinfs knows: use a newer one",
                    path);
    if (get_fixed64(header + 12) != number)
        return fail(STORE_ECORRUPT, "%s: it says that it is number %llu", path,
                    (unsigned long long)get_fixed64(header + 12));
    return 0;
}
