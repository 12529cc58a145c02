#include "tree.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEN(s) s s s s s s s s s s
const char *const tree_names[NAMES] = {
    "a",
    "b",
    "with space",
    "new\nline",
    "\xff\xfe not UTF-8",
    "-rf",
    ".hidden",
    "*?[$`\"'\\",
    "\xc3\xa4",
    TEN("25 bytes of a long name: ") "12345" /* 255 bytes */
};
const char *const tree_xattrs[XATTRS] = {"user.a", "user.b", "user.long name \xc3\xa4",
                                         "trusted.t"};

struct node *node_new(mode_t type, mode_t mode)
{
    struct node *node = calloc(1, sizeof *node);
    if (!node)
        exit(2);
    *node = (struct node){.type = type, .mode = mode, .uid = geteuid(), .nlink = 1};
    return node;
}

void node_resize(struct node *node, size_t size)
{
    if (size > node->room) {
        node->data = realloc(node->data, size);
        if (!node->data)
            exit(2);
        memset(node->data + node->room, 0, size - node->room);
        node->room = size;
    }
    if (size < node->size)
        memset(node->data + size, 0, node->size - size);
    node->size = size;
}

int node_is_empty(const struct node *dir)
{
    for (int i = 0; i < NAMES; i++)
        if (dir->child[i])
            return 0;
    return 1;
}

int tree_find(struct node *root, const struct path *path, struct node **parent, struct node **node)
{
    *parent = NULL;
    *node = root;
    for (int i = 0; i < path->depth; i++) {
        if (!*node)
            return -ENOENT;
        if ((*node)->type != S_IFDIR)
            return -ENOTDIR;
        *parent = *node;
        *node = (*node)->child[path->name[i]];
    }
    return 0;
}

const char *path_text(char *out, const char *dir, const struct path *path)
{
    size_t n = (size_t)snprintf(out, PATH_MAX, "%s", dir);
    for (int i = 0; i < path->depth; i++)
        n += (size_t)snprintf(out + n, PATH_MAX - n, "/%s", tree_names[path->name[i]]);
    return out;
}
