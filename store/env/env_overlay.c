/* See env_overlay.h.
 *
 * A path in the list `names` is what the list says; every other one is as it is below. A file that
 * is opened for writing, or renamed, is first copied into memory whole: the store writes only to
 * files that are new or small. */
#include "env_overlay.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "../base/error.h"

/* A file or folder in memory. */
struct node {
    int refs; /* the name, and open files */
    bool folder;
    struct buf bytes;
};

struct name {
    char *path;
    struct node *node; /* NULL: there is nothing of this name any more */
};

struct overlay {
    struct env env; /* first */
    struct env *below;
    pthread_mutex_t mu; /* guards all below, and the nodes */
    struct name *names;
    size_t count;
};

/* One of the two. */
struct env_file {
    struct node *node;
    struct env_file *below;
};

static struct overlay *overlay_of(struct env *e)
{
    return (struct overlay *)e;
}

/* ---- names and nodes: mu held */

static struct name *find(struct overlay *o, const char *path)
{
    for (size_t i = 0; i < o->count; i++)
        if (strcmp(o->names[i].path, path) == 0)
            return &o->names[i];
    return NULL;
}

static void unref(struct node *n)
{
    if (n && --n->refs == 0) {
        buf_free(&n->bytes);
        free(n);
    }
}

static struct node *node_new(bool folder)
{
    struct node *n = mem_zalloc(sizeof *n);
    n->folder = folder;
    return n;
}

/* From now on `path` is this node. */
static void set_name(struct overlay *o, const char *path, struct node *node)
{
    struct name *at = find(o, path);
    if (!at) {
        o->names = mem_realloc(o->names, (o->count + 1) * sizeof *o->names);
        at = &o->names[o->count++];
        *at = (struct name){.path = mem_printf("%s", path)};
    }
    if (node)
        node->refs++;
    unref(at->node);
    at->node = node;
}

static int missing(const char *path)
{
    return fail(-ENOENT, "%s: open: %s", path, strerror(ENOENT));
}

/* The node of `path`; what is below is copied. */
static int copy_up(struct overlay *o, const char *path, struct node **out)
{
    struct name *at = find(o, path);
    if (at) {
        *out = at->node;
        return at->node ? 0 : missing(path);
    }
    struct node *n = node_new(false);
    int rc = env_read_file(o->below, path, &n->bytes);
    if (rc) {
        n->refs = 1;
        unref(n);
        return rc;
    }
    set_name(o, path, n);
    *out = n;
    return 0;
}

/* ---- files */

static struct env_file *file_new(struct node *node, struct env_file *below)
{
    struct env_file *f = mem_alloc(sizeof *f);
    *f = (struct env_file){node, below};
    if (node)
        node->refs++;
    return f;
}

static int open_node(struct overlay *o, const char *path, int flags, struct env_file **out)
{
    struct node *n = NULL;
    int rc = copy_up(o, path, &n);
    if (rc == -ENOENT && (flags & ENV_CREATE)) {
        n = node_new(false);
        set_name(o, path, n);
        rc = 0;
    }
    if (rc)
        return rc;
    if (flags & ENV_TRUNCATE)
        buf_clear(&n->bytes);
    *out = file_new(n, NULL);
    return 0;
}

static int overlay_open(struct env *e, const char *path, int flags, struct env_file **out)
{
    struct overlay *o = overlay_of(e);
    struct env_file *below;
    pthread_mutex_lock(&o->mu);
    bool above = (flags & ENV_WRITE) || find(o, path);
    int rc = above ? open_node(o, path, flags, out) : 0;
    pthread_mutex_unlock(&o->mu);
    if (above)
        return rc;
    rc = env_open(o->below, path, flags, &below);
    if (rc == 0)
        *out = file_new(NULL, below);
    return rc;
}

static void overlay_close(struct env *e, struct env_file *f)
{
    struct overlay *o = overlay_of(e);
    if (f->below)
        env_close(o->below, f->below);
    pthread_mutex_lock(&o->mu);
    unref(f->node);
    pthread_mutex_unlock(&o->mu);
    free(f);
}

static ssize_t overlay_pread(struct env *e, struct env_file *f, void *p, size_t n, uint64_t off)
{
    struct overlay *o = overlay_of(e);
    if (f->below)
        return env_pread(o->below, f->below, p, n, off);
    pthread_mutex_lock(&o->mu);
    const struct buf *b = &f->node->bytes;
    size_t got = off < b->len ? b->len - (size_t)off : 0;
    if (got > n)
        got = n;
    if (got > 0)
        memcpy(p, b->data + off, got);
    pthread_mutex_unlock(&o->mu);
    return (ssize_t)got;
}

/* mu held. */
static void resize(struct buf *b, size_t len)
{
    if (len > b->len)
        memset(buf_reserve(b, len - b->len), 0, len - b->len);
    b->len = len;
}

static int overlay_pwrite(struct env *e, struct env_file *f, const void *p, size_t n, uint64_t off)
{
    struct overlay *o = overlay_of(e);
    if (f->below)
        return fail(-EBADF, "a file that is open for reading only");
    pthread_mutex_lock(&o->mu);
    struct buf *b = &f->node->bytes;
    if (off + n > b->len)
        resize(b, (size_t)off + n);
    if (n > 0)
        memcpy(b->data + off, p, n);
    pthread_mutex_unlock(&o->mu);
    return 0;
}

static int overlay_truncate(struct env *e, struct env_file *f, uint64_t size)
{
    struct overlay *o = overlay_of(e);
    if (f->below)
        return fail(-EBADF, "a file that is open for reading only");
    pthread_mutex_lock(&o->mu);
    resize(&f->node->bytes, (size_t)size);
    pthread_mutex_unlock(&o->mu);
    return 0;
}

static int overlay_punch(struct env *e, struct env_file *f, uint64_t off, uint64_t len)
{
    (void)e, (void)f, (void)off, (void)len;
    return -EOPNOTSUPP;
}

static int overlay_allocate(struct env *e, struct env_file *f, uint64_t len)
{
    (void)e, (void)f, (void)len;
    return 0;
}

static int overlay_sync(struct env *e, struct env_file *f)
{
    (void)e, (void)f;
    return 0;
}

static int overlay_size(struct env *e, struct env_file *f, uint64_t *size)
{
    struct overlay *o = overlay_of(e);
    if (f->below)
        return env_size(o->below, f->below, size);
    pthread_mutex_lock(&o->mu);
    *size = f->node->bytes.len;
    pthread_mutex_unlock(&o->mu);
    return 0;
}

/* ---- folders */

static int overlay_rename(struct env *e, const char *from, const char *to)
{
    struct overlay *o = overlay_of(e);
    struct node *n;
    pthread_mutex_lock(&o->mu);
    int rc = copy_up(o, from, &n);
    if (rc == 0) {
        set_name(o, to, n);
        set_name(o, from, NULL);
    }
    pthread_mutex_unlock(&o->mu);
    return rc;
}

static int overlay_unlink(struct env *e, const char *path)
{
    struct overlay *o = overlay_of(e);
    if (!env_exists(e, path))
        return missing(path);
    pthread_mutex_lock(&o->mu);
    set_name(o, path, NULL);
    pthread_mutex_unlock(&o->mu);
    return 0;
}

static int overlay_mkdir(struct env *e, const char *path)
{
    struct overlay *o = overlay_of(e);
    if (env_exists(e, path))
        return fail(-EEXIST, "%s: mkdir: %s", path, strerror(EEXIST));
    pthread_mutex_lock(&o->mu);
    set_name(o, path, node_new(true));
    pthread_mutex_unlock(&o->mu);
    return 0;
}

struct listing {
    struct overlay *o;
    const char *dir;
    char **names;
    size_t count;
};

static void add_name(struct listing *l, const char *name)
{
    l->names = mem_realloc(l->names, (l->count + 1) * sizeof *l->names);
    l->names[l->count++] = mem_printf("%s", name);
}

/* One that is below; those of the list come afterwards. */
static void take_below(void *arg, const char *name)
{
    struct listing *l = arg;
    char *path = mem_printf("%s/%s", l->dir, name);
    pthread_mutex_lock(&l->o->mu);
    if (!find(l->o, path))
        add_name(l, name);
    pthread_mutex_unlock(&l->o->mu);
    free(path);
}

/* mu held. */
static void take_above(struct listing *l)
{
    size_t len = strlen(l->dir);
    for (size_t i = 0; i < l->o->count; i++) {
        const struct name *n = &l->o->names[i];
        if (n->node && strncmp(n->path, l->dir, len) == 0 && n->path[len] == '/' &&
            !strchr(n->path + len + 1, '/'))
            add_name(l, n->path + len + 1);
    }
}

static int overlay_list(struct env *e, const char *dir, void (*each)(void *arg, const char *name),
                        void *arg)
{
    struct overlay *o = overlay_of(e);
    struct listing l = {.o = o, .dir = dir};
    pthread_mutex_lock(&o->mu);
    const struct name *at = find(o, dir);
    pthread_mutex_unlock(&o->mu);
    int rc = at ? 0 : env_list(o->below, dir, take_below, &l);
    pthread_mutex_lock(&o->mu);
    if (rc == 0)
        take_above(&l);
    pthread_mutex_unlock(&o->mu);
    for (size_t i = 0; i < l.count; i++) {
        if (rc == 0)
            each(arg, l.names[i]);
        free(l.names[i]);
    }
    free(l.names);
    return rc;
}

static int overlay_sync_dir(struct env *e, const char *dir)
{
    (void)e, (void)dir;
    return 0;
}

/* ---- the rest */

/* The file itself belongs to those below. Where none can be locked, one in memory stands in. */
static int overlay_lock_shared(struct env *e, const char *path, struct env_file **out)
{
    struct env_file *below;
    int rc = env_lock_shared(overlay_of(e)->below, path, &below);
    *out = rc == 0 && below ? file_new(NULL, below) : NULL;
    return rc;
}

static int overlay_lock(struct env *e, const char *path, struct env_file **out)
{
    int rc = overlay_lock_shared(e, path, out);
    return rc || *out ? rc : overlay_open(e, path, ENV_WRITE | ENV_CREATE, out);
}

static int overlay_space(struct env *e, const char *path, struct env_space *out)
{
    return env_space(overlay_of(e)->below, path, out);
}

static uint64_t overlay_now_ns(struct env *e)
{
    return env_now_ns(overlay_of(e)->below);
}

static void overlay_sleep_us(struct env *e, unsigned us)
{
    env_sleep_us(overlay_of(e)->below, us);
}

static const struct env_ops ops = {
    .open = overlay_open,
    .close = overlay_close,
    .pread = overlay_pread,
    .pwrite = overlay_pwrite,
    .truncate = overlay_truncate,
    .punch = overlay_punch,
    .allocate = overlay_allocate,
    .sync = overlay_sync,
    .size = overlay_size,
    .rename = overlay_rename,
    .unlink = overlay_unlink,
    .mkdir = overlay_mkdir,
    .list = overlay_list,
    .sync_dir = overlay_sync_dir,
    .lock = overlay_lock,
    .lock_shared = overlay_lock_shared,
    .space = overlay_space,
    .now_ns = overlay_now_ns,
    .sleep_us = overlay_sleep_us,
};

struct env *env_overlay_new(struct env *below)
{
    struct overlay *o = mem_zalloc(sizeof *o);
    o->env.ops = &ops;
    o->below = below;
    pthread_mutex_init(&o->mu, NULL);
    return &o->env;
}

void env_overlay_free(struct env *e)
{
    struct overlay *o = overlay_of(e);
    for (size_t i = 0; i < o->count; i++) {
        unref(o->names[i].node);
        free(o->names[i].path);
    }
    free(o->names);
    pthread_mutex_destroy(&o->mu);
    free(o);
}
