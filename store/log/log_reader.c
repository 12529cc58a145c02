/* Reads a log fragment by fragment: see log_reader.h, and log_format.h for the bytes.
 *
 * Every byte before the end is accounted for: a fragment that passes its check, or the zeroes of a
 * trailer. Anything else is the torn end, even where LevelDB would go on with the next block. */
#include "log_reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "../base/coding.h"
#include "../base/crc.h"
#include "../base/error.h"
#include "log_format.h"

/* One fragment as it was found. */
struct fragment {
    uint64_t pos;
    enum log_fragment type;
    struct slice data;
};

int log_reader_open(struct log_reader *r, struct env *env, const char *path)
{
    *r = (struct log_reader){.env = env, .name = path, .block_no = UINT64_MAX};
    int rc = env_open(env, path, ENV_READ, &r->file);
    if (rc)
        return rc;
    rc = env_size(env, r->file, &r->size);
    if (rc)
        env_close(env, r->file);
    else
        r->block = mem_alloc(LOG_BLOCK_SIZE);
    return rc;
}

void log_reader_close(struct log_reader *r)
{
    if (r->block)
        env_close(r->env, r->file);
    free(r->block);
    r->block = NULL;
    buf_free(&r->scratch);
}

static int load_block(struct log_reader *r, uint64_t number)
{
    if (r->block_no == number)
        return 0;
    ssize_t n = env_pread(r->env, r->file, r->block, LOG_BLOCK_SIZE, number * LOG_BLOCK_SIZE);
    r->block_no = n < 0 ? UINT64_MAX : number;
    if (n < 0)
        return (int)n;
    r->block_len = (size_t)n;
    return 0;
}

static int torn(struct log_reader *r, const char *why)
{
    r->end = LOG_END_TORN;
    snprintf(r->reason, sizeof r->reason, "%s", why);
    return 0;
}

/* Are the bytes from..to of the block in hand, as far as the file has them, all zero? */
static bool zeroes(const struct log_reader *r, size_t from, size_t to)
{
    size_t end = to < r->block_len ? to : r->block_len;
    for (size_t i = from; i < end; i++)
        if (r->block[i])
            return false;
    return true;
}

/* The log ends at pos if nothing but zeroes follows. */
static int end_if_zeroes(struct log_reader *r)
{
    uint64_t last = r->size ? (r->size - 1) / LOG_BLOCK_SIZE : 0;
    size_t at = (size_t)(r->pos % LOG_BLOCK_SIZE);
    for (uint64_t number = r->pos / LOG_BLOCK_SIZE; number <= last; number++, at = 0) {
        int rc = load_block(r, number);
        if (rc < 0)
            return rc;
        if (!zeroes(r, at, LOG_BLOCK_SIZE))
            return torn(r, "bytes behind zeroes");
    }
    r->end = LOG_END_CLEAN;
    return 0;
}

/* Steps over what is left of a block where that cannot hold a header. 1: pos is where one may be.
 */
static int skip_trailer(struct log_reader *r)
{
    size_t at = (size_t)(r->pos % LOG_BLOCK_SIZE);
    if (LOG_BLOCK_SIZE - at >= LOG_HEADER_SIZE || r->pos >= r->size)
        return 1;
    int rc = load_block(r, r->pos / LOG_BLOCK_SIZE);
    if (rc < 0)
        return rc;
    if (!zeroes(r, at, LOG_BLOCK_SIZE))
        return torn(r, "bytes in the trailer of a block");
    r->pos += LOG_BLOCK_SIZE - at;
    return 1;
}

/* 1: a whole fragment, pos is behind it. 0: the end (r->end). */
static int read_fragment(struct log_reader *r, struct fragment *f)
{
    int rc = skip_trailer(r);
    if (rc <= 0)
        return rc;
    if (r->pos >= r->size) {
        r->end = LOG_END_CLEAN;
        return 0;
    }
    rc = load_block(r, r->pos / LOG_BLOCK_SIZE);
    if (rc < 0)
        return rc;
    size_t at = (size_t)(r->pos % LOG_BLOCK_SIZE);
    if (r->block_len < at + LOG_HEADER_SIZE) {
        if (!zeroes(r, at, LOG_BLOCK_SIZE))
            return torn(r, "the file ends inside a header");
        r->end = LOG_END_CLEAN;
        return 0;
    }
    const char *p = r->block + at;
    size_t len = get_fixed16(p + 4);
    if (zeroes(r, at, at + LOG_HEADER_SIZE))
        return end_if_zeroes(r);
    if (at + LOG_HEADER_SIZE + len > LOG_BLOCK_SIZE)
        return torn(r, "a length that crosses its block");
    if (at + LOG_HEADER_SIZE + len > r->block_len)
        return torn(r, "the file ends inside a record");
    if (crc_unmask(get_fixed32(p)) != crc32c(p + 6, len + 1))
        return torn(r, "checksum mismatch");
    f->pos = r->pos;
    f->type = (enum log_fragment)(unsigned char)p[6];
    f->data = slice_of(p + LOG_HEADER_SIZE, len);
    if (f->type < LOG_FULL || f->type > LOG_LAST)
        return torn(r, "an unknown kind of fragment");
    r->pos += LOG_HEADER_SIZE + len;
    return 1;
}

int log_read(struct log_reader *r, struct slice *record)
{
    struct fragment f = {0};
    uint64_t start = 0;
    bool inside = false;
    if (r->end != LOG_END_NONE)
        return 0;
    buf_clear(&r->scratch);
    for (;;) {
        int got = read_fragment(r, &f);
        if (got < 0)
            return got;
        if (got == 0)
            return inside && r->end == LOG_END_CLEAN ? torn(r, "the log ends inside a record") : 0;
        bool starts = f.type == LOG_FULL || f.type == LOG_FIRST;
        if (starts == inside)
            return torn(r, inside ? "a record inside another" : "a fragment without its start");
        if (starts)
            start = f.pos;
        if (f.type == LOG_FULL) {
            *record = f.data;
        } else {
            buf_append_slice(&r->scratch, f.data);
            *record = buf_slice(&r->scratch);
        }
        if (f.type == LOG_FULL || f.type == LOG_LAST) {
            r->record_pos = start;
            r->record_end = r->pos;
            return 1;
        }
        inside = true;
    }
}
