/* Taking a mount away, as root by the system call, otherwise through fusermount3. Used by the
 * command `umount` and by a session that is told to end. No state; any thread. */
#ifndef FS_FUSE_UNMOUNT_H
#define FS_FUSE_UNMOUNT_H

#include <stdbool.h>

/* `mountpoint` is absolute. -EBUSY: files there are in use. fail_text() has the words. Blocks until
 * the kernel has handed over what it still held dirty, so the mount must be served meanwhile. */
int unmount_path(const char *mountpoint);

/* The same of a mount that nobody serves any more, where files there may be in use: it is detached.
 */
int unmount_dead(const char *mountpoint);

/* Is there a fusermount3 in PATH? An ordinary user can neither mount nor unmount without it. */
bool unmount_have_fusermount(void);

#endif
