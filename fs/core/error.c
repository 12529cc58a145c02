/* Time, the log, and how the store's errors look from outside. */
#include <stdarg.h>
#include <stdio.h>

#include "fs_internal.h"

/* The coarse clock: the kernel stamps with it too, so that a file's first write does not seem to
 * change its times. */
struct timespec fs_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    return t;
}

void fs_log(struct fs *fs, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (fs->options.log)
        fs->options.log(fs->options.log_arg, line);
    else
        fprintf(stderr, "skeinfs: %s\n", line);
}

int store_errno(int rc)
{
    return rc == STORE_ECORRUPT || rc == STORE_EFORMAT ? -EIO : rc;
}

int fs_error(struct fs *fs, uint64_t ino, int rc)
{
    if (rc != STORE_ECORRUPT && rc != STORE_EFORMAT)
        return rc;
    char *why = mem_printf("%s", fail_text());
    struct node *n = node_pin(fs, ino);
    if (n) {
        pthread_mutex_lock(&n->mu);
        fs_log(fs, "damaged data of inode %llu (%s): %s", (unsigned long long)ino,
               n->home_name     ? n->home_name
               : ino == FS_ROOT ? "/"
                                : "a file with several links",
               why);
        pthread_mutex_unlock(&n->mu);
        node_unpin(fs, n);
    } else {
        fs_log(fs, "damaged data of inode %llu: %s", (unsigned long long)ino, why);
    }
    free(why);
    return -EIO;
}
