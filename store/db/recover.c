/* Recovery: what the logs hold beyond the tables.
 *
 * Batches carry their own sequence numbers and follow each other without a gap. Replay takes them
 * in order, across logs, and stops for good at the first thing that is not the next batch: a torn
 * record, a record that is no batch, a number that is not the expected one, a put that refers to
 * bytes beside the store which are not there (options.beside). What comes after would be changes
 * whose predecessors are lost; the store then would be a mixture of moments instead of one of its
 * past. It is counted, and the log files concerned are copied to lost/ before they go.
 *
 * What was never synced may be torn by a crash in any way: that is no fault of the disk, and such a
 * store opens. But where marks (commit/batch_format.h) say that more had been on stable storage
 * than can be replayed, something was damaged: the open is refused, unless options.repair is set.
 *
 * What marks say was durable had its bytes on stable storage, too: it is not checked for them. If
 * they are gone by now, that is damage to some value, and no reason to give up all that came later.
 *
 * The replayed batches are written to tables at once, behind a sync of what they refer to. A log is
 * never appended to again: what is behind its good part is unknown, and what its page cache shows
 * may not be what the disk has. */
#include "db.h"

#include <stdlib.h>

#include "../log/log_reader.h"
#include "lost.h"
#include "marks.h"

struct replay {
    struct store *s;
    struct memtable *mem;
    struct edit edit;
    uint64_t next_sequence; /* what the next batch must carry */
    bool exact;             /* it must; false only for the very first batch (see take_batch) */
    bool stopped;
    uint64_t cut_records, cut_bytes;
    uint64_t durable; /* what marks say was on stable storage */
    char *where;      /* why and where it stopped, in words */
    char *missing;    /* beside the store, in words; or NULL */
};

/* ---- the logs to replay */

struct log_list {
    uint64_t *numbers;
    int count;
    uint64_t from; /* logs below it are in tables */
};

static void add_log(void *arg, const char *name)
{
    struct log_list *l = arg;
    uint64_t number;
    if (name_parse(name, &number) != NAME_LOG || number < l->from)
        return;
    l->numbers = mem_realloc(l->numbers, (size_t)(l->count + 1) * sizeof *l->numbers);
    l->numbers[l->count++] = number;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* ---- one batch, one log */

/* Writes what was replayed so far into a table and starts a new memtable. */
static int spill(struct replay *r)
{
    struct store *s = r->s;
    if (memtable_count(r->mem) == 0)
        return 0;
    int rc = beside_sync_in_open(s);
    if (rc == 0)
        rc = flush_write_table(s, r->mem, set_new_number(&s->versions), &r->edit);
    memtable_unref(r->mem);
    r->mem = memtable_new();
    return rc;
}

/* True where the batch is the next one. The very first may begin before what the MANIFEST says was
 * reached (LevelDB notes newer numbers there): its records are in the tables then, or come again
 * with the same numbers. And after a repair without a MANIFEST it may begin behind that: the newest
 * change that went into tables may have been a delete which a compaction dropped, or have been in a
 * table that is lost. */
static bool is_next(const struct replay *r, uint64_t sequence)
{
    if (r->exact)
        return sequence == r->next_sequence;
    return sequence <= r->next_sequence || r->s->versions.log_number == 0;
}

static int take_batch(struct replay *r, struct slice record)
{
    uint64_t sequence = batch_rep_sequence(record), behind = sequence + batch_rep_count(record);
    int rc = batch_insert(record, sequence, r->mem);
    if (rc)
        return rc;
    r->next_sequence = behind;
    r->exact = true;
    if (memtable_bytes(r->mem) > r->s->options.memtable_bytes)
        rc = spill(r);
    return rc;
}

/* After a repair the MANIFEST does not know which logs are in tables already, and some may have
 * been left over. Flushes go in order: what is not above the newest entry of all tables is in them,
 * or was compacted away; replayed on top of them it would hide newer values. */
static bool is_in_tables(const struct replay *r, struct slice record)
{
    const struct version_set *set = &r->s->versions;
    return !r->exact && set->log_number == 0 && batch_check(record) == 0 &&
           batch_rep_sequence(record) + batch_rep_count(record) <= set->manifest_sequence + 1;
}

/* Is what the batch refers to beside the store there, or was it when a mark was written? *why: what
 * is missing. 0 or an error that ends the open. */
static int look_beside(struct replay *r, struct slice record, const char **why)
{
    uint64_t last = batch_rep_sequence(record) + batch_rep_count(record) - 1;
    int rc = last <= r->durable ? 0 : beside_check(r->s, record);
    if (rc != STORE_ECORRUPT)
        return rc;
    r->missing = mem_printf("what a record refers to is not there: %s", fail_text());
    *why = r->missing;
    return 0;
}

/* *why: why replay ends at this record; NULL where it does not. 0 or an error that ends the open.
 */
static int why_stop(struct replay *r, struct slice record, const char **why)
{
    *why = NULL;
    if (r->stopped)
        *why = "behind an earlier gap";
    else if (batch_check(record))
        *why = "a record that is not a batch";
    else if (!is_next(r, batch_rep_sequence(record)))
        *why = "a gap in the sequence numbers";
    else
        return look_beside(r, record, why);
    return 0;
}

/* A place that the disk cannot read is damage as any other for a repair; else it ends the open. */
static bool is_damage(const struct replay *r, int rc)
{
    return rc == -EIO && r->s->options.repair;
}

static int find_marks(struct replay *r, const char *path, uint64_t from, bool is_ours)
{
    int rc = marks_find(r->s->env, path, from, is_ours, &r->durable);
    return is_damage(r, rc) ? 0 : rc;
}

/* Counts what is left of a log from its current record on. `have` says that a record was read and
 * not taken. */
static int count_rest(struct replay *r, struct log_reader *log, bool have, uint64_t from)
{
    struct slice record;
    int rc = 1;
    if (have)
        r->cut_records++;
    while ((rc = log_read(log, &record)) == 1)
        r->cut_records++;
    if (is_damage(r, rc) || (rc == 0 && log->size > from && (have || log->end == LOG_END_TORN)))
        r->cut_bytes += log->size - from;
    return rc < 0 && !is_damage(r, rc) ? rc : 0;
}

/* Notes that replay ends here, and what the rest of the log says was durable. */
static int stop_at(struct replay *r, const char *path, uint64_t at, const char *why, bool is_ours)
{
    info_log(r->s, "recovery stops: %s at offset %llu: %s", path, (unsigned long long)at, why);
    if (!r->stopped)
        r->where = mem_printf("%s: at offset %llu: %s", path, (unsigned long long)at, why);
    r->stopped = true;
    return find_marks(r, path, at, is_ours);
}

static int replay_log(struct replay *r, const char *path)
{
    struct log_reader log;
    struct slice record;
    const char *why = NULL;
    bool first = true, is_ours = false;
    int rc = log_reader_open(&log, r->s->env, path), got;
    if (rc)
        return rc;
    while ((got = log_read(&log, &record)) == 1) {
        uint64_t mark;
        bool is_mark = batch_is_mark(record, &mark);
        is_ours = first ? is_mark : is_ours;
        first = false;
        if (is_mark) { /* or an empty batch of LevelDB's */
            if (is_ours && mark > r->durable)
                r->durable = mark;
            continue;
        }
        if (is_in_tables(r, record))
            continue;
        rc = why_stop(r, record, &why);
        if (why)
            break;
        if (rc == 0)
            rc = take_batch(r, record);
        if (rc)
            goto out;
    }
    if (got < 0 && !is_damage(r, got)) {
        rc = got;
        goto out;
    }
    if (got < 0)
        why = "the disk cannot read it";
    else if (got == 0 && log.end == LOG_END_TORN)
        why = log.reason;
    if (why) {
        uint64_t at = got == 1 ? log.record_pos : log.record_end;
        rc = stop_at(r, path, at, why, is_ours);
        if (got < 0)
            r->cut_bytes += log.size - at;
        else if (rc == 0)
            rc = count_rest(r, &log, got == 1, at);
    }
out:
    log_reader_close(&log);
    return rc;
}

/* ---- what was cut off */

/* Copies of the logs from the one that replay stopped in, to DIR/lost. */
static int keep_aside(struct replay *r, const struct log_list *logs, int first)
{
    struct store *s = r->s;
    int rc = lost_open(s);
    for (int i = first; rc == 0 && i < logs->count; i++) {
        char *name = mem_printf("%06llu.log", (unsigned long long)logs->numbers[i]);
        rc = lost_keep(s, name);
        free(name);
    }
    if (rc == 0)
        rc = lost_close(s);
    if (rc == 0)
        info_log(s, "recovery cut off %llu records, %llu bytes; the logs were copied to %s/lost",
                 (unsigned long long)r->cut_records, (unsigned long long)r->cut_bytes, s->dir);
    return rc;
}

/* ---- the whole */

/* Less was replayed than had been on stable storage. */
static int refuse_loss(struct replay *r)
{
    struct store *s = r->s;
    uint64_t reached = r->next_sequence - 1;
    if (reached < s->versions.manifest_sequence)
        reached = s->versions.manifest_sequence;
    if (reached >= r->durable)
        return 0;
    info_log(s, "changes %llu to %llu were on stable storage and cannot be read",
             (unsigned long long)reached + 1, (unsigned long long)r->durable);
    if (s->options.repair)
        return 0;
    return fail(STORE_ECORRUPT,
                "%s; behind it are %llu changes that were on stable storage; nothing was changed: "
                "opened with repair it goes on without them and keeps them in %s/lost",
                r->where ? r->where : s->dir, (unsigned long long)(r->durable - reached), s->dir);
}

/* Marks lie behind what they cover: where batches are to be checked all of them are looked for
 * first. */
static int find_durable(struct replay *r, const struct log_list *logs)
{
    int rc = 0;
    for (int i = 0; rc == 0 && r->s->options.beside.check && i < logs->count; i++) {
        char *path = name_log(r->s->dir, logs->numbers[i]);
        rc = find_marks(r, path, 0, false);
        free(path);
    }
    return rc;
}

static int replay_all(struct replay *r, const struct log_list *logs)
{
    int rc = find_durable(r, logs), stopped_in = -1;
    for (int i = 0; rc == 0 && i < logs->count; i++) {
        char *path = name_log(r->s->dir, logs->numbers[i]);
        rc = replay_log(r, path);
        if (r->stopped && stopped_in < 0)
            stopped_in = i;
        free(path);
    }
    if (rc == 0)
        rc = refuse_loss(r);
    if (rc == 0)
        rc = spill(r);
    if (rc == 0 && (r->cut_records > 0 || r->cut_bytes > 0))
        rc = keep_aside(r, logs, stopped_in);
    r->s->stats.cut_records = r->cut_records;
    r->s->stats.cut_bytes = r->cut_bytes;
    return rc;
}

/* A store that is refused is left as it was: no tables of what was replayed. Returns `rc`. */
static int take_back(struct replay *r, int rc)
{
    char *why = mem_printf("%s", fail_text());
    for (int i = 0; i < r->edit.added_count; i++) {
        char *path = name_table(r->s->dir, r->edit.added[i].number);
        env_unlink(r->s->env, path);
        free(path);
    }
    fail(rc, "%s", why);
    free(why);
    return rc;
}

/* The new log, and the MANIFEST record that makes it the only one. */
static int start_log(struct replay *r)
{
    struct store *s = r->s;
    uint64_t number = set_new_number(&s->versions);
    int rc = 0;
    struct live_log *log = live_log_create(s, number, &rc);
    if (rc)
        return rc;
    s->logs = s->log = log;
    rc = env_sync_dir(s->env, s->dir);
    if (rc)
        return rc;
    log->entry_synced = true;
    r->edit.has_log_number = true;
    r->edit.log_number = number;
    r->edit.has_last_sequence = true;
    r->edit.last_sequence = r->next_sequence - 1;
    pthread_mutex_lock(&s->mu);
    rc = set_apply(&s->versions, &r->edit);
    pthread_mutex_unlock(&s->mu);
    return rc;
}

/* The log that the MANIFEST names had its entry on disk before that was written. */
static int check_first_log(const struct store *s, const struct log_list *logs)
{
    uint64_t number = s->versions.log_number;
    if (s->options.repair || number == 0 || (logs->count > 0 && logs->numbers[0] == number))
        return 0;
    return fail(STORE_ECORRUPT,
                "%s/%06llu.log: missing, though the MANIFEST names it; opened with repair the "
                "store goes on without it",
                s->dir, (unsigned long long)number);
}

int recover_logs(struct store *s)
{
    struct log_list logs = {.from = s->versions.log_number};
    struct replay r = {
        .s = s, .mem = memtable_new(), .next_sequence = s->versions.manifest_sequence + 1};
    uint64_t in_manifest = s->versions.manifest_sequence;
    edit_init(&r.edit);
    int rc = env_list(s->env, s->dir, add_log, &logs);
    if (rc)
        goto out;
    if (logs.count > 0)
        qsort(logs.numbers, (size_t)logs.count, sizeof *logs.numbers, by_number);
    rc = check_first_log(s, &logs);
    if (rc)
        goto out;
    for (int i = 0; i < logs.count; i++)
        set_number_used(&s->versions, logs.numbers[i]);
    rc = replay_all(&r, &logs);
    if (rc) {
        rc = take_back(&r, rc);
        goto out;
    }
    pthread_mutex_lock(&s->mu);
    rc = set_roll(&s->versions);
    pthread_mutex_unlock(&s->mu);
    if (rc)
        goto out;
    if (r.next_sequence <= in_manifest)
        r.next_sequence = in_manifest + 1;
    rc = start_log(&r);
    if (rc)
        goto out;
    set_clean_folder(&s->versions);
    atomic_store(&s->last_sequence, r.next_sequence - 1);
    atomic_store(&s->flushed_sequence, r.next_sequence - 1);
out:
    memtable_unref(r.mem);
    edit_free(&r.edit);
    free(logs.numbers);
    free(r.where);
    free(r.missing);
    return rc;
}
