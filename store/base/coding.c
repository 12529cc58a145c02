/* Integers and prefixed strings in bytes: see coding.h. Pure functions of their arguments. */
#include "coding.h"

#include <assert.h>

char *put_varint64(char *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (char)(v | 0x80);
        v >>= 7;
    }
    *p++ = (char)v;
    return p;
}

char *put_varint32(char *p, uint32_t v)
{
    return put_varint64(p, v);
}

size_t varint_length(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

void buf_put_fixed32(struct buf *b, uint32_t v)
{
    put_fixed32(buf_reserve(b, 4), v);
    b->len += 4;
}

void buf_put_fixed64(struct buf *b, uint64_t v)
{
    put_fixed64(buf_reserve(b, 8), v);
    b->len += 8;
}

void buf_put_varint64(struct buf *b, uint64_t v)
{
    char *p = buf_reserve(b, 10);
    b->len += (size_t)(put_varint64(p, v) - p);
}

void buf_put_varint32(struct buf *b, uint32_t v)
{
    buf_put_varint64(b, v);
}

void buf_put_prefixed(struct buf *b, struct slice s)
{
    assert(s.len <= UINT32_MAX);
    buf_put_varint64(b, s.len);
    buf_append_slice(b, s);
}

/* A varint of at most `max_bytes`, whose last byte may hold only the bits of `last_mask`. */
static bool take_varint(struct slice *in, uint64_t *v, unsigned max_bytes, unsigned last_mask)
{
    uint64_t r = 0;
    for (unsigned i = 0; i < max_bytes && i < in->len; i++) {
        unsigned char c = (unsigned char)in->data[i];
        if (i == max_bytes - 1 && (c & ~last_mask))
            return false;
        r |= (uint64_t)(c & 0x7f) << (7 * i);
        if (c < 0x80) {
            in->data += i + 1;
            in->len -= i + 1;
            *v = r;
            return true;
        }
    }
    return false;
}

bool take_varint64(struct slice *in, uint64_t *v)
{
    return take_varint(in, v, 10, 0x01);
}

bool take_varint32(struct slice *in, uint32_t *v)
{
    uint64_t wide;
    if (!take_varint(in, &wide, 5, 0x0f))
        return false;
    *v = (uint32_t)wide;
    return true;
}

bool take_bytes(struct slice *in, size_t n, struct slice *out)
{
    if (in->len < n)
        return false;
    *out = slice_of(in->data, n);
    in->data += n;
    in->len -= n;
    return true;
}

bool take_fixed32(struct slice *in, uint32_t *v)
{
    struct slice s;
    if (!take_bytes(in, 4, &s))
        return false;
    *v = get_fixed32(s.data);
    return true;
}

bool take_fixed64(struct slice *in, uint64_t *v)
{
    struct slice s;
    if (!take_bytes(in, 8, &s))
        return false;
    *v = get_fixed64(s.data);
    return true;
}

bool take_prefixed(struct slice *in, struct slice *out)
{
    uint32_t n;
    return take_varint32(in, &n) && take_bytes(in, n, out);
}
