/* File contents: blocks of 4 KiB, each a value under its inode and offset. A block that is written
 * as a whole is a put without a look; one that is written in part is read, changed and put. Blocks
 * that were never written have no record.
 *
 * Invariants, for resize.c too: nothing of a block behind the file's size is stored but zeroes, so
 * that a file that grows reads as zeroes there; without INODE_CUTTING no record lies wholly behind
 * the size; without INODE_SPARSE every block below it has one. */
#include "fs_internal.h"

static uint64_t blocks_below(uint64_t size)
{
    return (size + FS_BLOCK - 1) / FS_BLOCK;
}

uint64_t data_end(uint64_t size)
{
    return blocks_below(size) * FS_BLOCK;
}

/* ---- reading */

/* So much is a file that is read in order: its blocks would push names and inodes out of the
 * store's cache, and the kernel keeps them anyway. */
#define SCAN_SIZE 65536

/* The bytes of an extent record. */
static int extent_bytes(struct slice value, struct slice *bytes)
{
    if (value.len < 1 || value.len > 1 + FS_BLOCK)
        return fail(STORE_ECORRUPT, "an extent of %zu bytes", value.len);
    if (value.data[0] != EXTENT_INLINE)
        return fail(STORE_EFORMAT, "an extent of kind %d, which is not known here", value.data[0]);
    *bytes = slice_of(value.data + 1, value.len - 1);
    return 0;
}

/* Copies what a block (at `at`) has in common with [off, off + size) to p, which is that range's
 * memory. */
static void copy_block(char *p, size_t size, uint64_t off, uint64_t at, struct slice bytes)
{
    uint64_t from = at > off ? at : off,
             to = at + bytes.len < off + size ? at + bytes.len : off + size;
    if (from < to)
        memcpy(p + (from - off), bytes.data + (from - at), (size_t)(to - from));
}

/* What is stored of the block at `at`, as a part of `value`; -ENOENT: it is a hole. */
static int get_block(struct fs *fs, uint64_t ino, uint64_t at, struct buf *value,
                     struct slice *bytes)
{
    struct fs_key key = key_extent(ino, at);
    int rc = store_get(fs->store, NULL, key_slice(&key), value);
    return rc ? rc : extent_bytes(buf_slice(value), bytes);
}

static int read_one(struct fs *fs, uint64_t ino, char *p, size_t size, uint64_t off)
{
    uint64_t at = off & ~(uint64_t)(FS_BLOCK - 1);
    struct buf value = BUF_INIT;
    struct slice bytes;
    int rc = get_block(fs, ino, at, &value, &bytes);
    if (rc == 0)
        copy_block(p, size, off, at, bytes);
    buf_free(&value);
    return rc == -ENOENT ? 0 : rc;
}

static int read_many(struct fs *fs, uint64_t ino, char *p, size_t size, uint64_t off)
{
    struct fs_key key = key_extent(ino, off & ~(uint64_t)(FS_BLOCK - 1)),
                  prefix = key_of(KEY_EXTENT, ino);
    struct iter *it = size >= SCAN_SIZE ? store_scan(fs->store, NULL) : store_iter(fs->store, NULL);
    struct slice bytes = {0};
    int rc = 0;
    iter_stay_within(it, key_slice(&prefix));
    for (iter_seek(it, key_slice(&key)); rc == 0 && it->valid; iter_next(it)) {
        if (it->key.len != 17 || !slice_starts_with(it->key, key_slice(&prefix)))
            break;
        uint64_t at = get_be64(it->key.data + 9);
        if (at >= off + size)
            break;
        rc = extent_bytes(it->value, &bytes);
        if (rc == 0)
            copy_block(p, size, off, at, bytes);
    }
    if (rc == 0)
        rc = it->status;
    iter_destroy(it);
    return rc;
}

ssize_t data_read(struct fs *fs, const struct node *n, void *p, size_t size, uint64_t off)
{
    uint64_t end = n->inode.size;
    if (off >= end)
        return 0;
    if (size > end - off)
        size = (size_t)(end - off);
    if (size == 0)
        return 0;
    bool one = off / FS_BLOCK == (off + size - 1) / FS_BLOCK;
    memset(p, 0, size);
    int rc = one ? read_one(fs, n->ino, p, size, off) : read_many(fs, n->ino, p, size, off);
    return rc ? rc : (ssize_t)size;
}

ssize_t fs_read(struct fs *fs, uint64_t ino, void *p, size_t size, uint64_t off)
{
    struct node *n = node_pin(fs, ino);
    if (!n)
        return -ESTALE;
    node_lock_shared(n);
    ssize_t rc = S_ISDIR(n->type) ? -EISDIR : data_read(fs, n, p, size, off);
    node_unlock(n);
    node_unpin(fs, n);
    return rc < 0 ? fs_error(fs, ino, (int)rc) : rc;
}

/* ---- writing */

void data_put_block(struct change *c, uint64_t ino, uint64_t at, const char *bytes, size_t len)
{
    while (len > 0 && bytes[len - 1] == 0) /* zeroes at the end need no room */
        len--;
    buf_clear(&c->value);
    buf_append(&c->value, (const char[]){EXTENT_INLINE}, 1);
    buf_append(&c->value, bytes, len);
    change_put(c, key_extent(ino, at), buf_slice(&c->value));
}

int data_get_block(struct fs *fs, uint64_t ino, uint64_t at, char *block, bool *there)
{
    struct buf value = BUF_INIT;
    struct slice bytes = {0};
    int rc = get_block(fs, ino, at, &value, &bytes);
    *there = rc == 0;
    memset(block, 0, FS_BLOCK);
    if (rc == 0 && bytes.len > 0)
        memcpy(block, bytes.data, bytes.len);
    buf_free(&value);
    return rc == -ENOENT ? 0 : rc;
}

/* One block's part of a write: [from, to) of the block at `at`. */
static int write_block(struct change *c, const struct node *n, struct inode *next, uint64_t at,
                       size_t from, size_t to, const char *p)
{
    char block[FS_BLOCK];
    uint64_t size = n->inode.size;
    bool below = at < data_end(size), sparse = n->inode.flags & INODE_SPARSE;
    bool whole = from == 0 && (to == FS_BLOCK || at + to >= size);
    bool there = below && !sparse;
    int rc = 0;
    if (below && (sparse || !whole))
        rc = data_get_block(c->fs, n->ino, at, block, &there);
    else if (!whole)
        memset(block, 0, FS_BLOCK);
    if (rc)
        return rc;
    if (whole) {
        data_put_block(c, n->ino, at, p, to);
    } else {
        memcpy(block + from, p, to - from);
        data_put_block(c, n->ino, at, block, FS_BLOCK);
    }
    if (!there)
        next->blocks += FS_BLOCK / 512;
    return 0;
}

int data_write(struct fs *fs, struct node *n, const char *p, size_t size, uint64_t off,
               bool kill_priv)
{
    struct change c;
    int rc = n->inode.flags & INODE_CUTTING ? resize_finish(fs, n, CUT_BY_LOOKING) : 0;
    bool first_garbage = n->orphan && !n->garbage_recorded;
    if (rc)
        return rc;
    struct inode next = node_next(n);
    change_begin(&c, fs);
    for (size_t done = 0; rc == 0 && done < size;) {
        uint64_t at = (off + done) & ~(uint64_t)(FS_BLOCK - 1);
        size_t from = (size_t)(off + done - at), room = FS_BLOCK - from;
        size_t n_bytes = size - done < room ? size - done : room;
        rc = write_block(&c, n, &next, at, from, from + n_bytes, p + done);
        done += n_bytes;
    }
    if (rc == 0)
        rc = xattr_put_no_capability(&c, n);
    if (rc) {
        change_drop(&c);
        return rc;
    }
    if (blocks_below(next.size) < off / FS_BLOCK)
        next.flags |= INODE_SPARSE;
    if (next.size < off + size)
        next.size = off + size;
    next.mtime = next.ctime = fs_now();
    if (kill_priv)
        drop_privileges(&next);
    if (first_garbage)
        change_put_garbage(&c, n->ino, 0, true);
    change_put_inode(&c, n, &next);
    rc = change_commit(&c, &n, 1);
    if (rc)
        return rc;
    node_publish(n, &next);
    if (first_garbage)
        node_note_garbage(n);
    return 0;
}

int fs_write(struct fs *fs, uint64_t ino, const void *p, size_t size, uint64_t off, bool kill_priv)
{
    if (fs->options.read_only)
        return -EROFS;
    if (off > (uint64_t)FS_MAX_SIZE || size > (uint64_t)FS_MAX_SIZE - off)
        return -EFBIG;
    struct node *n = node_pin(fs, ino);
    if (!n)
        return -ESTALE;
    node_lock(n);
    int rc = !S_ISREG(n->type) ? -EINVAL
             : size == 0       ? 0
                               : data_write(fs, n, p, size, off, kill_priv);
    node_unlock(n);
    node_unpin(fs, n);
    return fs_error(fs, ino, rc);
}
