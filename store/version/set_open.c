/* Reading CURRENT and the MANIFEST back (set_open). */
#include <stdlib.h>

#include "../log/log_reader.h"
#include "builder.h"
#include "file_name.h"
#include "version_set.h"

/* ---- CURRENT */

/* The path of the MANIFEST that CURRENT names. */
static int read_current(struct version_set *s, char **manifest)
{
    char *path = name_current(s->dir);
    struct buf text = BUF_INIT;
    int rc = env_read_file(s->env, path, &text);
    if (rc)
        goto out;
    buf_append(&text, "", 1);
    size_t len = strcspn(text.data, "\n");
    if (len + 2 != text.len || text.data[len] != '\n') {
        rc = fail(STORE_ECORRUPT, "%s: does not hold the name of a MANIFEST and a newline", path);
        goto out;
    }
    text.data[len] = 0;
    if (name_parse(text.data, &s->manifest_number) != NAME_MANIFEST) {
        rc = fail(STORE_ECORRUPT, "%s: names '%s', which is no MANIFEST", path, text.data);
        goto out;
    }
    *manifest = mem_printf("%s/%s", s->dir, text.data);
out:
    free(path);
    buf_free(&text);
    return rc;
}

/* ---- the MANIFEST */

struct reading {
    struct builder builder;
    bool has_comparator, has_log_number, has_next_file, has_last_sequence;
};

static int take_edit(struct version_set *s, struct reading *r, const struct edit *e)
{
    if (e->has_comparator) {
        if (!slice_equal(buf_slice(&e->comparator), slice_str(EDIT_COMPARATOR_NAME)))
            return fail(STORE_EFORMAT,
                        "the store is ordered by comparator '%.*s'; only '%s' is known here",
                        (int)e->comparator.len, e->comparator.data, EDIT_COMPARATOR_NAME);
        r->has_comparator = true;
    }
    if (e->has_log_number) {
        r->has_log_number = true;
        s->log_number = e->log_number;
    }
    if (e->has_prev_log && e->prev_log && e->prev_log < s->log_number)
        s->log_number = e->prev_log; /* an old LevelDB in the middle of a memtable switch */
    if (e->has_next_file) {
        r->has_next_file = true;
        set_number_used(s, e->next_file - 1);
    }
    if (e->has_last_sequence) {
        r->has_last_sequence = true;
        s->manifest_sequence = e->last_sequence;
    }
    for (int i = 0; i < VERSION_LEVELS; i++)
        if (e->compact_pointer[i].len > 0)
            buf_set(&s->compact_pointer[i], buf_slice(&e->compact_pointer[i]));
    return builder_apply(&r->builder, e);
}

static int at_record(const char *path, uint64_t offset, int rc)
{
    if (rc) {
        char *why = mem_printf("%s", fail_text());
        fail(rc, "%s: record at offset %llu: %s", path, (unsigned long long)offset, why);
        free(why);
    }
    return rc;
}

/* A record cut short at the end was never acknowledged: a crash leaves that. */
static int read_manifest(struct version_set *s, const char *path, struct reading *r)
{
    struct log_reader log;
    struct slice record;
    int rc = log_reader_open(&log, s->env, path), got = 0;
    if (rc == -ENOENT)
        return fail(STORE_ECORRUPT, "%s: missing, though CURRENT names it", path);
    if (rc)
        return rc;
    while (rc == 0 && (got = log_read(&log, &record)) == 1) {
        struct edit e;
        edit_init(&e);
        rc = edit_decode(&e, record);
        if (rc == 0)
            rc = take_edit(s, r, &e);
        rc = at_record(path, log.record_pos, rc);
        edit_free(&e);
    }
    if (rc == 0 && got < 0)
        rc = got;
    if (rc == 0 &&
        !(r->has_comparator && r->has_log_number && r->has_next_file && r->has_last_sequence))
        rc =
            fail(STORE_ECORRUPT, "%s: %s", path,
                 log.end == LOG_END_TORN ? log.reason
                                         : "no record says the log number, next file and sequence");
    log_reader_close(&log);
    return rc;
}

/* ---- are the tables there? */

struct present {
    uint64_t *numbers;
    int count;
};

static void note_table(void *arg, const char *name)
{
    struct present *p = arg;
    uint64_t number;
    if (name_parse(name, &number) != NAME_TABLE)
        return;
    p->numbers = mem_realloc(p->numbers, (size_t)(p->count + 1) * sizeof *p->numbers);
    p->numbers[p->count++] = number;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int check_tables(const struct version_set *s, const struct version *v)
{
    struct present p = {0};
    int rc = env_list(s->env, s->dir, note_table, &p);
    if (p.count > 0)
        qsort(p.numbers, (size_t)p.count, sizeof *p.numbers, by_value);
    for (int i = 0; rc == 0 && i < VERSION_LEVELS; i++)
        for (int j = 0; rc == 0 && j < v->level[i].count; j++) {
            const uint64_t *number = &v->level[i].files[j]->number;
            if (p.count == 0 ||
                !bsearch(number, p.numbers, (size_t)p.count, sizeof *number, by_value))
                rc = fail(STORE_ECORRUPT,
                          "%s/%06llu.ldb: missing, though the MANIFEST lists it in level %d",
                          s->dir, (unsigned long long)*number, i);
        }
    free(p.numbers);
    return rc;
}

int set_open(struct version_set *s)
{
    char *path = NULL;
    struct reading r = {0};
    struct version *v = NULL;
    builder_init(&r.builder, NULL);
    int rc = read_current(s, &path);
    if (rc)
        goto out;
    rc = read_manifest(s, path, &r);
    if (rc)
        goto out;
    rc = at_record(path, 0, builder_finish(&r.builder, s, &v));
    if (rc)
        goto out;
    set_number_used(s, s->manifest_number);
    set_install(s, v);
    rc = check_tables(s, v);
out:
    builder_free(&r.builder);
    free(path);
    return rc;
}
