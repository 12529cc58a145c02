/* What the files of fs/fuse share: the running session, and what each file gives to session.c. */
#ifndef FS_FUSE_INTERNAL_H
#define FS_FUSE_INTERNAL_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 312
#endif
#include <fuse_lowlevel.h>

#include <pthread.h>
#include <stdatomic.h>
#include "session.h"

/* The userdata of every request. Everything but the atomics is constant while requests are served.
 */
struct session {
    struct fs *fs;
    const struct session_options *o;
    struct fuse_session *se;
    struct mount_id *mount; /* which line of the mount table is ours; NULL: not known */
    atomic_bool ready;      /* INIT was answered and options.ready succeeded */
    int loop_fd;            /* an eventfd: wakes the loop when it shall end */
    atomic_uint syncs;      /* fsyncs that are not answered yet (reply.c) */

    pthread_t stop_thread;
    int signal_fd;
    int quit_fd; /* an eventfd: the loop has ended, the thread shall too */
};

/* loop.c */
/* Serves requests until the kernel ends the connection or loop_stop is called. 0 or negative. */
int loop_run(struct session *s);
/* Ends loop_run after the requests that are being served. From any thread. */
void loop_stop(struct session *s);
/* The same, and loop_run returns the error. From a thread that serves requests. */
void loop_fail(int error);
/* A thread that serves a request calls the one before it waits: another thread may read on. And the
 * other when it has waited, before it answers: where nobody else had to, it reads on itself. In
 * other threads they do nothing. */
void loop_about_to_wait(void);
void loop_has_waited(void);
/* An answer on its way out: true where the reader keeps it, and sends it a little later. */
bool loop_holds(const struct iovec *iov, int count);
/* For a thread that serves a request and would wait for other requests: is there one to serve
 * them? */
bool loop_others_serve(void);

/* stop.c: a thread that unmounts when a signal asks for it. */
int stop_start(struct session *s);
void stop_end(struct session *s);
/* Is the mount still where it was made? (A lazy unmount, or another mount on top: no.) */
bool stop_still_mounted(const struct session *s);
/* Has the kernel closed the connection, because the last use of the mount is gone? */
bool stop_kernel_ended(const struct session *s);

/* init.c */
void init_negotiate(void *userdata, struct fuse_conn_info *conn);
/* After fuse_session_mount: lets INIT's answer carry flags that this libfuse cannot send. */
int init_patch_install(struct session *s);

/* ops_*.c: each fills in its operations. */
void ops_names(struct fuse_lowlevel_ops *ops);
void ops_attr(struct fuse_lowlevel_ops *ops);
void ops_data(struct fuse_lowlevel_ops *ops);
void ops_space(struct fuse_lowlevel_ops *ops);
void ops_dir(struct fuse_lowlevel_ops *ops);
void ops_xattr(struct fuse_lowlevel_ops *ops);

#endif
