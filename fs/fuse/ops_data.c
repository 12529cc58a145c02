/* Requests on the data of files: open, read, write, fsync.
 *
 * There is no state per open file. OPEN and FLUSH are answered with ENOSYS, whereupon the kernel
 * sends no more of them: an open costs no request, O_TRUNC arrives as SETATTR (init.c refuses
 * ATOMIC_O_TRUNC), and a removed file lives until the kernel forgets its inode. The kernel hands a
 * file's dirty pages over at close() without FLUSH too. */
#include "reply.h"

static void open_(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    (void)fi;
    fuse_reply_err(req, ENOSYS);
}

static void read_(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    char *p = reply_buffer(size);
    (void)fi;
    ssize_t n = fs_read(fs_of(req), ino, p, size, (uint64_t)off);
    if (n < 0)
        reply_status(req, (int)n);
    else
        fuse_reply_buf(req, p, (size_t)n);
}

/* An ordinary user's write takes suid and sgid away. The kernel has asked for that before, by
 * SETATTR, where it knew of them. Pages that it collected and writes later (writepage) come without
 * a user. */
static void write_(fuse_req_t req, fuse_ino_t ino, const char *p, size_t size, off_t off,
                   struct fuse_file_info *fi)
{
    bool kill_priv = fuse_req_ctx(req)->uid != 0 && !fi->writepage;
    int r = fs_write(fs_of(req), ino, p, size, (uint64_t)off, kill_priv);
    if (r < 0)
        reply_status(req, r);
    else
        fuse_reply_write(req, size);
}

static void flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    (void)fi;
    fuse_reply_err(req, ENOSYS);
}

static void release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    (void)fi;
    fuse_reply_err(req, 0);
}

/* fdatasync as well: data and attributes are in one log, there is nothing to leave out. */
static void fsync_(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)datasync;
    (void)fi;
    reply_after_sync(req, ino);
}

void ops_data(struct fuse_lowlevel_ops *ops)
{
    ops->open = open_;
    ops->read = read_;
    ops->write = write_;
    ops->flush = flush;
    ops->release = release;
    ops->fsync = fsync_;
}
