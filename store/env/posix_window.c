/* Windows onto files of the real disk: shared mappings. A store into one is a store into the page
 * cache, just as pwrite's is, and outlives the process in the same way.
 *
 * Only on filesystems where that is so for sure (posix_shares_pages).
 *
 * A page cannot be had where the disk fails to read it, or where a filesystem that never writes in
 * place finds no space for its new version. The kernel then sends SIGBUS. Here the same bytes are
 * written by pwrite instead, whose result is what counts: it knows the reason; and the window is
 * not used again. */
#include "env_posix.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../base/error.h"
#include "guarded_copy.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

struct env_window {
    struct env_file *file;
    char *base; /* of the mapping, which begins at a page */
    size_t len;
    uint64_t off; /* of `base` in the file */
    bool broken;  /* a copy into it failed */
};

/* All pages at once, ready to be written: a fault for each costs more. False: some page cannot be
 * had. A kernel that does not know this brings them one by one. */
static bool populate(void *base, size_t n)
{
    return madvise(base, n, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;
}

int posix_window_open(struct env *e, struct env_file *f, uint64_t off, size_t n,
                      struct env_window **out)
{
    (void)e;
    uint64_t start = off - off % (uint64_t)sysconf(_SC_PAGESIZE);
    size_t len = (size_t)(off + n - start);
    if (!posix_shares_pages(f->fd) || !guarded_copy_ready())
        return fail(-EOPNOTSUPP, "%s: no mapping on this filesystem", f->path);
    void *base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, (off_t)start);
    if (base == MAP_FAILED)
        return posix_failed("map", f->path);
    if (!populate(base, len)) {
        int rc = posix_failed("map", f->path);
        munmap(base, len);
        return rc;
    }
    struct env_window *w = mem_zalloc(sizeof *w);
    *w = (struct env_window){.file = f, .base = base, .len = len, .off = start};
    *out = w;
    return 0;
}

int posix_window_write(struct env *e, struct env_window *w, const void *p, size_t n, uint64_t off)
{
    if (!w->broken && guarded_copy(w->base + (off - w->off), p, n))
        return 0;
    w->broken = true;
    return posix_pwrite(e, w->file, p, n, off);
}

void posix_window_close(struct env *e, struct env_window *w)
{
    (void)e;
    munmap(w->base, w->len);
    free(w);
}
