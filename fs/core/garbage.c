/* Garbage: data of files that have neither a name nor a reference any more, and what big
 * truncations left behind.
 *
 * It is deleted in bounded batches, so that nobody waits behind a huge one. The `O` record stands
 * until the last of it is gone; a crash in between only means that the next mount goes on. */
#include <errno.h>

#include "fs_internal.h"

struct garbage {
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t work;
    uint64_t *queue; /* orphans to delete; guarded by mu */
    size_t count, capacity;
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

/* All records with this prefix from `start` on, step by step; the last step deletes `last`, where
 * not NULL. */
static int delete_all(struct fs *fs, struct slice start, struct slice prefix,
                      const struct fs_key *last)
{
    struct buf from = BUF_INIT;
    bool more = true;
    int rc = 0;
    buf_set(&from, start);
    while (rc == 0 && more) {
        struct change c;
        change_begin(&c, fs);
        rc = delete_some(fs, &from, prefix, &c, &more);
        if (rc) {
            change_drop(&c);
            break;
        }
        if (!more && last)
            change_delete(&c, *last);
        rc = change_commit(&c, NULL, 0);
    }
    buf_free(&from);
    return rc;
}

int garbage_cut(struct fs *fs, uint64_t ino, uint64_t from, bool record)
{
    struct fs_key start = key_extent(ino, from), prefix = key_of(KEY_EXTENT, ino),
                  last = key_of(KEY_GARBAGE, ino);
    return delete_all(fs, key_slice(&start), key_slice(&prefix), record ? &last : NULL);
}

/* Everything of an inode that is gone. */
static int collect_gone(struct fs *fs, uint64_t ino)
{
    struct fs_key attrs = key_of(KEY_XATTR, ino);
    int rc = delete_all(fs, key_slice(&attrs), key_slice(&attrs), NULL);
    return rc ? rc : garbage_cut(fs, ino, 0, true);
}

void garbage_add(struct fs *fs, uint64_t ino)
{
    struct garbage *g = fs->garbage;
    pthread_mutex_lock(&g->mu);
    if (g->count == g->capacity) {
        g->capacity = g->capacity ? g->capacity * 2 : 64;
        g->queue = mem_realloc(g->queue, g->capacity * sizeof *g->queue);
    }
    g->queue[g->count++] = ino;
    pthread_cond_signal(&g->work);
    pthread_mutex_unlock(&g->mu);
}

static void *collector(void *arg)
{
    struct fs *fs = arg;
    struct garbage *g = fs->garbage;
    pthread_mutex_lock(&g->mu);
    for (;;) {
        while (g->count == 0 && !g->stop)
            pthread_cond_wait(&g->work, &g->mu);
        if (g->count == 0)
            break;
        uint64_t ino = g->queue[--g->count];
        pthread_mutex_unlock(&g->mu);
        int rc = collect_gone(fs, ino);
        if (rc)
            fs_log(fs, "data of the deleted inode %llu stays for now: %s", (unsigned long long)ino,
                   fail_name(rc));
        pthread_mutex_lock(&g->mu);
    }
    pthread_mutex_unlock(&g->mu);
    return NULL;
}

/* What an earlier run left: truncations are finished here and now, for the file may be read next;
 * the rest is queued. */
static int take_over(struct fs *fs)
{
    static const char prefix[] = {KEY_GARBAGE};
    struct iter *it = store_iter(fs->store, NULL);
    int rc = 0;
    for (iter_seek(it, slice_of(prefix, 1)); rc == 0 && it->valid && it->key.data[0] == KEY_GARBAGE;
         iter_next(it)) {
        uint64_t from = 0;
        if (it->key.len != 9 || it->value.len != GARBAGE_SIZE) {
            rc = fail(STORE_ECORRUPT, "%s: a damaged garbage record", fs->dir);
            break;
        }
        for (int i = 0; i < 8; i++)
            from |= (uint64_t)(unsigned char)it->value.data[1 + i] << (8 * i);
        if (it->value.data[0] & GARBAGE_GONE)
            garbage_add(fs, get_be64(it->key.data + 1));
        else
            rc = garbage_cut(fs, get_be64(it->key.data + 1), from, true);
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
    pthread_cond_init(&g->work, NULL);
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
    pthread_mutex_destroy(&g->mu);
    free(g->queue);
    free(g);
    fs->garbage = NULL;
}
