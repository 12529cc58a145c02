/* What the session and the kernel agree on when the mount begins (FUSE's INIT).
 *
 * Two things libfuse before 3.17 never sends, whatever one asks for:
 *   PARALLEL_DIROPS      without it the kernel lets only one lookup or readdir at a time into a
 *                        directory;
 *   HANDLE_KILLPRIV_V2   without it the kernel asks for security.capability before every write.
 * With it, taking suid and sgid away is our duty: ops_attr.c, ops_data.c. So its answer to INIT is
 * amended on the way to the kernel, in functions of our own for read and writev: they watch for the
 * one INIT request, and afterwards only pass on; answers to requests that came over io_uring
 * (uring.c, which INIT agrees on as well) turn off there. */
#include "internal.h"

#include <assert.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "uring.h"
#include "uring_abi.h"

#define MAX_WRITE (1u << 20)
#define MAX_BACKGROUND 64 /* reads ahead and collected writes that may be under way at a time */

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
#define CAN(conn, flag) fuse_get_feature_flag(conn, flag)
#define WANT(conn, flag) fuse_set_feature_flag(conn, flag)
#define REFUSE(conn, flag) fuse_unset_feature_flag(conn, flag)
#else
#define CAN(conn, flag) (((conn)->capable & (flag)) != 0)
#define WANT(conn, flag) ((conn)->want |= (flag))
#define REFUSE(conn, flag) ((conn)->want &= ~(unsigned)(flag))
#endif

void init_negotiate(void *userdata, struct fuse_conn_info *conn)
{
    struct session *s = userdata;
    static const unsigned wanted[] = {
        FUSE_CAP_ASYNC_READ,
        FUSE_CAP_ASYNC_DIO,
        FUSE_CAP_PARALLEL_DIROPS,
        FUSE_CAP_READDIRPLUS,
        FUSE_CAP_CACHE_SYMLINKS,
        FUSE_CAP_EXPORT_SUPPORT, /* LOOKUP of "." and "..": file handles */
#ifdef FUSE_CAP_HANDLE_KILLPRIV_V2
        FUSE_CAP_HANDLE_KILLPRIV_V2,
#endif
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (CAN(conn, wanted[i]))
            WANT(conn, wanted[i]);
    }
    REFUSE(conn, FUSE_CAP_ATOMIC_O_TRUNC);  /* there is no OPEN that could truncate */
    REFUSE(conn, FUSE_CAP_AUTO_INVAL_DATA); /* nobody changes data behind the kernel's back */
    /* ls -l, find and du read many names before they look at the first one: the kernel would
     * conclude that nobody wants the attributes, and ask for each. */
    REFUSE(conn, FUSE_CAP_READDIRPLUS_AUTO);
    REFUSE(conn, FUSE_CAP_SPLICE_READ); /* the data goes to and from memory */
    REFUSE(conn, FUSE_CAP_SPLICE_WRITE);
    REFUSE(conn, FUSE_CAP_SPLICE_MOVE);
    REFUSE(conn, FUSE_CAP_HANDLE_KILLPRIV); /* V2 is meant; that of the older one is not done */
    if (s->o->writeback && CAN(conn, FUSE_CAP_WRITEBACK_CACHE))
        WANT(conn, FUSE_CAP_WRITEBACK_CACHE);
    if (CAN(conn, FUSE_CAP_DONT_MASK)) /* a default ACL takes the umask's place: core/make.c */
        WANT(conn, FUSE_CAP_DONT_MASK);
    /* The kernel judges by ACLs wherever it judges at all, and may ask for them. */
    if (!s->o->private_mode && !s->o->no_xattr && CAN(conn, FUSE_CAP_POSIX_ACL))
        WANT(conn, FUSE_CAP_POSIX_ACL);
    conn->max_write = MAX_WRITE;
    conn->max_background = MAX_BACKGROUND;
    conn->congestion_threshold = MAX_BACKGROUND * 3 / 4;
    conn->time_gran = 1;
    /* The answer follows this function at once, and the kernel holds all other requests back until
     * it is there. */
    if (s->o->ready == NULL || s->o->ready(s->o->arg) == 0)
        atomic_store(&s->ready, true);
    else
        fuse_session_exit(s->se);
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
    if (s->o->io_uring == SESSION_RINGS_ON && s->o->log)
        s->o->log("option 'io_uring': not with this libfuse (3.14 to 3.16 can be amended for it); "
                  "requests come over /dev/fuse");
#endif
}

#if FUSE_VERSION < FUSE_MAKE_VERSION(3, 17)

/* The number of the INIT request that waits for its answer; 0: none (FUSE's numbers begin at 2). */
static _Atomic uint64_t init_unique;
static _Atomic uint32_t init_offered; /* the flags that it offers */
static _Atomic uint32_t init_offered2;

static ssize_t watch_read(int fd, void *p, size_t size, void *userdata)
{
    struct fuse_in_header head;
    struct fuse_init_in in;
    ssize_t n = read(fd, p, size);
    (void)userdata;
    if (n < (ssize_t)sizeof head)
        return n;
    memcpy(&head, p, sizeof head);
    if (head.opcode == FUSE_INIT && n >= (ssize_t)(sizeof head + sizeof in)) {
        memcpy(&in, (char *)p + sizeof head, sizeof in);
        atomic_store(&init_offered, in.flags);
        atomic_store(&init_offered2, in.flags & FUSE_INIT_EXT ? in.flags2 : 0);
        atomic_store(&init_unique, head.unique);
    }
    return n;
}

/* Are requests to come over io_uring? Then all is ready for that. */
static bool prepare_rings(struct session *s, const struct fuse_init_out *out)
{
    enum session_rings wanted = s->o->io_uring;
    bool offered = atomic_load(&init_offered2) & URING_ABI_FLAG2;
    if (wanted == SESSION_RINGS_OFF || (wanted == SESSION_RINGS_AUTO && !uring_is_cheap()))
        return false;
    int r = offered ? uring_prepare(s, out->max_write) : 0;
    if (offered && r == 0)
        return true;
    if (wanted == SESSION_RINGS_AUTO || s->o->log == NULL)
        return false;
    char *line = mem_printf("option 'io_uring': %s; requests come over /dev/fuse",
                            offered ? fail_name(r)
                                    : "this kernel does not offer it (Linux 6.14 or newer, with "
                                      "/sys/module/fuse/parameters/enable_uring set to Y)");
    s->o->log(line);
    free(line);
    return false;
}

/* An answer to INIT is a header and a fuse_init_out; an error, or one of an older format, has less.
 */
static ssize_t amend_init(struct session *s, int fd, const struct iovec *iov, int count)
{
    char bytes[sizeof(struct fuse_out_header) + sizeof(struct fuse_init_out)];
    struct fuse_out_header head;
    struct fuse_init_out out;
    size_t len = 0;
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > sizeof bytes - len)
            return writev(fd, iov, count);
        memcpy(bytes + len, iov[i].iov_base, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    memcpy(&head, bytes, sizeof head);
    if (len != sizeof bytes || head.error != 0)
        return writev(fd, iov, count);
    memcpy(&out, bytes + sizeof head, sizeof out);
    out.flags |= atomic_load(&init_offered) & (FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV_V2);
    bool rings = prepare_rings(s, &out);
    if (rings) {
        out.flags |= FUSE_INIT_EXT;
        out.flags2 |= URING_ABI_FLAG2;
    }
    memcpy(bytes + sizeof head, &out, sizeof out);
    ssize_t n = write(fd, bytes, len);
    if (rings)
        uring_begin(); /* until then the kernel holds all requests back */
    return n;
}

static ssize_t length(const struct iovec *iov, int count)
{
    size_t n = 0;
    for (int i = 0; i < count; i++)
        n += iov[i].iov_len;
    return (ssize_t)n;
}

static ssize_t watch_writev(int fd, struct iovec *iov, int count, void *userdata)
{
    uint64_t waiting = atomic_load_explicit(&init_unique, memory_order_relaxed);
    assert(count > 0 && iov[0].iov_len >= sizeof(struct fuse_out_header));
    loop_has_waited();
    if (uring_reply(iov, count))
        return length(iov, count);
    if (waiting != 0) {
        struct fuse_out_header head;
        memcpy(&head, iov[0].iov_base, sizeof head);
        if (head.unique == waiting) {
            atomic_store(&init_unique, 0);
            return amend_init(userdata, fd, iov, count);
        }
    }
    return loop_holds(iov, count) ? length(iov, count) : writev(fd, iov, count);
}

int init_patch_install(struct session *s)
{
    static const struct fuse_custom_io io = {.writev = watch_writev, .read = watch_read};
    int r = fuse_session_custom_io(s->se, &io, fuse_session_fd(s->se));
    return r < 0 ? fail(r, "libfuse: fuse_session_custom_io: %s", fail_name(r)) : 0;
}

#else

int init_patch_install(struct session *s)
{
    (void)s;
    return 0;
}

#endif
