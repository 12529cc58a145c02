/* fs_write: what of a write becomes chunks, and what blocks (data.c). */
#include "fs_internal.h"

/* ---- chunks */

static bool is_zero(const char *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* How many chunks a write of `size` bytes at `off` begins with. Zeroes are none: as blocks they
 * need no room. */
static size_t count_chunks(const char *p, size_t size, uint64_t off)
{
    size_t n = 0;
    if (off % FS_CHUNK != 0)
        return 0;
    while ((n + 1) * FS_CHUNK <= size && !is_zero(p + n * FS_CHUNK, FS_CHUNK))
        n++;
    return n;
}

/* What is there of the chunk at `at` goes; *count: so many blocks were. */
static int clear_for_chunk(struct change *c, const struct node *n, uint64_t at, uint64_t *count)
{
    uint64_t end = data_end(n->inode.size);
    *count = 0;
    if (at >= end) {
        change_have_chunk(c, n->ino, at, &(struct chunk){0});
        return 0;
    }
    if (n->inode.flags & (INODE_SPARSE | INODE_HAS_CHUNKS)) {
        uint64_t from = at;
        return extents_clear(c, n->ino, &from, at + FS_CHUNK, SIZE_MAX, count);
    }
    change_have_chunk(c, n->ino, at, &(struct chunk){0});
    for (uint64_t b = at; b < at + FS_CHUNK && b < end; b += FS_BLOCK, ++*count)
        change_delete(c, key_extent(n->ino, b));
    return 0;
}

static int write_chunks(struct change *c, const struct node *n, struct inode *next, uint64_t at,
                        const char *p, size_t count)
{
    struct segment_place place;
    struct chunk *chunk;
    int rc = chunk_append(c, p, count, &place);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        uint64_t were;
        rc = clear_for_chunk(c, n, at, &were);
        if (rc == 0)
            rc = change_chunk(c, n->ino, at, &chunk);
        if (rc)
            break;
        *chunk = chunk_made(place, p);
        next->blocks += (CHUNK_BLOCKS - were) * (FS_BLOCK / 512);
        place.offset += FS_CHUNK;
        at += FS_CHUNK;
        p += FS_CHUNK;
    }
    next->flags |= INODE_HAS_CHUNKS;
    return rc;
}

/* Where a program goes over what is there, so much must have been in order up to here: less may be
 * written over and over, and of a block's versions in one memtable only the last gets into a
 * table. */
#define RUN_OVER (4 * FS_CHUNK)

/* A program that writes small pieces in order: when it has gone through FS_CHUNK bytes, the blocks
 * that they are in become a chunk. Most are in the memtable still, and never get into a table. Does
 * this write end such bytes? What was synced meanwhile stays as it is: to write it once more would
 * make syncs dearer. */
static bool ends_chunk(const struct node *n, uint64_t off, size_t size)
{
    uint64_t start = chunk_start(off), end = start + FS_CHUNK;
    uint64_t run = end <= n->inode.size ? RUN_OVER : FS_CHUNK;
    return off > start && off + size >= end && n->run_to == off && n->run_from + run <= end &&
           !atomic_load_explicit(&n->run_broken, memory_order_relaxed);
}

/* As write_part, for what ends_chunk says. Nothing is done where it stays blocks. */
static int write_end_of_chunk(struct change *c, const struct node *n, struct inode *next,
                              uint64_t off, const char *p, size_t *done)
{
    uint64_t start = chunk_start(off);
    size_t before = (size_t)(off - start);
    char *whole = mem_alloc(FS_CHUNK);
    ssize_t got = data_read(c->fs, n, whole, before, start);
    int rc = got < 0 ? (int)got : 0;
    memcpy(whole + before, p, FS_CHUNK - before);
    if (got == (ssize_t)before && !is_zero(whole, FS_CHUNK)) {
        *done = FS_CHUNK - before;
        rc = write_chunks(c, n, next, start, whole, 1);
    }
    free(whole);
    return rc;
}

/* The next part of a write into the change: chunks, or one block; *done: how many bytes. */
static int write_part(struct change *c, const struct node *n, struct inode *next, uint64_t off,
                      const char *p, size_t size, size_t *done)
{
    size_t chunks = count_chunks(p, size, off);
    if (chunks > 0) {
        *done = chunks * FS_CHUNK;
        return write_chunks(c, n, next, off, p, chunks);
    }
    uint64_t at = off & ~(uint64_t)(FS_BLOCK - 1);
    size_t from = (size_t)(off - at), room = FS_BLOCK - from;
    *done = size < room ? size : room;
    return data_write_block(c, n, next, at, from, from + *done, p);
}

/* Notes that [off, end) was written. op held exclusively. */
static void note_run(struct node *n, uint64_t off, uint64_t end)
{
    bool broken = atomic_exchange_explicit(&n->run_broken, false, memory_order_relaxed);
    if (broken || off != n->run_to)
        n->run_from = off;
    n->run_to = end;
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
    size_t done = 0, part;
    if (ends_chunk(n, off, size)) /* only the first part: it reads what is stored by now */
        rc = write_end_of_chunk(&c, n, &next, off, p, &done);
    for (; rc == 0 && done < size; done += part)
        rc = write_part(&c, n, &next, off + done, p + done, size - done, &part);
    if (rc == 0)
        rc = xattr_put_no_capability(&c, n);
    if (rc) {
        change_drop(&c);
        return rc;
    }
    if (data_end(next.size) / FS_BLOCK < off / FS_BLOCK)
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
    note_run(n, off, off + size);
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
