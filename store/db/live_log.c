/* Log files that recovery would need now (struct live_log in db.h). */
#include "db.h"

#include <assert.h>
#include <stdlib.h>

#include "../base/on_wait.h"

struct live_log *live_log_create(struct store *s, uint64_t number, int *rc)
{
    char *path = name_log(s->dir, number);
    struct env_file *file = NULL;
    struct live_log *l = NULL;
    *rc = env_open(s->env, path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file);
    if (*rc == 0) {
        l = mem_zalloc(sizeof *l);
        l->refs = 1;
        l->number = number;
        l->file = file;
        log_writer_init(&l->writer, s->env, file);
    } else if (space_lacks(*rc)) {
        env_unlink(s->env, path); /* it may be there, empty */
    }
    free(path);
    return l;
}

void live_log_prepare(struct store *s)
{
    int rc;
    if (s->spare || s->background_error || space_is_low(&s->space))
        return;
    uint64_t number = set_new_number(&s->versions);
    s->spare_comes = true;
    pthread_mutex_unlock(&s->mu);
    struct live_log *l = live_log_create(s, number, &rc);
    pthread_mutex_lock(&s->mu);
    s->spare = l;
    s->spare_comes = false;
    pthread_mutex_unlock(&s->mu);
    pthread_cond_broadcast(&s->background_changed);
    pthread_mutex_lock(&s->mu);
}

/* One that comes is waited for: logs are replayed in the order of their numbers. */
struct live_log *live_log_next(struct store *s, int *rc)
{
    while (s->spare_comes) {
        about_to_wait();
        pthread_cond_wait(&s->background_changed, &s->mu);
    }
    struct live_log *l = s->spare;
    *rc = 0;
    s->spare = NULL;
    if (l)
        return l;
    uint64_t number = set_new_number(&s->versions);
    pthread_mutex_unlock(&s->mu);
    about_to_wait();
    l = live_log_create(s, number, rc);
    pthread_mutex_lock(&s->mu);
    return l;
}

void live_log_drop_spare(struct store *s)
{
    struct live_log *l = s->spare;
    if (!l)
        return;
    char *path = name_log(s->dir, l->number);
    s->spare = NULL;
    pthread_mutex_lock(&s->mu);
    live_log_unref(s, l);
    pthread_mutex_unlock(&s->mu);
    env_unlink(s->env, path); /* else it is replayed, empty as it is */
    free(path);
}

void live_log_unref(struct store *s, struct live_log *l)
{
    assert(l->refs > 0);
    if (--l->refs > 0)
        return;
    pthread_mutex_unlock(&s->mu); /* closing a file that was deleted frees its space */
    log_writer_free(&l->writer);  /* its window first */
    env_close(s->env, l->file);
    free(l);
    pthread_mutex_lock(&s->mu);
}

void live_log_drop(struct store *s, uint64_t keep_from)
{
    while (s->logs && s->logs != s->log && s->logs->number < keep_from) {
        struct live_log *l = s->logs;
        char *path = name_log(s->dir, l->number);
        s->logs = l->next;
        pthread_mutex_unlock(&s->mu);
        if (env_unlink(s->env, path))
            info_log(s, "cannot delete a log that is in tables: %s", fail_text());
        pthread_mutex_lock(&s->mu);
        live_log_unref(s, l);
        free(path);
    }
}
