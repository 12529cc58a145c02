/* See block_read.h and table_format.h. */
#include "block_read.h"

#include <snappy-c.h>
#include <stdlib.h>

#include "../base/coding.h"
#include "../base/crc.h"
#include "../base/error.h"
#include "table_format.h"

/* Snappy's densest element gives 64 bytes for 3: a length beyond that is damaged, and must not make
 * us ask for the memory. */
#define MAX_EXPANSION 22

/* On disk; larger ones are read into memory of their own before they are uncompressed. */
#define SMALL_BLOCK 8192

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
    char *out = mem_alloc(n);
    if (snappy_uncompress(raw, h.size, out, &n) != SNAPPY_OK) {
        free(out);
        return bad(path, h, "damaged compressed data");
    }
    *data = out;
    *len = n;
    return 0;
}

int block_read(struct env *env, struct env_file *file, const char *path, uint64_t file_size,
               struct block_handle h, char **data, size_t *len)
{
    if (h.size > file_size || h.offset > file_size - h.size ||
        file_size - h.size - h.offset < TABLE_TRAILER_SIZE)
        return bad(path, h, "outside of the file");
    size_t n = (size_t)h.size + TABLE_TRAILER_SIZE;
    char small[SMALL_BLOCK];
    char *large = n <= sizeof small ? NULL : mem_alloc(n), *raw = large ? large : small;
    int rc = 0;
    ssize_t got = env_pread(env, file, raw, n, h.offset);
    if (got < 0) {
        rc = (int)got;
        goto out;
    }
    if ((size_t)got < n) {
        rc = bad(path, h, "the file is too short");
        goto out;
    }
    if (crc_unmask(get_fixed32(raw + h.size + 1)) != crc32c(raw, h.size + 1)) {
        rc = bad(path, h, "checksum mismatch");
        goto out;
    }
    switch (raw[h.size]) {
    case TABLE_NONE:
        *data = large ? large : memcpy(mem_alloc(n), small, n);
        *len = (size_t)h.size;
        return 0;
    case TABLE_SNAPPY:
        rc = uncompress(path, h, raw, data, len);
        break;
    default:
        rc = fail(STORE_EFORMAT, "%s: block at offset %llu: compression type %d is not known here",
                  path, (unsigned long long)h.offset, raw[h.size]);
    }
out:
    free(large);
    return rc;
}
