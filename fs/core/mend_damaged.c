/* After a repair: records whose checksum is right and whose content is none.
 *
 * Memory may have failed before they were written. Who takes them for absent would make what they
 * name a second time, beside them; so they go, before anything else is looked at. A format that is
 * not known here is no damage: then nothing is changed at all. */
#include "mend_tree.h"

#include "../format/record_text.h"

static int see_entry(struct slice key, struct slice value, struct seen *seen)
{
    size_t len = key.len - 9;
    if (key.len <= 9 || len > FS_NAME_MAX || memchr(key.data + 9, 0, len))
        return STORE_ECORRUPT;
    seen->dir = get_be64(key.data + 1);
    memcpy(seen->name, key.data + 9, len);
    seen->name[len] = 0;
    return entry_decode(value, &seen->ino, &seen->kind, &seen->i);
}

int mend_see(struct slice key, struct slice value, struct seen *seen)
{
    seen->ino = seen->dir = 0;
    seen->name[0] = 0;
    seen->kind = ENTRY_INODE;
    if (key.len < 9 || get_be64(key.data + 1) == 0 || get_be64(key.data + 1) == UINT64_MAX)
        return STORE_ECORRUPT;
    if (key.data[0] == KEY_ENTRY) {
        int rc = see_entry(key, value, seen);
        if (rc == 0 && (seen->ino == 0 || seen->ino == UINT64_MAX)) {
            inode_free(&seen->i);
            rc = STORE_ECORRUPT;
        }
        return rc;
    }
    seen->ino = get_be64(key.data + 1);
    return key.len == 9 ? inode_decode(&seen->i, value) : STORE_ECORRUPT;
}

static int look_at_extent(struct slice key, struct slice value)
{
    struct chunk c;
    if (key.len != 17 || get_be64(key.data + 1) == 0)
        return STORE_ECORRUPT;
    uint64_t number = get_be64(key.data + 9);
    if (number % FS_BLOCK == 0)
        return value.len >= 1 && value.len <= 1 + FS_BLOCK && value.data[0] == EXTENT_INLINE
                   ? 0
                   : STORE_ECORRUPT;
    return number % FS_CHUNK == 1 ? chunk_decode(&c, value) : STORE_ECORRUPT;
}

static int look_at(struct slice key, struct slice value)
{
    struct seen seen;
    if (key.data[0] == KEY_EXTENT)
        return look_at_extent(key, value);
    int rc = mend_see(key, value, &seen);
    if (rc == 0)
        inode_free(&seen.i);
    return rc;
}

static void drop(struct change *c, struct slice key, struct slice value)
{
    struct buf text = BUF_INIT;
    record_to_text(key, value, &text);
    fs_log(c->fs, "repair: a damaged record is gone: %.*s", (int)text.len, text.data);
    store_batch_delete(&c->batch, key);
    buf_free(&text);
}

/* All of them go; or, without `c`, *any says whether there are some. */
static int each_damaged(struct fs *fs, enum key_kind kind, struct change *c, bool *any)
{
    const char first[] = {(char)kind};
    struct iter *it = store_scan(fs->store, NULL);
    int rc = 0;
    for (iter_seek(it, slice_of(first, 1)); rc == 0 && it->valid && it->key.data[0] == (char)kind;
         iter_next(it)) {
        rc = look_at(it->key, it->value);
        if (rc != STORE_ECORRUPT)
            continue;
        rc = 0;
        *any = true;
        if (c) {
            drop(c, it->key, it->value);
            rc = change_next_if_full(c);
        }
    }
    if (rc == 0)
        rc = it->status;
    iter_destroy(it);
    return rc;
}

int mend_damaged(struct fs *fs)
{
    static const enum key_kind kinds[] = {KEY_ENTRY, KEY_INODE, KEY_EXTENT};
    enum { KINDS = sizeof kinds / sizeof *kinds };
    bool any = false;
    int rc = 0;
    for (int i = 0; rc == 0 && i < KINDS; i++)
        rc = each_damaged(fs, kinds[i], NULL, &any);
    if (rc || !any)
        return rc;
    struct change c;
    change_begin(&c, fs);
    for (int i = 0; rc == 0 && i < KINDS; i++)
        rc = each_damaged(fs, kinds[i], &c, &any);
    if (rc == 0)
        rc = change_next(&c);
    change_drop(&c);
    return rc;
}
