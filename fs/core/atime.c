/* Access times: when to change one (mount options relatime, strictatime, noatime), and how it gets
 * into the store without anybody waiting for it.
 *
 * An access changes the inode in memory alone and puts its node, pinned, into a list. From there
 * the new time reaches the store with the inode's next change, or by atime_store_all (from the
 * timer, every `commit_seconds`, and at closing), or by fs_store_atime. So a read neither waits for
 * a write nor fails with one; a crash may lose the access, and so may a store that takes no more.
 *
 * Invariants:
 *   1. Only atime of a node may differ from what is committed, and then node.atime is not
 *      ATIME_STORED.
 *   2. A node in the list has a pin of the list's, and is no orphan: it would keep the data of one
 *      that nobody has any more.
 *   3. store_mu is held while a node's access time is stored by itself. Its op is held shared:
 *      that keeps changes out, and lets readers go on. */
#include "fs_internal.h"

#define BATCH 32          /* inodes in one batch: who changes one of them waits for its commit */
#define MANY 4096         /* listed nodes: do not wait for the interval's end */
#define TOO_MANY 65536    /* ... more than the store takes: their access times are let go */
#define SECONDS_OLD 86400 /* relatime: an access time this old is renewed anyway */

struct access_times {
    pthread_mutex_t mu;
    struct node *first, *last; /* by node.atime_next and _previous; guarded by mu */
    size_t count;              /* guarded by mu */
    pthread_mutex_t store_mu;
};

/* ---- the list */

/* mu held. */
static void unlink_node(struct access_times *a, struct node *n)
{
    *(n->atime_previous ? &n->atime_previous->atime_next : &a->first) = n->atime_next;
    *(n->atime_next ? &n->atime_next->atime_previous : &a->last) = n->atime_previous;
    n->atime_next = n->atime_previous = NULL;
    n->atime_listed = false;
    a->count--;
}

/* The list takes the caller's pin over, or says that it does not. n->mu held. */
static bool list_node(struct fs *fs, struct node *n, bool *many)
{
    struct access_times *a = fs->access_times;
    pthread_mutex_lock(&a->mu);
    bool yes = !n->orphan && !n->atime_listed && a->count < TOO_MANY;
    if (yes) {
        n->atime_listed = true;
        n->atime_previous = a->last;
        *(a->last ? &a->last->atime_next : &a->first) = n;
        a->last = n;
        a->count++;
    }
    *many = yes && a->count == MANY;
    pthread_mutex_unlock(&a->mu);
    return yes;
}

/* The first ones, off the list: their pins are the caller's. */
static int take_some(struct access_times *a, struct node **some, size_t most)
{
    int n = 0;
    pthread_mutex_lock(&a->mu);
    while (a->first && n < BATCH && (size_t)n < most) {
        some[n++] = a->first;
        unlink_node(a, a->first);
    }
    pthread_mutex_unlock(&a->mu);
    return n;
}

void atime_forget(struct fs *fs, struct node *n)
{
    struct access_times *a = fs->access_times;
    pthread_mutex_lock(&a->mu);
    bool listed = n->atime_listed;
    if (listed)
        unlink_node(a, n);
    pthread_mutex_unlock(&a->mu);
    if (listed)
        node_unpin(fs, n);
}

/* ---- accesses */

static bool not_after(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec <= b.tv_nsec;
}

/* n->mu held. */
static bool is_due(const struct fs *fs, const struct node *n, struct timespec now)
{
    const struct inode *i = &n->inode;
    if (fs->options.atime == FS_STRICTATIME)
        return i->atime.tv_sec != now.tv_sec || i->atime.tv_nsec != now.tv_nsec;
    return not_after(i->atime, i->mtime) || not_after(i->atime, i->ctime) ||
           now.tv_sec - i->atime.tv_sec >= SECONDS_OLD;
}

void fs_accessed(struct fs *fs, uint64_t ino)
{
    if (fs->options.atime == FS_NOATIME || fs->options.read_only)
        return;
    struct node *n = node_pin(fs, ino);
    if (!n)
        return;
    bool listed = false, many = false;
    if (!(S_ISDIR(n->type) && fs->options.no_directory_atime)) {
        struct timespec now = fs_now();
        pthread_mutex_lock(&n->mu);
        if (is_due(fs, n, now)) {
            n->inode.atime = now;
            n->atime = ATIME_NEW;
            listed = list_node(fs, n, &many);
        }
        pthread_mutex_unlock(&n->mu);
    }
    if (many)
        timer_store_access_times(fs);
    if (!listed)
        node_unpin(fs, n);
}

/* ---- into the store */

/* Puts the node's inode into the change where its access time is not stored yet. op held, shared
 * at least. */
static bool put_access_time(struct change *c, struct node *n)
{
    if (n->orphan || !node_atime_is_new(n))
        return false;
    struct inode next = node_next(n);
    change_put_inode(c, n, &next);
    return true;
}

/* The node's access time is stored, unless there was another access meanwhile. */
static void note_stored(struct node *n)
{
    pthread_mutex_lock(&n->mu);
    if (n->atime == ATIME_TAKEN)
        n->atime = ATIME_STORED;
    pthread_mutex_unlock(&n->mu);
}

/* Somebody changes it at this moment: later. */
static void list_again(struct fs *fs, struct node *n)
{
    bool many;
    pthread_mutex_lock(&n->mu);
    bool listed = list_node(fs, n, &many);
    pthread_mutex_unlock(&n->mu);
    if (!listed)
        node_unpin(fs, n);
}

/* What the store does not take is not tried again, but stays in memory as long as the node does.
 * Nobody is waited for while other nodes are locked; store_mu held. */
static void store_some(struct fs *fs, struct node **some, int count)
{
    struct change c;
    int put = 0;
    change_begin(&c, fs);
    for (int i = 0; i < count; i++) {
        struct node *n = some[i];
        if (pthread_rwlock_tryrdlock(&n->op)) {
            list_again(fs, n);
            continue;
        }
        if (put_access_time(&c, n)) {
            some[put++] = n;
            continue;
        }
        node_unlock(n);
        node_unpin(fs, n);
    }
    int rc = change_commit(&c, some, put);
    for (int i = 0; i < put; i++) {
        if (rc == 0)
            note_stored(some[i]);
        node_unlock(some[i]);
        node_unpin(fs, some[i]);
    }
}

void atime_store_all(struct fs *fs)
{
    struct access_times *a = fs->access_times;
    struct node *some[BATCH];
    pthread_mutex_lock(&a->mu);
    size_t left = a->count; /* those that come back to the list have their turn next time */
    pthread_mutex_unlock(&a->mu);
    while (left > 0) {
        lock_waiting(&a->store_mu);
        int n = take_some(a, some, left);
        store_some(fs, some, n);
        pthread_mutex_unlock(&a->store_mu);
        left = n > 0 ? left - (size_t)n : 0;
    }
}

void fs_store_atime(struct fs *fs, uint64_t ino)
{
    struct node *n = node_pin(fs, ino);
    if (!n)
        return;
    if (node_atime_is_new(n)) {
        struct change c;
        lock_waiting(&fs->access_times->store_mu);
        node_lock_shared(n);
        change_begin(&c, fs);
        if (!put_access_time(&c, n))
            change_drop(&c);
        else if (change_commit(&c, &n, 1) == 0)
            note_stored(n);
        node_unlock(n);
        pthread_mutex_unlock(&fs->access_times->store_mu);
    }
    node_unpin(fs, n);
}

/* ---- start and end */

void atime_start(struct fs *fs)
{
    fs->access_times = mem_zalloc(sizeof *fs->access_times);
    pthread_mutex_init(&fs->access_times->mu, NULL);
    pthread_mutex_init(&fs->access_times->store_mu, NULL);
}

void atime_stop(struct fs *fs)
{
    struct access_times *a = fs->access_times;
    if (!a)
        return;
    atime_store_all(fs);
    assert(a->count == 0); /* nobody else is here who could have made it wait */
    pthread_mutex_destroy(&a->mu);
    pthread_mutex_destroy(&a->store_mu);
    free(a);
    fs->access_times = NULL;
}
