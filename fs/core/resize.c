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

/* Counts the records at and behind `from`, and deletes them in the change if one batch takes them.
 * Only where some blocks have none: it has to read them all. */
static int cut_by_looking(struct fs *fs, uint64_t ino, uint64_t from, struct change *c,
                          uint64_t *count)
{
    struct fs_key key = key_extent(ino, from), prefix = key_of(KEY_EXTENT, ino);
    struct store_batch deletes = STORE_BATCH_INIT;
    struct iter *it = store_iter(fs->store, NULL);
    iter_stay_within(it, key_slice(&prefix));
    *count = 0;
    for (iter_seek(it, key_slice(&key));
         it->valid && slice_starts_with(it->key, key_slice(&prefix)); iter_next(it))
        if (++*count <= FS_BATCH_KEYS)
            store_batch_delete(&deletes, it->key);
        else if (from == 0)
            break; /* nothing stays: who needs the count? */
    int rc = it->status;
    iter_destroy(it);
    if (rc == 0 && *count <= FS_BATCH_KEYS)
        store_batch_append(&c->batch, &deletes);
    store_batch_free(&deletes);
    return rc;
}

static int cut_extents(struct fs *fs, struct node *n, uint64_t from, struct change *c,
                       uint64_t *count)
{
    uint64_t end = data_end(n->inode.size);
    if (n->inode.flags & INODE_SPARSE)
        return cut_by_looking(fs, n->ino, from, c, count);
    *count = count_blocks(from, end);
    for (uint64_t at = from; at < end && *count <= FS_BATCH_KEYS; at += FS_BLOCK)
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
    int rc = data_get_block(fs, n->ino, size - used, block, &there);
    if (rc == 0 && there)
        data_put_block(c, n->ino, size - used, block, used);
    return rc;
}

static int shrink(struct fs *fs, struct node *n, struct inode *next, uint64_t size,
                  struct change *c)
{
    uint64_t from = data_end(size), count = 0;
    int rc = cut_last_block(fs, n, size, c);
    if (rc == 0)
        rc = cut_extents(fs, n, from, c, &count);
    if (rc)
        return rc;
    next->blocks = size == 0 ? 0 : next->blocks - count * (FS_BLOCK / 512);
    if (size == 0)
        next->flags &= ~(uint32_t)INODE_SPARSE;
    if (count > FS_BATCH_KEYS) {
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
