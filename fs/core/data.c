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

uint64_t data_end(uint64_t size)
{
    return (size + FS_BLOCK - 1) / FS_BLOCK * FS_BLOCK;
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

/* What is stored of the block at `at`, as a part of `value`; -ENOENT: it is a hole. *own: it has a
 * record of its own. */
static int get_block(struct fs *fs, const struct node *n, uint64_t at, struct buf *value,
                     struct slice *bytes, bool *own)
{
    struct fs_key key = key_extent(n->ino, at);
    int rc = store_get(fs->store, NULL, key_slice(&key), value);
    *own = rc == 0;
    if (rc == 0)
        return extent_bytes(buf_slice(value), bytes);
    return rc == -ENOENT ? get_from_chunk(fs, n, at, value, bytes) : rc;
}

/* A block below the size has no record. Where there are no holes it is lost (what a repair could
 * not keep), and zeroes would be wrong data. */
static int no_block(const struct node *n, uint64_t at)
{
    return n->inode.flags & INODE_SPARSE
               ? 0
               : fail(STORE_ECORRUPT, "the block at %llu is not there", (unsigned long long)at);
}

static int read_one(struct fs *fs, const struct node *n, char *p, size_t size, uint64_t off)
{
    uint64_t at = off & ~(uint64_t)(FS_BLOCK - 1);
    struct buf value = BUF_INIT;
    struct slice bytes;
    bool own;
    int rc = get_block(fs, n, at, &value, &bytes, &own);
    if (rc == 0)
        copy_block(p, size, off, at, bytes);
    buf_free(&value);
    return rc == -ENOENT ? no_block(n, at) : rc;
}

/* What the record, of an extent at `number`, has of [off, off + size); *blocks rises by so many. */
static int read_extent(struct fs *fs, uint64_t number, struct slice value, char *p, size_t size,
                       uint64_t off, uint64_t *blocks)
{
    struct slice bytes = {0};
    struct chunk chunk;
    uint64_t first = off & ~(uint64_t)(FS_BLOCK - 1);
    if (number % FS_BLOCK != 0) {
        uint64_t at = chunk_start(number);
        int rc = chunk_decode(&chunk, value);
        if (rc)
            return rc;
        *blocks += (uint64_t)__builtin_popcount(chunk.map & chunk_bits(at, first, off + size));
        return chunk_read(fs, &chunk, at, p, size, off);
    }
    int rc = extent_bytes(value, &bytes);
    *blocks += number >= first;
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
    uint64_t blocks = 0;
    int rc = 0;
    iter_stay_within(it, key_slice(&prefix));
    for (iter_seek(it, key_slice(&key)); rc == 0 && it->valid; iter_next(it)) {
        if (it->key.len != 17 || !slice_starts_with(it->key, key_slice(&prefix)))
            break;
        uint64_t number = get_be64(it->key.data + 9);
        if ((number & ~(uint64_t)(FS_BLOCK - 1)) >= off + size) /* (a chunk's is one more) */
            break;
        rc = read_extent(fs, number, it->value, p, size, off, &blocks);
    }
    if (rc == 0)
        rc = it->status;
    iter_destroy(it);
    if (rc == 0 && blocks < (data_end(off + size) - off / FS_BLOCK * FS_BLOCK) / FS_BLOCK)
        rc = no_block(n, off);
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

/* ---- single blocks */

/* `len` without the zeroes at the end, which need no room. A file that grows by small pieces has
 * thousands of them in its last block: they are looked at eight at a time. */
static size_t trim_zeroes(const char *bytes, size_t len)
{
    for (uint64_t word; len >= sizeof word; len -= sizeof word) {
        memcpy(&word, bytes + len - sizeof word, sizeof word);
        if (word)
            break;
    }
    while (len > 0 && bytes[len - 1] == 0)
        len--;
    return len;
}

static void put_block(struct change *c, uint64_t ino, uint64_t at, const char *bytes, size_t len)
{
    len = trim_zeroes(bytes, len);
    buf_clear(&c->value);
    buf_append(&c->value, (const char[]){EXTENT_INLINE}, 1);
    buf_append(&c->value, bytes, len);
    change_put(c, key_extent(ino, at), buf_slice(&c->value));
}

/* data_get_block, which says as well whether the block has a record of its own. */
static int load_block(struct fs *fs, const struct node *n, uint64_t at, char *block, bool *there,
                      bool *own)
{
    struct buf value = BUF_INIT;
    struct slice bytes = {0};
    int rc = get_block(fs, n, at, &value, &bytes, own);
    *there = rc == 0;
    memset(block, 0, FS_BLOCK);
    if (rc == 0 && bytes.len > 0)
        memcpy(block, bytes.data, bytes.len);
    buf_free(&value);
    return rc == -ENOENT ? 0 : rc;
}

int data_get_block(struct fs *fs, const struct node *n, uint64_t at, char *block, bool *there)
{
    bool own;
    return load_block(fs, n, at, block, there, &own);
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

int data_write_block(struct change *c, const struct node *n, struct inode *next, uint64_t at,
                     size_t from, size_t to, const char *p)
{
    char block[FS_BLOCK];
    uint64_t size = n->inode.size;
    bool below = at < data_end(size), sparse = n->inode.flags & INODE_SPARSE;
    bool whole = from == 0 && (to == FS_BLOCK || at + to >= size);
    bool there = below && !sparse, own = false, left = false;
    int rc = 0;
    if (below && !whole) {
        rc = load_block(c->fs, n, at, block, &there, &own);
        if (rc == 0 && !there)
            rc = no_block(n, at);
    } else if (!whole) {
        memset(block, 0, FS_BLOCK);
    }
    if (rc == 0 && below && !own && n->inode.flags & INODE_HAS_CHUNKS)
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
