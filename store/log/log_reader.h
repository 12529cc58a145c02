/* Reads a log's records in order and stops at the first byte that is not one: nothing behind a bad
 * fragment is ever returned (a later valid one would make a hole). One thread at a time. */
#ifndef STORE_LOG_LOG_READER_H
#define STORE_LOG_LOG_READER_H

#include "../env/env.h"

enum log_end {
    LOG_END_NONE,  /* not at the end yet */
    LOG_END_CLEAN, /* the file ends behind a record, or in zeroes up to its end */
    LOG_END_TORN,  /* the file ends inside a record, or what follows the last record fails its check
                    */
};

struct log_reader {
    struct env *env;
    struct env_file *file;
    const char *name; /* for messages; not owned */
    uint64_t size;
    uint64_t pos;        /* of the next fragment */
    uint64_t record_pos; /* where the record returned last starts */
    uint64_t record_end; /* behind the last whole record */
    enum log_end end;
    char reason[128];  /* why the end is torn */
    char *block;       /* the block that holds pos */
    uint64_t block_no; /* its number, or UINT64_MAX */
    size_t block_len;
    struct buf scratch;
};

/* Opens path for reading. */
int log_reader_open(struct log_reader *r, struct env *env, const char *path);
void log_reader_close(struct log_reader *r);
/* 1: *record is the next record, good until the next call. 0: the end, r->end says which. Negative:
 * the disk's error; only log_reader_close() may follow. */
int log_read(struct log_reader *r, struct slice *record);

#endif
