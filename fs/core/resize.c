/* A file's new size, and what it means for its extents (invariants: data.c).
 *
 * More extents than a batch should hold go in steps. The first batch sets the size and
 * INODE_CUTTING and puts an `O` record: from then on the file is short, also after a crash. The
 * last batch takes both back. If the steps end early (a damaged table, a crash) INODE_CUTTING
 * stays, and whatever would let the file grow finishes the cut before. */
#include "fs_internal.h"

static uint64_t count_blocks(uint64_t from, uint64_t end)
{
    return from < end ? (end - from) / FS_BLOCK : 0;
}

/* Counts the blocks at and behind `from`, and deletes a batch's worth of records in the change.
 * Only where some blocks have none of their own: it has to read them all. *more: that was not all.
 */
static int cut_by_looking(struct fs *fs, uint64_t ino, uint64_t from, struct change *c,
                          uint64_t *count, bool *more)
{
    uint64_t rest = from;
    int rc = extents_clear(c, ino, &rest, UINT64_MAX, FS_BATCH_KEYS, count);
    *more = rc == 0 && rest != UINT64_MAX;
    if (*more && from > 0) /* if nothing stays: who needs the count? */
        rc = extents_count(fs, ino, from, UINT64_MAX, count);
    return rc;
}

static int cut_extents(struct fs *fs, struct node *n, uint64_t from, struct change *c,
                       uint64_t *count, bool *more)
{
    uint64_t end = data_end(n->inode.size);
    if (n->inode.flags & (INODE_SPARSE | INODE_HAS_CHUNKS))
        return cut_by_looking(fs, n->ino, from, c, count, more);
    *count = count_blocks(from, end);
    *more = *count > FS_BATCH_KEYS;
    for (uint64_t at = from; at < end && !*more; at += FS_BLOCK)
        change_delete(c, key_extent(n->ino, at));
    return 0;
}

/* The block that the new end falls into. */
static int cut_last_block(struct fs *fs, struct node *n, uint64_t size, struct change *c)
{
    char block[FS_BLOCK];
    bool there;
    uint64_t used = size % FS_BLOCK;
    if (used == 0)
        return 0;
    int rc = data_get_block(fs, n, size - used, block, &there);
    if (rc == 0 && there)
        rc = data_put_part(c, n, size - used, block, used);
    return rc;
}

static int shrink(struct fs *fs, struct node *n, struct inode *next, uint64_t size,
                  struct change *c)
{
    uint64_t from = data_end(size), count = 0;
    bool more = false;
    int rc = cut_last_block(fs, n, size, c);
    if (rc == 0)
        rc = cut_extents(fs, n, from, c, &count, &more);
    if (rc)
        return rc;
    next->blocks = size == 0 ? 0 : next->blocks - count * (FS_BLOCK / 512);
    if (size == 0)
        next->flags &= ~(uint32_t)(INODE_SPARSE | INODE_HAS_CHUNKS);
    if (more) {
        next->flags |= INODE_CUTTING;
        if (!n->orphan) /* an orphan has a record, which names all of it */
            change_put_garbage(c, n->ino, from, false);
    }
    return 0;
}

int resize_put(struct fs *fs, struct node *n, struct inode *next, uint64_t size, struct change *c)
{
    int rc = 0;
    assert(!(n->inode.flags & INODE_CUTTING));
    c->reclaim |= size < n->inode.size;
    atomic_store_explicit(&n->run_broken, true, memory_order_relaxed);
    if (size < n->inode.size)
        rc = shrink(fs, n, next, size, c);
    else if (data_end(size) > data_end(n->inode.size))
        next->flags |= INODE_SPARSE;
    next->size = size;
    return rc;
}

int resize_finish(struct fs *fs, struct node *n, uint64_t end)
{
    struct inode next = node_next(n);
    struct change c;
    assert(next.flags & INODE_CUTTING);
    int rc = garbage_cut(fs, n->ino, data_end(next.size), end);
    if (rc)
        return rc;
    next.flags &= ~(uint32_t)INODE_CUTTING;
    change_begin(&c, fs);
    c.reclaim = true;
    if (!n->orphan)
        change_delete(&c, key_of(KEY_GARBAGE, n->ino));
    change_put_inode(&c, n, &next);
    rc = change_commit(&c, &n, 1);
    if (rc == 0)
        node_publish(n, &next);
    return rc;
}
