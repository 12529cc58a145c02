/* Requests on the data of files: open, read, write, fsync.
 *
 * There is no state per open file. OPEN and FLUSH are answered with ENOSYS, whereupon the kernel
 * sends no more of them: an open costs no request, O_TRUNC arrives as SETATTR (init.c refuses
 * ATOMIC_O_TRUNC), and a removed file lives until the kernel forgets its inode. The kernel hands a
 * file's dirty pages over at close() without FLUSH too. */
#include "reply.h"
#include "uring.h"

#include <fcntl.h>

static void open_(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    (void)fi;
    fuse_reply_err(req, ENOSYS);
}

/* Is it an access? Not for one with O_NOATIME; nor where the kernel reads a page only to write a
 * part of it (`writeback`), which shows where the file is not open to read. */
static bool is_access(const struct fuse_file_info *fi)
{
    return (fi->flags & O_ACCMODE) != O_WRONLY && !(fi->flags & O_NOATIME);
}

static void read_(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    char *p = uring_reply_buffer(size); /* of a read nothing is needed any more */
    if (p == NULL)
        p = reply_buffer(size);
    ssize_t n = fs_read(fs_of(req), ino, p, size, (uint64_t)off);
    if (n > 0 && is_access(fi))
        fs_accessed(fs_of(req), ino);
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

/* fdatasync as well: data and attributes are in one log, and all there is to leave out is an access
 * time that is in memory only. */
static void fsync_(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)fi;
    if (!datasync)
        fs_store_atime(fs_of(req), ino);
    reply_after_sync(req, ino, false);
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
