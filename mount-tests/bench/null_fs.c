/* null_fs MOUNTPOINT [io_uring]: a filesystem that does no work, as the floor of a bench: what FUSE
 * itself costs.
 *
 * It is skeinfs's own code for FUSE (session, loop, requests, options) on another core/fs.h: names
 * and attributes are in memory, data is thrown away and reads as zeroes, a sync has nothing to do.
 * Runs in the foreground until it is unmounted. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "../../fs/fuse/session.h"

#define BUCKETS (1u << 20)

struct entry {
    struct entry *chain;       /* of the bucket */
    struct entry *prev, *next; /* of the directory, oldest first */
    uint64_t dir, ino, position;
    char *name;
};

struct null_inode {
    struct stat st;
    struct entry entries; /* head of a directory's ring */
    char *target;
};

struct fs {
    pthread_mutex_t mu; /* guards all */
    struct null_inode **inode;
    uint64_t count, room, position;
    struct entry *bucket[BUCKETS];
};

static struct fs the_fs = {.mu = PTHREAD_MUTEX_INITIALIZER};

static struct timespec now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    return t;
}

static struct null_inode *get(struct fs *fs, uint64_t ino)
{
    return fs->inode[ino];
}

static uint64_t new_inode(struct fs *fs, mode_t mode, const char *target)
{
    uint64_t ino = ++fs->count;
    if (ino >= fs->room) {
        fs->room = fs->room ? 2 * fs->room : 1024;
        fs->inode = mem_realloc(fs->inode, fs->room * sizeof(struct null_inode *));
    }
    struct null_inode *i = mem_zalloc(sizeof *i);
    fs->inode[ino] = i;
    i->st.st_ino = ino;
    i->st.st_mode = mode;
    i->st.st_nlink = S_ISDIR(mode) ? 2 : 1;
    i->st.st_atim = i->st.st_mtim = i->st.st_ctim = now();
    i->entries.prev = i->entries.next = &i->entries;
    i->target = target ? mem_printf("%s", target) : NULL;
    return ino;
}

static struct entry **find(struct fs *fs, uint64_t dir, const char *name)
{
    uint64_t h = dir * 0x9e3779b97f4a7c15u;
    for (const char *p = name; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    struct entry **at = &fs->bucket[(h ^ h >> 32) % BUCKETS];
    while (*at && ((*at)->dir != dir || strcmp((*at)->name, name) != 0))
        at = &(*at)->chain;
    return at;
}

static void add_name(struct fs *fs, uint64_t dir, const char *name, uint64_t ino)
{
    struct entry **at = find(fs, dir, name), *e = mem_alloc(sizeof *e);
    struct entry *ring = &get(fs, dir)->entries;
    *e = (struct entry){*at, ring->prev, ring, dir, ino, ++fs->position, mem_printf("%s", name)};
    ring->prev->next = e;
    ring->prev = e;
    *at = e;
}

static uint64_t remove_name(struct fs *fs, uint64_t dir, const char *name)
{
    struct entry **at = find(fs, dir, name), *e = *at;
    if (!e)
        return 0;
    uint64_t ino = e->ino;
    *at = e->chain;
    e->prev->next = e->next;
    e->next->prev = e->prev;
    free(e->name);
    free(e);
    return ino;
}

/* ---- core/fs.h */

#define LOCKED(fs, body)                                                                           \
    do {                                                                                           \
        pthread_mutex_lock(&(fs)->mu);                                                             \
        body;                                                                                      \
        pthread_mutex_unlock(&(fs)->mu);                                                           \
    } while (0)

int fs_lookup(struct fs *fs, uint64_t dir, const char *name, struct stat *st)
{
    struct entry *e;
    LOCKED(fs, {
        if ((e = *find(fs, dir, name)))
            *st = get(fs, e->ino)->st;
    });
    return e ? 0 : -ENOENT;
}

void fs_forget(struct fs *fs, uint64_t ino, uint64_t count)
{
    (void)fs, (void)ino, (void)count;
}

int fs_make(struct fs *fs, const struct fs_caller *who, uint64_t dir, const char *name, mode_t mode,
            dev_t rdev, const char *target, struct stat *st)
{
    (void)rdev;
    LOCKED(fs, {
        uint64_t ino = new_inode(fs, S_ISLNK(mode) ? mode : mode & ~who->umask, target);
        struct null_inode *i = get(fs, ino);
        i->st.st_uid = who->uid;
        i->st.st_gid = who->gid;
        add_name(fs, dir, name, ino);
        *st = i->st;
    });
    return 0;
}

int fs_make_unnamed(struct fs *fs, const struct fs_caller *who, uint64_t dir, mode_t mode,
                    struct stat *st)
{
    (void)fs, (void)who, (void)dir, (void)mode, (void)st;
    return -EOPNOTSUPP;
}

int fs_link(struct fs *fs, uint64_t ino, uint64_t dir, const char *name, struct stat *st)
{
    LOCKED(fs, {
        add_name(fs, dir, name, ino);
        get(fs, ino)->st.st_nlink++;
        *st = get(fs, ino)->st;
    });
    return 0;
}

int fs_unlink(struct fs *fs, uint64_t dir, const char *name)
{
    LOCKED(fs, remove_name(fs, dir, name));
    return 0;
}

int fs_rmdir(struct fs *fs, uint64_t dir, const char *name)
{
    return fs_unlink(fs, dir, name);
}

int fs_rename(struct fs *fs, uint64_t dir, const char *name, uint64_t new_dir, const char *new_name,
              unsigned flags)
{
    (void)flags;
    LOCKED(fs, {
        uint64_t ino = remove_name(fs, dir, name);
        remove_name(fs, new_dir, new_name);
        add_name(fs, new_dir, new_name, ino);
    });
    return 0;
}

int fs_readlink(struct fs *fs, uint64_t ino, char *out, size_t size)
{
    size_t n = strlen(get(fs, ino)->target);
    memcpy(out, get(fs, ino)->target, n < size ? n : size);
    return (int)n;
}

int fs_getattr(struct fs *fs, uint64_t ino, struct stat *st)
{
    LOCKED(fs, *st = get(fs, ino)->st);
    return 0;
}

int fs_setattr(struct fs *fs, uint64_t ino, const struct stat *in, unsigned what, struct stat *st)
{
    LOCKED(fs, {
        struct stat *to = &get(fs, ino)->st;
        if (what & FS_SET_SIZE)
            to->st_size = in->st_size;
        if (what & FS_SET_MODE)
            to->st_mode = (to->st_mode & S_IFMT) | (in->st_mode & 07777);
        *st = *to;
    });
    return 0;
}

ssize_t fs_read(struct fs *fs, uint64_t ino, void *p, size_t size, uint64_t off)
{
    uint64_t end;
    LOCKED(fs, end = (uint64_t)get(fs, ino)->st.st_size);
    size = off >= end ? 0 : size < end - off ? size : end - off;
    memset(p, 0, size);
    return (ssize_t)size;
}

int fs_write(struct fs *fs, uint64_t ino, const void *p, size_t size, uint64_t off, bool kill_priv)
{
    (void)p, (void)kill_priv;
    LOCKED(fs, {
        struct stat *st = &get(fs, ino)->st;
        if ((uint64_t)st->st_size < off + size)
            st->st_size = (off_t)(off + size);
        st->st_blocks = (st->st_size + 511) / 512;
    });
    return 0;
}

int fs_fallocate(struct fs *fs, uint64_t ino, int mode, uint64_t off, uint64_t len, bool kill_priv)
{
    (void)fs, (void)ino, (void)mode, (void)off, (void)len, (void)kill_priv;
    return 0;
}

int64_t fs_seek(struct fs *fs, uint64_t ino, uint64_t off, int whence)
{
    (void)fs, (void)ino, (void)off, (void)whence;
    return -EINVAL;
}

ssize_t fs_copy(struct fs *fs, uint64_t from, uint64_t from_off, uint64_t to, uint64_t to_off,
                size_t len, bool kill_priv)
{
    (void)fs, (void)from, (void)from_off, (void)to, (void)to_off, (void)len, (void)kill_priv;
    return -EOPNOTSUPP;
}

void fs_accessed(struct fs *fs, uint64_t ino)
{
    (void)fs, (void)ino;
}

void fs_store_atime(struct fs *fs, uint64_t ino)
{
    (void)fs, (void)ino;
}

uint32_t fs_generation(const struct fs *fs)
{
    (void)fs;
    return 1;
}

int fs_sync_inode(struct fs *fs, uint64_t ino)
{
    (void)fs, (void)ino;
    return 0;
}

void fs_sync_start(struct fs *fs, uint64_t ino, struct fs_sync *sync)
{
    (void)fs, (void)ino;
    sync->done(sync, 0);
}

enum store_sync_need fs_sync_needed(struct fs *fs)
{
    (void)fs;
    return STORE_SYNC_NONE;
}

void fs_sync_run(struct fs *fs)
{
    (void)fs;
}

struct fs_dir {
    uint64_t ino;
};

int fs_opendir(struct fs *fs, uint64_t ino, struct fs_dir **out)
{
    (void)fs;
    *out = mem_alloc(sizeof **out);
    (*out)->ino = ino;
    return 0;
}

void fs_closedir(struct fs *fs, struct fs_dir *d)
{
    (void)fs;
    free(d);
}

/* Positions behind the two dots are those of the entries, which only grow. */
int fs_readdir(struct fs *fs, struct fs_dir *d, uint64_t off, enum fs_dir_plus plus,
               fs_dir_each each, void *arg)
{
    (void)plus;
    pthread_mutex_lock(&fs->mu);
    struct null_inode *dir = get(fs, d->ino);
    struct entry *ring = &dir->entries, *e = ring->next;
    bool go = true;
    if (off == 0)
        go = each(arg, &(struct fs_dirent){".", &dir->st, 1, false});
    if (go && off <= 1)
        go = each(arg, &(struct fs_dirent){"..", &dir->st, 2, false});
    while (e != ring && e->position + 2 <= off)
        e = e->next;
    for (; go && e != ring; e = e->next)
        go = each(arg, &(struct fs_dirent){e->name, &get(fs, e->ino)->st, e->position + 2, true});
    pthread_mutex_unlock(&fs->mu);
    return 0;
}

int fs_getxattr(struct fs *fs, uint64_t ino, const char *name, void *value, size_t size)
{
    (void)fs, (void)ino, (void)name, (void)value, (void)size;
    return -ENODATA;
}

int fs_setxattr(struct fs *fs, uint64_t ino, const char *name, const void *value, size_t size,
                int flags)
{
    (void)fs, (void)ino, (void)name, (void)value, (void)size, (void)flags;
    return -ENOTSUP;
}

int fs_listxattr(struct fs *fs, uint64_t ino, char *list, size_t size, bool trusted)
{
    (void)fs, (void)ino, (void)list, (void)size, (void)trusted;
    return 0;
}

int fs_removexattr(struct fs *fs, uint64_t ino, const char *name)
{
    (void)fs, (void)ino, (void)name;
    return -ENODATA;
}

int fs_statfs(struct fs *fs, struct statvfs *out)
{
    (void)fs;
    *out = (struct statvfs){.f_bsize = 4096,
                            .f_frsize = 4096,
                            .f_blocks = 1 << 28,
                            .f_bfree = 1 << 28,
                            .f_bavail = 1 << 28,
                            .f_files = 1 << 28,
                            .f_ffree = 1 << 28,
                            .f_namemax = FS_NAME_MAX};
    return 0;
}

int main(int argc, char **argv)
{
    struct session_options o;
    bool io_uring = argc == 3 && strcmp(argv[2], "io_uring") == 0;
    bool writeback = argc == 3 && strcmp(argv[2], "writeback") == 0;
    if (argc != 2 + (io_uring || writeback)) {
        fprintf(stderr, "usage: null_fs MOUNTPOINT [io_uring | writeback]\n");
        return 2;
    }
    session_options_init(&o);
    o.source = "null_fs";
    o.mountpoint = argv[1];
    o.allow_other = true;
    o.writeback = writeback;
    o.io_uring = io_uring ? SESSION_RINGS_ON : SESSION_RINGS_AUTO;
    session_block_signals();
    new_inode(&the_fs, S_IFDIR | 0755, NULL);
    int rc = session_run(&the_fs, &o);
    if (rc)
        fprintf(stderr, "null_fs: %s\n", fail_text());
    return rc ? 1 : 0;
}
