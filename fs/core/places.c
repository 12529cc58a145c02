/* From a number alone to the inode: for who comes with a file handle (name_to_handle_at, an NFS
 * server) after the inode has left the memory. An inode with one link lives in its entry, and no
 * record says which that is; to keep one would cost every create, and hardly anybody asks.
 *
 * So the first who asks pays: one pass over all entries notes where each inode is, in a table in
 * memory. From then on it stays right by itself, since an entry only moves while its inode has a
 * node: whenever a node leaves the memory, its place is noted anew.
 *
 * Invariant, once `state` is COMPLETE: an inode that has one link and no node has its place in the
 * table. Places of inodes that are gone, or are under `I` now, may be there as well; whoever
 * follows one looks whether the entry is still that inode's. */
#include "fs_internal.h"

struct place {
    struct place *chain;
    uint64_t ino, dir;
    char name[];
};

struct places {
    pthread_mutex_t mu; /* taken with a shard.mu held; guards all but `noting` */
    pthread_cond_t built;
    atomic_bool noting; /* nodes that leave the memory are noted */
    enum { NOT_BUILT, BUILDING, COMPLETE } state;
    struct place **bucket;
    size_t bucket_count, count;
};

void places_init(struct fs *fs)
{
    struct places *p = fs->places = mem_zalloc(sizeof *p);
    pthread_mutex_init(&p->mu, NULL);
    pthread_cond_init(&p->built, NULL);
    p->bucket_count = 64;
    p->bucket = mem_zalloc(p->bucket_count * sizeof *p->bucket);
}

void places_free(struct fs *fs)
{
    struct places *p = fs->places;
    for (size_t b = 0; b < p->bucket_count; b++)
        while (p->bucket[b]) {
            struct place *first = p->bucket[b];
            p->bucket[b] = first->chain;
            free(first);
        }
    free(p->bucket);
    pthread_cond_destroy(&p->built);
    pthread_mutex_destroy(&p->mu);
    free(p);
}

/* ---- the table: mu held */

static struct place **bucket_of(struct places *p, uint64_t ino)
{
    return &p->bucket[ino & (p->bucket_count - 1)];
}

/* The link to the inode's place; to NULL where it has none. */
static struct place **find_place(struct places *p, uint64_t ino)
{
    struct place **at = bucket_of(p, ino);
    while (*at && (*at)->ino != ino)
        at = &(*at)->chain;
    return at;
}

static void insert(struct places *p, struct place *one)
{
    struct place **at = bucket_of(p, one->ino);
    one->chain = *at;
    *at = one;
}

static void grow(struct places *p)
{
    struct place **old = p->bucket;
    size_t old_count = p->bucket_count;
    p->bucket_count *= 2;
    p->bucket = mem_zalloc(p->bucket_count * sizeof *p->bucket);
    for (size_t b = 0; b < old_count; b++)
        while (old[b]) {
            struct place *one = old[b];
            old[b] = one->chain;
            insert(p, one);
        }
    free(old);
}

static void add_place(struct places *p, uint64_t ino, uint64_t dir, struct slice name)
{
    struct place *one = mem_alloc(sizeof *one + name.len + 1);
    one->ino = ino;
    one->dir = dir;
    memcpy(one->name, name.data, name.len);
    one->name[name.len] = 0;
    if (++p->count > p->bucket_count)
        grow(p);
    insert(p, one);
}

static void remove_place(struct places *p, struct place **at)
{
    struct place *one = *at;
    *at = one->chain;
    p->count--;
    free(one);
}

static bool is_at(const struct place *one, const struct node *n)
{
    return n->embedded && one->dir == n->home && strcmp(one->name, n->home_name) == 0;
}

void places_note(struct fs *fs, const struct node *n)
{
    struct places *p = fs->places;
    if (!atomic_load(&p->noting))
        return;
    pthread_mutex_lock(&p->mu);
    struct place **at = find_place(p, n->ino);
    bool known = *at && is_at(*at, n);
    if (*at && !known)
        remove_place(p, at);
    if (n->embedded && !known)
        add_place(p, n->ino, n->home, slice_str(n->home_name));
    pthread_mutex_unlock(&p->mu);
}

/* ---- the pass over all entries */

/* What a node noted is newer than what is read here. */
static void note_entry(struct places *p, const char *key, size_t len, uint64_t ino)
{
    pthread_mutex_lock(&p->mu);
    if (!*find_place(p, ino))
        add_place(p, ino, get_be64(key + 1), slice_of(key + 9, len - 9));
    pthread_mutex_unlock(&p->mu);
}

static int read_all_entries(struct fs *fs)
{
    static const char prefix[] = {KEY_ENTRY};
    struct iter *it = store_iter(fs->store, NULL);
    int rc = 0;
    for (iter_seek(it, slice_of(prefix, 1)); rc == 0 && it->valid && it->key.data[0] == KEY_ENTRY;
         iter_next(it)) {
        uint64_t ino;
        enum entry_kind kind;
        rc = it->key.len > 9 && it->key.len <= 9 + FS_NAME_MAX
                 ? entry_peek(it->value, &ino, &kind)
                 : fail(STORE_ECORRUPT, "a damaged key of a directory entry");
        if (rc == 0 && kind == ENTRY_INODE)
            note_entry(fs->places, it->key.data, it->key.len, ino);
    }
    if (rc == 0)
        rc = it->status;
    iter_destroy(it);
    return rc;
}

/* A node that left the memory before the noting began had committed all, so the iterator, made
 * later, sees its entry; after node_evictions every thread that evicts notes. */
static int read_and_note(struct fs *fs)
{
    atomic_store(&fs->places->noting, true);
    for (uint64_t i = 0; i < FS_SHARDS; i++)
        node_evictions(fs, i); /* who is in the shard now is out of it then */
    return read_all_entries(fs);
}

/* One thread reads, the others wait for it. An error leaves what is there, which is right, and the
 * next who asks tries again. */
static int build(struct fs *fs)
{
    struct places *p = fs->places;
    int rc = 0;
    pthread_mutex_lock(&p->mu);
    if (p->state != COMPLETE)
        store_about_to_wait(); /* others are served meanwhile */
    while (p->state == BUILDING)
        pthread_cond_wait(&p->built, &p->mu);
    if (p->state == NOT_BUILT) {
        p->state = BUILDING;
        pthread_mutex_unlock(&p->mu);
        rc = read_and_note(fs);
        pthread_mutex_lock(&p->mu);
        p->state = rc ? NOT_BUILT : COMPLETE;
        pthread_cond_broadcast(&p->built);
    }
    pthread_mutex_unlock(&p->mu);
    return rc;
}

/* ---- finding */

static bool copy_place(struct places *p, uint64_t ino, uint64_t *dir, char *name)
{
    pthread_mutex_lock(&p->mu);
    const struct place *one = *find_place(p, ino);
    if (one) {
        *dir = one->dir;
        strcpy(name, one->name);
    }
    pthread_mutex_unlock(&p->mu);
    return one != NULL;
}

/* The inode in the entry that the table names, if it is still there. -ENOENT: not, or not known.
 * *out NULL without an error: it may be stale. */
static int load_from_place(struct fs *fs, uint64_t ino, uint64_t evictions, struct node **out)
{
    char name[FS_NAME_MAX + 1];
    uint64_t dir, found = 0;
    struct inode i;
    enum entry_kind kind;
    struct buf value = BUF_INIT;
    if (!copy_place(fs->places, ino, &dir, name))
        return -ENOENT;
    struct fs_key key = key_named(KEY_ENTRY, dir, name);
    int rc = store_get(fs->store, NULL, key_slice(&key), &value);
    if (rc == 0)
        rc = entry_decode(buf_slice(&value), &found, &kind, &i);
    if (rc == 0 && (found != ino || kind != ENTRY_INODE)) {
        inode_free(&i);
        rc = -ENOENT;
    }
    if (rc == 0)
        *out = node_adopt(fs, ino, &i, (struct node_home){true, dir, name}, evictions);
    buf_free(&value);
    return rc;
}

/* Neither in memory, nor under `I`, nor in an entry, all in a time in which nobody let go of it:
 * then there is none. */
int node_find(struct fs *fs, uint64_t ino, struct node **out)
{
    int rc = 0;
    *out = NULL;
    while (rc == 0 && !*out) {
        uint64_t evictions = node_evictions(fs, ino);
        rc = node_load(fs, ino, out);
        if (rc == -ENOENT)
            rc = build(fs);
        else
            break;
        if (rc == 0)
            rc = load_from_place(fs, ino, evictions, out);
        if (rc == -ENOENT && ((*out = node_pin(fs, ino)) || node_evictions(fs, ino) != evictions))
            rc = 0;
    }
    return fs_error(fs, ino, rc);
}
