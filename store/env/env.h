/* The only door to files, directories and clocks. store/ and fs/ reach the disk through it and
 * nowhere else, so that a simulated one (store/tests/env_sim.h) can fail any call and cut the
 * power.
 *
 * Paths are ordinary C strings. Every function may be called from any thread; calls on one file may
 * run side by side (pread beside pwrite beside sync). Results: 0 (or a count) or a negative errno.
 *
 * What survives a power cut: bytes before the last successful env_sync of that file (and its size),
 * directory entries before the last successful env_sync_dir of that directory. Nothing else. */
#ifndef STORE_ENV_ENV_H
#define STORE_ENV_ENV_H

#include <errno.h>
#include <sys/types.h>
#include "../base/buf.h"

struct env;
struct env_file;
struct env_window; /* bytes of a file that are written as memory is */

enum env_open_flags {
    ENV_READ = 0,
    ENV_WRITE = 1,    /* pread and pwrite */
    ENV_CREATE = 2,   /* with ENV_WRITE: create where missing */
    ENV_TRUNCATE = 4, /* with ENV_WRITE: empty it */
    ENV_CONSTANT = 8, /* with ENV_READ: nobody changes it any more, and small parts of it will be
                         read again and again. Nothing but the speed follows from that. */
};

struct env_space {
    uint64_t total, free, available; /* bytes of the disk that holds the path */
};

struct env_ops {
    int (*open)(struct env *, const char *path, int flags, struct env_file **out);
    void (*close)(struct env *, struct env_file *);
    ssize_t (*pread)(struct env *, struct env_file *, void *p, size_t n, uint64_t off);
    int (*pwrite)(struct env *, struct env_file *, const void *p, size_t n, uint64_t off);
    int (*truncate)(struct env *, struct env_file *, uint64_t size);
    int (*punch)(struct env *, struct env_file *, uint64_t off, uint64_t len);
    int (*allocate)(struct env *, struct env_file *, uint64_t len);
    int (*sync)(struct env *, struct env_file *);
    /* both, or none (NULL) */
    int (*write_out)(struct env *, struct env_file *, uint64_t off, uint64_t len);
    int (*await_written)(struct env *, struct env_file *, uint64_t off, uint64_t len);
    int (*size)(struct env *, struct env_file *, uint64_t *size);
    int (*rename)(struct env *, const char *from, const char *to);
    int (*unlink)(struct env *, const char *path);
    int (*mkdir)(struct env *, const char *path);
    int (*list)(struct env *, const char *dir, void (*each)(void *arg, const char *name),
                void *arg);
    int (*sync_dir)(struct env *, const char *dir);
    int (*lock)(struct env *, const char *path, struct env_file **out);
    int (*lock_shared)(struct env *, const char *path, struct env_file **out);
    int (*space)(struct env *, const char *path, struct env_space *out);
    uint64_t (*now_ns)(struct env *);
    void (*sleep_us)(struct env *, unsigned us);
    /* all three, or none (NULL) */
    int (*window_open)(struct env *, struct env_file *, uint64_t off, size_t n,
                       struct env_window **out);
    int (*window_write)(struct env *, struct env_window *, const void *p, size_t n, uint64_t off);
    void (*window_close)(struct env *, struct env_window *);
};

struct env {
    const struct env_ops *ops;
};

/* The real one; a single static object, never freed. */
struct env *env_posix(void);

/* Opens; -ENOENT where it is missing without ENV_CREATE. */
static inline int env_open(struct env *e, const char *path, int flags, struct env_file **out)
{
    return e->ops->open(e, path, flags, out);
}
static inline void env_close(struct env *e, struct env_file *f)
{
    e->ops->close(e, f);
}
/* Returns the count read, less than n only at the end of the file. */
static inline ssize_t env_pread(struct env *e, struct env_file *f, void *p, size_t n, uint64_t off)
{
    return e->ops->pread(e, f, p, n, off);
}
/* All n bytes or an error (and then any part of them may have been written). */
static inline int env_pwrite(struct env *e, struct env_file *f, const void *p, size_t n,
                             uint64_t off)
{
    return e->ops->pwrite(e, f, p, n, off);
}
static inline int env_truncate(struct env *e, struct env_file *f, uint64_t size)
{
    return e->ops->truncate(e, f, size);
}
/* Gives the range's space back; it reads as zeroes. -EOPNOTSUPP where the disk cannot. */
static inline int env_punch(struct env *e, struct env_file *f, uint64_t off, uint64_t len)
{
    return e->ops->punch(e, f, off, len);
}
/* Takes the space of the first `len` bytes from the disk without writing them; what is read there
 * is zeroes, or the file's end. -ENOSPC, -EOPNOTSUPP where the disk cannot. */
static inline int env_allocate(struct env *e, struct env_file *f, uint64_t len)
{
    return e->ops->allocate(e, f, len);
}
/* fdatasync: data and size on stable storage. Never retried on the same file after a failure. */
static inline int env_sync(struct env *e, struct env_file *f)
{
    return e->ops->sync(e, f);
}
/* Begins to write the range to the disk, so that env_sync has less left to do; does not wait for
 * that, and makes nothing durable. */
static inline int env_write_out(struct env *e, struct env_file *f, uint64_t off, uint64_t len)
{
    return e->ops->write_out ? e->ops->write_out(e, f, off, len) : 0;
}
/* Waits until the disk has taken what env_write_out began of the range; nothing is durable by that
 * either. A failure counts as one of env_sync, which may not tell of it any more. */
static inline int env_await_written(struct env *e, struct env_file *f, uint64_t off, uint64_t len)
{
    return e->ops->await_written ? e->ops->await_written(e, f, off, len) : 0;
}
static inline int env_size(struct env *e, struct env_file *f, uint64_t *size)
{
    return e->ops->size(e, f, size);
}
static inline int env_rename(struct env *e, const char *from, const char *to)
{
    return e->ops->rename(e, from, to);
}
static inline int env_unlink(struct env *e, const char *path)
{
    return e->ops->unlink(e, path);
}
/* -EEXIST where it is there already. */
static inline int env_mkdir(struct env *e, const char *path)
{
    return e->ops->mkdir(e, path);
}
/* Calls `each` for every entry but "." and "..". */
static inline int env_list(struct env *e, const char *dir, void (*each)(void *, const char *),
                           void *arg)
{
    return e->ops->list(e, dir, each, arg);
}
static inline int env_sync_dir(struct env *e, const char *dir)
{
    return e->ops->sync_dir(e, dir);
}
/* Takes an exclusive lock on path (created where missing), held until env_close, and writes this
 * process's pid into it. -EWOULDBLOCK where another holds it; fail_text() then names that one's
 * pid. */
static inline int env_lock(struct env *e, const char *path, struct env_file **out)
{
    return e->ops->lock(e, path, out);
}
/* Takes a lock on path that keeps env_lock out, but nobody else who does the same; held until
 * env_close. Writes nothing. *out is NULL where there is no such file, or it may not be read: then
 * nobody can be kept out. -EWOULDBLOCK where env_lock holds it, as there. */
static inline int env_lock_shared(struct env *e, const char *path, struct env_file **out)
{
    return e->ops->lock_shared(e, path, out);
}
static inline int env_space(struct env *e, const char *path, struct env_space *out)
{
    return e->ops->space(e, path, out);
}
/* A monotonic clock. */
static inline uint64_t env_now_ns(struct env *e)
{
    return e->ops->now_ns(e);
}
static inline void env_sleep_us(struct env *e, unsigned us)
{
    e->ops->sleep_us(e, us);
}

/* A window onto the n bytes of a file from `off` on, all of which must have been written (a hole's
 * space might be lacking later). What goes through it needs no system call; else it is the same as
 * env_pwrite: every reader of the file sees it, env_sync makes it durable, and it survives the end
 * of the process. One thread at a time opens, uses or closes windows of a file; they must be closed
 * before it. -EOPNOTSUPP where this environment, or the disk's filesystem, does not offer it. */
static inline int env_window_open(struct env *e, struct env_file *f, uint64_t off, size_t n,
                                  struct env_window **out)
{
    return e->ops->window_open ? e->ops->window_open(e, f, off, n, out) : -EOPNOTSUPP;
}
/* As env_pwrite, with the same errors. Requires: the bytes lie in the window, and the file was not
 * cut short of them. */
static inline int env_window_write(struct env *e, struct env_window *w, const void *p, size_t n,
                                   uint64_t off)
{
    return e->ops->window_write(e, w, p, n, off);
}
/* What was written stays. */
static inline void env_window_close(struct env *e, struct env_window *w)
{
    e->ops->window_close(e, w);
}

/* Helpers on top of the table (env.c). */
/* The whole file into out. */
int env_read_file(struct env *e, const char *path, struct buf *out);
/* Replaces path by these bytes: a temporary beside it, sync, rename. The caller syncs the
 * directory. */
int env_replace_file(struct env *e, const char *path, struct slice data);
/* Makes the entry of `path` itself durable: syncs the folder that holds it. 0 also where that
 * folder may not be read. */
int env_sync_parent(struct env *e, const char *path);
bool env_exists(struct env *e, const char *path);

#endif
