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

/* The marker, locked or not: fd or negative. */
static int open_marker(const char *store)
{
    char *path = mem_printf("%s/skeinfs", store);
    /* (who owns the STORE may have put a fifo there: nobody shall wait at it) */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        fd = -errno;
        fail(fd, "%s: %s", path, fail_name(fd));
    }
    free(path);
    return fd;
}

/* ---- locks on the marker: a file that may only be read takes shared ones only. Each daemon locks
 * the byte whose number is its pid, so that who waits for one never waits for the next. */

/* Who holds one of the bytes from..from+len (len 0: all behind it); 0: nobody. Asking takes no
 * lock. */
static pid_t marker_holder(int fd, off_t from, off_t len)
{
    struct flock held = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = from, .l_len = len};
    if (fcntl(fd, F_OFD_GETLK, &held) < 0 || held.l_type == F_UNLCK)
        return 0;
    return (pid_t)held.l_start;
}

static int lock_marker(int fd, const char *store)
{
    struct flock mine = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = getpid(), .l_len = 1};
    pid_t other = marker_holder(fd, 0, 0);
    if (other)
        return fail(-EWOULDBLOCK,
                    "%s: mounted read-only by process %ld; a store is mounted once at a time",
                    store, (long)other);
    if (fcntl(fd, F_OFD_SETLK, &mine) < 0)
        return fail(-errno, "%s/skeinfs: %s", store, fail_name(-errno));
    return 0;
}

static int begin_read_only(struct status *s, const char *store)
{
    s->fd = open_marker(store);
    int r = s->fd < 0 ? s->fd : lock_marker(s->fd, store);
    if (r < 0 && s->fd >= 0)
        close(s->fd);
    if (r < 0)
        s->fd = -1;
    return r;
}

int status_begin(struct status *s, const char *store, bool read_only)
{
    s->read_only = read_only;
    if (read_only)
        return begin_read_only(s, store);
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

void status_closing(struct status *s)
{
    if (s->fd >= 0 && !s->read_only)
        write_status(s, "closing", NULL);
}

void status_end(struct status *s, const char *error)
{
    if (s->fd >= 0 && !s->read_only)
        write_status(s, error ? "failed" : "closed", error);
}

/* A locked marker is that of a read-only mount: beside it nobody else has the store. */
int status_open(const char *store, struct status_seen *seen)
{
    char *path = mem_printf("%s/session", store);
    int r = 0;
    seen->fd = open_marker(store);
    seen->reader = seen->fd >= 0 ? marker_holder(seen->fd, 0, 0) : 0;
    if (!seen->reader) {
        status_close(seen);
        seen->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (seen->fd < 0)
            r = fail(-errno, "%s: %s", path, fail_name(-errno));
    }
    free(path);
    return r;
}

void status_close(struct status_seen *seen)
{
    if (seen->fd >= 0)
        close(seen->fd);
    seen->fd = -1;
}

bool status_ended(const struct status_seen *seen)
{
    if (seen->reader)
        return marker_holder(seen->fd, seen->reader, 1) == 0;
    if (flock(seen->fd, LOCK_SH | LOCK_NB) < 0)
        return false;
    flock(seen->fd, LOCK_UN);
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

bool status_is_closing(const struct status_seen *seen)
{
    char text[STATUS_MAX];
    const char *state = seen->reader ? NULL : read_value(seen->fd, "state", text);
    return state && strcmp(state, "closing") == 0 && !status_ended(seen);
}

int status_result(const struct status_seen *seen)
{
    char text[STATUS_MAX];
    if (seen->reader) /* nothing was to be closed */
        return 0;
    const char *state = read_value(seen->fd, "state", text);
    if (state && strcmp(state, "closed") == 0)
        return 0;
    if (state && strncmp(state, "failed ", 7) == 0)
        return fail(-EIO, "%s", state + 7);
    return fail(-EIO, "the daemon ended without closing the store (killed?); the next mount "
                      "recovers what it had acknowledged");
}

pid_t status_pid(const struct status_seen *seen)
{
    char text[STATUS_MAX];
    if (seen->reader)
        return seen->reader;
    const char *pid = read_value(seen->fd, "pid", text);
    return pid ? (pid_t)strtol(pid, NULL, 10) : 0;
}
