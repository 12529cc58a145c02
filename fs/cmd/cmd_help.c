/* `skeinfs help`, `--version`. */
#include "cmd.h"

#include <stdio.h>

static const char text[] =
    "skeinfs: a filesystem on a log-structured store with group commit\n"
    "\n"
    "  skeinfs mount [-f] [-d] [-o OPTIONS] STORE MOUNTPOINT\n"
    "        Mounts the folder STORE; a missing or empty one becomes a new store. Returns when "
    "the\n"
    "        mount answers, and its messages go to the system log; -f (--foreground) stays, and\n"
    "        shows them; -d is the option debug.\n"
    "  skeinfs umount MOUNTPOINT (or unmount)\n"
    "        Unmounts, and returns when everything is on disk and the store is closed.\n"
    "  skeinfs check [--repair] STORE\n"
    "        Reads all of a store that is not mounted, and says what is damaged; --repair makes "
    "the\n"
    "        best of damaged tables and logs, and keeps what cannot be read in STORE/kv/lost.\n"
    "  skeinfs help | version (or --help, -h, --version, -V)\n"
    "  skeinfs STORE MOUNTPOINT [-o OPTIONS]\n"
    "        As 'mount', with a '/' in STORE; for fstab: STORE MOUNTPOINT fuse.skeinfs OPTIONS 0 "
    "0\n"
    "\n"
    "Options, separated by commas (SIZE: bytes, or with k, m or g):\n"
    "  cache=SIZE        memory for blocks of the store (64m)\n"
    "  memtable=SIZE     what is collected in memory before it becomes a table (16m)\n"
    "  commit=SECONDS    what nobody fsynced is on stable storage after so long (5; at least "
    "0.001)\n"
    "  commit_delay=USEC, commit_siblings=N\n"
    "                    an fsync waits so long for company if N others are writing (0, 5)\n"
    "  compression=snappy|none\n"
    "                    of the store's tables (snappy)\n"
    "  threads=N         requests served at a time (16)\n"
    "  io_uring=auto|on|off\n"
    "                    requests over io_uring: where the kernel offers it; the same, and a\n"
    "                    line in the log where it does not; never (auto)\n"
    "  writeback         the kernel collects writes: faster small writes, later on disk\n"
    "  noxattr           no extended attributes, ACLs and file capabilities: fewer requests\n"
    "  ro                read only: nothing is written into STORE, on a read-only disk too\n"
    "  allow_other       other users may use the mount (root's mounts: always, unless private)\n"
    "  allow_root        only root besides the mount's owner\n"
    "  private           only the mount's owner, without checks of access rights\n"
    "  debug             log every request; stays in the foreground\n"
    "  sync, dirsync     every change, or every change of names, is on disk when a call returns\n"
    "  relatime, strictatime, noatime, [no]diratime\n"
    "                    when reading changes access times (relatime)\n"
    "  rw, async, [no]suid, [no]dev, [no]exec, and the options that fstab knows\n"
    "\n"
    "Exit code: 0 done, 1 failed, 2 called in a wrong way. check: 0 whole, 1 damaged,\n"
    "2 it could not be known.\n";

int cmd_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return fputs(text, stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILED : EXIT_OK;
}

int cmd_version(void)
{
    return puts("skeinfs " SKEINFS_VERSION) < 0 || fflush(stdout) != 0 ? EXIT_FAILED : EXIT_OK;
}
