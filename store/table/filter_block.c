/* See filter_block.h and table_format.h. */
#include "filter_block.h"

#include "../base/coding.h"
#include "bloom.h"
#include "table_format.h"

void filter_builder_init(struct filter_builder *b, int bits_per_key)
{
    *b = (struct filter_builder){.bits_per_key = bits_per_key};
}

void filter_builder_free(struct filter_builder *b)
{
    buf_free(&b->hashes);
    buf_free(&b->out);
    buf_free(&b->offsets);
}

/* Ends the filter under way (an empty one where it has no keys). */
static void end_filter(struct filter_builder *b)
{
    buf_put_fixed32(&b->offsets, (uint32_t)b->out.len);
    if (b->hashes.len == 0)
        return;
    bloom_build((const uint32_t *)(const void *)b->hashes.data, b->hashes.len / sizeof(uint32_t),
                b->bits_per_key, &b->out);
    buf_clear(&b->hashes);
}

void filter_builder_start(struct filter_builder *b, uint64_t block_offset)
{
    while (b->offsets.len / 4 < block_offset >> TABLE_FILTER_BASE_LG)
        end_filter(b);
}

void filter_builder_add(struct filter_builder *b, struct slice user_key)
{
    uint32_t h = bloom_hash(user_key);
    buf_append(&b->hashes, &h, sizeof h);
}

struct slice filter_builder_finish(struct filter_builder *b)
{
    if (b->hashes.len > 0)
        end_filter(b);
    uint32_t offsets_at = (uint32_t)b->out.len;
    buf_append_slice(&b->out, buf_slice(&b->offsets));
    buf_put_fixed32(&b->out, offsets_at);
    buf_append(&b->out, (const char[]){TABLE_FILTER_BASE_LG}, 1);
    return buf_slice(&b->out);
}

bool filter_reader_init(struct filter_reader *r, struct slice data)
{
    *r = (struct filter_reader){.data = data};
    if (data.len < 5)
        return false;
    r->base_lg = (unsigned char)data.data[data.len - 1];
    r->offsets = get_fixed32(data.data + data.len - 5);
    if (r->base_lg > 32 || r->offsets > data.len - 5)
        return false;
    r->count = (data.len - 5 - r->offsets) / 4;
    return true;
}

bool filter_may_match(const struct filter_reader *r, uint64_t block_offset, struct slice user_key)
{
    uint64_t i = block_offset >> r->base_lg;
    if (i >= r->count)
        return true;
    const char *p = r->data.data + r->offsets + 4 * i;
    uint32_t from = get_fixed32(p),
             to = get_fixed32(p + 4); /* behind the last stands the array's own start */
    if (from == to)
        return false; /* no keys */
    if (from > to || to > r->offsets)
        return true;
    return bloom_may_match(slice_of(r->data.data + from, to - from), bloom_hash(user_key));
}
