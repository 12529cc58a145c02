/* The model's own operations: see model.h. */
#include "model.h"

#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>

/* ---- nodes */

static struct node_model *node_new(struct model *m, mode_t mode, struct node_model *parent)
{
    struct node_model *n = mem_zalloc(sizeof *n);
    n->mode = mode;
    n->parent = parent;
    if (S_ISREG(mode))
        n->data = mem_zalloc(MODEL_MAX_SIZE);
    if (m->count == m->capacity) {
        m->capacity = m->capacity ? m->capacity * 2 : 64;
        m->all = mem_realloc(m->all, (size_t)m->capacity * sizeof *m->all);
    }
    m->all[m->count++] = n;
    return n;
}

static void node_free(struct model *m, struct node_model *n)
{
    int i = 0;
    while (m->all[i] != n)
        i++;
    m->all[i] = m->all[--m->count];
    free(n->data);
    free(n->names);
    free(n);
}

void model_init(struct model *m)
{
    *m = (struct model){0};
    m->root = node_new(m, S_IFDIR | 0755, NULL);
    m->root->parent = m->root;
    m->root->ino = m->max_ino = FS_ROOT;
    m->root->links = 1;
}

void model_free(struct model *m)
{
    while (m->count)
        node_free(m, m->all[0]);
    free(m->all);
}

void model_collect(struct model *m, struct node_model *n)
{
    if (n->links == 0 && !n->held)
        node_free(m, n);
}

void model_reopened(struct model *m)
{
    for (int i = m->count; i-- > 0;) {
        m->all[i]->held = false;
        model_collect(m, m->all[i]);
    }
}

bool model_is_under(const struct node_model *below, const struct node_model *above)
{
    while (below != above && below->parent != below)
        below = below->parent;
    return below == above;
}

/* ---- names */

static struct name_model *entry(const struct node_model *dir, const char *name)
{
    for (int i = 0; i < dir->name_count; i++)
        if (strcmp(dir->names[i].name, name) == 0)
            return &dir->names[i];
    return NULL;
}

struct node_model *model_find(const struct node_model *dir, const char *name)
{
    struct name_model *e = entry(dir, name);
    return e ? e->node : NULL;
}

static void put_entry(struct model *m, struct node_model *dir, const char *name,
                      struct node_model *n)
{
    int at = 0;
    while (at < dir->name_count && strcmp(dir->names[at].name, name) < 0)
        at++;
    dir->names = mem_realloc(dir->names, (size_t)(dir->name_count + 1) * sizeof *dir->names);
    memmove(dir->names + at + 1, dir->names + at,
            (size_t)(dir->name_count++ - at) * sizeof *dir->names);
    memset(&dir->names[at], 0, sizeof dir->names[at]);
    memcpy(dir->names[at].name, name, strlen(name) + 1);
    dir->names[at].node = n;
    if (S_ISDIR(n->mode))
        n->parent = dir;
    n->links++;
    n->changed = dir->changed = m->step;
}

static void drop_entry(struct model *m, struct node_model *dir, const char *name)
{
    struct name_model *e = entry(dir, name);
    struct node_model *n = e->node;
    memmove(e, e + 1, (size_t)(dir->names + --dir->name_count - e) * sizeof *e);
    n->links--;
    n->changed = dir->changed = m->step;
}

/* ---- operations */

int model_make(struct model *m, struct node_model *dir, const char *name, mode_t mode,
               const char *target, struct node_model **out)
{
    if (!S_ISDIR(dir->mode))
        return -ENOTDIR;
    if (dir->links == 0)
        return -ENOENT;
    if (entry(dir, name))
        return -EEXIST;
    struct node_model *n = node_new(m, mode, dir);
    if (S_ISLNK(mode)) {
        memcpy(n->target, target, strlen(target) + 1);
        n->size = strlen(target);
    }
    put_entry(m, dir, name, n);
    *out = n;
    return 0;
}

int model_make_unnamed(struct model *m, struct node_model *dir, mode_t mode,
                       struct node_model **out)
{
    if (!S_ISDIR(dir->mode))
        return -ENOTDIR;
    if (dir->links == 0)
        return -ENOENT;
    *out = node_new(m, mode, dir);
    (*out)->linkable = true;
    (*out)->changed = m->step;
    return 0;
}

int model_link(struct model *m, struct node_model *n, struct node_model *dir, const char *name)
{
    if (S_ISDIR(n->mode))
        return -EPERM;
    if (!S_ISDIR(dir->mode))
        return -ENOTDIR;
    if (dir->links == 0)
        return -ENOENT;
    if (entry(dir, name))
        return -EEXIST;
    if (n->links == 0 && !n->linkable)
        return -ENOENT;
    n->linkable = false;
    put_entry(m, dir, name, n);
    return 0;
}

int model_remove(struct model *m, struct node_model *dir, const char *name, bool rmdir)
{
    if (!S_ISDIR(dir->mode))
        return -ENOTDIR;
    struct node_model *n = model_find(dir, name);
    if (!n)
        return -ENOENT;
    if (S_ISDIR(n->mode) != rmdir)
        return rmdir ? -ENOTDIR : -EISDIR;
    if (rmdir && n->name_count > 0)
        return -ENOTEMPTY;
    drop_entry(m, dir, name);
    model_collect(m, n);
    return 0;
}

static int check_rename(struct node_model *from, struct node_model *to, struct node_model *dir,
                        struct node_model *new_dir, unsigned flags)
{
    bool exchange = flags & RENAME_EXCHANGE;
    if (!from || (!to && exchange) || (!to && new_dir->links == 0))
        return -ENOENT;
    if (to && (flags & RENAME_NOREPLACE))
        return -EEXIST;
    if (S_ISDIR(from->mode) && model_is_under(new_dir, from))
        return -EINVAL;
    if (to && S_ISDIR(to->mode) && model_is_under(dir, to))
        return exchange ? -EINVAL : -ENOTEMPTY;
    if (!to || exchange || to == from)
        return 0;
    if (S_ISDIR(from->mode) && !S_ISDIR(to->mode))
        return -ENOTDIR;
    if (!S_ISDIR(from->mode) && S_ISDIR(to->mode))
        return -EISDIR;
    return to->name_count > 0 ? -ENOTEMPTY : 0;
}

int model_rename(struct model *m, struct node_model *dir, const char *name,
                 struct node_model *new_dir, const char *new_name, unsigned flags)
{
    if (!S_ISDIR(dir->mode) || !S_ISDIR(new_dir->mode))
        return -ENOTDIR;
    struct node_model *from = model_find(dir, name), *to = model_find(new_dir, new_name);
    int rc = check_rename(from, to, dir, new_dir, flags);
    if (rc || from == to)
        return rc;
    drop_entry(m, dir, name);
    if (to)
        drop_entry(m, new_dir, new_name);
    put_entry(m, new_dir, new_name, from);
    if (flags & RENAME_EXCHANGE)
        put_entry(m, dir, name, to);
    else if (to)
        model_collect(m, to);
    return 0;
}

int model_write(struct model *m, struct node_model *n, uint64_t off, const void *p, size_t size)
{
    if (!S_ISREG(n->mode))
        return -EINVAL;
    if (size == 0)
        return 0;
    memcpy(n->data + off, p, size);
    for (uint64_t b = off / FS_BLOCK; b <= (off + size - 1) / FS_BLOCK; b++)
        n->block[b] = true;
    if (n->size < off + size)
        n->size = off + size;
    n->changed = m->step;
    return 0;
}

int model_resize(struct model *m, struct node_model *n, uint64_t size)
{
    if (S_ISDIR(n->mode))
        return -EISDIR;
    if (!S_ISREG(n->mode))
        return -EINVAL;
    if (size < n->size)
        memset(n->data + size, 0, n->size - size);
    for (uint64_t b = (size + FS_BLOCK - 1) / FS_BLOCK; b < MODEL_MAX_SIZE / FS_BLOCK; b++)
        n->block[b] = false;
    n->size = size;
    n->changed = m->step;
    return 0;
}

int model_fallocate(struct model *m, struct node_model *n, int mode, uint64_t off, uint64_t len)
{
    uint64_t end = off + len;
    if (!S_ISREG(n->mode))
        return -ENODEV;
    if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) && off < n->size) {
        uint64_t to = end < n->size ? end : (n->size + FS_BLOCK - 1) / FS_BLOCK * FS_BLOCK;
        memset(n->data + off, 0, to - off);
        for (uint64_t b = (off + FS_BLOCK - 1) / FS_BLOCK; b < to / FS_BLOCK; b++)
            n->block[b] = false;
    }
    if (!(mode & FALLOC_FL_KEEP_SIZE) && n->size < end)
        n->size = end;
    n->changed = m->step;
    return 0;
}

int model_copy(struct model *m, struct node_model *from, uint64_t from_off, struct node_model *to,
               uint64_t to_off, size_t len)
{
    if (!S_ISREG(from->mode) || !S_ISREG(to->mode))
        return -EINVAL;
    if (from_off >= from->size || len == 0)
        return 0;
    if (len > from->size - from_off)
        len = from->size - from_off;
    if (from == to && from_off < to_off + len && to_off < from_off + len)
        return -EINVAL;
    int rc = model_write(m, to, to_off, from->data + from_off, len);
    return rc ? rc : (int)len;
}
