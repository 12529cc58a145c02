/* After a repair: records whose checksum is right and whose content is none.
 *
 * Memory may have failed before they were written. Who takes them for absent would make what they
 * name a second time, beside them; so they go, before anything else is looked at: what they had is
 * found as if they were lost. A format that is not known here is no damage, and then nothing is
 * changed at all. Which formats there may be the superblock says; where it is lost, a record of
 * another one is taken for such. */
#include "mend_tree.h"

#include "../format/garbage_format.h"
#include "../format/record_text.h"
#include "../format/segment_format.h"
#include "../format/super_format.h"

#define MOST_NUMBER (UINT64_MAX / 2) /* of inodes and segments: there is always a next one */

static uint64_t number_of(struct slice key)
{
    uint64_t number = key.len >= 9 ? get_be64(key.data + 1) : 0;
    return number <= MOST_NUMBER ? number : 0;
}

/* A name that no call can make. */
static bool is_bad_name(const char *name, size_t len)
{
    return len == 0 || len > FS_NAME_MAX || memchr(name, 0, len) || memchr(name, '/', len) ||
           (len <= 2 && memcmp(name, "..", len) == 0);
}

static int see_entry(struct slice key, struct slice value, struct seen *seen)
{
    if (is_bad_name(key.data + 9, key.len - 9))
        return STORE_ECORRUPT;
    seen->dir = seen->ino;
    memcpy(seen->name, key.data + 9, key.len - 9);
    seen->name[key.len - 9] = 0;
    return entry_decode(value, &seen->ino, &seen->kind, &seen->i);
}

static bool is_kind_of_file(mode_t mode)
{
    return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISCHR(mode) || S_ISBLK(mode) ||
           S_ISFIFO(mode) || S_ISSOCK(mode);
}

/* The root is in no entry. */
static bool makes_sense(const struct seen *seen)
{
    return seen->ino > 0 && seen->ino <= MOST_NUMBER && (seen->dir == 0 || seen->ino != FS_ROOT) &&
           is_kind_of_file(seen->i.mode) && seen->i.size <= (uint64_t)FS_MAX_SIZE;
}

int mend_see(struct slice key, struct slice value, struct seen *seen)
{
    seen->ino = number_of(key);
    seen->dir = 0;
    seen->name[0] = 0;
    seen->kind = ENTRY_INODE;
    if (seen->ino == 0 || (key.data[0] == KEY_INODE && key.len != 9))
        return STORE_ECORRUPT;
    int rc = key.data[0] == KEY_ENTRY ? see_entry(key, value, seen) : inode_decode(&seen->i, value);
    if (rc || makes_sense(seen))
        return rc;
    inode_free(&seen->i);
    return STORE_ECORRUPT;
}

static int look_at_inode(struct slice key, struct slice value)
{
    struct seen seen;
    int rc = mend_see(key, value, &seen);
    if (rc == 0)
        inode_free(&seen.i);
    return rc;
}

static bool is_place(uint64_t offset)
{
    return offset >= SEGMENT_HEADER && (offset - SEGMENT_HEADER) % FS_CHUNK == 0;
}

static int look_at_extent(struct slice key, struct slice value)
{
    uint64_t at = key.len == 17 ? get_be64(key.data + 9) : 0;
    bool whole = at % FS_BLOCK == 0;
    struct chunk c;
    if (key.len != 17 || number_of(key) == 0 || at > (uint64_t)FS_MAX_SIZE - FS_CHUNK ||
        (!whole && at % FS_CHUNK != 1) || value.len < 1)
        return STORE_ECORRUPT;
    if (value.data[0] != EXTENT_INLINE && value.data[0] != EXTENT_CHUNK)
        return STORE_EFORMAT;
    if (whole)
        return value.data[0] == EXTENT_INLINE && value.len <= 1 + FS_BLOCK ? 0 : STORE_ECORRUPT;
    int rc = chunk_decode(&c, value);
    return rc || (is_place(c.place) && c.segment <= MOST_NUMBER) ? rc : STORE_ECORRUPT;
}

/* (A mark is a place at 0.) A place beside the grid is nobody's, and holes there would be in the
 * places of others. */
static int look_at_place(struct slice key)
{
    size_t len = key.data[0] == KEY_PLACE ? 17 : 19;
    if (key.len != len || number_of(key) == 0)
        return STORE_ECORRUPT;
    uint64_t offset = key_place_of(key);
    return is_place(offset) || (key.data[0] == KEY_PLACE && offset == 0) ? 0 : STORE_ECORRUPT;
}

static int look_at(struct slice key, struct slice value)
{
    struct garbage_record g;
    switch (key.data[0]) {
    case KEY_EXTENT:
        return look_at_extent(key, value);
    case KEY_PLACE:
    case KEY_FREED:
        return look_at_place(key);
    case KEY_XATTR:
        return number_of(key) && key.len > 9 ? 0 : STORE_ECORRUPT;
    case KEY_GARBAGE:
        return number_of(key) && key.len == 9 ? garbage_decode(&g, value) : STORE_ECORRUPT;
    default:
        return look_at_inode(key, value);
    }
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
static int each_damaged(struct fs *fs, enum key_kind kind, bool known, struct change *c, bool *any)
{
    const char first[] = {(char)kind};
    struct iter *it = store_scan(fs->store, NULL);
    int rc = 0;
    for (iter_seek(it, slice_of(first, 1)); rc == 0 && it->valid && it->key.data[0] == (char)kind;
         iter_next(it)) {
        rc = look_at(it->key, it->value);
        if (rc == 0 || (rc == STORE_EFORMAT && !known))
            continue;
        *any = true;
        rc = 0;
        if (c) {
            drop(c, it->key, it->value);
            rc = change_next_if_full(c);
        }
    }
    if (rc == STORE_EFORMAT)
        fail(rc,
             "%s: the superblock is lost, and a record is of a format that is not known here: "
             "use a newer skeinfs, or mount it with -o ro",
             fs->dir);
    else if (rc == 0)
        rc = it->status;
    iter_destroy(it);
    return rc;
}

int mend_damaged(struct fs *fs)
{
    static const enum key_kind kinds[] = {KEY_ENTRY,   KEY_INODE, KEY_EXTENT, KEY_XATTR,
                                          KEY_GARBAGE, KEY_PLACE, KEY_FREED};
    enum { KINDS = sizeof kinds / sizeof *kinds };
    struct super super;
    bool any = false, known;
    int rc = mend_read_super(fs, &super, &known);
    for (int i = 0; rc == 0 && i < KINDS; i++)
        rc = each_damaged(fs, kinds[i], known, NULL, &any);
    if (rc || !any)
        return rc;
    struct change c;
    change_begin(&c, fs);
    for (int i = 0; rc == 0 && i < KINDS; i++)
        rc = each_damaged(fs, kinds[i], known, &c, &any);
    if (rc == 0)
        rc = change_next(&c);
    change_drop(&c);
    return rc;
}
