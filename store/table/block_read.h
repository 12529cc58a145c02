/* Reading a block from a table's file: handle, checksum, decompression. */
#ifndef STORE_TABLE_BLOCK_READ_H
#define STORE_TABLE_BLOCK_READ_H

#include "../env/env.h"

struct block_handle {
    uint64_t offset, size;
};

bool take_block_handle(struct slice *in, struct block_handle *h);
/* The block's bytes, uncompressed, on the heap: *data and *len. STORE_ECORRUPT names the file and
 * the offset. */
int block_read(struct env *env, struct env_file *file, const char *path, uint64_t file_size,
               struct block_handle h, char **data, size_t *len);

/* The same from its bytes and its trailer's, which are at hand. */
int block_from_bytes(const char *path, struct block_handle h, const char *raw, char **data,
                     size_t *len);

/* Blocks one behind the other, of which the next ones are read along. Zeroed at first. */
struct block_ahead {
    char *bytes;
    uint64_t offset;
    size_t len;
};
/* As block_read. */
int block_read_ahead(struct block_ahead *a, struct env *env, struct env_file *file,
                     const char *path, uint64_t file_size, struct block_handle h, char **data,
                     size_t *len);
void block_ahead_free(struct block_ahead *a);

#endif
