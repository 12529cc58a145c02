/* The file STORE/session: see status.h. */
#include "status.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "../../store/base/buf.h"
#include "../../store/base/error.h"

#define STATUS_MAX 8192 /* bytes that are looked at */

static int write_status(const struct status *s, const char *state, const char *words)
{
    char *text = mem_printf("pid %ld\nstate %s%s%s\n", (long)getpid(), state, words ? " " : "",
                            words ? words : "");
    size_t len = strlen(text);
    int r = 0;
    if (pwrite(s->fd, text, len, 0) != (ssize_t)len || ftruncate(s->fd, (off_t)len) < 0)
        r = errno ? -errno : -EIO;
    free(text);
    return r;
}

int status_begin(struct status *s, const char *store)
{
    char *path = mem_printf("%s/session", store), *fresh = mem_printf("%s.new", path);
    int r = 0;
    unlink(fresh); /* of a daemon that was killed right here */
    s->fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (s->fd < 0 || flock(s->fd, LOCK_EX | LOCK_NB) < 0)
        r = -errno;
    if (r == 0)
        r = write_status(s, "mounted", NULL);
    if (r == 0 && rename(fresh, path) < 0)
        r = -errno;
    if (r < 0) {
        fail(r, "%s: %s", path, fail_name(r));
        if (s->fd >= 0)
            close(s->fd);
        s->fd = -1;
    }
    free(path);
    free(fresh);
    return r;
}

void status_end(struct status *s, const char *error)
{
    if (s->fd >= 0)
        write_status(s, error ? "failed" : "closed", error);
}

int status_open(const char *store)
{
    char *path = mem_printf("%s/session", store);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fd = -errno;
        fail(fd, "%s: %s", path, fail_name(fd));
    }
    free(path);
    return fd;
}

bool status_ended(int fd)
{
    if (flock(fd, LOCK_SH | LOCK_NB) < 0)
        return false;
    flock(fd, LOCK_UN);
    return true;
}

/* The value of the line that begins with `word`, in text[]; NULL where there is none. */
static const char *read_value(int fd, const char *word, char text[STATUS_MAX])
{
    ssize_t n = pread(fd, text, STATUS_MAX - 1, 0);
    size_t len = strlen(word);
    char *rest = NULL;
    if (n <= 0)
        return NULL;
    text[n] = '\0';
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, word, len) == 0 && line[len] == ' ')
            return line + len + 1;
    }
    return NULL;
}

int status_result(int fd)
{
    char text[STATUS_MAX];
    const char *state = read_value(fd, "state", text);
    if (state && strcmp(state, "closed") == 0)
        return 0;
    if (state && strncmp(state, "failed ", 7) == 0)
        return fail(-EIO, "%s", state + 7);
    return fail(-EIO, "the daemon ended without closing the store (killed?); the next mount "
                      "recovers what it had acknowledged");
}

pid_t status_pid(int fd)
{
    char text[STATUS_MAX];
    const char *pid = read_value(fd, "pid", text);
    return pid ? (pid_t)strtol(pid, NULL, 10) : 0;
}
