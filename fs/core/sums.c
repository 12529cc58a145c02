/* See sums.h. */
#include "sums.h"

#include <assert.h>
#include <stdlib.h>

#include "../../store/base/buf.h"

static struct sums *place(struct sums *at, size_t room, uint64_t ino)
{
    size_t i = (size_t)(ino * 0x9e3779b97f4a7c15u >> 20) & (room - 1);
    while (at[i].ino != 0 && at[i].ino != ino)
        i = (i + 1) & (room - 1);
    return &at[i];
}

static void grow(struct sums_table *t)
{
    size_t room = t->room ? 2 * t->room : 1024;
    struct sums *at = mem_zalloc(room * sizeof *at);
    for (size_t i = 0; i < t->room; i++)
        if (t->at[i].ino)
            *place(at, room, t->at[i].ino) = t->at[i];
    free(t->at);
    t->at = at;
    t->room = room;
}

struct sums *sums_of(struct sums_table *t, uint64_t ino)
{
    assert(ino != 0);
    if (4 * t->used >= 3 * t->room)
        grow(t);
    struct sums *s = place(t->at, t->room, ino);
    if (s->ino == 0) {
        s->ino = ino;
        t->used++;
    }
    return s;
}

struct sums *sums_find(const struct sums_table *t, uint64_t ino)
{
    struct sums *s = t->room ? place(t->at, t->room, ino) : NULL;
    return s && s->ino ? s : NULL;
}

struct sums *sums_next(const struct sums_table *t, size_t *i)
{
    while (*i < t->room && t->at[*i].ino == 0)
        ++*i;
    return *i < t->room ? &t->at[(*i)++] : NULL;
}

void sums_free(struct sums_table *t)
{
    free(t->at);
    *t = (struct sums_table){0};
}
