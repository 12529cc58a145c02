/* The command `skeinfs`: its verbs, and how they speak. Each verb gets the arguments from its own
 * name on and returns the exit code. One thread, until a mount is served. */
#ifndef FS_CMD_CMD_H
#define FS_CMD_CMD_H

#define SKEINFS_VERSION "0.1.0"

enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2, /* called in a wrong way; nothing was done */
};

/* `mount [-f] [-o OPTIONS] STORE MOUNTPOINT`, and the same without the verb from mount(8). */
int cmd_mount(int argc, char **argv);
int cmd_umount(int argc, char **argv);
/* `check [--repair] STORE`: EXIT_OK whole, EXIT_FAILED damage, EXIT_USAGE also where it cannot be
 * known: in use, no store. */
int cmd_check(int argc, char **argv);
int cmd_help(int argc, char **argv);
int cmd_version(void);

/* One line on stderr, "skeinfs: ...". */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
