/* Between mend_tree.c and mend_lost.c: a tree that is put in order after a repair. */
#ifndef FS_CORE_MEND_TREE_H
#define FS_CORE_MEND_TREE_H

#include "fs_internal.h"
#include "sums.h"

struct tree {
    struct fs *fs;
    struct change c;
    struct sums_table sums; /* what the records say, and what was changed since */
    uint64_t lost_found;    /* 0: not needed yet */
    char lost_found_name[32];
    uint64_t climbs; /* mend_lost.c: so often somebody looked for a ring */
    uid_t uid;       /* the root's, for what is new */
    gid_t gid;
    struct place_owner block, chunk; /* the last ones that were added up */
    uint16_t chunk_map;
    struct place_owner *twice; /* blocks that have a record of their own and are in a chunk */
    size_t twice_count;
};

/* An entry or an inode; one under `I` has no directory and no name here. */
struct seen {
    uint64_t ino, dir;
    enum entry_kind kind;
    char name[FS_NAME_MAX + 1];
    struct inode i; /* of a reference only the type */
};

/* The superblock; one that is cut short is as good as lost. STORE_EFORMAT: it names what is not
 * known here. mend.c */
int mend_read_super(struct fs *fs, struct super *s, bool *there);

/* The entry or inode of this record: 0, then inode_free(&seen->i); STORE_ECORRUPT: it is none;
 * STORE_EFORMAT. mend_damaged.c */
int mend_see(struct slice key, struct slice value, struct seen *seen);

/* `fn` for each entry (KEY_ENTRY) or inode (KEY_INODE) that is stored now; 1 from it ends that. */
int mend_each(struct tree *t, enum key_kind kind, int (*fn)(struct tree *t, struct seen *seen));

/* Its inode is lost, and there is something that it had. */
bool mend_is_lost(const struct sums *s);

static inline uint64_t mend_end_of_data(const struct sums *s)
{
    return s->end > s->chunk_end ? s->end : s->chunk_end;
}

/* mend_lost.c: what has no inode or no name gets them; and of directories that lie in each other
 * one goes to lost+found. */
int mend_find_lost(struct tree *t);
int mend_undo_rings(struct tree *t);

#endif
