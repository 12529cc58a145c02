/* The words of a mount command, parsed (by libfuse's fuse_opt) and checked, without a look at any
 * file. */
#ifndef FS_CMD_OPTIONS_H
#define FS_CMD_OPTIONS_H

#include "../core/fs.h"
#include "../fuse/session.h"

struct options {
    char *store, *mountpoint; /* as given */
    bool foreground;          /* -f, or debug */
    bool help;                /* -h, --help: nothing else counts */
    bool fake;                /* a mount helper's -f: everything but the mount itself */
    char *flags;              /* session.flags points here */
    struct fs_options fs;
    struct session_options session; /* source and mountpoint are left to the caller */
};

/* Parses argv[1...]. argv[0] named "mount.*" means the switches of a mount helper (mount(8),
 * "external helpers"): -f -n -s -v -t TYPE -N NS. `root`: is root the one who mounts? Returns 0, or
 * -EINVAL with one clear line in fail_text(). options_free() in any case. */
int options_parse(int argc, char **argv, bool root, struct options *out);
void options_free(struct options *o);

/* "64m" -> 67108864. Digits with k, m, g or nothing behind; -EINVAL, -ERANGE. */
int options_parse_size(const char *text, size_t *out);

#endif
