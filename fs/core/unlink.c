/* Names that go: fs_unlink and fs_rmdir, and what losing a name means (rename uses it for what it
 * replaces).
 *
 * The last name takes the inode's record with it, in the same batch. Data and attributes cannot go
 * at once: the file may be open, and there may be much of them. An `O` record in the same batch
 * says that they are garbage; they are deleted when the last reference is gone, or after the next
 * mount. */
#include "fs_internal.h"

static bool has_more_than_its_record(const struct inode *i)
{
    return i->blocks > 0 || (i->flags & (INODE_HAS_XATTR | INODE_CUTTING));
}

void unlink_put(struct change *c, struct node *n, struct inode *next, struct timespec now)
{
    *next = node_next(n);
    next->ctime = now;
    next->nlink = S_ISDIR(next->mode) ? 0 : next->nlink - 1;
    if (next->nlink > 0) {
        change_put_inode(c, n, next);
        return;
    }
    if (!n->embedded)
        change_delete(c, key_of(KEY_INODE, n->ino));
    if (has_more_than_its_record(next))
        change_put_garbage(c, n->ino, 0, true);
}

void unlink_publish(struct fs *fs, struct node *n, const struct inode *next)
{
    pthread_mutex_lock(&n->mu);
    node_set_inode(n, next);
    if (next->nlink == 0) {
        n->orphan = true;
        n->garbage_recorded = has_more_than_its_record(next);
        node_set_home(n, (struct node_home){0});
    }
    pthread_mutex_unlock(&n->mu);
    if (next->nlink == 0)
        atime_forget(fs, n);
}

/* Both op held. */
static int remove_name(struct fs *fs, struct node *dir, const char *name, struct node *n)
{
    struct timespec now = fs_now();
    struct inode next, next_dir = node_next(dir);
    struct change c;
    next_dir.entries--;
    next_dir.nlink -= S_ISDIR(n->type) ? 1 : 0;
    next_dir.mtime = next_dir.ctime = now;
    change_begin(&c, fs);
    c.reclaim = true;
    change_delete(&c, key_named(KEY_ENTRY, dir->ino, name));
    unlink_put(&c, n, &next, now);
    change_put_inode(&c, dir, &next_dir);
    int rc = change_commit(&c, (struct node *[]){n, dir}, 2);
    if (rc)
        return rc;
    unlink_publish(fs, n, &next);
    node_publish(dir, &next_dir);
    return 0;
}

int check_empty(struct fs *fs, const struct node *dir)
{
    struct fs_key prefix = key_of(KEY_ENTRY, dir->ino);
    struct iter *it = store_iter(fs->store, NULL);
    iter_stay_within(it, key_slice(&prefix));
    iter_seek(it, key_slice(&prefix));
    bool any = it->valid && slice_starts_with(it->key, key_slice(&prefix));
    int rc = it->status;
    iter_destroy(it);
    return rc ? fs_error(fs, dir->ino, rc) : any ? -ENOTEMPTY : 0;
}

static int check_kind(struct fs *fs, const struct node *n, bool want_dir)
{
    if (want_dir && !S_ISDIR(n->type))
        return -ENOTDIR;
    if (!want_dir && S_ISDIR(n->type))
        return -EISDIR;
    return want_dir ? check_empty(fs, n) : 0;
}

static int remove_locked(struct fs *fs, struct node *dir, const char *name, bool want_dir)
{
    struct node *n;
    int rc = lookup_node(fs, dir, name, &n);
    if (rc)
        return rc;
    node_lock(n);
    rc = check_kind(fs, n, want_dir);
    if (rc == 0)
        rc = remove_name(fs, dir, name, n);
    node_unlock(n);
    node_unpin(fs, n);
    return rc;
}

static int remove_entry(struct fs *fs, uint64_t dir, const char *name, bool want_dir)
{
    int rc = name_check(name);
    if (rc)
        return rc;
    if (strcmp(name, ".") == 0)
        return want_dir ? -EINVAL : -EISDIR;
    if (strcmp(name, "..") == 0)
        return want_dir ? -ENOTEMPTY : -EISDIR;
    if (fs->options.read_only)
        return -EROFS;
    struct node *d = node_pin(fs, dir);
    if (!d)
        return -ESTALE;
    node_lock(d);
    rc = remove_locked(fs, d, name, want_dir);
    node_unlock(d);
    node_unpin(fs, d);
    return rc;
}

int fs_unlink(struct fs *fs, uint64_t dir, const char *name)
{
    return remove_entry(fs, dir, name, false);
}

int fs_rmdir(struct fs *fs, uint64_t dir, const char *name)
{
    return remove_entry(fs, dir, name, true);
}
