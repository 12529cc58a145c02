/* Where a flushed table goes (compaction.h). As LevelDB does it: keys that no table has yet, as
 * those that are written in order, need not go through level 0 and 1. It saves the compactions that
 * would carry them down, and the edits; and level 0 stays empty for those that need it.
 *
 * Not deeper than level 2: what is written over and over would leave its old versions in levels
 * that are seldom compacted. */
#include "background.h"
#include "compaction.h"

enum { DEEPEST = 2 };

static uint64_t bytes_met(struct store *s, int level, struct slice smallest, struct slice largest)
{
    return version_overlapping_bytes(s->versions.current, level, smallest, largest);
}

/* What a running compaction reads is in the version still; what it writes may lie across keys that
 * none of its tables has. */
static bool is_written_to(struct store *s, int level, struct slice smallest, struct slice largest)
{
    for (const struct compaction *r = background_running(s); r; r = r->next)
        if (r->output_level == level && slice_compare(r->smallest, largest) <= 0 &&
            slice_compare(smallest, r->largest) <= 0)
            return true;
    return false;
}

static bool may_go_into(struct store *s, int level, struct slice smallest, struct slice largest)
{
    uint64_t most = COMPACTION_OVERLAP_TABLES * (uint64_t)s->options.table_bytes;
    return bytes_met(s, level, smallest, largest) == 0 &&
           bytes_met(s, level + 1, smallest, largest) <= most &&
           !is_written_to(s, level, smallest, largest);
}

struct compaction *compaction_place(struct store *s, struct slice smallest, struct slice largest)
{
    int level = 0;
    if (bytes_met(s, 0, smallest, largest) > 0)
        return NULL;
    while (level < DEEPEST && may_go_into(s, level + 1, smallest, largest))
        level++;
    if (level == 0)
        return NULL;
    struct compaction *c = mem_zalloc(sizeof *c);
    c->level = level - 1;
    c->output_level = level;
    c->smallest = smallest;
    c->largest = largest;
    c->version = s->versions.current;
    version_ref(c->version);
    background_add_running(s, c);
    return c;
}
