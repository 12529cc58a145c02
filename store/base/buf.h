/* A growing run of bytes, owned by whoever declared it: `struct buf b = BUF_INIT; ...
 * buf_free(&b);` Not thread safe. Memory that cannot be had ends the process with a message
 * (buf_reserve): a store that goes on with half a record in its hands would be worse. */
#ifndef STORE_BASE_BUF_H
#define STORE_BASE_BUF_H

#include "slice.h"

struct buf {
    char *data;
    size_t len;
    size_t cap;
};

#define BUF_INIT                                                                                   \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

void buf_free(struct buf *b); /* back to BUF_INIT */
/* Room for `more` bytes behind len; returns a pointer to them, never NULL. len does not change. */
char *buf_reserve(struct buf *b, size_t more);
void buf_append(struct buf *b, const void *data, size_t len);
static inline void buf_clear(struct buf *b)
{
    b->len = 0;
}
static inline void buf_set(struct buf *b, struct slice s)
{
    b->len = 0;
    buf_append(b, s.data, s.len);
}
static inline void buf_append_slice(struct buf *b, struct slice s)
{
    buf_append(b, s.data, s.len);
}
static inline struct slice buf_slice(const struct buf *b)
{
    return slice_of(b->data, b->len);
}

/* malloc, calloc and realloc that never return NULL (same rule as buf_reserve). */
void *mem_alloc(size_t n);
void *mem_zalloc(size_t n);
void *mem_realloc(void *p, size_t n);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* free() it */

#endif
