/* See queue.h: who stands where, what makes a group, and the leader's way through it. */
#include "queue.h"

#include <assert.h>
#include <stdlib.h>

#include "room.h"
#include "sync.h"
#include "wake.h"
#include "window.h"

/* The writers that are committed together: the queue from its front up to `last`. */
struct group {
    struct store_writer *last;
    const struct store_batch *batch; /* NULL: nothing to write */
    bool sync;
    bool puts; /* some writer in it needs space for what it puts */
};

struct commit_queue *queue_new(void)
{
    return mem_zalloc(sizeof(struct commit_queue));
}

void queue_free(struct commit_queue *q)
{
    if (!q)
        return;
    assert(!q->first);
    store_batch_free(&q->merged);
    free(q);
}

static bool has_records(const struct store_writer *w)
{
    return w->batch && store_batch_count(w->batch) > 0;
}

static size_t bytes_of(const struct store_writer *w)
{
    return has_records(w) ? store_batch_bytes(w->batch) : 0;
}

void queue_append(struct commit_queue *q, struct store_writer *w)
{
    w->next = NULL;
    __atomic_store_n(&w->state, q->first ? WRITER_QUEUED : WRITER_LEADER, __ATOMIC_RELEASE);
    if (q->first)
        q->last->next = w;
    else
        q->first = w;
    q->last = w;
}

void store_enqueue(struct store *s, struct store_writer *w)
{
    w->status = 0;
    w->sequence = 0;
    if (w->batch && w->batch->refused) { /* it takes no place: whoever is behind is not harmed */
        w->status = w->batch->refused;
        __atomic_store_n(&w->state, WRITER_DONE, __ATOMIC_RELEASE);
        return;
    }
    if (s->options.read_only && has_records(w)) {
        w->status = -EROFS;
        __atomic_store_n(&w->state, WRITER_DONE, __ATOMIC_RELEASE);
        return;
    }
    pthread_mutex_lock(&s->mu);
    queue_append(s->queue, w);
    pthread_mutex_unlock(&s->mu);
}

/* It puts, and not to give space back: on a full disk it is refused. */
static bool needs_space(const struct store_writer *w)
{
    return has_records(w) && w->batch->puts && !w->reclaim;
}

/* The last writer of the group that `leader` leads. mu held. */
static struct store_writer *group_end(const struct store *s, struct store_writer *leader)
{
    size_t bytes = bytes_of(leader);
    size_t limit = bytes <= QUEUE_SMALL_WRITE ? bytes + QUEUE_SMALL_WRITE : QUEUE_MAX_GROUP;
    struct store_writer *last = leader;
    bool low = space_is_low(&s->space);
    if (leader->force_switch)
        return last;
    for (struct store_writer *w = leader->next; w; w = w->next) {
        if (w->sync && !leader->sync)
            break; /* invariant 2: it must lead a group that is synced */
        if (w->force_switch || bytes + bytes_of(w) > limit)
            break;
        if (low && needs_space(w) != needs_space(leader))
            break; /* invariant 6 */
        bytes += bytes_of(w);
        last = w;
    }
    return last;
}

/* One batch for the whole group; a lone one is used as it is. mu held. */
static struct group build_group(struct store *s)
{
    struct commit_queue *q = s->queue;
    struct store_writer *leader = q->first;
    struct group g = {.last = group_end(s, leader), .sync = leader->sync};
    int with_records = 0;
    for (struct store_writer *w = leader;; w = w->next) {
        if (has_records(w) && with_records++ == 0)
            g.batch = w->batch;
        g.puts |= needs_space(w);
        if (w == g.last)
            break;
    }
    if (with_records < 2)
        return g;
    store_batch_clear(&q->merged);
    for (struct store_writer *w = leader;; w = w->next) {
        if (has_records(w))
            store_batch_append(&q->merged, w->batch);
        if (w == g.last)
            break;
    }
    g.batch = &q->merged;
    return g;
}

/* The batch's record; and before it, in the same write, what is durable by now, where the log does
 * not say so yet (batch_format.h). So recovery can tell damage to what was synced from a tail that
 * never was. */
static int append_marked(struct store *s, const struct store_batch *batch)
{
    struct live_log *l = s->log;
    uint64_t durable = store_durable_sequence(s);
    char bytes[BATCH_HEADER_SIZE];
    if (l->marked && l->mark >= durable)
        return log_append(&l->writer, buf_slice(&batch->rep));
    int rc = log_append_pair(&l->writer, batch_mark(bytes, durable), buf_slice(&batch->rep));
    if (rc == 0) {
        l->marked = true;
        l->mark = durable;
    }
    return rc;
}

/* How the log is made ready for a group's record. */
struct append_way {
    size_t zero_ahead;    /* so many zeroes at a time; 0: none */
    size_t window;        /* not 0: without a system call; of such a size (window.h) */
    enum log_piece piece; /* of the zeroes without a window */
};

/* The most that the batch takes in the log, with a mark. */
static size_t log_bytes_of(const struct store_batch *batch)
{
    return store_batch_bytes(batch) + store_batch_bytes(batch) / 1024 + 128;
}

/* mu held. */
static struct append_way way_of(struct store *s, const struct group *g)
{
    size_t need = log_bytes_of(g->batch);
    if (space_is_low(&s->space))
        return (struct append_way){0};
    size_t window = window_for(s, g->sync, need);
    return (struct append_way){
        .zero_ahead = window ? 0 : zeroes_for(s, g->sync, need),
        .window = window,
        .piece = sync_is_hot(s) ? LOG_PAGES : LOG_LARGE,
    };
}

static int append_to_log(struct store *s, const struct store_batch *batch, struct append_way way)
{
    struct log_writer *log = &s->log->writer;
    size_t need = log_bytes_of(batch);
    int rc = 0;
    if (way.window)
        rc = log_use_window(log, need, way.window);
    else if (way.zero_ahead)
        rc = log_zero_ahead(log, need, way.zero_ahead, way.piece);
    if (rc && !space_lacks(rc)) /* for the record itself there may be space */
        return rc;
    return append_marked(s, batch);
}

/* Takes back what a record without space has left in the log: the next one must follow the last one
 * that was committed. Where that fails the log's end is unknown. */
static int undo_append(struct store *s)
{
    int rc = log_undo(&s->log->writer);
    if (rc)
        return fail(-EIO, "a record for which there was no space cannot be taken back: %s",
                    fail_text());
    pthread_mutex_lock(&s->mu);
    s->log->taken_back++;
    pthread_mutex_unlock(&s->mu);
    return 0;
}

/* What was taken back is to be gone on the disk, too, before the next record lies there: of two
 * records a power cut might make one, from the first fragments of the one and the last of the
 * other. mu held at entry and exit, let go of meanwhile. */
static int settle_undone(struct store *s)
{
    return s->log->taken_back_synced < s->log->taken_back ? sync_now(s) : 0;
}

/* On a full disk: the record is there as a whole, or (-ENOSPC, -EDQUOT) not at all. */
static int append_whole(struct store *s, const struct group *g, struct append_way way)
{
    unsigned long long mark = space_mark(&s->space);
    int rc = append_to_log(s, g->batch, way);
    while (space_lacks(rc)) {
        bool again = space_ran_out(s, !g->puts, mark, "log record");
        int undone = undo_append(s);
        if (undone)
            return undone;
        if (!again)
            return rc;
        mark = space_mark(&s->space);
        pthread_mutex_lock(&s->mu);
        rc = settle_undone(s);
        pthread_mutex_unlock(&s->mu);
        if (rc)
            return rc;
        rc = append_to_log(s, g->batch, (struct append_way){0});
    }
    return rc;
}

/* Log, then memtable, then the numbers that make it visible. mu held at entry and exit, let go of
 * meanwhile. */
static int commit_group(struct store *s, struct group *g)
{
    uint64_t before = atomic_load_explicit(&s->last_sequence, memory_order_relaxed);
    uint64_t after = before + store_batch_count(g->batch);
    bool durable_first = g->sync && s->options.visible_when_durable;
    int unsettled = settle_undone(s);
    if (unsettled)
        return unsettled;
    struct append_way way = way_of(s, g);

    if (after >= KEY_MAX_SEQUENCE) {
        int full = fail(-EOVERFLOW, "all sequence numbers are used up");
        store_set_error(s, full, "numbering of a batch");
        return full;
    }
    batch_set_sequence((struct store_batch *)g->batch, before + 1);
    pthread_mutex_unlock(&s->mu);
    int rc = append_whole(s, g, way);
    if (rc == 0 && !durable_first)
        rc = batch_insert(buf_slice(&g->batch->rep), before + 1, s->mem);
    pthread_mutex_lock(&s->mu);
    if (rc) {
        if (!space_lacks(rc))
            store_set_error(s, rc, "log append");
        return rc;
    }
    s->stats.groups++;
    s->stats.log_bytes += s->log->writer.end - s->log->appended;
    s->sync->unsynced_bytes += s->log->writer.end - s->log->appended;
    s->log->appended = s->log->writer.end;
    s->sync->committed = after;
    if (durable_first) {
        rc = sync_now(s);
        if (rc)
            return rc;
        pthread_mutex_unlock(&s->mu);
        rc = batch_insert(buf_slice(&g->batch->rep), before + 1, s->mem);
        pthread_mutex_lock(&s->mu);
        if (rc) {
            store_set_error(s, rc, "memtable insert");
            return rc;
        }
    }
    atomic_store_explicit(&s->last_sequence, after, memory_order_release);
    if (!g->puts && space_is_low(&s->space))
        reclaim_note_deletes(s);
    return 0;
}

/* It has nothing that needs space: where the others of its group found none, what it asks for can
 * be had all the same. */
static bool asks_for_sync_alone(const struct store_writer *w)
{
    return w->sync && !has_records(w) && !w->force_switch;
}

/* Takes the group out of the queue, hands the lead on, and notes for each member how it went.
 * Returns those who are done, by `next`, to be woken when mu is let go of, which they want next. mu
 * held. */
static struct store_writer *finish_group(struct store *s, struct group *g, int status,
                                         uint64_t sequence)
{
    struct commit_queue *q = s->queue;
    struct store_writer *w = q->first, *end = g->last->next, *done = NULL;
    uint64_t before = sequence;
    q->first = end;
    if (!end)
        q->last = NULL;
    else
        wake_writer(&end->state, WRITER_LEADER);
    while (w != end) {
        struct store_writer *next = w->next;
        if (has_records(w)) {
            sequence += store_batch_count(w->batch);
            s->stats.writers++;
        }
        bool spared = space_lacks(status) && asks_for_sync_alone(w);
        w->status = spared ? 0 : status;
        w->sequence = spared ? before : sequence;
        if (w->sync && w->status == 0) {
            w->target = w->sequence;
            sync_join(s, w);
        } else {
            w->next = done;
            done = w;
        }
        w = next;
    }
    return done;
}

/* Whether the leader's batch is taken at all: -ENOSPC where the disk was full and still is. mu held
 * at entry and exit, let go of meanwhile. */
static int admit(struct store *s, const struct store_writer *leader)
{
    if (s->background_error || !space_is_low(&s->space) || !needs_space(leader))
        return s->background_error;
    pthread_mutex_unlock(&s->mu);
    bool enough = space_look(s);
    pthread_mutex_lock(&s->mu);
    if (enough) { /* what failed for want of space is tried again now, not after its pause */
        s->flush_lacks_space = s->compaction_lacks_space = false;
        reclaim_note_space(s);
        background_retry(s);
    }
    return enough ? s->background_error : -ENOSPC;
}

/* A group that had puts and deletes together, when it turned out that there is no space: those on
 * the leader's side of the line are what is left of it; deletes are tried again. mu held. */
static int split_group(struct store *s, const struct store_writer *leader, struct group *g, int rc)
{
    *g = build_group(s);
    if (needs_space(leader))
        return rc;
    return g->batch ? commit_group(s, g) : 0;
}

/* The front writer's work. mu NOT held. */
static void lead(struct store *s, struct store_writer *leader)
{
    bool reclaims = has_records(leader) && !needs_space(leader);
    pthread_mutex_lock(&s->mu);
    assert(s->queue->first == leader);
    int rc = admit(s, leader);
    if (rc == 0 && (has_records(leader) || leader->force_switch))
        rc = room_make(s, (enum room_force)leader->force_switch, reclaims);
    uint64_t before = atomic_load_explicit(&s->last_sequence, memory_order_relaxed);
    struct group g = build_group(s);
    if (rc == 0 && g.batch && !has_records(leader))
        rc = room_make(s, ROOM_NO_FORCE, !g.puts);
    if (rc == 0 && g.batch)
        rc = commit_group(s, &g);
    if (space_lacks(rc) && !s->background_error) {
        reclaim_note_space(s);
        if (g.puts && space_is_low(&s->space))
            rc = split_group(s, leader, &g, rc);
        s->stats.space_refused += rc != 0;
    }
    struct store_writer *done = finish_group(s, &g, rc, before);
    pthread_mutex_unlock(&s->mu);
    sync_tell(done);
}

int store_wait(struct store *s, struct store_writer *w)
{
    for (;;) {
        switch (wake_await(&w->state)) {
        case WRITER_LEADER:
            lead(s, w);
            break;
        case WRITER_SYNC_LEADER:
            sync_lead(s);
            break;
        default:
            if (w->batch && w->batch->refused)
                return batch_refusal(w->batch);
            if (w->status)
                return store_recall_error(s, w->status);
            room_pay(s, bytes_of(w));
            return 0;
        }
    }
}

int store_write(struct store *s, const struct store_batch *b, bool sync)
{
    struct store_writer w = {.batch = b, .sync = sync};
    store_enqueue(s, &w);
    return store_wait(s, &w);
}

int store_put(struct store *s, struct slice key, struct slice value, bool sync)
{
    struct store_batch b = STORE_BATCH_INIT;
    store_batch_put(&b, key, value);
    int rc = store_write(s, &b, sync);
    store_batch_free(&b);
    return rc;
}

int store_delete(struct store *s, struct slice key, bool sync)
{
    struct store_batch b = STORE_BATCH_INIT;
    store_batch_delete(&b, key);
    int rc = store_write(s, &b, sync);
    store_batch_free(&b);
    return rc;
}
