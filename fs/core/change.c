/* One change of the filesystem: a batch, put together, committed, and noted in the nodes it
 * concerns. */
#include <unistd.h>

#include "fs_internal.h"

/* What most changes need: memory is asked for once. */
#define USUAL_BATCH 512
#define USUAL_VALUE 256

#define RECLAIM_TRIES 20 /* of a batch that brings space back, on a full disk */
#define RECLAIM_PAUSE_US 20000

void change_begin(struct change *c, struct fs *fs)
{
    *c = (struct change){.fs = fs};
    buf_reserve(&c->batch.rep, USUAL_BATCH);
    buf_reserve(&c->value, USUAL_VALUE);
}

static void end(struct change *c, bool committed)
{
    change_free_chunks(c, committed);
    store_batch_free(&c->batch);
    buf_free(&c->value);
}

void change_drop(struct change *c)
{
    end(c, false);
}

void change_put(struct change *c, struct fs_key key, struct slice value)
{
    store_batch_put(&c->batch, key_slice(&key), value);
}

void change_delete(struct change *c, struct fs_key key)
{
    store_batch_delete(&c->batch, key_slice(&key));
}

void change_put_inode_at(struct change *c, uint64_t ino, const struct inode *next,
                         struct node_home home)
{
    buf_clear(&c->value);
    if (home.embedded) {
        entry_encode_inode(ino, next, &c->value);
        change_put(c, key_named(KEY_ENTRY, home.dir, home.name), buf_slice(&c->value));
    } else {
        inode_encode(next, &c->value);
        change_put(c, key_of(KEY_INODE, ino), buf_slice(&c->value));
    }
}

void change_put_inode(struct change *c, struct node *n, const struct inode *next)
{
    if (!n->orphan)
        change_put_inode_at(c, n->ino, next,
                            (struct node_home){n->embedded, n->home, n->home_name});
}

void change_put_reference(struct change *c, uint64_t dir, const char *name, uint64_t ino,
                          mode_t mode)
{
    buf_clear(&c->value);
    entry_encode_reference(ino, mode, &c->value);
    change_put(c, key_named(KEY_ENTRY, dir, name), buf_slice(&c->value));
}

void change_put_garbage(struct change *c, uint64_t ino, uint64_t from, bool gone)
{
    buf_clear(&c->value);
    garbage_encode(&(struct garbage_record){gone, from}, &c->value);
    change_put(c, key_of(KEY_GARBAGE, ino), buf_slice(&c->value));
}

static void raise_sequence(struct node *n, uint64_t sequence)
{
    uint64_t old = atomic_load(&n->last_sequence);
    while (old < sequence && !atomic_compare_exchange_weak(&n->last_sequence, &old, sequence))
        ;
}

/* What brings space back must not wait for others that do (it may be one of these); it lacks it
 * only for moments, while a flush takes the reserve. */
static bool may_try_again(const struct change *c, int tries)
{
    if (!c->reclaim && c->batch.puts)
        return tries < SPACE_TRIES && space_comes_back(c->fs);
    if (tries >= RECLAIM_TRIES)
        return false;
    store_about_to_wait();
    usleep(RECLAIM_PAUSE_US);
    return true;
}

static int write_batch(struct change *c, struct store_writer *w)
{
    int rc = -ENOSPC;
    for (int tries = 0; space_lacks(rc); tries++) {
        if (tries > 0 && !may_try_again(c, tries))
            break;
        *w = (struct store_writer){.batch = &c->batch, .reclaim = c->reclaim};
        store_enqueue(c->fs->store, w);
        rc = store_wait(c->fs->store, w);
    }
    return rc;
}

int change_commit(struct change *c, struct node *const *nodes, int count)
{
    struct store_writer w = {0};
    bool frees = change_put_chunks(c);
    int rc = 0;
    /* Without a record, as of an inode that has no name: it comes behind all that was committed. */
    w.sequence = store_last_sequence(c->fs->store);
    if (store_batch_count(&c->batch) > 0)
        rc = write_batch(c, &w);
    for (int i = 0; rc == 0 && i < count; i++)
        if (nodes[i])
            raise_sequence(nodes[i], w.sequence);
    if (rc == 0 && frees)
        freed_note(c->fs);
    end(c, rc == 0);
    return store_errno(rc);
}

int change_next(struct change *c)
{
    struct fs *fs = c->fs;
    c->reclaim = true;
    int rc = change_commit(c, NULL, 0);
    change_begin(c, fs);
    return rc;
}

int change_next_if_full(struct change *c)
{
    return store_batch_count(&c->batch) < FS_BATCH_KEYS ? 0 : change_next(c);
}
