/* Which compaction comes next (compaction.h). Level 0 counts tables, because each is looked at by
 * every read; the others count bytes. The highest score goes first if nothing that runs is in its
 * way. */
#include <stdlib.h>

#include "background.h"
#include "compaction.h"
#include "damage.h"

/* Bytes that a level (from 1 on) may hold. */
static double limit_of(const struct store *s, int level)
{
    double limit = (double)s->options.level_base_bytes;
    for (int i = 1; i < level; i++)
        limit *= 10;
    return limit;
}

/* Bytes of a level that compactions under way take out of it. */
static uint64_t leaving(struct store *s, int level)
{
    uint64_t bytes = 0;
    for (const struct compaction *r = background_running(s); r; r = r->next)
        if (r->level == level && r->output_level > level)
            bytes += r->inputs[0].bytes;
    return bytes;
}

/* What is on its way out counts no more, or two threads would empty a level further than it needs:
 * the fuller it is, the less of the next level each of its tables meets. */
static double score_of(struct store *s, int level)
{
    const struct version_level *l = &s->versions.current->level[level];
    if (level == 0)
        return (double)l->count / s->options.l0_compact;
    uint64_t leaves = leaving(s, level); /* also what has just left, until compaction_end */
    return l->bytes > leaves ? (double)(l->bytes - leaves) / limit_of(s, level) : 0;
}

/* What is too much in a level goes into the next one, and may be too much there. */
uint64_t compaction_debt(const struct store *s)
{
    const struct version_level *l = s->versions.current->level;
    double limit = (double)s->options.level_base_bytes, debt = 0;
    double too_much = l[0].count >= s->options.l0_compact ? (double)l[0].bytes : 0;
    for (int level = 1; level < VERSION_LEVELS; level++, limit *= 10) {
        debt += too_much;
        too_much += (double)l[level].bytes - limit;
        if (too_much < 0)
            too_much = 0;
    }
    return (uint64_t)debt;
}

bool compaction_needed(struct store *s)
{
    for (int level = 0; level < VERSION_LEVELS - 1; level++)
        if (score_of(s, level) >= 1)
            return true;
    return false;
}

/* ---- inputs */

static void count_bytes(struct version_level *l)
{
    l->bytes = 0;
    for (int i = 0; i < l->count; i++)
        l->bytes += l->files[i]->size;
}

/* Widens smallest..largest to these files. True if that changed it. */
static bool widen(struct compaction *c, const struct version_level *l)
{
    bool wider = false;
    for (int i = 0; i < l->count; i++) {
        struct slice low = key_user(buf_slice(&l->files[i]->smallest));
        struct slice high = key_user(buf_slice(&l->files[i]->largest));
        if (!c->smallest.data || slice_compare(low, c->smallest) < 0) {
            c->smallest = low;
            wider = true;
        }
        if (!c->largest.data || slice_compare(high, c->largest) > 0) {
            c->largest = high;
            wider = true;
        }
    }
    return wider;
}

static void find(struct compaction *c, int level, struct version_level *out)
{
    out->count = version_overlapping(c->version, level, c->smallest, c->largest, &out->files);
    count_bytes(out);
}

/* From the range in smallest..largest: the tables of the level (all that share a user key with one
 * of them: its older versions must not stay behind while newer ones go deeper), those of the next,
 * and the grandparents. */
static void find_inputs(struct compaction *c)
{
    do
        find(c, c->level, &c->inputs[0]);
    while (widen(c, &c->inputs[0]));
    if (c->output_level == c->level)
        return;
    do
        find(c, c->level + 1, &c->inputs[1]);
    while (widen(c, &c->inputs[1])); /* LevelDB's tables may share a key with their neighbours */
    if (c->level + 2 < VERSION_LEVELS)
        find(c, c->level + 2, &c->grandparents);
}

static bool any_busy(const struct version_level *l)
{
    for (int i = 0; i < l->count; i++)
        if (l->files[i]->busy)
            return true;
    return false;
}

static bool in_the_way(const struct compaction *running, const struct compaction *c)
{
    return running->level == c->level && slice_compare(running->smallest, c->largest) <= 0 &&
           slice_compare(c->smallest, running->largest) <= 0;
}

static bool can_run(struct store *s, const struct compaction *c)
{
    if (any_busy(&c->inputs[0]) || any_busy(&c->inputs[1]))
        return false;
    for (struct compaction *r = background_running(s); r; r = r->next)
        if (in_the_way(r, c))
            return false;
    return true;
}

static void set_busy(struct compaction *c, bool busy)
{
    for (int which = 0; which < 2; which++)
        for (int i = 0; i < c->inputs[which].count; i++)
            c->inputs[which].files[i]->busy = busy;
}

static void free_compaction(struct compaction *c)
{
    free(c->inputs[0].files);
    free(c->inputs[1].files);
    free(c->grandparents.files);
    free(c);
}

/* A compaction of what meets the range; NULL with *blocked as compaction_of_range says. */
static struct compaction *set_up(struct store *s, int level, bool in_place, bool damaged_too,
                                 struct slice from, struct slice to, bool *blocked)
{
    struct compaction *c = mem_zalloc(sizeof *c);
    c->level = level;
    c->output_level = in_place ? level : level + 1;
    c->version = s->versions.current;
    c->smallest = from;
    c->largest = to;
    *blocked = false;
    find(c, level, &c->inputs[0]);
    c->smallest = c->largest = slice_of(NULL, 0);
    if (widen(c, &c->inputs[0])) {
        find_inputs(c);
        bool damaged = !damaged_too && damage_among(c);
        *blocked = !damaged && !can_run(s, c);
        if (!damaged && !*blocked) {
            version_ref(c->version);
            set_busy(c, true);
            background_add_running(s, c);
            return c;
        }
    }
    free_compaction(c);
    return NULL;
}

struct compaction *compaction_of_range(struct store *s, int level, struct slice from,
                                       struct slice to, bool damaged_too, bool *wait)
{
    return set_up(s, level, false, damaged_too, from, to, wait);
}

struct compaction *compaction_in_place(struct store *s, int level, struct slice from,
                                       struct slice to, bool *wait)
{
    struct table_file **files = NULL;
    struct compaction *c = NULL;
    int n = version_overlapping(s->versions.current, level, from, to, &files), i = 0;
    *wait = false;
    while (i < n && files[i]->plain)
        i++;
    if (i < n)
        c = set_up(s, level, true, true, key_user(buf_slice(&files[i]->smallest)),
                   key_user(buf_slice(&files[i]->largest)), wait);
    free(files);
    return c;
}

void compaction_end(struct store *s, struct compaction *c)
{
    struct version *v = c->version;
    set_busy(c, false);
    background_remove_running(s, c);
    free_compaction(c);
    pthread_mutex_unlock(&s->mu);
    version_unref(v);
    pthread_mutex_lock(&s->mu);
}

/* ---- the choice */

enum { CHOICE = 8 };

/* Bytes of the next level that this table's compaction writes anew, for each of its own. */
static double price_of(struct store *s, int level, const struct table_file *f)
{
    uint64_t bytes =
        version_overlapping_bytes(s->versions.current, level + 1, key_user(buf_slice(&f->smallest)),
                                  key_user(buf_slice(&f->largest)));
    return (double)bytes / (double)(f->size + 1);
}

/* Of the next few tables from `start` on the one that costs least. Few, so that the turn still goes
 * through all keys: what is passed over comes up again in the next one. */
static int cheapest(struct store *s, int level, int start)
{
    const struct version_level *l = &s->versions.current->level[level];
    int best = start;
    double price = -1;
    for (int i = 0; i < l->count && i < CHOICE; i++) {
        int at = (start + i) % l->count;
        double p = price_of(s, level, l->files[at]);
        if (!l->files[at]->busy && !l->files[at]->unreadable && (price < 0 || p < price)) {
            price = p;
            best = at;
        }
    }
    return best;
}

/* The first table that ends behind the level's compact pointer, or the first one. */
static int next_in_turn(const struct store *s, int level)
{
    const struct version_level *l = &s->versions.current->level[level];
    const struct buf *pointer = &s->versions.compact_pointer[level];
    int at = pointer->len > 0 ? version_find_file(l, buf_slice(pointer)) : 0;
    if (pointer->len > 0 && at < l->count &&
        ikey_compare(buf_slice(&l->files[at]->largest), buf_slice(pointer)) == 0)
        at++;
    return at < l->count ? at : 0;
}

/* Round-robin: from the level's compact pointer on; behind level 0 the cheapest of those next. */
static struct compaction *pick_in_level(struct store *s, int level)
{
    const struct version_level *l = &s->versions.current->level[level];
    int start = level > 0 && l->count > 0 ? cheapest(s, level, next_in_turn(s, level)) : 0;
    for (int i = 0; i < l->count; i++) {
        const struct table_file *f = l->files[(start + i) % l->count];
        bool blocked;
        if (f->busy || f->unreadable)
            continue;
        struct compaction *c = set_up(s, level, false, false, key_user(buf_slice(&f->smallest)),
                                      key_user(buf_slice(&f->largest)), &blocked);
        if (c)
            return c;
    }
    return NULL;
}

/* Which of two levels comes first. Where a compaction has failed for want of space the deeper one:
 * it needs less at a time, often only a new place in the MANIFEST, and what it moves away level 0
 * does not have to write anew. */
static bool comes_before(struct store *s, int level, int other)
{
    return s->compaction_lacks_space ? level > other : score_of(s, level) > score_of(s, other);
}

struct compaction *compaction_pick(struct store *s)
{
    bool tried[VERSION_LEVELS] = {false};
    for (;;) {
        int best = -1;
        for (int level = 0; level < VERSION_LEVELS - 1; level++)
            if (!tried[level] && score_of(s, level) >= 1 &&
                (best < 0 || comes_before(s, level, best)))
                best = level;
        if (best < 0)
            return NULL;
        struct compaction *c = pick_in_level(s, best);
        if (c)
            return c;
        tried[best] = true;
    }
}
