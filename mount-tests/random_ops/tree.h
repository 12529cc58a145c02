/* The oracle: a filesystem as a tree in memory, as simple as can be. Single-threaded; exits when
 * memory ends. A node stays in memory for good (a run makes a few thousand). */
#pragma once
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { NAMES = 10, DEPTH = 5, XATTRS = 4, SLOTS = 4, ENTRIES_LIMIT = 200, SIZE_LIMIT = 512 << 10 };

extern const char *const tree_names[NAMES]; /* what an entry can be called: also newlines, 255
                                               bytes, bytes that are no UTF-8 */
extern const char *const tree_xattrs[XATTRS];

struct node {
    mode_t type; /* S_IFREG, S_IFDIR or S_IFLNK */
    mode_t mode; /* the lower 9 bits */
    uid_t uid;
    unsigned nlink; /* of what is no directory */
    size_t size;    /* of a file; a symlink's target is data too */
    unsigned char *data;
    size_t room; /* bytes behind data; those from size on are zero */
    struct {
        int set;
        size_t size;
        unsigned char *value;
    } xattr[XATTRS];
    struct node *child[NAMES]; /* of a directory */
    struct stat seen; /* what the mount said of it when last looked at; compared after a remount */
};

struct path {
    int depth;
    int name[DEPTH];
};

struct node *node_new(mode_t type, mode_t mode);

/* Makes the file so long, with zeroes where it grows. */
void node_resize(struct node *node, size_t size);

int node_is_empty(const struct node *dir);

/* Returns: 0 with the parent and the node (or NULL); -ENOENT or -ENOTDIR if the way does not lead
 * there. */
int tree_find(struct node *root, const struct path *path, struct node **parent, struct node **node);

/* "DIR/NAME/NAME" in out, which has PATH_MAX bytes. */
const char *path_text(char *out, const char *dir, const struct path *path);
