/* Paths of a mount, made absolute and checked before anything is touched. Each returns 0 or
 * negative with one clear line in fail_text(); *out is for free(). */
#ifndef FS_CMD_PATHS_H
#define FS_CMD_PATHS_H

/* The STORE may be missing, the folder above it not. */
int paths_store(const char *given, char **out);
/* The MOUNTPOINT must be a folder that answers. */
int paths_mountpoint(const char *given, char **out);
/* Neither may lie in the other. */
int paths_apart(const char *store, const char *mountpoint);
/* A mountpoint to unmount: it may be dead. */
int paths_mounted(const char *given, char **out);

#endif
