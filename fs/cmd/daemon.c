/* Going to the background: see daemon.h. */
#include "daemon.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>
#include "../../store/base/error.h"
#include "cmd.h"

static atomic_bool detached; /* stderr is the terminal's no more */

/* One byte: the mount answers. The end of the pipe: the child is ending, and has said why. */
static int wait_for_child(pid_t pid, int fd)
{
    char byte;
    int status;
    ssize_t n;
    while ((n = read(fd, &byte, 1)) < 0 && errno == EINTR)
        ;
    if (n == 1)
        return EXIT_OK;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return EXIT_FAILED;
    }
    if (WIFSIGNALED(status)) {
        say("the daemon (pid %ld) was ended by signal %d (%s) before the mount answered", (long)pid,
            WTERMSIG(status), strsignal(WTERMSIG(status)));
        return EXIT_FAILED;
    }
    return WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

bool daemon_start(struct daemon *d, bool foreground, int *exit_code)
{
    int ends[2];
    pid_t pid;
    d->parent = -1;
    if (foreground)
        return true;
    if (pipe2(ends, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
        say("cannot start the daemon: %s", strerror(errno));
        *exit_code = EXIT_FAILED;
        return false;
    }
    if (pid > 0) {
        close(ends[1]);
        *exit_code = wait_for_child(pid, ends[0]);
        return false;
    }
    close(ends[0]);
    d->parent = ends[1];
    setsid(); /* the terminal's Ctrl-C and hang-up are not meant for the daemon */
    return true;
}

int daemon_ready(struct daemon *d)
{
    if (d->parent < 0)
        return 0;
    if (write(d->parent, "", 1) != 1)
        return fail(-EPIPE, "the command that started this mount was interrupted");
    close(d->parent);
    d->parent = -1;
    openlog("skeinfs", LOG_PID, LOG_DAEMON);
    atomic_store(&detached, true);
    /* Whoever reads the command's output through a pipe sees its end only when it is closed here.
     */
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        for (int fd = 0; fd <= 2; fd++)
            dup2(null, fd);
        if (null > 2)
            close(null);
    }
    return 0;
}

void daemon_log(const char *line)
{
    if (atomic_load(&detached))
        syslog(LOG_ERR, "%s", line);
    else
        say("%s", line);
}
