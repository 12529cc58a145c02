/* File contents: blocks of 4 KiB, each a value under its inode and offset. A block that is written
 * as a whole is a put without a look; one that is written in part is read, changed and put. Blocks
 * that were never written have no record. FS_CHUNK bytes that are written in one piece, at a
 * multiple of that, become a chunk: its record only says where the data is (chunk.c). A block of it
 * that is written later leaves it, and has a record of its own again.
 *
 * Invariants, for resize.c too: nothing of a block behind the file's size is stored but zeroes, so
 * that a file that grows reads as zeroes there; without INODE_CUTTING nothing is stored wholly
 * behind the size; without INODE_SPARSE every block below it is; without INODE_HAS_CHUNKS each has
 * its own record. No block is stored twice. */
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

/* The block at `at` where it is in a chunk; -ENOENT where it is not. */
static int get_from_chunk(struct fs *fs, const struct node *n, uint64_t at, struct buf *value,
                          struct slice *bytes)
{
    struct chunk chunk;
    uint64_t start = chunk_start(at);
    if (!(n->inode.flags & INODE_HAS_CHUNKS))
        return -ENOENT;
    int rc = chunk_load(fs, n->ino, start, &chunk);
    if (rc)
        return rc;
    if (!(chunk.map & chunk_bits(start, at, at + 1)))
        return -ENOENT;
    buf_clear(value);
    *bytes = slice_of(buf_reserve(value, FS_BLOCK), FS_BLOCK);
    return chunk_read_block(fs, &chunk, start, at, value->data);
}

/* What is stored of the block at `at`, as a part of `value`; -ENOENT: it is a hole. */
static int get_block(struct fs *fs, const struct node *n, uint64_t at, struct buf *value,
                     struct slice *bytes)
{
    struct fs_key key = key_extent(n->ino, at);
    int rc = store_get(fs->store, NULL, key_slice(&key), value);
    if (rc == 0)
        return extent_bytes(buf_slice(value), bytes);
    return rc == -ENOENT ? get_from_chunk(fs, n, at, value, bytes) : rc;
}

static int read_one(struct fs *fs, const struct node *n, char *p, size_t size, uint64_t off)
{
    uint64_t at = off & ~(uint64_t)(FS_BLOCK - 1);
    struct buf value = BUF_INIT;
    struct slice bytes;
    int rc = get_block(fs, n, at, &value, &bytes);
    if (rc == 0)
        copy_block(p, size, off, at, bytes);
    buf_free(&value);
    return rc == -ENOENT ? 0 : rc;
}

/* What the record, of an extent at `number`, has of [off, off + size). */
static int read_extent(struct fs *fs, uint64_t number, struct slice value, char *p, size_t size,
                       uint64_t off)
{
    struct slice bytes = {0};
    struct chunk chunk;
    if (number % FS_BLOCK != 0) {
        int rc = chunk_decode(&chunk, value);
        return rc ? rc : chunk_read(fs, &chunk, chunk_start(number), p, size, off);
    }
    int rc = extent_bytes(value, &bytes);
    if (rc == 0)
        copy_block(p, size, off, number, bytes);
    return rc;
}

static int read_many(struct fs *fs, const struct node *n, char *p, size_t size, uint64_t off)
{
    uint64_t first = off & ~(uint64_t)(FS_BLOCK - 1);
    if (n->inode.flags & INODE_HAS_CHUNKS)
        first = chunk_start(off);
    struct fs_key key = key_extent(n->ino, first), prefix = key_of(KEY_EXTENT, n->ino);
    struct iter *it = size >= SCAN_SIZE ? store_scan(fs->store, NULL) : store_iter(fs->store, NULL);
    int rc = 0;
    iter_stay_within(it, key_slice(&prefix));
    for (iter_seek(it, key_slice(&key)); rc == 0 && it->valid; iter_next(it)) {
        if (it->key.len != 17 || !slice_starts_with(it->key, key_slice(&prefix)))
            break;
        uint64_t number = get_be64(it->key.data + 9);
        if ((number & ~(uint64_t)(FS_BLOCK - 1)) >= off + size) /* (a chunk's is one more) */
            break;
        rc = read_extent(fs, number, it->value, p, size, off);
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
    int rc = one ? read_one(fs, n, p, size, off) : read_many(fs, n, p, size, off);
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

static void put_block(struct change *c, uint64_t ino, uint64_t at, const char *bytes, size_t len)
{
    while (len > 0 && bytes[len - 1] == 0) /* zeroes at the end need no room */
        len--;
    buf_clear(&c->value);
    buf_append(&c->value, (const char[]){EXTENT_INLINE}, 1);
    buf_append(&c->value, bytes, len);
    change_put(c, key_extent(ino, at), buf_slice(&c->value));
}

int data_get_block(struct fs *fs, const struct node *n, uint64_t at, char *block, bool *there)
{
    struct buf value = BUF_INIT;
    struct slice bytes = {0};
    int rc = get_block(fs, n, at, &value, &bytes);
    *there = rc == 0;
    memset(block, 0, FS_BLOCK);
    if (rc == 0 && bytes.len > 0)
        memcpy(block, bytes.data, bytes.len);
    buf_free(&value);
    return rc == -ENOENT ? 0 : rc;
}

/* Has the block a record of its own? */
static int is_stored(struct fs *fs, uint64_t ino, uint64_t at, bool *there)
{
    struct fs_key key = key_extent(ino, at);
    struct buf value = BUF_INIT;
    int rc = store_get(fs->store, NULL, key_slice(&key), &value);
    *there = rc == 0;
    buf_free(&value);
    return rc == -ENOENT ? 0 : rc;
}

/* The block gets a record of its own: if it is in a chunk it leaves that. */
static int leave_chunk(struct change *c, const struct node *n, uint64_t at, bool *was_there)
{
    struct chunk *chunk;
    uint64_t start = chunk_start(at);
    int rc = change_chunk(c, n->ino, start, &chunk);
    if (rc)
        return rc;
    uint16_t bit = chunk->map & chunk_bits(start, at, at + 1);
    *was_there = bit;
    chunk->map &= (uint16_t)~bit;
    return 0;
}

int data_put_part(struct change *c, const struct node *n, uint64_t at, const char *bytes,
                  size_t len)
{
    bool left;
    int rc = n->inode.flags & INODE_HAS_CHUNKS ? leave_chunk(c, n, at, &left) : 0;
    if (rc == 0)
        put_block(c, n->ino, at, bytes, len);
    return rc;
}

/* One block's part of a write: [from, to) of the block at `at`. */
static int write_block(struct change *c, const struct node *n, struct inode *next, uint64_t at,
                       size_t from, size_t to, const char *p)
{
    char block[FS_BLOCK];
    uint64_t size = n->inode.size;
    bool below = at < data_end(size), sparse = n->inode.flags & INODE_SPARSE;
    bool whole = from == 0 && (to == FS_BLOCK || at + to >= size);
    bool there = below && !sparse, left = false;
    int rc = 0;
    if (below && !whole)
        rc = data_get_block(c->fs, n, at, block, &there);
    else if (!whole)
        memset(block, 0, FS_BLOCK);
    if (rc == 0 && below && n->inode.flags & INODE_HAS_CHUNKS)
        rc = leave_chunk(c, n, at, &left);
    if (rc == 0 && below && whole && sparse && !left)
        rc = is_stored(c->fs, n->ino, at, &there);
    if (rc)
        return rc;
    if (whole) {
        put_block(c, n->ino, at, p, to);
    } else {
        memcpy(block + from, p, to - from);
        put_block(c, n->ino, at, block, FS_BLOCK);
    }
    if (!there && !left)
        next->blocks += FS_BLOCK / 512;
    return 0;
}

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

/* A program that writes small pieces in order: when it has gone through FS_CHUNK bytes, the blocks
 * that they are in become a chunk. Most are in the memtable still, and never get into a table. Does
 * this write end such bytes? What was synced meanwhile stays as it is: to write it once more would
 * make syncs dearer. */
static bool ends_chunk(const struct node *n, uint64_t off, size_t size)
{
    uint64_t start = chunk_start(off);
    return off > start && off - start + size >= FS_CHUNK && n->run_to == off &&
           n->run_from <= start && !atomic_load_explicit(&n->run_broken, memory_order_relaxed);
}

/* As write_part, for what ends_chunk says. */
static int write_end_of_chunk(struct change *c, const struct node *n, struct inode *next,
                              uint64_t off, const char *p, size_t *done)
{
    uint64_t start = chunk_start(off);
    size_t before = (size_t)(off - start);
    char *whole = mem_alloc(FS_CHUNK);
    ssize_t got = data_read(c->fs, n, whole, before, start);
    int rc = got < 0 ? (int)got : 0;
    *done = FS_CHUNK - before;
    memcpy(whole + before, p, *done);
    if (rc == 0 && ((size_t)got < before || is_zero(whole, FS_CHUNK)))
        rc = -EAGAIN;
    if (rc == 0)
        rc = write_chunks(c, n, next, start, whole, 1);
    free(whole);
    return rc;
}

/* The next part of a write into the change: chunks, or one block. *done: how many bytes. */
static int write_part(struct change *c, const struct node *n, struct inode *next, uint64_t off,
                      const char *p, size_t size, size_t *done)
{
    size_t chunks = count_chunks(p, size, off);
    if (chunks > 0) {
        *done = chunks * FS_CHUNK;
        return write_chunks(c, n, next, off, p, chunks);
    }
    if (ends_chunk(n, off, size)) {
        int rc = write_end_of_chunk(c, n, next, off, p, done);
        if (rc != -EAGAIN)
            return rc;
    }
    uint64_t at = off & ~(uint64_t)(FS_BLOCK - 1);
    size_t from = (size_t)(off - at), room = FS_BLOCK - from;
    *done = size < room ? size : room;
    return write_block(c, n, next, at, from, from + *done, p);
}

/* Notes that [off, end) was written. op held exclusively. */
static void note_run(struct node *n, uint64_t off, uint64_t end)
{
    bool synced = atomic_exchange_explicit(&n->run_broken, false, memory_order_relaxed);
    if (synced || off != n->run_to)
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
    for (size_t done = 0; rc == 0 && done < size;) {
        size_t part;
        rc = write_part(&c, n, &next, off + done, p + done, size - done, &part);
        done += part;
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
