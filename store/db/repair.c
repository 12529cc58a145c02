/* See repair.h.
 *
 * The MANIFEST says which tables are the store; where it cannot be read, all in the folder are. All
 * readable entries of them are merged by their sequence numbers into new tables of the deepest
 * level: which of two tables is the newer one need not be known. Deletions have done their work
 * then, and older versions are left out. What was in a block that cannot be read is lost: older
 * versions of its keys may be seen again, and without a MANIFEST so may keys whose deletion was
 * compacted away while a table that the store had done with still lay in the folder. A store that
 * was repaired like this is the best that is left, and no moment of its past; the info log says so.
 * Of a table whose index is lost the blocks are found by their checksums; they are in memory until
 * the new tables are written.
 *
 * Order: copies to lost/, new tables, new MANIFEST, CURRENT. A crash before CURRENT leaves the
 * damaged store as it was, with some files more. */
#include "repair.h"

#include <stdlib.h>

#include "../compact/shadow.h"
#include "../compact/table_output.h"
#include "../table/table_scan.h"
#include "lost.h"
#include "survey.h"

struct input {
    uint64_t number;
    struct buf smallest, largest; /* as the MANIFEST has them; empty where it cannot be read */
    struct survey survey;
    struct memtable *found; /* what it has, where its index cannot be read; or NULL */
    struct table *table;    /* while the new tables are written; or NULL */
};

struct repair {
    struct store *s;
    bool manifest_read;
    uint64_t log_number, sequence; /* as the MANIFEST has them; sequence: or the highest found in
                                      tables that are whole */
    struct input *inputs;
    int count;
    uint64_t highest; /* file number in the folder */
    struct edit edit;
};

/* ---- which tables */

static struct input *add_input(struct repair *r, uint64_t number)
{
    r->inputs = mem_realloc(r->inputs, (size_t)(r->count + 1) * sizeof *r->inputs);
    r->inputs[r->count] = (struct input){.number = number};
    return &r->inputs[r->count++];
}

static void add_listed(struct repair *r, const struct table_file *f)
{
    struct input *in = add_input(r, f->number);
    buf_set(&in->smallest, buf_slice(&f->smallest));
    buf_set(&in->largest, buf_slice(&f->largest));
}

static void look_at(void *arg, const char *name)
{
    struct repair *r = arg;
    uint64_t number = 0;
    enum name_kind kind = name_parse(name, &number);
    if (number > r->highest)
        r->highest = number;
    if (kind == NAME_TABLE && !r->manifest_read)
        add_input(r, number);
}

/* Is that damage to a file? Else nothing is known of it (an unknown format, too many open files),
 * and what a repair would make of that is worse than what there is. */
static bool is_damage(int rc)
{
    return rc == STORE_ECORRUPT || rc == -EIO || rc == -ENOENT;
}

/* What the MANIFEST says, where it can be read. */
static int read_set(struct repair *r)
{
    struct version_set set;
    set_init(&set, r->s->env, r->s->dir, r->s->tables, &r->s->mu);
    int rc = set_open(&set);
    r->manifest_read = set.manifest_read;
    if (rc && rc != STORE_EFORMAT)
        info_log(r->s, "repair: %s", fail_text());
    if (set.manifest_read) {
        for (int level = 0; level < VERSION_LEVELS; level++)
            for (int i = 0; i < set.current->level[level].count; i++)
                add_listed(r, set.current->level[level].files[i]);
        r->log_number = set.log_number;
        r->sequence = set.manifest_sequence;
    }
    set_free(&set);
    return is_damage(rc) ? 0 : rc;
}

/* ---- what is left of them */

static void take_found(void *arg, struct slice ikey, struct slice value)
{
    struct input *in = arg;
    memtable_add(in->found, key_sequence(ikey), key_type(ikey), key_user(ikey), value);
    if (key_sequence(ikey) > in->survey.highest_sequence)
        in->survey.highest_sequence = key_sequence(ikey);
}

/* A table whose index, footer or end is lost: its blocks are found without. */
static void find_blocks(struct repair *r, struct input *in)
{
    struct buf bytes = BUF_INIT;
    char *path = survey_path(r->s, in->number);
    if (env_exists(r->s->env, path) && lost_read(r->s, path, &bytes) == 0) {
        in->found = memtable_new();
        uint64_t blocks = table_scan(buf_slice(&bytes), take_found, in);
        info_log(r->s, "repair: %s: %llu blocks with %llu entries were found without its index",
                 path, (unsigned long long)blocks, (unsigned long long)memtable_count(in->found));
    }
    buf_free(&bytes);
    free(path);
}

/* Else it may be what a power cut left of a flush, which says nothing of what is in tables: that is
 * still in the logs, and the replay shall not take it for done (recover.c). */
static bool is_whole(const struct survey *survey)
{
    return survey->status == 0 && survey->bad_blocks == 0;
}

static int examine(struct repair *r, struct input *in)
{
    struct survey_range range = {buf_slice(&in->smallest), buf_slice(&in->largest)};
    survey_table(r->s, in->number, range, &in->survey);
    if (in->survey.status && is_damage(in->survey.status))
        find_blocks(r, in);
    if (in->survey.highest_sequence > r->sequence && (r->manifest_read || is_whole(&in->survey)))
        r->sequence = in->survey.highest_sequence;
    if (in->survey.finding) {
        r->s->stats.damaged_tables++;
        info_log(r->s, "repair: %s", in->survey.finding);
    }
    return in->survey.status == 0 || is_damage(in->survey.status) ? 0 : in->survey.status;
}

static int examine_all(struct repair *r, bool *damaged)
{
    int rc = 0;
    *damaged = !r->manifest_read;
    for (int i = 0; rc == 0 && i < r->count; i++) {
        rc = examine(r, &r->inputs[i]);
        *damaged |= r->inputs[i].survey.finding != NULL;
    }
    return rc;
}

/* ---- copies */

struct keeping {
    struct store *s;
    int rc;
};

/* The MANIFEST that cannot be read; and the logs, which it would have told what to take from. */
static void keep_manifest(void *arg, const char *name)
{
    struct keeping *k = arg;
    uint64_t number;
    enum name_kind kind = name_parse(name, &number);
    if (k->rc == 0 && (kind == NAME_MANIFEST || kind == NAME_CURRENT || kind == NAME_LOG))
        k->rc = lost_keep(k->s, name);
}

static int keep_damaged(struct repair *r)
{
    struct keeping k = {r->s, lost_open(r->s)};
    for (int i = 0; k.rc == 0 && i < r->count; i++) {
        char *path = survey_path(r->s, r->inputs[i].number);
        if (r->inputs[i].survey.finding && env_exists(r->s->env, path))
            k.rc = lost_keep(r->s, strrchr(path, '/') + 1);
        free(path);
    }
    int rc = r->manifest_read ? 0 : env_list(r->s->env, r->s->dir, keep_manifest, &k);
    if (k.rc == 0)
        k.rc = rc;
    return k.rc ? k.rc : lost_close(r->s);
}

/* ---- new tables */

static int open_inputs(struct repair *r)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < r->count; i++)
        if (r->inputs[i].survey.status == 0)
            rc = survey_open(r->s, r->inputs[i].number, &r->inputs[i].table);
    return rc;
}

static void close_inputs(struct repair *r)
{
    for (int i = 0; i < r->count; i++) {
        table_close(r->inputs[i].table);
        r->inputs[i].table = NULL;
    }
}

static struct iter *merge_inputs(struct repair *r)
{
    struct iter **children = mem_alloc((size_t)(r->count + 1) * sizeof *children);
    size_t n = 0;
    for (int i = 0; i < r->count; i++) {
        struct input *in = &r->inputs[i];
        if (in->table)
            children[n++] = table_iter_salvage(in->table, &in->survey.bad_blocks);
        else if (in->found)
            children[n++] = memtable_iter(in->found);
    }
    struct iter *merged = iter_merge(children, n);
    free(children);
    return merged;
}

static int close_output(struct repair *r, struct table_output *o)
{
    int rc = o->builder ? table_output_finish(o, &r->edit, VERSION_LEVELS - 1) : 0;
    if (o->builder)
        table_output_end(o, rc == 0);
    return rc;
}

/* An entry of a table that is not whole may have a number above the highest: it gets that one. New
 * changes, and those of the logs, must not be hidden by it. */
static int add_entry(struct repair *r, struct table_output *o, struct slice ikey,
                     struct slice value)
{
    struct buf lower = BUF_INIT;
    if (key_sequence(ikey) > r->sequence) {
        buf_put_ikey(&lower, key_user(ikey), r->sequence, key_type(ikey));
        ikey = buf_slice(&lower);
    }
    int rc = table_output_add(o, ikey, value);
    buf_free(&lower);
    return rc;
}

static int write_tables(struct repair *r)
{
    struct iter *it = merge_inputs(r);
    struct shadow shadow;
    struct table_output o = {0};
    int rc = 0;
    shadow_start(&shadow, r->s); /* there are no snapshots: the newest version of each key */
    for (iter_first(it); rc == 0 && it->valid; iter_next(it)) {
        if (shadow.has_user && slice_compare(key_user(it->key), buf_slice(&shadow.user)) < 0)
            continue; /* damage that no checksum tells: a table's keys ascend */
        if (shadow_hides(&shadow, it->key) || key_type(it->key) == KEY_DELETE)
            continue;
        if (o.builder && table_output_ends_before(&o, it->key))
            rc = close_output(r, &o);
        if (rc == 0 && !o.builder)
            rc = table_output_start(&o, r->s, ++r->highest);
        if (rc == 0)
            rc = add_entry(r, &o, it->key, it->value);
    }
    if (rc == 0)
        rc = it->status;
    if (rc == 0)
        rc = close_output(r, &o);
    else
        table_output_end(&o, false);
    iter_destroy(it);
    shadow_end(&shadow);
    return rc ? rc : env_sync_dir(r->s->env, r->s->dir);
}

static int rebuild(struct repair *r)
{
    int rc = keep_damaged(r);
    if (rc == 0)
        rc = open_inputs(r);
    if (rc == 0)
        rc = write_tables(r);
    close_inputs(r);
    if (rc)
        return rc;
    uint64_t number = ++r->highest;
    r->edit.log_number = r->log_number;
    r->edit.last_sequence = r->sequence;
    r->edit.next_file = r->highest + 1;
    rc = set_create_as(r->s->env, r->s->dir, number, &r->edit);
    if (rc == 0)
        info_log(r->s,
                 "repair: %d tables became %d; what could not be read is in %s/lost; the store may "
                 "show older values for keys that were in it",
                 r->count, r->edit.added_count, r->s->dir);
    return rc;
}

int repair_tables(struct store *s)
{
    struct repair r = {.s = s};
    edit_init(&r.edit);
    int rc = read_set(&r);
    if (rc == 0)
        rc = env_list(s->env, s->dir, look_at, &r);
    bool damaged = false;
    if (rc == 0)
        rc = examine_all(&r, &damaged);
    if (rc == 0 && damaged)
        rc = rebuild(&r);
    for (int i = 0; i < r.count; i++) {
        buf_free(&r.inputs[i].smallest);
        buf_free(&r.inputs[i].largest);
        free(r.inputs[i].survey.finding);
        memtable_unref(r.inputs[i].found);
    }
    free(r.inputs);
    edit_free(&r.edit);
    return rc;
}
