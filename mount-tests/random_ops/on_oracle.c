/* The operations on the oracle: what POSIX and Linux say of each, errors included, in the order in
 * which Linux finds them. */
#include "op.h"
#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

/* What open() for writing says, O_NOFOLLOW set. */
static int find_file(struct oracle *o, const struct path *path, struct node **file)
{
    struct node *parent;
    int rc = tree_find(o->root, path, &parent, file);
    if (rc)
        return rc;
    if (!*file)
        return -ENOENT;
    return (*file)->type == S_IFDIR ? -EISDIR : (*file)->type == S_IFLNK ? -ELOOP : 0;
}

static int find_any(struct oracle *o, const struct path *path, struct node **node)
{
    struct node *parent;
    int rc = tree_find(o->root, path, &parent, node);
    return rc ? rc : *node ? 0 : -ENOENT;
}

static int add(struct oracle *o, const struct path *path, mode_t type, mode_t mode,
               struct node **made)
{
    struct node *parent, *node;
    int rc = tree_find(o->root, path, &parent, &node);
    if (rc || node)
        return rc ? rc : -EEXIST;
    *made = parent->child[path->name[path->depth - 1]] = node_new(type, mode);
    o->entries++;
    return 0;
}

static void write_bytes(struct node *file, size_t off, const struct op *op)
{
    unsigned char *bytes = malloc(op->len + 1);
    fill(bytes, op->len, op->seed);
    if (off + op->len > file->size)
        node_resize(file, off + op->len);
    memcpy(file->data + off + op->skip, bytes + op->skip, op->len - op->skip);
    free(bytes);
}

static struct outcome read_bytes(const struct node *file, size_t off, size_t len)
{
    size_t n = off >= file->size ? 0 : file->size - off < len ? file->size - off : len;
    return (struct outcome){(long)n, sum_of(n ? file->data + off : (void *)"", n)};
}

static int allocate(struct node *file, const struct op *op)
{
    size_t end = op->off + op->len;
    if (end > file->size && !(op->flags & FALLOC_FL_KEEP_SIZE))
        node_resize(file, end);
    if (op->flags & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && op->off < file->size)
        memset(file->data + op->off, 0, (end < file->size ? end : file->size) - op->off);
    return 0;
}

static int remove_name(struct oracle *o, const struct op *op)
{
    struct node *parent, *node;
    int rc = tree_find(o->root, &op->a, &parent, &node);
    if (rc || !node)
        return rc ? rc : -ENOENT;
    if (op->kind == OP_UNLINK && node->type == S_IFDIR)
        return -EISDIR;
    if (op->kind == OP_RMDIR && node->type != S_IFDIR)
        return -ENOTDIR;
    if (op->kind == OP_RMDIR && !node_is_empty(node))
        return -ENOTEMPTY;
    node->nlink--;
    o->entries--;
    parent->child[op->a.name[op->a.depth - 1]] = NULL;
    return 0;
}

static int make_symlink(struct oracle *o, const struct op *op)
{
    struct node *link;
    int rc = add(o, &op->a, S_IFLNK, 0777, &link);
    if (rc)
        return rc;
    const char *target = tree_names[op->b.name[0]];
    node_resize(link, strlen(target));
    memcpy(link->data, target, strlen(target));
    return 0;
}

static int make_link(struct oracle *o, const struct op *op)
{
    struct node *node, *parent, *other;
    int rc = find_any(o, &op->a, &node);
    if (rc == 0)
        rc = tree_find(o->root, &op->b, &parent, &other);
    if (rc || other)
        return rc ? rc : -EEXIST;
    if (node->type == S_IFDIR)
        return -EPERM;
    parent->child[op->b.name[op->b.depth - 1]] = node;
    node->nlink++;
    o->entries++;
    return 0;
}

/* Is a path the other one's beginning, and shorter? */
static int is_above(const struct path *a, const struct path *b)
{
    return a->depth < b->depth && memcmp(a->name, b->name, (size_t)a->depth * sizeof *a->name) == 0;
}

static int rename_node(struct oracle *o, const struct op *op)
{
    struct node *from_dir, *to_dir, *from, *to;
    int rc = tree_find(o->root, &op->a, &from_dir, &from);
    if (rc == -ENOENT || rc == -ENOTDIR)
        return rc;
    rc = tree_find(o->root, &op->b, &to_dir, &to);
    if (rc)
        return rc;
    if (!from)
        return -ENOENT;
    if (op->flags == RENAME_NOREPLACE && to)
        return -EEXIST;
    if (op->flags == RENAME_EXCHANGE && !to)
        return -ENOENT;
    if (is_above(&op->a, &op->b))
        return -EINVAL;
    if (is_above(&op->b, &op->a))
        return op->flags == RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
    if (from == to)
        return 0;
    struct node **from_name = &from_dir->child[op->a.name[op->a.depth - 1]];
    struct node **to_name = &to_dir->child[op->b.name[op->b.depth - 1]];
    if (op->flags == RENAME_EXCHANGE) {
        *from_name = to;
        *to_name = from;
        return 0;
    }
    if (to) {
        if (from->type == S_IFDIR && to->type != S_IFDIR)
            return -ENOTDIR;
        if (from->type != S_IFDIR && to->type == S_IFDIR)
            return -EISDIR;
        if (to->type == S_IFDIR && !node_is_empty(to))
            return -ENOTEMPTY;
        to->nlink--;
        o->entries--;
    }
    *from_name = NULL;
    *to_name = from;
    return 0;
}

static int set_attribute(struct oracle *o, const struct op *op)
{
    struct node *node;
    int rc = find_any(o, &op->a, &node);
    if (rc)
        return rc;
    if (node->type == S_IFLNK && strncmp(tree_xattrs[op->xattr], "user.", 5) == 0)
        return -EPERM;
    int set = node->xattr[op->xattr].set;
    if (op->kind == OP_REMOVEXATTR) {
        node->xattr[op->xattr].set = 0;
        return set ? 0 : -ENODATA;
    }
    if (op->flags == XATTR_CREATE && set)
        return -EEXIST;
    if (op->flags == XATTR_REPLACE && !set)
        return -ENODATA;
    unsigned char *value = malloc(op->len + 1);
    if (!value)
        exit(2);
    fill(value, op->len, op->seed);
    free(node->xattr[op->xattr].value);
    node->xattr[op->xattr].value = value;
    node->xattr[op->xattr].size = op->len;
    node->xattr[op->xattr].set = 1;
    return 0;
}

static struct outcome on_file(struct node *file, const struct op *op)
{
    switch (op->kind) {
    case OP_WRITE:
    case OP_SLOT_WRITE:
        write_bytes(file, op->off, op);
        return (struct outcome){(long)op->len, 0};
    case OP_APPEND:
        write_bytes(file, file->size - op->skip, op);
        return (struct outcome){(long)op->len, 0};
    case OP_TRUNCATE:
    case OP_SLOT_TRUNCATE:
        node_resize(file, op->off);
        return (struct outcome){0};
    case OP_REPLACE:
        node_resize(file, 0);
        return (struct outcome){0};
    case OP_MMAP:
        if (op->off >= file->size)
            return (struct outcome){-EINVAL, 0};
        fill(file->data + op->off, file->size - op->off < op->len ? file->size - op->off : op->len,
             op->seed);
        return (struct outcome){0};
    case OP_FALLOCATE:
        return (struct outcome){allocate(file, op), 0};
    default:
        return read_bytes(file, op->off, op->len);
    }
}

static struct outcome stat_or_set(struct oracle *o, const struct op *op)
{
    struct node *node;
    int rc = find_any(o, &op->a, &node);
    if (rc == 0 && node->type == S_IFLNK && (op->kind == OP_CHMOD || op->kind == OP_FSYNC))
        rc = -ELOOP;
    if (rc)
        return (struct outcome){rc, 0};
    if (op->kind == OP_CHMOD)
        node->mode = op->mode;
    if (op->kind == OP_CHOWN)
        node->uid = geteuid() == 0 ? op->seed % 1000 : geteuid();
    if (op->kind == OP_UTIMES)
        return (struct outcome){0, op->seed};
    if (op->kind == OP_STAT)
        return (struct outcome){0, node->type == S_IFDIR
                                       ? node->mode
                                       : node->mode + 512 * (uint64_t)node->nlink +
                                             (node->size << 20)};
    return (struct outcome){0};
}

struct outcome op_on_oracle(struct oracle *o, const struct op *op)
{
    struct node *node;
    int rc;
    switch (op->kind) {
    case OP_CREATE:
        return (struct outcome){add(o, &op->a, S_IFREG, op->mode, &node), 0};
    case OP_MKDIR:
        return (struct outcome){add(o, &op->a, S_IFDIR, op->mode, &node), 0};
    case OP_RMDIR:
    case OP_UNLINK:
        return (struct outcome){remove_name(o, op), 0};
    case OP_SYMLINK:
        return (struct outcome){make_symlink(o, op), 0};
    case OP_LINK:
        return (struct outcome){make_link(o, op), 0};
    case OP_RENAME:
        return (struct outcome){rename_node(o, op), 0};
    case OP_SETXATTR:
    case OP_REMOVEXATTR:
        return (struct outcome){set_attribute(o, op), 0};
    case OP_STAT:
    case OP_CHMOD:
    case OP_CHOWN:
    case OP_UTIMES:
    case OP_FSYNC:
        return stat_or_set(o, op);
    case OP_OPEN:
        rc = find_file(o, &op->a, &node);
        if (rc == 0)
            o->slot[op->slot] = node;
        return (struct outcome){rc, 0};
    case OP_CLOSE:
        o->slot[op->slot] = NULL;
        return (struct outcome){0};
    case OP_SLOT_WRITE:
    case OP_SLOT_READ:
    case OP_SLOT_TRUNCATE:
        return o->slot[op->slot] ? on_file(o->slot[op->slot], op) : (struct outcome){-EBADF, 0};
    default:
        rc = find_file(o, &op->a, &node);
        return rc ? (struct outcome){rc, 0} : on_file(node, op);
    }
}
