/* memcpy() into or out of memory that is a mapping of a file, where the disk may fail: the kernel
 * reports that by the signal SIGBUS, which would end the process.
 *
 * The handler is the whole process's. It is installed by the first guarded_copy_ready(), and hands
 * every SIGBUS that is not of a guarded copy to who was there before it (by default: the process
 * ends). */
#ifndef STORE_ENV_GUARDED_COPY_H
#define STORE_ENV_GUARDED_COPY_H

#include <stdbool.h>
#include <stddef.h>

/* True where copies can be guarded. Any thread, any number of times. */
bool guarded_copy_ready(void);

/* True: all n bytes are at `to`. False: memory on one of the two sides could not be had; any part
 * of the bytes may have been written. Requires: guarded_copy_ready() was true, the thread does not
 * block SIGBUS, and the two do not overlap. */
bool guarded_copy(void *to, const void *from, size_t n);

#endif
