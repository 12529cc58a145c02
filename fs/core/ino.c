/* The superblock while it is in use: features, and inode numbers. These are reserved in the
 * superblock in steps, and a number of a step is given away only after the step's reservation is
 * committed: whatever a crash leaves, it never leaves a number that will be given away again. */
#include "fs_internal.h"

#define STEP 4096

/* ino_mu held. */
static int put_super(struct fs *fs, const struct super *next)
{
    struct change c;
    change_begin(&c, fs);
    c.reclaim = true; /* on a full disk, too: what a repair finds needs a folder */
    super_encode(next, &c.value);
    change_put(&c, key_super(), buf_slice(&c.value));
    int rc = change_commit(&c, NULL, 0);
    if (rc == 0)
        fs->super = *next;
    return rc;
}

static int reserve(struct fs *fs)
{
    struct super next = fs->super;
    next.next_ino += STEP;
    return put_super(fs, &next);
}

int super_require(struct fs *fs, uint64_t feature)
{
    int rc = 0;
    lock_waiting(&fs->ino_mu);
    struct super next = fs->super;
    next.incompatible |= feature;
    if (next.incompatible != fs->super.incompatible)
        rc = put_super(fs, &next);
    pthread_mutex_unlock(&fs->ino_mu);
    return rc;
}

int ino_allocate(struct fs *fs, uint64_t *ino)
{
    int rc = 0;
    lock_waiting(&fs->ino_mu);
    if (fs->ino_next == fs->super.next_ino)
        rc = reserve(fs);
    if (rc == 0)
        *ino = fs->ino_next++;
    pthread_mutex_unlock(&fs->ino_mu);
    return rc;
}

int highest_in_keys(struct fs *fs, enum key_kind kind, size_t length, uint64_t *number)
{
    const char behind[] = {(char)(kind + 1)};
    struct iter *it = store_iter(fs->store, NULL);
    iter_seek(it, slice_of(behind, 1));
    if (it->valid)
        iter_prev(it);
    else if (it->status == 0)
        iter_last(it);
    if (it->valid && it->key.len >= length && it->key.data[0] == (char)kind &&
        get_be64(it->key.data + 1) > *number)
        *number = get_be64(it->key.data + 1);
    int rc = it->status;
    iter_destroy(it);
    return rc;
}
