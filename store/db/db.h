/* The inside of an open store: what its modules share. Only files below store/ include this.
 *
 * One lock, `mu`, guards what is marked so. It is never held during disk I/O. Order of locks: mu,
 * then view_mu.
 *
 *   commit/queue.c    the writers' queue, groups, the log append     (section 4 of the write path)
 *   commit/room.c     make room: delays, stalls, memtable switches; throttle.c: the rate
 *   commit/sync.c     what is durable: one fdatasync at a time for all who wait
 *   compact/          flush of memtables, compaction, their threads
 *   db/               open, recovery, reads, snapshots, close; what is beside the store */
#ifndef STORE_DB_DB_H
#define STORE_DB_DB_H

#include <pthread.h>
#include <stdatomic.h>
#include "../commit/batch.h"
#include "../log/log_writer.h"
#include "../memtable/memtable.h"
#include "../store.h"
#include "../version/file_name.h"
#include "../version/version_set.h"
#include "../compact/reclaim.h"
#include "space.h"

/* A log file that may still be needed: the current one, or one whose memtable is not in a table
 * yet. */
struct live_log {
    struct live_log *next; /* older to newer; guarded by mu */
    int refs;              /* the list, and a sync under way; guarded by mu */
    uint64_t number;
    struct env_file *file;
    struct log_writer writer; /* used by the commit leader alone */
    bool marked;              /* it has a mark, of up to `mark`; as writer */
    uint64_t mark;
    uint64_t appended; /* bytes of whole records; guarded by mu */
    uint64_t synced;   /* of those on stable storage; guarded by mu */
    bool entry_synced; /* its directory entry is on stable storage; guarded by mu */
    uint64_t taken_back, taken_back_synced; /* how many records were cut off again (no space), and
                                               of those also on stable storage; guarded by mu */
};

/* A full memtable on its way into a table. */
struct immutable {
    struct memtable *mem;
    uint64_t log_after; /* once it is in a table, logs below this number are not needed for it */
    uint64_t first_sequence, last_sequence; /* of what may be in it */
};

/* What a reader needs, all of one moment. Immutable once published; counted by reference. */
struct view {
    atomic_int refs;
    struct memtable *mem;
    int immutable_count;
    struct version *version;
    struct memtable *immutables[]; /* newest first */
};

struct store_snapshot {
    uint64_t sequence;
    struct store_snapshot *prev, *next; /* oldest first; guarded by mu */
};

struct store {
    struct store_options options;
    char *dir;
    struct env *env; /* of the options; read-only: one in memory above it, owned */
    struct env_file *lock_file;
    pthread_mutex_t mu;

    /* reading */
    struct cache *block_cache;
    struct table_cache *tables;
    pthread_mutex_t view_mu; /* guards the pointer `view` (not what it names) */
    struct view *view;
    atomic_uint_fast64_t last_sequence;    /* newest committed and visible; written under mu */
    atomic_uint_fast64_t flushed_sequence; /* in tables, and in no log; written under mu */
    struct store_snapshot snapshots;       /* head of a ring; guarded by mu */

    /* memtables: guarded by mu, but the leader inserts into `mem` without it */
    struct memtable *mem;
    struct immutable *immutables; /* oldest first */
    int immutable_count;
    uint64_t switched_sequence; /* the last one before the memtable of now */

    /* versions and background; guarded by mu */
    struct version_set versions;
    int background_error; /* the first one; nothing is written any more */
    char *background_text;
    pthread_cond_t background_changed; /* a flush or compaction ended, or an error was set */
    struct background *background;     /* compact/background.c */
    struct store_stats stats;
    /* The last flush, compaction ended for want of space: it will be tried again. */
    bool flush_lacks_space, compaction_lacks_space;
    bool compaction_stuck;      /* one is needed, and none can run because of damaged tables */
    char *damage_text;          /* of the table that a compaction could not read last; or NULL */
    uint64_t compactions_begun; /* tries count, too; guarded by mu */
    uint64_t compaction_lacked; /* the newest of them that ended for want of space */
    uint64_t flushes_begun;     /* tries count, too; guarded by mu */
    uint64_t flushes_ended;     /* well or not: one at a time, so these were the first ones */
    struct space space;
    struct reclaim reclaim;

    /* commit/ */
    struct commit_queue *queue;
    struct sync_state *sync;
    struct room *room;
    struct live_log *logs;  /* oldest first; guarded by mu */
    struct live_log *log;   /* the newest: appended to by the commit leader, who alone changes the
                               pointer, under mu */
    struct live_log *spare; /* an empty one, not in the list, for the next switch; or NULL; guarded
                               by mu, made by the flusher */
    bool spare_comes;       /* it is just being made; guarded by mu */

    struct beside_state {
        pthread_mutex_t mu; /* held while beside.sync runs, guards the others; never taken under the
                               store's mu */
        int error;          /* it failed with this; it is not called again */
        char *text;
    } beside;

    /* the info log */
    struct env_file *info_file;
    uint64_t info_end;
    pthread_mutex_t info_mu;
};

/* db/view.c --------------------------------------------------------------------------------------
 */
struct view *view_take(struct store *s); /* any thread, mu held or not */
void view_release(struct view *v);       /* mu NOT held (may free a version) */
/* Publishes mem, immutables and versions.current as the new view. mu held. Returns the old view,
 * which the caller releases once it has let go of mu. */
struct view *view_publish(struct store *s);

/* db/info_log.c ----------------------------------------------------------------------------------
 */
/* Writes to the disk: mu NOT held (but where an error is told that ends all writing). */
void info_log(struct store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* db/error.c -------------------------------------------------------------------------------------
 */
/* The first error wins; wakes everyone. mu held. `what` says what was being done. */
void store_set_error(struct store *s, int code, const char *what);
/* Makes fail_text() of this thread say why the store takes no more writes. Returns `code`. */
int store_recall_error(struct store *s, int code);

/* db/beside.c ------------------------------------------------------------------------------------
 */
/* What all committed batches refer to beside the store (options.beside) is durable when it returns
 * 0; a failure, of this call or an earlier one, is the background error. mu NOT held. */
int beside_sync(struct store *s);
/* The same while the store is being opened: there is no background error yet. */
int beside_sync_in_open(struct store *s);
/* Asks for each put of a batch (which batch_check has passed) whether what it refers to is there: 0
 * also where nobody can say; STORE_ECORRUPT where one is refused; or the disk's error. */
int beside_check(const struct store *s, struct slice record);

/* db/live_log.c ----------------------------------------------------------------------------------
 */
/* Creates a log file (mu NOT held); NULL and *rc on error. */
struct live_log *live_log_create(struct store *s, uint64_t number, int *rc);
/* Creates the spare where there is none, so that no writer waits for the disk to make a file. No
 * error: where none can be had the switch makes its own, or fails. Only the flusher. mu held at
 * entry and exit, let go of meanwhile. */
void live_log_prepare(struct store *s);
/* The spare, or else a new log; NULL and *rc on error. mu held at entry and exit, let go of
 * meanwhile. */
struct live_log *live_log_next(struct store *s, int *rc);
/* Deletes the spare. No other thread runs. */
void live_log_drop_spare(struct store *s);
/* The last reference closes the file. mu held at entry and exit, let go of meanwhile. */
void live_log_unref(struct store *s, struct live_log *l);
/* Drops and deletes logs whose number is below `keep_from`. mu held at entry and exit, let go of
 * meanwhile. */
void live_log_drop(struct store *s, uint64_t keep_from);

/* db/recover.c -----------------------------------------------------------------------------------
 */
/* Replays the logs that are not in tables yet into new level-0 tables, up to the first gap, and
 * leaves the store with an empty memtable, a new log and a MANIFEST that says so. Called by
 * store_open; no other thread runs. */
int recover_logs(struct store *s);

/* compact/background.c ---------------------------------------------------------------------------
 */
/* Starts the flush thread and options.compaction_threads compactors. */
int background_start(struct store *s);
/* Wakes whom there is work for. mu held. */
void background_schedule(struct store *s);
/* The same, and who waits for `background_changed`: call after a memtable switch and after a new
 * version. mu held at entry and exit, let go of while it wakes: who is woken runs at once in the
 * waker's place, waits for mu, and who held it for a processor. */
void background_wake(struct store *s);
/* Wakes also who waits for space. mu held. */
void background_retry(struct store *s);
/* compact/pick.c: bytes above the levels' limits, summed over the levels they have yet to leave. mu
 * held. */
uint64_t compaction_debt(const struct store *s);
/* Ends the threads: flushes what is immutable first if `drain`. mu NOT held. */
void background_stop(struct store *s, bool drain);

/* compact/flush.c --------------------------------------------------------------------------------
 */
/* Writes a memtable into a new table (of level 0; the caller may say otherwise): creates, fills,
 * syncs it and its directory entry, and adds it to `e` (nothing where the memtable is empty). mu
 * NOT held. */
int flush_write_table(struct store *s, struct memtable *m, uint64_t number, struct edit *e);

#endif
