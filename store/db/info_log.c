/* The file LOG: one line for each event, for people. Or the callback of the options, where there is
 * one. */
#include "db.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "info_log.h"

#define INFO_LOG_MAX (1u << 20) /* a longer one of earlier runs becomes LOG.old */

void info_log_open(struct store *s)
{
    char *path = name_info_log(s->dir), *old = mem_printf("%s.old", path);
    uint64_t size = 0;
    if (s->options.log == NULL && !s->options.read_only &&
        env_open(s->env, path, ENV_WRITE | ENV_CREATE, &s->info_file) == 0) {
        env_size(s->env, s->info_file, &size);
        if (size > INFO_LOG_MAX && env_rename(s->env, path, old) == 0) {
            env_close(s->env, s->info_file);
            s->info_file = NULL;
            size = 0;
            if (env_open(s->env, path, ENV_WRITE | ENV_CREATE, &s->info_file))
                s->info_file = NULL;
        }
        s->info_end = size;
    }
    free(path);
    free(old);
}

void info_log_close(struct store *s)
{
    if (s->info_file)
        env_close(s->env, s->info_file);
    s->info_file = NULL;
}

void info_log(struct store *s, const char *fmt, ...)
{
    char text[1024], line[1100], when[40] = "";
    struct timespec now;
    struct tm tm;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (s->options.log) {
        s->options.log(s->options.log_arg, text);
        return;
    }
    if (!s->info_file)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    int n = snprintf(line, sizeof line, "%s.%03ldZ %s\n", when, now.tv_nsec / 1000000, text);
    pthread_mutex_lock(&s->info_mu);
    if (env_pwrite(s->env, s->info_file, line, (size_t)n, s->info_end) == 0)
        s->info_end += (uint64_t)n;
    pthread_mutex_unlock(&s->info_mu);
}
