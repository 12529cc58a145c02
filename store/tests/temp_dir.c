/* See temp_dir.h. */
#include "temp_dir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[512];

void temp_dir_make(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/skeinfs-test-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        abort();
    }
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st, (void)kind, (void)where;
    return remove(path);
}

static int remove_inner(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    return where->level ? remove_one(path, st, kind, where) : 0;
}

void temp_dir_clear(void)
{
    if (nftw(folder, remove_inner, 16, FTW_DEPTH | FTW_PHYS)) {
        perror(folder);
        abort();
    }
}

void temp_dir_remove(void)
{
    if (nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS))
        perror(folder);
}

const char *temp_dir(void)
{
    return folder;
}

const char *temp_path(const char *name)
{
    static char paths[8][sizeof folder + 256];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}
