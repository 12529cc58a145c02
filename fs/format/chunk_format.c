/* See chunk_format.h. */
#include "chunk_format.h"

#include "../../store/base/coding.h"
#include "../../store/base/crc.h"

#define VALUE_SIZE (1 + 8 + 8 + 2 + 4 * CHUNK_BLOCKS)

void chunk_encode(const struct chunk *c, struct buf *out)
{
    buf_append(out, (const char[]){EXTENT_CHUNK}, 1);
    buf_put_fixed64(out, c->segment);
    buf_put_fixed64(out, c->place);
    buf_append(out, (const char[]){(char)c->map, (char)(c->map >> 8)}, 2);
    for (int i = 0; i < CHUNK_BLOCKS; i++)
        buf_put_fixed32(out, c->crc[i]);
}

int chunk_decode(struct chunk *c, struct slice in)
{
    if (in.len != VALUE_SIZE || in.data[0] != EXTENT_CHUNK)
        return fail(STORE_ECORRUPT, "a chunk's record of %zu bytes", in.len);
    const char *p = in.data + 1;
    c->segment = get_fixed64(p);
    c->place = get_fixed64(p + 8);
    c->map = (uint16_t)((unsigned char)p[16] | (unsigned char)p[17] << 8);
    for (int i = 0; i < CHUNK_BLOCKS; i++)
        c->crc[i] = get_fixed32(p + 18 + 4 * i);
    if (c->map == 0 || c->segment == 0 || c->place == 0 || c->place % 4096 != 0)
        return fail(STORE_ECORRUPT, "a chunk's record that names no place");
    return 0;
}

uint32_t chunk_block_crc(const char *block)
{
    return crc_mask(crc32c(block, 4096));
}

void place_owner_encode(struct place_owner o, struct buf *out)
{
    buf_put_fixed64(out, o.ino);
    buf_put_fixed64(out, o.offset);
}

int place_owner_decode(struct place_owner *o, struct slice in)
{
    if (in.len != 16)
        return fail(STORE_ECORRUPT, "a place's record of %zu bytes", in.len);
    *o = (struct place_owner){get_fixed64(in.data), get_fixed64(in.data + 8)};
    return 0;
}

uint16_t chunk_bits(uint64_t at, uint64_t from, uint64_t end)
{
    uint16_t bits = 0;
    for (int i = 0; i < CHUNK_BLOCKS; i++) {
        uint64_t block = at + (uint64_t)i * 4096;
        if (block >= from && block < end)
            bits |= (uint16_t)(1u << i);
    }
    return bits;
}
