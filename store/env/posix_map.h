/* Small reads of a file that does not change, through a mapping of it: without a system call. */
#ifndef STORE_ENV_POSIX_MAP_H
#define STORE_ENV_POSIX_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct posix_map;

/* NULL where files are not read that way: on this filesystem, in this process, or this file. */
struct posix_map *posix_map_new(int fd);
void posix_map_free(struct posix_map *m);
/* True: the n bytes are at `to`. False: they must be read by a call. Any thread. */
bool posix_map_read(struct posix_map *m, void *to, size_t n, uint64_t off);
/* A call has read these n bytes: the next time they may be in memory. Any thread. */
void posix_map_was_read(struct posix_map *m, size_t n, uint64_t off);

#endif
