/* See block_builder.h. */
#include "block_builder.h"

#include "../base/coding.h"

void block_builder_init(struct block_builder *b, int restart_interval)
{
    *b = (struct block_builder){.interval = restart_interval};
}

void block_builder_free(struct block_builder *b)
{
    buf_free(&b->out);
    buf_free(&b->last_key);
    buf_free(&b->restarts);
}

void block_builder_clear(struct block_builder *b)
{
    buf_clear(&b->out);
    buf_clear(&b->last_key);
    buf_clear(&b->restarts);
    b->since_restart = 0;
    b->entries = 0;
}

static size_t shared_prefix(struct slice a, struct slice b)
{
    size_t n = 0, most = a.len < b.len ? a.len : b.len;
    while (n < most && a.data[n] == b.data[n])
        n++;
    return n;
}

void block_builder_add(struct block_builder *b, struct slice key, struct slice value)
{
    size_t shared = 0;
    if (b->entries == 0 || b->since_restart >= b->interval) {
        buf_put_fixed32(&b->restarts, (uint32_t)b->out.len);
        b->since_restart = 0;
    } else {
        shared = shared_prefix(buf_slice(&b->last_key), key);
    }
    buf_put_varint32(&b->out, (uint32_t)shared);
    buf_put_varint32(&b->out, (uint32_t)(key.len - shared));
    buf_put_varint32(&b->out, (uint32_t)value.len);
    buf_append(&b->out, key.data + shared, key.len - shared);
    buf_append_slice(&b->out, value);
    b->last_key.len = shared;
    buf_append(&b->last_key, key.data + shared, key.len - shared);
    b->since_restart++;
    b->entries++;
}

struct slice block_builder_finish(struct block_builder *b)
{
    if (b->restarts.len == 0)
        buf_put_fixed32(&b->restarts, 0);
    buf_append_slice(&b->out, buf_slice(&b->restarts));
    buf_put_fixed32(&b->out, (uint32_t)(b->restarts.len / 4));
    return buf_slice(&b->out);
}

size_t block_builder_bytes(const struct block_builder *b)
{
    return b->out.len + b->restarts.len + 4;
}
