/* What every operation needs: the filesystem of a request, the one answer it gets, a buffer for it.
 *
 * Rule: a handler answers its request exactly once, also on every error path, and touches the
 * request no more afterwards. Handlers run in any of the loop's threads, side by side. */
#ifndef FS_FUSE_REPLY_H
#define FS_FUSE_REPLY_H

#include "internal.h"

/* This mount is the only way to the store, so what the kernel knows stays true until the kernel
 * itself changes it: names, attributes and missing names are cached for a year. */
#define REPLY_TIMEOUT (365.0 * 24 * 3600)

static inline struct fs *fs_of(fuse_req_t req)
{
    return ((struct session *)fuse_req_userdata(req))->fs;
}

/* The positive errno that FUSE wants; codes that errno lacks are I/O errors. */
static inline int reply_errno(int r)
{
    return r > -4096 ? -r : EIO;
}

/* Answers with success (0) or the error r. */
static inline void reply_status(fuse_req_t req, int r)
{
    fuse_reply_err(req, r < 0 ? reply_errno(r) : 0);
}

/* How long the kernel may keep the attributes. Of allow_root the kernel knows nothing: to it the
 * mount is everybody's, and libfuse refuses strangers what they ask for. So they have to ask: for
 * the attributes of each folder on the way to whatever the kernel has in memory. */
static inline double reply_attr_timeout(fuse_req_t req, const struct stat *st)
{
    const struct session *s = fuse_req_userdata(req);
    return s->o->allow_root && S_ISDIR(st->st_mode) ? 0 : REPLY_TIMEOUT;
}

/* Numbers are never used twice, so the generation only tells filesystems apart; the kernel wants
 * none for the root. */
static inline struct fuse_entry_param reply_entry_of(fuse_req_t req, const struct stat *st)
{
    return (struct fuse_entry_param){
        .ino = st->st_ino,
        .generation = st->st_ino == FS_ROOT ? 0 : fs_generation(fs_of(req)),
        .attr = *st,
        .attr_timeout = reply_attr_timeout(req, st),
        .entry_timeout = REPLY_TIMEOUT,
    };
}

/* Answers with the entry, whose reference the kernel takes over, or with the error r. An answer
 * that did not arrive (the connection is gone) leaves the reference here: it is given back. */
static inline void reply_entry(fuse_req_t req, int r, const struct stat *st)
{
    struct fs *fs = fs_of(req);
    struct fuse_entry_param e;
    if (r < 0) {
        reply_status(req, r);
        return;
    }
    e = reply_entry_of(req, st);
    if (fuse_reply_entry(req, &e) < 0)
        fs_forget(fs, st->st_ino, 1);
}

static inline void reply_attr(fuse_req_t req, int r, const struct stat *st)
{
    if (r < 0)
        reply_status(req, r);
    else
        fuse_reply_attr(req, st, reply_attr_timeout(req, st));
}

/* A change of the names in a directory, or of an inode's attributes or data, ended with r: with the
 * mount options `sync` and `dirsync` a success counts once it is on stable storage. (Of all calls
 * the kernel syncs writes alone.) Returns r, or the error of the sync. */
static inline int reply_names_synced(fuse_req_t req, fuse_ino_t dir, int r)
{
    const struct session *s = fuse_req_userdata(req);
    return r == 0 && (s->o->sync_names || s->o->sync_all) ? fs_sync_inode(s->fs, dir) : r;
}

static inline int reply_inode_synced(fuse_req_t req, fuse_ino_t ino, int r)
{
    const struct session *s = fuse_req_userdata(req);
    return r == 0 && s->o->sync_all ? fs_sync_inode(s->fs, ino) : r;
}

/* Answers once the inode's changes are on stable storage; the thread serves other requests
 * meanwhile. `urgent`: programs stand behind this request in the kernel. */
void reply_after_sync(fuse_req_t req, fuse_ino_t ino, bool urgent);
/* Returns when each of those is answered. Requires: no more begin, and somebody leads their flush.
 */
void reply_await_syncs(struct session *s);

/* At least `size` bytes for an answer, the same ones for the thread's next request; never NULL. */
char *reply_buffer(size_t size);

#endif
