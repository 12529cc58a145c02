/* See posix_map.h.
 *
 * What a page fault must not do is wait for the disk where a call would have waited better: a call
 * asks for all pages of a block at once, tells of an error, and is made where the thread's owner
 * wants it made (store_on_slow_call). So:
 *
 *  1. Only pages that a call has read before are read through the mapping. The page cache has them,
 *     unless memory became scarce since; then the fault brings that page and no others, for which
 *     MADV_RANDOM asks.
 *  2. In a process whose threads must not sleep for the disk unseen no mapping is read.
 *  3. Bytes are copied under a guard (guarded_copy.h), and used from the copy. Where a page cannot
 *     be had a call reads the same bytes, and its result counts. */
#include "posix_map.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/on_wait.h"
#include "env_posix.h"
#include "guarded_copy.h"

/* A page of the machine may be larger: then some bits say the same. */
enum { PAGE_BITS = 12, WORD_BITS = 6 };

/* Longer reads are those of scans, for which a call is as good. */
enum { MOST = 16384 };

struct posix_map {
    const char *base;
    uint64_t size;
    _Atomic uint64_t was_read[]; /* a bit for each page */
};

/* Somebody wants to be told before a thread sleeps, or to make its calls. A fault does neither. */
static bool faults_are_unwanted(void)
{
    return __atomic_load_n(&on_wait_hook, __ATOMIC_RELAXED) ||
           __atomic_load_n(&on_slow_call_hook, __ATOMIC_RELAXED);
}

struct posix_map *posix_map_new(int fd)
{
    struct stat st;
    if (faults_are_unwanted() || !posix_shares_pages(fd) || !guarded_copy_ready() ||
        fstat(fd, &st) || st.st_size <= 0 || (uint64_t)st.st_size > SIZE_MAX)
        return NULL;
    size_t size = (size_t)st.st_size, words = (size >> (PAGE_BITS + WORD_BITS)) + 1;
    void *base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return NULL;
    madvise(base, size, MADV_RANDOM);
    struct posix_map *m = mem_zalloc(sizeof *m + words * sizeof m->was_read[0]);
    m->base = base;
    m->size = size;
    return m;
}

void posix_map_free(struct posix_map *m)
{
    if (!m)
        return;
    munmap((void *)m->base, (size_t)m->size);
    free(m);
}

static bool all_were_read(const struct posix_map *m, size_t n, uint64_t off)
{
    for (uint64_t page = off >> PAGE_BITS; page <= (off + n - 1) >> PAGE_BITS; page++) {
        uint64_t word = atomic_load_explicit(&m->was_read[page >> WORD_BITS], memory_order_relaxed);
        if (!(word >> (page & ((1u << WORD_BITS) - 1)) & 1))
            return false;
    }
    return true;
}

bool posix_map_read(struct posix_map *m, void *to, size_t n, uint64_t off)
{
    return n > 0 && n <= MOST && off < m->size && n <= m->size - off && all_were_read(m, n, off) &&
           !faults_are_unwanted() && guarded_copy(to, m->base + off, n);
}

void posix_map_was_read(struct posix_map *m, size_t n, uint64_t off)
{
    if (n == 0 || off >= m->size || n > m->size - off)
        return;
    for (uint64_t page = off >> PAGE_BITS; page <= (off + n - 1) >> PAGE_BITS; page++) {
        _Atomic uint64_t *word = &m->was_read[page >> WORD_BITS];
        uint64_t bit = 1ull << (page & ((1u << WORD_BITS) - 1));
        if (!(atomic_load_explicit(word, memory_order_relaxed) & bit))
            atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
    }
}
