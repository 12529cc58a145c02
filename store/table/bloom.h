/* The filter of LevelDB's builtin bloom policy ("leveldb.BuiltinBloomFilter2"): bits, then the
 * number of probes in one byte. Pure functions. */
#ifndef STORE_TABLE_BLOOM_H
#define STORE_TABLE_BLOOM_H

#include "../base/buf.h"

uint32_t bloom_hash(struct slice key);
/* Appends the filter for keys with these hashes. */
void bloom_build(const uint32_t *hashes, size_t count, int bits_per_key, struct buf *out);
/* False: a key with this hash is not among them. */
bool bloom_may_match(struct slice filter, uint32_t hash);

#endif
