/* Inode numbers. They are reserved in the superblock in steps, and a number of a step is given away
 * only after the step's reservation is committed: whatever a crash leaves, it never leaves a number
 * that will be given away again. */
#include "fs_internal.h"

#define STEP 4096

static int reserve(struct fs *fs)
{
    struct super next = fs->super;
    struct buf value = BUF_INIT;
    struct fs_key key = key_super();
    next.next_ino += STEP;
    super_encode(&next, &value);
    int rc = store_put(fs->store, key_slice(&key), buf_slice(&value), false);
    if (rc == 0)
        fs->super = next;
    buf_free(&value);
    return store_errno(rc);
}

int ino_allocate(struct fs *fs, uint64_t *ino)
{
    int rc = 0;
    pthread_mutex_lock(&fs->ino_mu);
    if (fs->ino_next == fs->super.next_ino)
        rc = reserve(fs);
    if (rc == 0)
        *ino = fs->ino_next++;
    pthread_mutex_unlock(&fs->ino_mu);
    return rc;
}
