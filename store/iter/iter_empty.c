/* The iterator that has nothing, perhaps because of an error. */
#include "iter.h"

#include <stdlib.h>

#include "../base/buf.h"

static void stay_seek(struct iter *it, struct slice target)
{
    (void)it, (void)target;
}

static void stay(struct iter *it)
{
    (void)it;
}

static void destroy(struct iter *it)
{
    free(it);
}

struct iter *iter_empty(int status)
{
    static const struct iter_ops ops = {stay_seek, stay, stay, stay, stay, destroy};
    struct iter *it = mem_zalloc(sizeof *it);
    it->ops = &ops;
    it->status = status;
    return it;
}
