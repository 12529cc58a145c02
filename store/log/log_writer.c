/* Cuts records into fragments and appends them: see log_writer.h, and log_format.h for the bytes.
 *
 * Appends that follow log_zero_ahead() overwrite its zeroes in place, so that a sync finds the
 * file's size unchanged. */
#include "log_writer.h"

#include <assert.h>
#include <stdlib.h>

#include "../base/coding.h"
#include "../base/crc.h"
#include "../base/error.h"
#include "log_format.h"

void log_writer_init(struct log_writer *w, struct env *env, struct env_file *file)
{
    *w = (struct log_writer){.env = env, .file = file};
}

void log_writer_free(struct log_writer *w)
{
    log_close_window(w);
    buf_free(&w->scratch);
}

void log_close_window(struct log_writer *w)
{
    if (w->window)
        env_window_close(w->env, w->window);
    w->window = NULL;
    w->window_end = 0;
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

/* The window lies in the zeroes, which begin at the end: it is in front of the bytes that it takes.
 */
static int write_scratch(struct log_writer *w)
{
    const struct buf *b = &w->scratch;
    bool through = w->use_window && w->end + b->len <= w->window_end;
    w->use_window = false;
    return through ? env_window_write(w->env, w->window, b->data, b->len, w->end)
                   : env_pwrite(w->env, w->file, b->data, b->len, w->end);
}

int log_append_pair(struct log_writer *w, struct slice before, struct slice record)
{
    buf_clear(&w->scratch);
    if (before.len > 0)
        cut(&w->scratch, before, w->end);
    cut(&w->scratch, record, w->end);
    int rc = write_scratch(w);
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
    log_close_window(w);
    int rc = env_truncate(w->env, w->file, w->end);
    if (rc == 0)
        w->zeroed = 0;
    return rc;
}

static int write_zeroes(struct log_writer *w, uint64_t from, uint64_t upto, size_t piece)
{
    static char zeroes[LOG_LARGE]; /* never written; const ones would lie in the program's file */
    int rc = 0;
    assert(piece <= sizeof zeroes);
    for (uint64_t at = from; at < upto && rc == 0;) {
        size_t n = piece - at % piece;
        if (n > upto - at)
            n = (size_t)(upto - at);
        rc = env_pwrite(w->env, w->file, zeroes, n, at);
        at += n;
    }
    return rc;
}

/* Where about `n` zeroes from `from` on end, not before `least`; with a whole piece, where that
 * matters. */
static uint64_t end_of_zeroes(uint64_t from, uint64_t n, uint64_t least, size_t piece)
{
    uint64_t end = from + n, over = end % piece;
    if (n < piece || over == 0)
        return end;
    return end - over >= least ? end - over : end - over + piece;
}

int log_zero_ahead(struct log_writer *w, uint64_t low, uint64_t chunk, enum log_piece piece)
{
    assert(chunk >= low);
    uint64_t from = w->zeroed ? w->zeroed : w->end;
    if (from - w->end >= low)
        return 0;
    uint64_t upto = end_of_zeroes(from, chunk, w->end + low, piece);
    int rc = write_zeroes(w, from, upto, piece);
    if (rc == 0)
        w->zeroed = upto;
    else /* a part may be there, on a disk that has no room for more useful bytes */
        env_truncate(w->env, w->file, from);
    return rc;
}

#define PAGE 4096u /* windows of whole pages are had for less; any other size works, too */

/* Opens a window from the end on. What zeroes there are is used first. */
static int next_window(struct log_writer *w, uint64_t need, uint64_t size)
{
    uint64_t from = w->zeroed ? w->zeroed : w->end;
    log_close_window(w);
    int rc = log_zero_ahead(w, need, size + (0 - from - size) % PAGE, LOG_LARGE);
    if (rc) {
        w->no_window = true;
        return space_lacks(rc) ? 0 : rc;
    }
    uint64_t most = w->end + size + PAGE, upto = w->zeroed < most ? w->zeroed : most;
    w->no_window = env_window_open(w->env, w->file, w->end, (size_t)(upto - w->end), &w->window);
    w->window_end = w->no_window ? 0 : upto;
    return 0;
}

bool log_window_holds(const struct log_writer *w, uint64_t need)
{
    return w->end + need <= w->window_end;
}

int log_use_window(struct log_writer *w, uint64_t need, uint64_t size)
{
    int rc = 0;
    assert(need <= size);
    if (!w->no_window && !log_window_holds(w, need))
        rc = next_window(w, need, size);
    w->use_window = w->window != NULL;
    return rc;
}

int log_trim(struct log_writer *w)
{
    log_close_window(w);
    if (w->zeroed == 0)
        return 0;
    int rc = env_truncate(w->env, w->file, w->end);
    if (rc == 0)
        w->zeroed = 0;
    return rc;
}
