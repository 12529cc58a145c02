/* Opening and closing a store, and what a folder must look like for it. */
#include "db.h"

#include <assert.h>
#include <stdlib.h>

#include "../commit/queue.h"
#include "../commit/room.h"
#include "../commit/sync.h"
#include "../env/env_overlay.h"
#include "../table/block_memory.h"
#include "info_log.h"
#include "options.h"
#include "repair.h"

/* ---- what is in the folder */

struct folder {
    bool current, data, foreign; /* CURRENT; tables, logs; names that are not a store's */
};

static void look_at(void *arg, const char *name)
{
    struct folder *f = arg;
    uint64_t number;
    switch (name_parse(name, &number)) {
    case NAME_CURRENT:
        f->current = true;
        break;
    case NAME_LOG:
    case NAME_TABLE:
        f->data = true;
        break;
    case NAME_OTHER:
        f->foreign = true;
        break;
    default: /* a lock, an info log, a first MANIFEST: a creation that was cut short leaves these */
        break;
    }
}

/* Creates the store where that is wanted and right. 0: there is one now. */
static int ensure_store(struct store *s)
{
    struct folder f = {0};
    int rc = env_list(s->env, s->dir, look_at, &f);
    if (rc)
        return rc;
    if (f.current)
        return s->options.error_if_exists
                   ? fail(-EEXIST, "%s: there is a store already (error_if_exists)", s->dir)
                   : 0;
    if (f.data && s->options.repair)
        return 0;
    if (f.data)
        return fail(STORE_ECORRUPT,
                    "%s: tables or logs, but no file CURRENT: a damaged store; nothing was changed",
                    s->dir);
    if (f.foreign)
        return fail(STORE_EFORMAT,
                    "%s: not a store: it has files but no CURRENT; choose an empty folder", s->dir);
    if (!s->options.create_if_missing)
        return fail(-ENOENT, "%s: there is no store (create_if_missing is off)", s->dir);
    rc = env_sync_parent(
        s->env, s->dir); /* whoever made the folder, and whether or not it was synced then */
    return rc ? rc : set_create(s->env, s->dir);
}

static int lock_folder(struct store *s)
{
    char *path = name_lock(s->dir);
    int rc = 0;
    if (s->options.create_if_missing) {
        rc = env_mkdir(s->env, s->dir);
        if (rc == -EEXIST)
            rc = 0;
    } else if (!env_exists(s->env, s->dir)) {
        rc = fail(-ENOENT, "%s: no such store", s->dir);
    }
    if (rc == 0)
        rc = env_lock(s->env, path, &s->lock_file);
    free(path);
    return rc;
}

struct logs {
    struct store *s;
    uint64_t bytes;
};

static void add_log(void *arg, const char *name)
{
    struct logs *logs = arg;
    uint64_t number, size;
    struct env_file *file;
    if (name_parse(name, &number) != NAME_LOG)
        return;
    char *path = name_log(logs->s->dir, number);
    if (env_open(logs->s->env, path, 0, &file) == 0) {
        if (env_size(logs->s->env, file, &size) == 0)
            logs->bytes += size;
        env_close(logs->s->env, file);
    }
    free(path);
}

/* A recovery puts what the logs have into tables, and writes a MANIFEST and a new log, before it
 * gives anything back. If there is no reserve any more, that space is for the user to make. */
static int say_what_is_needed(struct store *s, int rc)
{
    struct logs logs = {s, 1 << 20};
    char *why = mem_printf("%s", fail_text());
    env_list(s->env, s->dir, add_log, &logs);
    rc = fail(rc, "%s; free %llu MiB on that disk, by deleting what is not the store's", why,
              (unsigned long long)((logs.bytes + (1 << 20) - 1) >> 20));
    free(why);
    return rc;
}

/* ---- the struct */

static struct store *store_new(const char *dir, const struct store_options *options)
{
    struct store *s = mem_zalloc(sizeof *s);
    if (options)
        s->options = *options;
    else
        store_options_init(&s->options);
    options_sanitize(&s->options);
    s->env = s->options.read_only ? env_overlay_new(s->options.env) : s->options.env;
    s->dir = mem_printf("%s", dir);
    pthread_mutex_init(&s->mu, NULL);
    pthread_mutex_init(&s->view_mu, NULL);
    pthread_mutex_init(&s->info_mu, NULL);
    pthread_mutex_init(&s->space.mu, NULL);
    pthread_mutex_init(&s->beside.mu, NULL);
    pthread_cond_init(&s->background_changed, NULL);
    s->snapshots.next = s->snapshots.prev = &s->snapshots;
    s->mem = memtable_new();
    s->queue = queue_new();
    s->room = room_new();
    s->block_cache = cache_new(s->options.cache_bytes, block_memory_free);
    s->tables = table_cache_new(s->env, s->dir, s->options.max_open_tables,
                                s->options.table_cache_bytes, s->block_cache);
    set_init(&s->versions, s->env, s->dir, s->tables, &s->mu);
    s->versions.roll_bytes = s->options.manifest_bytes;
    return s;
}

static void free_logs(struct store *s)
{
    pthread_mutex_lock(&s->mu);
    while (s->logs) {
        struct live_log *l = s->logs;
        s->logs = l->next;
        live_log_unref(s, l);
    }
    pthread_mutex_unlock(&s->mu);
}

static void store_free(struct store *s)
{
    view_release(s->view);
    memtable_unref(s->mem);
    for (int i = 0; i < s->immutable_count; i++)
        memtable_unref(s->immutables[i].mem);
    free(s->immutables);
    live_log_drop_spare(s);
    free_logs(s);
    set_free(&s->versions);
    table_cache_free(s->tables);
    cache_free(s->block_cache);
    queue_free(s->queue);
    room_free(s->room);
    sync_free(s->sync);
    info_log_close(s);
    if (s->lock_file)
        env_close(s->env, s->lock_file);
    pthread_cond_destroy(&s->background_changed);
    pthread_mutex_destroy(&s->info_mu);
    space_free(&s->space);
    buf_free(&s->reclaim.after);
    pthread_mutex_destroy(&s->beside.mu);
    free(s->beside.text);
    pthread_mutex_destroy(&s->view_mu);
    pthread_mutex_destroy(&s->mu);
    if (s->options.read_only)
        env_overlay_free(s->env);
    free(s->background_text);
    free(s->damage_text);
    free(s->dir);
    free(s);
}

/* ---- open and close */

int store_open(const char *dir, const struct store_options *options, struct store **out)
{
    if (options && options->read_only && options->repair)
        return fail(-EINVAL, "%s: a repair cannot be read-only: choose one of the two", dir);
    struct store *s = store_new(dir, options);
    int rc = lock_folder(s);
    if (rc)
        goto out;
    rc = ensure_store(s);
    if (rc)
        goto out;
    info_log_open(s);
    space_open(s);
    rc = s->options.repair ? repair_tables(s) : 0;
    if (rc == 0)
        rc = set_open(&s->versions);
    if (rc)
        goto out;
    rc = recover_logs(s);
    if (rc)
        goto out;
    s->sync = sync_new(atomic_load(&s->last_sequence));
    pthread_mutex_lock(&s->mu);
    struct view *none = view_publish(s);
    pthread_mutex_unlock(&s->mu);
    view_release(none);
    rc = background_start(s);
    if (rc)
        goto out;
    info_log(s, "opened at sequence %llu", (unsigned long long)atomic_load(&s->last_sequence));
    *out = s;
    return 0;
out:
    if (space_lacks(rc) && !s->options.read_only)
        rc = say_what_is_needed(s, rc);
    store_free(s);
    return rc;
}

/* Everything in tables, an empty log: what LevelDB, and the next open, find at once. */
static int settle(struct store *s)
{
    int rc = store_sync(s, 0);
    pthread_mutex_lock(&s->mu); /* who brings space back may be switching it just now */
    bool empty = memtable_count(s->mem) == 0;
    pthread_mutex_unlock(&s->mu);
    if (rc == 0 && !empty)
        rc = room_switch_at_last(s);
    return rc;
}

static void log_counters(struct store *s)
{
    struct store_stats now, *st = &now;
    store_get_stats(s, st);
    info_log(
        s,
        "%llu writers in %llu groups, %llu sync writers in %llu rounds; %llu delays, %llu stalls, "
        "waits of %llu us in all, of %llu us at most; "
        "%llu flushes, %llu compactions",
        (unsigned long long)st->writers, (unsigned long long)st->groups,
        (unsigned long long)st->sync_writers, (unsigned long long)st->syncs,
        (unsigned long long)st->delays, (unsigned long long)st->stalls,
        (unsigned long long)st->delayed_us, (unsigned long long)st->longest_wait_us,
        (unsigned long long)st->flushes, (unsigned long long)st->compactions);
}

int store_close(struct store *s)
{
    if (!s)
        return 0;
    store_sync_run(s); /* (where nothing is left to sync, or nothing can be, settle() leads none) */
    int rc = settle(s);
    background_stop(s, rc == 0);
    if (rc == 0)
        rc = s->background_error;
    if (rc == 0 && s->immutable_count > 0)
        rc = fail(
            -ENOSPC,
            "%s: no space left on the disk for the tables; all is in the logs, nothing is lost",
            s->dir);
    if (s->background_error == 0) {
        int trimmed = log_trim(&s->log->writer);
        rc = rc ? rc : trimmed;
    }
    log_counters(s);
    info_log(s, rc == 0 ? "closed cleanly" : "closed after an error");
    store_free(s);
    return rc;
}

/* ---- destroy */

struct doomed {
    struct env *env;
    const char *dir;
    int rc;
};

static void destroy_one(void *arg, const char *name)
{
    struct doomed *d = arg;
    uint64_t number;
    enum name_kind kind = name_parse(name, &number);
    if (kind == NAME_OTHER || kind == NAME_LOCK)
        return;
    char *path = mem_printf("%s/%s", d->dir, name);
    int rc = env_unlink(d->env, path);
    if (rc && d->rc == 0)
        d->rc = rc;
    free(path);
}

int store_destroy(const char *dir, struct env *env)
{
    struct doomed d = {env ? env : env_posix(), dir, 0};
    struct env_file *lock;
    char *path = name_lock(dir);
    int rc = env_lock(d.env, path, &lock);
    if (rc == 0) {
        rc = env_list(d.env, dir, destroy_one, &d);
        if (rc == 0)
            rc = d.rc;
        env_unlink(d.env, path);
        env_close(d.env, lock);
    }
    free(path);
    return rc;
}
