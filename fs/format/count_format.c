/* See count_format.h. */
#include "count_format.h"

#include "../../store/base/coding.h"

void count_encode(const struct count_record *c, struct buf *out)
{
    buf_put_fixed64(out, c->count);
    buf_put_fixed64(out, c->sequence);
}

int count_decode(struct count_record *c, struct slice in)
{
    if (!take_fixed64(&in, &c->count) || !take_fixed64(&in, &c->sequence) || in.len > 0)
        return fail(STORE_ECORRUPT, "a damaged count of inodes");
    return 0;
}
