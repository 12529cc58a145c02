/* See edit.h and edit_format.h. */
#include "edit.h"

#include <stdio.h>
#include <stdlib.h>

void edit_init(struct edit *e)
{
    *e = (struct edit){0};
}

static void free_files(struct edit_file *files, int count)
{
    for (int i = 0; i < count; i++) {
        buf_free(&files[i].smallest);
        buf_free(&files[i].largest);
    }
    free(files);
}

void edit_free(struct edit *e)
{
    buf_free(&e->comparator);
    for (int i = 0; i < VERSION_LEVELS; i++)
        buf_free(&e->compact_pointer[i]);
    free_files(e->added, e->added_count);
    free_files(e->deleted, e->deleted_count);
    edit_init(e);
}

void edit_add_file(struct edit *e, int level, uint64_t number, uint64_t size, struct slice smallest,
                   struct slice largest)
{
    e->added = mem_realloc(e->added, (size_t)(e->added_count + 1) * sizeof *e->added);
    struct edit_file *f = &e->added[e->added_count++];
    *f = (struct edit_file){.level = level, .number = number, .size = size};
    buf_set(&f->smallest, smallest);
    buf_set(&f->largest, largest);
}

void edit_delete_file(struct edit *e, int level, uint64_t number)
{
    e->deleted = mem_realloc(e->deleted, (size_t)(e->deleted_count + 1) * sizeof *e->deleted);
    e->deleted[e->deleted_count++] = (struct edit_file){.level = level, .number = number};
}

static void put_number(struct buf *out, enum edit_tag tag, uint64_t n)
{
    buf_put_varint32(out, (uint32_t)tag);
    buf_put_varint64(out, n);
}

void edit_encode(const struct edit *e, struct buf *out)
{
    if (e->has_comparator) {
        buf_put_varint32(out, EDIT_COMPARATOR);
        buf_put_prefixed(out, buf_slice(&e->comparator));
    }
    if (e->has_log_number)
        put_number(out, EDIT_LOG_NUMBER, e->log_number);
    if (e->has_prev_log)
        put_number(out, EDIT_PREV_LOG, e->prev_log);
    if (e->has_next_file)
        put_number(out, EDIT_NEXT_FILE, e->next_file);
    if (e->has_last_sequence)
        put_number(out, EDIT_LAST_SEQUENCE, e->last_sequence);
    for (int i = 0; i < VERSION_LEVELS; i++)
        if (e->compact_pointer[i].len > 0) {
            put_number(out, EDIT_COMPACT_POINTER, (uint64_t)i);
            buf_put_prefixed(out, buf_slice(&e->compact_pointer[i]));
        }
    for (int i = 0; i < e->deleted_count; i++) {
        put_number(out, EDIT_DELETED_FILE, (uint64_t)e->deleted[i].level);
        buf_put_varint64(out, e->deleted[i].number);
    }
    for (int i = 0; i < e->added_count; i++) {
        const struct edit_file *f = &e->added[i];
        put_number(out, EDIT_NEW_FILE, (uint64_t)f->level);
        buf_put_varint64(out, f->number);
        buf_put_varint64(out, f->size);
        buf_put_prefixed(out, buf_slice(&f->smallest));
        buf_put_prefixed(out, buf_slice(&f->largest));
    }
}

/* ---- decoding */

static bool take_level(struct slice *in, int *level)
{
    uint32_t n;
    if (!take_varint32(in, &n) || n >= VERSION_LEVELS)
        return false;
    *level = (int)n;
    return true;
}

static bool take_ikey(struct slice *in, struct slice *key)
{
    return take_prefixed(in, key) && key->len >= KEY_TAG_SIZE;
}

static bool take_number(struct slice *in, bool *has, uint64_t *n)
{
    *has = true;
    return take_varint64(in, n);
}

static bool take_new_file(struct edit *e, struct slice *in)
{
    int level;
    uint64_t number, size;
    struct slice smallest, largest;
    if (!take_level(in, &level) || !take_varint64(in, &number) || !take_varint64(in, &size) ||
        !take_ikey(in, &smallest) || !take_ikey(in, &largest))
        return false;
    edit_add_file(e, level, number, size, smallest, largest);
    return true;
}

/* The field behind `tag`. False: it is damaged. *known: whether the tag means anything here. */
static bool take_field(struct edit *e, uint32_t tag, struct slice *in, bool *known)
{
    struct slice s;
    int level;
    uint64_t number;
    *known = true;
    switch (tag) {
    case EDIT_COMPARATOR:
        e->has_comparator = true;
        if (!take_prefixed(in, &s))
            return false;
        buf_set(&e->comparator, s);
        return true;
    case EDIT_LOG_NUMBER:
        return take_number(in, &e->has_log_number, &e->log_number);
    case EDIT_PREV_LOG:
        return take_number(in, &e->has_prev_log, &e->prev_log);
    case EDIT_NEXT_FILE:
        return take_number(in, &e->has_next_file, &e->next_file);
    case EDIT_LAST_SEQUENCE:
        return take_number(in, &e->has_last_sequence, &e->last_sequence);
    case EDIT_COMPACT_POINTER:
        if (!take_level(in, &level) || !take_ikey(in, &s))
            return false;
        buf_set(&e->compact_pointer[level], s);
        return true;
    case EDIT_DELETED_FILE:
        if (!take_level(in, &level) || !take_varint64(in, &number))
            return false;
        edit_delete_file(e, level, number);
        return true;
    case EDIT_NEW_FILE:
        return take_new_file(e, in);
    default:
        *known = false;
        return false;
    }
}

int edit_decode(struct edit *e, struct slice in)
{
    while (in.len > 0) {
        uint32_t tag;
        bool known = true;
        if (!take_varint32(&in, &tag))
            return fail(STORE_ECORRUPT, "a MANIFEST record with a damaged tag");
        if (take_field(e, tag, &in, &known))
            continue;
        if (!known)
            return fail(STORE_EFORMAT, "a MANIFEST record with field %u, which is not known here",
                        tag);
        return fail(STORE_ECORRUPT, "a MANIFEST record with a damaged field %u", tag);
    }
    return 0;
}

/* ---- text */

static void say(struct buf *out, const char *what, unsigned long long a)
{
    char line[128];
    int n = snprintf(line, sizeof line, "%s %llu\n", what, a);
    buf_append(out, line, (size_t)n);
}

void edit_to_text(const struct edit *e, struct buf *out)
{
    char line[160];
    if (e->has_log_number)
        say(out, "log number", e->log_number);
    if (e->has_next_file)
        say(out, "next file", e->next_file);
    if (e->has_last_sequence)
        say(out, "last sequence", e->last_sequence);
    for (int i = 0; i < e->deleted_count; i++) {
        int n = snprintf(line, sizeof line, "deleted level %d table %llu\n", e->deleted[i].level,
                         (unsigned long long)e->deleted[i].number);
        buf_append(out, line, (size_t)n);
    }
    for (int i = 0; i < e->added_count; i++) {
        int n = snprintf(line, sizeof line, "added level %d table %llu of %llu bytes\n",
                         e->added[i].level, (unsigned long long)e->added[i].number,
                         (unsigned long long)e->added[i].size);
        buf_append(out, line, (size_t)n);
    }
}
