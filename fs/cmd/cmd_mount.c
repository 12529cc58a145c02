/* `skeinfs mount`: options, paths, the fork, and the daemon's whole life: store open, session,
 * store closed. */
#include "cmd.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "../fuse/guard.h"
#include "../fuse/unmount.h"
#include "daemon.h"
#include "machine.h"
#include "options.h"
#include "paths.h"
#include "status.h"

#define POLL_NS (10 * 1000 * 1000)
#define NOTICES 50 /* polls within which a daemon notices that its mount is gone */

struct mount {
    struct options options;
    char *store, *mountpoint; /* absolute, without symlinks */
    struct daemon daemon;
    struct status status;
    struct guard guard;
};

static int ready(void *arg)
{
    struct mount *m = arg;
    return daemon_ready(&m->daemon);
}

static void mounted(void *arg, unsigned connection)
{
    struct mount *m = arg;
    guard_tell(&m->guard, connection);
}

static void log_line(void *arg, const char *line)
{
    (void)arg;
    daemon_log(line);
}

/* What libfuse would find out later, and say less clearly. */
static int check_machine(void)
{
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        int r = -errno;
        if (r == -ENOENT || r == -ENODEV)
            return fail(r,
                        "/dev/fuse is missing: load the kernel's module (modprobe fuse), or give "
                        "the container that device");
        return fail(r, "/dev/fuse cannot be opened: %s", fail_name(r));
    }
    close(fd);
    if (geteuid() != 0 && !unmount_have_fusermount())
        return fail(-ENOENT, "fusermount3 is missing, and only root can mount without it: install "
                             "the package fuse3");
    return 0;
}

/* Closes what the session leaves; the first error counts. */
static int close_store(struct mount *m, struct fs *fs, int r)
{
    char *first = r < 0 ? mem_printf("%s", fail_text()) : NULL;
    status_closing(&m->status);
    int closed = fs_close(fs);
    if (first == NULL && closed < 0)
        first = mem_printf("closing the store: %s", fail_text());
    status_end(&m->status, first);
    r = first ? fail(r < 0 ? r : closed, "%s", first) : 0;
    free(first);
    return r;
}

/* Puts `what` before the words of the last failure. */
static int fail_in(int r, const char *what)
{
    char *words = mem_printf("%s", fail_text());
    r = fail(r, "%s: %s", what, words);
    free(words);
    return r;
}

/* From the open store to the end of the mount. */
static int serve_mount(struct mount *m, struct fs *fs)
{
    struct session_options *session = &m->options.session;
    session->source = m->store;
    session->mountpoint = m->mountpoint;
    session->ready = ready;
    session->mounted = mounted;
    session->arg = m;
    session->log = daemon_log;
    if (chdir("/") < 0) /* the daemon shall keep no other filesystem busy */
        return fail(-errno, "/: %s", fail_name(-errno));
    int r = status_begin(&m->status, m->store, m->options.fs.read_only);
    if (r < 0)
        return r;
    r = session_run(fs, session);
    return r < 0 ? fail_in(r, m->mountpoint) : 0;
}

/* Blocks and nodes are made by one thread and freed by another; with a heap for each thread, as
 * glibc has it, what cache= and memtable= allow would be taken several times over. */
static void use_one_heap(void)
{
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, 1);
#endif
}

static int point_to_check(const char *store)
{
    char *why = mem_printf("%s", fail_text());
    int r =
        fail(STORE_ECORRUPT, "%s ('skeinfs check --repair %s' makes the best of it)", why, store);
    free(why);
    return r;
}

static bool is_closing(const char *store)
{
    struct status_seen seen;
    bool yes = status_open(store, &seen) == 0 && status_is_closing(&seen);
    status_close(&seen);
    return yes;
}

/* umount(8) returns before the daemon of the mount has closed the store: who mounts again just then
 * waits for that. */
static int open_store(struct mount *m, struct fs **fs)
{
    const struct timespec pause = {.tv_nsec = POLL_NS};
    for (int polls = 0;; polls++) {
        bool last = polls >= NOTICES && !is_closing(m->store);
        int r = fs_open(m->store, &m->options.fs, fs);
        if (r != -EWOULDBLOCK || last)
            return r;
        nanosleep(&pause, NULL);
    }
}

static int serve(struct mount *m)
{
    struct fs *fs = NULL;
    m->status.fd = -1;
    m->options.fs.log = log_line;
    use_one_heap();
    int r = machine_file_limit(&m->options.fs.store);
    if (r == 0)
        r = open_store(m, &fs);
    if (r < 0) {
        machine_advise(r, m->store, true);
        char *what = mem_printf("cannot open the store %s", m->store);
        r = fail_in(r, what);
        free(what);
        return r == STORE_ECORRUPT ? point_to_check(m->store) : r;
    }
    return close_store(m, fs, serve_mount(m, fs));
}

static int prepare(struct mount *m)
{
    int r = paths_mountpoint(m->options.mountpoint, &m->mountpoint);
    if (r == 0)
        r = paths_store(m->options.store, &m->store);
    if (r == 0)
        r = paths_apart(m->store, m->mountpoint);
    return r ? r : check_machine();
}

static int run(struct mount *m)
{
    int code = EXIT_OK;
    if (!daemon_start(&m->daemon, m->options.foreground, &code))
        return code;
    session_block_signals();
    guard_start(&m->guard, m->mountpoint, m->store);
    int r = serve(m);
    guard_end(&m->guard);
    if (r < 0)
        daemon_log(fail_text());
    return r < 0 ? EXIT_FAILED : EXIT_OK;
}

int cmd_mount(int argc, char **argv)
{
    struct mount m = {0};
    int code = EXIT_OK;
    if (options_parse(argc, argv, geteuid() == 0, &m.options) < 0) {
        say("%s", fail_text());
        code = EXIT_USAGE;
    } else if (m.options.help) {
        code = cmd_help(argc, argv);
    } else if (prepare(&m) < 0) {
        say("%s", fail_text());
        code = EXIT_FAILED;
    } else if (!m.options.fake) {
        code = run(&m);
    }
    options_free(&m.options);
    free(m.store);
    free(m.mountpoint);
    return code;
}
