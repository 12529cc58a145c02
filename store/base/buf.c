/* Memory and byte buffers: see buf.h. Any thread; a buf is used by one thread at a time. */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Going on without the memory would mean half a record; the log has what was promised. */
static void out_of_memory(size_t n)
{
    fprintf(stderr, "skeinfs: out of memory (%zu bytes)\n", n);
    abort();
}

void *mem_realloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (!q)
        out_of_memory(n);
    return q;
}

void *mem_alloc(size_t n)
{
    return mem_realloc(NULL, n);
}

/* For what is small, malloc() has a list of each thread's own, which calloc() passes by. */
#define SMALL 1024

void *mem_zalloc(size_t n)
{
    if (n <= SMALL)
        return memset(mem_alloc(n), 0, n);
    void *p = calloc(1, n);
    if (!p)
        out_of_memory(n);
    return p;
}

char *mem_printf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        out_of_memory(0);
    return s;
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf)BUF_INIT;
}

char *buf_reserve(struct buf *b, size_t more)
{
    if (!b->data || b->cap - b->len < more) {
        size_t need, cap = b->cap ? b->cap * 2 : 64;
        if (__builtin_add_overflow(b->len, more, &need) || need > SIZE_MAX / 4)
            out_of_memory(more);
        while (cap < need)
            cap *= 2;
        b->data = mem_realloc(b->data, cap);
        b->cap = cap;
    }
    return b->data + b->len;
}

void buf_append(struct buf *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    memcpy(buf_reserve(b, len), data, len);
    b->len += len;
}
