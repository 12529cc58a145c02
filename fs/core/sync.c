/* Durability and space: fs_sync_inode, fs_sync_all, fs_statfs. */
#include <sys/statvfs.h>

#include "fs_internal.h"

/* What an fsync of the inode waits for. */
static int last_change(struct fs *fs, uint64_t ino, uint64_t *sequence)
{
    struct node *n = node_pin(fs, ino);
    if (!n)
        return -ESTALE;
    *sequence = atomic_load(&n->last_sequence);
    atomic_store_explicit(&n->run_broken, true, memory_order_relaxed);
    node_unpin(fs, n);
    return 0;
}

int fs_sync_inode(struct fs *fs, uint64_t ino)
{
    uint64_t sequence;
    int rc = last_change(fs, ino, &sequence);
    return rc ? rc : store_errno(store_sync(fs->store, sequence));
}

static void sync_is_done(struct store_writer *w)
{
    struct fs_sync *sync = (struct fs_sync *)((char *)w - offsetof(struct fs_sync, writer));
    sync->done(sync, store_errno(w->status));
}

void fs_sync_start(struct fs *fs, uint64_t ino, struct fs_sync *sync)
{
    uint64_t sequence;
    int rc = last_change(fs, ino, &sequence);
    sync->writer = (struct store_writer){.done = sync_is_done, .urgent = sync->urgent};
    if (rc)
        sync->done(sync, rc);
    else
        store_sync_start(fs->store, sequence, &sync->writer);
}

enum store_sync_need fs_sync_needed(struct fs *fs)
{
    return store_sync_needed(fs->store);
}

void fs_sync_run(struct fs *fs)
{
    store_sync_run(fs->store);
}

int fs_sync_all(struct fs *fs)
{
    return store_errno(store_sync(fs->store, 0));
}

int fs_statfs(struct fs *fs, struct statvfs *out)
{
    struct env_space space;
    int rc = env_space(store_env(fs->store), fs->dir, &space);
    if (rc)
        return rc;
    memset(out, 0, sizeof *out);
    out->f_bsize = out->f_frsize = FS_BLOCK;
    out->f_blocks = space.total / FS_BLOCK;
    out->f_bfree = space.free / FS_BLOCK;
    out->f_bavail = space.available / FS_BLOCK;
    /* An inode is a record: there is room for as many more as the disk has blocks, at the least. */
    out->f_ffree = out->f_bfree;
    out->f_favail = out->f_bavail;
    out->f_files = out->f_ffree + count_inodes(fs);
    out->f_namemax = FS_NAME_MAX;
    return 0;
}
