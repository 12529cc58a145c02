/* The log: blocks of 32 KiB, each filled with fragments:
 *
 *     masked crc32c of type and data : fixed32 | length : fixed16 | type : u8 | data
 *
 * A record that fits is one FULL fragment, else FIRST MIDDLE* LAST. A block's last bytes that
 * cannot hold a header (< 7) are zeroes. A header of zeroes (type 0, length 0) is what was written
 * ahead: the end. */
#ifndef STORE_LOG_LOG_FORMAT_H
#define STORE_LOG_LOG_FORMAT_H

enum log_fragment { LOG_ZERO = 0, LOG_FULL = 1, LOG_FIRST = 2, LOG_MIDDLE = 3, LOG_LAST = 4 };
#define LOG_BLOCK_SIZE 32768u
#define LOG_HEADER_SIZE 7u

#endif
