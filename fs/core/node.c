/* The table of nodes (fs_internal.h). */
#include "fs_internal.h"

static struct shard *shard_of(struct fs *fs, uint64_t ino)
{
    return &fs->shard[ino % FS_SHARDS];
}

static struct node **bucket_of(struct shard *s, uint64_t ino)
{
    return &s->bucket[ino / FS_SHARDS & (s->bucket_count - 1)];
}

void node_table_init(struct fs *fs)
{
    for (int i = 0; i < FS_SHARDS; i++) {
        struct shard *s = &fs->shard[i];
        pthread_mutex_init(&s->mu, NULL);
        s->bucket_count = 16;
        s->bucket = mem_zalloc(s->bucket_count * sizeof *s->bucket);
    }
}

static void node_free(struct node *n)
{
    pthread_rwlock_destroy(&n->op);
    pthread_mutex_destroy(&n->mu);
    inode_free(&n->inode);
    free(n->home_name);
    free(n);
}

void node_table_free(struct fs *fs)
{
    for (int i = 0; i < FS_SHARDS; i++) {
        struct shard *s = &fs->shard[i];
        for (size_t b = 0; b < s->bucket_count; b++)
            while (s->bucket[b]) {
                struct node *n = s->bucket[b];
                s->bucket[b] = n->chain;
                node_free(n);
            }
        free(s->bucket);
        pthread_mutex_destroy(&s->mu);
    }
}

/* shard.mu held. */
static struct node *find(struct shard *s, uint64_t ino)
{
    struct node *n = *bucket_of(s, ino);
    while (n && n->ino != ino)
        n = n->chain;
    return n;
}

static void grow(struct shard *s)
{
    struct node **old = s->bucket;
    size_t old_count = s->bucket_count;
    s->bucket_count *= 2;
    s->bucket = mem_zalloc(s->bucket_count * sizeof *s->bucket);
    for (size_t b = 0; b < old_count; b++)
        while (old[b]) {
            struct node *n = old[b], **to = bucket_of(s, n->ino);
            old[b] = n->chain;
            n->chain = *to;
            *to = n;
        }
    free(old);
}

struct node *node_pin(struct fs *fs, uint64_t ino)
{
    struct shard *s = shard_of(fs, ino);
    pthread_mutex_lock(&s->mu);
    struct node *n = find(s, ino);
    if (n)
        n->pins++;
    pthread_mutex_unlock(&s->mu);
    return n;
}

/* Takes the node out of the table if nobody needs it any more. shard.mu held. */
static bool evict(struct fs *fs, struct shard *s, struct node *n)
{
    if (n->pins > 0 || n->nlookup > 0)
        return false;
    struct node **at = bucket_of(s, n->ino);
    while (*at != n)
        at = &(*at)->chain;
    *at = n->chain;
    s->count--;
    s->evictions++;
    places_note(fs, n);
    return true;
}

uint64_t node_end(const struct node *n)
{
    bool known = !(n->inode.flags & (INODE_SPARSE | INODE_HAS_CHUNKS | INODE_CUTTING));
    return known ? data_end(n->inode.size) : CUT_BY_LOOKING;
}

void node_orphan_ends(struct fs *fs, struct node *n)
{
    count_gone(fs);
    if (n->garbage_recorded)
        garbage_add(fs, n->ino, node_end(n), n->inode.flags & INODE_HAS_XATTR);
}

static void after_eviction(struct fs *fs, struct node *n)
{
    if (n->orphan)
        node_orphan_ends(fs, n);
    node_free(n);
}

void node_unpin(struct fs *fs, struct node *n)
{
    if (!n)
        return;
    struct shard *s = shard_of(fs, n->ino);
    pthread_mutex_lock(&s->mu);
    assert(n->pins > 0);
    n->pins--;
    bool gone = evict(fs, s, n);
    pthread_mutex_unlock(&s->mu);
    if (gone)
        after_eviction(fs, n);
}

bool node_forget(struct fs *fs, uint64_t ino, uint64_t count)
{
    struct shard *s = shard_of(fs, ino);
    pthread_mutex_lock(&s->mu);
    struct node *n = find(s, ino);
    bool gone = false;
    if (n) {
        n->nlookup -= count < n->nlookup ? count : n->nlookup;
        gone = evict(fs, s, n);
    }
    pthread_mutex_unlock(&s->mu);
    bool has_name = gone && !n->orphan;
    if (gone)
        after_eviction(fs, n);
    return has_name;
}

void fs_forget(struct fs *fs, uint64_t ino, uint64_t count)
{
    if (node_forget(fs, ino, count))
        note_dropping(fs);
}

void node_add_lookup(struct fs *fs, struct node *n)
{
    struct shard *s = shard_of(fs, n->ino);
    pthread_mutex_lock(&s->mu);
    n->nlookup++;
    pthread_mutex_unlock(&s->mu);
}

bool node_is_referenced(struct fs *fs, uint64_t ino)
{
    struct shard *s = shard_of(fs, ino);
    pthread_mutex_lock(&s->mu);
    struct node *n = find(s, ino);
    bool yes = n && n->nlookup > 0;
    pthread_mutex_unlock(&s->mu);
    return yes;
}

uint64_t node_evictions(struct fs *fs, uint64_t ino)
{
    struct shard *s = shard_of(fs, ino);
    pthread_mutex_lock(&s->mu);
    uint64_t e = s->evictions;
    pthread_mutex_unlock(&s->mu);
    return e;
}

void shards_see(struct fs *fs, struct shards_seen *seen)
{
    for (uint64_t i = 0; i < FS_SHARDS; i++)
        seen->evictions[i] = node_evictions(fs, i);
}

static char *copy_of(const char *name)
{
    size_t size = strlen(name) + 1;
    return memcpy(mem_alloc(size), name, size);
}

void node_set_home(struct node *n, struct node_home home)
{
    free(n->home_name);
    n->embedded = home.embedded;
    n->home = home.dir;
    n->home_name = home.embedded ? copy_of(home.name) : NULL;
}

static struct node *node_new(struct fs *fs, uint64_t ino, struct inode *i, struct node_home home)
{
    struct node *n = mem_zalloc(sizeof *n);
    pthread_rwlockattr_t attr;
    n->ino = ino;
    n->type = i->mode & S_IFMT;
    n->inode = *i;
    i->target = NULL;
    /* By default readers that come one upon the other keep a writer out for ever. */
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&n->op, &attr);
    pthread_rwlockattr_destroy(&attr);
    pthread_mutex_init(&n->mu, NULL);
    node_set_home(n, home);
    atomic_init(&n->last_sequence, store_last_sequence(fs->store));
    return n;
}

/* shard.mu held. */
static struct node *insert_new(struct fs *fs, struct shard *s, uint64_t ino, struct inode *i,
                               struct node_home home)
{
    struct node *n = node_new(fs, ino, i, home);
    if (++s->count > s->bucket_count)
        grow(s);
    struct node **at = bucket_of(s, ino);
    n->chain = *at;
    *at = n;
    return n;
}

bool node_refer_new(struct fs *fs, uint64_t ino, struct inode *i, struct node_home home,
                    uint64_t evictions)
{
    struct shard *s = shard_of(fs, ino);
    pthread_mutex_lock(&s->mu);
    bool is_new = !find(s, ino) && s->evictions == evictions;
    if (is_new)
        insert_new(fs, s, ino, i, home)->nlookup = 1;
    pthread_mutex_unlock(&s->mu);
    return is_new;
}

struct node *node_adopt(struct fs *fs, uint64_t ino, struct inode *i, struct node_home home,
                        uint64_t evictions)
{
    struct shard *s = shard_of(fs, ino);
    struct node *n = NULL;
    pthread_mutex_lock(&s->mu);
    n = find(s, ino);
    if (!n && s->evictions == evictions)
        n = insert_new(fs, s, ino, i, home);
    if (n)
        n->pins++;
    pthread_mutex_unlock(&s->mu);
    inode_free(i);
    return n;
}

void node_stat(struct node *n, struct stat *st)
{
    pthread_mutex_lock(&n->mu);
    inode_to_stat(n->ino, &n->inode, st);
    pthread_mutex_unlock(&n->mu);
}

struct inode node_next(struct node *n)
{
    pthread_mutex_lock(&n->mu);
    struct inode next = n->inode;
    if (n->atime == ATIME_NEW)
        n->atime = ATIME_TAKEN;
    pthread_mutex_unlock(&n->mu);
    return next;
}

void node_set_inode(struct node *n, const struct inode *next)
{
    struct timespec atime = n->inode.atime;
    n->inode = *next;
    if (n->atime == ATIME_NEW) /* an access since the copy was made */
        n->inode.atime = atime;
    else
        n->atime = ATIME_STORED;
}

bool node_atime_is_new(struct node *n)
{
    pthread_mutex_lock(&n->mu);
    bool yes = n->atime != ATIME_STORED;
    pthread_mutex_unlock(&n->mu);
    return yes;
}

void node_publish(struct node *n, const struct inode *next)
{
    pthread_mutex_lock(&n->mu);
    node_set_inode(n, next);
    pthread_mutex_unlock(&n->mu);
}

void node_note_garbage(struct node *n)
{
    pthread_mutex_lock(&n->mu);
    n->garbage_recorded = true;
    pthread_mutex_unlock(&n->mu);
}

int node_load(struct fs *fs, uint64_t ino, struct node **out)
{
    struct buf value = BUF_INIT;
    struct inode i;
    struct fs_key key = key_of(KEY_INODE, ino);
    int rc = 0;
    for (*out = node_pin(fs, ino); rc == 0 && !*out;) {
        uint64_t evictions = node_evictions(fs, ino);
        rc = store_get(fs->store, NULL, key_slice(&key), &value);
        if (rc == 0)
            rc = inode_decode(&i, buf_slice(&value));
        if (rc == 0)
            *out = node_adopt(fs, ino, &i, (struct node_home){0}, evictions);
    }
    buf_free(&value);
    return rc;
}
