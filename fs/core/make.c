/* New files and names: fs_make, fs_make_unnamed and fs_link. */
#include "acl.h"
#include "fs_internal.h"

/* The directory's inode with one more name in it. */
static struct inode with_name(struct node *dir, bool is_dir, struct timespec now)
{
    struct inode next = node_next(dir);
    next.entries++;
    next.nlink += is_dir;
    next.mtime = next.ctime = now;
    return next;
}

/* Is the name free? dir->op held. */
static int check_free(struct fs *fs, struct node *dir, const char *name)
{
    struct fs_key key = key_named(KEY_ENTRY, dir->ino, name);
    struct buf value = BUF_INIT;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EEXIST;
    int rc = store_get(fs->store, NULL, key_slice(&key), &value);
    buf_free(&value);
    return rc == 0 ? -EEXIST : rc == -ENOENT ? 0 : fs_error(fs, dir->ino, rc);
}

static int check_dir(struct node *dir, const char *name)
{
    if (!S_ISDIR(dir->type))
        return -ENOTDIR;
    int rc = name_check(name);
    if (rc)
        return rc;
    return may_take_name(dir) ? 0 : -ENOENT;
}

static struct inode new_inode(const struct fs_caller *who, const struct node *dir, mode_t mode,
                              dev_t rdev, const char *target, struct timespec now)
{
    struct inode i = {.mode = mode, .uid = who->uid, .gid = who->gid, .nlink = 1, .rdev = rdev};
    i.atime = i.mtime = i.ctime = i.btime = now;
    if (dir->inode.mode & S_ISGID) {
        i.gid = dir->inode.gid;
        if (S_ISDIR(mode))
            i.mode |= S_ISGID;
    }
    if (S_ISDIR(mode)) {
        i.nlink = 2;
        i.parent = dir->ino;
    } else if (S_ISLNK(mode) && target) {
        i.size = strlen(target);
        i.target = mem_printf("%s", target);
    }
    return i;
}

/* The ACLs of what is new; empty: none. */
struct new_acls {
    struct buf access, deflt;
};

/* The mode of what is new, and its ACLs. dir->op held. */
static int inherit(struct fs *fs, struct node *dir, const struct fs_caller *who, mode_t *mode,
                   struct new_acls *acls)
{
    if (S_ISLNK(*mode))
        return 0;
    int rc = xattr_get(fs, dir, ACL_DEFAULT_NAME, &acls->access);
    if (rc == -ENODATA) {
        *mode &= ~who->umask;
        return 0;
    }
    if (rc == 0 && acl_check(buf_slice(&acls->access)) != 0)
        rc = STORE_ECORRUPT;
    if (rc)
        return fs_error(fs, dir->ino, rc);
    if (S_ISDIR(*mode))
        buf_set(&acls->deflt, buf_slice(&acls->access));
    *mode = acl_inherit(&acls->access, *mode);
    if (acl_is_only_mode(buf_slice(&acls->access)))
        buf_clear(&acls->access);
    return 0;
}

static void put_acls(struct change *c, uint64_t ino, struct inode *i, const struct new_acls *acls)
{
    if (acls->access.len > 0)
        change_put(c, key_named(KEY_XATTR, ino, ACL_ACCESS_NAME), buf_slice(&acls->access));
    if (acls->deflt.len > 0)
        change_put(c, key_named(KEY_XATTR, ino, ACL_DEFAULT_NAME), buf_slice(&acls->deflt));
    if (acls->access.len > 0 || acls->deflt.len > 0)
        i->flags |= INODE_HAS_XATTR;
}

/* dir->op held. */
static int make_in(struct fs *fs, const struct fs_caller *who, struct node *dir, const char *name,
                   mode_t mode, dev_t rdev, const char *target, struct new_acls *acls,
                   struct stat *st)
{
    uint64_t ino;
    struct timespec now = fs_now();
    int rc = check_dir(dir, name);
    if (rc == 0)
        rc = check_free(fs, dir, name);
    if (rc == 0 && S_ISDIR(mode) && dir->inode.nlink >= FS_LINK_MAX)
        rc = -EMLINK;
    if (rc == 0)
        rc = inherit(fs, dir, who, &mode, acls);
    if (rc == 0)
        rc = ino_allocate(fs, &ino);
    if (rc)
        return rc;
    struct inode i = new_inode(who, dir, mode, rdev, target, now);
    struct inode next = with_name(dir, S_ISDIR(mode), now);
    struct node_home home = {true, dir->ino, name};
    uint64_t evictions = node_evictions(fs, ino);
    struct change c;
    change_begin(&c, fs);
    put_acls(&c, ino, &i, acls);
    change_put_inode_at(&c, ino, &i, home);
    change_put_inode(&c, dir, &next);
    rc = change_commit(&c, &dir, 1);
    if (rc) {
        inode_free(&i);
        return rc;
    }
    count_made(fs);
    node_publish(dir, &next);
    struct node *n = node_adopt(fs, ino, &i, home, evictions);
    if (!n)
        rc = lookup_node(fs, dir, name, &n);
    if (rc)
        return rc;
    node_add_lookup(fs, n);
    node_stat(n, st);
    node_unpin(fs, n);
    return 0;
}

int fs_make(struct fs *fs, const struct fs_caller *who, uint64_t dir, const char *name, mode_t mode,
            dev_t rdev, const char *target, struct stat *st)
{
    if (fs->options.read_only)
        return -EROFS;
    if ((mode & S_IFMT) == 0)
        mode |= S_IFREG;
    if (S_ISLNK(mode) && (!target || !*target))
        return -ENOENT;
    if (S_ISLNK(mode) && strlen(target) > FS_SYMLINK_MAX)
        return -ENAMETOOLONG;
    struct new_acls acls = {BUF_INIT, BUF_INIT};
    struct node *d = node_pin(fs, dir);
    if (!d)
        return -ESTALE;
    node_lock(d);
    int rc = make_in(fs, who, d, name, mode, rdev, target, &acls, st);
    node_unlock(d);
    buf_free(&acls.access);
    buf_free(&acls.deflt);
    node_unpin(fs, d);
    return rc;
}

/* ---- without a name */

/* The node of an inode that nobody has seen yet and that has no record. */
static struct node *new_orphan(struct fs *fs, uint64_t ino, struct inode *i, bool garbage_recorded)
{
    struct node *n = NULL;
    while (!n) /* nothing was read, so nothing can be stale */
        n = node_adopt(fs, ino, i, (struct node_home){0}, node_evictions(fs, ino));
    pthread_mutex_lock(&n->mu);
    n->orphan = n->linkable = true;
    n->garbage_recorded = garbage_recorded;
    pthread_mutex_unlock(&n->mu);
    return n;
}

/* dir->op held. Nothing of it is in the store but its ACLs, and what is written later: like what an
 * unlinked file leaves, it is garbage after a crash. */
static int make_unnamed(struct fs *fs, const struct fs_caller *who, struct node *dir, mode_t mode,
                        struct new_acls *acls, struct node **out)
{
    uint64_t ino;
    struct change c;
    int rc = may_take_name(dir) ? inherit(fs, dir, who, &mode, acls) : -ENOENT;
    if (rc == 0)
        rc = ino_allocate(fs, &ino);
    if (rc)
        return rc;
    struct inode i = new_inode(who, dir, mode, 0, NULL, fs_now());
    i.nlink = 0;
    change_begin(&c, fs);
    put_acls(&c, ino, &i, acls);
    bool garbage = i.flags & INODE_HAS_XATTR;
    if (garbage)
        change_put_garbage(&c, ino, 0, true);
    rc = change_commit(&c, NULL, 0);
    if (rc)
        return rc;
    count_made(fs);
    *out = new_orphan(fs, ino, &i, garbage);
    return 0;
}

int fs_make_unnamed(struct fs *fs, const struct fs_caller *who, uint64_t dir, mode_t mode,
                    struct stat *st)
{
    struct new_acls acls = {BUF_INIT, BUF_INIT};
    struct node *n = NULL, *d;
    if (fs->options.read_only)
        return -EROFS;
    d = node_pin(fs, dir);
    if (!d)
        return -ESTALE;
    int rc = S_ISDIR(d->type) ? 0 : -ENOTDIR;
    if (rc == 0) {
        node_lock(d);
        rc = make_unnamed(fs, who, d, S_IFREG | (mode & 07777), &acls, &n);
        node_unlock(d);
    }
    if (rc == 0) {
        node_add_lookup(fs, n);
        node_stat(n, st);
    }
    buf_free(&acls.access);
    buf_free(&acls.deflt);
    node_unpin(fs, n);
    node_unpin(fs, d);
    return rc;
}

/* ---- link */

/* May n get another name, of which `dir` has none yet? Both op held. */
static int check_link(struct fs *fs, struct node *n, struct node *dir, const char *name)
{
    int rc = check_dir(dir, name);
    if (rc == 0)
        rc = check_free(fs, dir, name);
    if (rc == 0 && n->orphan && !n->linkable)
        rc = -ENOENT;
    if (rc == 0 && n->inode.nlink >= FS_LINK_MAX)
        rc = -EMLINK;
    /* The record that says what is still to be cut off an orphan goes with its first name. */
    if (rc == 0 && n->orphan && (n->inode.flags & INODE_CUTTING))
        rc = resize_finish(fs, n, CUT_BY_LOOKING);
    return rc;
}

/* An inode that lives in its entry moves to a key of its own: from now on several entries refer to
 * it. One that has no name yet lives in the new entry. */
static void put_link(struct change *c, struct node *n, const struct inode *next,
                     struct node_home home)
{
    if (n->orphan) {
        if (n->garbage_recorded)
            change_delete(c, key_of(KEY_GARBAGE, n->ino));
        change_put_inode_at(c, n->ino, next, home);
        return;
    }
    if (n->embedded)
        change_put_reference(c, n->home, n->home_name, n->ino, next->mode);
    change_put_reference(c, home.dir, home.name, n->ino, next->mode);
    change_put_inode_at(c, n->ino, next, (struct node_home){0});
}

static void publish_link(struct node *n, const struct inode *next, struct node_home home)
{
    pthread_mutex_lock(&n->mu);
    node_set_inode(n, next);
    node_set_home(n, n->orphan ? home : (struct node_home){0});
    n->orphan = n->linkable = n->garbage_recorded = false;
    pthread_mutex_unlock(&n->mu);
}

/* Both op held. */
static int link_in(struct fs *fs, struct node *n, struct node *dir, const char *name)
{
    struct timespec now = fs_now();
    struct node_home home = {true, dir->ino, name};
    int rc = check_link(fs, n, dir, name);
    if (rc)
        return rc;
    struct inode next = node_next(n), next_dir = with_name(dir, false, now);
    struct change c;
    next.nlink++;
    next.ctime = now;
    change_begin(&c, fs);
    put_link(&c, n, &next, home);
    change_put_inode(&c, dir, &next_dir);
    rc = change_commit(&c, (struct node *[]){n, dir}, 2);
    if (rc)
        return rc;
    publish_link(n, &next, home);
    node_publish(dir, &next_dir);
    return 0;
}

int fs_link(struct fs *fs, uint64_t ino, uint64_t dir, const char *name, struct stat *st)
{
    if (fs->options.read_only)
        return -EROFS;
    struct node *n = node_pin(fs, ino), *d = node_pin(fs, dir);
    int rc = n && d ? 0 : -ESTALE;
    if (rc == 0 && S_ISDIR(n->type))
        rc = -EPERM;
    if (rc == 0 && !S_ISDIR(d->type))
        rc = -ENOTDIR;
    if (rc == 0) {
        node_lock(d);
        node_lock(n);
        rc = link_in(fs, n, d, name);
        node_unlock(n);
        node_unlock(d);
    }
    if (rc == 0) {
        node_add_lookup(fs, n);
        node_stat(n, st);
    }
    node_unpin(fs, n);
    node_unpin(fs, d);
    return rc;
}
