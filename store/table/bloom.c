/* See bloom.h. The hash and the probe sequence are part of the format. */
#include "bloom.h"

#include "../base/coding.h"

uint32_t bloom_hash(struct slice key)
{
    const uint32_t seed = 0xbc9f1d34, m = 0xc6a4a793;
    const unsigned char *p = (const unsigned char *)key.data;
    size_t left = key.len;
    uint32_t h = seed ^ ((uint32_t)key.len * m);
    for (; left >= 4; left -= 4, p += 4) {
        h += get_fixed32((const char *)p);
        h *= m;
        h ^= h >> 16;
    }
    if (left >= 3)
        h += (uint32_t)p[2] << 16;
    if (left >= 2)
        h += (uint32_t)p[1] << 8;
    if (left >= 1) {
        h += p[0];
        h *= m;
        h ^= h >> 24;
    }
    return h;
}

void bloom_build(const uint32_t *hashes, size_t count, int bits_per_key, struct buf *out)
{
    int probes = (int)(bits_per_key * 0.69); /* bits * ln 2 */
    if (probes < 1)
        probes = 1;
    if (probes > 30)
        probes = 30;
    size_t bits = count * (size_t)bits_per_key;
    if (bits < 64)
        bits = 64;
    size_t bytes = (bits + 7) / 8;
    bits = bytes * 8;
    char *array = buf_reserve(out, bytes + 1);
    memset(array, 0, bytes);
    array[bytes] = (char)probes;
    out->len += bytes + 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t h = hashes[i], delta = (h >> 17) | (h << 15);
        for (int j = 0; j < probes; j++, h += delta) {
            size_t bit = h % bits;
            array[bit / 8] |= (char)(1 << (bit % 8));
        }
    }
}

bool bloom_may_match(struct slice filter, uint32_t hash)
{
    if (filter.len < 2)
        return false;
    size_t bytes = filter.len - 1;
    int probes = (unsigned char)filter.data[filter.len - 1];
    if (probes > 30) /* kept for encodings to come: says nothing */
        return true;
    if (bytes > UINT32_MAX / 8)
        return true;
    uint32_t bits = (uint32_t)bytes * 8; /* 32 bits: this division is what a probe costs */
    uint32_t h = hash, delta = (h >> 17) | (h << 15);
    for (int j = 0; j < probes; j++, h += delta) {
        uint32_t bit = h % bits;
        if (!(filter.data[bit / 8] & (1 << (bit % 8))))
            return false;
    }
    return true;
}
