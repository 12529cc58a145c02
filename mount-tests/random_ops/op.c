/* How an operation is chosen and written down. Most ways lead to something that is there, so that
 * most operations succeed; some lead to nothing, or through what is no directory. None leads
 * through a symlink. */
#include "op.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/xattr.h>

uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void fill(unsigned char *out, size_t len, uint32_t seed)
{
    uint64_t state = seed;
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)next_random(&state);
}

uint64_t sum_of(const void *data, size_t len)
{
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ ((const unsigned char *)data)[i]) * 1099511628211u;
    return sum;
}

static unsigned below(uint64_t *random, unsigned n)
{
    return (unsigned)(next_random(random) % n);
}

static int random_child(const struct node *dir, uint64_t *random)
{
    int first = (int)below(random, NAMES);
    if (below(random, 4) > 0)
        for (int i = 0; i < NAMES; i++)
            if (dir->child[(first + i) % NAMES])
                return (first + i) % NAMES;
    return first;
}

/* A way to what can be removed: a file, or a directory without entries. */
static struct path random_leaf(const struct oracle *oracle, uint64_t *random, enum op_kind *how)
{
    struct path path = {0};
    const struct node *at = oracle->root;
    while (at->type == S_IFDIR && !node_is_empty(at)) {
        int name = random_child(at, random);
        if (!at->child[name])
            continue;
        path.name[path.depth++] = name;
        at = at->child[name];
    }
    *how = at->type == S_IFDIR ? OP_RMDIR : OP_UNLINK;
    return path;
}

static int height(const struct node *node)
{
    int highest = 0;
    for (int i = 0; node && i < NAMES; i++)
        if (node->child[i] && height(node->child[i]) >= highest)
            highest = height(node->child[i]) + 1;
    return highest;
}

/* Would something lie deeper than paths reach? */
static int is_too_deep(const struct oracle *oracle, const struct op *op)
{
    struct node *parent, *from, *to;
    if (tree_find(oracle->root, &op->a, &parent, &from) ||
        tree_find(oracle->root, &op->b, &parent, &to))
        return 0;
    return op->b.depth + height(from) > DEPTH || op->a.depth + height(to) > DEPTH;
}

static struct path random_path(const struct oracle *oracle, uint64_t *random)
{
    struct path path = {0};
    const struct node *at = oracle->root;
    while (path.depth < DEPTH) {
        int in_dir = at && at->type == S_IFDIR;
        if (at && at->type == S_IFLNK)
            break;
        if (path.depth > 0 && below(random, 100) < (in_dir ? 25 : 96))
            break;
        int name = in_dir ? random_child(at, random) : (int)below(random, NAMES);
        path.name[path.depth++] = name;
        at = in_dir ? at->child[name] : NULL;
    }
    return path;
}

/* Of each kind, how often. */
static const unsigned char weights[OP_KINDS] = {
    [OP_CREATE] = 10,       [OP_WRITE] = 12, [OP_APPEND] = 6,     [OP_TRUNCATE] = 5,
    [OP_REPLACE] = 2,       [OP_MMAP] = 4,   [OP_FALLOCATE] = 4,  [OP_READ] = 6,
    [OP_STAT] = 4,          [OP_MKDIR] = 6,  [OP_RMDIR] = 3,      [OP_UNLINK] = 6,
    [OP_SYMLINK] = 3,       [OP_LINK] = 6,   [OP_RENAME] = 14,    [OP_CHMOD] = 3,
    [OP_CHOWN] = 2,         [OP_UTIMES] = 2, [OP_SETXATTR] = 7,   [OP_REMOVEXATTR] = 2,
    [OP_FSYNC] = 2,         [OP_OPEN] = 3,   [OP_SLOT_WRITE] = 4, [OP_SLOT_READ] = 3,
    [OP_SLOT_TRUNCATE] = 2, [OP_CLOSE] = 2,
};

static enum op_kind random_kind(uint64_t *random)
{
    unsigned all = 0, at;
    for (int i = 0; i < OP_KINDS; i++)
        all += weights[i];
    at = below(random, all);
    int kind = 0;
    while (at >= weights[kind])
        at -= weights[kind++];
    return kind;
}

struct op op_random(const struct oracle *oracle, uint64_t *random)
{
    static const unsigned lengths[] = {1, 100, 4096, 5000, 65536};
    static const int allocations[] = {
        0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
        FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
    struct op op = {.kind = random_kind(random),
                    .a = random_path(oracle, random),
                    .b = random_path(oracle, random)};
    unsigned length = lengths[below(random, 5)];
    op.len = 1 + below(random, length);
    op.off = below(random, below(random, 4) ? 3 * length : SIZE_LIMIT - 65536);
    if (below(random, 4) == 0)
        op.off &= ~(size_t)4095;
    op.seed = (uint32_t)next_random(random);
    op.mode = 0600 | (mode_t)below(random, 0200);
    op.xattr = (int)below(random, XATTRS);
    op.slot = (int)below(random, SLOTS);
    if (oracle->entries > ENTRIES_LIMIT && (op.kind == OP_CREATE || op.kind == OP_MKDIR ||
                                            op.kind == OP_SYMLINK || op.kind == OP_LINK))
        op.a = random_leaf(oracle, random, &op.kind);
    if (op.kind == OP_RENAME && is_too_deep(oracle, &op))
        op.kind = OP_STAT;
    if (op.kind == OP_RENAME)
        op.flags =
            (int)(below(random, 4) == 0 ? 1 + below(random, 2) : 0); /* NOREPLACE, EXCHANGE */
    if (op.kind == OP_FALLOCATE)
        op.flags = allocations[below(random, 5)];
    if (op.kind == OP_SETXATTR) {
        op.flags = below(random, 4) == 0 ? (below(random, 2) ? XATTR_CREATE : XATTR_REPLACE) : 0;
        op.len = below(random, 400);
    }
    return op;
}

/* For what is read by people: one line, at most 1,200 bytes. */
void print_escaped(FILE *out, const char *name)
{
    for (const char *end = name + 1200; *name && name < end; name++)
        fprintf(out, *name > 32 && *name < 127 && *name != '\\' ? "%c" : "\\%03o",
                (unsigned char)*name);
}

static void path_to_text(FILE *out, const struct path *path)
{
    for (int i = 0; i < path->depth; i++) {
        fputc('/', out);
        print_escaped(out, tree_names[path->name[i]]);
    }
}

void op_to_text(FILE *out, const struct op *op)
{
    static const char *const names[OP_KINDS] = {
        "create",        "write",       "append", "truncate",  "replace",    "mmap",
        "fallocate",     "read",        "stat",   "mkdir",     "rmdir",      "unlink",
        "symlink",       "link",        "rename", "chmod",     "chown",      "utimes",
        "setxattr",      "removexattr", "fsync",  "open slot", "write slot", "read slot",
        "truncate slot", "close slot"};
    fprintf(out, "%s ", names[op->kind]);
    path_to_text(out, &op->a);
    fprintf(out, " ");
    path_to_text(out, &op->b);
    fprintf(out, " off=%zu len=%zu seed=%u mode=%o flags=%d xattr=%d slot=%d", op->off, op->len,
            op->seed, op->mode, op->flags, op->xattr, op->slot);
}
