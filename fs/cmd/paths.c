/* Paths of a mount: see paths.h. */
#include "paths.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "../../store/base/buf.h"
#include "../../store/base/error.h"

/* Resolves all but the last word of the path, which need not exist, or may be a dead mount. */
static int resolve_parent(const char *given, char **out)
{
    char *copy = mem_printf("%s", given), *slash, *parent;
    size_t len = strlen(copy);
    int r = 0;
    while (len > 1 && copy[len - 1] == '/')
        copy[--len] = '\0';
    slash = strrchr(copy, '/');
    const char *last = slash ? slash + 1 : copy;
    if (slash)
        *slash = '\0';
    parent = realpath(slash == NULL ? "." : slash == copy ? "/" : copy, NULL);
    if (parent == NULL)
        r = -errno;
    else if (last[0] == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        r = -EINVAL;
    else
        *out = mem_printf("%s/%s", strcmp(parent, "/") == 0 ? "" : parent, last);
    free(parent);
    free(copy);
    return r;
}

int paths_store(const char *given, char **out)
{
    struct stat st;
    if (given[0] == '\0')
        return fail(-EINVAL, "the STORE is an empty word: give a path");
    *out = realpath(given, NULL);
    if (*out) {
        if (stat(*out, &st) == 0 && !S_ISDIR(st.st_mode)) {
            free(*out);
            *out = NULL;
            return fail(-ENOTDIR, "the STORE %s is not a folder: name a folder, or a new name",
                        given);
        }
        return 0;
    }
    int r = -errno;
    if (r == -ENOENT && lstat(given, &st) == 0)
        return fail(r, "the STORE %s is a symlink that leads nowhere", given);
    if (r == -ENOENT)
        r = resolve_parent(given, out);
    if (r == -ENOENT)
        return fail(r, "the STORE %s cannot be made: the folder above it does not exist", given);
    return r ? fail(r, "the STORE %s: %s", given, fail_name(r)) : 0;
}

int paths_mountpoint(const char *given, char **out)
{
    struct stat st;
    struct statvfs space; /* of a dead mount the kernel may know the folder, but not this */
    if (stat(given, &st) < 0 || (statvfs(given, &space) < 0 && errno == ENOTCONN)) {
        int r = -errno;
        if (r == -ENOENT)
            return fail(r, "the MOUNTPOINT %s does not exist: make the folder first (mkdir)",
                        given);
        if (r == -ENOTCONN)
            return fail(r, "the MOUNTPOINT %s is a mount whose daemon has died: unmount it first",
                        given);
        return fail(r, "the MOUNTPOINT %s: %s", given, fail_name(r));
    }
    if (!S_ISDIR(st.st_mode))
        return fail(-ENOTDIR, "the MOUNTPOINT %s is not a folder", given);
    *out = realpath(given, NULL);
    return *out ? 0 : fail(-errno, "the MOUNTPOINT %s: %s", given, fail_name(-errno));
}

/* Is `inner` the same as `outer` or below it? Both absolute and resolved. */
static bool lies_in(const char *inner, const char *outer)
{
    size_t len = strlen(outer);
    if (strcmp(outer, "/") == 0)
        return true;
    return strncmp(inner, outer, len) == 0 && (inner[len] == '/' || inner[len] == '\0');
}

int paths_apart(const char *store, const char *mountpoint)
{
    if (lies_in(mountpoint, store))
        return fail(-EINVAL, "the MOUNTPOINT %s lies in the STORE %s: choose one outside",
                    mountpoint, store);
    if (lies_in(store, mountpoint))
        return fail(-EINVAL,
                    "the STORE %s lies in the MOUNTPOINT %s, which would hide it: choose "
                    "one outside",
                    store, mountpoint);
    return 0;
}

int paths_mounted(const char *given, char **out)
{
    *out = realpath(given, NULL);
    int r = *out ? 0 : -errno;
    if (r < 0 && r != -ENOENT)
        r = resolve_parent(given, out);
    return r ? fail(r, "%s: %s", given, fail_name(r)) : 0;
}
