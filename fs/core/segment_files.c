/* See segment_files.h. */
#include "segment_files.h"

#include <stdlib.h>

#include "../format/segment_format.h"

char *segments_path(const struct segments *s, uint64_t number)
{
    return mem_printf("%s/%06llu.seg", s->dir, (unsigned long long)number);
}

/* Where the number is, or belongs. mu held. */
static size_t place_of(const struct segments *s, uint64_t number)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (s->open[mid]->number < number)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct segment *segment_find(const struct segments *s, uint64_t number)
{
    size_t i = place_of(s, number);
    return i < s->count && s->open[i]->number == number ? s->open[i] : NULL;
}

struct segment *segment_take_out(struct segments *s, struct segment *g)
{
    size_t i = place_of(s, g->number);
    if (g->refs > 0 || g->dirty)
        return NULL;
    s->count--;
    memmove(s->open + i, s->open + i + 1, (s->count - i) * sizeof *s->open);
    return g;
}

/* The file that was not used for longest, if there are too many: the caller closes it. mu held. */
static struct segment *too_many(struct segments *s)
{
    size_t oldest = s->count;
    if (s->count <= SEGMENTS_MOST_OPEN)
        return NULL;
    for (size_t i = 0; i < s->count; i++)
        if (s->open[i]->refs == 0 && !s->open[i]->dirty &&
            (oldest == s->count || s->open[i]->used < s->open[oldest]->used))
            oldest = i;
    return oldest < s->count ? segment_take_out(s, s->open[oldest]) : NULL;
}

void segment_close(struct segments *s, struct segment *g)
{
    if (!g)
        return;
    env_close(s->env, g->file);
    free(g);
}

struct segment *segment_use(struct segments *s, struct segment *g)
{
    g->refs++;
    g->used = ++s->uses;
    return g;
}

void segment_unuse(struct segments *s, struct segment *g)
{
    pthread_mutex_lock(&s->mu);
    g->refs--;
    struct segment *out = too_many(s);
    pthread_mutex_unlock(&s->mu);
    segment_close(s, out);
}

struct segment *segment_add(struct segments *s, uint64_t number, struct env_file *file)
{
    struct segment *g = mem_zalloc(sizeof *g);
    size_t i = place_of(s, number);
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 8;
        s->open = mem_realloc(s->open, s->room * sizeof *s->open);
    }
    memmove(s->open + i + 1, s->open + i, (s->count - i) * sizeof *s->open);
    s->open[i] = g;
    s->count++;
    g->number = number;
    g->file = file;
    return g;
}

int segment_read(struct segments *s, uint64_t number, struct env_file *file, void *p, size_t n,
                 uint64_t off)
{
    ssize_t got = env_pread(s->env, file, p, n, off);
    if (got < 0)
        return (int)got;
    if ((size_t)got == n)
        return 0;
    char *path = segments_path(s, number);
    fail(STORE_ECORRUPT, "%s: it ends before offset %llu", path, (unsigned long long)(off + n));
    free(path);
    return STORE_ECORRUPT;
}

/* Opens what an earlier mount wrote. */
static int open_old(struct segments *s, uint64_t number, struct env_file **out)
{
    char *path = segments_path(s, number), header[SEGMENT_HEADER];
    int rc = env_open(s->env, path, s->options.read_only ? ENV_READ : ENV_WRITE, out);
    if (rc == -ENOENT)
        rc = fail(STORE_ECORRUPT, "%s: missing", path);
    if (rc == 0) {
        rc = segment_read(s, number, *out, header, sizeof header, 0);
        if (rc == 0)
            rc = segment_header_check(path, number, header);
        if (rc)
            env_close(s->env, *out);
    }
    free(path);
    return rc;
}

int segment_get(struct segments *s, uint64_t number, struct segment **out)
{
    struct env_file *file;
    pthread_mutex_lock(&s->mu);
    struct segment *g = segment_find(s, number);
    if (g)
        segment_use(s, g);
    pthread_mutex_unlock(&s->mu);
    *out = g;
    if (g)
        return 0;
    int rc = open_old(s, number, &file);
    if (rc)
        return rc;
    pthread_mutex_lock(&s->mu);
    g = segment_find(s, number);
    bool ours = !g;
    *out = segment_use(s, ours ? segment_add(s, number, file) : g);
    pthread_mutex_unlock(&s->mu);
    if (!ours)
        env_close(s->env, file);
    return 0;
}
