/* See survey.h; and store_verify, which does it for every table. */
#include "survey.h"

#include <stdlib.h>

#include "../table/table_keys.h"

char *survey_path(struct store *s, uint64_t number)
{
    char *path = name_table(s->dir, number);
    if (!env_exists(s->env, path)) {
        char *old = mem_printf("%s/%06llu.sst", s->dir, (unsigned long long)number);
        if (env_exists(s->env, old)) {
            free(path);
            return old;
        }
        free(old);
    }
    return path;
}

int survey_open(struct store *s, uint64_t number, struct table **out)
{
    struct env_file *f;
    uint64_t size = 0;
    char *path = survey_path(s, number);
    int rc = env_open(s->env, path, ENV_READ, &f);
    if (rc == 0) {
        rc = env_size(s->env, f, &size);
        env_close(s->env, f);
    }
    if (rc == 0)
        rc = table_open(s->env, path, size, number, NULL, out);
    free(path);
    return rc;
}

/* Reads all of it. */
static int survey_keys(struct table *table, struct survey_range range, const char *path,
                       struct survey *out)
{
    struct iter *it = table_iter_salvage(table, &out->bad_blocks);
    struct table_keys keys = {.smallest = range.smallest, .largest = range.largest};
    for (iter_first(it); it->valid; iter_next(it)) {
        if (key_sequence(it->key) > out->highest_sequence)
            out->highest_sequence = key_sequence(it->key);
        table_keys_take(&keys, it->key);
    }
    int rc = it->status;
    if (rc == STORE_EFORMAT)
        out->status = rc;
    if (rc == 0 && keys.wrong)
        rc = fail(STORE_ECORRUPT, "%s: %s", path, keys.wrong);
    iter_destroy(it);
    table_keys_free(&keys);
    return rc;
}

void survey_table(struct store *s, uint64_t number, struct survey_range range, struct survey *out)
{
    struct table *table;
    bool bad_filter = false;
    char *path = survey_path(s, number);
    *out = (struct survey){0};
    int rc = out->status = survey_open(s, number, &table);
    if (rc == 0) {
        rc = survey_keys(table, range, path, out);
        bad_filter = table_filter_damaged(table);
        table_close(table);
    }
    if (rc)
        out->finding = mem_printf("%s", fail_text());
    else if (out->bad_blocks > 0)
        out->finding = mem_printf("%llu of its blocks cannot be read, the last: %s",
                                  (unsigned long long)out->bad_blocks, fail_text());
    else if (bad_filter)
        out->finding = mem_printf("%s: its filter is damaged; no data is lost", path);
    free(path);
}

struct survey_range survey_range_of(const struct table_file *f)
{
    return (struct survey_range){buf_slice(&f->smallest), buf_slice(&f->largest)};
}

int store_verify(struct store *s, void (*report)(void *arg, const char *line), void *arg)
{
    struct view *v = view_take(s);
    int findings = 0;
    for (int level = 0; level < VERSION_LEVELS; level++)
        for (int i = 0; i < v->version->level[level].count; i++) {
            const struct table_file *f = v->version->level[level].files[i];
            struct survey t;
            survey_table(s, f->number, survey_range_of(f), &t);
            if (t.finding) {
                report(arg, t.finding);
                findings++;
            }
            free(t.finding);
        }
    view_release(v);
    return findings;
}
