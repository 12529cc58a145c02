/* A request on its way to libfuse. */
#ifndef FS_FUSE_REQUEST_H
#define FS_FUSE_REQUEST_H

#include "internal.h"

/* The name in TMPFILE requests; no CREATE has it. */
#define REQUEST_NO_NAME "/"

/* Has libfuse call the operation that the request is for. TMPFILE, which libfuse 3.14 does not
 * know, becomes a CREATE with the name REQUEST_NO_NAME: both have the same arguments and the same
 * answer.
 */
void request_process(struct session *s, struct fuse_buf *request);

#endif
