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

#define STRETCH (8u << 20) /* bytes of a file that are mapped in one go */

/* Addresses for a part of a file, most of it without pages, also behind the file's end: windows
 * come one behind the other, and each mapping that comes or goes makes every thread of the process
 * wait that wants memory. */
struct posix_stretch {
    char *base;
    size_t len;
    uint64_t off; /* of `base` in the file */
    int users;    /* its windows, and the file where it is the file's last one */
};

struct env_window {
    struct env_file *file;
    struct posix_stretch *stretch;
    char *base; /* at a page */
    size_t len;
    uint64_t off; /* of `base` in the file */
    bool broken;  /* a copy into it failed */
};

static struct posix_stretch *stretch_new(struct env_file *f, uint64_t off, size_t len)
{
    void *base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, (off_t)off);
    if (base == MAP_FAILED)
        return NULL;
    struct posix_stretch *s = mem_zalloc(sizeof *s);
    *s = (struct posix_stretch){.base = base, .len = len, .off = off, .users = 1};
    return s;
}

void posix_stretch_unref(struct posix_stretch *s)
{
    if (!s || --s->users > 0)
        return;
    munmap(s->base, s->len);
    free(s);
}

/* One that has these bytes, for one more user; NULL: errno says why not. */
static struct posix_stretch *stretch_for(struct env_file *f, uint64_t off, size_t len)
{
    struct posix_stretch *s = f->stretch;
    if (!s || off < s->off || off + len > s->off + s->len) {
        s = stretch_new(f, off, len > STRETCH ? len : STRETCH);
        if (!s) /* so much at once may be more than the process may have */
            s = stretch_new(f, off, len);
        if (!s)
            return NULL;
        posix_stretch_unref(f->stretch);
        f->stretch = s;
    }
    s->users++;
    return s;
}

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
    struct posix_stretch *s = stretch_for(f, start, len);
    if (!s)
        return posix_failed("map", f->path);
    char *base = s->base + (start - s->off);
    if (!populate(base, len)) {
        int rc = posix_failed("map", f->path);
        posix_stretch_unref(s);
        return rc;
    }
    struct env_window *w = mem_zalloc(sizeof *w);
    *w = (struct env_window){.file = f, .stretch = s, .base = base, .len = len, .off = start};
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
    madvise(w->base, w->len, MADV_DONTNEED); /* its pages are the process's memory no more */
    posix_stretch_unref(w->stretch);
    free(w);
}
