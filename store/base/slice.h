/* A slice names bytes that somebody else owns; it is passed by value and never freed. */
#ifndef STORE_BASE_SLICE_H
#define STORE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *data;
    size_t len;
};

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){(const char *)data, len};
}

static inline struct slice slice_str(const char *s)
{
    return (struct slice){s, strlen(s)};
}

/* Eight bytes as a number that orders as they do. */
static inline uint64_t bytes_as_number(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* memcmp for keys, most of which are short: eight bytes at a time, and no call. */
static inline int bytes_compare(const char *a, const char *b, size_t n)
{
    uint64_t x, y;
    if (n < 8) {
        for (size_t i = 0; i < n; i++)
            if (a[i] != b[i])
                return (unsigned char)a[i] < (unsigned char)b[i] ? -1 : 1;
        return 0;
    }
    for (size_t i = 0; i + 8 < n; i += 8) {
        x = bytes_as_number(a + i);
        y = bytes_as_number(b + i);
        if (x != y)
            return x < y ? -1 : 1;
    }
    x = bytes_as_number(a + n - 8); /* perhaps with some that were equal before */
    y = bytes_as_number(b + n - 8);
    return x < y ? -1 : x > y;
}

/* Byte order, a prefix before what it is a prefix of: LevelDB's "leveldb.BytewiseComparator". */
static inline int slice_compare(struct slice a, struct slice b)
{
    int r = bytes_compare(a.data, b.data, a.len < b.len ? a.len : b.len);
    if (r == 0 && a.len != b.len)
        r = a.len < b.len ? -1 : 1;
    return r;
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && bytes_compare(a.data, b.data, a.len) == 0;
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

#endif
