/* See version.h. */
#include "version.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "version_set.h"

void table_file_free(struct table_file *f)
{
    buf_free(&f->smallest);
    buf_free(&f->largest);
    free(f);
}

void version_ref(struct version *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
}

void version_unref(struct version *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) > 1)
        return;
    set_drop_version(v->set, v);
}

/* ---- finding */

static struct slice smallest_user(const struct table_file *f)
{
    return key_user(buf_slice(&f->smallest));
}

static struct slice largest_user(const struct table_file *f)
{
    return key_user(buf_slice(&f->largest));
}

int version_find_file(const struct version_level *l, struct slice ikey)
{
    int low = 0, high = l->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (ikey_compare(buf_slice(&l->files[middle]->largest), ikey) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int get_from_file(struct version *v, const struct table_file *f, struct slice key,
                         uint64_t sequence, struct buf *value)
{
    return table_cache_get(v->set->tables, f->number, f->size, key, sequence, value);
}

static bool may_hold(const struct table_file *f, struct slice key)
{
    return slice_compare(smallest_user(f), key) <= 0 && slice_compare(key, largest_user(f)) <= 0;
}

int version_get(struct version *v, struct slice key, uint64_t sequence, struct buf *value)
{
    int r = 0;
    for (int i = v->level[0].count; r == 0 && i-- > 0;)
        if (may_hold(v->level[0].files[i], key))
            r = get_from_file(v, v->level[0].files[i], key, sequence, value);
    if (r)
        return r;
    char small[128]; /* a get asks malloc for nothing */
    struct buf target = BUF_INIT;
    if (key.len + KEY_TAG_SIZE <= sizeof small)
        target = (struct buf){small, 0, sizeof small};
    buf_put_ikey(&target, key, sequence, KEY_TYPE_SEEK);
    for (int level = 1; r == 0 && level < VERSION_LEVELS; level++) {
        const struct version_level *l = &v->level[level];
        int i = l->count ? version_find_file(l, buf_slice(&target)) : 0;
        if (i < l->count && may_hold(l->files[i], key))
            r = get_from_file(v, l->files[i], key, sequence, value);
    }
    if (target.data != small)
        buf_free(&target);
    return r;
}

/* ---- iterators */

/* Over the files of a sorted level: the key is a file's largest one, the value its number and size.
 */
struct level_iter {
    struct iter base;
    const struct version_level *level;
    int at;
    char value[16];
};

static void show(struct level_iter *it)
{
    it->base.valid = it->at >= 0 && it->at < it->level->count;
    if (!it->base.valid)
        return;
    const struct table_file *f = it->level->files[it->at];
    put_fixed64(it->value, f->number);
    put_fixed64(it->value + 8, f->size);
    it->base.key = buf_slice(&f->largest);
    it->base.value = slice_of(it->value, sizeof it->value);
}

static void li_seek(struct iter *base, struct slice target)
{
    struct level_iter *it = (struct level_iter *)base;
    it->at = version_find_file(it->level, target);
    show(it);
}

static void li_first(struct iter *base)
{
    struct level_iter *it = (struct level_iter *)base;
    it->at = 0;
    show(it);
}

static void li_last(struct iter *base)
{
    struct level_iter *it = (struct level_iter *)base;
    it->at = it->level->count - 1;
    show(it);
}

static void li_next(struct iter *base)
{
    struct level_iter *it = (struct level_iter *)base;
    it->at++;
    show(it);
}

static void li_prev(struct iter *base)
{
    struct level_iter *it = (struct level_iter *)base;
    it->at--;
    show(it);
}

static void li_destroy(struct iter *base)
{
    free(base);
}

static struct iter *level_iter(const struct version_level *level)
{
    static const struct iter_ops ops = {li_seek, li_first, li_last, li_next, li_prev, li_destroy};
    struct level_iter *it = mem_zalloc(sizeof *it);
    it->base.ops = &ops;
    it->level = level;
    return &it->base;
}

static struct iter *open_kept(void *tables, struct slice value)
{
    return table_cache_iter(tables, get_fixed64(value.data), get_fixed64(value.data + 8), true);
}

static struct iter *open_passing(void *tables, struct slice value)
{
    return table_cache_iter(tables, get_fixed64(value.data), get_fixed64(value.data + 8), false);
}

struct iter *version_level_iter(const struct version_level *level, struct table_cache *tables,
                                bool keep)
{
    return iter_two_level(level_iter(level), keep ? open_kept : open_passing, NULL, tables);
}

int version_iter_count(const struct version *v)
{
    int n = v->level[0].count;
    for (int level = 1; level < VERSION_LEVELS; level++)
        n += v->level[level].count > 0;
    return n;
}

int version_iters(struct version *v, bool keep, struct iter **out)
{
    int n = 0;
    for (int i = v->level[0].count; i-- > 0;) {
        const struct table_file *f = v->level[0].files[i];
        out[n++] = table_cache_iter(v->set->tables, f->number, f->size, keep);
    }
    for (int level = 1; level < VERSION_LEVELS; level++)
        if (v->level[level].count > 0)
            out[n++] = version_level_iter(&v->level[level], v->set->tables, keep);
    return n;
}

/* ---- ranges */

static bool meets(const struct table_file *f, struct slice from, struct slice to)
{
    return (!from.data || slice_compare(largest_user(f), from) >= 0) &&
           (!to.data || slice_compare(smallest_user(f), to) <= 0);
}

/* Level 0 only: widens from..to to all of f. True if that changed it. */
static bool widen(const struct table_file *f, struct slice *from, struct slice *to)
{
    bool wider = false;
    if (from->data && slice_compare(smallest_user(f), *from) < 0) {
        *from = smallest_user(f);
        wider = true;
    }
    if (to->data && slice_compare(largest_user(f), *to) > 0) {
        *to = largest_user(f);
        wider = true;
    }
    return wider;
}

/* Not level 0: the first file that does not end before `from`. */
static int first_behind(const struct version_level *l, struct slice from)
{
    int low = 0, high = l->count;
    while (from.data && low < high) {
        int middle = low + (high - low) / 2;
        if (slice_compare(largest_user(l->files[middle]), from) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int version_overlapping(struct version *v, int level, struct slice from, struct slice to,
                        struct table_file ***files)
{
    const struct version_level *l = &v->level[level];
    bool again = true;
    while (level == 0 && again) {
        again = false;
        for (int i = 0; i < l->count; i++)
            if (meets(l->files[i], from, to) && widen(l->files[i], &from, &to))
                again = true;
    }
    int n = 0;
    for (int i = level > 0 ? first_behind(l, from) : 0; i < l->count; i++) {
        if (meets(l->files[i], from, to)) {
            *files = mem_realloc(*files, (size_t)(n + 1) * sizeof **files);
            (*files)[n++] = l->files[i];
        } else if (level > 0) {
            break;
        }
    }
    return n;
}

uint64_t version_overlapping_bytes(const struct version *v, int level, struct slice from,
                                   struct slice to)
{
    const struct version_level *l = &v->level[level];
    uint64_t bytes = 0;
    for (int i = level > 0 ? first_behind(l, from) : 0; i < l->count; i++) {
        if (meets(l->files[i], from, to))
            bytes += l->files[i]->size;
        else if (level > 0)
            break;
    }
    return bytes;
}

/* Bytes of a version before an internal key. */
static uint64_t bytes_before(struct version *v, struct slice ikey)
{
    uint64_t bytes = 0;
    for (int level = 0; level < VERSION_LEVELS; level++)
        for (int i = 0; i < v->level[level].count; i++) {
            const struct table_file *f = v->level[level].files[i];
            if (ikey_compare(buf_slice(&f->largest), ikey) <= 0)
                bytes += f->size;
            else if (ikey_compare(buf_slice(&f->smallest), ikey) <= 0)
                bytes += table_cache_offset(v->set->tables, f->number, f->size, ikey);
        }
    return bytes;
}

uint64_t version_approximate_size(struct version *v, struct slice from, struct slice to)
{
    struct buf a = BUF_INIT, b = BUF_INIT;
    buf_put_ikey(&a, from, KEY_MAX_SEQUENCE, KEY_TYPE_SEEK);
    buf_put_ikey(&b, to, KEY_MAX_SEQUENCE, KEY_TYPE_SEEK);
    uint64_t start = bytes_before(v, buf_slice(&a)), end = bytes_before(v, buf_slice(&b));
    buf_free(&a);
    buf_free(&b);
    return end > start ? end - start : 0;
}

void version_to_text(const struct version *v, struct buf *out)
{
    char line[160];
    for (int level = 0; level < VERSION_LEVELS; level++)
        for (int i = 0; i < v->level[level].count; i++) {
            const struct table_file *f = v->level[level].files[i];
            int n = snprintf(line, sizeof line,
                             "level %d table %llu: %llu bytes, numbers %llu to %llu\n", level,
                             (unsigned long long)f->number, (unsigned long long)f->size,
                             (unsigned long long)key_sequence(buf_slice(&f->smallest)),
                             (unsigned long long)key_sequence(buf_slice(&f->largest)));
            buf_append(out, line, (size_t)n);
        }
}
