/* See sim_disk.h: inodes, entries, pending changes, copies. What survives a power cut is in
 * sim_settle.c. */
#include "sim_disk.h"

#include <assert.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- bytes */

void sim_bytes_resize(struct buf *b, uint64_t size)
{
    if (size > b->len)
        memset(buf_reserve(b, size - b->len), 0, size - b->len);
    b->len = size;
}

void sim_bytes_write(struct buf *b, const void *p, size_t n, uint64_t off)
{
    if (n == 0)
        return;
    if (off + n > b->len)
        sim_bytes_resize(b, off + n);
    memcpy(b->data + off, p, n);
}

/* ---------------------------------------------------------------- inodes and entries */

struct sim_inode *sim_inode_new(struct sim_disk *d, bool is_dir)
{
    struct sim_inode *i = mem_zalloc(sizeof *i);
    i->refs = 1;
    i->is_dir = is_dir;
    i->next = &d->ring;
    i->prev = d->ring.prev;
    i->prev->next = i;
    d->ring.prev = i;
    return i;
}

static struct sim_inode *inode_ref(struct sim_inode *i)
{
    i->refs++;
    return i;
}

static void entries_clear(struct sim_entries *e)
{
    for (size_t n = 0; n < e->count; n++) {
        sim_inode_unref(e->at[n].inode);
        free(e->at[n].name);
    }
    free(e->at);
    *e = (struct sim_entries){NULL, 0};
}

static void free_link(struct sim_link *op)
{
    if (op->inode)
        sim_inode_unref(op->inode);
    free(op->from);
    free(op->to);
    free(op);
}

void sim_drop_writes(struct sim_inode *i)
{
    while (i->writes) {
        struct sim_write *w = i->writes;
        i->writes = w->next;
        free(w);
    }
    i->last_write = NULL;
}

void sim_drop_links(struct sim_inode *i)
{
    while (i->links) {
        struct sim_link *op = i->links;
        i->links = op->next;
        free_link(op);
    }
    i->last_link = NULL;
}

void sim_inode_unref(struct sim_inode *i)
{
    assert(i->refs > 0);
    if (--i->refs > 0)
        return;
    i->prev->next = i->next;
    i->next->prev = i->prev;
    entries_clear(&i->entries_now);
    entries_clear(&i->entries_durable);
    sim_drop_writes(i);
    sim_drop_links(i);
    buf_free(&i->now);
    buf_free(&i->durable);
    free(i);
}

static size_t entry_index(const struct sim_entries *e, const char *name)
{
    size_t n = 0;
    while (n < e->count && strcmp(e->at[n].name, name) != 0)
        n++;
    return n;
}

struct sim_inode *sim_find(const struct sim_entries *e, const char *name)
{
    size_t n = entry_index(e, name);
    return n < e->count ? e->at[n].inode : NULL;
}

static void entry_remove(struct sim_entries *e, const char *name)
{
    size_t n = entry_index(e, name);
    if (n == e->count)
        return;
    struct sim_entry gone = e->at[n];
    e->at[n] = e->at[--e->count];
    free(gone.name);
    sim_inode_unref(gone.inode);
}

static void entry_add(struct sim_entries *e, const char *name, struct sim_inode *inode)
{
    inode_ref(inode);
    entry_remove(e, name);
    e->at = mem_realloc(e->at, (e->count + 1) * sizeof *e->at);
    e->at[e->count++] = (struct sim_entry){strdup(name), inode};
}

void sim_entries_apply(struct sim_entries *e, const struct sim_link *op)
{
    if (op->from)
        entry_remove(e, op->from);
    if (op->to)
        entry_add(e, op->to, op->inode);
}

/* ---------------------------------------------------------------- changes */

static void add_pending(struct sim_inode *i, struct sim_write *w)
{
    if (i->last_write)
        i->last_write->next = w;
    else
        i->writes = w;
    i->last_write = w;
}

static struct sim_write *new_write(const void *p, size_t n, uint64_t off)
{
    struct sim_write *w = mem_zalloc(sizeof *w + n);
    w->off = off;
    w->len = n;
    if (n)
        memcpy(w->data, p, n);
    return w;
}

void sim_write(struct sim_disk *d, struct sim_inode *i, const void *p, size_t n, uint64_t off)
{
    struct sim_write *w = new_write(p, n, off);
    w->time = ++d->time;
    add_pending(i, w);
    sim_bytes_write(&i->now, p, n, off);
}

void sim_write_unfinished(struct sim_disk *d, struct sim_inode *i, const void *p, size_t n,
                          uint64_t off)
{
    sim_write(d, i, p, n, off);
    i->last_write->unfinished = true;
}

void sim_truncate(struct sim_disk *d, struct sim_inode *i, uint64_t size)
{
    struct sim_write *w = new_write(NULL, 0, size);
    w->time = ++d->time;
    w->truncate = true;
    add_pending(i, w);
    sim_bytes_resize(&i->now, size);
    i->allocated = 0;
}

void sim_link(struct sim_disk *d, struct sim_inode *dir, const char *from, const char *to,
              struct sim_inode *inode)
{
    struct sim_link *op = mem_zalloc(sizeof *op);
    assert(dir->is_dir && (from || to) && !to == !inode);
    op->time = ++d->time;
    op->from = from ? strdup(from) : NULL;
    op->to = to ? strdup(to) : NULL;
    op->inode = inode ? inode_ref(inode) : NULL;
    if (dir->last_link)
        dir->last_link->next = op;
    else
        dir->links = op;
    dir->last_link = op;
    sim_entries_apply(&dir->entries_now, op);
}

/* ---------------------------------------------------------------- sync */

void sim_sync(struct sim_inode *i, uint64_t time)
{
    while (i->writes && i->writes->time <= time) {
        struct sim_write *w = i->writes;
        if (w->truncate)
            sim_bytes_resize(&i->durable, w->off);
        else
            sim_bytes_write(&i->durable, w->data, w->len, w->off);
        i->writes = w->next;
        free(w);
    }
    if (!i->writes)
        i->last_write = NULL;
    while (i->links && i->links->time <= time) {
        struct sim_link *op = i->links;
        sim_entries_apply(&i->entries_durable, op);
        i->links = op->next;
        free_link(op);
    }
    if (!i->links)
        i->last_link = NULL;
}

/* ---------------------------------------------------------------- disks */

void sim_disk_init(struct sim_disk *d)
{
    memset(d, 0, sizeof *d);
    d->ring.next = d->ring.prev = &d->ring;
    d->root = sim_inode_new(d, true);
}

void sim_disk_free(struct sim_disk *d)
{
    sim_inode_unref(d->root);
    assert(d->ring.next == &d->ring); /* no handle is left */
}

uint64_t sim_disk_used(const struct sim_disk *d)
{
    uint64_t bytes = 0;
    for (struct sim_inode *i = d->ring.next; i != &d->ring; i = i->next)
        bytes += i->allocated > i->now.len ? i->allocated : i->now.len;
    return bytes;
}

static void copy_inode(const struct sim_inode *from, struct sim_inode *to)
{
    buf_set(&to->durable, buf_slice(&from->durable));
    for (struct sim_write *w = from->writes; w; w = w->next) {
        struct sim_write *c = mem_alloc(sizeof *c + w->len);
        memcpy(c, w, sizeof *c + w->len);
        c->next = NULL;
        add_pending(to, c);
    }
    for (size_t n = 0; n < from->entries_durable.count; n++)
        entry_add(&to->entries_durable, from->entries_durable.at[n].name,
                  from->entries_durable.at[n].inode->copy);
    for (struct sim_link *op = from->links; op; op = op->next) {
        struct sim_link *c = mem_zalloc(sizeof *c);
        *c = (struct sim_link){.time = op->time,
                               .from = op->from ? strdup(op->from) : NULL,
                               .to = op->to ? strdup(op->to) : NULL,
                               .inode = op->inode ? inode_ref(op->inode->copy) : NULL};
        if (to->last_link)
            to->last_link->next = c;
        else
            to->links = c;
        to->last_link = c;
    }
}

void sim_disk_copy(const struct sim_disk *from, struct sim_disk *to)
{
    memset(to, 0, sizeof *to);
    to->ring.next = to->ring.prev = &to->ring;
    to->time = from->time;
    for (struct sim_inode *i = from->ring.next; i != &from->ring; i = i->next)
        i->copy = sim_inode_new(to, i->is_dir);
    for (struct sim_inode *i = from->ring.next; i != &from->ring; i = i->next)
        copy_inode(i, i->copy);
    to->root = from->root->copy;
    /* Now that all references stand, let go of the ones held for the walk; what only a handle held
     * goes. */
    for (struct sim_inode *i = from->ring.next; i != &from->ring; i = i->next)
        if (i != from->root)
            sim_inode_unref(i->copy);
}

void sim_disk_settle(struct sim_disk *d, enum sim_survival how, struct sim_random *r)
{
    for (struct sim_inode *i = d->ring.next; i != &d->ring; i = i->next)
        inode_ref(i); /* settling drops references: nothing may go while the ring is walked */
    for (struct sim_inode *i = d->ring.next; i != &d->ring; i = i->next) {
        sim_settle(i, how, r);
        assert(!i->locked && i->readers == 0);
        buf_set(&i->now, buf_slice(&i->durable));
        entries_clear(&i->entries_now);
        for (size_t n = 0; n < i->entries_durable.count; n++)
            entry_add(&i->entries_now, i->entries_durable.at[n].name,
                      i->entries_durable.at[n].inode);
    }
    for (struct sim_inode *i = d->ring.next, *next; i != &d->ring; i = next) {
        next = i->next;
        sim_inode_unref(i);
    }
}
