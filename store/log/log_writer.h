/* Appends records to a log file. One thread at a time (the commit leader); env_sync of the file may
 * run beside an append. After a failed append the file's end is unknown: the writer must
 * not be used again, unless log_undo() succeeds. */
#ifndef STORE_LOG_LOG_WRITER_H
#define STORE_LOG_LOG_WRITER_H

#include "../env/env.h"

struct log_writer {
    struct env *env;
    struct env_file *file; /* not owned */
    uint64_t end;          /* bytes of records so far; where the next one goes */
    uint64_t zeroed;    /* the file is zeroes from `end` up to here (> end, or 0: no such zeroes) */
    struct buf scratch; /* what is appended, cut into fragments */
    struct env_window *window; /* onto some of the zeroes, or NULL */
    uint64_t window_end;       /* <= zeroed */
    bool no_window;            /* there was none to be had */
    bool use_window;           /* by the next append */
};

/* `file` is empty. */
void log_writer_init(struct log_writer *w, struct env *env, struct env_file *file);
void log_writer_free(struct log_writer *w);
/* One record, one pwrite (none after log_use_window). */
int log_append(struct log_writer *w, struct slice record);
/* The same for a record with another one before it (empty: none); still one pwrite. */
int log_append_pair(struct log_writer *w, struct slice before, struct slice record);
/* Cuts off what a failed log_append has left behind the last whole record, and any zeroes; then the
 * log can go on. Only for errors that leave known what the file holds (no space). */
int log_undo(struct log_writer *w);
/* So many zeroes one call writes, up to a multiple of it. The kernel caches what a call writes in
 * pieces of memory as large as the call, where it can. For records that follow each other without
 * syncs few large pieces cost less than many pages; but of more than 64 KiB they are dear, to get
 * them and for each later write into them. Where a sync comes behind every few records pages cost
 * the same, and the kernel counts one as written each time, not a large piece
 * (/proc/PID/io, dirty memory). */
enum log_piece { LOG_PAGES = 4 << 10, LOG_LARGE = 64 << 10 };
/* Makes sure that at least `low` bytes behind the end are zeroes already on file; where not, writes
 * about `chunk` bytes of them. What is there grows the file's size once for many records.
 * Whatever it fails with, the records are untouched, and appends may go on.
 * Requires: chunk >= low. */
int log_zero_ahead(struct log_writer *w, uint64_t low, uint64_t chunk, enum log_piece piece);
/* Lets the next append, of at most `need` bytes, store them through a window (env.h) onto zeroes
 * written ahead, which takes no system call; opens one of about `size` bytes where the last one is
 * used up. Where none can be had the append is a pwrite. Errors: those of the zeroes, but not want
 * of space. Requires: need <= size. */
int log_use_window(struct log_writer *w, uint64_t need, uint64_t size);
/* An append of so many bytes needs no new window. */
bool log_window_holds(const struct log_writer *w, uint64_t need);
/* No append follows soon, or the file's end is about to be cut off. */
void log_close_window(struct log_writer *w);
/* Cuts off the zeroes (before a clean close). */
int log_trim(struct log_writer *w);

#endif
