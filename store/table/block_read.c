/* See block_read.h and table_format.h. */
#include "block_read.h"

#include <snappy-c.h>
#include <stdlib.h>

#include "../base/coding.h"
#include "../base/crc.h"
#include "../base/error.h"
#include "block_memory.h"
#include "table_format.h"

/* Snappy's densest element gives 64 bytes for 3: a length beyond that is damaged, and must not make
 * us ask for the memory. */
#define MAX_EXPANSION 22

/* On disk; larger ones are read into memory of their own before they are uncompressed. */
#define SMALL_BLOCK 8192

/* What is read at a time where blocks are read one behind the other. */
#define AHEAD 65536u

bool take_block_handle(struct slice *in, struct block_handle *h)
{
    return take_varint64(in, &h->offset) && take_varint64(in, &h->size);
}

static int bad(const char *path, struct block_handle h, const char *what)
{
    return fail(STORE_ECORRUPT, "%s: block at offset %llu: %s", path, (unsigned long long)h.offset,
                what);
}

static int uncompress(const char *path, struct block_handle h, const char *raw, char **data,
                      size_t *len)
{
    size_t n;
    if (snappy_uncompressed_length(raw, h.size, &n) != SNAPPY_OK || n / MAX_EXPANSION > h.size)
        return bad(path, h, "damaged compressed data");
    char *out = block_memory_new(n);
    if (snappy_uncompress(raw, h.size, out, &n) != SNAPPY_OK) {
        block_memory_free(out);
        return bad(path, h, "damaged compressed data");
    }
    *data = out;
    *len = n;
    return 0;
}

static int check_place(const char *path, uint64_t file_size, struct block_handle h)
{
    bool inside = h.size <= file_size && h.offset <= file_size - h.size &&
                  file_size - h.size - h.offset >= TABLE_TRAILER_SIZE;
    return inside ? 0 : bad(path, h, "outside of the file");
}

/* From the bytes on disk, trailer included. Where `own` is not NULL they are on the heap, and may
 * be taken: *own is then NULL. */
static int decode(const char *path, struct block_handle h, const char *raw, char **own, char **data,
                  size_t *len)
{
    if (crc_unmask(get_fixed32(raw + h.size + 1)) != crc32c(raw, h.size + 1))
        return bad(path, h, "checksum mismatch");
    switch (raw[h.size]) {
    case TABLE_NONE:
        *len = (size_t)h.size;
        if (own && *own) {
            *data = *own;
            *own = NULL;
        } else {
            *data = memcpy(block_memory_new(*len), raw, *len);
        }
        return 0;
    case TABLE_SNAPPY:
        return uncompress(path, h, raw, data, len);
    default:
        return fail(STORE_EFORMAT,
                    "%s: block at offset %llu: compression type %d is not known here", path,
                    (unsigned long long)h.offset, raw[h.size]);
    }
}

int block_from_bytes(const char *path, struct block_handle h, const char *raw, char **data,
                     size_t *len)
{
    return decode(path, h, raw, NULL, data, len);
}

int block_read(struct env *env, struct env_file *file, const char *path, uint64_t file_size,
               struct block_handle h, char **data, size_t *len)
{
    int rc = check_place(path, file_size, h);
    if (rc)
        return rc;
    size_t n = (size_t)h.size + TABLE_TRAILER_SIZE;
    char small[SMALL_BLOCK];
    char *large = n <= sizeof small ? NULL : mem_alloc(n), *raw = large ? large : small;
    ssize_t got = env_pread(env, file, raw, n, h.offset);
    if (got < 0)
        rc = (int)got;
    else if ((size_t)got < n)
        rc = bad(path, h, "the file is too short");
    else
        rc = decode(path, h, raw, &large, data, len);
    free(large);
    return rc;
}

static bool holds(const struct block_ahead *a, struct block_handle h)
{
    return h.offset >= a->offset && h.offset - a->offset <= a->len &&
           h.size + TABLE_TRAILER_SIZE <= a->len - (h.offset - a->offset);
}

int block_read_ahead(struct block_ahead *a, struct env *env, struct env_file *file,
                     const char *path, uint64_t file_size, struct block_handle h, char **data,
                     size_t *len)
{
    int rc = check_place(path, file_size, h);
    if (rc)
        return rc;
    if (!holds(a, h)) {
        if (!a->bytes)
            a->bytes = mem_alloc(AHEAD);
        uint64_t rest = file_size - h.offset;
        ssize_t got = env_pread(env, file, a->bytes, rest < AHEAD ? (size_t)rest : AHEAD, h.offset);
        a->offset = h.offset;
        a->len = got > 0 ? (size_t)got : 0;
    }
    if (!holds(a, h)) /* it is larger, or something there cannot be read: perhaps not this block */
        return block_read(env, file, path, file_size, h, data, len);
    return decode(path, h, a->bytes + (h.offset - a->offset), NULL, data, len);
}

void block_ahead_free(struct block_ahead *a)
{
    free(a->bytes);
    *a = (struct block_ahead){0};
}
