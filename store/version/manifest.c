/* Writing the MANIFEST: one record for each change of the set of tables (set_apply), and a new file
 * that holds a whole version (set_create, set_roll).
 *
 * Order, so that a crash anywhere leaves one whole MANIFEST that CURRENT names: the new file's
 * bytes, its entry in the folder, CURRENT by rename, CURRENT's entry in the folder, and only then
 * the old file goes. */
#include <stdlib.h>

#include "builder.h"
#include "file_name.h"
#include "version_set.h"

/* CURRENT names this MANIFEST from now on. */
static int point_current(struct env *env, const char *dir, uint64_t number)
{
    char *path = name_current(dir),
         *text = mem_printf("MANIFEST-%06llu\n", (unsigned long long)number);
    int rc = env_replace_file(env, path, slice_str(text));
    if (rc == 0)
        rc = env_sync_dir(env, dir);
    free(path);
    free(text);
    return rc;
}

/* A new MANIFEST with one record; left open in *file and *log. */
static int write_manifest(struct env *env, const char *dir, uint64_t number, struct slice record,
                          struct env_file **file, struct log_writer *log)
{
    char *path = name_manifest(dir, number);
    int rc = env_open(env, path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, file);
    if (rc)
        goto out;
    log_writer_init(log, env, *file);
    rc = log_append(log, record);
    if (rc == 0)
        rc = env_sync(env, *file);
    if (rc == 0)
        rc = env_sync_dir(env, dir);
    if (rc == 0)
        rc = point_current(env, dir, number);
    if (rc) {
        env_close(env, *file);
        log_writer_free(log);
    }
out:
    free(path);
    return rc;
}

int set_create_as(struct env *env, const char *dir, uint64_t number, struct edit *e)
{
    struct buf record = BUF_INIT;
    struct env_file *file;
    struct log_writer log;
    e->has_comparator = e->has_log_number = e->has_next_file = e->has_last_sequence = true;
    buf_set(&e->comparator, slice_str(EDIT_COMPARATOR_NAME));
    edit_encode(e, &record);
    int rc = write_manifest(env, dir, number, buf_slice(&record), &file, &log);
    if (rc == 0) {
        env_close(env, file);
        log_writer_free(&log);
    }
    buf_free(&record);
    return rc;
}

int set_create(struct env *env, const char *dir)
{
    struct edit e;
    edit_init(&e);
    e.next_file = 2;
    int rc = set_create_as(env, dir, 1, &e);
    edit_free(&e);
    return rc;
}

/* The numbers of an edit that says all of the current version, mu held; and its tables, by whoever
 * has begun to apply, with mu or without. */
static void snapshot_numbers(const struct version_set *s, struct edit *e)
{
    edit_init(e);
    e->has_comparator = e->has_log_number = e->has_next_file = e->has_last_sequence = true;
    buf_set(&e->comparator, slice_str(EDIT_COMPARATOR_NAME));
    e->log_number = s->log_number;
    e->next_file = s->next_file;
    e->last_sequence = s->manifest_sequence;
}

static void snapshot_tables(const struct version_set *s, struct edit *e)
{
    for (int i = 0; i < VERSION_LEVELS; i++) {
        buf_set(&e->compact_pointer[i], buf_slice(&s->compact_pointer[i]));
        for (int j = 0; j < s->current->level[i].count; j++) {
            const struct table_file *f = s->current->level[i].files[j];
            edit_add_file(e, i, f->number, f->size, buf_slice(&f->smallest),
                          buf_slice(&f->largest));
        }
    }
}

/* One thread at a time writes the MANIFEST. mu held. */
static void begin_apply(struct version_set *s)
{
    while (s->applying)
        pthread_cond_wait(&s->applied, s->mu);
    s->applying = true;
}

/* mu held at entry and exit, let go of while it wakes the next one. */
static void end_apply(struct version_set *s)
{
    s->applying = false;
    pthread_mutex_unlock(s->mu);
    pthread_cond_broadcast(&s->applied);
    pthread_mutex_lock(s->mu);
}

/* CURRENT still names this one: a new one's failure came before the rename. */
static bool names_current(struct version_set *s, uint64_t number)
{
    char *path = name_current(s->dir),
         *text = mem_printf("MANIFEST-%06llu\n", (unsigned long long)number);
    struct buf now = BUF_INIT;
    bool same =
        env_read_file(s->env, path, &now) == 0 && slice_equal(buf_slice(&now), slice_str(text));
    buf_free(&now);
    free(path);
    free(text);
    return same;
}

/* set_roll, by whoever has begun to apply. */
static int roll(struct version_set *s)
{
    struct edit e;
    struct buf record = BUF_INIT;
    struct env_file *file;
    struct log_writer log;
    uint64_t number = set_new_number(s), old = s->manifest_number;
    snapshot_numbers(s, &e);
    pthread_mutex_unlock(s->mu);
    snapshot_tables(s, &e);
    edit_encode(&e, &record);
    int rc = write_manifest(s->env, s->dir, number, buf_slice(&record), &file, &log);
    if (rc == 0 && old) {
        char *path = name_manifest(s->dir, old);
        env_unlink(s->env, path); /* if it stays, the next open sweeps it */
        free(path);
    }
    bool kept = space_lacks(rc) && old && names_current(s, old);
    if (kept) {
        char *path = name_manifest(s->dir, number);
        env_unlink(s->env, path);
        free(path);
    }
    pthread_mutex_lock(s->mu);
    if (rc == 0) {
        struct env_file *old_file = s->manifest;
        log_writer_free(&s->manifest_log);
        s->manifest = file;
        s->manifest_log = log;
        s->manifest_base = log.end;
        s->manifest_number = number;
        if (old_file) { /* it was deleted: closing it frees its space */
            pthread_mutex_unlock(s->mu);
            env_close(s->env, old_file);
            pthread_mutex_lock(s->mu);
        }
    } else if (!kept) {
        s->broken = rc; /* which MANIFEST the disk has for current is no longer known */
    }
    buf_free(&record);
    edit_free(&e);
    return rc;
}

/* 0, or why the MANIFEST is not written any more. mu held. */
static int check_whole(const struct version_set *s)
{
    if (s->broken)
        fail(s->broken,
             "%s: MANIFEST-%06llu is not written any more after an error; open the store again",
             s->dir, (unsigned long long)s->manifest_number);
    return s->broken;
}

int set_roll(struct version_set *s)
{
    begin_apply(s);
    int rc = check_whole(s);
    if (rc == 0)
        rc = roll(s);
    end_apply(s);
    return rc;
}

/* Fills in what every record says. mu held. */
static void complete_edit(struct version_set *s, struct edit *e)
{
    if (!e->has_log_number) {
        e->has_log_number = true;
        e->log_number = s->log_number;
    }
    if (!e->has_last_sequence) {
        e->has_last_sequence = true;
        e->last_sequence = s->manifest_sequence;
    }
    e->has_next_file = true;
    e->next_file = s->next_file;
}

/* *undone: there was no space for the record, and the MANIFEST is as it was; also on the disk, or a
 * power cut might make one record of this one's first fragments and the next one's last. */
static int write_record(struct version_set *s, struct slice record, bool *undone)
{
    int rc = log_append(&s->manifest_log, record);
    *undone =
        space_lacks(rc) && log_undo(&s->manifest_log) == 0 && env_sync(s->env, s->manifest) == 0;
    return rc ? rc : env_sync(s->env, s->manifest);
}

static void note_edit(struct version_set *s, const struct edit *e)
{
    s->log_number = e->log_number;
    s->manifest_sequence = e->last_sequence;
    for (int i = 0; i < VERSION_LEVELS; i++)
        if (e->compact_pointer[i].len > 0)
            buf_set(&s->compact_pointer[i], buf_slice(&e->compact_pointer[i]));
}

/* The current version changed by the edit; by whoever has begun to apply. */
static int build(struct version_set *s, const struct edit *e, struct version **v)
{
    struct builder b;
    builder_init(&b, s->current);
    int rc = builder_apply(&b, e);
    if (rc == 0)
        rc = builder_finish(&b, s, v);
    builder_free(&b);
    return rc;
}

/* A complete edit, by whoever has begun to apply. mu held at entry and exit, let go of meanwhile.
 */
static int apply(struct version_set *s, const struct edit *e)
{
    struct buf record = BUF_INIT;
    struct version *v = NULL, *left;
    bool undone = true;
    pthread_mutex_unlock(s->mu);
    int rc = build(s, e, &v);
    if (rc == 0) {
        edit_encode(e, &record);
        rc = write_record(s, buf_slice(&record), &undone);
    }
    pthread_mutex_lock(s->mu);
    if (rc == 0) {
        note_edit(s, e);
        left = set_install(s, v);
    } else {
        if (!undone)
            s->broken = rc;
        left = v;
    }
    pthread_mutex_unlock(s->mu);
    version_unref(left);
    buf_free(&record);
    pthread_mutex_lock(s->mu);
    return rc;
}

int set_apply(struct version_set *s, struct edit *e)
{
    begin_apply(s);
    int rc = check_whole(s);
    if (rc == 0) {
        complete_edit(s, e);
        rc = apply(s, e);
    }
    /* The edit is on disk and in force whatever becomes of this: whoever made it must go on as
     * after a success (its memtable is in a table). Where it fails for want of space the
     * old one only grows longer; else `broken` stops the next edit. */
    if (rc == 0 && s->manifest_log.end > s->manifest_base + s->roll_bytes)
        roll(s);
    end_apply(s);
    return rc;
}
