/* A full disk on which something was just deleted. Whoever removes a file and then writes another
 * expects that to work, but here space comes back in steps: the kernel forgets the inode, the
 * collector deletes its records (garbage.c), the space of its chunks is given back (freed.c), the
 * store compacts what its blocks were in. So nobody is told of a full disk while one of these has
 * something to do. */
#include <unistd.h>

#include "fs_internal.h"

#define FORGET_US 2000 /* so long after a removal the kernel may take to forget an inode */

bool space_comes_back(struct fs *fs)
{
    if (!fs->garbage || !fs->freed)
        return false;
    store_about_to_wait(); /* others are served meanwhile, the kernel's FORGET among them */
    usleep(FORGET_US);
    garbage_settle(fs);
    bool freed = freed_give_back(fs);
    return store_await_space(fs->store) || freed;
}
