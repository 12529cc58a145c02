/* After a repair that could not keep all records.
 *
 * The superblock says which inode numbers were given away. Where it is lost, or an older one is
 * back, numbers of files that are there would be given to new ones, and both would have the same
 * data. So it is made anew, or raised above all numbers that any record has. A root that is lost is
 * made anew beside its names. And an old garbage record that is back would take the data of a file
 * that is there.
 *
 * Which places of the segments are in use is stored twice: in the chunks, and under the places
 * (chunk_format.h). What looks for unused space (freed.c) goes by the places alone; where some of
 * these records are lost, or old ones are back, data of files would be taken for unused. So before
 * that what the places say is brought in line with the chunks.
 *
 * The file DIR/mend, made before the repair, says that this is to be done: a repair that is cut
 * short is over for the store, and not for the segments. */
#include "mend_tree.h"

/* An old record that a repair brought back must not take blocks from the chunk; those that are not
 * its own stay freed. */
static int mend_freed(struct change *change, const struct chunk *c)
{
    struct fs_key first = key_freed(c->segment, c->place, 0);
    struct slice place = slice_of(first.bytes, first.len - 2);
    struct iter *it = store_iter(change->fs->store, NULL);
    for (iter_seek(it, key_slice(&first));
         it->valid && it->key.len == first.len && slice_starts_with(it->key, place);
         iter_next(it)) {
        uint16_t freed = key_freed_map(it->key), rest = freed & (uint16_t)~c->map;
        if (rest == freed)
            continue;
        change_delete(change, key_freed(c->segment, c->place, freed));
        if (rest)
            change_put(change, key_freed(c->segment, c->place, rest), slice_of(NULL, 0));
    }
    int rc = it->status;
    iter_destroy(it);
    return rc;
}

/* The chunk of this record has its place. */
static int mend_chunk(struct change *change, struct slice key, struct slice value)
{
    struct place_owner who = {get_be64(key.data + 1), get_be64(key.data + 9) - 1}, said;
    struct chunk c;
    if (chunk_decode(&c, value))
        return 0; /* fs_check says so */
    struct segment_place at = {c.segment, c.place};
    if (place_load(change->fs, at, &said) || said.ino != who.ino || said.offset != who.offset) {
        buf_clear(&change->value);
        place_owner_encode(who, &change->value);
        change_put(change, key_place(c.segment, c.place), buf_slice(&change->value));
    }
    int rc = mend_freed(change, &c);
    return rc ? rc : change_next_if_full(change);
}

/* A place that no chunk has is freed. */
static int mend_place(struct change *change, struct slice key, struct slice value)
{
    struct segment_place at = {key_segment(key), key_place_of(key)};
    struct place_owner o;
    struct chunk c;
    if (at.offset == 0)
        return 0;
    int rc = place_owner_decode(&o, value) ? -ENOENT : place_chunk(change->fs, at, o, &c);
    if (rc == STORE_ECORRUPT) /* whose it is cannot be read: fs_check says so */
        return 0;
    if (rc != -ENOENT)
        return rc;
    change_delete(change, key_place(at.segment, at.offset));
    change_put(change, key_freed(at.segment, at.offset, CHUNK_WHOLE), slice_of(NULL, 0));
    return change_next_if_full(change);
}

/* Every record of this kind and length. */
static int each(struct change *change, enum key_kind kind,
                int (*mend)(struct change *change, struct slice key, struct slice value))
{
    const char first[] = {(char)kind};
    struct iter *it = store_iter(change->fs->store, NULL);
    int rc = 0;
    for (iter_seek(it, slice_of(first, 1)); rc == 0 && it->valid && it->key.data[0] == (char)kind;
         iter_next(it))
        if (it->key.len == 17 && (kind == KEY_PLACE || get_be64(it->key.data + 9) % FS_BLOCK == 1))
            rc = mend(change, it->key, it->value);
    if (rc == 0)
        rc = it->status;
    iter_destroy(it);
    return rc;
}

static char *path_of(const struct fs *fs)
{
    return mem_printf("%s/mend", fs->dir);
}

int mend_announce(struct fs *fs, struct env *env)
{
    char *path = path_of(fs);
    int rc = env_replace_file(env, path, slice_str("A repair is not complete.\n"));
    if (rc == 0)
        rc = env_sync_dir(env, fs->dir);
    free(path);
    return rc;
}

/* ---- garbage */

/* The inode is there. What an old record, which a repair brought back, says of its data is wrong,
 * unless it is the one of the truncation that is under way. */
static int mend_garbage_of(struct change *change, uint64_t ino, const struct inode *i)
{
    struct fs_key key = key_of(KEY_GARBAGE, ino);
    struct garbage_record g;
    struct buf value = BUF_INIT;
    int rc = store_get(change->fs->store, NULL, key_slice(&key), &value);
    bool right = rc == 0 && garbage_decode(&g, buf_slice(&value)) == 0 && !g.gone &&
                 (i->flags & INODE_CUTTING) && g.from >= data_end(i->size);
    buf_free(&value);
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    if (!right)
        change_delete(change, key);
    return change_next_if_full(change);
}

/* Every inode of this kind of record. */
static int mend_garbage(struct change *change, enum key_kind kind)
{
    const char first[] = {(char)kind};
    struct iter *it = store_iter(change->fs->store, NULL);
    int rc = 0;
    for (iter_seek(it, slice_of(first, 1)); rc == 0 && it->valid && it->key.data[0] == (char)kind;
         iter_next(it)) {
        enum entry_kind entry = ENTRY_INODE;
        uint64_t ino = it->key.len >= 9 ? get_be64(it->key.data + 1) : 0;
        struct inode i;
        if (kind == KEY_ENTRY ? entry_decode(it->value, &ino, &entry, &i)
                              : inode_decode(&i, it->value))
            continue; /* fs_check says so */
        if (entry == ENTRY_INODE)
            rc = mend_garbage_of(change, ino, &i);
        inode_free(&i);
    }
    if (rc == 0)
        rc = it->status;
    iter_destroy(it);
    return rc;
}

static int has_garbage(struct fs *fs, bool *any)
{
    static const char first[] = {KEY_GARBAGE};
    struct iter *it = store_iter(fs->store, NULL);
    iter_seek(it, slice_of(first, 1));
    *any = it->valid && it->key.data[0] == KEY_GARBAGE;
    int rc = it->status;
    iter_destroy(it);
    return rc;
}

static int mend_all(struct fs *fs)
{
    struct change c;
    bool garbage;
    change_begin(&c, fs);
    int rc = has_garbage(fs, &garbage);
    if (rc == 0 && garbage)
        rc = mend_garbage(&c, KEY_INODE);
    if (rc == 0 && garbage)
        rc = mend_garbage(&c, KEY_ENTRY);
    if (rc == 0)
        rc = each(&c, KEY_EXTENT, mend_chunk);
    if (rc == 0)
        rc = change_next(&c); /* what comes looks at the places that were put */
    if (rc == 0)
        rc = each(&c, KEY_PLACE, mend_place);
    if (rc == 0)
        rc = change_next(&c);
    change_drop(&c);
    return rc ? rc : store_sync(fs->store, 0);
}

bool mend_is_announced(struct fs *fs)
{
    char *path = path_of(fs);
    bool yes = !fs->options.only_read_segments && env_exists(store_env(fs->store), path);
    free(path);
    return yes;
}

int mend_places(struct fs *fs)
{
    if (!mend_is_announced(fs))
        return 0;
    char *path = path_of(fs);
    int rc = mend_all(fs);
    if (rc == 0)
        rc = env_unlink(store_env(fs->store), path);
    free(path);
    return rc;
}

/* ---- superblock and root */

static void raise(uint64_t *number, uint64_t ino)
{
    if (*number < ino)
        *number = ino;
}

/* The highest one in entries; what the root should say of its own. */
static int read_entries(struct fs *fs, uint64_t *number, struct inode *root)
{
    static const char first[] = {KEY_ENTRY};
    struct iter *it = store_iter(fs->store, NULL);
    *root = (struct inode){.nlink = 2};
    for (iter_seek(it, slice_of(first, 1)); it->valid && it->key.data[0] == KEY_ENTRY;
         iter_next(it)) {
        uint64_t ino;
        enum entry_kind kind;
        struct inode i;
        if (it->key.len < 10 || entry_decode(it->value, &ino, &kind, &i))
            continue; /* fs_check says so */
        raise(number, ino);
        if (get_be64(it->key.data + 1) == FS_ROOT) {
            root->entries++;
            root->nlink += S_ISDIR(i.mode) ? 1 : 0;
        }
        inode_free(&i);
    }
    int rc = it->status;
    iter_destroy(it);
    return rc;
}

/* The record of the key, if there is one, into *value. */
static int get(struct fs *fs, struct fs_key key, struct buf *value, bool *there)
{
    int rc = store_get(fs->store, NULL, key_slice(&key), value);
    *there = rc == 0;
    return rc == -ENOENT ? 0 : rc;
}

int mend_read_super(struct fs *fs, struct super *s, bool *there)
{
    struct buf value = BUF_INIT;
    int rc = get(fs, key_super(), &value, there);
    if (rc == 0 && *there) {
        rc = super_decode(s, buf_slice(&value));
        *there = rc == 0;
    }
    buf_free(&value);
    return rc == STORE_ECORRUPT ? 0 : rc;
}

static int put_super_and_root(struct fs *fs, struct store_batch *b, uint64_t number,
                              const struct inode *root)
{
    struct buf value = BUF_INIT;
    struct fs_key key = key_super();
    struct super s;
    bool there, root_there;
    int rc = mend_read_super(fs, &s, &there);
    if (rc == 0 && !there) {
        rc = put_new_super(b, number + 1, SUPER_SEGMENTS);
    } else if (rc == 0 && s.next_ino <= number) {
        s.next_ino = number + 1;
        super_encode(&s, &value);
        store_batch_put(b, key_slice(&key), buf_slice(&value));
    }
    if (rc == 0)
        rc = get(fs, key_of(KEY_INODE, FS_ROOT), &value, &root_there);
    if (rc == 0 && !root_there)
        put_new_root(b, root);
    buf_free(&value);
    return rc;
}

/* Also on a full disk. */
static int write_mended(struct fs *fs, const struct store_batch *b)
{
    struct store_writer w = {.batch = b, .sync = true, .reclaim = true};
    if (store_batch_count(b) == 0)
        return 0;
    store_enqueue(fs->store, &w);
    return store_wait(fs->store, &w);
}

static bool is_empty(struct fs *fs)
{
    struct iter *it = store_iter(fs->store, NULL);
    iter_first(it);
    bool yes = !it->valid && it->status == 0;
    iter_destroy(it);
    return yes;
}

int mend_super(struct fs *fs)
{
    static const enum key_kind kinds[] = {KEY_INODE, KEY_EXTENT, KEY_XATTR, KEY_GARBAGE, KEY_ENTRY};
    uint64_t number = FS_ROOT;
    struct inode root;
    int rc = 0;
    if (!mend_is_announced(fs) || is_empty(fs)) /* (a new filesystem) */
        return 0;
    rc = mend_damaged(fs);
    if (rc == 0)
        rc = mend_names(fs);
    for (size_t i = 0; rc == 0 && i < sizeof kinds / sizeof *kinds; i++)
        rc = highest_in_keys(fs, kinds[i], 9, &number);
    if (rc == 0)
        rc = read_entries(fs, &number, &root);
    struct store_batch b = STORE_BATCH_INIT;
    if (rc == 0)
        rc = put_super_and_root(fs, &b, number, &root);
    if (rc == 0)
        rc = write_mended(fs, &b);
    store_batch_free(&b);
    return rc;
}
