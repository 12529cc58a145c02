/* Cuts records into fragments and appends them: see log_writer.h, and log_format.h for the bytes.
 *
 * Appends that follow log_zero_ahead() overwrite its zeroes in place, so that a sync finds the
 * file's size unchanged. */
#include "log_writer.h"

#include <assert.h>
#include <stdlib.h>

#include "../base/coding.h"
#include "../base/crc.h"
#include "log_format.h"

void log_writer_init(struct log_writer *w, struct env *env, struct env_file *file)
{
    *w = (struct log_writer){.env = env, .file = file};
}

void log_writer_free(struct log_writer *w)
{
    buf_free(&w->scratch);
}

static void put_fragment(struct buf *out, enum log_fragment type, const char *data, size_t len)
{
    char *p = buf_reserve(out, LOG_HEADER_SIZE + len);
    put_fixed16(p + 4, (uint16_t)len);
    p[6] = (char)type;
    if (len)
        memcpy(p + LOG_HEADER_SIZE, data, len);
    put_fixed32(p, crc_mask(crc32c(p + 6, len + 1)));
    out->len += LOG_HEADER_SIZE + len;
}

static enum log_fragment type_of(bool first, bool last)
{
    return first ? (last ? LOG_FULL : LOG_FIRST) : (last ? LOG_LAST : LOG_MIDDLE);
}

/* What one huge record needed is not kept for ever. */
#define SCRATCH_KEPT (4u << 20)

/* The record as it will lie in the file, behind what is in `out` from offset `at` on. */
static void cut(struct buf *out, struct slice record, uint64_t at)
{
    static const char zeroes[LOG_HEADER_SIZE];
    size_t done = 0;
    for (bool first = true;; first = false) {
        size_t left = LOG_BLOCK_SIZE - (size_t)((at + out->len) % LOG_BLOCK_SIZE);
        if (left < LOG_HEADER_SIZE) {
            buf_append(out, zeroes, left);
            left = LOG_BLOCK_SIZE;
        }
        size_t room = left - LOG_HEADER_SIZE, n = record.len - done;
        bool last = n <= room;
        n = last ? n : room;
        put_fragment(out, type_of(first, last), n ? record.data + done : NULL, n);
        done += n;
        if (last)
            return;
    }
}

int log_append(struct log_writer *w, struct slice record)
{
    return log_append_pair(w, slice_of(NULL, 0), record);
}

int log_append_pair(struct log_writer *w, struct slice before, struct slice record)
{
    buf_clear(&w->scratch);
    if (before.len > 0)
        cut(&w->scratch, before, w->end);
    cut(&w->scratch, record, w->end);
    int rc = env_pwrite(w->env, w->file, w->scratch.data, w->scratch.len, w->end);
    if (rc == 0)
        w->end += w->scratch.len;
    if (w->zeroed <= w->end)
        w->zeroed = 0;
    if (w->scratch.cap > SCRATCH_KEPT)
        buf_free(&w->scratch);
    return rc;
}

int log_undo(struct log_writer *w)
{
    int rc = env_truncate(w->env, w->file, w->end);
    if (rc == 0)
        w->zeroed = 0;
    return rc;
}

int log_zero_ahead(struct log_writer *w, uint64_t low, uint64_t chunk)
{
    assert(chunk >= low);
    uint64_t from = w->zeroed ? w->zeroed : w->end;
    if (from - w->end >= low)
        return 0;
    char *zeroes = mem_zalloc(chunk);
    int rc = env_pwrite(w->env, w->file, zeroes, chunk, from);
    free(zeroes);
    if (rc == 0)
        w->zeroed = from + chunk;
    else /* a part may be there, on a disk that has no room for more useful bytes */
        env_truncate(w->env, w->file, from);
    return rc;
}

int log_trim(struct log_writer *w)
{
    if (w->zeroed == 0)
        return 0;
    int rc = env_truncate(w->env, w->file, w->end);
    if (rc == 0)
        w->zeroed = 0;
    return rc;
}
