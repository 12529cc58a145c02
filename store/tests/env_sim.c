/* See env_sim.h: the table of functions, over sim_disk.c. Each function takes the one lock, asks
 * begin() for its number and its fate, and does its work. */
#include "sim_state.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "../base/error.h"

#define NS_PER_CALL 1000

struct env_file {
    struct sim_inode *inode;
    char *path;
    bool writable, lock, lock_shared;
    int windows; /* open ones */
};

struct env_window {
    struct env_file *file;
    uint64_t from, to;
};

/* What begin() decided about a call. */
struct fate {
    int error;
    enum sim_damage damage;
    bool cut_here; /* the power goes in the middle of this very call */
};

/* ---------------------------------------------------------------- the fate of a call */

static void note(struct env_sim *s, enum sim_call call, const char *path, uint64_t off,
                 uint64_t len, int result)
{
    bool numbered = sim_is_numbered(call);
    if (!s->tracing || !(numbered || call == SIM_WRITE_OUT || call == SIM_AWAIT_WRITTEN))
        return;
    s->trace = mem_realloc(s->trace, (s->trace_count + 1) * sizeof *s->trace);
    s->trace[s->trace_count++] = (struct sim_traced){.call = call,
                                                     .number = numbered ? s->counts[SIM_ANY] : 0,
                                                     .path = strdup(path),
                                                     .off = off,
                                                     .len = len,
                                                     .result = result};
}

static bool fault_strikes(struct env_sim *s, enum sim_call call)
{
    struct sim_fault *f = &s->fault;
    if (f->at == 0 || f->fired || s->counts[f->call] != f->at)
        return false;
    if (f->call != call && !(f->call == SIM_ANY && sim_is_numbered(call)))
        return false;
    f->fired = true;
    return true;
}

/* Runs the hook, then numbers the call and says how it shall end. mu NOT held at entry, held at
 * exit. */
static struct fate begin(struct env_sim *s, enum sim_call call, const char *path, uint64_t off,
                         uint64_t len)
{
    struct fate fate = {0, SIM_DONE_NOTHING, false};
    pthread_mutex_lock(&s->mu);
    env_sim_hook *hook = sim_is_numbered(call) && !s->cut ? s->hook : NULL;
    void *arg = s->hook_arg;
    if (hook) {
        pthread_mutex_unlock(&s->mu);
        fate.error = hook(arg, call, path);
        pthread_mutex_lock(&s->mu);
    }
    s->clock_ns += NS_PER_CALL;
    if (s->cut) {
        fate.error = -EIO;
    } else {
        s->counts[call]++;
        if (sim_is_numbered(call))
            s->counts[SIM_ANY]++;
        if (sim_is_numbered(call) && s->counts[SIM_ANY] == s->cut_at) {
            s->cut = fate.cut_here = true;
            fate.error = -EIO;
        } else if (!fate.error && fault_strikes(s, call)) {
            fate.error = s->fault.error;
            fate.damage = s->fault.damage;
        }
        note(s, call, path, off, len, fate.error);
    }
    if (fate.error)
        fail(fate.error, "%s: simulated failure of %s at %llu", path, env_sim_call_name(call),
             (unsigned long long)off);
    return fate;
}

static int end(struct env_sim *s, int rc)
{
    pthread_mutex_unlock(&s->mu);
    return rc;
}

/* ---------------------------------------------------------------- paths */

#define NAME_ROOM 256

/* The folder that holds `path`, and the last name in it ("" for the root itself); NULL where a
 * folder on the way is missing. mu held. */
static struct sim_inode *parent_of(struct env_sim *s, const char *path, char name[NAME_ROOM])
{
    struct sim_inode *dir = s->disk.root;
    for (;;) {
        path += strspn(path, "/");
        size_t n = strcspn(path, "/");
        assert(n < NAME_ROOM);
        memcpy(name, path, n);
        name[n] = '\0';
        path += n + strspn(path + n, "/");
        if (*path == '\0')
            return dir;
        dir = sim_find(&dir->entries_now, name);
        if (!dir || !dir->is_dir)
            return NULL;
    }
}

static struct sim_inode *lookup(struct env_sim *s, const char *path)
{
    char name[NAME_ROOM];
    struct sim_inode *dir = parent_of(s, path, name);
    return !dir || *name == '\0' ? dir : sim_find(&dir->entries_now, name);
}

static int missing(const char *path)
{
    return fail(-ENOENT, "%s: no such file", path);
}

/* ---------------------------------------------------------------- files */

static struct env_file *new_handle(struct env_sim *s, struct sim_inode *inode, const char *path,
                                   bool writable)
{
    struct env_file *f = mem_zalloc(sizeof *f);
    f->inode = inode;
    f->path = strdup(path);
    f->writable = writable;
    inode->refs++;
    s->open_files++;
    return f;
}

static struct sim_inode *create(struct env_sim *s, struct sim_inode *dir, const char *name)
{
    struct sim_inode *i = sim_inode_new(&s->disk, false);
    sim_link(&s->disk, dir, NULL, name, i);
    sim_inode_unref(i); /* the entry holds it */
    return i;
}

static int sim_open(struct env *e, const char *path, int flags, struct env_file **out)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    struct sim_inode *i = lookup(s, path);
    bool changes = i ? (flags & ENV_TRUNCATE) && i->now.len > 0 : (flags & ENV_CREATE) != 0;
    pthread_mutex_unlock(&s->mu);

    struct fate fate = begin(s, changes ? SIM_CREATE : SIM_OPEN, path, 0, 0);
    if (fate.error && fate.damage != SIM_DONE_ALL)
        return end(s, fate.error);
    char name[NAME_ROOM];
    struct sim_inode *dir = parent_of(s, path, name);
    i = lookup(s, path);
    if (!dir || (!i && !(flags & ENV_CREATE)))
        return end(s, missing(path));
    if (i && i->is_dir)
        return end(s, fail(-EISDIR, "%s: is a directory", path));
    if (!i)
        i = create(s, dir, name);
    else if (flags & ENV_TRUNCATE)
        sim_truncate(&s->disk, i, 0);
    if (fate.error)
        return end(s, fate.error);
    *out = new_handle(s, i, path, flags & ENV_WRITE);
    return end(s, 0);
}

static void sim_close(struct env *e, struct env_file *f)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    assert(f->windows == 0);
    if (f->lock)
        f->inode->locked = false;
    if (f->lock_shared)
        f->inode->readers--;
    sim_inode_unref(f->inode);
    s->open_files--;
    pthread_mutex_unlock(&s->mu);
    free(f->path);
    free(f);
}

static ssize_t sim_pread(struct env *e, struct env_file *f, void *p, size_t n, uint64_t off)
{
    struct env_sim *s = sim_of(e);
    struct fate fate = begin(s, SIM_READ, f->path, off, n);
    const struct buf *b = &f->inode->now;
    if (fate.error)
        return end(s, fate.error);
    if (off >= b->len)
        return end(s, 0);
    if (n > b->len - off)
        n = b->len - off;
    if (n)
        memcpy(p, b->data + off, n);
    pthread_mutex_unlock(&s->mu);
    return (ssize_t)n;
}

/* How many of n bytes at off the disk still has room for. mu held. */
static size_t fitting(struct env_sim *s, const struct env_file *f, size_t n, uint64_t off)
{
    uint64_t size = f->inode->now.len, used = s->capacity ? sim_disk_used(&s->disk) : 0;
    if (!s->capacity || off + n <= size)
        return n;
    uint64_t left = used < s->capacity ? s->capacity - used : 0;
    uint64_t allowed_end = size + left;
    return allowed_end <= off ? 0 : allowed_end - off < n ? allowed_end - off : n;
}

static int sim_pwrite(struct env *e, struct env_file *f, const void *p, size_t n, uint64_t off)
{
    struct env_sim *s = sim_of(e);
    assert(f->writable);
    struct fate fate = begin(s, SIM_WRITE, f->path, off, n);
    size_t fits = fitting(s, f, n, off);
    if (fate.cut_here) {
        sim_write_unfinished(&s->disk, f->inode, p, n, off);
        return end(s, fate.error);
    }
    if (fate.error) {
        size_t part = fate.damage == SIM_DONE_ALL             ? n
                      : fate.damage == SIM_DONE_PART && n > 1 ? 1 + sim_below(&s->random, n - 1)
                                                              : 0;
        if (part)
            sim_write(&s->disk, f->inode, p, part, off);
        return end(s, fate.error);
    }
    if (fits)
        sim_write(&s->disk, f->inode, p, fits, off);
    if (fits < n)
        return end(s, fail(-ENOSPC, "%s: no space for %zu bytes at %llu", f->path, n,
                           (unsigned long long)off));
    return end(s, 0);
}

/* A window is what it must be on a real disk: onto bytes that the file has, and still has when they
 * are written. */
static int sim_window_open(struct env *e, struct env_file *f, uint64_t off, size_t n,
                           struct env_window **out)
{
    struct env_sim *s = sim_of(e);
    struct fate fate = begin(s, SIM_OPEN, f->path, off, n);
    assert(f->writable && n > 0 && (s->cut || off + n <= f->inode->now.len));
    if (!fate.error) {
        *out = mem_alloc(sizeof **out);
        **out = (struct env_window){f, off, off + n};
        f->windows++;
    }
    return end(s, fate.error);
}

static int sim_window_write(struct env *e, struct env_window *w, const void *p, size_t n,
                            uint64_t off)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    assert(off >= w->from && off + n <= w->to);
    assert(s->cut || off + n <= w->file->inode->now.len);
    s->counts[SIM_WINDOW]++;
    pthread_mutex_unlock(&s->mu);
    return sim_pwrite(e, w->file, p, n, off);
}

static void sim_window_close(struct env *e, struct env_window *w)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    w->file->windows--;
    pthread_mutex_unlock(&s->mu);
    free(w);
}

static int sim_truncate_file(struct env *e, struct env_file *f, uint64_t size)
{
    struct env_sim *s = sim_of(e);
    struct fate fate = begin(s, SIM_TRUNCATE, f->path, size, 0);
    if (!fate.error || fate.damage == SIM_DONE_ALL)
        sim_truncate(&s->disk, f->inode, size);
    return end(s, fate.error);
}

static int sim_punch(struct env *e, struct env_file *f, uint64_t off, uint64_t len)
{
    struct env_sim *s = sim_of(e);
    struct fate fate = begin(s, SIM_PUNCH, f->path, off, len);
    uint64_t size = f->inode->now.len, n = off >= size ? 0 : off + len > size ? size - off : len;
    if (n && (!fate.error || fate.damage == SIM_DONE_ALL)) {
        char *zeroes = mem_zalloc(n);
        sim_write(&s->disk, f->inode, zeroes, n, off);
        free(zeroes);
    }
    return end(s, fate.error);
}

/* All or nothing, as fallocate() is on the disks that have it. Counts as a write. */
static int sim_allocate(struct env *e, struct env_file *f, uint64_t len)
{
    struct env_sim *s = sim_of(e);
    struct fate fate = begin(s, SIM_WRITE, f->path, 0, len);
    uint64_t has =
        f->inode->allocated > f->inode->now.len ? f->inode->allocated : f->inode->now.len;
    if (fate.error && fate.damage != SIM_DONE_ALL)
        return end(s, fate.error);
    if (!fate.error && len > has && s->capacity &&
        sim_disk_used(&s->disk) + len - has > s->capacity)
        return end(s,
                   fail(-ENOSPC, "%s: no space for %llu bytes", f->path, (unsigned long long)len));
    if (len > has)
        f->inode->allocated = len;
    return end(s, fate.error);
}

/* What was changed before the call began is what it makes durable; what came in between is not. A
 * failed sync of a file gives up its pending bytes; that of a folder leaves its changes pending. */
static int sync_inode(struct env_sim *s, enum sim_call call, struct sim_inode *i, const char *path)
{
    pthread_mutex_lock(&s->mu);
    uint64_t time = s->disk.time;
    unsigned us = s->sync_us;
    i->refs++;
    pthread_mutex_unlock(&s->mu);
    struct fate fate = begin(s, call, path, 0, 0);
    if (us && !fate.error) {
        s->clock_ns += us * 1000ull;
        pthread_mutex_unlock(&s->mu);
        usleep(us);
        pthread_mutex_lock(&s->mu);
        if (s->cut)
            fate = (struct fate){-EIO, SIM_DONE_NOTHING, true};
    }
    if (!fate.error || (i->is_dir && fate.damage != SIM_DONE_NOTHING))
        sim_sync(i, time);
    else if (!s->cut && !i->is_dir)
        sim_settle(i, fate.damage == SIM_DONE_NOTHING ? SIM_LOSE_ALL : SIM_RANDOM, &s->random);
    sim_inode_unref(i);
    return end(s, fate.error);
}

static int sim_sync_file(struct env *e, struct env_file *f)
{
    return sync_inode(sim_of(e), SIM_SYNC, f->inode, f->path);
}

/* Nothing that a power cut would have to keep. */
static int sim_write_out(struct env *e, struct env_file *f, uint64_t off, uint64_t len)
{
    struct env_sim *s = sim_of(e);
    struct fate fate = begin(s, SIM_WRITE_OUT, f->path, off, len);
    return end(s, fate.error);
}

static int sim_await_written(struct env *e, struct env_file *f, uint64_t off, uint64_t len)
{
    struct env_sim *s = sim_of(e);
    struct fate fate = begin(s, SIM_AWAIT_WRITTEN, f->path, off, len);
    if (fate.error && !s->cut)
        sim_settle(f->inode, fate.damage == SIM_DONE_NOTHING ? SIM_LOSE_ALL : SIM_RANDOM,
                   &s->random);
    return end(s, fate.error);
}

static int sim_size(struct env *e, struct env_file *f, uint64_t *size)
{
    struct env_sim *s = sim_of(e);
    struct fate fate = begin(s, SIM_OPEN, f->path, 0, 0);
    *size = f->inode->now.len;
    return end(s, fate.error);
}

/* ---------------------------------------------------------------- folders */

static int sim_rename(struct env *e, const char *from, const char *to)
{
    struct env_sim *s = sim_of(e);
    char from_name[NAME_ROOM], to_name[NAME_ROOM];
    struct fate fate = begin(s, SIM_RENAME, from, 0, 0);
    struct sim_inode *dir = parent_of(s, from, from_name), *to_dir = parent_of(s, to, to_name);
    struct sim_inode *i = dir ? sim_find(&dir->entries_now, from_name) : NULL;
    if (fate.error && fate.damage != SIM_DONE_ALL)
        return end(s, fate.error);
    if (!i || !to_dir)
        return end(s, missing(from));
    if (dir != to_dir)
        return end(s, fail(-EXDEV, "%s: not renamed into another folder", from));
    if (strcmp(from_name, to_name) != 0)
        sim_link(&s->disk, dir, from_name, to_name, i);
    return end(s, fate.error);
}

static int sim_unlink(struct env *e, const char *path)
{
    struct env_sim *s = sim_of(e);
    char name[NAME_ROOM];
    struct fate fate = begin(s, SIM_UNLINK, path, 0, 0);
    struct sim_inode *dir = parent_of(s, path, name);
    if (fate.error && fate.damage != SIM_DONE_ALL)
        return end(s, fate.error);
    struct sim_inode *i = dir ? sim_find(&dir->entries_now, name) : NULL;
    if (!i)
        return end(s, missing(path));
    if (i->is_dir && i->entries_now.count)
        return end(s, fail(-ENOTEMPTY, "%s: directory not empty", path));
    sim_link(&s->disk, dir, name, NULL, NULL);
    return end(s, fate.error);
}

static int sim_mkdir(struct env *e, const char *path)
{
    struct env_sim *s = sim_of(e);
    char name[NAME_ROOM];
    struct fate fate = begin(s, SIM_MKDIR, path, 0, 0);
    struct sim_inode *dir = parent_of(s, path, name);
    if (fate.error && fate.damage != SIM_DONE_ALL)
        return end(s, fate.error);
    if (!dir)
        return end(s, missing(path));
    if (lookup(s, path))
        return end(s, fail(-EEXIST, "%s: exists", path));
    struct sim_inode *i = sim_inode_new(&s->disk, true);
    sim_link(&s->disk, dir, NULL, name, i);
    sim_inode_unref(i);
    return end(s, fate.error);
}

static int sim_list(struct env *e, const char *path, void (*each)(void *arg, const char *name),
                    void *arg)
{
    struct env_sim *s = sim_of(e);
    struct fate fate = begin(s, SIM_LIST, path, 0, 0);
    struct sim_inode *dir = lookup(s, path);
    if (fate.error)
        return end(s, fate.error);
    if (!dir || !dir->is_dir)
        return end(s, missing(path));
    size_t count = dir->entries_now.count;
    char **names = mem_alloc((count + 1) * sizeof *names);
    for (size_t n = 0; n < count; n++)
        names[n] = strdup(dir->entries_now.at[n].name);
    pthread_mutex_unlock(&s->mu); /* `each` may call us */
    for (size_t n = 0; n < count; n++) {
        each(arg, names[n]);
        free(names[n]);
    }
    free(names);
    return 0;
}

static int sim_sync_dir(struct env *e, const char *path)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    struct sim_inode *dir = lookup(s, path);
    bool found = dir && dir->is_dir;
    pthread_mutex_unlock(&s->mu);
    return found ? sync_inode(s, SIM_SYNC_DIR, dir, path) : missing(path);
}

static int sim_lock(struct env *e, const char *path, struct env_file **out)
{
    struct env_sim *s = sim_of(e);
    char *pid = mem_printf("%ld\n", (long)getpid());
    char name[NAME_ROOM];
    struct fate fate = begin(s, SIM_LOCK, path, 0, 0);
    struct sim_inode *dir = parent_of(s, path, name), *i = lookup(s, path);
    int rc = fate.error;
    if (rc == 0 && !dir)
        rc = missing(path);
    if (rc == 0 && i && (i->locked || i->readers > 0))
        rc = fail(-EWOULDBLOCK, "%s: in use by process %ld", path, (long)getpid());
    if (rc == 0) {
        if (!i)
            i = create(s, dir, name);
        sim_truncate(&s->disk, i, 0);
        sim_write(&s->disk, i, pid, strlen(pid), 0);
        *out = new_handle(s, i, path, true);
        (*out)->lock = i->locked = true;
    }
    free(pid);
    return end(s, rc);
}

static int sim_lock_shared(struct env *e, const char *path, struct env_file **out)
{
    struct env_sim *s = sim_of(e);
    struct fate fate = begin(s, SIM_LOCK, path, 0, 0);
    struct sim_inode *i = lookup(s, path);
    int rc = fate.error;
    *out = NULL;
    if (rc == 0 && i && i->locked)
        rc = fail(-EWOULDBLOCK, "%s: in use by process %ld", path, (long)getpid());
    if (rc == 0 && i) {
        *out = new_handle(s, i, path, false);
        (*out)->lock_shared = true;
        i->readers++;
    }
    return end(s, rc);
}

static int sim_space(struct env *e, const char *path, struct env_space *out)
{
    struct env_sim *s = sim_of(e);
    struct fate fate = begin(s, SIM_OPEN, path, 0, 0);
    uint64_t used = sim_disk_used(&s->disk);
    out->total = s->capacity && !s->is_quota ? s->capacity : 1ull << 40;
    out->free = out->available = used < out->total ? out->total - used : 0;
    return end(s, fate.error);
}

/* ---------------------------------------------------------------- clocks */

static uint64_t sim_now_ns(struct env *e)
{
    struct env_sim *s = sim_of(e);
    struct timespec now;
    pthread_mutex_lock(&s->mu);
    uint64_t ns = s->clock_ns += NS_PER_CALL;
    if (s->real_time) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    }
    pthread_mutex_unlock(&s->mu);
    return ns;
}

static void sim_sleep_us(struct env *e, unsigned us)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    bool real = s->real_time;
    s->clock_ns += us * 1000ull;
    pthread_mutex_unlock(&s->mu);
    usleep(real ? us : 0);
}

const struct env_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .pread = sim_pread,
    .pwrite = sim_pwrite,
    .truncate = sim_truncate_file,
    .punch = sim_punch,
    .allocate = sim_allocate,
    .sync = sim_sync_file,
    .write_out = sim_write_out,
    .await_written = sim_await_written,
    .size = sim_size,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .mkdir = sim_mkdir,
    .list = sim_list,
    .sync_dir = sim_sync_dir,
    .lock = sim_lock,
    .lock_shared = sim_lock_shared,
    .space = sim_space,
    .now_ns = sim_now_ns,
    .sleep_us = sim_sleep_us,
    .window_open = sim_window_open,
    .window_write = sim_window_write,
    .window_close = sim_window_close,
};
