/* What becomes of unsynced changes when the power goes, or when a sync fails. Called under the
 * disk's lock.
 *
 * The rules (SIM_RANDOM), at least as unkind as those of ext4, XFS and the disk below them:
 * 1. A write is cut at borders of 512 bytes or 4 KiB; each piece is kept or lost on its own, later
 * ones without earlier ones, in one file without another.
 * 2. The file's size is one it had at some moment since its last sync, or a border on the way
 * there, whatever became of the bytes; what was lost below it reads as it was before, or as zeroes.
 * 3. Truncations take effect in order: the first so many of them.
 * 4. A folder's changes are kept up to some point in their order; or, the other way, any of them,
 * except that one which touches the same name as a lost one before it is lost too. A rename is one
 * change. */
#include "sim_disk.h"

static const unsigned keep_percents[] = {0, 10, 50, 90, 100};
#define KEEP_PERCENTS (sizeof keep_percents / sizeof *keep_percents)

static unsigned pick_percent(struct sim_random *r)
{
    return keep_percents[sim_below(r, KEEP_PERCENTS)];
}

/* ---------------------------------------------------------------- files */

static void keep_write(struct buf *b, const struct sim_write *w, size_t len)
{
    if (w->truncate)
        sim_bytes_resize(b, w->off);
    else
        sim_bytes_write(b, w->data, len, w->off);
}

static void keep_all_writes(struct sim_inode *i, struct sim_random *r)
{
    for (struct sim_write *w = i->writes; w; w = w->next)
        keep_write(&i->durable, w, w->unfinished ? sim_below(r, w->len + 1) : w->len);
}

/* Rule 1. */
static void keep_pieces(struct buf *b, const struct sim_write *w, unsigned percent,
                        struct sim_random *r)
{
    uint64_t border = sim_chance(r, 50) ? 512 : 4096, end = w->off + w->len;
    for (uint64_t at = w->off, next; at < end; at = next) {
        next = (at / border + 1) * border;
        if (next > end)
            next = end;
        if (sim_chance(r, percent))
            sim_bytes_write(b, w->data + (at - w->off), next - at, at);
    }
}

/* Rule 2: the size after the first so many changes, or a border between two of them. */
static uint64_t pick_size(const struct sim_inode *i, uint64_t count, struct sim_random *r)
{
    uint64_t size = i->durable.len, before = size;
    uint64_t upto = sim_chance(r, 30) ? count : sim_below(r, count + 1);
    const struct sim_write *w = i->writes;
    for (uint64_t n = 0; n < upto; n++, w = w->next) {
        before = size;
        if (w->truncate)
            size = w->off;
        else if (w->off + w->len > size)
            size = w->off + w->len;
    }
    if (size > before + 512 && sim_chance(r, 30))
        size = (before + 512 + sim_below(r, size - before - 512)) / 512 * 512;
    return size;
}

static void keep_some_writes(struct sim_inode *i, struct sim_random *r)
{
    uint64_t count = 0, n = 0;
    for (struct sim_write *w = i->writes; w; w = w->next)
        count++;
    if (count == 0)
        return;
    unsigned percent = pick_percent(r);
    uint64_t size = pick_size(i, count, r);
    uint64_t truncates = sim_below(r, count + 1);
    for (struct sim_write *w = i->writes; w; w = w->next, n++)
        if (!w->truncate)
            keep_pieces(&i->durable, w, percent, r);
        else if (n < truncates)
            sim_bytes_resize(&i->durable, w->off);
    sim_bytes_resize(&i->durable, size);
}

/* ---------------------------------------------------------------- folders */

static bool same_name(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static bool touches(const struct sim_link *a, const struct sim_link *b)
{
    return same_name(a->from, b->from) || same_name(a->from, b->to) || same_name(a->to, b->from) ||
           same_name(a->to, b->to);
}

static void keep_first_links(struct sim_inode *dir, uint64_t upto)
{
    struct sim_link *op = dir->links;
    for (uint64_t n = 0; n < upto && op; n++, op = op->next)
        sim_entries_apply(&dir->entries_durable, op);
}

static bool follows_lost(const struct sim_link *op, const struct sim_link **lost, size_t count)
{
    for (size_t n = 0; n < count; n++)
        if (touches(op, lost[n]))
            return true;
    return false;
}

/* Rule 4, the second way. */
static void keep_any_links(struct sim_inode *dir, uint64_t count, struct sim_random *r)
{
    const struct sim_link **lost = mem_alloc((count + 1) * sizeof *lost);
    size_t lost_count = 0;
    unsigned percent = pick_percent(r);
    for (struct sim_link *op = dir->links; op; op = op->next)
        if (follows_lost(op, lost, lost_count) || !sim_chance(r, percent))
            lost[lost_count++] = op;
        else
            sim_entries_apply(&dir->entries_durable, op);
    free(lost);
}

static void keep_some_links(struct sim_inode *dir, struct sim_random *r)
{
    uint64_t count = 0;
    for (struct sim_link *op = dir->links; op; op = op->next)
        count++;
    if (count == 0)
        return;
    if (sim_chance(r, 50))
        keep_first_links(dir, sim_below(r, count + 1));
    else
        keep_any_links(dir, count, r);
}

void sim_settle(struct sim_inode *i, enum sim_survival how, struct sim_random *r)
{
    if (how == SIM_KEEP_ALL) {
        keep_all_writes(i, r);
        keep_first_links(i, UINT64_MAX);
    } else if (how == SIM_RANDOM) {
        keep_some_writes(i, r);
        keep_some_links(i, r);
    }
    sim_drop_writes(i);
    sim_drop_links(i);
}
