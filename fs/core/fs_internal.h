/* The inside of an open filesystem: nodes, locks, changes. Only fs/core includes this.
 *
 * A *node* is an inode in memory. All that the kernel has a reference to have one; so has the root.
 *
 * Locks, in the order in which they are taken:
 *   1. fs.rename_mu   renames between two directories, and of a directory over another: the shape
 *                     of the tree stands still, and only its holder locks directories beside one
 *                     another
 *   2. node.op        one operation at a time on this inode, held until its commit is done (as the
 *                     kernel holds its own inode lock): exclusive for every change of the inode, of
 *                     its data, or of the names in the directory; shared for reads of data. A
 *                     directory before what is in it; of two directories, neither above the other,
 *                     the lower number first; files after all directories, the lower number first.
 *   3. node.mu        for a moment: the fields that readers look at
 *   4. shard.mu       for a moment: the table of nodes
 *      access_times.mu  likewise: the list of atime.c
 *
 * Invariant: what a node says is what is committed, but for its access time (atime.c). A change is
 * made on a copy of the inode (node_next), committed, and only then published in the node; if the
 * commit fails there is nothing to take back. */
#ifndef FS_CORE_FS_INTERNAL_H
#define FS_CORE_FS_INTERNAL_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "../format/chunk_format.h"
#include "../format/garbage_format.h"
#include "../format/inode_format.h"
#include "../format/keys_format.h"
#include "../format/super_format.h"
#include "fs.h"
#include "segments.h"

#define FS_SHARDS 64
#define FS_MAX_SIZE INT64_MAX
#define FS_BATCH_KEYS 1000 /* one step of deleting what may be much */
#define CUT_BY_LOOKING UINT64_MAX

struct node {
    struct node *chain; /* of the shard's bucket; guarded by shard.mu */
    uint64_t ino;
    mode_t type;      /* S_IFMT of its mode, which never changes: to be read without a lock */
    uint64_t nlookup; /* references of the kernel; guarded by shard.mu */
    unsigned pins;    /* operations that use it now; guarded by shard.mu */
    pthread_rwlock_t op;
    pthread_mutex_t mu;
    struct inode inode; /* changed under op (exclusive) and mu: either is enough to read. But for
                           atime: under mu alone */
    bool
        embedded; /* its record is the entry (home, home_name); else under its `I` key. As inode. */
    uint64_t home;
    char *home_name;
    bool orphan;               /* it has no name. As inode. */
    bool linkable;             /* ... and had none yet: it may get one. As inode. */
    bool garbage_recorded;     /* ... and its `O` record is there. As inode. */
    bool no_capability;        /* it has attributes, but not that one. Under op alone. */
    uint64_t run_from, run_to; /* these bytes were written one behind the other; under op */
    atomic_bool run_broken;    /* ... and synced, cut or punched since */
    atomic_uint_fast64_t last_sequence; /* of its last commit: what fsync waits for */
    enum {
        ATIME_STORED,
        ATIME_TAKEN,   /* it is not committed, but in the copy that a change is made on */
        ATIME_NEW,     /* it is not even that */
    } atime;           /* guarded by mu */
    bool atime_listed; /* in the list of atime.c, which has a pin; guarded by the list's mutex */
    struct node *atime_next, *atime_previous;
};

struct shard {
    pthread_mutex_t mu;
    struct node **bucket;
    size_t bucket_count, count;
    uint64_t evictions; /* how often a node was taken out: what was read from the store before may
                           be stale */
};

struct counting;
struct freed;
struct garbage;
struct places;
struct access_times;

struct fs {
    struct store *store;
    char *dir;
    struct fs_options options;
    struct super super; /* next_ino, incompatible: guarded by ino_mu */
    uint64_t ino_next;  /* guarded by ino_mu; below super.next_ino */
    pthread_mutex_t ino_mu;
    pthread_mutex_t rename_mu;
    struct shard shard[FS_SHARDS];
    struct node *root;
    /* count.c: inodes when it was opened (an estimate, unless exact), and how many more since */
    atomic_int_fast64_t inodes_at_open, inodes_since;
    atomic_bool inodes_exact;
    struct counting *counting;
    struct places *places;             /* places.c */
    struct garbage *garbage;           /* garbage.c */
    struct segments *segments;         /* segments.h */
    struct segment_place put_last;     /* chunk.c, in store_open only */
    struct freed *freed;               /* freed.c */
    struct commit_timer *timer;        /* timer.c */
    struct access_times *access_times; /* atime.c */
    atomic_int_fast64_t dropped_ms; /* when there was last a sign that the caller drops what it has
                                       references to: lookup.c */
};

/* ---- locks that may be held for long, by somebody who commits: who has to wait says so first, and
 * other requests go on (store_on_wait in store.h) */

static inline void lock_waiting(pthread_mutex_t *mu)
{
    if (pthread_mutex_trylock(mu)) {
        store_about_to_wait();
        pthread_mutex_lock(mu);
    }
}
/* node.op */
static inline void node_lock(struct node *n)
{
    if (pthread_rwlock_trywrlock(&n->op)) {
        store_about_to_wait();
        pthread_rwlock_wrlock(&n->op);
    }
}
static inline void node_lock_shared(struct node *n)
{
    if (pthread_rwlock_tryrdlock(&n->op)) {
        store_about_to_wait();
        pthread_rwlock_rdlock(&n->op);
    }
}
static inline void node_unlock(struct node *n)
{
    pthread_rwlock_unlock(&n->op);
}

/* ---- node.c */

void node_table_init(struct fs *fs);
void node_table_free(struct fs *fs);
/* The node, pinned; NULL where it is not in memory. */
struct node *node_pin(struct fs *fs, uint64_t ino);
/* Gives the pin back. Without references and pins the node goes (and an orphan's data with it). */
void node_unpin(struct fs *fs, struct node *n);
void node_add_lookup(struct fs *fs, struct node *n);
/* Takes references back. True: that was the last use of an inode that still has a name. */
bool node_forget(struct fs *fs, uint64_t ino, uint64_t count);
bool node_is_referenced(struct fs *fs, uint64_t ino);
uint64_t node_evictions(struct fs *fs, uint64_t ino); /* of the inode's shard */
/* Where the inode's record is. */
struct node_home {
    bool embedded;
    uint64_t dir;
    const char *name;
};
/* The pinned node of an inode that was read from the store when its shard had seen `evictions`: the
 * one in memory, or a new one, which takes i over (otherwise it is freed). NULL: what was read may
 * be stale; read again. */
struct node *node_adopt(struct fs *fs, uint64_t ino, struct inode *i, struct node_home home,
                        uint64_t evictions);
/* The same with a reference instead of a pin, if no node was there: true. Otherwise i stays the
 * caller's. */
bool node_refer_new(struct fs *fs, uint64_t ino, struct inode *i, struct node_home home,
                    uint64_t evictions);
void node_set_home(struct node *n, struct node_home home); /* mu held */
/* Where its extents end, if every block below has one; else CUT_BY_LOOKING. op held, or nobody has
 * it any more. */
uint64_t node_end(const struct node *n);
/* An inode without a name has lost its last reference. */
void node_orphan_ends(struct fs *fs, struct node *n);
void node_stat(struct node *n, struct stat *st);
/* The copy that a change is made on. op held: exclusively for all but atime.c. */
struct inode node_next(struct node *n);
/* The node's inode is now `next`, which was made with node_next. mu and op (exclusive) held. */
void node_set_inode(struct node *n, const struct inode *next);
bool node_atime_is_new(struct node *n); /* it is not committed yet */
/* Reads inode `ino` from its `I` key and adopts it. */
int node_load(struct fs *fs, uint64_t ino, struct node **out);

/* ---- places.c: inodes of which nothing but the number is known */

void places_init(struct fs *fs);
void places_free(struct fs *fs);
/* The node leaves the memory: notes where its entry is. shard.mu held. */
void places_note(struct fs *fs, const struct node *n);
/* The pinned node of any inode that exists, in memory or not. -ENOENT: there is none (any more).
 * The first call for one that is neither in memory nor under its `I` key reads all entries. */
int node_find(struct fs *fs, uint64_t ino, struct node **out);

/* ---- change.c: one batch from start to end */

/* A chunk that the change touches: as it is stored, and as it is to be. Without bits in its map: it
 * is not there. */
struct chunk_edit {
    uint64_t ino, at;
    struct chunk old, now;
};
/* What was appended for the change. */
struct placed {
    struct segment_place at;
    uint64_t bytes;
};

struct change {
    struct fs *fs;
    struct store_batch batch;
    struct buf value; /* scratch */
    bool reclaim;     /* it gives space back: it may use what is kept for that on a full disk */
    struct chunk_edit *chunks; /* chunk.c, as what follows */
    size_t chunk_count, chunk_room;
    struct placed *placed;
    size_t placed_count;
};
void change_begin(struct change *c, struct fs *fs);
void change_put(struct change *c, struct fs_key key, struct slice value);
void change_delete(struct change *c, struct fs_key key);
/* The record of n as `next`, where it lives. Nothing for an orphan: it is gone after a crash
 * anyway. */
void change_put_inode(struct change *c, struct node *n, const struct inode *next);
void change_put_inode_at(struct change *c, uint64_t ino, const struct inode *next,
                         struct node_home home);
void change_put_reference(struct change *c, uint64_t dir, const char *name, uint64_t ino,
                          mode_t mode);
void change_put_garbage(struct change *c, uint64_t ino, uint64_t from, bool gone);
/* Commits, frees the batch. On success notes the sequence in each node (NULLs are skipped). Damage
 * in the store, which takes no writes then, is -EIO. */
int change_commit(struct change *c, struct node *const *nodes, int count);
void change_drop(struct change *c); /* instead of commit */
/* For long work in many batches: commits what there is (once it is much) and begins anew, whether
 * or not that went well. Such work gives space back. */
int change_next(struct change *c);
int change_next_if_full(struct change *c);
/* node_set_inode; op held exclusively. */
void node_publish(struct node *n, const struct inode *next);
/* A garbage record of this inode, which has no name, was committed; op held exclusively. */
void node_note_garbage(struct node *n);

/* ---- others */

/* fs.c: a superblock, and a root with this many names and links. */
int put_new_super(struct store_batch *b, uint64_t next_ino, uint64_t incompatible);
void put_new_root(struct store_batch *b, const struct inode *counts);

int ino_allocate(struct fs *fs, uint64_t *ino); /* ino.c */
/* Raises *number to the highest one, of an inode or a segment, that keys of this kind begin with; a
 * last key that is shorter than `length` is passed over. ino.c */
int highest_in_keys(struct fs *fs, enum key_kind kind, size_t length, uint64_t *number);
/* Commits that the filesystem has a feature (enum super_incompatible), unless it is known. ino.c */
int super_require(struct fs *fs, uint64_t feature);
struct timespec fs_now(void);                      /* error.c */
int fs_error(struct fs *fs, uint64_t ino, int rc); /* error.c: damage becomes -EIO and a log line */
int store_errno(int rc); /* error.c: damage is -EIO; for what the timer reports anyway */
void fs_log(struct fs *fs, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int name_check(const char *name); /* lookup.c: 0, -ENOENT (empty), -ENAMETOOLONG */
/* The pinned node under a name: -ENOENT, -ENOTDIR. */
int lookup_node(struct fs *fs, struct node *dir, const char *name, struct node **out);
/* The same for an entry of dir that was read with an iterator. `seen`: the shards' evictions, taken
 * by shards_see() before the iterator was made. */
struct shards_seen {
    uint64_t evictions[FS_SHARDS];
};
void shards_see(struct fs *fs, struct shards_seen *seen); /* node.c */
int lookup_entry(struct fs *fs, struct node *dir, const char *name, struct slice value,
                 const struct shards_seen *seen, struct node **out);
bool may_take_name(struct node *dir); /* lookup.c: dir still has a name itself */
/* Does the caller still know the names of what it has references to? A kernel short of memory drops
 * names first, of which it tells nobody, then inodes (fs_forget). lookup.c. */
void note_dropping(struct fs *fs);
bool caller_keeps_names(struct fs *fs);

/* unlink.c: puts into the change what losing one name means for n (whose op is held); *next is its
 * inode then. */
void unlink_put(struct change *c, struct node *n, struct inode *next, struct timespec now);
void unlink_publish(struct fs *fs, struct node *n, const struct inode *next);
/* Has the directory (op held) no names? 0, -ENOTEMPTY, or an error. By a look: after a repair its
 * count of them may be wrong, and a name in a directory that is gone is lost. */
int check_empty(struct fs *fs, const struct node *dir);

/* attr.c: suid, and sgid of what its group may execute, go. */
void drop_privileges(struct inode *next);
/* An attribute of a node, which may have none: 0, -ENODATA, or an error. xattr.c. */
int xattr_get(struct fs *fs, struct node *n, const char *name, struct buf *value);
/* The file's content or owner changes: puts into the change that its capabilities go
 * (security.capability), whoever it is. op held exclusively. */
int xattr_put_no_capability(struct change *c, struct node *n);

/* data.c */
uint64_t data_end(uint64_t size); /* the first block's offset behind a file of this size */
/* The stored block at `at` into block[FS_BLOCK], with zeroes where nothing is stored. *there: it
 * has a record. */
int data_get_block(struct fs *fs, const struct node *n, uint64_t at, char *block, bool *there);
/* Puts the block's first `len` bytes, what is behind them is zeroes, also where it is in a chunk up
 * to now. */
int data_put_part(struct change *c, const struct node *n, uint64_t at, const char *bytes,
                  size_t len);
/* One block's part of a write: [from, to) of the block at `at`; next gets its blocks. */
int data_write_block(struct change *c, const struct node *n, struct inode *next, uint64_t at,
                     size_t from, size_t to, const char *p);
/* fs_read and fs_write (write.c) of a file whose op is held (shared will do to read). */
ssize_t data_read(struct fs *fs, const struct node *n, void *p, size_t size, uint64_t off);
int data_write(struct fs *fs, struct node *n, const char *p, size_t size, uint64_t off,
               bool kill_priv);

/* ---- chunk.c: data in segment files */

/* The stored record of the chunk at `at`: 0, -ENOENT, or an error. */
int chunk_load(struct fs *fs, uint64_t ino, uint64_t at, struct chunk *out);
/* Whose the place is by its record: 0, -ENOENT, or an error. */
int place_load(struct fs *fs, struct segment_place at, struct place_owner *out);
/* The chunk of that owner, if it has the place: 0, -ENOENT, or an error. */
int place_chunk(struct fs *fs, struct segment_place at, struct place_owner o, struct chunk *out);
/* The chunk as the change leaves it, to be changed: *out holds until the next call for the change.
 * Without bits in its map there is none. */
int change_chunk(struct change *c, uint64_t ino, uint64_t at, struct chunk **out);
/* The stored chunk is known to be `old` (all zero: there is none): saves the look. */
void change_have_chunk(struct change *c, uint64_t ino, uint64_t at, const struct chunk *old);
/* Puts what became of the chunks into the batch; true: places are free now. Last of all. */
bool change_put_chunks(struct change *c);
/* The change is over; without a commit what was appended for it is given back. */
void change_free_chunks(struct change *c, bool committed);
/* The chunk's block at offset `block`, which is there, into p[FS_BLOCK]. */
int chunk_read_block(struct fs *fs, const struct chunk *c, uint64_t at, uint64_t block, char *p);
/* What is there of [off, off + size), into p, which is that range's memory. */
int chunk_read(struct fs *fs, const struct chunk *c, uint64_t at, char *p, size_t size,
               uint64_t off);
/* Appends the data of `count` whole chunks. */
int chunk_append(struct change *c, const char *p, size_t count, struct segment_place *out);
/* The record of FS_CHUNK bytes at this place. */
struct chunk chunk_made(struct segment_place at, const char *p);
struct store_beside chunk_beside(struct fs *fs);

/* ---- extents.c: ranges of blocks */

struct extent_scan {
    uint64_t ino, at;
    uint16_t bits; /* which blocks of the FS_CHUNK bytes at `at` are there; 0: that was the end */
    struct iter *it;
};
/* Goes through what is there from the chunk of `from` on, FS_CHUNK bytes at a time. */
void extents_begin(struct extent_scan *s, struct fs *fs, uint64_t ino, uint64_t from);
int extents_next(struct extent_scan *s);
void extents_end(struct extent_scan *s);
/* How many blocks of [from, end) are there; multiples of FS_BLOCK. */
int extents_count(struct fs *fs, uint64_t ino, uint64_t from, uint64_t end, uint64_t *count);
/* Puts into the change that blocks of [*from, end) go, with `most` records at most; *from moves
 * to where it stopped (`end`: that was all), and *count rises by the blocks. */
int extents_clear(struct change *c, uint64_t ino, uint64_t *from, uint64_t end, size_t most,
                  uint64_t *count);

/* ---- freed.c: places that are needed no more */

/* After store_open: whatever an earlier run left. */
int freed_start(struct fs *fs);
void freed_stop(struct fs *fs); /* gives back what it can */
/* A change that freed places was committed. */
void freed_note(struct fs *fs);
/* The disk is full: gives back what there is, here and now. True: something was. */
bool freed_give_back(struct fs *fs);
/* mend.c: after a repair that lost records each chunk's place is known as its own again, and what
 * was known as the place of a lost one is freed. */
int mend_announce(struct fs *fs, struct env *env); /* before the store is opened with repair */
bool mend_is_announced(struct fs *fs);
/* Each does nothing where it was not announced; in this order. */
int mend_super(struct fs *fs);   /* superblock and root; before they are read */
int mend_damaged(struct fs *fs); /* mend_damaged.c, by mend_super: records that are none */
int mend_names(struct fs *fs);   /* mend_names.c, by mend_super: one inode in several entries */
int mend_tree(struct fs *fs);    /* mend_tree.c: counts, and what lost its name; before nodes */
int mend_places(struct fs *fs);  /* before freed_start; then it is over */
/* A segment is about to be used for the first time (segments_options.begin). */
int freed_begin_segment(void *arg, uint64_t segment);

/* resize.c; op held exclusively. */
/* Puts into the change what a new size means for the extents; next gets size, blocks and flags.
 * With INODE_CUTTING among them there are more than a batch should hold: after the commit the
 * caller calls resize_finish(). */
int resize_put(struct fs *fs, struct node *n, struct inode *next, uint64_t size, struct change *c);
/* Deletes what a big truncation left behind the size, which ended at `end` (CUT_BY_LOOKING: not
 * known), and takes INODE_CUTTING back. Nothing may be put behind the size before that. */
int resize_finish(struct fs *fs, struct node *n, uint64_t end);

/* garbage.c */
int garbage_start(struct fs *fs);
void garbage_stop(struct fs *fs);
/* An orphan has lost its last reference: what it had is deleted in the background. */
void garbage_add(struct fs *fs, uint64_t ino, uint64_t end, bool attrs);
/* Returns when what was added before is deleted, or cannot be for want of space (or in 5 s). */
void garbage_settle(struct fs *fs);
/* Deletes the extents from `from` to `end` (multiples of FS_BLOCK) in bounded batches: every block
 * that can be there, without a look; or with CUT_BY_LOOKING all that are there. */
int garbage_cut(struct fs *fs, uint64_t ino, uint64_t from, uint64_t end);

/* space.c */
/* The disk is full: waits for what is on its way back of what was deleted. False: there was nothing
 * to wait for, or no space came of it. The caller may hold inodes. */
bool space_comes_back(struct fs *fs);
#define SPACE_TRIES 4 /* of one write in all: others take space, too */

/* count.c */
/* Before the first change, and after the last one. */
int count_start(struct fs *fs);
void count_stop(struct fs *fs);
uint64_t count_inodes(struct fs *fs);
/* One more inode; one less: it has neither a name nor a reference any more. */
static inline void count_made(struct fs *fs)
{
    atomic_fetch_add_explicit(&fs->inodes_since, 1, memory_order_relaxed);
}
static inline void count_gone(struct fs *fs)
{
    atomic_fetch_sub_explicit(&fs->inodes_since, 1, memory_order_relaxed);
}

/* timer.c */
int timer_start(struct fs *fs);
void timer_stop(struct fs *fs);
void timer_store_access_times(struct fs *fs); /* now, not at the end of the interval */

/* atime.c */
void atime_start(struct fs *fs);
void atime_stop(struct fs *fs); /* stores what is not yet; nobody else uses the filesystem */
/* Stores all access times that are not yet, but for those of nodes that are being changed. */
void atime_store_all(struct fs *fs);
void atime_forget(struct fs *fs, struct node *n); /* it has become an orphan; mu not held */

#endif
