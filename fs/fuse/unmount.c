/* Taking a mount away: see unmount.h. */
#include "unmount.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../../store/base/buf.h"
#include "../../store/base/error.h"

extern char **environ;

/* All that the pipe gives, as a string in buf[size]; what does not fit is read and dropped, or the
 * writer would wait for ever. */
static void read_words(int fd, char *buf, size_t size)
{
    char more[256];
    size_t len = 0;
    ssize_t n;
    while ((n = read(fd, more, sizeof more)) > 0 || (n < 0 && errno == EINTR)) {
        size_t fits = n > 0 ? (size_t)n : 0;
        if (fits > size - 1 - len)
            fits = size - 1 - len;
        memcpy(buf + len, more, fits);
        len += fits;
    }
    buf[len] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
}

/* fusermount3 says what went wrong in words only: they are caught, and searched for EBUSY's. */
static int run_fusermount(const char *switches, const char *mountpoint)
{
    char words[512] = "";
    char *argv[] = {"fusermount3", (char *)switches, "--", (char *)mountpoint, NULL};
    posix_spawn_file_actions_t actions;
    int ends[2], status = 0, r;
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        r = -errno;
        return fail(r, "pipe: %s", fail_name(r));
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    r = -posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (r < 0) {
        fail(r, "cannot run fusermount3 (Debian's package fuse3): %s", fail_name(r));
        goto out;
    }
    read_words(ends[0], words, sizeof words);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        r = fail(strstr(words, strerror(EBUSY)) ? -EBUSY : -EPERM, "%s",
                 words[0] ? words : "fusermount3 failed");
out:
    close(ends[0]);
    return r;
}

static int unmount(const char *mountpoint, int flags, const char *switches)
{
    if (umount2(mountpoint, flags | UMOUNT_NOFOLLOW) == 0)
        return 0;
    int r = -errno;
    if (r == -EPERM)
        return run_fusermount(switches, mountpoint);
    return fail(r, "%s: %s", mountpoint, fail_name(r));
}

int unmount_path(const char *mountpoint)
{
    return unmount(mountpoint, 0, "-u");
}

int unmount_dead(const char *mountpoint)
{
    return unmount(mountpoint, MNT_DETACH, "-uz");
}

bool unmount_have_fusermount(void)
{
    const char *path = getenv("PATH");
    char *list = mem_printf("%s:/usr/bin:/bin", path ? path : ""), *rest = NULL;
    bool found = false;
    for (char *dir = strtok_r(list, ":", &rest); dir && !found; dir = strtok_r(NULL, ":", &rest)) {
        char *file = mem_printf("%s/fusermount3", dir);
        found = access(file, X_OK) == 0;
        free(file);
    }
    free(list);
    return found;
}
