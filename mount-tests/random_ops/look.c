#include "look.h"
#include "op.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

struct looking {
    enum look how;
    FILE *out;
    int differences;
};

__attribute__((format(printf, 3, 4))) static void differs(struct looking *l, const char *path,
                                                          const char *what, ...)
{
    va_list args;
    if (l->differences++ > 10)
        return;
    fputs("    ", l->out);
    print_escaped(l->out, path);
    fputs(": ", l->out);
    va_start(args, what);
    vfprintf(l->out, what, args);
    va_end(args);
    fputc('\n', l->out);
}

static void look_at_data(struct looking *l, const char *path, const struct node *node)
{
    static unsigned char got[SIZE_LIMIT + 65536];
    int fd = open(path, O_RDONLY | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : pread(fd, got, sizeof got, 0);
    if (n != (ssize_t)node->size)
        differs(l, path, "%zd bytes read (%s), %zu expected", n, n < 0 ? strerror(errno) : "",
                node->size);
    else if (n > 0 && memcmp(got, node->data, (size_t)n) != 0) {
        size_t at = 0;
        while (got[at] == node->data[at])
            at++;
        differs(l, path, "byte %zu of %zu is %02x, expected %02x", at, node->size, got[at],
                node->data[at]);
    }
    if (fd >= 0)
        close(fd);
}

static void look_at_target(struct looking *l, const char *path, const struct node *node)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof target);
    if (n != (ssize_t)node->size || memcmp(target, node->data, (size_t)n) != 0)
        differs(l, path, "leads elsewhere");
}

static void look_at_xattrs(struct looking *l, const char *path, const struct node *node)
{
    char list[4096], value[4096];
    ssize_t names = llistxattr(path, list, sizeof list), expected = 0;
    for (int i = 0; i < XATTRS; i++) {
        ssize_t n = lgetxattr(path, tree_xattrs[i], value, sizeof value);
        if (!node->xattr[i].set && n < 0 && (errno == ENODATA || errno == EPERM))
            continue;
        expected += (ssize_t)strlen(tree_xattrs[i]) + 1;
        if (!node->xattr[i].set || n != (ssize_t)node->xattr[i].size ||
            memcmp(value, node->xattr[i].value, (size_t)n) != 0)
            differs(l, path, "attribute %s: %zd bytes, expected %zd", tree_xattrs[i], n,
                    node->xattr[i].set ? (ssize_t)node->xattr[i].size : -1);
    }
    if (names != expected)
        differs(l, path, "list of attributes: %zd bytes, expected %zd", names, expected);
}

static void look_at_stat(struct looking *l, const char *path, struct node *node)
{
    struct stat st;
    if (lstat(path, &st)) {
        differs(l, path, "%s", strerror(errno));
        return;
    }
    if ((st.st_mode & S_IFMT) != node->type || (st.st_mode & 07777) != node->mode)
        differs(l, path, "mode %o, expected %o", st.st_mode, node->type | node->mode);
    if (st.st_uid != node->uid)
        differs(l, path, "owner %u, expected %u", st.st_uid, node->uid);
    if (node->type != S_IFDIR && (st.st_nlink != node->nlink || (size_t)st.st_size != node->size))
        differs(l, path, "%lu links, %ld bytes; expected %u, %zu", (unsigned long)st.st_nlink,
                (long)st.st_size, node->nlink, node->size);
    const struct stat *was = &node->seen;
    if (l->how == LOOK_COMPARE &&
        (st.st_ino != was->st_ino || memcmp(&st.st_mtim, &was->st_mtim, sizeof st.st_mtim) ||
         memcmp(&st.st_ctim, &was->st_ctim, sizeof st.st_ctim) || st.st_nlink != was->st_nlink))
        differs(l, path,
                "inode %lu (was %lu), links %lu (%lu), mtime %ld.%09ld (%ld.%09ld), ctime "
                "%ld.%09ld (%ld.%09ld)",
                (unsigned long)st.st_ino, (unsigned long)was->st_ino, (unsigned long)st.st_nlink,
                (unsigned long)was->st_nlink, st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                was->st_mtim.tv_sec, was->st_mtim.tv_nsec, st.st_ctim.tv_sec, st.st_ctim.tv_nsec,
                was->st_ctim.tv_sec, was->st_ctim.tv_nsec);
    node->seen = st;
}

/* Every name listed is one of the oracle's, once. (That each of the oracle's is there, the walk
 * sees.) */
static void look_at_names(struct looking *l, const char *path, const struct node *node)
{
    int seen[NAMES] = {0}, i;
    DIR *d = opendir(path);
    if (!d) {
        differs(l, path, "%s", strerror(errno));
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        for (i = 0; i < NAMES && strcmp(e->d_name, tree_names[i]) != 0; i++)
            ;
        if (i == NAMES || !node->child[i] || seen[i]++)
            differs(l, path, "lists what is not there, or twice: %.20s", e->d_name);
        else if (e->d_type != DT_UNKNOWN && (mode_t)DTTOIF(e->d_type) != node->child[i]->type)
            differs(l, path, "lists %s as another type", e->d_name);
    }
    closedir(d);
    for (i = 0; i < NAMES; i++)
        if (node->child[i] && !seen[i])
            differs(l, path, "does not list %s", tree_names[i]);
}

static void walk(struct looking *l, const char *path, struct node *node, int is_root)
{
    char below[PATH_MAX];
    if (!is_root)
        look_at_stat(l, path, node);
    look_at_xattrs(l, path, node);
    if (node->type == S_IFREG)
        look_at_data(l, path, node);
    if (node->type == S_IFLNK)
        look_at_target(l, path, node);
    if (node->type != S_IFDIR)
        return;
    look_at_names(l, path, node);
    for (int i = 0; i < NAMES; i++) {
        snprintf(below, sizeof below, "%.3000s/%s", path, tree_names[i]);
        if (node->child[i])
            walk(l, below, node->child[i], 0);
    }
}

int look(const char *dir, struct node *root, enum look how, FILE *out)
{
    struct looking l = {.how = how, .out = out};
    walk(&l, dir, root, 1);
    return l.differences;
}
