/* Log files that recovery would need now (struct live_log in db.h). */
#include "db.h"

#include <assert.h>
#include <stdlib.h>

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
