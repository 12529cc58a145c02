/* A mount of one filesystem: from fuse_session_new to the last answer. Called by fs/cmd alone, once
 * in a process.
 *
 * Threads: the caller's thread runs the session; requests are served by threads of its own; one
 * more waits for signals. Signals SIGTERM, SIGINT and SIGHUP must be blocked in every thread
 * (session_block_signals before the first thread is made), because a handler that ran in some other
 * thread could not end the loop. */
#ifndef FS_FUSE_SESSION_H
#define FS_FUSE_SESSION_H

#include "../core/fs.h"

#define SESSION_SUBTYPE "skeinfs"
#define SESSION_FSTYPE "fuse." SESSION_SUBTYPE /* as the mount table shows it */
#define SESSION_MAX_THREADS 1024

/* Whether requests come over io_uring (uring.c). */
enum session_rings {
    SESSION_RINGS_AUTO, /* where the kernel offers it, on a machine with few enough CPUs */
    SESSION_RINGS_ON,   /* where the kernel offers it; else a line says why they do not */
    SESSION_RINGS_OFF,
};

struct session_options {
    const char *source;     /* the STORE's absolute path: the first column of the mount table */
    const char *mountpoint; /* absolute, without symlinks */
    bool read_only;
    bool allow_other;  /* users other than the mount's owner may use it */
    bool allow_root;   /* only root besides the owner; not together with allow_other */
    bool private_mode; /* the kernel checks no access rights: for one user's own mount */
    bool sync_names;   /* a change of names is on stable storage when it is answered */
    bool sync_all;     /* every change is, names included (writes: by the kernel's own fsync) */
    bool writeback;    /* the kernel collects writes in its page cache */
    bool no_xattr;     /* extended attributes, ACLs among them, are not shown: fewer requests */
    bool debug;        /* libfuse logs every request */
    enum session_rings io_uring;
    unsigned threads;  /* at most so many requests at a time; 1 to SESSION_MAX_THREADS */
    const char *flags; /* more mount options for libfuse, separated by commas; NULL: none */
    /* Called once, when the kernel and the session have agreed: from now on the mount answers.
     * A negative result ends the session. */
    int (*ready)(void *arg);
    /* Called once, before that: the mount is made, and this is the number of the kernel's
     * connection (in /sys/fs/fuse/connections; the minor of the mount's st_dev). */
    void (*mounted)(void *arg, unsigned connection);
    void *arg; /* of both; each may be NULL */
    /* One line without a newline; from any thread, after `ready`. Before, lines go into the text of
     * the error that session_run returns. */
    void (*log)(const char *line);
};

void session_options_init(struct session_options *o);

/* Blocks the signals that end a session. Before any thread is started, fs_open included. */
void session_block_signals(void);

/* Mounts, serves until the filesystem is unmounted or a signal comes, and leaves no mount behind.
 * Returns 0 when it was unmounted after `ready`; otherwise, also where the connection was cut from
 * outside, negative with words in fail_text(). The filesystem stays open: closing it is the
 * caller's. */
int session_run(struct fs *fs, const struct session_options *o);

#endif
