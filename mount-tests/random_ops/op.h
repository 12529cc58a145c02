/* One operation, made at random, done on the mount and on the oracle. */
#pragma once
#include "tree.h"
#include <stdio.h>

enum op_kind {
    OP_CREATE,
    OP_WRITE,
    OP_APPEND,
    OP_TRUNCATE,
    OP_REPLACE, /* open with O_TRUNC */
    OP_MMAP,    /* a shared mapping, msync */
    OP_FALLOCATE,
    OP_READ,
    OP_STAT,
    OP_MKDIR,
    OP_RMDIR,
    OP_UNLINK,
    OP_SYMLINK,
    OP_LINK,
    OP_RENAME,
    OP_CHMOD,
    OP_CHOWN,
    OP_UTIMES,
    OP_SETXATTR,
    OP_REMOVEXATTR,
    OP_FSYNC,
    OP_OPEN, /* slot: an open file, that may lose its name */
    OP_SLOT_WRITE,
    OP_SLOT_READ,
    OP_SLOT_TRUNCATE,
    OP_CLOSE,
    OP_KINDS
};

struct op {
    enum op_kind kind;
    struct path a, b;
    size_t off, len;
    size_t skip;   /* of a write: so much of its beginning is done already */
    uint32_t seed; /* of the bytes written */
    mode_t mode;
    int flags; /* of rename, fallocate, setxattr */
    int xattr, slot;
};

/* Result: 0 or a count, or a negative errno; and a sum of what was read. */
struct outcome {
    long rc;
    uint64_t sum;
};

struct oracle {
    struct node *root;
    int entries; /* names there are */
    struct node *slot[SLOTS];
};

struct mount {
    const char *dir;
    int slot[SLOTS]; /* -1: none */
};

struct op op_random(const struct oracle *oracle, uint64_t *random);
struct outcome op_on_oracle(struct oracle *oracle, const struct op *op);
struct outcome op_on_mount(struct mount *mount, const struct op *op);
void print_escaped(FILE *out, const char *name);
void op_to_text(FILE *out, const struct op *op);

uint64_t next_random(uint64_t *state);
void fill(unsigned char *out, size_t len, uint32_t seed);
uint64_t sum_of(const void *data, size_t len);
