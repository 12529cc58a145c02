/* Running a compaction (compaction.h).
 *
 * What is dropped: what no reader can see any more (shadow.h). And a deletion, if every snapshot is
 * at or behind it and no deeper level can hold its key: nothing is left for it to hide. */
#include "compaction.h"

#include <assert.h>
#include <stdlib.h>

#include "../commit/room.h"
#include "background.h"
#include "damage.h"
#include "shadow.h"
#include "table_output.h"

struct run {
    struct store *s;
    struct compaction *c;
    struct shadow shadow;
    struct edit edit;
    struct table_output out;
    bool unreadable; /* an input was */
    bool open;
    bool plain;                 /* what is in the open output: struct table_file */
    int deeper[VERSION_LEVELS]; /* keys come in order: where the search in each deeper level stands
                                 */
    int grandparent;
    uint64_t overlap; /* bytes of grandparents that the open output has passed */
};

/* ---- what may go */

/* No level below the outputs can hold the key. */
static bool is_deepest(struct run *r, struct slice user)
{
    for (int level = r->c->output_level + 1; level < VERSION_LEVELS; level++) {
        const struct version_level *l = &r->c->version->level[level];
        int *at = &r->deeper[level];
        while (*at < l->count &&
               slice_compare(key_user(buf_slice(&l->files[*at]->largest)), user) < 0)
            (*at)++;
        if (*at < l->count &&
            slice_compare(key_user(buf_slice(&l->files[*at]->smallest)), user) <= 0)
            return false;
    }
    return true;
}

static bool may_drop(struct run *r, struct slice ikey)
{
    if (shadow_hides(&r->shadow, ikey))
        return true;
    return key_type(ikey) == KEY_DELETE && r->shadow.gap == 0 && is_deepest(r, key_user(ikey));
}

/* ---- outputs */

static int close_output(struct run *r)
{
    if (!r->open)
        return 0;
    int rc = table_output_finish(&r->out, &r->edit, r->c->output_level);
    if (rc == 0)
        r->edit.added[r->edit.added_count - 1].plain = r->plain;
    table_output_end(&r->out, rc == 0);
    r->open = false;
    r->overlap = 0;
    return rc;
}

static int open_output(struct run *r)
{
    struct store *s = r->s;
    if (!space_for_table(s))
        return fail(-ENOSPC, "%s: the disk's last space is kept for deletes", s->dir);
    pthread_mutex_lock(&s->mu);
    uint64_t number = set_new_number(&s->versions);
    pthread_mutex_unlock(&s->mu);
    int rc = table_output_start(&r->out, s, number);
    if (rc)
        table_output_end(&r->out, false);
    else
        r->open = r->plain = true;
    return rc;
}

/* Moves on in the grandparents; true where the open output has met enough of them. */
static bool overlaps_enough(struct run *r, struct slice ikey)
{
    const struct version_level *g = &r->c->grandparents;
    while (r->grandparent < g->count &&
           ikey_compare(ikey, buf_slice(&g->files[r->grandparent]->largest)) > 0) {
        if (r->open)
            r->overlap += g->files[r->grandparent]->size;
        r->grandparent++;
    }
    return r->overlap > COMPACTION_OVERLAP_TABLES * (uint64_t)r->s->options.table_bytes;
}

/* A table ends between two user keys only: all versions of a key stay together. */
static int add(struct run *r, struct slice ikey, struct slice value)
{
    int rc = 0;
    bool enough = overlaps_enough(r, ikey);
    if (r->open && r->shadow.new_user && (enough || table_output_ends_before(&r->out, ikey)))
        rc = close_output(r);
    if (rc == 0 && !r->open)
        rc = open_output(r);
    if (!r->shadow.new_user || key_type(ikey) == KEY_DELETE)
        r->plain = false;
    return rc ? rc : table_output_add(&r->out, ikey, value);
}

static int damaged(struct run *r, const char *how)
{
    r->unreadable = true;
    return fail(STORE_ECORRUPT, "%s", how);
}

static int outside(struct run *r)
{
    return damaged(r, "a table has keys outside the range that the MANIFEST gives");
}

/* The next entry of the inputs. What would be dropped has to stand in its place, too: it says what
 * may go. And what lies outside the range of all inputs might meet other tables of the level that
 * is written. */
static int take(struct run *r, struct slice ikey, struct slice value)
{
    if (!r->shadow.has_user && slice_compare(key_user(ikey), r->c->smallest) < 0)
        return outside(r);
    bool drop = may_drop(r, ikey);
    if (r->shadow.disorder)
        return damaged(r, "the keys of a table do not ascend");
    return drop ? 0 : add(r, ikey, value);
}

/* Keys ascend, so the last one tells of all. */
static int check_last(struct run *r)
{
    return r->shadow.has_user && slice_compare(buf_slice(&r->shadow.user), r->c->largest) > 0
               ? outside(r)
               : 0;
}

/* ---- the whole */

static struct iter *open_inputs(struct run *r)
{
    struct compaction *c = r->c;
    struct table_cache *tables = r->s->tables;
    struct iter **children = mem_alloc((size_t)(c->inputs[0].count + 2) * sizeof *children);
    size_t n = 0;
    if (c->level == 0)
        for (int i = c->inputs[0].count; i-- > 0;)
            children[n++] = table_cache_iter(tables, c->inputs[0].files[i]->number,
                                             c->inputs[0].files[i]->size, false);
    else
        children[n++] = version_level_iter(&c->inputs[0], tables, false);
    if (c->inputs[1].count > 0)
        children[n++] = version_level_iter(&c->inputs[1], tables, false);
    struct iter *merged = iter_merge(children, n);
    free(children);
    return merged;
}

static int merge_inputs(struct run *r)
{
    struct iter *in = open_inputs(r);
    int rc = 0;
    for (iter_first(in); rc == 0 && in->valid; iter_next(in)) {
        if (background_stopping(r->s))
            rc = fail(-ECANCELED, "the store closes");
        else
            rc = take(r, in->key, in->value);
    }
    if (rc == 0) {
        rc = in->status;
        r->unreadable = rc == STORE_ECORRUPT || rc == -EIO;
    }
    if (rc == 0)
        rc = check_last(r);
    iter_destroy(in);
    if (rc == 0)
        rc = close_output(r);
    if (rc && r->open)
        table_output_end(&r->out, false);
    return rc;
}

/* Outputs are on disk, with their entries, and readable, before the MANIFEST names them. */
static int settle_outputs(struct run *r)
{
    int rc = r->edit.added_count > 0 ? env_sync_dir(r->s->env, r->s->dir) : 0;
    for (int i = 0; rc == 0 && i < r->edit.added_count; i++)
        rc = table_cache_check(r->s->tables, r->edit.added[i].number, r->edit.added[i].size);
    return rc;
}

static void delete_outputs(struct run *r)
{
    for (int i = 0; i < r->edit.added_count; i++) {
        char *path = name_table(r->s->dir, r->edit.added[i].number);
        table_cache_evict(r->s->tables, r->edit.added[i].number);
        env_unlink(r->s->env, path);
        free(path);
    }
}

/* What goes out of the version, and where the level's next compaction begins. */
static void note_inputs(struct compaction *c, struct edit *e)
{
    for (int which = 0; which < 2; which++)
        for (int i = 0; i < c->inputs[which].count; i++)
            edit_delete_file(e, c->level + which, c->inputs[which].files[i]->number);
    if (c->output_level == c->level)
        return;
    const struct buf *last = &c->inputs[0].files[0]->largest;
    for (int i = 1; i < c->inputs[0].count; i++)
        if (ikey_compare(buf_slice(&c->inputs[0].files[i]->largest), buf_slice(last)) > 0)
            last = &c->inputs[0].files[i]->largest;
    buf_set(&e->compact_pointer[c->level], buf_slice(last));
}

/* A lone table that meets nothing below need not be read and written: it only changes its level. */
static bool is_trivial(const struct store *s, const struct compaction *c)
{
    return c->inputs[0].count == 1 && c->inputs[1].count == 0 && c->output_level > c->level &&
           c->grandparents.bytes <= COMPACTION_OVERLAP_TABLES * (uint64_t)s->options.table_bytes;
}

static int install(struct store *s, struct edit *e)
{
    int rc = set_apply(&s->versions, e);
    if (rc)
        return rc;
    struct view *old = view_publish(s);
    pthread_mutex_unlock(&s->mu);
    view_release(old);
    pthread_mutex_lock(&s->mu);
    return 0;
}

static int move_table(struct store *s, struct compaction *c)
{
    const struct table_file *f = c->inputs[0].files[0];
    struct edit e;
    edit_init(&e);
    note_inputs(c, &e);
    edit_add_file(&e, c->level + 1, f->number, f->size, buf_slice(&f->smallest),
                  buf_slice(&f->largest));
    int rc = install(s, &e);
    edit_free(&e);
    return rc;
}

/* mu held at entry and exit, let go of meanwhile. */
static void note_stats(struct store *s, const struct compaction *c, const struct edit *e,
                       uint64_t start)
{
    uint64_t ns = env_now_ns(s->env) - start;
    uint64_t written = 0;
    for (int i = 0; i < e->added_count; i++)
        written += e->added[i].size;
    s->stats.compactions++;
    if (c->level == 0)
        room_note_compaction(s, c->inputs[0].bytes, start);
    s->stats.compact_read_bytes += c->inputs[0].bytes + c->inputs[1].bytes;
    s->stats.compact_write_bytes += written;
    pthread_mutex_unlock(&s->mu);
    info_log(s,
             "compacted %d+%d tables of levels %d and %d into %d of level %d: %llu bytes to %llu "
             "in %llu us",
             c->inputs[0].count, c->inputs[1].count, c->level, c->level + 1, e->added_count,
             c->output_level, (unsigned long long)(c->inputs[0].bytes + c->inputs[1].bytes),
             (unsigned long long)written, (unsigned long long)ns / 1000);
    pthread_mutex_lock(&s->mu);
}

int compaction_run(struct store *s, struct compaction *c)
{
    struct run r = {.s = s, .c = c};
    uint64_t start = env_now_ns(s->env);
    if (is_trivial(s, c))
        return move_table(s, c);
    edit_init(&r.edit);
    shadow_start(&r.shadow, s);
    pthread_mutex_unlock(&s->mu);
    int rc = merge_inputs(&r);
    if (rc == 0)
        rc = settle_outputs(&r);
    if (rc)
        delete_outputs(&r);
    if (r.unreadable)
        damage_find(s, c);
    pthread_mutex_lock(&s->mu);
    if (rc == 0) {
        note_inputs(c, &r.edit);
        rc = install(s, &r.edit);
        if (rc && !s->versions.broken) { /* else the MANIFEST may name the outputs: they stay */
            pthread_mutex_unlock(&s->mu);
            delete_outputs(&r);
            pthread_mutex_lock(&s->mu);
        }
    }
    if (rc == 0)
        note_stats(s, c, &r.edit, start);
    edit_free(&r.edit);
    shadow_end(&r.shadow);
    if (r.unreadable)
        return STORE_ECORRUPT;
    return rc == STORE_ECORRUPT ? -EIO : rc; /* what was just written: the disk is at fault */
}
