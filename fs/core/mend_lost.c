/* After a repair: what has lost its inode or its name, and lost+found, where it goes. */
#include "mend_tree.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- lost+found */

static struct inode new_inode(const struct tree *t, mode_t mode)
{
    struct timespec now = fs_now();
    return (struct inode){.mode = mode,
                          .uid = t->uid,
                          .gid = t->gid,
                          .nlink = S_ISDIR(mode) ? 2 : 1,
                          .parent = FS_ROOT,
                          .atime = now,
                          .mtime = now,
                          .ctime = now,
                          .btime = now};
}

/* What the records say of an inode that is put into a directory. */
static void note_home(struct tree *t, uint64_t ino, mode_t type, uint64_t dir)
{
    struct sums *s = sums_of(&t->sums, ino);
    s->there = s->embedded = true;
    s->type = type;
    s->home = dir;
    s = sums_of(&t->sums, dir);
    s->entries++;
    s->subdirs += S_ISDIR(type) ? 1 : 0;
}

/* The inode `name` of a directory: 0, -ENOENT, or an error; 0 in *ino where it is no directory. */
static int find_folder(struct tree *t, uint64_t dir, const char *name, uint64_t *ino)
{
    struct fs_key key = key_named(KEY_ENTRY, dir, name);
    struct buf value = BUF_INIT;
    enum entry_kind kind;
    struct inode i;
    int rc = store_get(t->fs->store, NULL, key_slice(&key), &value);
    if (rc == 0 && entry_decode(buf_slice(&value), ino, &kind, &i) == 0) {
        if (kind != ENTRY_INODE || !S_ISDIR(i.mode))
            *ino = 0;
        inode_free(&i);
    } else {
        *ino = 0;
    }
    buf_free(&value);
    return rc;
}

static int make_lost_found(struct tree *t, const char *name)
{
    struct inode i = new_inode(t, S_IFDIR | 0700);
    int rc = ino_allocate(t->fs, &t->lost_found);
    if (rc)
        return rc;
    change_put_inode_at(&t->c, t->lost_found, &i, (struct node_home){true, FS_ROOT, name});
    note_home(t, t->lost_found, S_IFDIR, FS_ROOT);
    return change_next(&t->c);
}

/* The folder for what has no name: it is made when the first one comes. */
static int need_lost_found(struct tree *t)
{
    char *name = t->lost_found_name;
    int rc = 0;
    for (int n = 1; rc == 0 && t->lost_found == 0; n++) {
        snprintf(name, sizeof t->lost_found_name, n == 1 ? "lost+found" : "lost+found.%d", n);
        rc = find_folder(t, FS_ROOT, name, &t->lost_found);
        if (rc == -ENOENT)
            rc = make_lost_found(t, name);
    }
    return rc;
}

/* A name for the inode in lost+found; the inode lives there, or is referred to. */
static int put_in_lost_found(struct tree *t, uint64_t ino, const struct inode *i, bool embed)
{
    char name[64];
    uint64_t other;
    int rc = need_lost_found(t), n = 2;
    snprintf(name, sizeof name, "#%llu", (unsigned long long)ino);
    while (rc == 0 && (rc = find_folder(t, t->lost_found, name, &other)) == 0)
        snprintf(name, sizeof name, "#%llu.%d", (unsigned long long)ino, n++);
    if (rc != -ENOENT)
        return rc;
    if (embed) {
        change_put_inode_at(&t->c, ino, i, (struct node_home){true, t->lost_found, name});
        note_home(t, ino, i->mode & S_IFMT, t->lost_found);
    } else {
        change_put_reference(&t->c, t->lost_found, name, ino, i->mode);
        sums_of(&t->sums, ino)->references++;
        sums_of(&t->sums, t->lost_found)->entries++;
    }
    fs_log(t->fs, "repair: %s inode %llu, which had lost its name, is /%s/%s now",
           S_ISDIR(i->mode) ? "folder" : "file", (unsigned long long)ino, t->lost_found_name, name);
    return 0;
}

/* An inode for data, or for names, whose own is lost. */
static int make_inode(struct tree *t, uint64_t ino)
{
    struct sums *s = sums_find(&t->sums, ino);
    if (s->entries > 0) {
        struct inode dir = new_inode(t, S_IFDIR | 0700);
        return put_in_lost_found(t, ino, &dir, true);
    }
    struct inode file = new_inode(t, S_IFREG | 0600);
    file.size = mend_end_of_data(s);
    if (s->references == 0)
        return put_in_lost_found(t, ino, &file, true);
    s->there = true;
    s->type = S_IFREG;
    change_put_inode_at(&t->c, ino, &file, (struct node_home){0});
    fs_log(t->fs, "repair: inode %llu, which has a name, had lost its owner, mode and times",
           (unsigned long long)ino);
    return 0;
}

/* What is under `I` and in no entry. A directory lives in its entry. */
static int name_inode(struct tree *t, uint64_t ino)
{
    struct fs_key key = key_of(KEY_INODE, ino);
    struct buf value = BUF_INIT;
    struct inode i;
    int rc = store_get(t->fs->store, NULL, key_slice(&key), &value);
    if (rc == 0)
        rc = inode_decode(&i, buf_slice(&value));
    buf_free(&value);
    if (rc)
        return rc;
    if (S_ISDIR(i.mode) && (rc = need_lost_found(t)) == 0) /* which may commit */
        change_delete(&t->c, key);
    if (rc == 0)
        rc = put_in_lost_found(t, ino, &i, S_ISDIR(i.mode));
    inode_free(&i);
    return rc;
}

/* ---- everything that needs a name */

struct numbers {
    uint64_t *at;
    size_t count, room;
};

static void add_number(struct numbers *n, uint64_t ino)
{
    if (n->count == n->room) {
        n->room = n->room ? 2 * n->room : 64;
        n->at = mem_realloc(n->at, n->room * sizeof *n->at);
    }
    n->at[n->count++] = ino;
}

static bool has_no_name(const struct sums *s)
{
    return s->there && !s->embedded && s->ino != FS_ROOT && s->references == 0;
}

int mend_find_lost(struct tree *t)
{
    struct numbers lost = {0};
    size_t i = 0;
    int rc = 0;
    for (const struct sums *s; (s = sums_next(&t->sums, &i));)
        if (mend_is_lost(s) || has_no_name(s))
            add_number(&lost, s->ino);
    for (i = 0; rc == 0 && i < lost.count; i++) {
        bool there = sums_find(&t->sums, lost.at[i])->there;
        rc = there ? name_inode(t, lost.at[i]) : make_inode(t, lost.at[i]);
        if (rc == 0)
            rc = change_next_if_full(&t->c);
    }
    free(lost.at);
    return rc;
}

/* ---- directories that lie in each other */

/* Does the directory lie in itself? (What only hangs on such a ring is reached once one of the ring
 * is moved.) Where the way up leads to the root, or to what is in no directory, that is noted. */
static bool is_in_ring(struct tree *t, struct sums *s)
{
    struct sums *at = s;
    for (t->climbs++; at->embedded && !at->way; at = sums_find(&t->sums, at->home)) {
        if (at->climb == t->climbs)
            return at == s;
        at->climb = t->climbs;
    }
    for (at = s; at->embedded && !at->way; at = sums_find(&t->sums, at->home))
        at->way = true;
    return false;
}

/* (To move one is a matter of its entry, which is at hand here.) */
static int move_if_in_ring(struct tree *t, struct seen *seen)
{
    struct sums *s = sums_find(&t->sums, seen->ino);
    if (!S_ISDIR(seen->i.mode) || seen->kind != ENTRY_INODE || !is_in_ring(t, s))
        return 0;
    int rc = need_lost_found(t); /* which may commit */
    if (rc)
        return rc;
    struct sums *home = sums_find(&t->sums, seen->dir);
    home->entries--;
    home->subdirs--;
    change_delete(&t->c, key_named(KEY_ENTRY, seen->dir, seen->name));
    return put_in_lost_found(t, seen->ino, &seen->i, true);
}

int mend_undo_rings(struct tree *t)
{
    return mend_each(t, KEY_ENTRY, move_if_in_ring);
}
