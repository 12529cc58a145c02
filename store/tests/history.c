/* See history.h. */
#include "history.h"

#include <assert.h>
#include <stdlib.h>

#define KEY_ROOM 32

struct record {
    int key;
    uint64_t tag; /* 0: a delete */
};

#define MAX_RECORDS 12

/* What a thread's keys hold. */
struct state {
    size_t commits;
    uint64_t tags[HISTORY_KEYS]; /* 0: none */
};

/* ---------------------------------------------------------------- content */

void history_value(uint64_t tag, struct buf *out)
{
    struct sim_random r = {tag};
    uint64_t kind = sim_below(&r, 100);
    size_t len = kind < 70   ? sim_below(&r, 100)
                 : kind < 97 ? sim_below(&r, 1500)
                             : sim_below(&r, 40000);
    buf_clear(out);
    char *p = buf_reserve(out, len + 8);
    memset(p, 'a' + (int)(tag % 26), len + 8);
    memcpy(p, &tag, sizeof tag);
    for (size_t at = 8; at + 8 < len / 2; at += 8) { /* the rest can be compressed */
        uint64_t word = sim_next(&r);
        memcpy(p + at, &word, sizeof word);
    }
    out->len = len + 8;
}

static struct slice counter_key(int thread, char room[KEY_ROOM])
{
    snprintf(room, KEY_ROOM, "t%02d-counter", thread);
    return slice_str(room);
}

/* Some keys are the beginnings of others. */
static struct slice data_key(int thread, int key, char room[KEY_ROOM])
{
    snprintf(room, KEY_ROOM, "t%02d-key%03d%s", thread, key / 2, key % 2 ? "-and-more" : "");
    return slice_str(room);
}

static int make_records(uint64_t seed, struct record out[MAX_RECORDS])
{
    struct sim_random r = {seed};
    int n = (int)sim_below(&r, sim_chance(&r, 10) ? MAX_RECORDS + 1 : 4);
    for (int i = 0; i < n; i++) {
        out[i].key = (int)sim_below(&r, HISTORY_KEYS);
        out[i].tag = sim_chance(&r, 20) ? 0 : sim_next(&r) | 1;
    }
    return n;
}

static void make_counter(uint64_t index, uint64_t seed, uint64_t out[2])
{
    out[0] = index;
    out[1] = seed;
}

static void make_batch(int thread, uint64_t index, uint64_t seed, struct store_batch *b)
{
    char room[KEY_ROOM];
    uint64_t counter[2];
    struct record records[MAX_RECORDS];
    struct buf value = BUF_INIT;
    int n = make_records(seed, records);
    make_counter(index, seed, counter);
    store_batch_put(b, counter_key(thread, room), slice_of(counter, sizeof counter));
    for (int i = 0; i < n; i++) {
        struct slice key = data_key(thread, records[i].key, room);
        history_value(records[i].tag, &value);
        if (records[i].tag)
            store_batch_put(b, key, buf_slice(&value));
        else
            store_batch_delete(b, key);
    }
    buf_free(&value);
}

/* ---------------------------------------------------------------- the history */

void history_init(struct history *h, uint64_t seed, int threads)
{
    assert(threads <= HISTORY_THREADS);
    memset(h, 0, sizeof *h);
    pthread_mutex_init(&h->mu, NULL);
    h->threads = threads;
    for (int t = 0; t < threads; t++)
        h->thread[t].random.state = seed * HISTORY_THREADS + (uint64_t)t;
}

void history_copy(struct history *from, struct history *to)
{
    pthread_mutex_lock(&from->mu);
    memset(to, 0, sizeof *to);
    pthread_mutex_init(&to->mu, NULL);
    to->threads = from->threads;
    to->acked = from->acked;
    to->acked_sync = from->acked_sync;
    for (int t = 0; t < from->threads; t++) {
        const struct history_thread *f = &from->thread[t];
        to->thread[t].count = f->count;
        to->thread[t].random.state = f->count + 77; /* f->random belongs to its thread */
        to->thread[t].at = mem_alloc((f->count + 1) * sizeof *f->at);
        if (f->count)
            memcpy(to->thread[t].at, f->at, f->count * sizeof *f->at);
    }
    pthread_mutex_unlock(&from->mu);
}

void history_free(struct history *h)
{
    for (int t = 0; t < h->threads; t++)
        free(h->thread[t].at);
    pthread_mutex_destroy(&h->mu);
}

static size_t begin_commit(struct history *h, int thread, uint64_t seed, uint32_t records)
{
    struct history_thread *t = &h->thread[thread];
    pthread_mutex_lock(&h->mu);
    size_t index = t->count++;
    t->at = mem_realloc(t->at, t->count * sizeof *t->at);
    t->at[index] = (struct history_commit){.seed = seed, .records = records};
    pthread_mutex_unlock(&h->mu);
    return index;
}

static void raise_to(uint64_t *value, uint64_t least)
{
    if (*value < least)
        *value = least;
}

static void end_commit(struct history *h, int thread, size_t index, uint64_t sequence, bool sync)
{
    pthread_mutex_lock(&h->mu);
    h->thread[thread].at[index].sequence = sequence;
    raise_to(&h->acked, sequence);
    if (sync)
        raise_to(&h->acked_sync, sequence);
    pthread_mutex_unlock(&h->mu);
}

static void forget_commit(struct history *h, int thread)
{
    pthread_mutex_lock(&h->mu);
    h->thread[thread].count--;
    pthread_mutex_unlock(&h->mu);
}

int history_commit(struct history *h, struct store *s, int thread, bool sync)
{
    struct store_batch b = STORE_BATCH_INIT;
    uint64_t seed = sim_next(&h->thread[thread].random);
    struct record records[MAX_RECORDS];
    size_t index = begin_commit(h, thread, seed, 1 + (uint32_t)make_records(seed, records));
    make_batch(thread, index, seed, &b);
    struct store_writer w = {.batch = &b, .sync = sync};
    store_enqueue(s, &w);
    int rc = store_wait(s, &w);
    if (rc == 0)
        end_commit(h, thread, index, w.sequence, sync);
    else if (space_lacks(rc) && store_background_error(s) == 0)
        forget_commit(h, thread); /* it is promised that nothing of it is there */
    store_batch_free(&b);
    return rc;
}

int history_sync(struct history *h, struct store *s)
{
    uint64_t acked = history_acked(h);
    int rc = store_sync(s, 0);
    if (rc == 0) {
        pthread_mutex_lock(&h->mu);
        raise_to(&h->acked_sync, acked);
        pthread_mutex_unlock(&h->mu);
    }
    return rc;
}

uint64_t history_acked(struct history *h)
{
    pthread_mutex_lock(&h->mu);
    uint64_t sequence = h->acked;
    pthread_mutex_unlock(&h->mu);
    return sequence;
}

uint64_t history_acked_sync(struct history *h)
{
    pthread_mutex_lock(&h->mu);
    uint64_t sequence = h->acked_sync;
    pthread_mutex_unlock(&h->mu);
    return sequence;
}

/* ---------------------------------------------------------------- what a store holds */

/* How many commits of the thread the store holds, by its counter. */
static size_t commits_held(struct history *h, struct store *s, int thread, const char *what)
{
    char room[KEY_ROOM];
    struct buf value = BUF_INIT;
    uint64_t counter[2];
    size_t held = 0;
    int rc = store_get(s, NULL, counter_key(thread, room), &value);
    MUST(rc == 0 || rc == -ENOENT, "%s: %s", what, fail_text());
    if (rc == 0) {
        MUST(value.len == sizeof counter, "%s: thread %d: a counter of %zu bytes", what, thread,
             value.len);
        memcpy(counter, value.data, sizeof counter);
        pthread_mutex_lock(&h->mu);
        const struct history_thread *t = &h->thread[thread];
        MUST(counter[0] < t->count && t->at[counter[0]].seed == counter[1],
             "%s: thread %d: counter %llu was never written", what, thread,
             (unsigned long long)counter[0]);
        pthread_mutex_unlock(&h->mu);
        held = counter[0] + 1;
    }
    buf_free(&value);
    return held;
}

/* Rules 1 and 2. mu held. */
static void check_order(const struct history *h, const struct state *states, uint64_t last,
                        const char *what)
{
    uint64_t records = 0;
    for (int t = 0; t < h->threads; t++)
        for (size_t i = 0; i < h->thread[t].count; i++) {
            const struct history_commit *c = &h->thread[t].at[i];
            bool held = i < states[t].commits;
            records += held ? c->records : 0;
            MUST(!c->sequence || held == (c->sequence <= last),
                 "%s: last sequence %llu, but commit %zu of thread %d at %llu is %s", what,
                 (unsigned long long)last, i, t, (unsigned long long)c->sequence,
                 held ? "there" : "missing");
        }
    MUST(records == last, "%s: last sequence %llu, but the commits held have %llu records", what,
         (unsigned long long)last, (unsigned long long)records);
}

/* What the commits held leave behind. mu held. */
static void replay(const struct history *h, struct state *states)
{
    struct record records[MAX_RECORDS];
    for (int t = 0; t < h->threads; t++)
        for (size_t i = 0; i < states[t].commits; i++) {
            int n = make_records(h->thread[t].at[i].seed, records);
            for (int k = 0; k < n; k++)
                states[t].tags[records[k].key] = records[k].tag;
        }
}

static void expect(struct iter *it, struct slice key, struct slice value, const char *what)
{
    MUST(it->valid, "%s: ends before %.*s: %s", what, (int)key.len, key.data,
         it->status ? fail_text() : "no error");
    MUST(slice_equal(it->key, key), "%s: %.*s where %.*s should be", what, (int)it->key.len,
         it->key.data, (int)key.len, key.data);
    MUST(slice_equal(it->value, value), "%s: %.*s has a wrong value (%zu bytes, not %zu)", what,
         (int)key.len, key.data, it->value.len, value.len);
    iter_next(it);
}

/* Rule 4. */
static void check_content(struct history *h, struct store *s, const struct state *states,
                          const char *what)
{
    char room[KEY_ROOM];
    struct buf value = BUF_INIT;
    uint64_t counter[2];
    struct iter *it = store_iter(s, NULL);
    iter_first(it);
    for (int t = 0; t < h->threads; t++) {
        if (states[t].commits) {
            pthread_mutex_lock(&h->mu);
            make_counter(states[t].commits - 1, h->thread[t].at[states[t].commits - 1].seed,
                         counter);
            pthread_mutex_unlock(&h->mu);
            expect(it, counter_key(t, room), slice_of(counter, sizeof counter), what);
        }
        for (int k = 0; k < HISTORY_KEYS; k++) {
            if (states[t].tags[k] == 0)
                continue;
            history_value(states[t].tags[k], &value);
            expect(it, data_key(t, k, room), buf_slice(&value), what);
        }
    }
    MUST(!it->valid, "%s: %.*s should not be there", what, (int)it->key.len, it->key.data);
    MUST(it->status == 0, "%s: %s", what, fail_text());
    iter_destroy(it);
    buf_free(&value);
}

void history_check(struct history *h, struct store *s, uint64_t at_least, const char *what)
{
    struct state states[HISTORY_THREADS];
    uint64_t last = store_last_sequence(s);
    memset(states, 0, sizeof states);
    for (int t = 0; t < h->threads; t++)
        states[t].commits = commits_held(h, s, t, what);
    pthread_mutex_lock(&h->mu);
    check_order(h, states, last, what);
    replay(h, states);
    pthread_mutex_unlock(&h->mu);
    MUST(last >= at_least, "%s: last sequence %llu, but %llu was acknowledged", what,
         (unsigned long long)last, (unsigned long long)at_least);
    check_content(h, s, states, what);
}

void history_rewind(struct history *h, struct store *s)
{
    size_t held[HISTORY_THREADS];
    for (int t = 0; t < h->threads; t++)
        held[t] = commits_held(h, s, t, "rewind");
    pthread_mutex_lock(&h->mu);
    for (int t = 0; t < h->threads; t++)
        h->thread[t].count = held[t];
    h->acked = h->acked_sync = store_last_sequence(s);
    pthread_mutex_unlock(&h->mu);
}
