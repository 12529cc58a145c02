/* A batch, in memory and as a log record:
 *
 *     sequence : fixed64 | count : fixed32 | record*
 *     record = 0x01 key value (put) | 0x00 key (delete); strings prefixed by a varint32 length
 *
 * The first record takes `sequence`, each next one its successor.
 *
 * A *mark* is a log record of a batch without records: all numbers below its `sequence` were on
 * stable storage when it was appended. To LevelDB it is an empty batch. Every log of ours begins
 * with one; a log that does not is LevelDB's, and its empty batches say nothing. */
#ifndef STORE_COMMIT_BATCH_FORMAT_H
#define STORE_COMMIT_BATCH_FORMAT_H

#define BATCH_HEADER_SIZE 12

#endif
