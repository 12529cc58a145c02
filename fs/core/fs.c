/* Opening and closing a filesystem, and making a new one.
 *
 *     DIR/skeinfs   what this folder is, for people; its presence says that the folder is ours
 *     DIR/kv/       the store
 *     DIR/segments/ data of chunks (format/chunk_format.h), once there is any
 *     DIR/mend      while a repair is not complete (mend.c)
 *
 * A new one is made in that order: marker, store, superblock and root in one synced batch. Whatever
 * a crash leaves of it is taken up again by the next open. */
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "fs_internal.h"

static const char marker_text[] =
    "skeinfs 1\n"
    "This folder holds a skeinfs filesystem: mount it with\n"
    "    skeinfs mount THIS-FOLDER MOUNTPOINT\n"
    "kv/ is a key-value store in LevelDB's format, segments/ has data of large files.\n"
    "Do not change files here by hand.\n";

void fs_options_init(struct fs_options *o)
{
    *o = (struct fs_options){
        .cache_bytes = 64u << 20,
        .memtable_bytes = 16u << 20,
        .commit_seconds = 5,
        .segment_bytes = 256u << 20,
    };
    store_options_init(&o->store);
}

/* ---- the folder */

struct folder {
    bool marker, other;
};

static void look_at(void *arg, const char *name)
{
    struct folder *f = arg;
    if (strcmp(name, "skeinfs") == 0)
        f->marker = true;
    else if (strcmp(name, "skeinfs.dbtmp") != 0) /* the marker, about to be made */
        f->other = true;
}

static int check_marker(struct env *env, const char *path)
{
    struct buf text = BUF_INIT;
    int rc = env_read_file(env, path, &text);
    if (rc == 0 && !slice_starts_with(buf_slice(&text), slice_str("skeinfs ")))
        rc = fail(-ENOTEMPTY, "%s: not a marker of skeinfs; the folder was left untouched", path);
    else if (rc == 0 && !slice_starts_with(buf_slice(&text), slice_str("skeinfs 1\n")))
        rc = fail(STORE_EFORMAT, "%s: of a newer format than this skeinfs knows: use a newer one",
                  path);
    buf_free(&text);
    return rc;
}

static int ensure_folder(struct env *env, const char *dir, bool may_create)
{
    struct folder f = {0};
    int rc = may_create ? env_mkdir(env, dir) : -EEXIST;
    if (rc && rc != -EEXIST)
        return rc;
    rc = env_list(env, dir, look_at, &f);
    if (rc)
        return rc;
    char *path = mem_printf("%s/skeinfs", dir);
    if (f.marker) {
        rc = check_marker(env, path);
    } else if (f.other) {
        rc = fail(
            -ENOTEMPTY,
            "%s: neither empty nor a skeinfs store; it was left untouched: choose another folder",
            dir);
    } else if (!may_create) {
        rc = fail(-ENOENT, "%s: no skeinfs store, and a read-only mount makes none", dir);
    } else {
        rc = env_sync_parent(env, dir);
        if (rc == 0)
            rc = env_replace_file(env, path, slice_str(marker_text));
        if (rc == 0)
            rc = env_sync_dir(env, dir);
    }
    free(path);
    return rc;
}

/* ---- superblock and root */

int put_new_super(struct store_batch *b, uint64_t next_ino, uint64_t incompatible)
{
    struct super s = {.version = SUPER_VERSION,
                      .created = time(NULL),
                      .next_ino = next_ino,
                      .incompatible = incompatible};
    struct buf value = BUF_INIT;
    struct fs_key key = key_super();
    if (getrandom(s.uuid, sizeof s.uuid, 0) != sizeof s.uuid)
        return fail(-EIO, "getrandom failed");
    super_encode(&s, &value);
    store_batch_put(b, key_slice(&key), buf_slice(&value));
    buf_free(&value);
    return 0;
}

void put_new_root(struct store_batch *b, const struct inode *counts)
{
    struct inode root = {.mode = S_IFDIR | 0755,
                         .uid = geteuid(),
                         .gid = getegid(),
                         .nlink = counts->nlink,
                         .entries = counts->entries,
                         .parent = FS_ROOT};
    struct buf value = BUF_INIT;
    struct fs_key key = key_of(KEY_INODE, FS_ROOT);
    root.atime = root.mtime = root.ctime = root.btime = fs_now();
    inode_encode(&root, &value);
    store_batch_put(b, key_slice(&key), buf_slice(&value));
    buf_free(&value);
}

static int make_filesystem(struct fs *fs)
{
    struct store_batch b = STORE_BATCH_INIT;
    int rc = put_new_super(&b, FS_ROOT + 1, 0);
    if (rc == 0) {
        put_new_root(&b, &(struct inode){.nlink = 2});
        rc = store_write(fs->store, &b, true);
    }
    store_batch_free(&b);
    return rc;
}

/* There is none yet: then there is nothing at all. With records it is lost, and to begin anew would
 * give their numbers to others. */
static int no_super(struct fs *fs)
{
    struct iter *it = store_iter(fs->store, NULL);
    iter_first(it);
    bool any = it->valid;
    int rc = it->status;
    iter_destroy(it);
    if (rc)
        return rc;
    if (any)
        return fail(STORE_ECORRUPT, "the superblock is lost");
    if (fs->options.read_only)
        return fail(-ENOENT, "%s: was not made to the end, and a read-only mount does not go on",
                    fs->dir);
    return make_filesystem(fs);
}

static int read_super(struct fs *fs)
{
    struct buf value = BUF_INIT;
    struct fs_key key = key_super();
    int rc = store_get(fs->store, NULL, key_slice(&key), &value);
    if (rc == 0)
        rc = super_decode(&fs->super, buf_slice(&value));
    buf_free(&value);
    return rc;
}

static int load_super(struct fs *fs)
{
    int rc = read_super(fs);
    if (rc == -ENOENT) {
        rc = no_super(fs);
        if (rc == 0)
            rc = read_super(fs);
    }
    if (rc == STORE_ECORRUPT || rc == STORE_EFORMAT) {
        char *why = mem_printf("%s", fail_text());
        fail(rc, "%s: %s", fs->dir, why);
        free(why);
    }
    fs->ino_next = fs->super.next_ino;
    return rc;
}

/* ---- open and close */

static void fs_free(struct fs *fs)
{
    segments_close(fs->segments);
    node_table_free(fs);
    places_free(fs);
    pthread_mutex_destroy(&fs->ino_mu);
    pthread_mutex_destroy(&fs->rename_mu);
    free(fs->dir);
    free(fs);
}

static void open_segments(struct fs *fs, struct env *env)
{
    struct segments_options o = {
        .read_only = fs->options.only_read_segments,
        .bytes = fs->options.segment_bytes,
        .begin = freed_begin_segment,
        .arg = fs,
    };
    char *dir = mem_printf("%s/segments", fs->dir);
    fs->segments = segments_open(env, dir, &o);
    free(dir);
}

static int open_store(struct fs *fs)
{
    struct store_options so = fs->options.store;
    char *kv = mem_printf("%s/kv", fs->dir);
    so.cache_bytes = fs->options.cache_bytes;
    so.memtable_bytes = fs->options.memtable_bytes;
    so.table_prefix = 1; /* the kind of a key */
    so.read_only = fs->options.read_only;
    so.beside = chunk_beside(fs);
    int rc = store_open(kv, &so, &fs->store);
    free(kv);
    return rc;
}

int fs_open(const char *dir, const struct fs_options *o, struct fs **out)
{
    struct fs *fs = mem_zalloc(sizeof *fs);
    struct env *env = o->store.env ? o->store.env : env_posix();
    fs->options = *o;
    fs->options.only_read_segments |= o->read_only;
    fs->dir = mem_printf("%s", dir);
    pthread_mutex_init(&fs->ino_mu, NULL);
    pthread_mutex_init(&fs->rename_mu, NULL);
    node_table_init(fs);
    places_init(fs);
    open_segments(fs, env);
    int rc = ensure_folder(env, dir, !o->read_only);
    if (rc == 0 && o->store.repair)
        rc = mend_announce(fs, env);
    if (rc == 0)
        rc = open_store(fs);
    if (rc)
        goto out;
    rc = mend_super(fs);
    if (rc == 0)
        rc = load_super(fs);
    if (rc == 0)
        rc = mend_tree(fs);
    if (rc == 0)
        rc = node_load(fs, FS_ROOT, &fs->root); /* stays pinned */
    if (rc == 0)
        rc = count_start(fs);
    if (rc == 0)
        rc = mend_places(fs);
    if (rc == 0)
        rc = freed_start(fs);
    if (rc == 0)
        rc = garbage_start(fs);
    atime_start(fs);
    if (rc == 0)
        rc = timer_start(fs);
out:
    if (rc == 0) {
        *out = fs;
        return 0;
    }
    char *why = mem_printf("%s", fail_text());
    atime_stop(fs);
    garbage_stop(fs);
    freed_stop(fs);
    count_stop(fs);
    store_close(fs->store);
    fs_free(fs);
    fail(rc, "%s", why);
    free(why);
    return rc;
}

/* Nodes that are orphans now have lost their last reference: nobody is left to ask for them. */
static void drop_orphans(struct fs *fs)
{
    for (int i = 0; i < FS_SHARDS; i++)
        for (size_t b = 0; b < fs->shard[i].bucket_count; b++)
            for (struct node *n = fs->shard[i].bucket[b]; n; n = n->chain)
                if (n->orphan)
                    node_orphan_ends(fs, n);
}

int fs_close(struct fs *fs)
{
    if (!fs)
        return 0;
    timer_stop(fs);
    atime_stop(fs);
    drop_orphans(fs);
    garbage_stop(fs);
    freed_stop(fs);
    count_stop(fs);
    int rc = store_close(fs->store);
    fs_free(fs);
    return rc;
}

uint32_t fs_generation(const struct fs *fs)
{
    uint32_t g;
    memcpy(&g, fs->super.uuid, sizeof g);
    return g ? g : 1;
}

struct store *fs_store(struct fs *fs)
{
    return fs->store;
}
