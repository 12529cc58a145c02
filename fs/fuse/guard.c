/* See guard.h. */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mountinfo.h"
#include "session.h"

#define PATIENCE_MS 1000 /* a daemon that is killed ends within this time */

/* The file whose writing ends the connection; it belongs to whoever mounted. Negative: nobody has
 * mounted those files. */
static int open_abort(unsigned connection)
{
    char path[64];
    snprintf(path, sizeof path, "/sys/fs/fuse/connections/%u/abort", connection);
    return open(path, O_WRONLY | O_CLOEXEC);
}

static bool cut_by(int abort_fd)
{
    return abort_fd >= 0 && write(abort_fd, "1", 1) == 1;
}

/* Where it was not told, or those files were not there then; at last as root's umount -f does it.
 */
static void cut_by_table(const char *mountpoint, const char *store)
{
    struct mount_entry e;
    if (mountinfo_find(mountpoint, &e) < 0)
        return;
    if (strcmp(e.fstype, SESSION_FSTYPE) == 0 && strcmp(e.source, store) == 0 &&
        !cut_by(open_abort(e.id.minor)))
        umount2(mountpoint, MNT_FORCE | UMOUNT_NOFOLLOW);
    mountinfo_entry_free(&e);
}

/* What the daemon tells; until then, or its end, there is nothing to watch. */
static int hear_abort(int told)
{
    unsigned connection;
    ssize_t n;
    while ((n = read(told, &connection, sizeof connection)) < 0 && errno == EINTR)
        ;
    return n == sizeof connection ? open_abort(connection) : -1;
}

/* The parent-death signal comes when the daemon's first thread has ended, though another hangs; the
 * pidfd is readable only when all have. */
static void watch(pid_t daemon, int told, const char *mountpoint, const char *store)
{
    sigset_t set;
    int signal, ended = (int)syscall(SYS_pidfd_open, daemon, 0);
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    setsid();           /* a signal to the daemon's group is not for it */
    if (chdir("/") < 0) /* it keeps no filesystem busy, as the daemon */
        return;
    /* (both are above 2: main.c has the standard ones taken) */
    if (ended < 0 || dup2(ended, 0) != 0 || dup2(told, 1) != 1 ||
        syscall(SYS_close_range, 2u, ~0u, 0u) != 0 || prctl(PR_SET_PDEATHSIG, SIGUSR1) != 0 ||
        getppid() != daemon)
        return;
    int abort_fd = hear_abort(1);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigwait(&set, &signal);
    struct pollfd fd = {.fd = 0, .events = POLLIN};
    if (poll(&fd, 1, PATIENCE_MS) == 0 && !cut_by(abort_fd))
        cut_by_table(mountpoint, store);
}

void guard_start(struct guard *g, const char *mountpoint, const char *store)
{
    pid_t daemon = getpid();
    int ends[2];
    *g = (struct guard){-1, -1};
    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    g->pid = fork();
    if (g->pid == 0) {
        watch(daemon, ends[0], mountpoint, store);
        _exit(0);
    }
    close(ends[0]);
    g->tell = ends[1];
}

void guard_tell(struct guard *g, unsigned connection)
{
    if (g->tell < 0)
        return;
    ssize_t n = write(g->tell, &connection, sizeof connection);
    (void)n; /* (a guard that is gone hears nothing) */
    close(g->tell);
    g->tell = -1;
}

void guard_end(struct guard *g)
{
    if (g->tell >= 0)
        close(g->tell);
    g->tell = -1;
    if (g->pid < 0)
        return;
    kill(g->pid, SIGKILL);
    waitpid(g->pid, NULL, 0);
}
