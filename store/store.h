/* The store: ordered keys and values on disk, in LevelDB's formats, with group commit.
 *
 * This is the only header of the store for those who use it. It knows nothing of files and FUSE.
 *
 * Shapes: keys and values are bytes (struct slice); a key has at most STORE_MAX_KEY bytes, a value
 * STORE_MAX_VALUE. Results are 0 or negative: an errno, STORE_ECORRUPT or STORE_EFORMAT;
 * fail_text() has the words (file, offset, what to do). Unless a line says otherwise every call may
 * be made from any thread at any time between store_open and store_close.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buf.h"
#include "base/error.h"
#include "env/env.h"
#include "iter/iter.h"

#define STORE_MAX_KEY (64u << 10)
#define STORE_MAX_VALUE (256u << 20)
#define STORE_MAX_BATCH (1u << 30) /* bytes of one batch */

struct store;
struct store_snapshot;

/* ---------------------------------------------------------------- options */

enum store_compression { STORE_COMPRESS_NONE = 0, STORE_COMPRESS_SNAPPY = 1 };

/* What happens to writers while the background falls behind, before they have to wait for it.
 * smooth: the bytes per second that writers may write fall in a straight line while level 0 goes
 * from l0_slow to l0_stop tables, the debt from soft to hard, or the last memtable fills up while
 * max_immutables wait for their flush; the line begins at twice what the background was lately seen
 * to carry away. Each writer pays for its own bytes, after its commit, by a sleep of at most 50 ms.
 * simple: LevelDB's rule: from l0_slow on each write sleeps 1 ms, whatever its size, with all
 * others behind it. */
enum store_delay { STORE_DELAY_SMOOTH = 0, STORE_DELAY_SIMPLE = 1 };

#define STORE_RESERVE_AUTO UINT64_MAX

/* Bytes that batches refer to, and that their writer keeps in files of its own beside the store
 * (store/README.md, "Bytes beside the store"). It writes them before it enqueues the batch, and
 * need not sync them: with these two functions the store keeps its promises for such batches, too.
 * Either may be NULL. They must not call the store, nor wait for anyone who waits for it. */
struct store_beside {
    void *arg;
    /* Makes durable what all batches refer to that were committed before this call; the entries of
     * new files in their folders, too. Called before each sync round and before a memtable goes
     * into a table; it should cost little where nothing is to be done. Any thread, one call at a
     * time; who does not sync goes on meanwhile. Returns 0; or an error, with fail_text(): then,
     * whatever the code, it is the store's background error, as for a failed fdatasync of the log,
     * and it is not called again.
     *
     * In store_open (not with read_only) it is called before what was replayed goes into tables,
     * and covers what `check` found there: written by a process that was killed, it may be in the
     * page cache alone. Where that process had a failed fdatasync, the cache may show as clean what
     * the disk has not: such bytes are durable only if they are written anew. An error fails the
     * open. */
    int (*sync)(void *arg);
    /* Is what this put refers to there, and whole? Called in store_open only, by its thread, in the
     * order of the log, for each put (by key and value, whether it refers to something or not) of
     * those batches that are not known to have been durable, until one is refused. 0;
     * STORE_ECORRUPT, with fail_text(): the batch counts as torn, so what is open ends before it;
     * any other error fails the open. */
    int (*check)(void *arg, struct slice key, struct slice value);
};

struct store_options {
    bool create_if_missing; /* default true */
    bool error_if_exists;   /* default false: -EEXIST where there is a store already */
    bool repair;            /* default false: see store_open */
    bool read_only;         /* default false: see store_open */
    size_t memtable_bytes;  /* of one before a switch: default 4 MiB; at most 1/32 of the disk */
    int max_immutables;     /* default 2: full memtables that may wait for their flush */
    size_t block_bytes;     /* default 4 KiB, before compression */
    int restart_interval;   /* default 16 */
    size_t table_bytes;     /* default 2 MiB: where compaction starts the next table */
    size_t table_prefix; /* default 0: ... and where the first so many bytes of the keys change. A
                            table that has keys of two kinds lies across all that come between, and
                            is written anew with each table of those */
    size_t cache_bytes;  /* default 8 MiB of uncompressed blocks */
    int max_open_tables; /* default 1000 */
    size_t table_cache_bytes; /* default 64 MiB: indexes and filters of tables kept open */
    size_t manifest_bytes; /* default 1 MiB: a MANIFEST is written anew when it has grown by this */
    int bloom_bits;        /* default 10 per key; 0: no filter */
    enum store_compression compression; /* default snappy */
    size_t level_base_bytes;      /* default 10 MiB in level 1, ten times more in each next one */
    int l0_compact;               /* default 4: tables in level 0 that start a compaction */
    enum store_delay write_delay; /* default smooth */
    int l0_slow; /* default 8: from so many tables in level 0 on writes are delayed */
    int l0_stop; /* default 12: writes wait */
    uint64_t debt_soft_bytes,
        debt_hard_bytes;       /* default 1 and 4 GiB (smooth only): the same for
                  bytes that compaction has yet to move; no stop. hard 0: no limit */
    int compaction_threads;    /* default 2; the flush of memtables has a thread of its own */
    unsigned commit_delay_us;  /* default 0: a sync leader waits this long for company ... */
    int commit_siblings;       /* default 5: ... if at least so many other writers are about */
    bool cohort_wait;          /* default true: the short wait for those released just before */
    bool visible_when_durable; /* default false: true shows a sync write only after its sync */
    size_t zero_ahead_bytes; /* default 1 MiB: so many zeroes at most are written ahead at a time in
                                a log that is synced often; 0: none */
    size_t log_window_bytes; /* default 128 KiB: short plain writes go into the log through mappings
                                of at most so many bytes, where the disk's filesystem is known; 0:
                                off */
    size_t max_unsynced_bytes; /* default 32 MiB: plain writers wait for a running sync beyond it */
    uint64_t reserve_bytes;    /* kept for deletes on a full disk; 0: nothing; default
                                  STORE_RESERVE_AUTO: a compaction's worth (62 MiB with the other
                                  defaults), at most 1/8 of the disk */
    struct env *env;           /* default env_posix() */
    void (*log)(void *arg, const char *line); /* events, one line each; default: the file LOG */
    void *log_arg;
    struct store_beside beside; /* default: nothing is beside the store */
};

void store_options_init(struct store_options *o); /* the defaults above */

/* ---------------------------------------------------------------- open and close */

/* Opens (and where wanted creates) the store in folder `dir`. NULL options: the defaults.
 * Errors: -EEXIST, -ENOENT, -EWOULDBLOCK (in use; the text names the pid), STORE_EFORMAT (the
 * folder is something else, or of a newer format), STORE_ECORRUPT, and those of the disk. *out only
 * on success.
 *
 * A log whose end was never synced may be torn by a crash: the store opens as it was before that
 * change. Damage to what had been on stable storage is STORE_ECORRUPT, with the file and offset;
 * with options.repair the store opens without what cannot be read, and the files concerned are kept
 * in DIR/lost (stats: cut_records, cut_bytes; the file LOG has the details).
 *
 * With options.read_only no file in `dir` is changed, made or deleted, also on a disk that takes no
 * writes: what recovery makes of the logs stays in memory (about as much as the logs hold), nothing
 * is compacted, events go to options.log alone, and whatever would change something is -EROFS. Any
 * number of readers may have a store open, but nobody beside a writer: that takes the file LOCK,
 * locked for reading; where it is missing or may not be read, writers are not kept out. -ENOENT
 * where there is no store; -EINVAL with repair. */
int store_open(const char *dir, const struct store_options *options, struct store **out);

/* Syncs what is not yet durable, writes the memtable to a table (so that the log is short), waits
 * for the background and closes; syncs that were started and not led yet are done. Returns the
 * first error of this; the store is closed in any case. No other call may be under way, and
 * iterators and snapshots must have been let go of. NULL is allowed. */
int store_close(struct store *s);

/* Deletes the store's files in `dir` (and nothing else there). */
int store_destroy(const char *dir, struct env *env);

/* ---------------------------------------------------------------- batches */

/* An ordered list of puts and deletes that is committed as a whole. One thread uses it at a time.
 *
 * A record beyond the limits above is left out and spoils the batch until it is cleared: whoever
 * writes it gets -EMSGSIZE (a key or value) or -E2BIG (the batch), and nothing of it is written. */
struct store_batch {
    struct buf rep;       /* sequence | count | records: commit/batch_format.h */
    int refused;          /* 0, or the code that writing it gives */
    size_t refused_bytes; /* of what was too long */
    bool puts;            /* it has puts, not only deletes */
};

#define STORE_BATCH_INIT                                                                           \
    {                                                                                              \
        BUF_INIT, 0, 0, false                                                                      \
    }

void store_batch_free(struct store_batch *b);
void store_batch_clear(struct store_batch *b);
void store_batch_put(struct store_batch *b, struct slice key, struct slice value);
void store_batch_delete(struct store_batch *b, struct slice key);
uint32_t store_batch_count(const struct store_batch *b);
size_t store_batch_bytes(const struct store_batch *b);
/* All of `from` behind what is in `to`, also that it was refused. */
void store_batch_append(struct store_batch *to, const struct store_batch *from);

/* ---------------------------------------------------------------- writing */

/* A full disk. A write for which there is no space gets -ENOSPC (-EDQUOT); nothing of it is kept,
 * what was acknowledged is not touched, reads go on, and a later write is tried anew: once there is
 * space again the store goes on, without being opened again. The file RESERVE keeps space (option
 * reserve_bytes) for those who bring that about: batches that only delete, writers marked
 * `reclaim`, flushes, compactions. Once it is used writes that put are refused until there is space
 * for them and for the reserve. A flush or compaction without space is repeated in the background;
 * a writer who would have to wait for it gets -ENOSPC instead.
 *
 * A failing disk. After any other error of a log append, and after a failed fdatasync for whatever
 * reason, nobody knows what the disk holds: that is the store's background error, all writes get it
 * until the store is opened again, and reads go on.
 *
 * A table with damage. Reads of what lies in the damage get STORE_ECORRUPT; a compaction that meets
 * it leaves the table as it is (stats: unreadable_tables) and all else goes on. Only where level 0
 * cannot be emptied for it and is full, writes get STORE_ECORRUPT; nothing of those was written. */

/* For who got -ENOSPC: where space is still to come of what was deleted already (a flush, a
 * compaction), waits for it, ten seconds at most. True where writes that put are taken now; there
 * may be too little for this one all the same. From any thread, with no place in the queue. */
bool store_await_space(struct store *s);

/* One thread's place in the commit queue. Zero it, fill the first three fields, enqueue, wait.
 * The batch must stay unchanged until store_wait returns. */
struct store_writer {
    const struct store_batch *batch; /* NULL or empty: writes nothing (and with sync: only syncs) */
    bool sync;    /* on stable storage, with all before it, when store_wait returns */
    bool reclaim; /* it gives space back, whatever it puts: it may use the reserve (below) */

    /* results, set when done */
    int status;
    uint64_t sequence; /* of the last record; for an empty batch the last one committed before it */

    void (*done)(struct store_writer *w); /* store_sync_start only */
    bool urgent; /* the same: others stand behind who waits, so its round waits for nobody */

    /* private to commit/ */
    uint32_t state;   /* commit/wake.h; the word its thread sleeps on */
    int force_switch; /* commit/room.h's enum room_force */
    uint64_t target;  /* a sync writer is done when this sequence is durable */
    struct store_writer *next;
};

/* Takes the next place in the commit order. Never blocks on the disk. Each enqueue is followed by
 * one store_wait from the same thread, before that thread enqueues again. */
void store_enqueue(struct store *s, struct store_writer *w);
/* Waits until the writer is committed (it may commit others on the way); returns its status. */
int store_wait(struct store *s, struct store_writer *w);

/* Both in one call. */
int store_write(struct store *s, const struct store_batch *b, bool sync);
int store_put(struct store *s, struct slice key, struct slice value, bool sync);
int store_delete(struct store *s, struct slice key, bool sync);

/* Returns when everything up to `sequence` (a writer's result; 0: all committed so far) is on
 * stable storage; at once where it is there already. Same as a sync writer without a batch. */
int store_sync(struct store *s, uint64_t sequence);

/* The same without a thread that sleeps. Fill `done` (and `urgent`) of a zeroed writer and start
 * it: `done` is called once, with status and sequence set, in this call or in another thread's that
 * leads a round; it must not wait, and the writer is the caller's again. Nothing happens by itself:
 * some thread must soon run the rounds that are needed, until there are none. */
void store_sync_start(struct store *s, uint64_t sequence, struct store_writer *w);
enum store_sync_need {
    STORE_SYNC_NONE,  /* nobody has started one, or a thread is about it */
    STORE_SYNC_LATER, /* others may come, for whom to wait pays: look again in some microseconds */
    STORE_SYNC_NOW,
    STORE_SYNC_AT_ONCE, /* before anything else that could be done */
};
enum store_sync_need store_sync_needed(struct store *s); /* costs hardly anything */
/* Leads rounds for those started, and for who comes meanwhile; returns when there is nobody left,
 * or at once where another thread leads. */
void store_sync_run(struct store *s);
uint64_t store_last_sequence(struct store *s);
uint64_t store_durable_sequence(struct store *s);
/* Everything up to this sequence is in tables that a durable MANIFEST record names, and in no log
 * that the next open replays: whatever crash comes, recovery hands no batch up to it to
 * beside.check, and what it opens holds all of them. So what a batch up to it has given up beside
 * the store may be overwritten, once no snapshot or cursor sees it. store_flush() moves it to the
 * sequence of that moment; after store_open it is store_last_sequence(). It says nothing for a
 * repair whose MANIFEST cannot be read: that replays whatever logs are left. Costs hardly anything.
 */
uint64_t store_flushed_sequence(struct store *s);

/* ---------------------------------------------------------------- reading */

/* The value of key as of `snap` (NULL: now) into *value (grown as needed). -ENOENT where there is
 * none. */
int store_get(struct store *s, const struct store_snapshot *snap, struct slice key,
              struct buf *value);

/* A cursor over the store as it is now, or at snap; not placed yet. iter_destroy() it before
 * store_close. */
struct iter *store_iter(struct store *s, const struct store_snapshot *snap);
/* The same for much that is read once, and forwards: what it reads takes no other block's place in
 * the cache. */
struct iter *store_scan(struct store *s, const struct store_snapshot *snap);

struct store_snapshot *store_snapshot_take(struct store *s);
void store_snapshot_release(struct store *s, struct store_snapshot *snap);
uint64_t store_snapshot_sequence(const struct store_snapshot *snap);

/* About how many bytes on disk the keys from..to (to excluded) take in tables. */
uint64_t store_approximate_size(struct store *s, struct slice from, struct slice to);

/* ---------------------------------------------------------------- care */

/* Switches the memtable and waits until all that was in it is in tables. */
int store_flush(struct store *s);
/* Compacts every level for keys from..to (both included; a NULL data pointer: open end): all goes
 * to the deepest level that has any of them, and of the tables that hold them nothing is left that
 * no snapshot sees. */
int store_compact(struct store *s, struct slice from, struct slice to);

/* For all stores of the process: `hook` is called in a thread that is about to wait inside a call
 * (for the disk, another thread's commit, room), possibly several times in a call; it must not wait
 * itself nor call the store. Who serves requests with few threads lets another one go on meanwhile.
 * NULL: none. */
void store_on_wait(void (*hook)(void));
/* `hook` makes the calls of the operating system in which a thread may sleep long for the disk:
 * call(arg), in any thread, and returns afterwards. Comes after store_on_wait's in the same thread.
 * For threads that must stay interruptible. NULL: the thread calls itself. */
void store_on_slow_call(void (*hook)(void (*call)(void *arg), void *arg));
void store_about_to_wait(void); /* calls it: for those who wait for locks of their own */
/* call(arg), by the hook where there is one: for who makes such calls of his own. */
void store_slow_call(void (*call)(void *arg), void *arg);

/* Reads all tables whole; `report` gets a line for each that cannot be, with file and offset.
 * Returns how many. */
int store_verify(struct store *s, void (*report)(void *arg, const char *line), void *arg);

/* Counters since open. */
struct store_stats {
    uint64_t groups;  /* log records written */
    uint64_t writers; /* writers that had something to write */
    uint64_t syncs;   /* rounds of fdatasync for sync writers */
    uint64_t sync_writers;
    uint64_t switches, flushes, compactions;
    uint64_t log_bytes, flush_bytes, compact_read_bytes, compact_write_bytes;
    uint64_t delays, stalls;  /* times that a writer was slowed down; that one waited for the
                                 background */
    uint64_t delayed_us;      /* what both took, all writers together */
    uint64_t longest_wait_us; /* the longest one of them */
    uint64_t space_refused;   /* groups refused with -ENOSPC */
    uint64_t space_retries;   /* flushes and compactions to be tried again for want of space */
    bool space_low;           /* writes that put are refused */
    uint64_t cut_records, cut_bytes; /* what recovery left behind a gap in the log */
    uint64_t damaged_tables;         /* repair: tables that were missing, or not all readable */
    uint64_t unreadable_tables;      /* damage met by compactions, which leave them as they are */
    int level_files[7];
    uint64_t level_bytes[7];
};
void store_get_stats(struct store *s, struct store_stats *out);
/* 0, or the error after which no more writes are taken. */
int store_background_error(struct store *s);
/* The environment the store was opened with. */
struct env *store_env(struct store *s);

#endif
