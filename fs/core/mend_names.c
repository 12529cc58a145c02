/* After a repair: one inode in several entries.
 *
 * An inode lives in its entry as long as it has one name. Where the record is lost that took an
 * entry away (a rename's, an unlink's), the entry is back with the inode in it, beside the true
 * one: whoever removed it would take the data of both. So such entries become references to one
 * inode, as if they were links: the one under `I`, else the one that was changed last. A directory
 * has one name: the entry that was changed last. */
#include "fs_internal.h"

struct found {
    uint64_t ino, dir;
    char *name;
    struct inode i;
};

struct names {
    struct fs *fs;
    uint64_t *inos; /* of all entries with an inode; then those that are there more than once */
    size_t count, room;
    struct found *found; /* the entries of these */
    size_t found_count, found_room;
};

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool is_in(const struct names *n, uint64_t ino)
{
    return n->count > 0 && bsearch(&ino, n->inos, n->count, sizeof ino, by_number) != NULL;
}

/* The newest change first. */
static int by_inode(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    struct timespec s = x->i.ctime, t = y->i.ctime;
    if (x->ino != y->ino)
        return x->ino < y->ino ? -1 : 1;
    if (s.tv_sec != t.tv_sec)
        return s.tv_sec > t.tv_sec ? -1 : 1;
    return s.tv_nsec > t.tv_nsec ? -1 : s.tv_nsec < t.tv_nsec;
}

static void add_ino(struct names *n, uint64_t ino)
{
    if (n->count == n->room) {
        n->room = n->room ? 2 * n->room : 1024;
        n->inos = mem_realloc(n->inos, n->room * sizeof *n->inos);
    }
    n->inos[n->count++] = ino;
}

static void add_found(struct names *n, struct found f)
{
    if (n->found_count == n->found_room) {
        n->found_room = n->found_room ? 2 * n->found_room : 16;
        n->found = mem_realloc(n->found, n->found_room * sizeof *n->found);
    }
    n->found[n->found_count++] = f;
}

/* Every entry that has an inode: notes its number, or, `all`, the whole of those in the list. */
static int read_entries(struct names *n, bool all)
{
    static const char first[] = {KEY_ENTRY};
    struct iter *it = store_iter(n->fs->store, NULL);
    for (iter_seek(it, slice_of(first, 1)); it->valid && it->key.data[0] == KEY_ENTRY;
         iter_next(it)) {
        struct found f = {0};
        enum entry_kind kind;
        size_t len = it->key.len - 9;
        if (it->key.len < 10 || len > FS_NAME_MAX ||
            entry_decode(it->value, &f.ino, &kind, &f.i)) /* fs_check says so */
            continue;
        if (kind == ENTRY_INODE && !all) {
            add_ino(n, f.ino);
        } else if (kind == ENTRY_INODE && is_in(n, f.ino)) {
            f.dir = get_be64(it->key.data + 1);
            f.name = mem_printf("%.*s", (int)len, it->key.data + 9);
            add_found(n, f);
            continue;
        }
        inode_free(&f.i);
    }
    int rc = it->status;
    iter_destroy(it);
    return rc;
}

/* Leaves those in the list that are there twice, or under `I` as well. */
static int keep_twins(struct names *n)
{
    static const char first[] = {KEY_INODE};
    struct names twins = {0};
    struct iter *it = store_iter(n->fs->store, NULL);
    if (n->count > 0)
        qsort(n->inos, n->count, sizeof *n->inos, by_number);
    for (size_t i = 1; i < n->count; i++)
        if (n->inos[i] == n->inos[i - 1])
            add_ino(&twins, n->inos[i]);
    for (iter_seek(it, slice_of(first, 1)); it->valid && it->key.data[0] == KEY_INODE;
         iter_next(it))
        if (it->key.len == 9 && is_in(n, get_be64(it->key.data + 1)))
            add_ino(&twins, get_be64(it->key.data + 1));
    int rc = it->status;
    iter_destroy(it);
    free(n->inos);
    n->inos = twins.inos;
    n->count = twins.count;
    n->room = twins.room;
    if (n->count > 0)
        qsort(n->inos, n->count, sizeof *n->inos, by_number);
    return rc;
}

/* The `count` entries of one inode. */
static int join(struct names *n, const struct found *f, size_t count)
{
    struct fs_key key = key_of(KEY_INODE, f->ino);
    struct buf value = BUF_INIT;
    struct inode own, next = f->i;
    struct change c;
    int rc = store_get(n->fs->store, NULL, key_slice(&key), &value);
    bool has_own = rc == 0 && inode_decode(&own, buf_slice(&value)) == 0;
    buf_free(&value);
    if (rc && rc != -ENOENT)
        return rc;
    change_begin(&c, n->fs);
    c.reclaim = true;
    if (S_ISDIR(f->i.mode)) {
        for (size_t i = 1; i < count; i++)
            change_delete(&c, key_named(KEY_ENTRY, f[i].dir, f[i].name));
        if (has_own) /* it lives in its entry */
            change_delete(&c, key);
    } else {
        if (has_own)
            next = own;
        next.nlink = (has_own ? own.nlink : 0) + (uint32_t)count; /* rather too many than too few */
        change_put_inode_at(&c, f->ino, &next, (struct node_home){0});
        for (size_t i = 0; i < count; i++)
            change_put_reference(&c, f[i].dir, f[i].name, f->ino, next.mode);
    }
    if (has_own)
        inode_free(&own);
    return change_commit(&c, NULL, 0);
}

static int join_all(struct names *n)
{
    int rc = 0;
    if (n->found_count > 0)
        qsort(n->found, n->found_count, sizeof *n->found, by_inode);
    for (size_t i = 0, end; rc == 0 && i < n->found_count; i = end) {
        for (end = i + 1; end < n->found_count && n->found[end].ino == n->found[i].ino;)
            end++;
        rc = join(n, n->found + i, end - i);
    }
    return rc;
}

int mend_names(struct fs *fs)
{
    struct names n = {.fs = fs};
    int rc = read_entries(&n, false);
    if (rc == 0)
        rc = keep_twins(&n);
    if (rc == 0 && n.count > 0)
        rc = read_entries(&n, true);
    if (rc == 0)
        rc = join_all(&n);
    for (size_t i = 0; i < n.found_count; i++) {
        inode_free(&n.found[i].i);
        free(n.found[i].name);
    }
    free(n.found);
    free(n.inos);
    return rc;
}
