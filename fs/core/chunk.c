/* Chunks: their records, and their data in the segment files (format/chunk_format.h).
 *
 * A change may touch a chunk several times: the block at an end of a range, then the range. So what
 * becomes of a chunk is gathered in the change (struct chunk_edit) and turned into records once, at
 * its commit. Data is appended before; if the change then fails, its places are given back.
 *
 * Invariants: a place belongs to one chunk; a bit of a chunk's map goes and never comes back, new
 * data is a new place; a bit goes in the same batch in which its F record is put. */
#include "fs_internal.h"

/* ---- records */

int chunk_load(struct fs *fs, uint64_t ino, uint64_t at, struct chunk *out)
{
    struct fs_key key = key_chunk(ino, at);
    struct buf value = BUF_INIT;
    int rc = store_get(fs->store, NULL, key_slice(&key), &value);
    if (rc == 0)
        rc = chunk_decode(out, buf_slice(&value));
    buf_free(&value);
    return rc;
}

int place_load(struct fs *fs, struct segment_place at, struct place_owner *out)
{
    struct fs_key key = key_place(at.segment, at.offset);
    struct buf value = BUF_INIT;
    int rc = store_get(fs->store, NULL, key_slice(&key), &value);
    if (rc == 0)
        rc = place_owner_decode(out, buf_slice(&value));
    buf_free(&value);
    return rc;
}

int place_chunk(struct fs *fs, struct segment_place at, struct place_owner o, struct chunk *out)
{
    int rc = chunk_load(fs, o.ino, o.offset, out);
    if (rc == 0 && (out->segment != at.segment || out->place != at.offset))
        return -ENOENT;
    return rc;
}

static struct chunk_edit *edit_of(struct change *c, uint64_t ino, uint64_t at)
{
    for (size_t i = c->chunk_count; i-- > 0;)
        if (c->chunks[i].at == at && c->chunks[i].ino == ino)
            return &c->chunks[i];
    return NULL;
}

static struct chunk_edit *add_edit(struct change *c, struct chunk_edit e)
{
    if (c->chunk_count == c->chunk_room) {
        c->chunk_room = c->chunk_room ? 2 * c->chunk_room : 4;
        c->chunks = mem_realloc(c->chunks, c->chunk_room * sizeof *c->chunks);
    }
    c->chunks[c->chunk_count] = e;
    return &c->chunks[c->chunk_count++];
}

int change_chunk(struct change *c, uint64_t ino, uint64_t at, struct chunk **out)
{
    struct chunk_edit *e = edit_of(c, ino, at);
    if (!e) {
        struct chunk_edit new = {.ino = ino, .at = at};
        int rc = chunk_load(c->fs, ino, at, &new.old);
        if (rc && rc != -ENOENT)
            return rc;
        if (rc)
            new.old = (struct chunk){0};
        new.now = new.old;
        e = add_edit(c, new);
    }
    *out = &e->now;
    return 0;
}

void change_have_chunk(struct change *c, uint64_t ino, uint64_t at, const struct chunk *old)
{
    if (!edit_of(c, ino, at))
        add_edit(c, (struct chunk_edit){.ino = ino, .at = at, .old = *old, .now = *old});
}

/* What becomes of one chunk, as records. True: some of its old place is free then. */
static bool put_edit(struct change *c, const struct chunk_edit *e)
{
    bool moved = e->now.map && (e->now.segment != e->old.segment || e->now.place != e->old.place);
    uint16_t gone = moved ? e->old.map : (uint16_t)(e->old.map & ~e->now.map);
    if (gone)
        change_put(c, key_freed(e->old.segment, e->old.place, gone), slice_of(NULL, 0));
    if (e->old.map && (moved || e->now.map == 0))
        change_delete(c, key_place(e->old.segment, e->old.place));
    if (e->old.map && e->now.map == 0)
        change_delete(c, key_chunk(e->ino, e->at));
    if (moved) {
        buf_clear(&c->value);
        place_owner_encode((struct place_owner){e->ino, e->at}, &c->value);
        change_put(c, key_place(e->now.segment, e->now.place), buf_slice(&c->value));
    }
    if (e->now.map && (moved || gone)) {
        buf_clear(&c->value);
        chunk_encode(&e->now, &c->value);
        change_put(c, key_chunk(e->ino, e->at), buf_slice(&c->value));
    }
    return gone;
}

bool change_put_chunks(struct change *c)
{
    bool frees = false;
    for (size_t i = 0; i < c->chunk_count; i++)
        frees |= put_edit(c, &c->chunks[i]);
    return frees;
}

void change_free_chunks(struct change *c, bool committed)
{
    const struct placed *p = c->placed;
    for (size_t i = c->placed_count; i-- > 0;) {
        if (!committed)
            segments_take_back(c->fs->segments, p[i].at, p[i].bytes);
        segments_release(c->fs->segments, p[i].at);
    }
    free(c->placed);
    free(c->chunks);
}

/* ---- data */

static int check_block(struct fs *fs, const struct chunk *c, int i, const char *bytes)
{
    if (c->crc[i] == chunk_block_crc(bytes))
        return 0;
    char *path = segments_path(fs->segments, c->segment);
    int rc = fail(STORE_ECORRUPT, "%s: block at offset %llu: checksum mismatch", path,
                  (unsigned long long)c->place + (unsigned long long)i * FS_BLOCK);
    free(path);
    return rc;
}

/* Blocks [first, first + count) of the chunk, all of which are there. */
static int read_blocks(struct fs *fs, const struct chunk *c, int first, int count, char *p)
{
    struct segment_place at = {c->segment, c->place + (uint64_t)first * FS_BLOCK};
    int rc = segments_read(fs->segments, at, p, (size_t)count * FS_BLOCK);
    for (int i = 0; rc == 0 && i < count; i++)
        rc = check_block(fs, c, first + i, p + (size_t)i * FS_BLOCK);
    return rc;
}

int chunk_read_block(struct fs *fs, const struct chunk *c, uint64_t at, uint64_t block, char *p)
{
    return read_blocks(fs, c, (int)((block - at) / FS_BLOCK), 1, p);
}

/* What block i has in common with [off, off + size), to p, which is that range's memory. */
static int read_part(struct fs *fs, const struct chunk *c, uint64_t at, int i, char *p, size_t size,
                     uint64_t off)
{
    char block[FS_BLOCK];
    uint64_t begin = at + (uint64_t)i * FS_BLOCK, from = begin > off ? begin : off;
    uint64_t to = begin + FS_BLOCK < off + size ? begin + FS_BLOCK : off + size;
    int rc = read_blocks(fs, c, i, 1, block);
    if (rc == 0)
        memcpy(p + (from - off), block + (from - begin), (size_t)(to - from));
    return rc;
}

int chunk_read(struct fs *fs, const struct chunk *c, uint64_t at, char *p, size_t size,
               uint64_t off)
{
    uint16_t bits = c->map & chunk_bits(at, off & ~(uint64_t)(FS_BLOCK - 1), off + size);
    uint16_t whole =
        bits & chunk_bits(at, off, off + size < FS_BLOCK ? 0 : off + size - FS_BLOCK + 1);
    int rc = 0;
    for (int i = 0; rc == 0 && i < CHUNK_BLOCKS;) {
        int n = 0;
        while (i + n < CHUNK_BLOCKS && whole >> (i + n) & 1)
            n++;
        if (n > 0)
            rc = read_blocks(fs, c, i, n, p + (at + (uint64_t)i * FS_BLOCK - off));
        else if (bits >> i & 1)
            rc = read_part(fs, c, at, i, p, size, off);
        i += n > 0 ? n : 1;
    }
    return rc;
}

/* Bytes on their way into places that no record names yet. */
static void note_placed(struct change *c, struct segment_place at, size_t bytes)
{
    c->placed = mem_realloc(c->placed, (c->placed_count + 1) * sizeof *c->placed);
    c->placed[c->placed_count++] = (struct placed){at, bytes};
}

int chunk_append(struct change *c, const char *p, size_t count, struct segment_place *out)
{
    struct fs *fs = c->fs;
    int rc = segments_append(fs->segments, p, count * FS_CHUNK, out);
    for (int tries = 1; space_lacks(rc) && tries < SPACE_TRIES && space_comes_back(fs); tries++)
        rc = segments_append(fs->segments, p, count * FS_CHUNK, out);
    if (rc == 0)
        note_placed(c, *out, count * FS_CHUNK);
    return rc;
}

struct chunk chunk_made(struct segment_place at, const char *p)
{
    struct chunk c = {.segment = at.segment, .place = at.offset, .map = CHUNK_WHOLE};
    for (int i = 0; i < CHUNK_BLOCKS; i++)
        c.crc[i] = chunk_block_crc(p + (size_t)i * FS_BLOCK);
    return c;
}

/* ---- for the store: what its records refer to (store_beside in store.h) */

static int sync_beside(void *arg)
{
    struct fs *fs = arg;
    return segments_sync(fs->segments);
}

/* Is it there, as a whole? It is written once more, so that the sync which follows cannot pass over
 * what the kernel could not write before the crash. */
static int check_chunk(struct fs *fs, const struct chunk *c)
{
    char p[FS_BLOCK];
    int rc = 0;
    for (int i = 0; rc == 0 && i < CHUNK_BLOCKS; i++) {
        struct segment_place at = {c->segment, c->place + (uint64_t)i * FS_BLOCK};
        if (!(c->map >> i & 1))
            continue;
        rc = read_blocks(fs, c, i, 1, p);
        if (rc == 0 && !fs->options.only_read_segments)
            rc = segments_write_again(fs->segments, at, p, sizeof p);
    }
    return rc;
}

/* After a crash: is the new chunk of this record there? It is new where its place's record comes
 * just before (put_edit). One that only lost blocks was checked before, or was durable long ago:
 * damage to it is no reason to give up this change and all that came later. */
static int check_beside(void *arg, struct slice key, struct slice value)
{
    struct fs *fs = arg;
    struct chunk c;
    if (key.len != 17)
        return 0;
    if (key.data[0] == KEY_PLACE)
        fs->put_last = (struct segment_place){key_segment(key), key_place_of(key)};
    if (key.data[0] != KEY_EXTENT || get_be64(key.data + 9) % FS_BLOCK == 0)
        return 0;
    int rc = chunk_decode(&c, value);
    if (rc || c.segment != fs->put_last.segment || c.place != fs->put_last.offset)
        return rc;
    return check_chunk(fs, &c);
}

struct store_beside chunk_beside(struct fs *fs)
{
    return (struct store_beside){.arg = fs, .sync = sync_beside, .check = check_beside};
}
