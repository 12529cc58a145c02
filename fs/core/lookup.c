/* From names to inodes. */
#include "fs_internal.h"

int name_check(const char *name)
{
    size_t n = strlen(name);
    return n == 0 ? -ENOENT : n > FS_NAME_MAX ? -ENAMETOOLONG : 0;
}

bool may_take_name(struct node *dir)
{
    pthread_mutex_lock(&dir->mu);
    bool yes = !dir->orphan;
    pthread_mutex_unlock(&dir->mu);
    return yes;
}

/* The node of an entry that was read. -EAGAIN: it may be stale; -ENOENT: so is a reference, unless
 * its inode is lost. */
static int node_of_entry(struct fs *fs, uint64_t dir, const char *name, struct slice value,
                         uint64_t ino, uint64_t evictions, struct node **out)
{
    struct inode i;
    enum entry_kind kind;
    int rc = entry_decode(value, &ino, &kind, &i);
    if (rc)
        return rc;
    if (kind == ENTRY_REFERENCE)
        return node_load(fs, ino, out);
    *out = node_adopt(fs, ino, &i, (struct node_home){true, dir, name}, evictions);
    return *out ? 0 : -EAGAIN;
}

/* The number in an entry; the rest is looked at later. */
static int peek_ino(struct slice value, uint64_t *ino)
{
    enum entry_kind kind;
    return entry_peek(value, ino, &kind);
}

int lookup_node(struct fs *fs, struct node *dir, const char *name, struct node **out)
{
    struct fs_key key = key_named(KEY_ENTRY, dir->ino, name);
    struct buf value = BUF_INIT;
    uint64_t ino = 0, evictions = 0, missed = 0;
    int rc = -EAGAIN;
    *out = NULL;
    if (!S_ISDIR(dir->type))
        return -ENOTDIR;
    while (rc == -EAGAIN) {
        /* The shard is known only after a first look; its evictions must be known before the look
         * that counts. */
        uint64_t seen = ino;
        evictions = ino ? node_evictions(fs, ino) : 0;
        rc = store_get(fs->store, NULL, key_slice(&key), &value);
        if (rc == 0)
            rc = peek_ino(buf_slice(&value), &ino);
        if (rc == 0 && (*out = node_pin(fs, ino)))
            break;
        if (rc == 0 && missed == ino) { /* a reference and its inode go together, for ever */
            rc = fail(STORE_ECORRUPT, "a name of an inode that is not there");
            break;
        }
        if (rc)
            break;
        rc = seen == ino ? node_of_entry(fs, dir->ino, name, buf_slice(&value), ino, evictions, out)
                         : -EAGAIN;
        if (rc == -ENOENT) { /* its last name went in between */
            missed = ino;
            rc = -EAGAIN;
        }
    }
    buf_free(&value);
    return rc == -ENOENT ? rc : fs_error(fs, dir->ino, rc);
}

static bool lives_at(struct node *n, const struct node *dir, const char *name)
{
    pthread_mutex_lock(&n->mu);
    bool yes = n->embedded && n->home == dir->ino && strcmp(n->home_name, name) == 0;
    pthread_mutex_unlock(&n->mu);
    return yes;
}

int lookup_entry(struct fs *fs, struct node *dir, const char *name, struct slice value,
                 const struct shards_seen *seen, struct node **out)
{
    struct inode i;
    enum entry_kind kind;
    uint64_t ino;
    int rc = entry_decode(value, &ino, &kind, &i);
    if (rc)
        return fs_error(fs, dir->ino, rc);
    *out = NULL;
    if (kind == ENTRY_INODE)
        *out = node_adopt(fs, ino, &i, (struct node_home){true, dir->ino, name},
                          seen->evictions[ino % FS_SHARDS]);
    if (*out && lives_at(*out, dir, name))
        return 0;
    /* A reference, or the entry went or changed since. */
    node_unpin(fs, *out);
    return lookup_node(fs, dir, name, out);
}

/* ---- what the caller knows */

#define TRUST_AFTER_MS 1000

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void note_dropping(struct fs *fs)
{
    atomic_store_explicit(&fs->dropped_ms, now_ms(), memory_order_relaxed);
}

bool caller_keeps_names(struct fs *fs)
{
    return now_ms() - atomic_load_explicit(&fs->dropped_ms, memory_order_relaxed) > TRUST_AFTER_MS;
}

/* ---- fs_lookup */

/* "." is the inode itself, of any kind; who asks may have nothing but its number. */
static int lookup_self(struct fs *fs, uint64_t ino, struct node **out)
{
    int rc = node_find(fs, ino, out);
    if (rc == 0 && !may_take_name(*out)) {
        node_unpin(fs, *out);
        *out = NULL;
        rc = -ENOENT;
    }
    return rc;
}

static int lookup_parent(struct fs *fs, struct node *dir, struct node **out)
{
    pthread_mutex_lock(&dir->mu);
    uint64_t ino = dir->inode.parent;
    pthread_mutex_unlock(&dir->mu);
    return node_find(fs, ino, out);
}

static int lookup_in(struct fs *fs, uint64_t dir, const char *name, struct node **out)
{
    struct node *d = node_pin(fs, dir);
    if (!d)
        return -ESTALE;
    int rc = name_check(name);
    if (rc == 0 && !S_ISDIR(d->type))
        rc = -ENOTDIR;
    if (rc == 0)
        rc = strcmp(name, "..") == 0 ? lookup_parent(fs, d, out) : lookup_node(fs, d, name, out);
    if (rc == 0 && node_is_referenced(fs, (*out)->ino) && lives_at(*out, d, name))
        note_dropping(fs); /* the caller had the inode, but not its one name any more */
    node_unpin(fs, d);
    return rc;
}

int fs_lookup(struct fs *fs, uint64_t dir, const char *name, struct stat *st)
{
    struct node *n = NULL;
    int rc = strcmp(name, ".") == 0 ? lookup_self(fs, dir, &n) : lookup_in(fs, dir, name, &n);
    if (rc)
        return rc;
    node_add_lookup(fs, n);
    node_stat(n, st);
    node_unpin(fs, n);
    return 0;
}
