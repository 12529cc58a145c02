/* A filesystem in memory that does what ours should do: random operations are made on both, and
 * both are written down as text to compare them.
 *
 * The model holds a reference to the inodes it uses, as the kernel does (a directory's parents
 * before it), and forgets them at random. One thread. */
#ifndef FS_TESTS_MODEL_H
#define FS_TESTS_MODEL_H

#include "fixture.h"

#define MODEL_XATTRS 3
#define MODEL_MAX_SIZE (56u * 4096) /* three chunks, and a half */

struct node_model;

struct name_model {
    char name[8];
    struct node_model *node;
};

struct node_model {
    uint64_t ino;
    bool held; /* the test has one reference */
    mode_t mode;
    uid_t uid;
    unsigned links; /* names that it has */
    bool linkable;  /* it had none yet: it may get one */
    uint64_t size;
    unsigned char *data; /* of a file: MODEL_MAX_SIZE bytes */
    bool block[MODEL_MAX_SIZE / FS_BLOCK];
    char target[8];
    int xattr[MODEL_XATTRS]; /* 0: none */
    struct node_model *parent;
    struct name_model *names; /* of a directory, in order */
    int name_count;
    int changed; /* the last step that changed it */
    int seen;    /* in a text: its number there */
};

struct model {
    struct node_model *root;
    struct node_model **all; /* with those that have no name and are held */
    int count, capacity;
    int step;                        /* running number of the operation */
    int durable_step;                /* all up to here was synced */
    uint64_t stream_ino, stream_off; /* what writes in order goes on with */
    uint64_t max_ino;                /* the highest number given so far */
    bool may_fail;                   /* the power may go: -EIO is an answer then */
    bool failed;                     /* and it was given */
};

void model_init(struct model *m);
void model_free(struct model *m);
/* A random operation on both. Asserts that they agree, also in their errors. */
void model_step(struct model *m, struct random *r);
/* The filesystem was opened anew: no reference is left, and what had no name is gone. */
void model_reopened(struct model *m);

/* The tree as text: a line each for what there is, in order. */
void model_text(struct model *m, struct buf *out);
void fs_text(struct buf *out);

/* model.c, for model_step.c: the operations on the model alone; 0 or a negative errno. */
struct node_model *model_find(const struct node_model *dir, const char *name);
int model_make(struct model *m, struct node_model *dir, const char *name, mode_t mode,
               const char *target, struct node_model **out);
int model_make_unnamed(struct model *m, struct node_model *dir, mode_t mode,
                       struct node_model **out);
int model_link(struct model *m, struct node_model *n, struct node_model *dir, const char *name);
int model_remove(struct model *m, struct node_model *dir, const char *name, bool rmdir);
int model_rename(struct model *m, struct node_model *dir, const char *name,
                 struct node_model *new_dir, const char *new_name, unsigned flags);
int model_write(struct model *m, struct node_model *n, uint64_t off, const void *p, size_t size);
int model_resize(struct model *m, struct node_model *n, uint64_t size);
int model_fallocate(struct model *m, struct node_model *n, int mode, uint64_t off, uint64_t len);
int model_copy(struct model *m, struct node_model *from, uint64_t from_off, struct node_model *to,
               uint64_t to_off, size_t len); /* or the count */
bool model_is_under(const struct node_model *below, const struct node_model *above);
/* Lets go of a node without names that nobody holds. */
void model_collect(struct model *m, struct node_model *n);

#endif
