/* See guard.h. */
#include "guard.h"

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

/* By the connection's own file, which belongs to whoever mounted; or, where nobody has mounted
 * those, as root's umount -f does it. */
static void cut(unsigned connection, const char *mountpoint)
{
    char path[64];
    snprintf(path, sizeof path, "/sys/fs/fuse/connections/%u/abort", connection);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "1", 1) != 1)
        umount2(mountpoint, MNT_FORCE | UMOUNT_NOFOLLOW);
}

static void cut_mount(const char *mountpoint, const char *store)
{
    struct mount_entry e;
    if (mountinfo_find(mountpoint, &e) < 0)
        return;
    if (strcmp(e.fstype, SESSION_FSTYPE) == 0 && strcmp(e.source, store) == 0)
        cut(e.id.minor, mountpoint);
    mountinfo_entry_free(&e);
}

/* The parent-death signal comes when the daemon's first thread has ended, though another hangs; the
 * pidfd is readable only when all have. */
static void watch(pid_t daemon, const char *mountpoint, const char *store)
{
    sigset_t set;
    int signal, ended = (int)syscall(SYS_pidfd_open, daemon, 0);
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    setsid();           /* a signal to the daemon's group is not for it */
    if (chdir("/") < 0) /* it keeps no filesystem busy, as the daemon */
        return;
    if (ended < 0 || dup2(ended, 0) != 0 || syscall(SYS_close_range, 1u, ~0u, 0u) != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGUSR1) != 0 || getppid() != daemon)
        return;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigwait(&set, &signal);
    struct pollfd fd = {.fd = 0, .events = POLLIN};
    if (poll(&fd, 1, PATIENCE_MS) == 0)
        cut_mount(mountpoint, store);
}

pid_t guard_start(const char *mountpoint, const char *store)
{
    pid_t daemon = getpid(), guard = fork();
    if (guard != 0)
        return guard;
    watch(daemon, mountpoint, store);
    _exit(0);
}

void guard_end(pid_t guard)
{
    if (guard < 0)
        return;
    kill(guard, SIGKILL);
    waitpid(guard, NULL, 0);
}
