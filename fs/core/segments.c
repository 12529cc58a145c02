/* See segments.h, and segment_files.h for the locks. */
#include "segment_files.h"

#include <stdio.h>
#include <stdlib.h>

#include "../format/segment_format.h"

#define MUCH_UNSYNCED (8u << 20) /* bytes */

struct segments *segments_open(struct env *env, const char *dir, const struct segments_options *o)
{
    struct segments *s = mem_zalloc(sizeof *s);
    s->env = env;
    s->dir = mem_printf("%s", dir);
    s->options = *o;
    pthread_mutex_init(&s->grow_mu, NULL);
    pthread_mutex_init(&s->sync_mu, NULL);
    pthread_mutex_init(&s->mu, NULL);
    return s;
}

void segments_close(struct segments *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        env_close(s->env, s->open[i]->file);
        free(s->open[i]);
    }
    free(s->open);
    free(s->dir);
    pthread_mutex_destroy(&s->grow_mu);
    pthread_mutex_destroy(&s->sync_mu);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

/* ---- numbers */

struct listing {
    void (*fn)(void *arg, uint64_t segment);
    void *arg;
};

static void look_at(void *arg, const char *name)
{
    struct listing *l = arg;
    unsigned long long number;
    int end = 0;
    if (sscanf(name, "%llu.seg%n", &number, &end) == 1 && end > 0 && name[end] == 0 && number > 0)
        l->fn(l->arg, number);
}

int segments_list(struct segments *s, void (*fn)(void *arg, uint64_t segment), void *arg)
{
    int rc = env_list(s->env, s->dir, look_at, &(struct listing){fn, arg});
    return rc == -ENOENT ? 0 : rc;
}

void segments_number_from(struct segments *s, uint64_t number)
{
    pthread_mutex_lock(&s->mu);
    if (s->newest < number)
        s->newest = number;
    pthread_mutex_unlock(&s->mu);
}

uint64_t segments_newest(struct segments *s)
{
    pthread_mutex_lock(&s->mu);
    uint64_t newest = s->newest;
    pthread_mutex_unlock(&s->mu);
    return newest;
}

/* ---- appending */

static int make_folder(struct segments *s)
{
    int rc = env_mkdir(s->env, s->dir);
    if (rc && rc != -EEXIST)
        return rc;
    pthread_mutex_lock(&s->mu); /* who made it may have been killed before a sync */
    s->folder_dirty = true;
    pthread_mutex_unlock(&s->mu);
    return 0;
}

static int write_header(struct segments *s, uint64_t number, struct env_file *file)
{
    char header[SEGMENT_HEADER];
    segment_header_encode(number, header);
    return env_pwrite(s->env, file, header, sizeof header, 0);
}

static int make_file(struct segments *s, uint64_t number, struct env_file **out)
{
    char *path = segments_path(s, number);
    int rc = env_open(s->env, path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, out);
    if (rc == 0)
        rc = write_header(s, number, *out);
    if (rc == 0)
        rc = s->options.begin(s->options.arg, number);
    if (rc) {
        if (*out) {
            env_close(s->env, *out);
            env_unlink(s->env, path);
        }
        *out = NULL;
    }
    free(path);
    return rc;
}

/* mu held. */
static void retire(struct segments *s)
{
    if (s->active)
        s->active->refs--;
    s->active = NULL;
}

/* Another file than `full`, unless there is one already. */
static int grow(struct segments *s, const struct segment *full)
{
    struct env_file *file = NULL;
    pthread_mutex_lock(&s->grow_mu);
    pthread_mutex_lock(&s->mu);
    bool done = s->active && s->active != full;
    uint64_t number = done ? 0 : ++s->newest;
    pthread_mutex_unlock(&s->mu);
    int rc = done ? 0 : make_folder(s);
    if (!done && rc == 0)
        rc = make_file(s, number, &file);
    if (!done && rc == 0) {
        pthread_mutex_lock(&s->mu);
        retire(s);
        s->active = segment_use(s, segment_add(s, number, file));
        s->active->end = SEGMENT_HEADER;
        s->active->dirty = s->entry_dirty = true;
        pthread_mutex_unlock(&s->mu);
    }
    pthread_mutex_unlock(&s->grow_mu);
    return rc;
}

/* Room for n bytes in the file that is appended to. */
static int reserve(struct segments *s, size_t n, struct segment **out, uint64_t *off)
{
    for (;;) {
        pthread_mutex_lock(&s->mu);
        struct segment *g = s->active;
        bool fits = g && (g->end == SEGMENT_HEADER || g->end + n <= s->options.bytes);
        if (fits) {
            *off = g->end;
            g->end += n;
            *out = segment_use(s, g);
        }
        pthread_mutex_unlock(&s->mu);
        if (fits)
            return 0;
        int rc = grow(s, g);
        if (rc)
            return rc;
    }
}

/* A write, for store_slow_call. */
struct write_call {
    struct segments *s;
    struct env_file *file;
    const void *p;
    size_t n;
    uint64_t off;
    int rc;
};

static void call_write(void *arg)
{
    struct write_call *c = arg;
    c->rc = env_pwrite(c->s->env, c->file, c->p, c->n, c->off);
}

/* Where much is unsynced the kernel makes who writes more wait for the disk: others shall go on. */
static int write_bytes(struct segments *s, struct segment *g, const void *p, size_t n, uint64_t off)
{
    struct write_call c = {s, g->file, p, n, off, 0};
    if (atomic_load_explicit(&s->unsynced, memory_order_relaxed) <= MUCH_UNSYNCED) {
        call_write(&c);
    } else {
        store_about_to_wait();
        store_slow_call(call_write, &c);
    }
    return c.rc;
}

int segments_append(struct segments *s, const void *p, size_t n, struct segment_place *out)
{
    struct segment *g;
    uint64_t off;
    int rc = reserve(s, n, &g, &off);
    if (rc)
        return rc;
    *out = (struct segment_place){g->number, off};
    rc = write_bytes(s, g, p, n, off);
    if (rc)
        env_punch(s->env, g->file, off, n); /* whatever of it was written */
    pthread_mutex_lock(&s->mu);
    if (rc && !space_lacks(rc) && s->active == g)
        retire(s); /* a place that fails: the next one may not */
    else if (rc && g->end == off + n)
        g->end = off; /* the next one takes the place */
    g->dirty = true;
    pthread_mutex_unlock(&s->mu);
    if (rc) {
        segment_unuse(s, g);
        return rc;
    }
    atomic_fetch_add_explicit(&s->unsynced, n, memory_order_relaxed);
    segment_pace(s, g, off + n);
    return 0;
}

void segments_take_back(struct segments *s, struct segment_place at, uint64_t n)
{
    segments_punch(s, at, n);
    pthread_mutex_lock(&s->mu);
    struct segment *g = segment_find(s, at.segment); /* it is open: it is held */
    if (g->end == at.offset + n)
        g->end = at.offset;
    pthread_mutex_unlock(&s->mu);
}

void segments_release(struct segments *s, struct segment_place at)
{
    pthread_mutex_lock(&s->mu);
    struct segment *g = segment_find(s, at.segment); /* it is open: it was held */
    pthread_mutex_unlock(&s->mu);
    segment_unuse(s, g);
}

bool segments_is_idle(struct segments *s, uint64_t segment)
{
    pthread_mutex_lock(&s->mu);
    struct segment *g = segment_find(s, segment);
    bool idle = !g || g->refs == 0;
    pthread_mutex_unlock(&s->mu);
    return idle;
}

bool segments_exists(struct segments *s, uint64_t segment)
{
    char *path = segments_path(s, segment);
    bool yes = env_exists(s->env, path);
    free(path);
    return yes;
}

int segments_write_again(struct segments *s, struct segment_place at, const void *p, size_t n)
{
    struct segment *g;
    int rc = segment_get(s, at.segment, &g);
    if (rc)
        return rc;
    rc = env_pwrite(s->env, g->file, p, n, at.offset);
    if (rc == 0 && !g->written_again) {
        rc = write_header(s, at.segment, g->file);
        g->written_again = rc == 0;
    }
    pthread_mutex_lock(&s->mu);
    g->dirty = s->entry_dirty = s->folder_dirty = true;
    pthread_mutex_unlock(&s->mu);
    segment_unuse(s, g);
    return rc;
}

int segments_read(struct segments *s, struct segment_place at, void *p, size_t n)
{
    struct segment *g;
    int rc = segment_get(s, at.segment, &g);
    if (rc)
        return rc;
    rc = segment_read(s, at.segment, g->file, p, n, at.offset);
    segment_unuse(s, g);
    return rc;
}

/* ---- syncing */

/* What a sync has to do; the files have references. */
struct todo {
    struct segment **files;
    size_t count;
    bool entry, folder;
};

/* mu held. */
static struct todo collect(struct segments *s)
{
    struct todo t = {.entry = s->entry_dirty, .folder = s->folder_dirty};
    atomic_store_explicit(&s->unsynced, 0, memory_order_relaxed);
    for (size_t i = 0; i < s->count; i++)
        t.count += s->open[i]->dirty;
    if (t.count > 0)
        t.files = mem_alloc(t.count * sizeof *t.files);
    t.count = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->open[i]->dirty) {
            s->open[i]->dirty = false;
            t.files[t.count++] = segment_use(s, s->open[i]);
        }
    s->entry_dirty = s->folder_dirty = false;
    return t;
}

/* sync_mu held. */
static int sync_all(struct segments *s, const struct todo *t)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < t->count; i++)
        rc = env_sync(s->env, t->files[i]->file);
    if (rc == 0 && t->entry)
        rc = env_sync_dir(s->env, s->dir);
    if (rc == 0 && t->folder)
        rc = env_sync_parent(s->env, s->dir);
    return rc;
}

/* The kernel tells of a lost page once: whoever syncs after that would hear nothing. sync_mu held.
 */
static int failed_before(const struct segments *s)
{
    return s->failed
               ? fail(s->failed, "%s: an earlier sync failed: %s", s->dir, fail_name(s->failed))
               : 0;
}

static int note_failure(struct segments *s, int rc)
{
    if (rc)
        s->failed = rc;
    return rc;
}

int segments_sync(struct segments *s)
{
    segment_pace_asked(s);
    pthread_mutex_lock(&s->sync_mu);
    int rc = failed_before(s);
    if (rc == 0) {
        pthread_mutex_lock(&s->mu);
        struct todo t = collect(s);
        pthread_mutex_unlock(&s->mu);
        rc = note_failure(s, sync_all(s, &t));
        for (size_t i = 0; i < t.count; i++)
            segment_unuse(s, t.files[i]);
        free(t.files);
    }
    pthread_mutex_unlock(&s->sync_mu);
    return rc;
}

/* ---- giving back */

int segments_punch(struct segments *s, struct segment_place at, uint64_t n)
{
    struct segment *g;
    int rc = segment_get(s, at.segment, &g);
    if (rc)
        return rc;
    rc = env_punch(s->env, g->file, at.offset, n);
    segment_unuse(s, g);
    return rc == -EOPNOTSUPP ? 0 : rc;
}

int segments_sync_one(struct segments *s, uint64_t segment)
{
    struct segment *g;
    int rc = segment_get(s, segment, &g);
    if (rc)
        return rc;
    pthread_mutex_lock(&s->sync_mu);
    rc = failed_before(s);
    if (rc == 0)
        rc = note_failure(s, env_sync(s->env, g->file));
    pthread_mutex_unlock(&s->sync_mu);
    segment_unuse(s, g);
    return rc;
}

int segments_size(struct segments *s, uint64_t segment, uint64_t *size)
{
    struct segment *g;
    int rc = segment_get(s, segment, &g);
    if (rc)
        return rc;
    rc = env_size(s->env, g->file, size);
    segment_unuse(s, g);
    return rc;
}

int segments_remove(struct segments *s, uint64_t segment)
{
    pthread_mutex_lock(&s->mu);
    struct segment *g = segment_find(s, segment);
    if (g && g != s->active)
        g->dirty = false;
    struct segment *out = g ? segment_take_out(s, g) : NULL;
    pthread_mutex_unlock(&s->mu);
    if (g && !out)
        return -EBUSY; /* it is synced just now: later */
    segment_close(s, out);
    char *path = segments_path(s, segment);
    int rc = env_unlink(s->env, path);
    free(path);
    if (rc == 0) { /* some disks have its space until the folder is written */
        pthread_mutex_lock(&s->mu);
        s->entry_dirty = true;
        pthread_mutex_unlock(&s->mu);
    }
    return rc == -ENOENT ? 0 : rc;
}
