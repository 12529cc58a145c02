/* Requests on names: lookup and forget, what makes, links, renames and removes. */
#include "reply.h"
#include "request.h"

#include <string.h>

/* Names of up to 1024 bytes come through the kernel. */
static int check_name(const char *name)
{
    return strlen(name) > FS_NAME_MAX ? -ENAMETOOLONG : 0;
}

static void lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct stat st;
    int r = check_name(name);
    if (r == 0)
        r = fs_lookup(fs_of(req), parent, name, &st);
    if (r == -ENOENT) {
        /* An entry with inode 0 is a name that the kernel may remember as missing. */
        struct fuse_entry_param missing = {.entry_timeout = REPLY_TIMEOUT};
        fuse_reply_entry(req, &missing);
        return;
    }
    reply_entry(req, r, &st);
}

static void forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    fs_forget(fs_of(req), ino, count);
    fuse_reply_none(req);
}

/* What was made but could not be synced is there, with a reference that no answer gives away. */
static void reply_made(fuse_req_t req, int r, fuse_ino_t dir, const struct stat *st)
{
    int synced = reply_names_synced(req, dir, r);
    if (r == 0 && synced < 0)
        fs_forget(fs_of(req), st->st_ino, 1);
    reply_entry(req, synced, st);
}

static void make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev,
                 const char *target)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(req);
    struct fs_caller who = {ctx->uid, ctx->gid, ctx->umask};
    struct stat st;
    int r = check_name(name);
    if (r == 0)
        r = fs_make(fs_of(req), &who, parent, name, mode, rdev, target, &st);
    reply_made(req, r, parent, &st);
}

static void mknod_(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    make(req, parent, name, mode, rdev, NULL);
}

static void mkdir_(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    make(req, parent, name, S_IFDIR | (mode & 07777), 0, NULL);
}

static void unlink_(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    int r = check_name(name);
    if (r == 0)
        r = fs_unlink(fs_of(req), parent, name);
    reply_status(req, reply_names_synced(req, parent, r));
}

static void rmdir_(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    int r = check_name(name);
    if (r == 0)
        r = fs_rmdir(fs_of(req), parent, name);
    reply_status(req, reply_names_synced(req, parent, r));
}

static void symlink_(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    if (strlen(target) > FS_SYMLINK_MAX)
        reply_status(req, -ENAMETOOLONG);
    else
        make(req, parent, name, S_IFLNK | 0777, 0, target);
}

static void rename_(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                    const char *new_name, unsigned flags)
{
    int r = check_name(name);
    if (r == 0)
        r = check_name(new_name);
    if (r == 0)
        r = fs_rename(fs_of(req), parent, name, new_parent, new_name, flags);
    reply_status(req, reply_names_synced(req, new_parent, r)); /* both ends are one batch */
}

static void link_(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
    struct stat st;
    int r = check_name(new_name);
    if (r == 0)
        r = fs_link(fs_of(req), ino, new_parent, new_name, &st);
    reply_made(req, r, new_parent, &st);
}

/* An open with O_TMPFILE. Nothing is kept that a RELEASE would have to close. */
static void make_unnamed(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(req);
    struct fs_caller who = {ctx->uid, ctx->gid, ctx->umask};
    struct stat st;
    int r = fs_make_unnamed(fs_of(req), &who, parent, mode, &st);
    if (r < 0) {
        reply_status(req, r);
        return;
    }
    struct fuse_entry_param e = reply_entry_of(req, &st);
    fi->keep_cache = 1; /* as where there is no OPEN */
    if (fuse_reply_create(req, &e, fi) < 0)
        fs_forget(fs_of(req), st.st_ino, 1);
}

/* Like OPEN (ops_data.c): answered with ENOSYS once, and the kernel makes files with MKNOD, which
 * leaves nothing that a RELEASE would have to close. */
static void create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                   struct fuse_file_info *fi)
{
    if (strcmp(name, REQUEST_NO_NAME) == 0)
        make_unnamed(req, parent, mode, fi);
    else
        fuse_reply_err(req, ENOSYS);
}

static void forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    struct fs *fs = fs_of(req);
    for (size_t i = 0; i < count; i++)
        fs_forget(fs, forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

void ops_names(struct fuse_lowlevel_ops *ops)
{
    ops->lookup = lookup;
    ops->forget = forget;
    ops->mknod = mknod_;
    ops->mkdir = mkdir_;
    ops->unlink = unlink_;
    ops->rmdir = rmdir_;
    ops->symlink = symlink_;
    ops->rename = rename_;
    ops->link = link_;
    ops->create = create;
    ops->forget_multi = forget_multi;
}
