/* The simulated disk: inodes, what they hold now, what of it is durable, and what lies between.
 *
 * Used by env_sim.c alone, which guards a whole disk with one lock. Invariants:
 * 1. A file's bytes now are its durable bytes with its pending operations applied in order (unless
 * a failed sync threw some of them away: then `now` is what a page cache would still show).
 * 2. The same holds for a folder's entries.
 * 3. An inode lives as long as something refers to it: an entry (now or durable), a pending entry
 * operation, a handle. */
#ifndef STORE_TESTS_SIM_DISK_H
#define STORE_TESTS_SIM_DISK_H

#include "../base/buf.h"
#include "sim_random.h"

enum sim_survival {
    SIM_KEEP_ALL, /* every write made is there: what a killed process leaves */
    SIM_LOSE_ALL, /* only what was synced is there */
    SIM_RANDOM,   /* any mixture that the rules allow */
};

/* A change of a file that no sync has covered yet. */
struct sim_write {
    struct sim_write *next;
    uint64_t time;   /* the disk's tick when it was made */
    bool truncate;   /* to size `off`; else the bytes `data` at `off` */
    bool unfinished; /* the power went while it was made */
    uint64_t off;
    size_t len;
    char data[];
};

/* A change of a folder: a new entry (to), a removed one (from), or a rename (both). */
struct sim_link {
    struct sim_link *next;
    uint64_t time;
    char *from, *to;         /* NULL where there is none */
    struct sim_inode *inode; /* what `to` names */
};

struct sim_entry {
    char *name;
    struct sim_inode *inode;
};

struct sim_entries {
    struct sim_entry *at;
    size_t count;
};

struct sim_inode {
    struct sim_inode *prev, *next; /* the ring of all inodes of a disk */
    int refs;
    bool is_dir, locked;
    int readers; /* that hold a shared lock */
    /* a file */
    struct buf now, durable;
    uint64_t allocated; /* bytes of the disk it holds, where more than it has; not durable */
    struct sim_write *writes, *last_write;
    /* a folder */
    struct sim_entries entries_now, entries_durable;
    struct sim_link *links, *last_link;
    struct sim_inode *copy; /* only while a disk is being copied */
};

struct sim_disk {
    struct sim_inode ring;
    struct sim_inode *root;
    uint64_t time;
};

void sim_disk_init(struct sim_disk *d);
void sim_disk_free(struct sim_disk *d);
/* Copies what is durable and what is pending (not what is only in memory): a disk whose power was
 * just cut, to be passed to sim_disk_settle(). */
void sim_disk_copy(const struct sim_disk *from, struct sim_disk *to);
/* Power comes back: what is pending becomes durable or is lost, as `how` says. Requires: no handle
 * is open. */
void sim_disk_settle(struct sim_disk *d, enum sim_survival how, struct sim_random *r);
/* The bytes of all files. */
uint64_t sim_disk_used(const struct sim_disk *d);

struct sim_inode *sim_inode_new(struct sim_disk *d, bool is_dir);
void sim_inode_unref(struct sim_inode *i);
struct sim_inode *sim_find(const struct sim_entries *e,
                           const char *name); /* NULL where it is missing */

/* Changes what is there now, and notes it as pending. */
void sim_write(struct sim_disk *d, struct sim_inode *i, const void *p, size_t n, uint64_t off);
void sim_truncate(struct sim_disk *d, struct sim_inode *i, uint64_t size);
/* A write that the power cut interrupted: perhaps some of it is there. */
void sim_write_unfinished(struct sim_disk *d, struct sim_inode *i, const void *p, size_t n,
                          uint64_t off);
void sim_link(struct sim_disk *d, struct sim_inode *dir, const char *from, const char *to,
              struct sim_inode *inode);

/* Makes durable what was changed up to `time`. */
void sim_sync(struct sim_inode *i, uint64_t time);
/* sim_settle.c: all that is pending becomes durable or is lost. After a failed sync too: no later
 * one writes it. */
void sim_settle(struct sim_inode *i, enum sim_survival how, struct sim_random *r);
/* sim_disk.c, for it: */
void sim_bytes_write(struct buf *b, const void *p, size_t n, uint64_t off);
void sim_bytes_resize(struct buf *b, uint64_t size);
void sim_entries_apply(struct sim_entries *e, const struct sim_link *op);
void sim_drop_writes(struct sim_inode *i);
void sim_drop_links(struct sim_inode *i);

#endif
