/* The mount table of this process (/proc/self/mountinfo), read afresh for each question. No state;
 * any thread. */
#ifndef FS_FUSE_MOUNTINFO_H
#define FS_FUSE_MOUNTINFO_H

#include <stdbool.h>
#include <stdio.h>

struct mount_id {
    unsigned major, minor;
};

struct mount_entry {
    struct mount_id id;
    char *mountpoint;
    char *fstype;
    char *source;
};

/* Parses one line; false where it is none. *out's strings belong to the caller
 * (mountinfo_entry_free), with the kernel's \ooo escapes undone. */
bool mountinfo_parse(const char *line, struct mount_entry *out);
void mountinfo_entry_free(struct mount_entry *e);

/* The mount that one sees at `mountpoint` (an absolute path without symlinks): the last line with
 * it. Returns 0, -ENOENT (nothing is mounted just there), or an error of reading. */
int mountinfo_find(const char *mountpoint, struct mount_entry *out);
/* The same on any file of that format. */
int mountinfo_find_in(FILE *f, const char *mountpoint, struct mount_entry *out);

#endif
