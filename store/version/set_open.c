/* Reading CURRENT and the MANIFEST back (set_open). */
#include <stdlib.h>

#include "../base/crc.h"
#include "../log/log_format.h"
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
        if (e->last_sequence > KEY_MAX_SEQUENCE)
            return fail(STORE_ECORRUPT, "sequence number %llu is out of range",
                        (unsigned long long)e->last_sequence);
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

static bool starts_record(const char *p, size_t left)
{
    if (left < LOG_HEADER_SIZE || (p[6] != LOG_FULL && p[6] != LOG_FIRST))
        return false;
    size_t len = get_fixed16(p + 4);
    return len <= left - LOG_HEADER_SIZE && crc_unmask(get_fixed32(p)) == crc32c(p + 6, len + 1);
}

/* Is there a whole start of a record behind `from`? */
static int find_record(struct log_reader *log, uint64_t from, bool *found)
{
    char *block = mem_alloc(LOG_BLOCK_SIZE);
    int rc = 0;
    *found = false;
    for (uint64_t start = from - from % LOG_BLOCK_SIZE; rc == 0 && !*found && start < log->size;
         start += LOG_BLOCK_SIZE) {
        ssize_t n = env_pread(log->env, log->file, block, LOG_BLOCK_SIZE, start);
        if (n < 0)
            rc = (int)n;
        for (ssize_t at = start <= from ? (ssize_t)(from - start) + 1 : 0; at < n && !*found; at++)
            *found = starts_record(block + at, (size_t)(n - at));
    }
    free(block);
    return rc;
}

/* A torn end is what a crash leaves of a record that was not acknowledged. But each record is
 * synced before the next is written: with a whole one behind it, it is damage, and what it said,
 * and tables that only it names, must not be given up in silence. */
static int check_end(struct log_reader *log, const char *path)
{
    bool found;
    if (log->end != LOG_END_TORN)
        return 0;
    int rc = find_record(log, log->record_end, &found);
    if (rc == 0 && found)
        rc = fail(STORE_ECORRUPT, "%s: damaged at offset %llu (%s), with whole records behind it",
                  path, (unsigned long long)log->record_end, log->reason);
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
    if (rc == 0)
        rc = got < 0 ? got : check_end(&log, path);
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

static int open_table(const struct version_set *s, uint64_t number, struct env_file **f)
{
    char *path = name_table(s->dir, number);
    int rc = env_open(s->env, path, ENV_READ, f);
    if (rc == -ENOENT) { /* a table of an old LevelDB has another ending */
        char *old = mem_printf("%s/%06llu.sst", s->dir, (unsigned long long)number);
        rc = env_open(s->env, old, ENV_READ, f);
        free(old);
    }
    if (rc == -ENOENT)
        rc = fail(STORE_ECORRUPT, "%s: missing, though the MANIFEST lists it", path);
    free(path);
    return rc;
}

static int check_table(const struct version_set *s, const struct table_file *t)
{
    struct env_file *f;
    uint64_t size = 0;
    int rc = open_table(s, t->number, &f);
    if (rc)
        return rc;
    rc = env_size(s->env, f, &size);
    env_close(s->env, f);
    if (rc == 0 && size != t->size)
        rc = fail(STORE_ECORRUPT, "%s/%06llu.ldb: %llu bytes long, though the MANIFEST says %llu",
                  s->dir, (unsigned long long)t->number, (unsigned long long)size,
                  (unsigned long long)t->size);
    return rc;
}

static int check_tables(const struct version_set *s, const struct version *v)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < VERSION_LEVELS; i++)
        for (int j = 0; rc == 0 && j < v->level[i].count; j++)
            rc = check_table(s, v->level[i].files[j]);
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
    s->manifest_read = true;
    rc = check_tables(s, v);
out:
    builder_free(&r.builder);
    free(path);
    return rc;
}
