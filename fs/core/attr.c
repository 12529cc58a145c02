/* Attributes: fs_getattr, fs_setattr, fs_readlink. */
#include "acl.h"
#include "fs_internal.h"

int fs_getattr(struct fs *fs, uint64_t ino, struct stat *st)
{
    struct node *n = node_pin(fs, ino);
    if (!n)
        return -ESTALE;
    node_stat(n, st);
    node_unpin(fs, n);
    return 0;
}

/* sgid without group execution is a lock mode; on a directory it means something else. */
void drop_privileges(struct inode *next)
{
    if (S_ISDIR(next->mode))
        return;
    next->mode &= ~(mode_t)S_ISUID;
    if (next->mode & S_IXGRP)
        next->mode &= ~(mode_t)S_ISGID;
}

static void set_times(struct inode *next, const struct stat *in, unsigned what, struct timespec now)
{
    if (what & FS_SET_ATIME)
        next->atime = in->st_atim;
    if (what & FS_SET_ATIME_NOW)
        next->atime = now;
    if (what & FS_SET_MTIME)
        next->mtime = in->st_mtim;
    if (what & FS_SET_MTIME_NOW)
        next->mtime = now;
    next->ctime = what & FS_SET_CTIME ? in->st_ctim : now;
}

static void set_owner_and_mode(struct inode *next, const struct stat *in, unsigned what)
{
    if (what & FS_SET_UID)
        next->uid = in->st_uid;
    if (what & FS_SET_GID)
        next->gid = in->st_gid;
    if (what & (FS_SET_UID | FS_SET_GID | FS_SET_KILL_PRIV)) /* chown by anybody */
        drop_privileges(next);
    if (what & FS_SET_MODE)
        next->mode = (next->mode & S_IFMT) | (in->st_mode & 07777);
}

/* chmod changes the access ACL as well, where there is one. */
static int put_acl_of_mode(struct fs *fs, struct node *n, mode_t mode, struct change *c)
{
    struct buf acl = BUF_INIT;
    int rc = xattr_get(fs, n, ACL_ACCESS_NAME, &acl);
    if (rc == 0 && acl_check(buf_slice(&acl)) == 0) {
        acl_chmod(&acl, mode);
        change_put(c, key_named(KEY_XATTR, n->ino, ACL_ACCESS_NAME), buf_slice(&acl));
    }
    buf_free(&acl);
    return rc == -ENODATA ? 0 : rc;
}

static int check_size(const struct node *n, const struct stat *in)
{
    if (S_ISDIR(n->type))
        return -EISDIR;
    if (!S_ISREG(n->type) || in->st_size < 0)
        return -EINVAL;
    return in->st_size > FS_MAX_SIZE ? -EFBIG : 0;
}

/* op held exclusively. */
static int setattr_locked(struct fs *fs, struct node *n, const struct stat *in, unsigned what)
{
    struct inode next = node_next(n);
    struct timespec now = fs_now();
    struct change c;
    uint64_t end = node_end(n);
    int rc = what & FS_SET_SIZE ? check_size(n, in) : 0;
    if (rc == 0 && (what & FS_SET_SIZE) && (next.flags & INODE_CUTTING)) {
        rc = resize_finish(fs, n, CUT_BY_LOOKING);
        next = node_next(n);
    }
    if (rc)
        return rc;
    change_begin(&c, fs);
    if (what & FS_SET_SIZE) {
        if (!(what & (FS_SET_MTIME | FS_SET_MTIME_NOW)))
            next.mtime = now;
        rc = resize_put(fs, n, &next, (uint64_t)in->st_size, &c);
    }
    if (rc == 0 && (what & FS_SET_MODE))
        rc = put_acl_of_mode(fs, n, in->st_mode, &c);
    if (rc == 0 && (what & (FS_SET_SIZE | FS_SET_UID | FS_SET_GID | FS_SET_KILL_PRIV)))
        rc = xattr_put_no_capability(&c, n);
    if (rc) {
        change_drop(&c);
        return rc;
    }
    set_owner_and_mode(&next, in, what);
    set_times(&next, in, what, now);
    change_put_inode(&c, n, &next);
    rc = change_commit(&c, &n, 1);
    if (rc)
        return rc;
    node_publish(n, &next);
    /* The size counts from here on, also after a crash; the extents behind it go while nobody else
     * gets at the file. That they cannot is no reason to deny the new size. */
    if ((what & FS_SET_SIZE) && (next.flags & INODE_CUTTING) && resize_finish(fs, n, end))
        fs_log(fs, "data behind the end of inode %llu stays for now: %s",
               (unsigned long long)n->ino, fail_text());
    return 0;
}

int fs_setattr(struct fs *fs, uint64_t ino, const struct stat *in, unsigned what, struct stat *st)
{
    if (fs->options.read_only)
        return -EROFS;
    struct node *n = node_pin(fs, ino);
    if (!n)
        return -ESTALE;
    node_lock(n);
    int rc = setattr_locked(fs, n, in, what);
    node_unlock(n);
    if (rc == 0)
        node_stat(n, st);
    node_unpin(fs, n);
    return fs_error(fs, ino, rc);
}

int fs_readlink(struct fs *fs, uint64_t ino, char *out, size_t size)
{
    struct node *n = node_pin(fs, ino);
    int rc = -EINVAL;
    if (!n)
        return -ESTALE;
    pthread_mutex_lock(&n->mu);
    if (n->inode.target) {
        size_t len = strlen(n->inode.target);
        rc = (int)(len < size ? len : size);
        memcpy(out, n->inode.target, (size_t)rc);
    }
    pthread_mutex_unlock(&n->mu);
    node_unpin(fs, n);
    return rc;
}
