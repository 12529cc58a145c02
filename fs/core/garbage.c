/* Garbage: data of files that have neither a name nor a reference any more, and what big
 * truncations left behind.
 *
 * It is deleted in bounded batches, so that nobody waits behind a huge one. The `O` record stands
 * until the last of it is gone; a crash in between only means that the next mount goes on. */
#include <errno.h>

#include "../../store/base/pause.h"
#include "fs_internal.h"

#define SMALL_BLOCKS 16     /* a file of so many at the most is deleted with others, */
#define SMALL_FILES 64      /* ... so many in a batch, */
#define GATHER_SECONDS 0.02 /* ... for which is waited so long */
#define RETRY_SECONDS 0.2   /* on a full disk */
#define SETTLE_SECONDS 5    /* so long garbage_settle waits */

struct leftover {
    uint64_t ino, end;
    bool attrs; /* it may have attributes by name */
};

struct garbage {
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t work;
    pthread_cond_t settled;
    struct leftover *queue; /* orphans to delete; guarded by mu, as what follows */
    size_t count, capacity;
    bool busy;  /* some are being deleted */
    bool hurry; /* somebody waits for them */
    bool stuck; /* there was no space even for that */
    bool stop;
};

/* Deletes records from *from on that begin with `prefix`, a batch's worth, and moves *from behind
 * them: a later step would otherwise wade through all that is deleted already. *more: there are
 * further ones. */
static int delete_some(struct fs *fs, struct buf *from, struct slice prefix, struct change *c,
                       bool *more)
{
    struct iter *it = store_iter(fs->store, NULL);
    int n = 0;
    iter_stay_within(it, prefix);
    *more = false;
    for (iter_seek(it, buf_slice(from)); it->valid && slice_starts_with(it->key, prefix);
         iter_next(it)) {
        if (n++ == FS_BATCH_KEYS) {
            buf_set(from, it->key);
            *more = true;
            break;
        }
        store_batch_delete(&c->batch, it->key);
    }
    int rc = it->status;
    iter_destroy(it);
    return rc;
}

/* All records with this prefix, step by step. */
static int delete_all(struct fs *fs, struct slice prefix)
{
    struct buf from = BUF_INIT;
    bool more = true;
    int rc = 0;
    buf_set(&from, prefix);
    while (rc == 0 && more) {
        struct change c;
        change_begin(&c, fs);
        rc = delete_some(fs, &from, prefix, &c, &more);
        if (rc) {
            change_drop(&c);
            break;
        }
        rc = change_commit(&c, NULL, 0);
    }
    buf_free(&from);
    return rc;
}

/* All extents that are there from `from` on. */
static int clear_all(struct fs *fs, uint64_t ino, uint64_t from)
{
    int rc = 0;
    while (rc == 0 && from != UINT64_MAX) {
        struct change c;
        uint64_t count = 0;
        change_begin(&c, fs);
        c.reclaim = true;
        rc = extents_clear(&c, ino, &from, UINT64_MAX, FS_BATCH_KEYS, &count);
        if (rc) {
            change_drop(&c);
            break;
        }
        rc = change_commit(&c, NULL, 0);
    }
    return rc;
}

/* Where every block has a record there is no need to read what is to go, only to find its keys. */
static int delete_blocks(struct fs *fs, uint64_t ino, uint64_t from, uint64_t end)
{
    int rc = 0;
    while (rc == 0 && from < end) {
        struct change c;
        change_begin(&c, fs);
        for (int i = 0; i < FS_BATCH_KEYS && from < end; i++, from += FS_BLOCK)
            change_delete(&c, key_extent(ino, from));
        rc = change_commit(&c, NULL, 0);
    }
    return rc;
}

int garbage_cut(struct fs *fs, uint64_t ino, uint64_t from, uint64_t end)
{
    return end == CUT_BY_LOOKING ? clear_all(fs, ino, from) : delete_blocks(fs, ino, from, end);
}

static int delete_record(struct fs *fs, uint64_t ino)
{
    struct change c;
    change_begin(&c, fs);
    change_delete(&c, key_of(KEY_GARBAGE, ino));
    return change_commit(&c, NULL, 0);
}

/* Everything of an inode that is gone. */
static int collect_gone(struct fs *fs, struct leftover l)
{
    struct fs_key attrs = key_of(KEY_XATTR, l.ino);
    int rc = l.attrs ? delete_all(fs, key_slice(&attrs)) : 0;
    if (rc == 0)
        rc = garbage_cut(fs, l.ino, 0, l.end);
    return rc ? rc : delete_record(fs, l.ino);
}

/* A small file whose keys are all known: many such share a batch. */
static bool is_small(struct leftover l)
{
    return !l.attrs && l.end <= SMALL_BLOCKS * FS_BLOCK;
}

/* As collect_gone for small ones. */
static int collect_small(struct fs *fs, const struct leftover *l, size_t count)
{
    struct change c;
    change_begin(&c, fs);
    for (size_t i = 0; i < count; i++) {
        for (uint64_t at = 0; at < l[i].end; at += FS_BLOCK)
            change_delete(&c, key_extent(l[i].ino, at));
        change_delete(&c, key_of(KEY_GARBAGE, l[i].ino));
    }
    return change_commit(&c, NULL, 0);
}

/* mu held. */
static void add(struct garbage *g, struct leftover l)
{
    if (g->count == g->capacity) {
        g->capacity = g->capacity ? g->capacity * 2 : 64;
        g->queue = mem_realloc(g->queue, g->capacity * sizeof *g->queue);
    }
    g->queue[g->count++] = l;
}

void garbage_add(struct fs *fs, uint64_t ino, uint64_t end, bool attrs)
{
    struct garbage *g = fs->garbage;
    pthread_mutex_lock(&g->mu);
    add(g, (struct leftover){ino, end, attrs});
    bool due = g->count == 1 || g->count == SMALL_FILES;
    pthread_mutex_unlock(&g->mu);
    if (due) /* (who is woken under a lock runs at once, to wait for it) */
        pthread_cond_signal(&g->work);
}

/* The next ones to delete in one go: one, or some small ones. mu held. */
static size_t take_some(struct garbage *g, struct leftover *some)
{
    size_t n = 0;
    do {
        some[n++] = g->queue[--g->count];
    } while (g->count > 0 && n < SMALL_FILES && is_small(some[0]) &&
             is_small(g->queue[g->count - 1]));
    return n;
}

/* Where one file is removed many are, mostly. A thread that woke for each would take more of the
 * CPU than the removing, and write a batch for each. mu held, let go of meanwhile. */
static void gather(struct garbage *g)
{
    struct timespec until = pause_end(GATHER_SECONDS);
    while (g->count < SMALL_FILES && !g->stop && !g->hurry)
        if (pthread_cond_timedwait(&g->work, &g->mu, &until) == ETIMEDOUT)
            break;
}

/* Deletes some. mu held, let go of meanwhile. */
static void collect(struct fs *fs)
{
    struct garbage *g = fs->garbage;
    struct leftover some[SMALL_FILES];
    size_t n = take_some(g, some);
    g->busy = true;
    pthread_mutex_unlock(&g->mu);
    int rc = is_small(some[0]) ? collect_small(fs, some, n) : collect_gone(fs, some[0]);
    pthread_mutex_lock(&g->mu);
    g->busy = false;
    bool again = space_lacks(rc) && !g->stop;
    if (rc && !(again && g->stuck))
        fs_log(fs, "data of %zu deleted inodes (one is %llu) stays for now: %s", n,
               (unsigned long long)some[0].ino, fail_text());
    g->stuck = again;
    for (size_t i = 0; again && i < n; i++)
        add(g, some[i]);
    if (g->count == 0 || g->stuck)
        pthread_cond_broadcast(&g->settled);
}

static void *collector(void *arg)
{
    struct fs *fs = arg;
    struct garbage *g = fs->garbage;
    pthread_mutex_lock(&g->mu);
    for (;;) {
        struct timespec until = pause_end(RETRY_SECONDS);
        while (g->count == 0 && !g->stop)
            pthread_cond_wait(&g->work, &g->mu);
        while (g->stuck && !g->stop && pthread_cond_timedwait(&g->work, &g->mu, &until) == 0)
            ;
        if (g->count == 0)
            break;
        gather(g);
        collect(fs);
    }
    pthread_mutex_unlock(&g->mu);
    return NULL;
}

void garbage_settle(struct fs *fs)
{
    struct garbage *g = fs->garbage;
    struct timespec until = pause_end(SETTLE_SECONDS);
    pthread_mutex_lock(&g->mu);
    g->hurry = true;
    pthread_cond_signal(&g->work);
    while ((g->count > 0 || g->busy) && !g->stuck)
        if (pthread_cond_timedwait(&g->settled, &g->mu, &until) == ETIMEDOUT)
            break;
    g->hurry = false;
    pthread_mutex_unlock(&g->mu);
}

/* A truncation that was cut short is finished here and now. If it cannot be, the inode's
 * INODE_CUTTING keeps the file from growing over what is left. */
static void finish_truncation(struct fs *fs, uint64_t ino, uint64_t from)
{
    int rc = garbage_cut(fs, ino, from, CUT_BY_LOOKING);
    if (rc == 0)
        rc = delete_record(fs, ino);
    if (rc)
        fs_log(fs, "data behind the end of inode %llu stays for now: %s", (unsigned long long)ino,
               fail_text());
}

/* What an earlier run left. */
static int take_over(struct fs *fs)
{
    static const char prefix[] = {KEY_GARBAGE};
    struct iter *it = store_iter(fs->store, NULL);
    int rc = 0;
    for (iter_seek(it, slice_of(prefix, 1)); rc == 0 && it->valid && it->key.data[0] == KEY_GARBAGE;
         iter_next(it)) {
        struct garbage_record g;
        rc = it->key.len == 9 ? garbage_decode(&g, it->value)
                              : fail(STORE_ECORRUPT, "a damaged key of a garbage record");
        if (rc)
            break;
        uint64_t ino = get_be64(it->key.data + 1);
        if (g.gone)
            garbage_add(fs, ino, CUT_BY_LOOKING, true);
        else
            finish_truncation(fs, ino, g.from);
    }
    if (rc == 0)
        rc = it->status;
    iter_destroy(it);
    return rc;
}

int garbage_start(struct fs *fs)
{
    struct garbage *g = mem_zalloc(sizeof *g);
    pthread_mutex_init(&g->mu, NULL);
    pause_init(&g->work);
    pause_init(&g->settled);
    fs->garbage = g;
    int rc = fs->options.read_only ? 0 : take_over(fs);
    if (rc == 0) {
        rc = -pthread_create(&g->thread, NULL, collector, fs);
        if (rc)
            fail(rc, "%s: cannot start a thread", fs->dir);
    }
    if (rc) {
        free(g->queue);
        free(g);
        fs->garbage = NULL;
    }
    return rc;
}

void garbage_stop(struct fs *fs)
{
    struct garbage *g = fs->garbage;
    if (!g)
        return;
    pthread_mutex_lock(&g->mu);
    g->stop = true;
    pthread_cond_signal(&g->work);
    pthread_mutex_unlock(&g->mu);
    pthread_join(g->thread, NULL);
    pthread_cond_destroy(&g->work);
    pthread_cond_destroy(&g->settled);
    pthread_mutex_destroy(&g->mu);
    free(g->queue);
    free(g);
    fs->garbage = NULL;
}
