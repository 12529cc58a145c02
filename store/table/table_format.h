/* A table (n.ldb), as LevelDB writes it:
 *
 *     data block* | filter block | metaindex block | index block | footer
 *
 * block   = entries | restart offsets: fixed32* | their count: fixed32
 * entry   = shared: varint32 | unshared: varint32 | value length: varint32 | key rest | value
 * on disk each block is followed by  type: u8 (0 none, 1 snappy) | masked crc32c of block and type:
 * fixed32 index   : last key of a block (or a short separator) -> block handle (offset: varint64 |
 * size: varint64) metaindex: "filter.leveldb.BuiltinBloomFilter2" -> handle of the filter block
 * filter  = filters | their offsets: fixed32* | start of the offsets: fixed32 | base lg: u8 (11)
 * footer  = metaindex handle | index handle | zeroes up to 40 bytes | magic: fixed64 */
#ifndef STORE_TABLE_TABLE_FORMAT_H
#define STORE_TABLE_TABLE_FORMAT_H

#define TABLE_MAGIC 0xdb4775248b80fb57ull
#define TABLE_FOOTER_SIZE 48
#define TABLE_TRAILER_SIZE 5
#define TABLE_FILTER_NAME "filter.leveldb.BuiltinBloomFilter2"
#define TABLE_FILTER_BASE_LG 11

enum table_compression { TABLE_NONE = 0, TABLE_SNAPPY = 1 };

#endif
