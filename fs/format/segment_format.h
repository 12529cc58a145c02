/* A segment file, DIR/segments/n.seg: the data of chunks, one behind the other.
 *
 *     "SKEINSEG" | version:u32le (1) | number:u64le | masked crc32c of these:u32le | zeroes to 4096
 *     data, in blocks of 4096 bytes
 *
 * Which of it is in use, and its checksums, the store says (chunk_format.h); what nobody needs any
 * more are holes. */
#ifndef FS_FORMAT_SEGMENT_FORMAT_H
#define FS_FORMAT_SEGMENT_FORMAT_H

#include <stdint.h>

#define SEGMENT_HEADER 4096 /* where the data begins */

void segment_header_encode(uint64_t number, char header[SEGMENT_HEADER]);
/* 0, STORE_ECORRUPT or STORE_EFORMAT. `path` is for the words. */
int segment_header_check(const char *path, uint64_t number, const char header[SEGMENT_HEADER]);

#endif
