/* See builder.h. */
#include "builder.h"

#include <stdlib.h>

#include "version_set.h"

void builder_init(struct builder *b, const struct version *base)
{
    *b = (struct builder){0};
    for (int i = 0; base && i < VERSION_LEVELS; i++) {
        struct builder_level *l = &b->level[i];
        l->count = l->room = l->sorted = base->level[i].count;
        if (l->count == 0)
            continue;
        l->files = mem_alloc((size_t)l->count * sizeof *l->files);
        memcpy(l->files, base->level[i].files, (size_t)l->count * sizeof *l->files);
    }
}

void builder_free(struct builder *b)
{
    for (int i = 0; i < VERSION_LEVELS; i++) {
        struct builder_level *l = &b->level[i];
        for (int j = 0; j < l->count; j++)
            if (l->files[j] && l->files[j]->refs == 0)
                table_file_free(l->files[j]);
        free(l->files);
    }
    free(b->slots);
    *b = (struct builder){0};
}

/* ---- finding a table by its number */

/* Its slot, or the free one where it would stand. */
static struct builder_slot *find_slot(const struct builder *b, int level, uint64_t number)
{
    uint64_t hash = (number * VERSION_LEVELS + (uint64_t)level) * 0x9e3779b97f4a7c15ull;
    for (size_t i = (size_t)(hash >> 32);; i++) {
        struct builder_slot *s = &b->slots[i & (b->slot_count - 1)];
        if (s->at == 0 || (s->number == number && s->level == level))
            return s;
    }
}

static void note_place(struct builder *b, int level, int at)
{
    uint64_t number = b->level[level].files[at]->number;
    struct builder_slot *s = find_slot(b, level, number);
    b->slots_used += s->at == 0;
    *s = (struct builder_slot){.number = number, .level = level, .at = at + 1};
}

/* Room for one more, less than half of it used. */
static void make_slots(struct builder *b)
{
    size_t files = 1;
    if (b->slots && b->slots_used * 2 < b->slot_count)
        return;
    for (int i = 0; i < VERSION_LEVELS; i++)
        files += (size_t)b->level[i].count;
    b->slot_count = 64;
    while (b->slot_count < files * 4)
        b->slot_count *= 2;
    free(b->slots);
    b->slots = mem_zalloc(b->slot_count * sizeof *b->slots);
    b->slots_used = 0;
    for (int i = 0; i < VERSION_LEVELS; i++)
        for (int j = 0; j < b->level[i].count; j++)
            if (b->level[i].files[j])
                note_place(b, i, j);
}

/* Takes a file out of its level; NULL where it is not there. */
static struct table_file *take_out(struct builder *b, int level, uint64_t number)
{
    struct builder_slot *s = find_slot(b, level, number);
    if (s->at <= 0)
        return NULL;
    struct table_file **place = &b->level[level].files[s->at - 1], *f = *place;
    *place = NULL;
    s->at = -1;
    return f;
}

static void put_in(struct builder *b, int level, struct table_file *f)
{
    struct builder_level *l = &b->level[level];
    if (l->count == l->room) {
        l->room = l->room * 2 + 8;
        l->files = mem_realloc(l->files, (size_t)l->room * sizeof *l->files);
    }
    l->files[l->count++] = f;
    note_place(b, level, l->count - 1);
    make_slots(b);
}

/* ---- edits */

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
    make_slots(b);
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
        const struct edit_file *added = &e->added[i];
        if (find_slot(b, added->level, added->number)->at > 0) {
            rc = fail(STORE_ECORRUPT,
                      "a MANIFEST record adds table %llu to level %d, which has it already",
                      (unsigned long long)added->number, added->level);
            break;
        }
        struct table_file *f = moved(out, n, added->number);
        put_in(b, added->level, f ? f : new_file(added));
    }
    for (int i = 0; i < n; i++)
        if (out[i] && out[i]->refs == 0)
            table_file_free(out[i]);
    free(out);
    return rc;
}

/* ---- order */

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

/* Closes the holes: of n files from `from` on those that are there move to `to`. Returns how many.
 */
static int close_holes(struct table_file **from, int n, struct table_file **to)
{
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (from[i])
            to[kept++] = from[i];
    return kept;
}

/* What the base listed is in order; what was added is brought into order and merged in. */
static void sort_level(struct builder_level *l, int (*compare)(const void *, const void *))
{
    if (l->count == 0)
        return;
    struct table_file **all = mem_alloc((size_t)l->count * sizeof *all);
    int old = close_holes(l->files, l->sorted, l->files);
    int new = close_holes(l->files + l->sorted, l->count - l->sorted, l->files + old);
    struct table_file **a = l->files, **b = l->files + old;
    qsort(b, (size_t) new, sizeof *b, compare);
    for (int i = 0, j = 0; i < old || j < new;)
        if (j == new || (i < old && compare(&a[i], &b[j]) <= 0))
            all[i + j] = a[i], i++;
        else
            all[i + j] = b[j], j++;
    free(l->files);
    l->files = all;
    l->count = l->sorted = old + new;
}

static int check_order(const struct builder_level *l, int level)
{
    for (int i = 1; i < l->count; i++) {
        const struct table_file *x = l->files[i - 1], *y = l->files[i];
        if (ikey_compare(buf_slice(&x->largest), buf_slice(&y->smallest)) >= 0)
            return fail(STORE_ECORRUPT, "tables %llu and %llu of level %d overlap",
                        (unsigned long long)x->number, (unsigned long long)y->number, level);
    }
    return 0;
}

int builder_finish(struct builder *b, struct version_set *set, struct version **out)
{
    for (int i = 0; i < VERSION_LEVELS; i++) {
        sort_level(&b->level[i], i == 0 ? by_number : by_smallest);
        int rc = i > 0 ? check_order(&b->level[i], i) : 0;
        if (rc)
            return rc;
    }
    struct version *v = mem_zalloc(sizeof *v);
    atomic_init(&v->refs, 1);
    v->set = set;
    atomic_fetch_add_explicit(&set->live, 1, memory_order_relaxed);
    for (int i = 0; i < VERSION_LEVELS; i++) {
        struct builder_level *l = &b->level[i];
        v->level[i] = (struct version_level){.files = l->files, .count = l->count};
        *l = (struct builder_level){0};
        for (int j = 0; j < v->level[i].count; j++) {
            atomic_fetch_add_explicit(&v->level[i].files[j]->refs, 1, memory_order_relaxed);
            v->level[i].bytes += v->level[i].files[j]->size;
        }
    }
    *out = v;
    return 0;
}
