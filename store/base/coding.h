/* Little-endian fixed and varint integers, as LevelDB's formats use them. Pure functions. */
#ifndef STORE_BASE_CODING_H
#define STORE_BASE_CODING_H

#include "buf.h"

static inline void put_fixed16(char *p, uint16_t v)
{
    p[0] = (char)v;
    p[1] = (char)(v >> 8);
}
static inline void put_fixed32(char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (char)(v >> (8 * i));
}
static inline void put_fixed64(char *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (char)(v >> (8 * i));
}
static inline uint16_t get_fixed16(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint16_t)(u[0] | u[1] << 8);
}
static inline uint32_t get_fixed32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}
static inline uint64_t get_fixed64(const char *p)
{
    return (uint64_t)get_fixed32(p) | (uint64_t)get_fixed32(p + 4) << 32;
}

void buf_put_fixed32(struct buf *b, uint32_t v);
void buf_put_fixed64(struct buf *b, uint64_t v);
void buf_put_varint32(struct buf *b, uint32_t v);
void buf_put_varint64(struct buf *b, uint64_t v);
void buf_put_prefixed(struct buf *b, struct slice s); /* varint32 length, then the bytes */

/* Writes v at p (5 and 10 bytes of room at most); returns the byte behind it. */
char *put_varint32(char *p, uint32_t v);
char *put_varint64(char *p, uint64_t v);
size_t varint_length(uint64_t v);

/* Each takes a value off the front of *in. False (and *in unspecified) where there is none. */
bool take_varint32(struct slice *in, uint32_t *v);
bool take_varint64(struct slice *in, uint64_t *v);
bool take_fixed32(struct slice *in, uint32_t *v);
bool take_fixed64(struct slice *in, uint64_t *v);
bool take_prefixed(struct slice *in, struct slice *out);
bool take_bytes(struct slice *in, size_t n, struct slice *out);

#endif
