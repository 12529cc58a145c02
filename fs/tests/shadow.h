/* A file beside an array that must hold the same: for what is stored in chunks and in blocks.
 *
 * Each call changes the file (asserting success) and the array. shadow_expect() compares all that
 * can be seen of the file: bytes, size, st_blocks, holes. */
#ifndef FS_TESTS_SHADOW_H
#define FS_TESTS_SHADOW_H

#include "../format/chunk_format.h"
#include "fixture.h"

#define SHADOW_CHUNKS 6
#define SHADOW_SIZE (SHADOW_CHUNKS * FS_CHUNK)

struct shadow {
    const char *name; /* in the root */
    uint64_t ino, size;
    char bytes[SHADOW_SIZE];
    bool there[SHADOW_SIZE / FS_BLOCK];
};

/* Bytes that are like no others: of this tag, for this offset. Never zero. */
void shadow_fill(char *p, size_t n, uint64_t off, unsigned tag);

void shadow_make(struct shadow *s, const char *name);
void shadow_find(struct shadow *s); /* after the filesystem was opened anew */
void shadow_write(struct shadow *s, uint64_t off, size_t n, unsigned tag);
/* What such a write means for the array alone. */
void shadow_note_write(struct shadow *s, uint64_t off, const char *p, size_t n);
void shadow_resize(struct shadow *s, uint64_t size);
void shadow_note_resize(struct shadow *s, uint64_t size);
void shadow_punch(struct shadow *s, uint64_t off, uint64_t len);
void shadow_copy(struct shadow *s, uint64_t from, uint64_t to, size_t n);
void shadow_expect(const struct shadow *s);

#endif
