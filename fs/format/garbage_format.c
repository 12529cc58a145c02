/* See garbage_format.h. */
#include "garbage_format.h"

#include "../../store/base/coding.h"

#define FLAG_GONE 1

void garbage_encode(const struct garbage_record *g, struct buf *out)
{
    buf_append(out, (const char[]){g->gone ? FLAG_GONE : 0}, 1);
    buf_put_fixed64(out, g->from);
}

int garbage_decode(struct garbage_record *g, struct slice in)
{
    struct slice flags;
    if (!take_bytes(&in, 1, &flags) || !take_fixed64(&in, &g->from) || in.len > 0)
        return fail(STORE_ECORRUPT, "a damaged garbage record");
    if (flags.data[0] & ~FLAG_GONE)
        return fail(STORE_EFORMAT, "a garbage record with flags 0x%x, which are not known here",
                    (unsigned char)flags.data[0]);
    g->gone = flags.data[0] & FLAG_GONE;
    return 0;
}
