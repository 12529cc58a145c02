/* fs_copy: data from one file into another, or to another place of the same, without a detour
 * through the program and the kernel. */
#include "fs_internal.h"

#define COPY_MAX (4u << 20) /* bytes of one call: one batch, all of it in memory */

/* The lower number first, as all who lock two files. */
static void lock_files(struct node *from, struct node *to)
{
    if (from != to && from->ino < to->ino)
        node_lock_shared(from);
    node_lock(to);
    if (from != to && from->ino > to->ino)
        node_lock_shared(from);
}

static void unlock_files(struct node *from, struct node *to)
{
    node_unlock(to);
    if (from != to)
        node_unlock(from);
}

static bool overlap(uint64_t a, uint64_t b, uint64_t len)
{
    return a < b ? b - a < len : a - b < len;
}

/* Both op held. */
static ssize_t copy_locked(struct fs *fs, struct node *from, uint64_t from_off, struct node *to,
                           uint64_t to_off, size_t len, bool kill_priv)
{
    uint64_t size = from->inode.size;
    if (from_off >= size)
        return 0;
    if (len > size - from_off)
        len = (size_t)(size - from_off);
    if (from == to && overlap(from_off, to_off, len))
        return -EINVAL;
    if (len > COPY_MAX)
        len = COPY_MAX;
    char *p = mem_alloc(len);
    ssize_t n = data_read(fs, from, p, len, from_off);
    int rc = n < 0 ? (int)n : data_write(fs, to, p, (size_t)n, to_off, kill_priv);
    free(p);
    return rc ? rc : n;
}

ssize_t fs_copy(struct fs *fs, uint64_t from, uint64_t from_off, uint64_t to, uint64_t to_off,
                size_t len, bool kill_priv)
{
    if (fs->options.read_only)
        return -EROFS;
    if (len > (uint64_t)FS_MAX_SIZE || to_off > (uint64_t)FS_MAX_SIZE - len)
        return -EFBIG;
    struct node *f = node_pin(fs, from), *t = node_pin(fs, to);
    ssize_t rc = 0;
    if (!f || !t)
        rc = -ESTALE;
    else if (!S_ISREG(f->type) || !S_ISREG(t->type))
        rc = -EINVAL;
    else if (len > 0) {
        lock_files(f, t);
        rc = copy_locked(fs, f, from_off, t, to_off, len, kill_priv);
        unlock_files(f, t);
    }
    node_unpin(fs, f);
    node_unpin(fs, t);
    return rc < 0 ? fs_error(fs, from, (int)rc) : rc;
}
