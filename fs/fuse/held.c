/* See held.h. */
#include "held.h"

#include <linux/fuse.h>
#include <string.h>
#include <unistd.h>

#define SMALL (16u << 10) /* bytes of a request */

static bool may_take_long(const void *request, size_t size)
{
    struct fuse_in_header head;
    memcpy(&head, request, sizeof head);
    switch (head.opcode) {
    case FUSE_READDIR:
    case FUSE_READDIRPLUS:
    case FUSE_FALLOCATE:
    case FUSE_COPY_FILE_RANGE:
    case FUSE_LSEEK:
        return true;
    default:
        return size > SMALL;
    }
}

void held_begin(struct held *h, const void *request, size_t size)
{
    h->in_turn++;
    h->serving = true;
    if (h->count > 0 && may_take_long(request, size))
        held_send(h);
}

void held_end(struct held *h)
{
    h->serving = false;
    if (h->count > 0 && ++h->served == HELD_MOST)
        held_send(h);
}

bool held_take(struct held *h, const struct iovec *iov, int count)
{
    size_t length = 0;
    if (!h->serving || h->in_turn < HELD_BUSY || h->count == HELD_MOST)
        return false;
    for (int i = 0; i < count; i++)
        length += iov[i].iov_len;
    if (length > HELD_BYTES)
        return false;
    char *p = h->bytes[h->count];
    for (int i = 0; i < count; i++) {
        memcpy(p, iov[i].iov_base, iov[i].iov_len);
        p += iov[i].iov_len;
    }
    h->length[h->count++] = length;
    return true;
}

void held_send(struct held *h)
{
    for (unsigned i = 0; i < h->count; i++)
        if (write(h->fd, h->bytes[i], h->length[i]) < 0)
            continue; /* the next read of a request says why */
    h->count = h->served = 0;
}

void held_none(struct held *h)
{
    held_send(h);
    h->in_turn = 0;
}
