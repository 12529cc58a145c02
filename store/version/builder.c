/* See builder.h. */
#include "builder.h"

#include <stdlib.h>

void builder_init(struct builder *b, const struct version *base)
{
    *b = (struct builder){0};
    for (int i = 0; base && i < VERSION_LEVELS; i++) {
        int n = base->level[i].count;
        if (n == 0)
            continue;
        b->files[i] = mem_alloc((size_t)n * sizeof *b->files[i]);
        memcpy(b->files[i], base->level[i].files, (size_t)n * sizeof *b->files[i]);
        b->count[i] = n;
    }
}

static void free_file(struct table_file *f)
{
    buf_free(&f->smallest);
    buf_free(&f->largest);
    free(f);
}

void builder_free(struct builder *b)
{
    for (int i = 0; i < VERSION_LEVELS; i++) {
        for (int j = 0; j < b->count[i]; j++)
            if (b->files[i][j]->refs == 0)
                free_file(b->files[i][j]);
        free(b->files[i]);
    }
    *b = (struct builder){0};
}

/* Takes a file out of its level; NULL where it is not there. */
static struct table_file *take_out(struct builder *b, int level, uint64_t number)
{
    for (int i = 0; i < b->count[level]; i++) {
        struct table_file *f = b->files[level][i];
        if (f->number != number)
            continue;
        b->files[level][i] = b->files[level][--b->count[level]];
        return f;
    }
    return NULL;
}

static void put_in(struct builder *b, int level, struct table_file *f)
{
    b->files[level] =
        mem_realloc(b->files[level], (size_t)(b->count[level] + 1) * sizeof *b->files[level]);
    b->files[level][b->count[level]++] = f;
}

static struct table_file *new_file(const struct edit_file *e)
{
    struct table_file *f = mem_zalloc(sizeof *f);
    f->number = e->number;
    f->size = e->size;
    f->plain = e->plain;
    buf_set(&f->smallest, buf_slice(&e->smallest));
    buf_set(&f->largest, buf_slice(&e->largest));
    return f;
}

/* Of the files an edit took out, the one with this number: it only moves to another level, and must
 * stay the same object, or its number would count as obsolete with the older versions. */
static struct table_file *moved(struct table_file **out, int count, uint64_t number)
{
    for (int i = 0; i < count; i++)
        if (out[i] && out[i]->number == number) {
            struct table_file *f = out[i];
            out[i] = NULL;
            return f;
        }
    return NULL;
}

int builder_apply(struct builder *b, const struct edit *e)
{
    struct table_file **out = mem_zalloc((size_t)e->deleted_count * sizeof *out);
    int n = 0, rc = 0;
    for (; n < e->deleted_count; n++) {
        out[n] = take_out(b, e->deleted[n].level, e->deleted[n].number);
        if (!out[n]) {
            rc = fail(STORE_ECORRUPT,
                      "a MANIFEST record deletes table %llu of level %d, which is not there",
                      (unsigned long long)e->deleted[n].number, e->deleted[n].level);
            break;
        }
    }
    for (int i = 0; rc == 0 && i < e->added_count; i++) {
        struct table_file *f = moved(out, n, e->added[i].number);
        put_in(b, e->added[i].level, f ? f : new_file(&e->added[i]));
    }
    for (int i = 0; i < n; i++)
        if (out[i] && out[i]->refs == 0)
            free_file(out[i]);
    free(out);
    return rc;
}

static int by_number(const void *a, const void *b)
{
    const struct table_file *x = *(struct table_file *const *)a,
                            *y = *(struct table_file *const *)b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int by_smallest(const void *a, const void *b)
{
    const struct table_file *x = *(struct table_file *const *)a,
                            *y = *(struct table_file *const *)b;
    return ikey_compare(buf_slice(&x->smallest), buf_slice(&y->smallest));
}

static int check_order(const struct builder *b, int level)
{
    for (int i = 1; i < b->count[level]; i++) {
        const struct table_file *x = b->files[level][i - 1], *y = b->files[level][i];
        if (ikey_compare(buf_slice(&x->largest), buf_slice(&y->smallest)) >= 0)
            return fail(STORE_ECORRUPT, "tables %llu and %llu of level %d overlap",
                        (unsigned long long)x->number, (unsigned long long)y->number, level);
    }
    return 0;
}

int builder_finish(struct builder *b, struct version_set *set, struct version **out)
{
    for (int i = 0; i < VERSION_LEVELS; i++) {
        if (b->count[i] > 1)
            qsort(b->files[i], (size_t)b->count[i], sizeof *b->files[i],
                  i == 0 ? by_number : by_smallest);
        int rc = i > 0 ? check_order(b, i) : 0;
        if (rc)
            return rc;
    }
    struct version *v = mem_zalloc(sizeof *v);
    atomic_init(&v->refs, 1);
    v->set = set;
    for (int i = 0; i < VERSION_LEVELS; i++) {
        v->level[i] = (struct version_level){.files = b->files[i], .count = b->count[i]};
        b->files[i] = NULL;
        b->count[i] = 0;
        for (int j = 0; j < v->level[i].count; j++) {
            v->level[i].files[j]->refs++;
            v->level[i].bytes += v->level[i].files[j]->size;
        }
    }
    *out = v;
    return 0;
}
