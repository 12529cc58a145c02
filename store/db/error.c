/* The background error: the first failure after which nothing may be written any more, because what
 * is on disk is no longer known. Reads go on. It ends with the process: opening again recovers what
 * the disk has. */
#include "db.h"

#include <stdlib.h>

#include "../commit/sync.h"

void store_set_error(struct store *s, int code, const char *what)
{
    if (s->background_error == 0) {
        s->background_error = code;
        s->background_text =
            mem_printf("%s failed: %s; what the disk holds of it is unknown, so no more writes are "
                       "taken until the store is opened again (a mount: unmount, mount)",
                       what, fail_text());
        info_log(s, "error: %s", s->background_text);
    }
    pthread_cond_broadcast(&s->background_changed);
    sync_wake_all(s);
}

int store_recall_error(struct store *s, int code)
{
    pthread_mutex_lock(&s->mu);
    if (s->background_error == code && s->background_text)
        fail(code, "%s: %s", s->dir, s->background_text);
    else if (code == -EROFS && s->options.read_only)
        fail(code, "%s: the store was opened read-only", s->dir);
    else if (s->background_error == 0 && code == STORE_ECORRUPT && s->compaction_stuck)
        fail(code,
             "%s: a damaged table keeps level 0 from being compacted, and it is full: no more "
             "writes are taken, and nothing of this one was; close the store and open it with "
             "repair (a mount: unmount, skeinfs check --repair). %s",
             s->dir, s->damage_text);
    else if (s->background_error == 0 && space_lacks(code))
        fail(code,
             "%s: no space left on the disk; nothing of this was written, deletes go on, and so do "
             "writes once there is space",
             s->dir);
    pthread_mutex_unlock(&s->mu);
    return code;
}

int store_background_error(struct store *s)
{
    pthread_mutex_lock(&s->mu);
    int code = s->background_error;
    pthread_mutex_unlock(&s->mu);
    return code;
}
