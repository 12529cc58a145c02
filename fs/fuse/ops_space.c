/* Requests on a file's room: fallocate, lseek (SEEK_DATA and SEEK_HOLE), copy_file_range.
 *
 * lseek has a trap: what a program wrote through a shared mapping (or with the option writeback by
 * write) may be in the kernel's pages only, and the kernel asks for holes without handing them
 * over. A program that copies what is no hole would lose it. So before a hole is named, the kernel
 * is told to drop its pages there, which makes it write the dirty ones first; then the hole is
 * looked for again. */
#include "reply.h"
#include "uring.h"

#include <linux/fuse.h>
#include <unistd.h>

static bool kill_priv(fuse_req_t req)
{
    return fuse_req_ctx(req)->uid != 0;
}

static void fallocate_(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
                       struct fuse_file_info *fi)
{
    (void)fi;
    int r = fs_fallocate(fs_of(req), ino, mode, (uint64_t)off, (uint64_t)len, kill_priv(req));
    reply_status(req, reply_inode_synced(req, ino, r));
}

/* ---- lseek */

/* One thread at a time waits for the kernel here, so that others are left to take what it writes.
 */
static pthread_mutex_t dropping = PTHREAD_MUTEX_INITIALIZER;

struct drop_call {
    struct {
        struct fuse_out_header head;
        struct fuse_notify_inval_inode_out what;
    } message;
    int fd;
    bool done;
};

/* The kernel writes its dirty pages of [from, to), and drops all of the range. Written to the
 * device here and not by libfuse: on the way out of libfuse a thread takes the reading of requests
 * back (loop_has_waited), but this call waits for requests that others have to read. */
static void call_write(void *arg)
{
    struct drop_call *c = arg;
    c->done = write(c->fd, &c->message, sizeof c->message) == sizeof c->message;
}

static bool drop_pages(struct session *s, uint64_t ino, uint64_t from, uint64_t to)
{
    struct drop_call c = {
        .fd = fuse_session_fd(s->se),
        .message.head = {.len = sizeof c.message, .error = FUSE_NOTIFY_INVAL_INODE},
        .message.what = {.ino = ino, .off = (int64_t)from, .len = (int64_t)(to - from)},
    };
    if (!loop_others_serve() || pthread_mutex_trylock(&dropping) != 0)
        return false;
    loop_about_to_wait();
    uring_slow_call(call_write, &c);
    loop_has_waited();
    pthread_mutex_unlock(&dropping);
    return c.done;
}

/* The hole at `hole`, or the end of the file: is it one in the kernel's eyes as well? Returns where
 * its first data is. */
static uint64_t end_of_hole(struct fs *fs, uint64_t ino, uint64_t hole, uint64_t size)
{
    int64_t r = fs_seek(fs, ino, hole, SEEK_DATA);
    return r < 0 ? size : (uint64_t)r;
}

/* To say "data" where there is a hole is allowed, and the way out. */
static int64_t seek_data(struct session *s, uint64_t ino, uint64_t off, uint64_t size)
{
    int64_t r = fs_seek(s->fs, ino, off, SEEK_DATA);
    if (off >= size || r == (int64_t)off || (r < 0 && r != -ENXIO))
        return r;
    if (!drop_pages(s, ino, off, r < 0 ? size : (uint64_t)r))
        return (int64_t)off;
    return fs_seek(s->fs, ino, off, SEEK_DATA);
}

static int64_t seek_hole(struct session *s, uint64_t ino, uint64_t off, uint64_t size)
{
    int64_t r = fs_seek(s->fs, ino, off, SEEK_HOLE);
    for (int tries = 0; r >= 0 && (uint64_t)r < size; tries++) {
        uint64_t end = end_of_hole(s->fs, ino, (uint64_t)r, size);
        if (tries == 8 || !drop_pages(s, ino, (uint64_t)r, end))
            return (int64_t)size;
        int64_t again = fs_seek(s->fs, ino, (uint64_t)r, SEEK_HOLE);
        if (again == r)
            break;
        r = again;
    }
    return r;
}

/* With writeback the kernel may know of a larger file than we do: it keeps what was written behind
 * the end, and the new size with it. So what it holds from `off` on has to come first. Where that
 * cannot be done, ENOSYS tells the kernel to answer itself, from now on: its size is right, and
 * everything below it is data. */
static int take_what_is_kept(struct session *s, uint64_t ino, uint64_t off)
{
    return !s->o->writeback || drop_pages(s, ino, off, INT64_MAX) ? 0 : -ENOSYS;
}

static void lseek_(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
    struct session *s = fuse_req_userdata(req);
    struct stat st;
    (void)fi;
    int64_t r = off < 0 ? -ENXIO : take_what_is_kept(s, ino, (uint64_t)off);
    if (r == 0)
        r = fs_getattr(s->fs, ino, &st);
    if (r == 0)
        r = whence == SEEK_DATA ? seek_data(s, ino, (uint64_t)off, (uint64_t)st.st_size)
                                : seek_hole(s, ino, (uint64_t)off, (uint64_t)st.st_size);
    if (r < 0)
        reply_status(req, (int)r);
    else
        fuse_reply_lseek(req, r);
}

static void copy_file_range_(fuse_req_t req, fuse_ino_t from, off_t from_off,
                             struct fuse_file_info *from_fi, fuse_ino_t to, off_t to_off,
                             struct fuse_file_info *to_fi, size_t len, int flags)
{
    (void)from_fi;
    (void)to_fi;
    (void)flags;
    ssize_t n =
        fs_copy(fs_of(req), from, (uint64_t)from_off, to, (uint64_t)to_off, len, kill_priv(req));
    int r = reply_inode_synced(req, to, n < 0 ? (int)n : 0);
    if (r < 0)
        reply_status(req, r);
    else
        fuse_reply_write(req, (size_t)n);
}

void ops_space(struct fuse_lowlevel_ops *ops)
{
    ops->fallocate = fallocate_;
    ops->lseek = lseek_;
    ops->copy_file_range = copy_file_range_;
}
