/* Places of segment files that are needed no more, and their space.
 *
 * The batch that takes blocks out of a chunk puts an `F` record (chunk_format.h). A thread then
 * makes holes of them; the record goes when that is durable; a file without any place in use is
 * deleted.
 *
 * When may a hole be made? A crash may bring back any moment behind the last sync, one in which the
 * blocks were in use; and recovery looks at what the log's newest batches refer to. So not before
 * that change is in a table (store_flushed_sequence): a pass takes a snapshot, has all of it
 * flushed, and does what the snapshot says.
 *
 * A crash leaves places that no committed batch names. A file that is written has a mark (`P`,
 * place 0) until the mount ends; where a mark is found at the next one, what is not in use of that
 * file is given back (sweep), and a file that the store does not know goes.
 *
 * Segment numbers are above all that the store or the folder knows, so an `F` record that a crash
 * brings back never means a new file. */
#include <errno.h>

#include "../../store/base/pause.h"
#include "freed.h"

#define GATHER_SECONDS 1 /* what is freed is gathered for so long */

struct freed {
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t work;
    bool pending;                   /* there may be F records; guarded by mu */
    bool stop;                      /* guarded by mu */
    uint64_t given;                 /* passes that gave something back; guarded by mu */
    pthread_mutex_t pass_mu;        /* one pass at a time */
    bool told;                      /* that the last pass failed; guarded by pass_mu */
    uint64_t first;                 /* files that this open begins have higher numbers */
    struct store_snapshot *at_open; /* for the sweep */
};

int freed_begin_segment(void *arg, uint64_t segment)
{
    struct fs *fs = arg;
    struct fs_key key = key_place(segment, 0);
    int rc = super_require(fs, SUPER_SEGMENTS);
    if (rc == 0)
        rc = store_errno(store_put(fs->store, key_slice(&key), slice_of(NULL, 0), false));
    return rc;
}

/* ---- records */

bool freed_record_at(struct iter *it, enum key_kind kind, size_t len)
{
    return it->valid && it->key.len == len && it->key.data[0] == (char)kind;
}

/* Is a place of the segment in use, or waiting to be given back? */
static int is_in_use(struct fs *fs, uint64_t segment, bool *yes)
{
    struct fs_key place = key_place(segment, 1), freed = key_of(KEY_FREED, segment);
    struct iter *it = store_iter(fs->store, NULL);
    iter_seek(it, key_slice(&place));
    *yes = freed_record_at(it, KEY_PLACE, 17) && key_segment(it->key) == segment;
    if (!*yes && it->status == 0) {
        iter_seek(it, key_slice(&freed));
        *yes = freed_record_at(it, KEY_FREED, 19) && key_segment(it->key) == segment;
    }
    int rc = it->status;
    iter_destroy(it);
    return rc;
}

int freed_delete_keys(struct fs *fs, const struct fs_key *keys, size_t count)
{
    struct change c;
    change_begin(&c, fs);
    c.reclaim = true;
    for (size_t i = 0; i < count; i++)
        change_delete(&c, keys[i]);
    return change_commit(&c, NULL, 0);
}

int freed_remove_if_empty(struct fs *fs, uint64_t segment)
{
    struct fs_key mark = key_place(segment, 0);
    bool used = true;
    if (!segments_is_idle(fs->segments, segment))
        return 0;
    int rc = is_in_use(fs, segment, &used);
    if (rc || used)
        return rc;
    rc = segments_remove(fs->segments, segment);
    if (rc == -EBUSY)
        return 0;
    return rc ? rc : freed_delete_keys(fs, &mark, 1);
}

/* ---- a pass */

/* Holes to be made, those beside one another in one go; and the records that go with them. */
struct holes {
    struct fs *fs;
    uint64_t segment; /* 0: none yet */
    bool there;       /* its file */
    uint64_t from, end;
    struct fs_key keys[FS_BATCH_KEYS];
    size_t count;
    bool some; /* anything was done at all */
};

static int punch_run(struct holes *h)
{
    int rc = 0;
    if (h->there && h->from < h->end)
        rc = segments_punch(h->fs->segments, (struct segment_place){h->segment, h->from},
                            h->end - h->from);
    h->from = h->end = 0;
    return rc;
}

/* Ends with what was gathered: the holes first, durably, then their records. */
static int finish_batch(struct holes *h)
{
    int rc = punch_run(h);
    if (rc == 0 && h->there && h->count > 0)
        rc = segments_sync_one(h->fs->segments, h->segment);
    if (rc == 0 && h->count > 0)
        rc = freed_delete_keys(h->fs, h->keys, h->count);
    h->some |= h->count > 0;
    h->count = 0;
    return rc;
}

static int finish_segment(struct holes *h)
{
    int rc = finish_batch(h);
    if (rc == 0 && h->segment)
        rc = freed_remove_if_empty(h->fs, h->segment);
    return rc;
}

static int add_hole(struct holes *h, uint64_t from, uint64_t len)
{
    int rc = from == h->end ? 0 : punch_run(h);
    if (h->from == h->end)
        h->from = from;
    h->end = from + len;
    return rc;
}

static int take_freed(struct holes *h, struct slice key)
{
    uint64_t segment = key_segment(key), place = key_place_of(key);
    uint16_t map = key_freed_map(key);
    int rc = 0;
    if (segment != h->segment) {
        uint64_t size;
        rc = finish_segment(h);
        h->segment = segment;
        int usable = segments_size(h->fs->segments, segment, &size);
        h->there = usable == 0;
        if (rc == 0 && usable != STORE_ECORRUPT) /* damaged: it goes as a whole, once it is empty */
            rc = usable;
    } else if (h->count == FS_BATCH_KEYS) {
        rc = finish_batch(h);
    }
    for (int i = 0; rc == 0 && i < CHUNK_BLOCKS; i++)
        if (map >> i & 1)
            rc = add_hole(h, place + (uint64_t)i * FS_BLOCK, FS_BLOCK);
    memcpy(h->keys[h->count].bytes, key.data, key.len);
    h->keys[h->count++].len = key.len;
    return rc;
}

/* All F records of the snapshot, which is in tables. */
static int give_back(struct fs *fs, const struct store_snapshot *snapshot, bool *some)
{
    struct fs_key first = key_of(KEY_FREED, 0);
    struct holes *h = mem_zalloc(sizeof *h);
    struct iter *it = store_iter(fs->store, snapshot);
    int rc = 0;
    h->fs = fs;
    for (iter_seek(it, key_slice(&first)); rc == 0 && freed_record_at(it, KEY_FREED, 19);
         iter_next(it))
        rc = take_freed(h, it->key);
    if (rc == 0)
        rc = it->status;
    if (rc == 0)
        rc = finish_segment(h);
    *some = h->some;
    iter_destroy(it);
    free(h);
    return rc;
}

static int has_freed(struct fs *fs, const struct store_snapshot *snapshot, bool *yes)
{
    struct fs_key first = key_of(KEY_FREED, 0);
    struct iter *it = store_iter(fs->store, snapshot);
    iter_seek(it, key_slice(&first));
    *yes = freed_record_at(it, KEY_FREED, 19);
    int rc = it->status;
    iter_destroy(it);
    return rc;
}

/* Files of this mount that are full by now, and whose places were given back before. */
static int remove_empty_ones(struct fs *fs)
{
    uint64_t newest = segments_newest(fs->segments);
    int rc = 0;
    for (uint64_t i = fs->freed->first + 1; rc == 0 && i < newest; i++)
        if (segments_exists(fs->segments, i))
            rc = freed_remove_if_empty(fs, i);
    return rc;
}

/* pass_mu held. -EAGAIN: not all is in tables yet. */
static int pass(struct fs *fs, bool *some)
{
    struct store_snapshot *snapshot = store_snapshot_take(fs->store);
    uint64_t upto = store_snapshot_sequence(snapshot);
    bool any = false;
    int rc = has_freed(fs, snapshot, &any);
    if (rc == 0 && any && store_flushed_sequence(fs->store) < upto)
        rc = store_flush(fs->store);
    if (rc == 0 && any && store_flushed_sequence(fs->store) < upto)
        rc = fail(-EAGAIN, "%s: the store did not flush what is freed", fs->dir);
    if (rc == 0 && any)
        rc = give_back(fs, snapshot, some);
    if (rc == 0)
        rc = remove_empty_ones(fs);
    store_snapshot_release(fs->store, snapshot);
    return rc;
}

static void run_pass(struct fs *fs)
{
    struct freed *f = fs->freed;
    bool some = false;
    pthread_mutex_lock(&f->pass_mu);
    pthread_mutex_lock(&f->mu);
    bool pending = f->pending;
    f->pending = false;
    pthread_mutex_unlock(&f->mu);
    int rc = pending ? pass(fs, &some) : 0;
    if (rc && !f->told)
        fs_log(fs, "space of data that is needed no more stays taken for now: %s", fail_text());
    pthread_mutex_lock(&f->mu);
    f->told = rc != 0;
    f->given += some;
    f->pending |= rc != 0; /* the records are there still */
    pthread_mutex_unlock(&f->mu);
    pthread_mutex_unlock(&f->pass_mu);
}

static uint64_t given(struct freed *f)
{
    pthread_mutex_lock(&f->mu);
    uint64_t n = f->given;
    pthread_mutex_unlock(&f->mu);
    return n;
}

bool freed_give_back(struct fs *fs)
{
    store_about_to_wait();
    if (!fs->freed)
        return false;
    uint64_t before = given(fs->freed); /* the pass that is under way counts as well */
    run_pass(fs);
    return given(fs->freed) != before;
}

void freed_note(struct fs *fs)
{
    struct freed *f = fs->freed;
    if (!f) /* it looks when it starts */
        return;
    pthread_mutex_lock(&f->mu);
    bool due = !f->pending;
    f->pending = true;
    pthread_mutex_unlock(&f->mu);
    if (due)
        pthread_cond_signal(&f->work);
}

/* ---- the thread */

static void *run(void *arg)
{
    struct fs *fs = arg;
    struct freed *f = fs->freed;
    sweep(fs, f->at_open, f->first);
    store_snapshot_release(fs->store, f->at_open);
    pthread_mutex_lock(&f->mu);
    while (!f->stop) {
        struct timespec until = pause_end(GATHER_SECONDS);
        if (!f->pending) {
            pthread_cond_wait(&f->work, &f->mu);
            continue;
        }
        while (!f->stop && pthread_cond_timedwait(&f->work, &f->mu, &until) != ETIMEDOUT)
            ;
        pthread_mutex_unlock(&f->mu);
        run_pass(fs);
        pthread_mutex_lock(&f->mu);
    }
    pthread_mutex_unlock(&f->mu);
    return NULL;
}

/* ---- open and close */

static void note_highest(void *arg, uint64_t segment)
{
    uint64_t *number = arg;
    if (segment > *number)
        *number = segment;
}

static int number_segments(struct fs *fs)
{
    uint64_t number = 0;
    int rc = segments_list(fs->segments, note_highest, &number);
    if (rc == 0)
        rc = highest_in_keys(fs, KEY_PLACE, 17, &number);
    if (rc == 0)
        rc = highest_in_keys(fs, KEY_FREED, 17, &number);
    segments_number_from(fs->segments, number);
    fs->freed->first = number;
    return rc;
}

static void freed_free(struct fs *fs)
{
    struct freed *f = fs->freed;
    pthread_cond_destroy(&f->work);
    pthread_mutex_destroy(&f->pass_mu);
    pthread_mutex_destroy(&f->mu);
    free(f);
    fs->freed = NULL;
}

int freed_start(struct fs *fs)
{
    struct freed *f = fs->freed = mem_zalloc(sizeof *f);
    pthread_mutex_init(&f->mu, NULL);
    pthread_mutex_init(&f->pass_mu, NULL);
    pause_init(&f->work);
    int rc = number_segments(fs);
    f->pending = true;
    if (rc == 0 && !fs->options.only_read_segments) {
        f->at_open = store_snapshot_take(fs->store);
        rc = -pthread_create(&f->thread, NULL, run, fs);
        if (rc) {
            store_snapshot_release(fs->store, f->at_open);
            fail(rc, "%s: cannot start a thread", fs->dir);
        }
    }
    if (rc)
        freed_free(fs);
    return rc;
}

/* A clean end: nothing was appended that no batch names. */
static void delete_marks(struct fs *fs)
{
    uint64_t newest = segments_newest(fs->segments);
    int rc = 0;
    for (uint64_t i = fs->freed->first + 1; rc == 0 && i <= newest; i++) {
        struct fs_key mark = key_place(i, 0);
        rc = freed_delete_keys(fs, &mark, 1);
    }
}

void freed_stop(struct fs *fs)
{
    struct freed *f = fs->freed;
    if (!f)
        return;
    if (!fs->options.only_read_segments) {
        pthread_mutex_lock(&f->mu);
        f->stop = true;
        pthread_cond_signal(&f->work);
        pthread_mutex_unlock(&f->mu);
        pthread_join(f->thread, NULL);
        run_pass(fs);
        delete_marks(fs);
    }
    freed_free(fs);
}
