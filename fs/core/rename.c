/* fs_rename: whatever it moves, replaces or exchanges, it is one batch. */
#include <linux/fs.h>
#include <stdio.h>

#include "fs_internal.h"

/* One end of a rename. */
struct end {
    struct node *dir;
    const char *name;
    struct node *n; /* what the name names; NULL: nothing (of the new end) */
    struct inode next_dir;
};

/* ---- the shape of the tree: rename_mu held */

/* Is `below` the directory `above`, or somewhere under it? Only directories with a reference have
 * nodes, but a directory's parents have one: the kernel keeps the way to it. Where it should not,
 * the answer is yes, which refuses the rename, and never makes a ring of directories. */
static bool is_under(struct fs *fs, struct node *below, struct node *above)
{
    uint64_t ino = below->ino;
    while (ino != above->ino) {
        if (ino == FS_ROOT)
            return false;
        struct node *n = node_pin(fs, ino);
        if (!n)
            return true;
        pthread_mutex_lock(&n->mu);
        ino = n->inode.parent;
        pthread_mutex_unlock(&n->mu);
        node_unpin(fs, n);
    }
    return true;
}

static void lock_dirs(struct fs *fs, struct node *a, struct node *b)
{
    if (a == b) {
        node_lock(a);
        return;
    }
    bool a_first = is_under(fs, b, a) || (!is_under(fs, a, b) && a->ino < b->ino);
    node_lock(a_first ? a : b);
    node_lock(a_first ? b : a);
}

static void unlock_dirs(struct node *a, struct node *b)
{
    node_unlock(a);
    if (a != b)
        node_unlock(b);
}

/* Directories before files, then by number. Two directories here are never above one another
 * (checked before), and under rename_mu no other rename moves them meanwhile. */
static bool comes_first(const struct node *a, const struct node *b)
{
    bool a_dir = S_ISDIR(a->type), b_dir = S_ISDIR(b->type);
    return a_dir != b_dir ? a_dir : a->ino < b->ino;
}

static void lock_children(struct node *a, struct node *b)
{
    if (b && comes_first(b, a)) {
        struct node *t = a;
        a = b;
        b = t;
    }
    node_lock(a);
    if (b)
        node_lock(b);
}

/* ---- checks */

static int check_replace(struct fs *fs, const struct node *from, const struct node *to)
{
    if (S_ISDIR(from->type)) {
        if (!S_ISDIR(to->type))
            return -ENOTDIR;
        return check_empty(fs, to);
    }
    return S_ISDIR(to->type) ? -EISDIR : 0;
}

/* Neither end may go under itself. Within one directory nothing can. */
static int check_tree(struct fs *fs, const struct end *from, const struct end *to, unsigned flags)
{
    if (from->dir == to->dir)
        return 0;
    if (S_ISDIR(from->n->type) && is_under(fs, to->dir, from->n))
        return -EINVAL;
    if (to->n && S_ISDIR(to->n->type) && is_under(fs, from->dir, to->n))
        return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
    return 0;
}

/* ---- the change */

/* What moves to the other end: its entry there, its inode with a new ctime (and a new parent). */
static void put_moved(struct change *c, struct node *n, struct inode *next, const struct end *at,
                      struct timespec now)
{
    *next = node_next(n);
    next->ctime = now;
    if (S_ISDIR(next->mode))
        next->parent = at->dir->ino;
    if (n->embedded) {
        change_put_inode_at(c, n->ino, next, (struct node_home){true, at->dir->ino, at->name});
    } else {
        change_put_reference(c, at->dir->ino, at->name, n->ino, next->mode);
        change_put_inode(c, n, next);
    }
}

static void publish_moved(struct node *n, const struct inode *next, const struct end *at)
{
    pthread_mutex_lock(&n->mu);
    node_set_inode(n, next);
    if (n->embedded)
        node_set_home(n, (struct node_home){true, at->dir->ino, at->name});
    pthread_mutex_unlock(&n->mu);
}

/* The directories' inodes afterwards: names and subdirectories, counted. */
static void count_names(struct end *from, struct end *to, unsigned flags, struct timespec now)
{
    bool exchange = flags & RENAME_EXCHANGE;
    from->next_dir = node_next(from->dir);
    to->next_dir = node_next(to->dir);
    struct inode *f = &from->next_dir, *t = from->dir == to->dir ? f : &to->next_dir;
    bool from_dir = S_ISDIR(from->n->type), to_dir = to->n && S_ISDIR(to->n->type);
    f->nlink -= from_dir;
    t->nlink += from_dir;
    t->nlink -= to_dir;
    if (exchange)
        f->nlink += to_dir;
    else
        f->entries--;
    if (!to->n)
        t->entries++;
    f->mtime = f->ctime = t->mtime = t->ctime = now;
}

/* Directories that come count as links. */
static bool gets_too_many_links(const struct end *e)
{
    return e->next_dir.nlink > FS_LINK_MAX && e->next_dir.nlink > e->dir->inode.nlink;
}

static int commit_rename(struct fs *fs, struct end *from, struct end *to, unsigned flags)
{
    struct timespec now = fs_now();
    struct inode next_from, next_to = {0};
    struct change c;
    bool exchange = flags & RENAME_EXCHANGE;
    count_names(from, to, flags, now);
    if (gets_too_many_links(from) || gets_too_many_links(to))
        return -EMLINK;
    change_begin(&c, fs);
    if (exchange) {
        put_moved(&c, to->n, &next_to, from, now);
    } else {
        change_delete(&c, key_named(KEY_ENTRY, from->dir->ino, from->name));
        if (to->n)
            unlink_put(&c, to->n, &next_to, now);
    }
    put_moved(&c, from->n, &next_from, to, now);
    change_put_inode(&c, from->dir, &from->next_dir);
    if (from->dir != to->dir)
        change_put_inode(&c, to->dir, &to->next_dir);
    int rc = change_commit(&c, (struct node *[]){from->n, from->dir, to->n, to->dir}, 4);
    if (rc)
        return rc;
    publish_moved(from->n, &next_from, to);
    if (exchange)
        publish_moved(to->n, &next_to, from);
    else if (to->n)
        unlink_publish(fs, to->n, &next_to);
    node_publish(from->dir, &from->next_dir);
    if (from->dir != to->dir)
        node_publish(to->dir, &to->next_dir);
    return 0;
}

/* A rename that locks more than one directory beside those above it holds rename_mu: of two such,
 * one could wait for the other in a ring, with somebody's rmdir between them. */
static bool needs_rename_mu(const struct end *from, const struct end *to)
{
    return from->dir != to->dir || (to->n && S_ISDIR(from->n->type) && S_ISDIR(to->n->type));
}

/* With both directories' op held. -EAGAIN: only with rename_mu. */
static int rename_locked(struct fs *fs, struct end *from, struct end *to, unsigned flags,
                         bool with_mu)
{
    int rc = lookup_node(fs, from->dir, from->name, &from->n);
    if (rc == 0)
        rc = lookup_node(fs, to->dir, to->name, &to->n);
    if (rc == -ENOENT && from->n)
        rc = flags & RENAME_EXCHANGE ? -ENOENT : may_take_name(to->dir) ? 0 : -ENOENT;
    if (rc)
        return rc;
    if (to->n && (flags & RENAME_NOREPLACE))
        return -EEXIST;
    rc = check_tree(fs, from, to, flags);
    if (rc)
        return rc;
    if (!with_mu && needs_rename_mu(from, to))
        return -EAGAIN;
    if (from->n == to->n)
        return 0; /* two names of one file: POSIX wants nothing done */
    lock_children(from->n, to->n);
    if (to->n && !(flags & RENAME_EXCHANGE))
        rc = check_replace(fs, from->n, to->n);
    if (rc == 0)
        rc = commit_rename(fs, from, to, flags);
    node_unlock(from->n);
    if (to->n)
        node_unlock(to->n);
    return rc;
}

static int check_names(const char *name, const char *new_name)
{
    int rc = name_check(name);
    if (rc == 0)
        rc = name_check(new_name);
    if (rc == 0 && (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
                    strcmp(new_name, ".") == 0 || strcmp(new_name, "..") == 0))
        rc = -EBUSY;
    return rc;
}

static int try_rename(struct fs *fs, struct end *from, struct end *to, unsigned flags, bool with_mu)
{
    if (with_mu)
        lock_waiting(&fs->rename_mu);
    lock_dirs(fs, from->dir, to->dir);
    int rc = rename_locked(fs, from, to, flags, with_mu);
    unlock_dirs(from->dir, to->dir);
    if (with_mu)
        pthread_mutex_unlock(&fs->rename_mu);
    node_unpin(fs, from->n);
    node_unpin(fs, to->n);
    from->n = to->n = NULL;
    return rc;
}

int fs_rename(struct fs *fs, uint64_t dir, const char *name, uint64_t new_dir, const char *new_name,
              unsigned flags)
{
    int rc = check_names(name, new_name);
    if (rc == 0 && ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) ||
                    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE)))
        rc = -EINVAL;
    if (rc == 0 && fs->options.read_only)
        rc = -EROFS;
    if (rc)
        return rc;
    struct end from = {.dir = node_pin(fs, dir), .name = name},
               to = {.dir = node_pin(fs, new_dir), .name = new_name};
    if (!from.dir || !to.dir)
        rc = -ESTALE;
    else if (!S_ISDIR(from.dir->type) || !S_ISDIR(to.dir->type))
        rc = -ENOTDIR;
    if (rc)
        goto out;
    rc = try_rename(fs, &from, &to, flags, needs_rename_mu(&from, &to));
    if (rc == -EAGAIN)
        rc = try_rename(fs, &from, &to, flags, true);
out:
    node_unpin(fs, from.dir);
    node_unpin(fs, to.dir);
    return rc;
}
