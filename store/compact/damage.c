/* See damage.h. */
#include "damage.h"

#include <stdlib.h>

#include "../table/table_cache.h"
#include "../table/table_keys.h"
#include "background.h"

static int read_whole(struct store *s, const struct table_file *f)
{
    struct iter *it = table_cache_iter(s->tables, f->number, f->size, false);
    struct table_keys keys = {.smallest = buf_slice(&f->smallest),
                              .largest = buf_slice(&f->largest)};
    bool right = true;
    for (iter_first(it); right && it->valid && !background_stopping(s); iter_next(it))
        right = table_keys_take(&keys, it->key);
    int rc = it->status;
    if (!right)
        rc = fail(STORE_ECORRUPT, "%s/%06llu.ldb: %s", s->dir, (unsigned long long)f->number,
                  keys.wrong);
    iter_destroy(it);
    table_keys_free(&keys);
    return rc;
}

/* mu NOT held. */
static void mark(struct store *s, struct table_file *f, const char *why)
{
    pthread_mutex_lock(&s->mu);
    if (!f->unreadable) {
        f->unreadable = true;
        s->stats.unreadable_tables++;
        free(s->damage_text);
        s->damage_text = mem_printf("%s", why);
    }
    pthread_mutex_unlock(&s->mu);
    info_log(s, "compaction leaves table %llu as it is: %s", (unsigned long long)f->number, why);
}

/* Whoever could be read this time is innocent; where all could, none is taken again. */
void damage_find(struct store *s, struct compaction *c)
{
    char *first = mem_printf("%s", fail_text());
    int found = 0;
    for (int pass = 0; pass < 2 && found == 0; pass++)
        for (int which = 0; which < 2; which++)
            for (int i = 0; i < c->inputs[which].count; i++) {
                struct table_file *f = c->inputs[which].files[i];
                if (pass == 0 && read_whole(s, f) == 0)
                    continue;
                mark(s, f, pass == 0 ? fail_text() : first);
                found++;
            }
    fail(STORE_ECORRUPT, "%s", first);
    free(first);
}

bool damage_among(const struct compaction *c)
{
    for (int which = 0; which < 2; which++)
        for (int i = 0; i < c->inputs[which].count; i++)
            if (c->inputs[which].files[i]->unreadable)
                return true;
    return false;
}

void damage_note_stuck(struct store *s, bool picked)
{
    s->compaction_stuck =
        !picked && s->stats.unreadable_tables > 0 && !background_running(s) && compaction_needed(s);
    if (s->compaction_stuck)
        pthread_cond_broadcast(&s->background_changed);
}
