/* Memtables into tables: of level 0, or deeper where no table has their keys (place.c). */
#include <assert.h>
#include <stdlib.h>

#include "../commit/room.h"
#include "../commit/sync.h"
#include "background.h"
#include "shadow.h"
#include "table_output.h"

/* What of the memtable some reader may see, into the table: a key that was written over and over
 * (an inode, a counter) goes in once. Deletions stay: what they hide is further down. */
static int fill(struct table_output *o, struct memtable *m)
{
    struct iter *it = memtable_iter(m);
    struct shadow shadow;
    int rc = 0;
    pthread_mutex_lock(&o->store->mu);
    shadow_start(&shadow, o->store);
    pthread_mutex_unlock(&o->store->mu);
    for (iter_first(it); rc == 0 && it->valid; iter_next(it))
        if (!shadow_hides(&shadow, it->key))
            rc = table_output_add(o, it->key, it->value);
    assert(!shadow.disorder);
    iter_destroy(it);
    shadow_end(&shadow);
    return rc;
}

int flush_write_table(struct store *s, struct memtable *m, uint64_t number, struct edit *e)
{
    struct table_output o;
    if (memtable_count(m) == 0)
        return 0;
    int rc = table_output_start(&o, s, number);
    if (rc == 0)
        rc = fill(&o, m);
    if (rc == 0)
        rc = table_output_finish(&o, e, 0);
    if (rc == 0)
        rc = env_sync_dir(s->env, s->dir);
    table_output_end(&o, rc == 0);
    return rc;
}

/* The table of the oldest immutable. What its records refer to comes first: what is in a table is
 * never checked again, and a repair without a MANIFEST takes tables that none named yet. mu NOT
 * held. */
static int write_oldest(struct store *s, struct memtable *m, uint64_t number, struct edit *e)
{
    int rc = beside_sync(s);
    if (rc == 0)
        rc = flush_write_table(s, m, number, e);
    if (rc == 0 && e->added_count > 0)
        rc = table_cache_check(s->tables, number, e->added[0].size);
    return rc;
}

/* Puts the edit in force, with its table where that may go. mu held at entry and exit, let go of
 * meanwhile. */
static int install(struct store *s, struct edit *e)
{
    struct compaction *place = NULL;
    if (e->added_count > 0) {
        struct edit_file *f = &e->added[0];
        place = compaction_place(s, key_user(buf_slice(&f->smallest)),
                                 key_user(buf_slice(&f->largest)));
        f->level = place ? place->output_level : 0;
    }
    int rc = set_apply(&s->versions, e);
    if (place)
        compaction_end(s, place);
    return rc;
}

/* The oldest immutable is in a table now: readers take it from there. mu held. */
static void forget_oldest(struct store *s)
{
    struct memtable *mem = s->immutables[0].mem;
    s->immutable_count--;
    memmove(s->immutables, s->immutables + 1, (size_t)s->immutable_count * sizeof *s->immutables);
    struct view *old = view_publish(s);
    pthread_mutex_unlock(&s->mu);
    view_release(old);
    memtable_unref(mem);
    pthread_mutex_lock(&s->mu);
}

/* A table that the MANIFEST does not name after all. mu held at entry and exit, let go of
 * meanwhile. */
static void discard(struct store *s, uint64_t number)
{
    char *path = name_table(s->dir, number);
    pthread_mutex_unlock(&s->mu);
    table_cache_evict(s->tables, number);
    env_unlink(s->env, path);
    pthread_mutex_lock(&s->mu);
    free(path);
}

int flush_oldest(struct store *s)
{
    struct immutable im = s->immutables[0];
    struct edit e;
    uint64_t number = set_new_number(&s->versions), start = env_now_ns(s->env);
    struct live_log *spare = s->spare;
    if (spare)
        spare->refs++;
    edit_init(&e);
    pthread_mutex_unlock(&s->mu);
    int rc = write_oldest(s, im.mem, number, &e);
    pthread_mutex_lock(&s->mu);
    if (rc)
        goto out;
    if (spare && e.added_count > 0)
        spare->entry_synced = true; /* with the table's */
    e.has_log_number = e.has_last_sequence = true;
    e.log_number = im.log_after;
    e.last_sequence = im.last_sequence;
    rc = install(s, &e);
    if (rc && !s->versions.broken && e.added_count > 0)
        discard(s, number);
    if (rc)
        goto out;
    s->stats.flushes++;
    for (int i = 0; i < e.added_count; i++) {
        s->stats.flush_bytes += e.added[i].size;
        room_note_flush(s, memtable_bytes(im.mem), e.added[i].size, env_now_ns(s->env) - start);
    }
    sync_advance(s, im.last_sequence);
    atomic_store_explicit(&s->flushed_sequence, im.last_sequence, memory_order_release);
    forget_oldest(s);
    live_log_drop(s, im.log_after);
    pthread_mutex_unlock(&s->mu);
    info_log(s, "flushed a memtable into table %llu of %llu bytes in level %d in %llu us",
             (unsigned long long)number, (unsigned long long)(e.added_count ? e.added[0].size : 0),
             e.added_count ? e.added[0].level : 0,
             (unsigned long long)(env_now_ns(s->env) - start) / 1000);
    pthread_mutex_lock(&s->mu);
out:
    if (spare)
        live_log_unref(s, spare);
    edit_free(&e);
    return rc;
}
