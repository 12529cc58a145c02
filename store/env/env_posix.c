/* The real disk: each call is the system call of its name, and its failure is told with the path.
 *
 * Locks belong to the open file (F_OFD_SETLK): a second open in this very process is refused too,
 * no close of another descriptor lets go of them, and they exclude the fcntl() locks of every other
 * program that opens such folders, LevelDB among them (flock() would not). */
#include "env_posix.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "../base/error.h"
#include "../base/on_wait.h"
#include "posix_map.h"

int posix_failed(const char *doing, const char *path)
{
    int e = errno;
    return fail(-e, "%s: %s: %s", path, doing, fail_name(-e));
}

bool posix_shares_pages(int fd)
{
    struct statfs st;
    if (fstatfs(fd, &st))
        return false;
    switch ((unsigned long)st.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case OVERLAYFS_SUPER_MAGIC: /* its mappings are those of the file below */
        return true;
    default:
        return false;
    }
}

static struct env_file *file_new(int fd, const char *path)
{
    size_t n = strlen(path) + 1;
    struct env_file *f = mem_alloc(sizeof *f + n);
    f->fd = fd;
    f->map = NULL;
    f->stretch = NULL;
    memcpy(f->path, path, n);
    return f;
}

static int posix_open(struct env *e, const char *path, int flags, struct env_file **out)
{
    (void)e;
    int how = O_CLOEXEC | (flags & ENV_WRITE ? O_RDWR : O_RDONLY);
    if (flags & ENV_CREATE)
        how |= O_CREAT;
    if (flags & ENV_TRUNCATE)
        how |= O_TRUNC;
    int fd = open(path, how, 0600);
    if (fd < 0)
        return posix_failed("open", path);
    *out = file_new(fd, path);
    if (flags & ENV_CONSTANT)
        (*out)->map = posix_map_new(fd);
    return 0;
}

static void posix_close(struct env *e, struct env_file *f)
{
    (void)e;
    posix_map_free(f->map);
    posix_stretch_unref(f->stretch);
    close(f->fd);
    free(f);
}

/* What the page cache has of it, without waiting for the disk: 0 where that is nothing, or where
 * the disk's filesystem cannot tell. */
static size_t read_cached(int fd, void *p, size_t n, uint64_t off)
{
    struct iovec v = {p, n};
    ssize_t r = preadv2(fd, &v, 1, (off_t)off, RWF_NOWAIT);
    return r > 0 ? (size_t)r : 0;
}

/* The calls that may sleep for long, for slow_call: results and errno as the calls'. */
struct disk_call {
    int fd, error;
    void *p;
    size_t n;
    off_t off;
    ssize_t r;
};

static void call_pread(void *arg)
{
    struct disk_call *c = arg;
    c->r = pread(c->fd, c->p, c->n, c->off);
    c->error = errno;
}

static void call_fdatasync(void *arg)
{
    struct disk_call *c = arg;
    c->r = fdatasync(c->fd);
    c->error = errno;
}

static void call_fsync(void *arg)
{
    struct disk_call *c = arg;
    c->r = fsync(c->fd);
    c->error = errno;
}

static ssize_t disk_call(void (*call)(void *arg), struct disk_call c)
{
    slow_call(call, &c);
    errno = c.error;
    return c.r;
}

static ssize_t posix_pread(struct env *e, struct env_file *f, void *p, size_t n, uint64_t off)
{
    (void)e;
    if (f->map && posix_map_read(f->map, p, n, off))
        return (ssize_t)n;
    size_t done = read_cached(f->fd, p, n, off);
    if (done < n)
        about_to_wait();
    while (done < n) {
        struct disk_call c = {
            .fd = f->fd, .p = (char *)p + done, .n = n - done, .off = (off_t)(off + done)};
        ssize_t r = disk_call(call_pread, c);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return posix_failed("read", f->path);
        if (r == 0)
            break;
        done += (size_t)r;
    }
    if (f->map)
        posix_map_was_read(f->map, done, off);
    return (ssize_t)done;
}

int posix_pwrite(struct env *e, struct env_file *f, const void *p, size_t n, uint64_t off)
{
    (void)e;
    size_t done = 0;
    while (done < n) {
        ssize_t r = pwrite(f->fd, (const char *)p + done, n - done, (off_t)(off + done));
        if (r < 0 && errno == EINTR)
            continue;
        if (r == 0)
            errno = EIO;
        if (r <= 0)
            return posix_failed("write", f->path);
        done += (size_t)r;
    }
    return 0;
}

static int posix_truncate(struct env *e, struct env_file *f, uint64_t size)
{
    (void)e;
    return ftruncate(f->fd, (off_t)size) ? posix_failed("truncate", f->path) : 0;
}

static int posix_punch(struct env *e, struct env_file *f, uint64_t off, uint64_t len)
{
    (void)e;
    int how = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, rc;
    do {
        rc = fallocate(f->fd, how, (off_t)off, (off_t)len);
    } while (rc && errno == EINTR);
    return rc ? posix_failed("punch a hole", f->path) : 0;
}

static int posix_allocate(struct env *e, struct env_file *f, uint64_t len)
{
    (void)e;
    int rc;
    do {
        rc = fallocate(f->fd, 0, 0, (off_t)len);
    } while (rc && errno == EINTR);
    return rc ? posix_failed("allocate space", f->path) : 0;
}

static int posix_sync(struct env *e, struct env_file *f)
{
    (void)e;
    return disk_call(call_fdatasync, (struct disk_call){.fd = f->fd})
               ? posix_failed("fdatasync", f->path)
               : 0;
}

/* What a system call filter or a filesystem refuses is done by the next sync. */
static int file_range(struct env_file *f, uint64_t off, uint64_t len, unsigned what)
{
    if (sync_file_range(f->fd, (off_t)off, (off_t)len, what) == 0)
        return 0;
    bool refused = errno == ENOSYS || errno == EPERM || errno == EINVAL || errno == ESPIPE ||
                   errno == EOPNOTSUPP;
    return refused ? 0 : posix_failed("write out", f->path);
}

static int posix_write_out(struct env *e, struct env_file *f, uint64_t off, uint64_t len)
{
    (void)e;
    return file_range(f, off, len, SYNC_FILE_RANGE_WRITE);
}

static int posix_await_written(struct env *e, struct env_file *f, uint64_t off, uint64_t len)
{
    (void)e;
    return file_range(f, off, len, SYNC_FILE_RANGE_WAIT_BEFORE);
}

static int posix_size(struct env *e, struct env_file *f, uint64_t *size)
{
    (void)e;
    struct stat st;
    if (fstat(f->fd, &st))
        return posix_failed("stat", f->path);
    *size = (uint64_t)st.st_size;
    return 0;
}

static int posix_rename(struct env *e, const char *from, const char *to)
{
    (void)e;
    if (rename(from, to))
        return fail(-errno, "%s: rename to %s: %s", from, to, strerror(errno));
    return 0;
}

static int posix_unlink(struct env *e, const char *path)
{
    (void)e;
    return unlink(path) ? posix_failed("unlink", path) : 0;
}

static int posix_mkdir(struct env *e, const char *path)
{
    (void)e;
    return mkdir(path, 0700) ? posix_failed("mkdir", path) : 0;
}

static int posix_list(struct env *e, const char *dir, void (*each)(void *, const char *), void *arg)
{
    (void)e;
    DIR *d = opendir(dir);
    if (!d)
        return posix_failed("open folder", dir);
    struct dirent *entry;
    while (errno = 0, (entry = readdir(d)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(arg, entry->d_name);
    int rc = errno ? posix_failed("list folder", dir) : 0;
    closedir(d);
    return rc;
}

static int posix_sync_dir(struct env *e, const char *dir)
{
    (void)e;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return posix_failed("open folder", dir);
    int rc =
        disk_call(call_fsync, (struct disk_call){.fd = fd}) ? posix_failed("fsync folder", dir) : 0;
    close(fd);
    return rc;
}

/* Says who holds the lock, as far as the file tells: who only reads has not written into it. */
static int locked_by_another(int fd, const char *path)
{
    struct flock held = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char pid[32] = "";
    if (fcntl(fd, F_OFD_GETLK, &held) == 0 && held.l_type == F_RDLCK)
        return fail(-EWOULDBLOCK, "%s: in use by another process, which only reads", path);
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    pid[n > 0 ? n : 0] = 0;
    pid[strspn(pid, "0123456789")] = 0;
    if (pid[0])
        return fail(-EWOULDBLOCK, "%s: in use by process %s", path, pid);
    return fail(-EWOULDBLOCK, "%s: in use by another process", path);
}

static int posix_lock(struct env *e, const char *path, struct env_file **out)
{
    (void)e;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char pid[32];
    int rc, fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return posix_failed("open", path);
    if (fcntl(fd, F_OFD_SETLK, &whole)) {
        bool held = errno == EAGAIN || errno == EACCES;
        rc = held ? locked_by_another(fd, path) : posix_failed("lock", path);
        goto out;
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    bool written = ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)n, 0) == n;
    if (!written && !space_lacks(-errno)) { /* a full disk is locked without it */
        rc = posix_failed("write", path);
        goto out;
    }
    *out = file_new(fd, path);
    return 0;
out:
    close(fd);
    return rc;
}

static int posix_lock_shared(struct env *e, const char *path, struct env_file **out)
{
    (void)e;
    struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
    *out = NULL;
    if (fd < 0)
        return errno == ENOENT || errno == EACCES ? 0 : posix_failed("open", path);
    if (fcntl(fd, F_OFD_SETLK, &whole)) {
        bool held = errno == EAGAIN || errno == EACCES;
        rc = held ? locked_by_another(fd, path) : posix_failed("lock", path);
        close(fd);
        return rc;
    }
    *out = file_new(fd, path);
    return 0;
}

static int posix_space(struct env *e, const char *path, struct env_space *out)
{
    (void)e;
    struct statvfs st;
    if (statvfs(path, &st))
        return posix_failed("statvfs", path);
    out->total = (uint64_t)st.f_blocks * st.f_frsize;
    out->free = (uint64_t)st.f_bfree * st.f_frsize;
    out->available = (uint64_t)st.f_bavail * st.f_frsize;
    return 0;
}

static uint64_t posix_now_ns(struct env *e)
{
    (void)e;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void posix_sleep_us(struct env *e, unsigned us)
{
    (void)e;
    struct timespec t = {us / 1000000, (long)(us % 1000000) * 1000};
    while (nanosleep(&t, &t) && errno == EINTR)
        ;
}

static const struct env_ops ops = {
    .open = posix_open,
    .close = posix_close,
    .pread = posix_pread,
    .pwrite = posix_pwrite,
    .truncate = posix_truncate,
    .punch = posix_punch,
    .allocate = posix_allocate,
    .sync = posix_sync,
    .write_out = posix_write_out,
    .await_written = posix_await_written,
    .size = posix_size,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .mkdir = posix_mkdir,
    .list = posix_list,
    .sync_dir = posix_sync_dir,
    .lock = posix_lock,
    .lock_shared = posix_lock_shared,
    .space = posix_space,
    .now_ns = posix_now_ns,
    .sleep_us = posix_sleep_us,
    .window_open = posix_window_open,
    .window_write = posix_window_write,
    .window_close = posix_window_close,
};

struct env *env_posix(void)
{
    static struct env e = {&ops};
    return &e;
}
