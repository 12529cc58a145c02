/* See window.h.
 *
 * A window's zeroes are bytes for the disk: each that no record ever covers was written in vain,
 * and each that a sync sends out before its record comes is written twice. So a window is no larger
 * than what is likely to be filled: a quarter of what was written since the last sync, and what the
 * log will still take before its memtable is full. */
#include "window.h"

#include "sync.h"

enum {
    LONGEST = 4096, /* bytes of a record that goes through a window; and at most PART of one */
    PART = 8,       /* a window has at least such a part of the option's bytes: a smaller one costs
                       more than the calls it saves */
    BEHIND = 2, /* they are used from such a part of the option's bytes behind the last sync on */
    SHARE = 4,  /* what is zeroed is at most such a part of what was written since then, and into
                   this log */
};

/* A window does not pay for what is long: its zeroes would be written for nothing. Nor for few
 * bytes behind a sync. The sync has made each page fault again; and where the kernel keeps a file
 * in larger pieces than pages, a store into one lets the next sync write all of it. */
static bool pays(const struct store *s, bool sync, size_t need)
{
    size_t most = s->options.log_window_bytes;
    return most > 0 && !sync && need <= LONGEST && need <= most / PART &&
           s->sync->unsynced_bytes >= most / BEHIND;
}

/* What goes into this log before the next one takes over, if things go on as they did. */
static uint64_t rest_of_log(const struct store *s)
{
    uint64_t room = memtable_room(s->mem, s->options.memtable_bytes);
    uint64_t used = memtable_used(s->mem);
    return used == 0 ? room : (uint64_t)((double)room * (double)s->log->writer.end / (double)used);
}

size_t window_for(const struct store *s, bool sync, size_t need)
{
    size_t size = s->options.log_window_bytes;
    if (!pays(s, sync, need))
        return 0;
    if (log_window_holds(&s->log->writer, need))
        return size; /* none will be opened */
    uint64_t since = s->sync->unsynced_bytes, in_log = s->log->writer.end;
    uint64_t few = (since < in_log ? since : in_log) / SHARE, rest = rest_of_log(s);
    few = rest < few ? rest : few;
    if (few < size / PART)
        return size / PART;
    return few < size ? (size_t)few : size;
}

enum {
    PLAIN_ZEROES = 64 << 10,
    ZEROES_BEHIND = 4, /* they are written from such a part of that behind the last sync on */
    FIRST_ZEROES = 64 << 10,
};

/* Of a log that is synced often: no more than it holds already, and than it will still take. Each
 * time it grows a sync has its length to write, so few times are better; but what no record ever
 * covers was written in vain. */
static size_t hot_zeroes(const struct store *s, size_t need)
{
    size_t most = s->options.zero_ahead_bytes;
    uint64_t few = s->log->writer.end, rest = rest_of_log(s);
    few = few < FIRST_ZEROES ? FIRST_ZEROES : few;
    few = rest < few ? rest : few;
    few = few < need ? need : few;
    return few < most ? (size_t)few : most;
}

/* A log that is synced often is longer than its records, so that a sync need not write its length.
 * For plain records too long for a window it is that many small pieces of the kernel's cache cost
 * more than few large ones; but not for few bytes behind a sync, which would write the zeroes out.
 */
size_t zeroes_for(const struct store *s, bool sync, size_t need)
{
    size_t hot = s->options.zero_ahead_bytes, plain = s->options.log_window_bytes;
    if (sync_is_hot(s))
        return need <= hot ? hot_zeroes(s, need) : 0;
    if (plain > PLAIN_ZEROES)
        plain = PLAIN_ZEROES;
    if (sync || need > plain / 2 || s->sync->unsynced_bytes < plain / ZEROES_BEHIND)
        return 0;
    uint64_t rest = rest_of_log(s);
    return rest >= plain ? plain : rest > need ? (size_t)rest : need;
}
