/* Segment files: bytes that are appended, read, and given back again. Which of them are in use is
 * the callers' business (chunk.c, freed.c); here they are places in files (segment_format.h).
 *
 * One file at a time is appended to. None that an earlier open wrote is: what is behind its end
 * nobody knows. Any call from any thread between segments_open and segments_close. */
#ifndef FS_CORE_SEGMENTS_H
#define FS_CORE_SEGMENTS_H

#include "../../store/store.h"

struct segments;

struct segment_place {
    uint64_t segment, offset;
};

struct segments_options {
    bool read_only; /* files are only read: none of what writes is called */
    uint64_t bytes; /* of one file, about; at least what one append may have */
    /* A new file is about to be used, and has never been: called once for each, alone, with no lock
     * of this module held. An error leaves it unused. */
    int (*begin)(void *arg, uint64_t segment);
    void *arg;
};

/* `dir` need not exist; it is made with the first file. */
struct segments *segments_open(struct env *env, const char *dir, const struct segments_options *o);
void segments_close(struct segments *s);

/* Numbers of files that are there; fn for each, in no order. 0 or the disk's error. */
int segments_list(struct segments *s, void (*fn)(void *arg, uint64_t segment), void *arg);
/* New files get numbers above this one. Before the first append. */
void segments_number_from(struct segments *s, uint64_t number);
uint64_t segments_newest(struct segments *s);                    /* the last number given */
char *segments_path(const struct segments *s, uint64_t segment); /* of the file; free() it */

/* Appends n bytes, a multiple of 4096. They are in the kernel's hands then (they survive the end of
 * the process), and durable after segments_sync. On an error nothing of it is kept; -ENOSPC. The
 * file is *held* until segments_release: until it is known whether somebody needs the place. */
int segments_append(struct segments *s, const void *p, size_t n, struct segment_place *out);
void segments_release(struct segments *s, struct segment_place at);
/* Before the release: nobody needs the n bytes there. Their space is given back, and the next
 * append takes the place if it is the last one: a disk without holes would fill up with them. */
void segments_take_back(struct segments *s, struct segment_place at, uint64_t n);
/* Nobody appends to the file any more, and none holds it: whose places are not needed by now never
 * will be. */
bool segments_is_idle(struct segments *s, uint64_t segment);
bool segments_exists(struct segments *s, uint64_t segment);
/* n bytes of a place: 0, STORE_ECORRUPT where the file is missing, damaged or too short, or the
 * disk's error. */
int segments_read(struct segments *s, struct segment_place at, void *p, size_t n);
/* Writes what is there already once more: a kernel that could not write it before may have
 * forgotten that it still has to. */
int segments_write_again(struct segments *s, struct segment_place at, const void *p, size_t n);
/* Makes durable all that was appended before the call. A failure is never tried again: each later
 * call fails as well. */
int segments_sync(struct segments *s);

/* Gives space back: the bytes read as zeroes, or their space cannot be given back (no error). */
int segments_punch(struct segments *s, struct segment_place at, uint64_t n);
/* As segments_sync, of what was punched in this file. */
int segments_sync_one(struct segments *s, uint64_t segment);
int segments_size(struct segments *s, uint64_t segment, uint64_t *size);
/* Deletes the file, which is idle and of which nothing is in use. */
int segments_remove(struct segments *s, uint64_t segment);

#endif
