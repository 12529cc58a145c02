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
 * - each inode's counts of names, links and blocks, '..' and flags become what the records say.
 * Blocks that are lost stay so: to read them is an error, and no zeroes.
 *
 * A run that is cut short is done again from the start (mend.c). */
#include "mend_tree.h"

#include "../format/record_text.h"

/* ---- adding up */

static void take_inode(struct tree *t, uint64_t ino, const struct inode *i, uint64_t home)
{
    struct sums *s = sums_of(&t->sums, ino);
    s->there = true;
    s->embedded = home != 0;
    s->home = home;
    s->type = i->mode & S_IFMT;
    s->size = i->size;
    s->cutting = i->flags & INODE_CUTTING;
}

/* False: it is damaged, which fs_check says. */
static bool read_entry(struct slice key, struct slice value, uint64_t *ino, enum entry_kind *kind,
                       struct inode *i)
{
    return key.len > 9 && key.len <= 9 + FS_NAME_MAX && entry_decode(value, ino, kind, i) == 0;
}

static void take_entry(struct tree *t, struct slice key, struct slice value)
{
    uint64_t ino, dir = get_be64(key.data + 1);
    enum entry_kind kind;
    struct inode i;
    if (!read_entry(key, value, &ino, &kind, &i))
        return;
    sums_of(&t->sums, dir)->entries++;
    if (kind == ENTRY_REFERENCE) {
        sums_of(&t->sums, ino)->references++;
        return;
    }
    take_inode(t, ino, &i, dir);
    if (S_ISDIR(i.mode))
        sums_of(&t->sums, dir)->subdirs++;
    inode_free(&i);
}

static void take_own_inode(struct tree *t, struct slice key, struct slice value)
{
    struct inode i;
    if (key.len != 9 || inode_decode(&i, value))
        return;
    take_inode(t, get_be64(key.data + 1), &i, 0);
    inode_free(&i);
}

static void take_extent(struct tree *t, struct slice key, struct slice value)
{
    if (key.len != 17)
        return;
    struct sums *s = sums_of(&t->sums, get_be64(key.data + 1));
    uint64_t number = get_be64(key.data + 9), end;
    struct chunk c;
    if (number % FS_BLOCK == 0 && value.len >= 1 && value.len <= 1 + FS_BLOCK) {
        s->extents++;
        s->end = number + value.len - 1;
    } else if (number % FS_CHUNK == 1 && chunk_decode(&c, value) == 0) {
        s->extents += (uint64_t)__builtin_popcount(c.map);
        s->chunks = true;
        end = number - 1 + (uint64_t)(32 - __builtin_clz(c.map)) * FS_BLOCK;
        if (s->chunk_end < end)
            s->chunk_end = end;
    }
}

static void take_record(struct tree *t, struct slice key, struct slice value)
{
    if (key.len < 9)
        return;
    switch (key.data[0]) {
    case KEY_ENTRY:
        take_entry(t, key, value);
        break;
    case KEY_INODE:
        take_own_inode(t, key, value);
        break;
    case KEY_EXTENT:
        take_extent(t, key, value);
        break;
    case KEY_XATTR:
        sums_of(&t->sums, get_be64(key.data + 1))->attrs++;
        break;
    case KEY_GARBAGE:
        sums_of(&t->sums, get_be64(key.data + 1))->garbage = true;
        break;
    }
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

static bool see(const struct iter *it, struct seen *seen)
{
    seen->dir = 0;
    seen->name[0] = 0;
    seen->kind = ENTRY_INODE;
    if (it->key.data[0] == KEY_INODE) {
        if (it->key.len != 9 || inode_decode(&seen->i, it->value))
            return false;
        seen->ino = get_be64(it->key.data + 1);
        return true;
    }
    if (!read_entry(it->key, it->value, &seen->ino, &seen->kind, &seen->i))
        return false;
    seen->dir = get_be64(it->key.data + 1);
    memcpy(seen->name, it->key.data + 9, it->key.len - 9);
    seen->name[it->key.len - 9] = 0;
    return true;
}

int mend_each(struct tree *t, enum key_kind kind, int (*fn)(struct tree *t, struct seen *seen))
{
    const char first[] = {(char)kind};
    struct iter *it = store_iter(t->fs->store, NULL);
    int rc = 0;
    for (iter_seek(it, slice_of(first, 1)); rc == 0 && it->valid && it->key.data[0] == (char)kind;
         iter_next(it)) {
        struct seen seen;
        if (!see(it, &seen))
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
    fs_log(t->fs, "repair: a name of an inode that is lost is gone: %.*s", (int)text.len,
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

/* ---- counts */

/* Data behind the file's end would be in the way of what is written there: it is cut as after a
 * truncation (garbage.c). */
static int cut_behind_end(struct tree *t, const struct sums *s, struct inode *i)
{
    uint64_t end = data_end(i->size), last = end - FS_BLOCK, count;
    int rc = extents_count(t->fs, s->ino, 0, end, &count);
    i->blocks = count * (FS_BLOCK / 512);
    if (s->end > end || s->chunk_end > end) {
        i->flags |= INODE_CUTTING;
        change_put_garbage(&t->c, s->ino, end, false);
    }
    if (rc || i->size % FS_BLOCK == 0)
        return rc;
    struct fs_key key = key_extent(s->ino, last);
    struct buf value = BUF_INIT;
    size_t most = 1 + (size_t)(i->size - last);
    rc = store_get(t->fs->store, NULL, key_slice(&key), &value);
    if (rc == 0 && value.len > most)
        change_put(&t->c, key, slice_of(value.data, most));
    buf_free(&value);
    return rc == -ENOENT ? 0 : rc;
}

static int count_data(struct tree *t, const struct sums *s, struct inode *i)
{
    if (!S_ISREG(i->mode))
        return s->extents > 0 ? garbage_cut(t->fs, s->ino, 0, CUT_BY_LOOKING) : 0;
    if (s->chunks)
        i->flags |= INODE_HAS_CHUNKS;
    if (i->flags & INODE_CUTTING)
        return 0;
    if (s->end > i->size || s->chunk_end > data_end(i->size))
        return cut_behind_end(t, s, i);
    i->blocks = s->extents * (FS_BLOCK / 512);
    return 0;
}

static bool is_same(const struct inode *a, const struct inode *b)
{
    return a->nlink == b->nlink && a->entries == b->entries && a->parent == b->parent &&
           a->blocks == b->blocks && a->flags == b->flags;
}

/* An inode whose entry has it may have further names: then it goes under `I`. */
static int count_inode(struct tree *t, struct seen *seen)
{
    if (seen->kind != ENTRY_INODE)
        return 0;
    const struct sums *s = sums_find(&t->sums, seen->ino);
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
    if (moves)
        change_put_reference(&t->c, seen->dir, seen->name, s->ino, next.mode);
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
    return rc;
}
