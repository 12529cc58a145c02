/* See space.h. */
#include "db.h"

#include <stdlib.h>

#define DISK_RESERVES 8   /* the reserve is at most such a part of the disk, */
#define DISK_MEMTABLES 32 /* ... and a memtable such a one */

/* Space that a flush and a few writes need beside the reserve: what must be there before writes go
 * on, so that they do not stop again at once. */
static uint64_t headroom(const struct space *p)
{
    return p->reserve / 2;
}

static bool has_available(struct store *s, uint64_t bytes)
{
    struct env_space on_disk;
    return env_space(s->env, s->dir, &on_disk) == 0 && on_disk.available >= bytes;
}

/* An open before this one may have kept more. */
static void give_back_excess(struct store *s, struct env_file *file)
{
    uint64_t size;
    if (env_size(s->env, file, &size) == 0 && size > s->space.reserve)
        env_truncate(s->env, file, s->space.reserve);
}

/* Both with p->mu held, or no thread running. */
static int take_reserve(struct store *s)
{
    struct space *p = &s->space;
    char *path = name_reserve(s->dir);
    struct env_file *file;
    int rc = env_open(s->env, path, ENV_WRITE | ENV_CREATE, &file);
    if (rc == 0) {
        give_back_excess(s, file);
        rc = env_allocate(s->env, file, p->reserve);
        env_close(s->env, file);
        if (rc)
            env_unlink(s->env, path);
    }
    p->held = rc == 0;
    free(path);
    return rc;
}

static bool give_up_reserve(struct store *s)
{
    struct space *p = &s->space;
    char *path = name_reserve(s->dir);
    bool given = p->held && env_unlink(s->env, path) == 0;
    if (given) {
        p->held = false;
        atomic_fetch_add(&p->given, 1);
    }
    free(path);
    return given;
}

/* By default enough for a compaction of level 0 whose outputs are as large as its inputs. */
static uint64_t wanted(const struct store_options *o)
{
    return o->reserve_bytes == STORE_RESERVE_AUTO
               ? o->memtable_bytes * (uint64_t)o->l0_stop + o->level_base_bytes + 2 * o->table_bytes
               : o->reserve_bytes;
}

/* On a small disk both are smaller. A memtable needs its size three times over before deletes give
 * anything back: as a log, as a table, and as what a compaction makes of that. */
static void bound_by_disk(struct store *s)
{
    struct env_space on_disk;
    if (env_space(s->env, s->dir, &on_disk) < 0)
        return;
    if (s->options.memtable_bytes > on_disk.total / DISK_MEMTABLES)
        s->options.memtable_bytes = on_disk.total / DISK_MEMTABLES;
    if (s->space.reserve > on_disk.total / DISK_RESERVES)
        s->space.reserve = on_disk.total / DISK_RESERVES;
}

/* The disk tells nothing of quotas: takes so much of it for a moment. (Where a crash leaves the
 * file, the next open deletes it. On a disk that allocates nothing there is no reserve, and nobody
 * asks.) */
static bool can_take(struct store *s, uint64_t bytes)
{
    char *reserve = name_reserve(s->dir), *path = mem_printf("%s.dbtmp", reserve);
    struct env_file *file;
    int rc = env_open(s->env, path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file);
    if (rc == 0) {
        rc = env_allocate(s->env, file, bytes);
        env_close(s->env, file);
        env_unlink(s->env, path);
    }
    free(path);
    free(reserve);
    return !space_lacks(rc);
}

void space_open(struct store *s)
{
    struct space *p = &s->space;
    p->reserve = wanted(&s->options);
    bound_by_disk(s);
    if (p->reserve == 0)
        return;
    int rc = take_reserve(s);
    if (rc && !space_lacks(rc)) {
        p->reserve = 0;
        info_log(s, "no space is kept for deletes on a full disk: %s", fail_text());
        return;
    }
    bool available = rc == 0 && has_available(s, headroom(p));
    p->quota = available && !can_take(s, headroom(p));
    if (!available || p->quota) {
        give_up_reserve(s);
        env_sync_dir(s->env, s->dir);
        atomic_store(&p->low, true);
        info_log(s, "the disk is nearly full: the reserve is used, writes that put are refused");
    }
}

void space_free(struct space *p)
{
    pthread_mutex_destroy(&p->mu);
}

/* What is in memory goes into tables, and as much into the next log; more need not be left. */
static uint64_t needed_by_flushes(struct store *s)
{
    pthread_mutex_lock(&s->mu);
    uint64_t bytes = 2 * memtable_bytes(s->mem);
    for (int i = 0; i < s->immutable_count; i++)
        bytes += memtable_bytes(s->immutables[i].mem);
    pthread_mutex_unlock(&s->mu);
    return bytes;
}

bool space_for_table(struct store *s)
{
    return !space_is_low(&s->space) ||
           has_available(s, needed_by_flushes(s) +
                                (uint64_t)s->options.compaction_threads * s->options.table_bytes);
}

bool space_ran_out(struct store *s, bool essential, unsigned long long mark, const char *what)
{
    struct space *p = &s->space;
    char *why = mem_printf("%s", fail_text());
    bool given = false;
    pthread_mutex_lock(&p->mu);
    if (p->reserve > 0) {
        p->quota |= has_available(s, headroom(p));
        given = essential && give_up_reserve(s);
        if (essential) /* what was deleted may be on the disk until the folder is written */
            env_sync_dir(s->env, s->dir);
        if (!atomic_exchange(&p->low, true))
            info_log(s, "no space for a %s: %s; writes that put are refused until there is some",
                     what, why);
        if (given)
            info_log(s, "the reserve of %llu bytes is used for a %s",
                     (unsigned long long)p->reserve, what);
    }
    bool again = essential && space_mark(p) != mark;
    pthread_mutex_unlock(&p->mu);
    free(why);
    return again;
}

bool space_look(struct store *s)
{
    struct space *p = &s->space;
    pthread_mutex_lock(&p->mu);
    uint64_t need = headroom(p) + (p->held ? 0 : p->reserve);
    if (space_is_low(p) && has_available(s, need) && (p->held || take_reserve(s) == 0) &&
        (!p->quota || can_take(s, headroom(p)))) {
        atomic_store(&p->low, false);
        p->quota = false;
        info_log(s, "there is space again: all writes are taken");
    }
    bool enough = !space_is_low(p);
    pthread_mutex_unlock(&p->mu);
    return enough;
}
