/* Random operations on the model and the filesystem: see model.h. */
#include <check.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "model.h"

static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
static const char *const xattr_names[MODEL_XATTRS] = {"user.0", "user.1", "user.2"};

/* The filesystem's answer `got` should be the model's. After a failure in the same step it may lack
 * an inode that could not be looked up any more. */
static void agree(struct model *m, int got, int want, const char *what)
{
    if (m->may_fail && (got == -EIO || (m->failed && got == -ESTALE))) {
        m->failed = true;
        return;
    }
    ck_assert_msg(got == want, "step %d, %s: %s, but the model says %s", m->step, what,
                  got ? fail_name(got) : "done", want ? fail_name(want) : "done");
}

/* ---- references */

static struct name_model *name_in(struct node_model *dir, const struct node_model *n)
{
    for (int i = 0; i < dir->name_count; i++)
        if (dir->names[i].node == n)
            return &dir->names[i];
    return NULL;
}

/* As the kernel does: the way from the root first. */
static void hold(struct model *m, struct node_model *n)
{
    struct stat st;
    if (n == m->root || n->links == 0)
        return;
    for (int i = 0; i < m->count; i++) {
        struct node_model *dir = m->all[i];
        struct name_model *e = name_in(dir, n);
        if (!e)
            continue;
        hold(m, dir);
        if (n->held || m->failed)
            return;
        int rc = fs_lookup(fs, dir->ino, e->name, &st);
        agree(m, rc, 0, "lookup");
        if (rc == 0) {
            ck_assert_uint_eq(st.st_ino, n->ino);
            n->held = true;
        }
        return;
    }
}

static void forget(struct model *m, struct node_model *n)
{
    if (n == m->root || !n->held)
        return;
    fs_forget(fs, n->ino, 1);
    n->held = false;
    model_collect(m, n);
}

static struct node_model *any(struct model *m, struct random *r)
{
    struct node_model *n = m->all[random_below(r, (uint64_t)m->count)];
    hold(m, n);
    return n;
}

/* Mostly a file, if there is one. */
static struct node_model *any_file(struct model *m, struct random *r)
{
    struct node_model *n = any(m, r);
    for (int i = 0; i < 8 && !S_ISREG(n->mode); i++)
        n = any(m, r);
    return n;
}

static struct node_model *any_dir(struct model *m, struct random *r)
{
    struct node_model *n = any(m, r);
    for (int i = 0; i < 12 && !S_ISDIR(n->mode); i++)
        n = any(m, r);
    return n;
}

static const char *any_name(struct random *r)
{
    return names[random_below(r, sizeof names / sizeof *names)];
}

/* A name that is there, mostly. */
static const char *any_name_in(const struct node_model *dir, struct random *r)
{
    if (dir->name_count == 0 || random_below(r, 4) == 0)
        return any_name(r);
    return dir->names[random_below(r, (uint64_t)dir->name_count)].name;
}

/* ---- one function for each operation */

/* ino 0: it could not be made. */
static void note_made(struct model *m, struct node_model *n, uint64_t ino)
{
    n->held = ino > 0;
    n->ino = ino;
    if (ino > 0) {
        ck_assert_uint_gt(ino, m->max_ino);
        m->max_ino = ino;
    }
}

static void step_make(struct model *m, struct random *r)
{
    static const mode_t modes[] = {S_IFREG | 0644, S_IFREG | 0600, S_IFREG | 0644, S_IFDIR | 0755,
                                   S_IFDIR | 0700, S_IFLNK | 0777, S_IFIFO | 0600};
    struct node_model *dir = any_dir(m, r), *n;
    const char *name = any_name(r);
    mode_t mode = modes[random_below(r, 7)];
    struct stat st;
    int rc = fs_make(fs, &(struct fs_caller){0}, dir->ino, name, mode, 0, "there", &st);
    int want = model_make(m, dir, name, mode, "there", &n);
    agree(m, rc, want, "make");
    if (want == 0)
        note_made(m, n, rc == 0 ? st.st_ino : 0);
}

static void step_make_unnamed(struct model *m, struct random *r)
{
    struct node_model *dir = any_dir(m, r), *n;
    struct stat st;
    int rc = fs_make_unnamed(fs, &(struct fs_caller){0}, dir->ino, S_IFREG | 0640, &st);
    int want = model_make_unnamed(m, dir, S_IFREG | 0640, &n);
    agree(m, rc, want, "make without a name");
    if (want)
        return;
    note_made(m, n, rc == 0 ? st.st_ino : 0);
    model_collect(m, n);
}

static void step_link(struct model *m, struct random *r)
{
    struct node_model *n = any_file(m, r), *dir = any_dir(m, r);
    const char *name = any_name(r);
    struct stat st;
    int rc = fs_link(fs, n->ino, dir->ino, name, &st);
    agree(m, rc, model_link(m, n, dir, name), "link");
    if (rc == 0)
        fs_forget(fs, n->ino, 1);
}

static void step_remove(struct model *m, struct random *r)
{
    struct node_model *dir = any_dir(m, r);
    char name[8];
    snprintf(name, sizeof name, "%s", any_name_in(dir, r));
    struct node_model *n = S_ISDIR(dir->mode) ? model_find(dir, name) : NULL;
    bool rmdir = random_below(r, 8) ? n && S_ISDIR(n->mode) : random_below(r, 2);
    int rc = rmdir ? fs_rmdir(fs, dir->ino, name) : fs_unlink(fs, dir->ino, name);
    agree(m, rc, model_remove(m, dir, name, rmdir), rmdir ? "rmdir" : "unlink");
}

static void step_rename(struct model *m, struct random *r)
{
    static const unsigned all[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
    struct node_model *dir = any_dir(m, r), *new_dir = random_below(r, 3) ? any_dir(m, r) : dir;
    unsigned flags = all[random_below(r, 5)];
    char name[8], new_name[8];
    snprintf(name, sizeof name, "%s", any_name_in(dir, r));
    snprintf(new_name, sizeof new_name, "%s",
             flags & RENAME_EXCHANGE ? any_name_in(new_dir, r) : any_name(r));
    hold(m, dir); /* finding new_dir may have let the tree's way to it go */
    int rc = fs_rename(fs, dir->ino, name, new_dir->ino, new_name, flags);
    agree(m, rc, model_rename(m, dir, name, new_dir, new_name, flags), "rename");
}

static void step_write(struct model *m, struct random *r)
{
    static unsigned char p[MODEL_MAX_SIZE];
    struct node_model *n = any_file(m, r);
    uint64_t off = random_below(r, MODEL_MAX_SIZE), room = MODEL_MAX_SIZE - off;
    if (random_below(r, 2))
        off = off / FS_BLOCK * FS_BLOCK;
    size_t size = random_below(r, room < 20000 ? room + 1 : 20000);
    if (random_below(r, 4) == 0) { /* chunks */
        off = off / (16 * FS_BLOCK) * (16 * FS_BLOCK);
        size = random_below(r, MODEL_MAX_SIZE - off + 1);
    }
    memset(p, (int)random_below(r, 256), size);
    if (size > 0)
        p[random_below(r, size)] = (unsigned char)random_below(r, 256);
    if (S_ISDIR(n->mode))
        return;
    int rc = fs_write(fs, n->ino, p, size, off, false);
    agree(m, rc, model_write(m, n, off, p, size), "write");
}

static struct node_model *streamed(struct model *m)
{
    for (int i = 0; i < m->count; i++)
        if (m->all[i]->ino == m->stream_ino && m->all[i]->held && S_ISREG(m->all[i]->mode))
            return m->all[i];
    return NULL;
}

/* The next piece of a stream, behind the last one's: a chunk may end with it. */
static void step_stream(struct model *m, struct random *r)
{
    static unsigned char p[20000];
    struct node_model *n = streamed(m);
    size_t size = 8000 + random_below(r, sizeof p - 8000);
    if (!n || m->stream_off + size > MODEL_MAX_SIZE || random_below(r, 20) == 0) {
        n = any_file(m, r);
        m->stream_ino = n->ino;
        m->stream_off = random_below(r, 3) * 16 * FS_BLOCK;
    }
    if (S_ISDIR(n->mode))
        return;
    memset(p, (int)random_below(r, 256), size);
    int rc = fs_write(fs, n->ino, p, size, m->stream_off, false);
    agree(m, rc, model_write(m, n, m->stream_off, p, size), "write in a stream");
    m->stream_off += size;
}

static void step_resize(struct model *m, struct random *r)
{
    struct node_model *n = any_file(m, r);
    struct stat st, in = {.st_size = (off_t)random_below(r, MODEL_MAX_SIZE + 1)};
    if (random_below(r, 3) == 0)
        in.st_size = 0;
    int rc = fs_setattr(fs, n->ino, &in, FS_SET_SIZE, &st);
    agree(m, rc, model_resize(m, n, (uint64_t)in.st_size), "resize");
}

static void step_fallocate(struct model *m, struct random *r)
{
    static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
    struct node_model *n = any_file(m, r);
    int mode = modes[random_below(r, 5)];
    uint64_t off = random_below(r, MODEL_MAX_SIZE), len = 1 + random_below(r, MODEL_MAX_SIZE - off);
    int rc = fs_fallocate(fs, n->ino, mode, off, len, false);
    agree(m, rc, model_fallocate(m, n, mode, off, len), "fallocate");
}

static void step_copy(struct model *m, struct random *r)
{
    struct node_model *from = any_file(m, r), *to = random_below(r, 4) ? any_file(m, r) : from;
    uint64_t from_off = random_below(r, MODEL_MAX_SIZE), to_off = random_below(r, MODEL_MAX_SIZE);
    size_t len = random_below(r, MODEL_MAX_SIZE - to_off + 1);
    hold(m, from);
    ssize_t rc = fs_copy(fs, from->ino, from_off, to->ino, to_off, len, false);
    agree(m, (int)rc, model_copy(m, from, from_off, to, to_off, len), "copy");
}

static int64_t model_seek(const struct node_model *n, uint64_t off, int whence)
{
    if (off >= n->size)
        return -ENXIO;
    for (uint64_t b = off / FS_BLOCK; b * FS_BLOCK < n->size; b++)
        if (n->block[b] == (whence == SEEK_DATA))
            return (int64_t)(b * FS_BLOCK > off ? b * FS_BLOCK : off);
    return whence == SEEK_DATA ? -ENXIO : (int64_t)n->size;
}

static void step_seek(struct model *m, struct random *r)
{
    struct node_model *n = any_file(m, r);
    uint64_t off = random_below(r, MODEL_MAX_SIZE);
    int whence = random_below(r, 2) ? SEEK_DATA : SEEK_HOLE;
    if (S_ISREG(n->mode) && !m->failed)
        agree(m, (int)fs_seek(fs, n->ino, off, whence), (int)model_seek(n, off, whence), "seek");
}

static void step_attr(struct model *m, struct random *r)
{
    struct node_model *n = any(m, r);
    struct stat st, in = {.st_mode = (mode_t)random_below(r, 0777)};
    in.st_uid = (uid_t)random_below(r, 5);
    int rc = fs_setattr(fs, n->ino, &in, FS_SET_MODE | FS_SET_UID, &st);
    n->mode = (n->mode & S_IFMT) | in.st_mode;
    n->uid = in.st_uid;
    n->changed = m->step;
    agree(m, rc, 0, "setattr");
}

static void step_xattr(struct model *m, struct random *r)
{
    struct node_model *n = any(m, r);
    uint64_t which = random_below(r, MODEL_XATTRS);
    int value = (int)random_below(r, 1000) + 1, rc;
    if (random_below(r, 3)) {
        int want = n->xattr[which] ? 0 : -ENODATA;
        bool replace = random_below(r, 2);
        rc = fs_setxattr(fs, n->ino, xattr_names[which], &value, sizeof value,
                         replace ? XATTR_REPLACE : 0);
        agree(m, rc, replace ? want : 0, "setxattr");
        if (replace && want)
            return;
        n->xattr[which] = value;
    } else {
        rc = fs_removexattr(fs, n->ino, xattr_names[which]);
        agree(m, rc, n->xattr[which] ? 0 : -ENODATA, "removexattr");
        if (!n->xattr[which])
            return;
        n->xattr[which] = 0;
    }
    n->changed = m->step;
}

static void step_sync(struct model *m, struct random *r)
{
    struct node_model *n = any(m, r);
    bool all = random_below(r, 4) == 0;
    int rc = all ? fs_sync_all(fs) : fs_sync_inode(fs, n->ino);
    agree(m, rc, 0, "sync");
    int step = all ? m->step : n->changed;
    if (rc == 0 && step > m->durable_step)
        m->durable_step = step;
}

/* Also those without a name: the text does not show them. */
static void step_read(struct model *m, struct random *r)
{
    static unsigned char p[MODEL_MAX_SIZE];
    struct node_model *n = any_file(m, r);
    uint64_t off = random_below(r, MODEL_MAX_SIZE);
    size_t size = 1 + random_below(r, 30000);
    if (!S_ISREG(n->mode) || m->failed)
        return;
    ssize_t want = off >= n->size         ? 0
                   : n->size - off < size ? (ssize_t)(n->size - off)
                                          : (ssize_t)size;
    ssize_t rc = fs_read(fs, n->ino, p, size, off);
    agree(m, (int)rc, (int)want, "read");
    ck_assert(rc <= 0 || memcmp(p, n->data + off, (size_t)rc) == 0);
    fs_accessed(fs, n->ino);
}

/* Access times are no part of the model: but what stores them writes the whole inode. */
static void step_access(struct model *m, struct random *r)
{
    struct node_model *n = m->all[random_below(r, (uint64_t)m->count)];
    if (!n->held && n != m->root)
        return;
    fs_accessed(fs, n->ino);
    if (random_below(r, 3) == 0)
        fs_store_atime(fs, n->ino);
}

static void step_forget(struct model *m, struct random *r)
{
    struct node_model *n = m->all[random_below(r, (uint64_t)m->count)];
    forget(m, n);
}

void model_step(struct model *m, struct random *r)
{
    static void (*const steps[])(struct model *, struct random *) = {
        step_make,   step_make,   step_make,      step_make,   step_link,   step_remove,
        step_remove, step_rename, step_rename,    step_rename, step_write,  step_write,
        step_write,  step_resize, step_attr,      step_xattr,  step_sync,   step_read,
        step_forget, step_forget, step_fallocate, step_copy,   step_seek,   step_access,
        step_access, step_stream, step_stream,    step_stream, step_stream, step_make_unnamed,
    };
    m->step++;
    steps[random_below(r, sizeof steps / sizeof *steps)](m, r);
}
