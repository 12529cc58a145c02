/* A record of the MANIFEST (a log, log/log_format.h): fields, each a varint32 tag and what belongs
 * to it.
 *
 *     1 comparator      string                 5 compact pointer  level, internal key
 *     2 log number      varint64               6 deleted file     level, number
 *     3 next file       varint64               7 new file         level, number, size, smallest,
 * largest 4 last sequence   varint64               9 previous log     varint64 (LevelDB writes 0)
 *
 * levels are varint32, numbers and sizes varint64, keys strings (varint32 length, bytes). A log
 * with a number below `log number` is in tables already. An unknown tag means a newer format:
 * STORE_EFORMAT. */
#ifndef STORE_VERSION_EDIT_FORMAT_H
#define STORE_VERSION_EDIT_FORMAT_H

#define EDIT_COMPARATOR_NAME "leveldb.BytewiseComparator"
enum edit_tag {
    EDIT_COMPARATOR = 1,
    EDIT_LOG_NUMBER = 2,
    EDIT_NEXT_FILE = 3,
    EDIT_LAST_SEQUENCE = 4,
    EDIT_COMPACT_POINTER = 5,
    EDIT_DELETED_FILE = 6,
    EDIT_NEW_FILE = 7,
    EDIT_PREV_LOG = 9,
};

#endif
