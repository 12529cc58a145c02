/* Durability and space: fs_sync_inode, fs_sync_all, fs_statfs. */
#include <sys/statvfs.h>

#include "fs_internal.h"

int fs_sync_inode(struct fs *fs, uint64_t ino)
{
    struct node *n = node_pin(fs, ino);
    if (!n)
        return -ESTALE;
    uint64_t sequence = atomic_load(&n->last_sequence);
    node_unpin(fs, n);
    return store_errno(store_sync(fs->store, sequence));
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
    /* An inode is a record: there is room for as many as the disk has blocks, at the least. */
    out->f_files = out->f_blocks;
    out->f_ffree = out->f_favail = out->f_bfree;
    out->f_namemax = FS_NAME_MAX;
    return 0;
}
