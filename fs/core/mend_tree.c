/* After a repair: what inodes and entries say of each other.
 *
 * A block of a table holds many records, and of what belongs together some are in others: where it
 * is lost, a directory may be gone whose names are there, or a file whose data is. Nobody would
 * reach these any more, nor get their space back. So all records are read once and added up
 * (sums.h); then
 * - a name of an inode of which nothing is left goes;
 * - data and names whose inode is lost get a new one, for root alone: at its name where there is
 *   one, else in /lost+found, as "#<inode>";
 * - what is there without a name, and directories that lie in each other, go to /lost+found;
 * - each inode's counts of names, links and blocks, '..' and flags become what the records say, and
 *   a file is as long as its data.
 * Blocks that are lost stay so: to read them is an error, and no zeroes.
 *
 * A run that is cut short is done again from the start (mend.c). */
#include "mend_tree.h"

#include <stdlib.h>

#include "../format/garbage_format.h"
#include "../format/record_text.h"

/* ---- adding up */

static void take_inode(struct tree *t, const struct seen *seen)
{
    struct sums *s = sums_of(&t->sums, seen->ino);
    if (s->there) /* mend_names.c leaves no such */
        return;
    s->there = true;
    s->embedded = seen->dir != 0;
    s->home = seen->dir;
    s->type = seen->i.mode & S_IFMT;
    if (seen->dir && S_ISDIR(seen->i.mode))
        sums_of(&t->sums, seen->dir)->subdirs++;
}

static void take_seen(struct tree *t, struct slice key, struct slice value)
{
    struct seen seen;
    if (mend_see(key, value, &seen)) /* there is none: mend_damaged.c */
        return;
    if (seen.dir)
        sums_of(&t->sums, seen.dir)->entries++;
    if (seen.kind == ENTRY_REFERENCE)
        sums_of(&t->sums, seen.ino)->references++;
    else
        take_inode(t, &seen);
    inode_free(&seen.i);
}

/* A block that has a record of its own and is in a chunk: a read of it alone finds the first. */
static void note_twice(struct tree *t, uint64_t ino, uint64_t at)
{
    t->twice = mem_realloc(t->twice, (t->twice_count + 1) * sizeof *t->twice);
    t->twice[t->twice_count++] = (struct place_owner){ino, at};
}

/* (In the order of keys a chunk comes behind its first block, and before its others.) */
static void take_block(struct tree *t, struct sums *s, uint64_t at, struct slice value)
{
    uint64_t len = value.len > 1 ? value.len - 1 : 1; /* zeroes at the end are not stored */
    if (t->chunk.ino == s->ino && t->chunk_map & chunk_bits(t->chunk.offset, at, at + 1))
        note_twice(t, s->ino, at);
    else
        s->extents++;
    t->block = (struct place_owner){s->ino, at};
    s->end = at + len;
}

static void take_chunk(struct tree *t, struct sums *s, uint64_t at, const struct chunk *c)
{
    uint64_t end = at + (uint64_t)(32 - __builtin_clz(c->map)) * FS_BLOCK;
    s->chunks = true;
    s->extents += (uint64_t)__builtin_popcount(c->map);
    if (s->chunk_end < end)
        s->chunk_end = end;
    if (t->block.ino == s->ino && t->block.offset == at && c->map & 1) {
        note_twice(t, s->ino, at);
        s->extents--;
    }
    t->chunk = (struct place_owner){s->ino, at};
    t->chunk_map = c->map;
}

static void take_extent(struct tree *t, struct slice key, struct slice value)
{
    struct chunk c;
    uint64_t number = get_be64(key.data + 9);
    struct sums *s = sums_of(&t->sums, get_be64(key.data + 1));
    if (number % FS_BLOCK == 0)
        take_block(t, s, number, value);
    else if (chunk_decode(&c, value) == 0)
        take_chunk(t, s, number - 1, &c);
}

static void take_garbage(struct tree *t, uint64_t ino, struct slice value)
{
    struct garbage_record g;
    if (garbage_decode(&g, value))
        return;
    struct sums *s = sums_of(&t->sums, ino);
    s->garbage = g.gone;
    s->cut = !g.gone;
    s->cut_from = g.from;
}

static void take_record(struct tree *t, struct slice key, struct slice value)
{
    uint64_t ino = key.len >= 9 ? get_be64(key.data + 1) : 0;
    if (ino == 0)
        return;
    if (key.data[0] == KEY_ENTRY || key.data[0] == KEY_INODE)
        take_seen(t, key, value);
    else if (key.data[0] == KEY_EXTENT && key.len == 17)
        take_extent(t, key, value);
    else if (key.data[0] == KEY_XATTR)
        sums_of(&t->sums, ino)->attrs++;
    else if (key.data[0] == KEY_GARBAGE)
        take_garbage(t, ino, value);
}

static int add_up(struct tree *t)
{
    struct iter *it = store_scan(t->fs->store, NULL);
    for (iter_first(it); it->valid; iter_next(it))
        take_record(t, it->key, it->value);
    int rc = it->status;
    iter_destroy(it);
    return rc;
}

/* ---- going through entries and inodes */

int mend_each(struct tree *t, enum key_kind kind, int (*fn)(struct tree *t, struct seen *seen))
{
    const char first[] = {(char)kind};
    struct iter *it = store_iter(t->fs->store, NULL);
    int rc = 0;
    for (iter_seek(it, slice_of(first, 1)); rc == 0 && it->valid && it->key.data[0] == (char)kind;
         iter_next(it)) {
        struct seen seen;
        if (mend_see(it->key, it->value, &seen))
            continue;
        rc = fn(t, &seen);
        if (rc == 0)
            rc = change_next_if_full(&t->c);
        inode_free(&seen.i);
    }
    if (rc == 0)
        rc = it->status;
    iter_destroy(it);
    return rc < 0 ? rc : 0;
}

/* ---- names of nothing */

bool mend_is_lost(const struct sums *s)
{
    return !s->there && (s->entries > 0 || (s->extents > 0 && !s->garbage));
}

/* What a reference may name: a file, or one whose data is there. */
static bool may_be_named(const struct sums *s)
{
    return s->there ? !S_ISDIR(s->type) : mend_is_lost(s) && s->entries == 0;
}

static void tell_gone(struct tree *t, const struct seen *seen)
{
    struct fs_key key = key_named(KEY_ENTRY, seen->dir, seen->name);
    struct buf value = BUF_INIT, text = BUF_INIT;
    entry_encode_reference(seen->ino, seen->i.mode, &value);
    record_to_text(key_slice(&key), buf_slice(&value), &text);
    fs_log(t->fs, "repair: a name of what is lost, or is no file, is gone: %.*s", (int)text.len,
           text.data);
    buf_free(&value);
    buf_free(&text);
}

static int drop_bad_name(struct tree *t, struct seen *seen)
{
    if (seen->kind != ENTRY_REFERENCE)
        return 0;
    struct sums *s = sums_find(&t->sums, seen->ino);
    if (may_be_named(s))
        return 0;
    tell_gone(t, seen);
    s->references--;
    sums_find(&t->sums, seen->dir)->entries--;
    change_delete(&t->c, key_named(KEY_ENTRY, seen->dir, seen->name));
    return 0;
}

/* ---- blocks that are stored twice */

/* The record of its own stays, as for who reads the block alone. */
static int take_out_of_chunk(struct tree *t, uint64_t ino, uint64_t at)
{
    struct chunk *chunk;
    uint64_t start = chunk_start(at);
    int rc = change_chunk(&t->c, ino, start, &chunk);
    if (rc)
        return rc;
    chunk->map &= (uint16_t)~chunk_bits(start, at, at + 1);
    fs_log(t->fs, "repair: inode %llu: the block at %llu was there twice; one is gone",
           (unsigned long long)ino, (unsigned long long)at);
    return 0;
}

/* (Those of one chunk lie one behind the other, and go in one change.) */
static int mend_twice(struct tree *t)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < t->twice_count; i++) {
        const struct place_owner *now = &t->twice[i], *before = i > 0 ? now - 1 : now;
        if (now->ino != before->ino || chunk_start(now->offset) != chunk_start(before->offset))
            rc = change_next(&t->c);
        if (rc == 0)
            rc = take_out_of_chunk(t, now->ino, now->offset);
    }
    return rc ? rc : change_next(&t->c);
}

/* ---- counts */

/* Data behind the file's end: the inode that is left is an old one, or the data is. To cut it could
 * not be undone, so the file is as long as that. */
static void reach_to_the_end(struct tree *t, const struct sums *s, struct inode *i)
{
    uint64_t end = mend_end_of_data(s);
    if (end <= i->size)
        return;
    fs_log(t->fs, "repair: inode %llu was shorter than its data: %llu bytes now, before %llu",
           (unsigned long long)s->ino, (unsigned long long)end, (unsigned long long)i->size);
    i->size = end;
}

/* Of a file without holes blocks may be lost: who cuts or removes it shall look which are there. It
 * counts as whole all the same, as for who writes a block of it. */
static void count_blocks(const struct sums *s, struct inode *i, uint64_t extents)
{
    bool sparse = i->flags & INODE_SPARSE;
    uint64_t all = data_end(i->size) / FS_BLOCK;
    if (s->chunks || (!sparse && extents < all))
        i->flags |= INODE_HAS_CHUNKS;
    i->blocks = (sparse ? extents : all) * (FS_BLOCK / 512);
}

/* What is behind the end of a file goes, as it was under way. */
static int count_cut(struct tree *t, const struct sums *s, struct inode *i)
{
    uint64_t count;
    int rc = extents_count(t->fs, s->ino, 0, data_end(i->size), &count);
    if (rc == 0)
        count_blocks(s, i, count);
    return rc;
}

static int count_file(struct tree *t, const struct sums *s, struct inode *i)
{
    bool had_chunks = i->flags & INODE_HAS_CHUNKS;
    int rc = 0;
    if (i->flags & INODE_CUTTING && s->cut && s->cut_from >= data_end(i->size)) {
        rc = count_cut(t, s, i);
    } else {
        i->flags &= ~(uint32_t)INODE_CUTTING;
        reach_to_the_end(t, s, i);
        count_blocks(s, i, s->extents);
    }
    if (rc == 0 && !had_chunks && i->flags & INODE_HAS_CHUNKS)
        rc = super_require(t->fs, SUPER_SEGMENTS);
    return rc;
}

/* Nothing can come of data of a folder or symlink. */
static int drop_data(struct tree *t, const struct sums *s)
{
    fs_log(t->fs, "repair: inode %llu, which is no file, had data: it is gone",
           (unsigned long long)s->ino);
    return garbage_cut(t->fs, s->ino, 0, CUT_BY_LOOKING);
}

static int count_data(struct tree *t, const struct sums *s, struct inode *i)
{
    bool folder = S_ISDIR(i->mode) || S_ISLNK(i->mode);
    if (s->extents == 0 && !S_ISREG(i->mode)) {
        i->blocks = 0;
        return 0;
    }
    if (folder) {
        i->blocks = 0;
        return drop_data(t, s);
    }
    i->mode = (i->mode & ~(mode_t)S_IFMT) | S_IFREG; /* a device has no data: it was a file */
    return count_file(t, s, i);
}

static bool is_same(const struct inode *a, const struct inode *b)
{
    return a->nlink == b->nlink && a->entries == b->entries && a->parent == b->parent &&
           a->mode == b->mode && a->size == b->size && a->blocks == b->blocks &&
           a->flags == b->flags;
}

/* An inode whose entry has it may have further names: then it goes under `I`. */
static int count_inode(struct tree *t, struct seen *seen)
{
    if (seen->kind != ENTRY_INODE)
        return 0;
    struct sums *s = sums_find(&t->sums, seen->ino);
    struct inode next = seen->i;
    bool moves = s->embedded && s->references > 0;
    if (S_ISDIR(next.mode)) {
        next.entries = s->entries;
        next.nlink = 2 + s->subdirs;
        next.parent = s->ino == FS_ROOT ? FS_ROOT : seen->dir;
    } else {
        next.nlink = s->references + (s->embedded ? 1 : 0);
    }
    if (s->attrs > 0)
        next.flags |= INODE_HAS_XATTR;
    int rc = count_data(t, s, &next);
    if (rc || (is_same(&next, &seen->i) && !moves))
        return rc;
    struct node_home home = {s->embedded && !moves, seen->dir, seen->name};
    change_put_inode_at(&t->c, s->ino, &next, home);
    if (moves) { /* (it may come by once more, under `I`) */
        change_put_reference(&t->c, seen->dir, seen->name, s->ino, next.mode);
        s->embedded = false;
        s->references++;
    }
    return 0;
}

/* Attributes of what has neither inode nor data. */
static int drop_attributes(struct tree *t)
{
    size_t i = 0;
    int rc = 0;
    for (const struct sums *s; rc == 0 && (s = sums_next(&t->sums, &i));) {
        if (s->there || s->garbage || s->attrs == 0)
            continue;
        fs_log(t->fs, "repair: attributes of inode %llu, which is lost, are gone",
               (unsigned long long)s->ino);
        change_put_garbage(&t->c, s->ino, 0, true);
        rc = change_next_if_full(&t->c);
    }
    return rc;
}

static int see_root(struct tree *t, struct seen *seen)
{
    t->uid = seen->i.uid;
    t->gid = seen->i.gid;
    return seen->ino == FS_ROOT; /* the first of its kind */
}

/* Each step looks at what the one before it has committed. */
static int mend(struct tree *t)
{
    int rc = add_up(t);
    if (rc == 0)
        rc = mend_each(t, KEY_INODE, see_root);
    if (rc == 0)
        rc = mend_twice(t);
    if (rc == 0)
        rc = mend_each(t, KEY_ENTRY, drop_bad_name);
    if (rc == 0)
        rc = mend_find_lost(t);
    if (rc == 0)
        rc = change_next(&t->c);
    if (rc == 0)
        rc = mend_undo_rings(t);
    if (rc == 0)
        rc = change_next(&t->c);
    if (rc == 0)
        rc = mend_each(t, KEY_ENTRY, count_inode);
    if (rc == 0)
        rc = mend_each(t, KEY_INODE, count_inode);
    if (rc == 0)
        rc = drop_attributes(t);
    return rc ? rc : change_next(&t->c);
}

int mend_tree(struct fs *fs)
{
    struct tree t = {.fs = fs};
    if (!mend_is_announced(fs))
        return 0;
    change_begin(&t.c, fs);
    int rc = mend(&t);
    change_drop(&t.c);
    sums_free(&t.sums);
    free(t.twice);
    return rc;
}
