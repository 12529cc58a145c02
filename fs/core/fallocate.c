/* fs_fallocate: room in advance, holes, zeroes (invariants of a file's blocks: data.c).
 *
 * Room cannot be set aside in a store that appends: that there is enough at the moment is all that
 * is checked, and a block that was asked for but not written stays a hole.
 *
 * A range of more than FS_BATCH_KEYS blocks is zeroed in steps, each a change of its own that says
 * what is true at that moment; only the last one sets the size. */
#include <linux/falloc.h>

#include "fs_internal.h"

static uint64_t block_of(uint64_t off)
{
    return off & ~(uint64_t)(FS_BLOCK - 1);
}

/* ---- room */

/* Counting is left out where there is room for the whole range anyway. */
static int check_room(struct fs *fs, const struct node *n, uint64_t off, uint64_t len)
{
    struct env_space space;
    uint64_t from = block_of(off), end = data_end(off + len), old_end = data_end(n->inode.size);
    uint64_t below = end < old_end ? end : old_end, present = 0;
    int rc = env_space(store_env(fs->store), fs->dir, &space);
    if (rc || end - from <= space.available)
        return rc;
    if (from < below && (n->inode.flags & INODE_SPARSE))
        rc = extents_count(fs, n->ino, from, below, &present);
    else if (from < below)
        present = (below - from) / FS_BLOCK;
    if (rc)
        return rc;
    return end - from - present * FS_BLOCK > space.available ? -ENOSPC : 0;
}

/* ---- zeroes */

/* What is to do still: whole blocks from `cursor` to `end`. */
struct zeroing {
    uint64_t cursor, end;
};

/* [from, to) of one block, where it is there. */
static int zero_part(struct change *c, const struct node *n, uint64_t from, uint64_t to)
{
    char block[FS_BLOCK];
    bool there;
    uint64_t at = block_of(from);
    if (from >= to)
        return 0;
    int rc = data_get_block(c->fs, n, at, block, &there);
    if (rc || !there)
        return rc;
    memset(block + (from - at), 0, (size_t)(to - from));
    return data_put_part(c, n, at, block, FS_BLOCK);
}

/* The blocks that [off, to) covers in part, at both its ends; *z: those between. */
static int zero_edges(struct change *c, const struct node *n, uint64_t off, uint64_t to,
                      struct zeroing *z)
{
    uint64_t size = n->inode.size;
    if (to >= size) /* behind the size there is nothing but zeroes anyway */
        to = data_end(size);
    *z = (struct zeroing){data_end(off), block_of(to)};
    if (off >= to)
        return 0;
    if (z->cursor > z->end) /* within one block */
        return zero_part(c, n, off, to);
    int rc = zero_part(c, n, off, z->cursor);
    return rc ? rc : zero_part(c, n, z->end, to);
}

/* Deletes the next whole blocks, up to a batch's worth, and counts them. */
static int zero_blocks(struct change *c, const struct node *n, struct zeroing *z, uint64_t *count)
{
    *count = 0;
    if (n->inode.flags & (INODE_SPARSE | INODE_HAS_CHUNKS))
        return extents_clear(c, n->ino, &z->cursor, z->end, FS_BATCH_KEYS, count);
    for (; z->cursor < z->end && *count < FS_BATCH_KEYS; z->cursor += FS_BLOCK, ++*count)
        change_delete(c, key_extent(n->ino, z->cursor));
    return 0;
}

/* ---- the change */

struct request {
    int mode;
    uint64_t off, len;
    bool kill_priv;
};

static bool zeroes(const struct request *r)
{
    return r->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
}

/* One batch: the edges if `first`, the next whole blocks, and if they were the last, the size. */
static int step(struct fs *fs, struct node *n, const struct request *r, struct zeroing *z,
                bool first)
{
    struct inode next = node_next(n);
    struct change c;
    uint64_t count = 0;
    int rc = 0;
    change_begin(&c, fs);
    c.reclaim = zeroes(r) && (r->mode & FALLOC_FL_KEEP_SIZE);
    if (zeroes(r) && first)
        rc = zero_edges(&c, n, r->off, r->off + r->len, z);
    if (rc == 0 && z->cursor < z->end) {
        rc = zero_blocks(&c, n, z, &count);
        next.flags |= INODE_SPARSE;
        next.blocks -= count * (FS_BLOCK / 512);
    }
    bool grows = !(r->mode & FALLOC_FL_KEEP_SIZE) && r->off + r->len > next.size;
    if (rc == 0 && grows && z->cursor >= z->end)
        rc = resize_put(fs, n, &next, r->off + r->len, &c);
    if (rc == 0)
        rc = xattr_put_no_capability(&c, n);
    if (rc) {
        change_drop(&c);
        return rc;
    }
    next.mtime = next.ctime = fs_now();
    if (r->kill_priv)
        drop_privileges(&next);
    change_put_inode(&c, n, &next);
    rc = change_commit(&c, &n, 1);
    if (rc == 0)
        node_publish(n, &next);
    return rc;
}

/* op held exclusively. */
static int fallocate_locked(struct fs *fs, struct node *n, const struct request *r)
{
    struct zeroing z = {0, 0};
    atomic_store_explicit(&n->run_broken, true, memory_order_relaxed);
    int rc = zeroes(r) ? 0 : check_room(fs, n, r->off, r->len);
    if (space_lacks(rc) && space_comes_back(fs))
        rc = check_room(fs, n, r->off, r->len);
    if (rc == 0 && (n->inode.flags & INODE_CUTTING))
        rc = resize_finish(fs, n, CUT_BY_LOOKING);
    if (rc == 0)
        rc = step(fs, n, r, &z, true);
    while (rc == 0 && z.cursor < z.end)
        rc = step(fs, n, r, &z, false);
    return rc;
}

static bool known_mode(int mode)
{
    return mode == 0 || mode == FALLOC_FL_KEEP_SIZE ||
           mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) || mode == FALLOC_FL_ZERO_RANGE ||
           mode == (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
}

int fs_fallocate(struct fs *fs, uint64_t ino, int mode, uint64_t off, uint64_t len, bool kill_priv)
{
    if (!known_mode(mode))
        return -EOPNOTSUPP;
    if (fs->options.read_only)
        return -EROFS;
    if (len == 0)
        return -EINVAL;
    if (off > (uint64_t)FS_MAX_SIZE || len > (uint64_t)FS_MAX_SIZE - off)
        return -EFBIG;
    struct node *n = node_pin(fs, ino);
    if (!n)
        return -ESTALE;
    node_lock(n);
    int rc = S_ISREG(n->type)
                 ? fallocate_locked(fs, n, &(struct request){mode, off, len, kill_priv})
                 : -ENODEV;
    node_unlock(n);
    node_unpin(fs, n);
    return fs_error(fs, ino, rc);
}
