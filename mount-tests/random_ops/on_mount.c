/* The operations on the mount. Each is one request that changes something, so that a kill leaves it
 * done or not done. */
#include "op.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

static unsigned char bytes[SIZE_LIMIT + 65536];

static struct outcome of(long rc)
{
    return (struct outcome){rc < 0 ? -errno : rc, 0};
}

static sigjmp_buf no_page;
static void bus_error(int sig)
{
    (void)sig;
    siglongjmp(no_page, 1);
}

/* Writes by a mapping. The daemon may die under it: that is SIGBUS. */
static struct outcome map_and_write(int fd, const struct op *op)
{
    struct stat st;
    if (fstat(fd, &st))
        return of(-1);
    if (op->off >= (size_t)st.st_size)
        return (struct outcome){-EINVAL, 0};
    size_t len = (size_t)st.st_size - op->off < op->len ? (size_t)st.st_size - op->off : op->len;
    size_t before = op->off % 4096;
    unsigned char *p =
        mmap(NULL, before + len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(op->off - before));
    if (p == MAP_FAILED)
        return of(-1);
    struct sigaction catch = {.sa_handler = bus_error}, old;
    struct outcome outcome = {-ENOTCONN, 0};
    sigaction(SIGBUS, &catch, &old);
    if (sigsetjmp(no_page, 1) == 0) {
        fill(p + before, len, op->seed);
        outcome = of(msync(p, before + len, MS_SYNC));
    }
    sigaction(SIGBUS, &old, NULL);
    munmap(p, before + len);
    return outcome;
}

static struct outcome write_at(int fd, const struct op *op)
{
    fill(bytes, op->len, op->seed);
    return of(pwrite(fd, bytes, op->len, (off_t)op->off));
}

static struct outcome read_at(int fd, const struct op *op)
{
    struct outcome outcome = of(pread(fd, bytes, op->len, (off_t)op->off));
    outcome.sum = outcome.rc >= 0 ? sum_of(bytes, (size_t)outcome.rc) : 0;
    return outcome;
}

static struct outcome on_file(int fd, const struct op *op)
{
    switch (op->kind) {
    case OP_WRITE:
    case OP_SLOT_WRITE:
        return write_at(fd, op);
    case OP_APPEND:
        fill(bytes, op->len, op->seed);
        return of(write(fd, bytes, op->len));
    case OP_TRUNCATE:
    case OP_SLOT_TRUNCATE:
        return of(ftruncate(fd, (off_t)op->off));
    case OP_REPLACE: /* opened with O_TRUNC */
        return (struct outcome){0};
    case OP_MMAP:
        return map_and_write(fd, op);
    case OP_FALLOCATE:
        return of(fallocate(fd, op->flags, (off_t)op->off, (off_t)op->len));
    default:
        return read_at(fd, op);
    }
}

/* Opens for writing even what is only read: so all of them fail in one way. */
static struct outcome open_and(const char *path, const struct op *op)
{
    int flags = op->kind == OP_APPEND ? O_APPEND : op->kind == OP_REPLACE ? O_TRUNC : 0;
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags);
    if (fd < 0)
        return of(-1);
    struct outcome outcome = on_file(fd, op);
    close(fd);
    return outcome;
}

static struct outcome with_no_link(const char *path, const struct op *op)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return of(-1);
    struct outcome outcome = of(op->kind == OP_CHMOD ? fchmod(fd, op->mode) : fsync(fd));
    close(fd);
    return outcome;
}

static struct outcome look_at(const char *path)
{
    struct stat st;
    struct outcome outcome = of(lstat(path, &st));
    if (outcome.rc == 0)
        outcome.sum = S_ISDIR(st.st_mode) ? st.st_mode & 07777
                                          : (st.st_mode & 07777) + 512 * (uint64_t)st.st_nlink +
                                                ((uint64_t)st.st_size << 20);
    return outcome;
}

static struct outcome set_times(const char *path, const struct op *op)
{
    struct stat st;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = op->seed, .tv_nsec = op->seed % 1000000000}};
    if (utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) || lstat(path, &st))
        return of(-1);
    return (struct outcome){
        0, (uint64_t)(st.st_mtim.tv_sec + (st.st_mtim.tv_nsec != times[1].tv_nsec))};
}

static struct outcome open_slot(struct mount *m, const char *path, const struct op *op)
{
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return of(-1);
    if (m->slot[op->slot] >= 0)
        close(m->slot[op->slot]);
    m->slot[op->slot] = fd;
    return (struct outcome){0};
}

struct outcome op_on_mount(struct mount *m, const struct op *op)
{
    char a[PATH_MAX], b[PATH_MAX];
    path_text(a, m->dir, &op->a);
    path_text(b, m->dir, &op->b);
    struct outcome outcome;
    int fd;
    switch (op->kind) {
    case OP_CREATE:
        fd = open(a, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, op->mode);
        outcome = of(fd);
        if (fd >= 0) {
            close(fd);
            outcome.rc = 0;
        }
        return outcome;
    case OP_MKDIR:
        return of(mkdir(a, op->mode));
    case OP_RMDIR:
        return of(rmdir(a));
    case OP_UNLINK:
        return of(unlink(a));
    case OP_SYMLINK:
        return of(symlink(tree_names[op->b.name[0]], a));
    case OP_LINK:
        return of(link(a, b));
    case OP_RENAME:
        return of(renameat2(AT_FDCWD, a, AT_FDCWD, b, (unsigned)op->flags));
    case OP_SETXATTR:
        fill(bytes, op->len, op->seed);
        return of(lsetxattr(a, tree_xattrs[op->xattr], bytes, op->len, op->flags));
    case OP_REMOVEXATTR:
        return of(lremovexattr(a, tree_xattrs[op->xattr]));
    case OP_STAT:
        return look_at(a);
    case OP_CHMOD:
    case OP_FSYNC:
        return with_no_link(a, op);
    case OP_CHOWN:
        return of(lchown(a, geteuid() == 0 ? op->seed % 1000 : (uid_t)-1, (gid_t)-1));
    case OP_UTIMES:
        return set_times(a, op);
    case OP_OPEN:
        return open_slot(m, a, op);
    case OP_CLOSE:
        if (m->slot[op->slot] >= 0)
            close(m->slot[op->slot]);
        m->slot[op->slot] = -1;
        return (struct outcome){0};
    case OP_SLOT_WRITE:
    case OP_SLOT_READ:
    case OP_SLOT_TRUNCATE:
        return m->slot[op->slot] >= 0 ? on_file(m->slot[op->slot], op)
                                      : (struct outcome){-EBADF, 0};
    default:
        return open_and(a, op);
    }
}
