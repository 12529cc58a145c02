/* `skeinfs umount`: finds the mount and its store in the mount table, unmounts, and waits until the
 * daemon has closed the store and ended. */
#include "cmd.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "../../store/base/error.h"
#include "../fuse/mountinfo.h"
#include "../fuse/session.h"
#include "../fuse/unmount.h"
#include "paths.h"
#include "status.h"

#define POLL_NS (2 * 1000 * 1000)
#define HINT_AFTER                                                                                 \
    (10LL * 1000 * 1000 * 1000 / POLL_NS) /* polls until one says what one waits for */

/* The daemon syncs, writes the memtable to a table and ends: usually milliseconds, but as long as
 * the disk needs. */
static int wait_for_daemon(const struct status_seen *status)
{
    const struct timespec pause = {.tv_nsec = POLL_NS};
    for (long long polls = 0; !status_ended(status); polls++) {
        if (polls == HINT_AFTER)
            say("unmounted; waiting for the daemon (pid %ld) to close the store; while the mount "
                "is "
                "also elsewhere (a bind mount, another mount namespace) it does not: kill %ld ends "
                "it there",
                (long)status_pid(status), (long)status_pid(status));
        nanosleep(&pause, NULL);
    }
    return status_result(status);
}

static int find_mount(const char *given, struct mount_entry *e)
{
    char *path = NULL;
    int r = paths_mounted(given, &path);
    if (r < 0)
        return r;
    if (mountinfo_find(path, e) < 0) {
        r = fail(-EINVAL, "%s: nothing is mounted there", given);
    } else if (strcmp(e->fstype, SESSION_FSTYPE) != 0) {
        r = fail(-EINVAL, "%s is a mount of %s, not of skeinfs: use umount", given, e->fstype);
        mountinfo_entry_free(e);
    }
    free(path);
    return r;
}

static int unmount(const char *given)
{
    struct mount_entry e;
    int r = find_mount(given, &e);
    if (r < 0)
        return r;
    /* Opened before: the name may belong to the next mount of this store in a moment. */
    struct status_seen status;
    int seen = status_open(e.source, &status);
    r = unmount_path(e.mountpoint);
    if (r == -EBUSY)
        r = fail(r, "%s is in use: end what works there (fuser -vm %s lists it) and try again",
                 given, given);
    else if (r == 0 && seen < 0)
        r = fail(seen,
                 "%s is unmounted, but %s/session cannot be read (%s): whether the store is "
                 "closed is not known",
                 given, e.source, fail_name(seen));
    else if (r == 0)
        r = wait_for_daemon(&status);
    status_close(&status);
    mountinfo_entry_free(&e);
    return r;
}

int cmd_umount(int argc, char **argv)
{
    static const struct option none[] = {{"help", no_argument, NULL, 'h'}, {0}};
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "h", none, NULL)) != -1) {
        if (c == 'h')
            return cmd_help(argc, argv);
        say("umount has no option '%s': give the MOUNTPOINT alone", argv[optind - 1]);
        return EXIT_USAGE;
    }
    if (argc - optind != 1) {
        say(optind == argc ? "which mount? give its MOUNTPOINT" : "give one MOUNTPOINT at a time");
        return EXIT_USAGE;
    }
    if (argv[optind][0] == '\0') {
        say("the MOUNTPOINT is an empty word: give a path");
        return EXIT_USAGE;
    }
    if (unmount(argv[optind]) < 0) {
        say("%s", fail_text());
        return EXIT_FAILED;
    }
    return EXIT_OK;
}
