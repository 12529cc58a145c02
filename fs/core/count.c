/* How many inodes there are, for statvfs: those with a name, and those without one that somebody
 * has still open.
 *
 * A count in every batch that makes or removes an inode would be exact at any moment, and paid for
 * by each of them. Here changes are counted in memory, and a clean close writes the sum, with the
 * number it has in the store (count_format.h). If the next open finds that number to be the newest,
 * the sum counts. If not (a crash), a thread counts the records as they are at this moment, in a
 * snapshot, while the mount is in use already; until it is done the last sum known stands in. */
#include <errno.h>

#include "../format/count_format.h"
#include "fs_internal.h"

#define LOOK_UP_EVERY 1024 /* records, for a close that must not wait */

struct counting {
    pthread_t thread;
    bool running; /* thread is there to be joined; used by open and close only */
    struct store_snapshot *snapshot;
    atomic_bool stop;
    bool written; /* the record in the store is right as long as nothing is committed */
};

static uint64_t newest(struct fs *fs)
{
    return store_last_sequence(fs->store);
}

/* ---- the pass over all inodes */

static int count_kind(struct fs *fs, char kind, int64_t *count)
{
    struct counting *c = fs->counting;
    struct iter *it = store_iter(fs->store, c->snapshot);
    unsigned n = 0;
    int rc = 0;
    for (iter_seek(it, slice_of(&kind, 1)); rc == 0 && it->valid && it->key.data[0] == kind;
         iter_next(it)) {
        uint64_t ino;
        enum entry_kind entry = ENTRY_INODE;
        if (kind == KEY_ENTRY)
            rc = entry_peek(it->value, &ino, &entry);
        *count += entry == ENTRY_INODE;
        if (++n % LOOK_UP_EVERY == 0 && atomic_load(&c->stop))
            rc = -ECANCELED;
    }
    if (rc == 0)
        rc = it->status;
    iter_destroy(it);
    return rc;
}

static void *count_all(void *arg)
{
    struct fs *fs = arg;
    int64_t count = 0;
    int rc = count_kind(fs, KEY_INODE, &count);
    if (rc == 0)
        rc = count_kind(fs, KEY_ENTRY, &count);
    if (rc == 0) {
        atomic_store(&fs->inodes_at_open, count);
        atomic_store(&fs->inodes_exact, true);
    } else if (rc != -ECANCELED) {
        fs_log(fs, "the inodes cannot be counted, df -i shows an estimate: %s", fail_text());
    }
    store_snapshot_release(fs->store, fs->counting->snapshot);
    return NULL;
}

/* ---- the record */

/* What the last clean close wrote; zeroes where nothing is there that can be read. */
static struct count_record read_record(struct fs *fs)
{
    struct count_record c = {0};
    struct buf value = BUF_INIT;
    struct fs_key key = key_count();
    if (store_get(fs->store, NULL, key_slice(&key), &value) || count_decode(&c, buf_slice(&value)))
        c = (struct count_record){0};
    buf_free(&value);
    return c;
}

/* Where a repair could not keep all records, the count is not right, whatever its number. */
static int forget_record(struct fs *fs)
{
    struct fs_key key = key_count();
    return store_errno(store_delete(fs->store, key_slice(&key), false));
}

/* That it cannot be written costs the next open a pass over the inodes, no more. */
static void write_record(struct fs *fs)
{
    struct count_record c = {.count = count_inodes(fs), .sequence = newest(fs) + 1};
    struct buf value = BUF_INIT;
    struct fs_key key = key_count();
    count_encode(&c, &value);
    store_put(fs->store, key_slice(&key), buf_slice(&value), false);
    buf_free(&value);
}

/* ---- open and close */

int count_start(struct fs *fs)
{
    struct counting *c = fs->counting = mem_zalloc(sizeof *c);
    struct count_record found = read_record(fs);
    struct store_stats stats;
    store_get_stats(fs->store, &stats);
    atomic_store(&fs->inodes_at_open, (int64_t)found.count);
    if (stats.damaged_tables == 0 && found.sequence == newest(fs)) {
        atomic_store(&fs->inodes_exact, true);
        c->written = true;
        return 0;
    }
    int rc = stats.damaged_tables > 0 && !fs->options.read_only ? forget_record(fs) : 0;
    if (rc)
        return rc;
    c->snapshot = store_snapshot_take(fs->store);
    rc = -pthread_create(&c->thread, NULL, count_all, fs);
    if (rc) {
        store_snapshot_release(fs->store, c->snapshot);
        return fail(rc, "%s: cannot start a thread", fs->dir);
    }
    c->running = true;
    return 0;
}

void count_stop(struct fs *fs)
{
    struct counting *c = fs->counting;
    if (!c)
        return;
    atomic_store(&c->stop, true);
    if (c->running)
        pthread_join(c->thread, NULL);
    bool right = c->written && read_record(fs).sequence == newest(fs);
    if (atomic_load(&fs->inodes_exact) && !right && !fs->options.read_only)
        write_record(fs);
    free(c);
    fs->counting = NULL;
}

uint64_t count_inodes(struct fs *fs)
{
    int64_t n = atomic_load(&fs->inodes_at_open) + atomic_load(&fs->inodes_since);
    return n > 1 ? (uint64_t)n : 1; /* an estimate could be below what there is at least */
}
