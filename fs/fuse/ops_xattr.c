/* Requests on attributes by name. A size of 0 asks for the length alone. */
#include "reply.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* May this caller keep sgid on a file of this group? The kernel has an answer, but libfuse 3.14
 * does not pass it on. Supplementary groups are in /proc: asked for only where it matters. */
static bool is_in_group(fuse_req_t req, gid_t gid)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(req);
    gid_t groups[1024];
    if (ctx->uid == 0 || ctx->gid == gid)
        return true;
    int n = fuse_req_getgroups(req, sizeof groups / sizeof *groups, groups);
    for (int i = 0; i < n && i < (int)(sizeof groups / sizeof *groups); i++)
        if (groups[i] == gid)
            return true;
    return false;
}

static int acl_flags(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    struct stat st;
    if (strcmp(name, "system.posix_acl_access") != 0 || fs_getattr(fs_of(req), ino, &st) != 0)
        return 0;
    return (st.st_mode & S_ISGID) && !is_in_group(req, st.st_gid) ? FS_XATTR_KILL_SGID : 0;
}

static void setxattr_(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                      size_t size, int flags)
{
    flags |= acl_flags(req, ino, name);
    int r = fs_setxattr(fs_of(req), ino, name, value, size, flags);
    reply_status(req, reply_inode_synced(req, ino, r));
}

/* Answers with a length (size 0) or with r bytes of p. */
static void reply_bytes(fuse_req_t req, int r, const char *p, size_t size)
{
    if (r < 0)
        reply_status(req, r);
    else if (size == 0)
        fuse_reply_xattr(req, (size_t)r);
    else
        fuse_reply_buf(req, p, (size_t)r);
}

static bool selinux_is_there;

static void look_for_selinux(void)
{
    selinux_is_there = access("/sys/fs/selinux", F_OK) == 0;
}

/* ls -l asks for the SELinux label of each file, and the kernel keeps no answer to that. Where no
 * SELinux runs, labels are given by nobody, and a file without one says "not supported" instead of
 * "not there": then ls asks the mount no more. */
static int without_label(const char *name, int r)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (r != -ENODATA || strcmp(name, "security.selinux") != 0)
        return r;
    pthread_once(&once, look_for_selinux);
    return selinux_is_there ? r : -EOPNOTSUPP;
}

static void getxattr_(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    char *p = size ? reply_buffer(size) : NULL;
    int r = fs_getxattr(fs_of(req), ino, name, p, size);
    reply_bytes(req, without_label(name, r), p, size);
}

/* The kernel asks for CAP_SYS_ADMIN before trusted. attributes are read, but leaves the list to us;
 * a request says no more of who asks than the user. */
static void listxattr_(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    char *p = size ? reply_buffer(size) : NULL;
    bool trusted = fuse_req_ctx(req)->uid == 0;
    reply_bytes(req, fs_listxattr(fs_of(req), ino, p, size, trusted), p, size);
}

static void removexattr_(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    int r = fs_removexattr(fs_of(req), ino, name);
    reply_status(req, reply_inode_synced(req, ino, r));
}

void ops_xattr(struct fuse_lowlevel_ops *ops)
{
    ops->setxattr = setxattr_;
    ops->getxattr = getxattr_;
    ops->listxattr = listxattr_;
    ops->removexattr = removexattr_;
}
