/* fs_seek: where a file has data and where holes. A block that is stored is data, whatever is in
 * it; one that is not is a hole. Only a file that says that it is SPARSE is looked at. */
#include <unistd.h>

#include "fs_internal.h"

/* The first offset in the chunk, at or behind `off`, where a block is stored (or, not `stored`, is
 * not); the chunk's end where there is none. */
static uint64_t first_in(uint64_t at, uint16_t bits, bool stored, uint64_t off)
{
    for (int i = 0; i < CHUNK_BLOCKS; i++) {
        uint64_t block = at + (uint64_t)i * FS_BLOCK;
        if (block + FS_BLOCK > off && (bits >> i & 1) == stored)
            return block > off ? block : off;
    }
    return at + FS_CHUNK;
}

static int next_data(struct extent_scan *s, uint64_t off, uint64_t *found)
{
    int rc = extents_next(s);
    for (; rc == 0 && s->bits; rc = extents_next(s)) {
        *found = first_in(s->at, s->bits, true, off);
        if (*found < s->at + FS_CHUNK)
            return 0;
    }
    *found = UINT64_MAX;
    return rc;
}

static int next_hole(struct extent_scan *s, uint64_t off, uint64_t *found)
{
    int rc = extents_next(s);
    *found = off;
    for (; rc == 0 && s->bits && s->at <= *found; rc = extents_next(s)) {
        *found = first_in(s->at, s->bits, false, off);
        if (*found < s->at + FS_CHUNK)
            break;
    }
    return rc;
}

/* op held; off below the size. */
static int64_t seek_locked(struct fs *fs, const struct node *n, uint64_t off, int whence)
{
    uint64_t size = n->inode.size, found;
    if (!(n->inode.flags & INODE_SPARSE))
        return (int64_t)(whence == SEEK_DATA ? off : size);
    struct extent_scan s;
    extents_begin(&s, fs, n->ino, off);
    int rc = whence == SEEK_DATA ? next_data(&s, off, &found) : next_hole(&s, off, &found);
    extents_end(&s);
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
