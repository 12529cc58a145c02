/* Directory reading, in the order of names.
 *
 * A position is a number: 0 the start, 1 and 2 behind "." and "..", then one more for each entry
 * given. Where a position is, in names, the handle remembers: for every entry of the last call (the
 * kernel often takes only a part of an answer and asks again from there), for the first few
 * thousand (seekdir), and for every 128th one behind these. */
#include <string.h>

#include "fs_internal.h"

#define MARK_ALL 4096 /* entries, */
#define MARK_EVERY 128

struct mark {
    uint64_t pos; /* the position behind the entry of this name */
    size_t name;  /* where it begins in names */
};
struct marks {
    struct mark *at;
    size_t count, capacity;
    struct buf names; /* each with its NUL */
};

struct fs_dir {
    struct node *node; /* pinned */
    pthread_mutex_t mu;
    struct marks sparse, recent; /* both ascending; guarded by mu */
};

/* ---- marks */

static void add_mark(struct marks *m, uint64_t pos, const char *name)
{
    if (m->count == m->capacity) {
        m->capacity = m->capacity ? m->capacity * 2 : 16;
        m->at = mem_realloc(m->at, m->capacity * sizeof *m->at);
    }
    m->at[m->count++] = (struct mark){pos, m->names.len};
    buf_append(&m->names, name, strlen(name) + 1);
}

static void clear_marks(struct marks *m)
{
    m->count = 0;
    buf_clear(&m->names);
}

static void free_marks(struct marks *m)
{
    free(m->at);
    buf_free(&m->names);
}

/* How many marks are at or before pos. */
static size_t marks_upto(const struct marks *m, uint64_t pos)
{
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->at[middle].pos <= pos)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const char *name_of(const struct marks *m, size_t i)
{
    return m->names.data + m->at[i].name;
}

/* The last mark at or before pos: its name, NULL if there is none. */
static const char *find_mark(const struct marks *m, uint64_t pos, uint64_t *at)
{
    size_t n = marks_upto(m, pos);
    if (n == 0)
        return NULL;
    *at = m->at[n - 1].pos;
    return name_of(m, n - 1);
}

static const char *nearest(const struct fs_dir *d, uint64_t pos, uint64_t *at)
{
    uint64_t at_a = 0, at_b = 0;
    const char *a = find_mark(&d->sparse, pos, &at_a), *b = find_mark(&d->recent, pos, &at_b);
    bool take_b = !a || (b && at_b >= at_a); /* what was given last counts */
    *at = take_b ? at_b : at_a;
    return take_b ? b : a;
}

static void note_given(struct fs_dir *d, uint64_t pos, const char *name)
{
    struct marks *m = &d->sparse;
    add_mark(&d->recent, pos, name);
    if (pos > MARK_ALL && pos % MARK_EVERY != 0)
        return;
    size_t n = marks_upto(m, pos);
    if (n == m->count && (n == 0 || m->at[n - 1].pos < pos)) {
        add_mark(m, pos, name);
    } else if (n > 0 && m->at[n - 1].pos == pos && strcmp(name_of(m, n - 1), name) != 0) {
        m->at[n - 1].name = m->names.len; /* given anew, it is behind another name now */
        buf_append(&m->names, name, strlen(name) + 1);
    }
}

/* ---- open and close */

int fs_opendir(struct fs *fs, uint64_t ino, struct fs_dir **out)
{
    struct node *n = node_pin(fs, ino);
    if (!n)
        return -ESTALE;
    if (!S_ISDIR(n->type)) {
        node_unpin(fs, n);
        return -ENOTDIR;
    }
    struct fs_dir *d = mem_zalloc(sizeof *d);
    d->node = n;
    pthread_mutex_init(&d->mu, NULL);
    *out = d;
    return 0;
}

void fs_closedir(struct fs *fs, struct fs_dir *d)
{
    free_marks(&d->sparse);
    free_marks(&d->recent);
    pthread_mutex_destroy(&d->mu);
    node_unpin(fs, d->node);
    free(d);
}

/* ---- reading */

/* One readdir call. */
struct listing {
    struct fs *fs;
    struct fs_dir *dir;
    enum fs_dir_plus plus;
    fs_dir_each each;
    void *arg;
    uint64_t pos; /* of the entry that comes next */
    struct shards_seen seen;
};

static bool give_dots(struct listing *l)
{
    static const char *const names[] = {".", ".."};
    struct node *n = l->dir->node;
    for (; l->pos < 2; l->pos++) {
        struct stat st = {.st_mode = S_IFDIR};
        pthread_mutex_lock(&n->mu);
        st.st_ino = l->pos == 0 ? n->ino : n->inode.parent;
        pthread_mutex_unlock(&n->mu);
        if (!l->each(l->arg, &(struct fs_dirent){names[l->pos], &st, l->pos + 1, false}))
            return false;
    }
    return true;
}

static bool give(struct listing *l, const char *name, const struct stat *st, bool looked_up)
{
    return l->each(l->arg, &(struct fs_dirent){name, st, l->pos + 1, looked_up});
}

/* An entry with a reference to its inode, which goes back if it is not taken. */
static bool give_reference(struct listing *l, const char *name, const struct stat *st)
{
    bool taken = give(l, name, st, true);
    if (!taken)
        node_forget(l->fs, st->st_ino, 1);
    return taken;
}

/* One whose inode is in memory, or under a key of its own. -ENOENT: the entry went meanwhile. */
static int give_looked_up(struct listing *l, const char *name, struct slice value, bool *taken)
{
    struct node *n;
    struct stat st;
    int rc = lookup_entry(l->fs, l->dir->node, name, value, &l->seen, &n);
    if (rc)
        return rc;
    node_add_lookup(l->fs, n);
    node_stat(n, &st);
    node_unpin(l->fs, n);
    *taken = give_reference(l, name, &st);
    return 0;
}

static int give_entry(struct listing *l, const char *name, struct slice value, bool *taken)
{
    uint64_t ino, dir = l->dir->node->ino;
    enum entry_kind kind;
    struct inode i;
    struct stat st = {0};
    int rc = entry_decode(value, &ino, &kind, &i);
    if (rc)
        return rc;
    if (l->plus == FS_DIR_NAMES ||
        (l->plus == FS_DIR_PLUS_NEW && kind == ENTRY_INODE && node_is_referenced(l->fs, ino))) {
        st.st_ino = ino;
        st.st_mode = i.mode;
        inode_free(&i);
        *taken = give(l, name, &st, false);
        return 0;
    }
    inode_to_stat(ino, &i, &st);
    if (kind == ENTRY_INODE && node_refer_new(l->fs, ino, &i, (struct node_home){true, dir, name},
                                              l->seen.evictions[ino % FS_SHARDS])) {
        *taken = give_reference(l, name, &st);
        return 0;
    }
    inode_free(&i);
    rc = give_looked_up(l, name, value, taken);
    if (rc == -EIO && kind == ENTRY_REFERENCE) { /* its inode is lost: the other names are not */
        *taken = give(l, name, &st, false);
        rc = 0;
    }
    return rc;
}

/* From the iterator's place on. `skip` entries lie between a mark and the position wanted. */
static int give_entries(struct listing *l, struct iter *it, struct slice prefix, uint64_t skip)
{
    char name[FS_NAME_MAX + 1];
    bool taken = true;
    int rc = 0;
    for (; it->valid && slice_starts_with(it->key, prefix); iter_next(it)) {
        size_t len = it->key.len - prefix.len;
        if (len == 0 || len > FS_NAME_MAX)
            return fail(STORE_ECORRUPT, "a directory entry with a name of %zu bytes", len);
        if (skip > 0) {
            skip--;
            continue;
        }
        memcpy(name, it->key.data + prefix.len, len);
        name[len] = 0;
        rc = give_entry(l, name, it->value, &taken);
        if (rc == -ENOENT)
            continue;
        if (rc || !taken)
            return rc;
        note_given(l->dir, ++l->pos, name);
    }
    return it->status;
}

static int list_from(struct listing *l, uint64_t off)
{
    struct node *n = l->dir->node;
    struct fs_key prefix = key_of(KEY_ENTRY, n->ino), start = prefix;
    uint64_t skip = off > 2 ? off - 2 : 0;
    uint64_t at = 0;
    const char *mark = off > 2 ? nearest(l->dir, off, &at) : NULL;
    if (mark) {
        start = key_named(KEY_ENTRY, n->ino, mark);
        start.bytes[start.len++] = 0; /* the first key behind the name */
        skip = off - at;
    }
    clear_marks(&l->dir->recent);
    l->pos = off;
    if (!give_dots(l))
        return 0;
    if (l->plus == FS_DIR_PLUS_NEW && !caller_keeps_names(l->fs))
        l->plus = FS_DIR_PLUS;
    if (l->plus != FS_DIR_NAMES)
        shards_see(l->fs, &l->seen);
    struct iter *it = store_iter(l->fs->store, NULL);
    iter_stay_within(it, key_slice(&prefix));
    iter_seek(it, key_slice(&start));
    int rc = give_entries(l, it, key_slice(&prefix), skip);
    iter_destroy(it);
    return rc;
}

int fs_readdir(struct fs *fs, struct fs_dir *d, uint64_t off, enum fs_dir_plus plus,
               fs_dir_each each, void *arg)
{
    struct listing l = {.fs = fs, .dir = d, .plus = plus, .each = each, .arg = arg};
    pthread_mutex_lock(&d->mu);
    if (off == 0)
        clear_marks(&d->sparse);
    int rc = list_from(&l, off);
    pthread_mutex_unlock(&d->mu);
    return fs_error(fs, d->node->ino, rc);
}
