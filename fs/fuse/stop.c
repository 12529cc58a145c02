/* The thread that waits for SIGTERM, SIGINT and SIGHUP and then ends the session.
 *
 * First the dirty pages are asked for, and an ordinary unmount follows, while requests are still
 * served: the kernel ends the connection, and with it the loop. Where files are in use this fails;
 * where the mount is also in another place (a bind mount, another mount namespace) the connection
 * goes on. Then the loop is stopped and session.c detaches the mount: who still uses it gets
 * errors, but the daemon never waits for them. */
#include "internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "mountinfo.h"
#include "unmount.h"

static sigset_t stop_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

void session_block_signals(void)
{
    sigset_t set = stop_signals();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

bool stop_still_mounted(const struct session *s)
{
    struct mount_entry e;
    if (s->mount == NULL)
        return true;
    int r = mountinfo_find(s->o->mountpoint, &e);
    if (r < 0)
        return r != -ENOENT;
    bool same = e.id.major == s->mount->major && e.id.minor == s->mount->minor;
    mountinfo_entry_free(&e);
    return same;
}

bool stop_kernel_ended(const struct session *s)
{
    struct pollfd fd = {.fd = fuse_session_fd(s->se)};
    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLERR);
}

/* Makes the kernel write its dirty pages; the loop serves that. */
static void collect_dirty_pages(const struct session *s)
{
    int fd = open(s->o->mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    syncfs(fd);
    close(fd);
}

static void end_session(struct session *s)
{
    if (stop_kernel_ended(s)) /* the loop ends by itself */
        return;
    if (stop_still_mounted(s)) {
        if (atomic_load(&s->ready))
            collect_dirty_pages(s);
        if (unmount_path(s->o->mountpoint) == 0 && stop_kernel_ended(s))
            return;
    }
    loop_stop(s);
}

static void *wait_for_signal(void *arg)
{
    struct session *s = arg;
    struct pollfd fds[] = {
        {.fd = s->signal_fd, .events = POLLIN},
        {.fd = s->quit_fd, .events = POLLIN},
    };
    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    if (fds[1].revents == 0)
        end_session(s);
    return NULL;
}

int stop_start(struct session *s)
{
    sigset_t set = stop_signals();
    int r = 0;
    s->quit_fd = -1;
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (s->signal_fd >= 0)
        s->quit_fd = eventfd(0, EFD_CLOEXEC);
    if (s->quit_fd < 0)
        r = -errno;
    else
        r = -pthread_create(&s->stop_thread, NULL, wait_for_signal, s);
    if (r == 0)
        return 0;
    if (s->signal_fd >= 0)
        close(s->signal_fd);
    if (s->quit_fd >= 0)
        close(s->quit_fd);
    return fail(r, "the thread that waits for signals: %s", fail_name(r));
}

void stop_end(struct session *s)
{
    const uint64_t one = 1;
    ssize_t n = write(s->quit_fd, &one, sizeof one); /* an eventfd's first write cannot fail */
    (void)n;
    pthread_join(s->stop_thread, NULL);
    close(s->signal_fd);
    close(s->quit_fd);
}
