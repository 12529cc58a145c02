/* Benchmarks of db_bench that are not about reading and writing: checksums, compression, opening.
 */
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/crc.h"
#include "bench.h"

#define CRC_BYTES (500u << 20)
#define SNAPPY_BYTES (1u << 30)

void bench_crc32c(struct bench_thread *t)
{
    char block[4096];
    volatile uint32_t crc = 0; /* so that the work is not left out */
    memset(block, 'x', sizeof block);
    while (t->bytes < CRC_BYTES) {
        crc = crc32c(block, sizeof block);
        t->bytes += sizeof block;
        bench_op_done(t);
    }
    (void)crc;
    snprintf(t->message, sizeof t->message, "(4K per op)");
}

static struct slice block_of(const struct bench *b)
{
    return slice_of(b->values.data, (size_t)b->flags.block_size);
}

void bench_snappy_compress(struct bench_thread *t)
{
    struct slice in = block_of(t->bench);
    uint64_t produced = 0;
    char *out = mem_alloc(snappy_max_compressed_length(in.len));
    while (t->bytes < SNAPPY_BYTES) {
        size_t len = snappy_max_compressed_length(in.len);
        if (snappy_compress(in.data, in.len, out, &len) != SNAPPY_OK) {
            t->error = "snappy_compress failed";
            break;
        }
        produced += len;
        t->bytes += in.len;
        bench_op_done(t);
    }
    free(out);
    snprintf(t->message, sizeof t->message, "(output: %.1f%%)",
             100.0 * (double)produced / (double)(t->bytes ? t->bytes : 1));
}

void bench_snappy_uncompress(struct bench_thread *t)
{
    struct slice in = block_of(t->bench);
    size_t len = snappy_max_compressed_length(in.len);
    char *packed = mem_alloc(len), *out = mem_alloc(in.len);
    bool packs = snappy_compress(in.data, in.len, packed, &len) == SNAPPY_OK;
    while (t->bytes < SNAPPY_BYTES) {
        size_t room = in.len;
        if (!packs || snappy_uncompress(packed, len, out, &room) != SNAPPY_OK) {
            t->error = "snappy_uncompress failed";
            break;
        }
        t->bytes += in.len;
        bench_op_done(t);
    }
    free(packed);
    free(out);
}

void bench_reopen(struct bench_thread *t)
{
    for (long i = 0; t->id == 1 && i < t->bench->num; i++) { /* the store is one for all threads */
        if (bench_open(t->bench, false)) {
            t->error = "the store cannot be opened again";
            return;
        }
        bench_op_done(t);
    }
}
