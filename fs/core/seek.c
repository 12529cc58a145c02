/* fs_seek: where a file has data and where holes. A block with a record is data, whatever is in it;
 * one without is a hole. Only a file that says that it is SPARSE is looked at. */
#include <unistd.h>

#include "fs_internal.h"

/* The first stored block at or behind `at`: *found, or UINT64_MAX. */
static int next_block(struct iter *it, uint64_t ino, uint64_t *found)
{
    struct fs_key prefix = key_of(KEY_EXTENT, ino);
    bool ours = it->valid && slice_starts_with(it->key, key_slice(&prefix));
    *found = ours ? get_be64(it->key.data + 9) : UINT64_MAX;
    return it->status;
}

static int next_data(struct iter *it, uint64_t ino, uint64_t off, uint64_t *found)
{
    int rc = next_block(it, ino, found);
    if (rc == 0 && *found < off) /* the block that `off` is in */
        *found = off;
    return rc;
}

static int next_hole(struct iter *it, uint64_t ino, uint64_t off, uint64_t *found)
{
    uint64_t expected = off & ~(uint64_t)(FS_BLOCK - 1), at;
    int rc = next_block(it, ino, &at);
    while (rc == 0 && at == expected) {
        expected += FS_BLOCK;
        iter_next(it);
        rc = next_block(it, ino, &at);
    }
    *found = expected > off ? expected : off;
    return rc;
}

/* op held; off below the size. */
static int64_t seek_locked(struct fs *fs, const struct node *n, uint64_t off, int whence)
{
    uint64_t size = n->inode.size, found;
    if (!(n->inode.flags & INODE_SPARSE))
        return (int64_t)(whence == SEEK_DATA ? off : size);
    struct fs_key key = key_extent(n->ino, off & ~(uint64_t)(FS_BLOCK - 1)),
                  prefix = key_of(KEY_EXTENT, n->ino);
    struct iter *it = store_iter(fs->store, NULL);
    iter_stay_within(it, key_slice(&prefix));
    iter_seek(it, key_slice(&key));
    int rc = whence == SEEK_DATA ? next_data(it, n->ino, off, &found)
                                 : next_hole(it, n->ino, off, &found);
    iter_destroy(it);
    if (rc)
        return rc;
    if (found < size)
        return (int64_t)found;
    return whence == SEEK_DATA ? -ENXIO : (int64_t)size;
}

int64_t fs_seek(struct fs *fs, uint64_t ino, uint64_t off, int whence)
{
    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return -EINVAL;
    struct node *n = node_pin(fs, ino);
    if (!n)
        return -ESTALE;
    node_lock_shared(n);
    int64_t r = !S_ISREG(n->type)      ? -EINVAL
                : off >= n->inode.size ? -ENXIO
                                       : seek_locked(fs, n, off, whence);
    node_unlock(n);
    node_unpin(fs, n);
    return r < 0 ? fs_error(fs, ino, (int)r) : r;
}
