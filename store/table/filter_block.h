/* The filter block of a table: one filter for each 2 KiB of the file, found by the offset at which
 * a data block starts. */
#ifndef STORE_TABLE_FILTER_BLOCK_H
#define STORE_TABLE_FILTER_BLOCK_H

#include "../base/buf.h"

struct filter_builder {
    int bits_per_key;
    struct buf hashes;  /* uint32_t of the keys of the filter under way */
    struct buf out;     /* filters so far */
    struct buf offsets; /* where each begins, as stored */
};

void filter_builder_init(struct filter_builder *b, int bits_per_key);
void filter_builder_free(struct filter_builder *b);
/* A data block begins at this offset of the file; keys added from now on are its. */
void filter_builder_start(struct filter_builder *b, uint64_t block_offset);
void filter_builder_add(struct filter_builder *b, struct slice user_key);
struct slice filter_builder_finish(struct filter_builder *b);

struct filter_reader {
    struct slice data;
    size_t offsets; /* where the offsets begin */
    size_t count;
    int base_lg;
};

/* False: the bytes are no filter block (then there is no filter). They must outlive the reader. */
bool filter_reader_init(struct filter_reader *r, struct slice data);
/* False: the data block at this offset does not hold the key. */
bool filter_may_match(const struct filter_reader *r, uint64_t block_offset, struct slice user_key);

#endif
