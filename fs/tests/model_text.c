/* The model's tree and the filesystem's as text: see model.h. Inodes are numbered as they come, so
 * that two names of one file show, and the filesystem's own numbers do not. */
#include <check.h>
#include <stdlib.h>

#include "model.h"

static const char *const xattr_names[MODEL_XATTRS] = {"user.0", "user.1", "user.2"};

/* One thing, whoever it comes from. */
struct line {
    const char *path;
    int number;
    struct stat st;
    uint32_t sum; /* of its data, or target */
    int xattr[MODEL_XATTRS];
};

static void put_line(const struct line *l, struct buf *out)
{
    bool dir = S_ISDIR(l->st.st_mode);
    char *s =
        mem_printf("%s #%d mode %o uid %u links %u size %llu blocks %ld sum %x x %d %d %d\n",
                   l->path, l->number, l->st.st_mode, l->st.st_uid, (unsigned)l->st.st_nlink,
                   dir ? 0 : (unsigned long long)l->st.st_size, dir ? 0 : (long)l->st.st_blocks,
                   l->sum, l->xattr[0], l->xattr[1], l->xattr[2]);
    buf_append_slice(out, slice_str(s));
    free(s);
}

static uint32_t sum_of(const void *p, size_t n)
{
    const unsigned char *b = p;
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 16777619u;
    return h;
}

/* ---- the model */

static unsigned count_dirs(const struct node_model *n)
{
    unsigned dirs = 0;
    for (int i = 0; i < n->name_count; i++)
        dirs += S_ISDIR(n->names[i].node->mode);
    return dirs;
}

static void model_node_text(struct node_model *n, const char *path, int *numbers, struct buf *out)
{
    bool first = n->seen == 0;
    struct line l = {.path = path};
    if (first)
        n->seen = ++*numbers;
    l.number = n->seen;
    l.st.st_mode = n->mode;
    l.st.st_uid = n->uid;
    l.st.st_nlink = S_ISDIR(n->mode) ? 2 + count_dirs(n) : n->links;
    l.st.st_size = (off_t)n->size;
    for (unsigned b = 0; b < MODEL_MAX_SIZE / FS_BLOCK; b++)
        l.st.st_blocks += n->block[b] ? 8 : 0;
    l.sum = n->data ? sum_of(n->data, n->size) : sum_of(n->target, strlen(n->target));
    memcpy(l.xattr, n->xattr, sizeof l.xattr);
    put_line(&l, out);
    for (int i = 0; i < n->name_count; i++) {
        char *below = mem_printf("%s/%s", path, n->names[i].name);
        model_node_text(n->names[i].node, below, numbers, out);
        free(below);
    }
}

void model_text(struct model *m, struct buf *out)
{
    int numbers = 0;
    for (int i = 0; i < m->count; i++)
        m->all[i]->seen = 0;
    model_node_text(m->root, "", &numbers, out);
}

/* ---- the filesystem */

struct numbers {
    uint64_t *ino;
    int count;
};

static int number_of(struct numbers *n, uint64_t ino)
{
    for (int i = 0; i < n->count; i++)
        if (n->ino[i] == ino)
            return i + 1;
    n->ino = mem_realloc(n->ino, (size_t)(n->count + 1) * sizeof *n->ino);
    n->ino[n->count++] = ino;
    return n->count;
}

static uint32_t read_sum(uint64_t ino, const struct stat *st)
{
    static char p[MODEL_MAX_SIZE];
    if (S_ISLNK(st->st_mode)) {
        int n = fs_readlink(fs, ino, p, sizeof p);
        ck_assert_int_eq(n, (int)st->st_size);
        return sum_of(p, (size_t)n);
    }
    if (!S_ISREG(st->st_mode))
        return sum_of(p, 0);
    ssize_t n = fs_read(fs, ino, p, sizeof p, 0);
    ck_assert_msg(n == st->st_size, "read %zd of %lld: %s", n, (long long)st->st_size, fail_text());
    return sum_of(p, (size_t)n);
}

struct listing {
    char names[64][8];
    struct stat st[64];
    int count;
};

static bool take(void *arg, const struct fs_dirent *e)
{
    struct listing *l = arg;
    const char *name = e->name;
    if (!e->looked_up) /* "." and ".." */
        return true;
    ck_assert_int_lt(l->count, 64);
    ck_assert_uint_lt(strlen(name), sizeof l->names[0]);
    memcpy(l->names[l->count], name, strlen(name) + 1);
    l->st[l->count++] = *e->st;
    return true;
}

static void fs_node_text(const struct stat *st, const char *path, struct numbers *numbers,
                         struct buf *out);

static void fs_dir_text(uint64_t ino, const char *path, struct numbers *numbers, struct buf *out)
{
    struct listing *l = mem_zalloc(sizeof *l);
    struct fs_dir *d;
    ck_assert_int_eq(fs_opendir(fs, ino, &d), 0);
    ck_assert_int_eq(fs_readdir(fs, d, 0, FS_DIR_PLUS, take, l), 0);
    fs_closedir(fs, d);
    for (int i = 0; i < l->count; i++) {
        char *below = mem_printf("%s/%s", path, l->names[i]);
        fs_node_text(&l->st[i], below, numbers, out);
        fs_forget(fs, l->st[i].st_ino, 1);
        free(below);
    }
    free(l);
}

static void fs_node_text(const struct stat *st, const char *path, struct numbers *numbers,
                         struct buf *out)
{
    struct line l = {.path = path, .number = number_of(numbers, st->st_ino), .st = *st};
    l.sum = read_sum(st->st_ino, st);
    for (int i = 0; i < MODEL_XATTRS; i++) {
        int rc = fs_getxattr(fs, st->st_ino, xattr_names[i], &l.xattr[i], sizeof l.xattr[i]);
        ck_assert(rc == -ENODATA || rc == (int)sizeof l.xattr[i]);
    }
    put_line(&l, out);
    if (S_ISDIR(st->st_mode))
        fs_dir_text(st->st_ino, path, numbers, out);
}

void fs_text(struct buf *out)
{
    struct numbers numbers = {0};
    struct stat st = stat_of(FS_ROOT);
    fs_node_text(&st, "", &numbers, out);
    free(numbers.ino);
}
