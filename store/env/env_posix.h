/* What the files of the real disk's environment share: env_posix.c, posix_window.c and posix_map.c
 * alone. */
#ifndef STORE_ENV_ENV_POSIX_H
#define STORE_ENV_ENV_POSIX_H

#include "env.h"

struct posix_map;
struct posix_stretch;

struct env_file {
    int fd;
    struct posix_map *map;         /* NULL: all is read by calls */
    struct posix_stretch *stretch; /* where its last window was; NULL: it had none */
    char path[];
};

/* Tells of errno; returns it, negative. */
int posix_failed(const char *doing, const char *path);
/* Local filesystems, whose mappings and whose read() and write() share one page cache. */
bool posix_shares_pages(int fd);
int posix_pwrite(struct env *e, struct env_file *f, const void *p, size_t n, uint64_t off);

/* posix_window.c */
int posix_window_open(struct env *e, struct env_file *f, uint64_t off, size_t n,
                      struct env_window **out);
int posix_window_write(struct env *e, struct env_window *w, const void *p, size_t n, uint64_t off);
void posix_window_close(struct env *e, struct env_window *w);
/* The file is closed; NULL does nothing. */
void posix_stretch_unref(struct posix_stretch *s);

#endif
