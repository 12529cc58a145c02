/* Ranges of a file's blocks: which of them are there, and that they go. Only what has to be looked
 * at comes here: where every block has an extent of its own, their keys are known (data.c). */
#include "fs_internal.h"

/* ---- which are there */

void extents_begin(struct extent_scan *s, struct fs *fs, uint64_t ino, uint64_t from)
{
    struct fs_key key = key_extent(ino, chunk_start(from)), prefix = key_of(KEY_EXTENT, ino);
    *s = (struct extent_scan){.ino = ino, .it = store_iter(fs->store, NULL)};
    iter_stay_within(s->it, key_slice(&prefix));
    iter_seek(s->it, key_slice(&key));
}

void extents_end(struct extent_scan *s)
{
    iter_destroy(s->it);
}

/* The record is an extent of the inode: its offset, and whether it is a chunk's. */
static bool is_extent(const struct iter *it, uint64_t ino, uint64_t *off, bool *chunk)
{
    struct fs_key prefix = key_of(KEY_EXTENT, ino);
    if (!it->valid || it->key.len != 17 || !slice_starts_with(it->key, key_slice(&prefix)))
        return false;
    uint64_t number = get_be64(it->key.data + 9);
    *chunk = number % FS_BLOCK != 0;
    *off = number & ~(uint64_t)(FS_BLOCK - 1);
    return true;
}

int extents_next(struct extent_scan *s)
{
    uint64_t off;
    bool is_chunk;
    s->bits = 0;
    while (is_extent(s->it, s->ino, &off, &is_chunk)) {
        struct chunk c;
        if (s->bits && chunk_start(off) != s->at)
            break;
        s->at = chunk_start(off);
        int rc = is_chunk ? chunk_decode(&c, s->it->value) : 0;
        if (rc)
            return rc;
        s->bits |= is_chunk ? c.map : chunk_bits(s->at, off, off + 1);
        iter_next(s->it);
    }
    return s->it->status;
}

int extents_count(struct fs *fs, uint64_t ino, uint64_t from, uint64_t end, uint64_t *count)
{
    struct extent_scan s;
    extents_begin(&s, fs, ino, from);
    int rc = extents_next(&s);
    *count = 0;
    for (; rc == 0 && s.bits && s.at < end; rc = extents_next(&s))
        *count += (uint64_t)__builtin_popcount(s.bits & chunk_bits(s.at, from, end));
    extents_end(&s);
    return rc;
}

/* ---- that they go */

#define CHUNK_RECORDS 3 /* at most, of a chunk that goes: its own, its place's, what is freed */

/* The chunk's blocks in [from, end). */
static int clear_chunk(struct change *c, uint64_t ino, uint64_t at, uint64_t from, uint64_t end,
                       struct slice value, uint64_t *count)
{
    struct chunk old, *now;
    int rc = chunk_decode(&old, value);
    if (rc)
        return rc;
    change_have_chunk(c, ino, at, &old);
    rc = change_chunk(c, ino, at, &now);
    if (rc)
        return rc;
    uint16_t gone = now->map & chunk_bits(at, from, end);
    now->map &= (uint16_t)~gone;
    *count += (uint64_t)__builtin_popcount(gone);
    return 0;
}

int extents_clear(struct change *c, uint64_t ino, uint64_t *from, uint64_t end, size_t most,
                  uint64_t *count)
{
    struct extent_scan s;
    uint64_t off = 0, begin = *from;
    bool is_chunk, more = false;
    size_t records = 0;
    int rc = 0;
    extents_begin(&s, c->fs, ino, begin);
    for (; rc == 0 && is_extent(s.it, ino, &off, &is_chunk) && off < end; iter_next(s.it)) {
        if (!is_chunk && off < begin)
            continue;
        records += is_chunk ? CHUNK_RECORDS : 1;
        more = records > most;
        if (more)
            break;
        if (is_chunk) {
            rc = clear_chunk(c, ino, off, begin, end, s.it->value, count);
        } else {
            store_batch_delete(&c->batch, s.it->key);
            ++*count;
        }
    }
    *from = more ? off > begin ? off : begin : end;
    if (rc == 0)
        rc = s.it->status;
    extents_end(&s);
    return rc;
}
