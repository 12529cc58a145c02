/* Requests on directories: opendir, readdir(plus), releasedir, fsyncdir. */
#include "reply.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

/* An open directory. */
struct handle {
    struct fs_dir *dir;
    bool noatime; /* O_NOATIME: libfuse says so of OPENDIR alone */
};

static struct handle *handle_of(const struct fuse_file_info *fi)
{
    return (struct handle *)(uintptr_t)fi->fh;
}

static void close_handle(struct fs *fs, struct handle *h)
{
    fs_closedir(fs, h->dir);
    free(h);
}

static void opendir_(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct fs *fs = fs_of(req);
    struct fs_dir *d = NULL;
    int r = fs_opendir(fs, ino, &d);
    if (r < 0) {
        reply_status(req, r);
        return;
    }
    struct handle *h = mem_alloc(sizeof *h);
    *h = (struct handle){d, fi->flags & O_NOATIME};
    fi->fh = (uintptr_t)h;
    if (fuse_reply_open(req, fi) < 0)
        close_handle(fs, h);
}

/* An answer to readdir in the making. */
struct listing {
    fuse_req_t req;
    char *p;
    size_t used, size;
};

static bool add_entry(void *arg, const struct fs_dirent *d)
{
    struct listing *l = arg;
    size_t room = l->size - l->used;
    size_t need = fuse_add_direntry(l->req, l->p + l->used, room, d->name, d->st, (off_t)d->next);
    if (need > room)
        return false;
    l->used += need;
    return true;
}

/* What was not looked up gets inode 0 in the entry (not in the listing): to the kernel it is a name
 * only, and no reference goes there. */
static bool add_entry_plus(void *arg, const struct fs_dirent *d)
{
    struct listing *l = arg;
    struct fuse_entry_param e = reply_entry_of(l->req, d->st);
    size_t room = l->size - l->used;
    if (!d->looked_up)
        e.ino = 0;
    size_t need = fuse_add_direntry_plus(l->req, l->p + l->used, room, d->name, &e, (off_t)d->next);
    if (need > room)
        return false;
    l->used += need;
    return true;
}

/* Gives back the references of a listing that nobody received. */
static void forget_listing(struct fs *fs, const char *p, size_t used)
{
    struct fuse_direntplus d;
    for (size_t at = 0; at < used;) {
        assert(used - at >= sizeof d);
        memcpy(&d, p + at, sizeof d);
        if (d.entry_out.nodeid != 0)
            fs_forget(fs, d.entry_out.nodeid, 1);
        at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + d.dirent.namelen);
    }
}

/* An error behind the first entries is told by the next call: what is in the buffer already holds
 * references that must arrive. */
static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, const struct handle *h,
                 bool plus)
{
    struct fs *fs = fs_of(req);
    struct listing l = {req, reply_buffer(size), 0, size};
    int r = plus ? fs_readdir(fs, h->dir, (uint64_t)off, FS_DIR_PLUS_NEW, add_entry_plus, &l)
                 : fs_readdir(fs, h->dir, (uint64_t)off, FS_DIR_NAMES, add_entry, &l);
    if (l.used > 0 && !h->noatime)
        fs_accessed(fs, ino);
    if (r < 0 && l.used == 0)
        reply_status(req, r);
    else if (fuse_reply_buf(req, l.p, l.used) < 0 && plus)
        forget_listing(fs, l.p, l.used);
}

static void readdir_(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                     struct fuse_file_info *fi)
{
    list(req, ino, size, off, handle_of(fi), false);
}

static void releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    close_handle(fs_of(req), handle_of(fi));
    fuse_reply_err(req, 0);
}

/* Left out, it would be a silent success. */
static void fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)fi;
    if (!datasync)
        fs_store_atime(fs_of(req), ino);
    reply_after_sync(req, ino, true); /* the kernel lets nobody change this directory meanwhile */
}

static void readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                        struct fuse_file_info *fi)
{
    list(req, ino, size, off, handle_of(fi), true);
}

void ops_dir(struct fuse_lowlevel_ops *ops)
{
    ops->opendir = opendir_;
    ops->readdir = readdir_;
    ops->releasedir = releasedir;
    ops->fsyncdir = fsyncdir;
    ops->readdirplus = readdirplus;
}
