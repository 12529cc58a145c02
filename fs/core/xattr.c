/* Extended attributes: one record each. Names are of the namespaces user., trusted. and security.,
 * or one of the two ACLs; who may use which is the kernel's to say. */
#include <linux/xattr.h>
#include <stdio.h>

#include "acl.h"
#include "fs_internal.h"

#define VALUE_MAX 65536
#define CAPABILITY_NAME "security.capability"

static bool is_acl(const char *name)
{
    return strcmp(name, ACL_ACCESS_NAME) == 0 || strcmp(name, ACL_DEFAULT_NAME) == 0;
}

static int check_name(const char *name)
{
    static const char *const spaces[] = {"user.", "trusted.", "security."};
    if (strlen(name) > FS_NAME_MAX)
        return -ERANGE;
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        if (strncmp(name, spaces[i], strlen(spaces[i])) == 0)
            return name[strlen(spaces[i])] ? 0 : -EINVAL;
    return is_acl(name) ? 0 : -EOPNOTSUPP;
}

/* False: the inode says that it has none. The kernel asks for one before many a write. */
static bool may_have(struct node *n)
{
    pthread_mutex_lock(&n->mu);
    bool yes = n->inode.flags & INODE_HAS_XATTR;
    pthread_mutex_unlock(&n->mu);
    return yes;
}

int xattr_get(struct fs *fs, struct node *n, const char *name, struct buf *value)
{
    struct fs_key key = key_named(KEY_XATTR, n->ino, name);
    if (!may_have(n))
        return -ENODATA;
    int rc = store_get(fs->store, NULL, key_slice(&key), value);
    return rc == -ENOENT ? -ENODATA : rc;
}

int fs_getxattr(struct fs *fs, uint64_t ino, const char *name, void *value, size_t size)
{
    struct node *n = node_pin(fs, ino);
    struct buf found = BUF_INIT;
    if (!n)
        return -ESTALE;
    int rc = check_name(name);
    if (rc == 0)
        rc = xattr_get(fs, n, name, &found);
    if (rc == 0 && size > 0 && found.len > size)
        rc = -ERANGE;
    if (rc == 0) {
        if (size > 0 && found.len > 0)
            memcpy(value, found.data, found.len);
        rc = (int)found.len;
    }
    buf_free(&found);
    node_unpin(fs, n);
    return fs_error(fs, ino, rc);
}

int fs_listxattr(struct fs *fs, uint64_t ino, char *list, size_t size, bool trusted)
{
    struct node *n = node_pin(fs, ino);
    struct fs_key prefix = key_of(KEY_XATTR, ino);
    size_t total = 0;
    int rc = 0;
    if (!n)
        return -ESTALE;
    struct iter *it = may_have(n) ? store_iter(fs->store, NULL) : iter_empty(0);
    iter_stay_within(it, key_slice(&prefix));
    for (iter_seek(it, key_slice(&prefix));
         it->valid && slice_starts_with(it->key, key_slice(&prefix)); iter_next(it)) {
        const char *name = (const char *)it->key.data + prefix.len;
        size_t len = it->key.len - prefix.len;
        if (!trusted && len > strlen("trusted.") &&
            memcmp(name, "trusted.", strlen("trusted.")) == 0)
            continue;
        if (size > 0 && total + len + 1 > size) {
            rc = -ERANGE;
            break;
        }
        if (size > 0) {
            memcpy(list + total, name, len);
            list[total + len] = 0;
        }
        total += len + 1;
    }
    if (rc == 0)
        rc = it->status;
    iter_destroy(it);
    node_unpin(fs, n);
    return rc ? fs_error(fs, ino, rc) : (int)total;
}

/* A change of one attribute (value NULL: it goes), the inode's mode and ctime. op held exclusively.
 */
static int change_xattr(struct fs *fs, struct node *n, const char *name, const struct slice *value,
                        mode_t mode)
{
    struct inode next = node_next(n);
    struct change c;
    bool first_garbage = value && n->orphan && !n->garbage_recorded;
    next.ctime = fs_now();
    next.mode = mode;
    if (value)
        next.flags |= INODE_HAS_XATTR;
    change_begin(&c, fs);
    if (value)
        change_put(&c, key_named(KEY_XATTR, n->ino, name), *value);
    else
        change_delete(&c, key_named(KEY_XATTR, n->ino, name));
    if (first_garbage)
        change_put_garbage(&c, n->ino, 0, true);
    change_put_inode(&c, n, &next);
    int rc = change_commit(&c, &n, 1);
    if (rc)
        return rc;
    node_publish(n, &next);
    if (first_garbage)
        node_note_garbage(n);
    return 0;
}

/* Is it there? 0 or -ENODATA. */
static int exists(struct fs *fs, struct node *n, const char *name)
{
    struct buf value = BUF_INIT;
    int rc = xattr_get(fs, n, name, &value);
    buf_free(&value);
    return rc;
}

/* The kernel, as it is, removes it itself before it asks for the change. But it leaves that to the
 * filesystem (HANDLE_KILLPRIV_V2), and only here are both one batch. That there is none is looked
 * up once, for a file with many writes and some other attribute. */
int xattr_put_no_capability(struct change *c, struct node *n)
{
    if (S_ISDIR(n->type) || n->no_capability || !may_have(n))
        return 0;
    int rc = exists(c->fs, n, CAPABILITY_NAME);
    if (rc == 0)
        change_delete(c, key_named(KEY_XATTR, n->ino, CAPABILITY_NAME));
    n->no_capability = rc == -ENODATA;
    return rc == -ENODATA ? 0 : rc;
}

/* op held exclusively. */
static int set_locked(struct fs *fs, struct node *n, const char *name, struct slice value,
                      int flags)
{
    bool access = strcmp(name, ACL_ACCESS_NAME) == 0;
    mode_t mode = n->inode.mode;
    n->no_capability = n->no_capability && strcmp(name, CAPABILITY_NAME) != 0;
    if (is_acl(name) && acl_check(value) != 0)
        return -EINVAL;
    if (!access)
        return change_xattr(fs, n, name, &value, mode);
    mode = (mode & ~(mode_t)0777) | acl_mode(value);
    if (flags & FS_XATTR_KILL_SGID)
        mode &= ~(mode_t)S_ISGID;
    return change_xattr(fs, n, name, acl_is_only_mode(value) ? NULL : &value, mode);
}

int fs_setxattr(struct fs *fs, uint64_t ino, const char *name, const void *value, size_t size,
                int flags)
{
    int rc = check_name(name);
    if (rc == 0 && fs->options.read_only)
        rc = -EROFS;
    if (rc == 0 && size > VALUE_MAX)
        rc = -E2BIG;
    if (rc)
        return rc;
    struct node *n = node_pin(fs, ino);
    if (!n)
        return -ESTALE;
    node_lock(n);
    if (flags & (XATTR_CREATE | XATTR_REPLACE)) {
        rc = exists(fs, n, name);
        if (rc == 0 && (flags & XATTR_CREATE))
            rc = -EEXIST;
        else if (rc == -ENODATA && !(flags & XATTR_REPLACE))
            rc = 0;
    }
    if (rc == 0)
        rc = set_locked(fs, n, name, (struct slice){value, size}, flags);
    node_unlock(n);
    node_unpin(fs, n);
    return fs_error(fs, ino, rc);
}

int fs_removexattr(struct fs *fs, uint64_t ino, const char *name)
{
    int rc = check_name(name);
    if (rc == 0 && fs->options.read_only)
        rc = -EROFS;
    if (rc)
        return rc;
    struct node *n = node_pin(fs, ino);
    if (!n)
        return -ESTALE;
    node_lock(n);
    rc = exists(fs, n, name);
    if (rc == 0)
        rc = change_xattr(fs, n, name, NULL, n->inode.mode);
    else if (rc == -ENODATA && is_acl(name)) /* everything has one: its mode, where no other */
        rc = 0;
    node_unlock(n);
    node_unpin(fs, n);
    return fs_error(fs, ino, rc);
}
