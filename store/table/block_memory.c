/* See block_memory.h. */
#include "block_memory.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "../base/buf.h"

/* Sizes are rounded up to a multiple of this, so that one block's memory mostly fits another. */
#define STEP 128

/* Larger ones are not kept: they would be held for nothing. */
#define MOST 16384

static pthread_key_t spare; /* each thread's last one, or NULL */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
    if (pthread_key_create(&spare, free))
        abort(); /* a process has a thousand of them */
}

void *block_memory_new(size_t n)
{
    pthread_once(&once, make_key);
    void *p = pthread_getspecific(spare);
    size_t have = p ? malloc_usable_size(p) : 0;
    if (have < n || have - n > n / 8)
        return mem_alloc((n + STEP - 1) & ~(size_t)(STEP - 1));
    pthread_setspecific(spare, NULL);
    return p;
}

void block_memory_free(void *p)
{
    if (p && malloc_usable_size(p) <= MOST) {
        pthread_once(&once, make_key);
        void *older = pthread_getspecific(spare);
        if (pthread_setspecific(spare, p) == 0)
            p = older;
    }
    free(p);
}
