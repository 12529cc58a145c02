/* Requests on attributes by name. A size of 0 asks for the length alone. */
#include "reply.h"

static void setxattr_(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                      size_t size, int flags)
{
    reply_status(req, fs_setxattr(fs_of(req), ino, name, value, size, flags));
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

static void getxattr_(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    char *p = size ? reply_buffer(size) : NULL;
    reply_bytes(req, fs_getxattr(fs_of(req), ino, name, p, size), p, size);
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
    reply_status(req, fs_removexattr(fs_of(req), ino, name));
}

void ops_xattr(struct fuse_lowlevel_ops *ops)
{
    ops->setxattr = setxattr_;
    ops->getxattr = getxattr_;
    ops->listxattr = listxattr_;
    ops->removexattr = removexattr_;
}
