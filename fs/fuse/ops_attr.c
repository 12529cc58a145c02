/* Requests on attributes: getattr, setattr, readlink, statfs. */
#include "reply.h"

#include <sys/statvfs.h>

static void getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st;
    (void)fi;
    int r = fs_getattr(fs_of(req), ino, &st);
    reply_attr(req, r, &st);
}

static unsigned what_to_set(int to_set)
{
    static const struct {
        int fuse;
        enum fs_set fs;
    } map[] = {
        {FUSE_SET_ATTR_MODE, FS_SET_MODE},
        {FUSE_SET_ATTR_UID, FS_SET_UID},
        {FUSE_SET_ATTR_GID, FS_SET_GID},
        {FUSE_SET_ATTR_SIZE, FS_SET_SIZE},
        {FUSE_SET_ATTR_ATIME, FS_SET_ATIME},
        {FUSE_SET_ATTR_MTIME, FS_SET_MTIME},
        {FUSE_SET_ATTR_CTIME, FS_SET_CTIME},
        {FUSE_SET_ATTR_ATIME_NOW, FS_SET_ATIME_NOW},
        {FUSE_SET_ATTR_MTIME_NOW, FS_SET_MTIME_NOW},
    };
    unsigned what = 0;
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++) {
        if (to_set & map[i].fuse)
            what |= map[i].fs;
    }
    return what;
}

/* Must suid and sgid go, as a write, truncation or chown by somebody without CAP_FSETID demands?
 * Having left that to us (HANDLE_KILLPRIV_V2), the kernel says so with KILL_SUID, or, before a
 * write, with a SETATTR that sets nothing at all: the answer then shows it the mode without them.
 */
static bool must_kill_priv(int to_set)
{
    return to_set == 0 || (to_set & FUSE_SET_ATTR_KILL_SUID);
}

/* ATIME and MTIME are set beside their _NOW; then the time in `in` means nothing. */
static void setattr(fuse_req_t req, fuse_ino_t ino, struct stat *in, int to_set,
                    struct fuse_file_info *fi)
{
    struct stat st;
    unsigned what = what_to_set(to_set);
    (void)fi;
    if (what & FS_SET_ATIME_NOW)
        what &= ~(unsigned)FS_SET_ATIME;
    if (what & FS_SET_MTIME_NOW)
        what &= ~(unsigned)FS_SET_MTIME;
    if (must_kill_priv(to_set))
        what |= FS_SET_KILL_PRIV;
    int r = fs_setattr(fs_of(req), ino, in, what, &st);
    reply_attr(req, reply_inode_synced(req, ino, r), &st);
}

static void readlink_(fuse_req_t req, fuse_ino_t ino)
{
    char target[FS_SYMLINK_MAX + 1];
    int r = fs_readlink(fs_of(req), ino, target, FS_SYMLINK_MAX);
    if (r < 0) {
        reply_status(req, r);
        return;
    }
    target[r] = '\0';
    fs_accessed(fs_of(req), ino);
    fuse_reply_readlink(req, target);
}

static void statfs_(fuse_req_t req, fuse_ino_t ino)
{
    struct statvfs st;
    (void)ino;
    int r = fs_statfs(fs_of(req), &st);
    if (r < 0)
        reply_status(req, r);
    else
        fuse_reply_statfs(req, &st);
}

void ops_attr(struct fuse_lowlevel_ops *ops)
{
    ops->getattr = getattr;
    ops->setattr = setattr;
    ops->readlink = readlink_;
    ops->statfs = statfs_;
}
