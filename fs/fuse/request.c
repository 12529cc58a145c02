/* See request.h. */
#include "request.h"

#include <linux/fuse.h>
#include <string.h>

#define OPCODE_TMPFILE 51 /* since Linux 6.2; the headers may be older */

void request_process(struct session *s, struct fuse_buf *request)
{
    struct fuse_in_header head;
    if (request->size >= sizeof head) {
        memcpy(&head, request->mem, sizeof head);
        if (head.opcode == OPCODE_TMPFILE) {
            head.opcode = FUSE_CREATE;
            memcpy(request->mem, &head, sizeof head);
        }
    }
    fuse_session_process_buf(s->se, request);
}
