/* The workloads of store-bench, named and meant as LevelDB's db_bench names and means them. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

static struct slice make_key(struct bench_thread *t, uint64_t n)
{
    size_t prefix = (size_t)t->bench->flags.key_prefix;
    char *p = buf_reserve(&t->key, prefix + 32);
    memset(p, 'a', prefix);
    return slice_of(p, prefix + (size_t)snprintf(p + prefix, 32, "%016llu", (unsigned long long)n));
}

static struct slice make_value(struct bench_thread *t)
{
    struct bench *b = t->bench;
    size_t len = (size_t)b->value_size, room = b->values.len - len;
    return slice_of(b->values.data + (room ? bench_random(t) % room : 0), len);
}

static bool ok(struct bench_thread *t, int rc)
{
    if (rc && !t->error)
        t->error = fail_text();
    return rc == 0;
}

static uint64_t random_key(struct bench_thread *t)
{
    return bench_random(t) % (uint64_t)t->bench->flags.num;
}

/* ---- writing */

static void write_keys(struct bench_thread *t, bool sequential, bool del)
{
    struct bench *b = t->bench;
    struct store_batch batch = STORE_BATCH_INIT;
    if (!del && b->num != b->flags.num)
        snprintf(t->message, sizeof t->message, "(%ld ops)", b->num);
    for (long i = 0; i < b->num; i += b->entries_per_batch) {
        store_batch_clear(&batch);
        for (long j = 0; j < b->entries_per_batch; j++) {
            struct slice key = make_key(t, sequential ? (uint64_t)(i + j) : random_key(t));
            if (del) {
                store_batch_delete(&batch, key);
            } else {
                struct slice value = make_value(t);
                store_batch_put(&batch, key, value);
                t->bytes += key.len + value.len;
            }
        }
        if (!ok(t, store_write(b->store, &batch, b->sync)))
            break;
        for (long j = 0; j < b->entries_per_batch; j++)
            bench_op_done(t);
    }
    store_batch_free(&batch);
}

static void fill_seq(struct bench_thread *t)
{
    write_keys(t, true, false);
}
static void fill_random(struct bench_thread *t)
{
    write_keys(t, false, false);
}
static void delete_seq(struct bench_thread *t)
{
    write_keys(t, true, true);
}
static void delete_random(struct bench_thread *t)
{
    write_keys(t, false, true);
}

/* ---- reading */

static void say_found(struct bench_thread *t, long of)
{
    snprintf(t->message, sizeof t->message, "(%llu of %ld found)", (unsigned long long)t->found,
             of);
}

static void read_keys(struct bench_thread *t, uint64_t range, const char *suffix)
{
    struct bench *b = t->bench;
    for (long i = 0; i < b->reads; i++) {
        struct slice key = make_key(t, bench_random(t) % range);
        if (suffix) {
            key = slice_of(key.data, key.len + 1);
            ((char *)key.data)[key.len - 1] = suffix[0];
        }
        int rc = store_get(b->store, NULL, key, &t->value);
        if (rc == 0) {
            t->found++;
            t->bytes += key.len + t->value.len;
        } else if (rc != -ENOENT && !ok(t, rc)) {
            return;
        }
        bench_op_done(t);
    }
}

static void read_random(struct bench_thread *t)
{
    read_keys(t, (uint64_t)t->bench->flags.num, NULL);
    say_found(t, t->bench->reads);
}
static void read_missing(struct bench_thread *t)
{
    read_keys(t, (uint64_t)t->bench->flags.num, ".");
}
static void read_hot(struct bench_thread *t)
{
    read_keys(t, (uint64_t)(t->bench->flags.num + 99) / 100, NULL);
}

static void scan(struct bench_thread *t, bool forward)
{
    struct bench *b = t->bench;
    struct iter *it = store_iter(b->store, NULL);
    long left = b->reads;
    for (forward ? iter_first(it) : iter_last(it); it->valid && left > 0; left--) {
        t->bytes += it->key.len + it->value.len;
        bench_op_done(t);
        if (forward)
            iter_next(it);
        else
            iter_prev(it);
    }
    ok(t, it->status);
    iter_destroy(it);
}

static void read_seq(struct bench_thread *t)
{
    scan(t, true);
}
static void read_reverse(struct bench_thread *t)
{
    scan(t, false);
}

static void seek_random(struct bench_thread *t)
{
    struct bench *b = t->bench;
    for (long i = 0; i < b->reads; i++) {
        struct iter *it = store_iter(b->store, NULL);
        struct slice key = make_key(t, random_key(t));
        iter_seek(it, key);
        if (it->valid && slice_equal(it->key, key))
            t->found++;
        ok(t, it->status);
        iter_destroy(it);
        bench_op_done(t);
    }
    say_found(t, b->reads);
}

/* One cursor, keys that go up by up to 100 and begin again at the end. */
static void seek_ordered(struct bench_thread *t)
{
    struct bench *b = t->bench;
    struct iter *it = store_iter(b->store, NULL);
    uint64_t k = 0;
    for (long i = 0; i < b->reads; i++) {
        k = (k + bench_random(t) % 100) % (uint64_t)b->flags.num;
        struct slice key = make_key(t, k);
        iter_seek(it, key);
        if (it->valid && slice_equal(it->key, key))
            t->found++;
        bench_op_done(t);
    }
    ok(t, it->status);
    iter_destroy(it);
    say_found(t, b->reads);
}

static _Atomic int readers_left; /* of readwhilewriting */

static void read_while_writing(struct bench_thread *t)
{
    struct bench *b = t->bench;
    if (t->id > 0) {
        read_random(t);
        readers_left--;
        return;
    }
    while (readers_left > 0) {
        struct slice key = make_key(t, random_key(t));
        if (!ok(t, store_put(b->store, key, make_value(t), b->sync)))
            break;
    }
    t->start_ns = t->finish_ns = 0; /* not counted */
}

static void compact(struct bench_thread *t)
{
    ok(t, store_compact(t->bench->store, slice_of(NULL, 0), slice_of(NULL, 0)));
    bench_op_done(t);
}

/* ---- the table */

static void set_sync(struct bench *b)
{
    b->sync = true;
    b->num = b->num / 1000 ? b->num / 1000 : 1;
}
static void set_100k(struct bench *b)
{
    b->value_size = 100 * 1000;
    b->num = b->num / 1000 ? b->num / 1000 : 1;
}
static void set_small(struct bench *b)
{
    b->reads /= 1000;
}
static void set_open(struct bench *b)
{
    b->num = b->num / 10000 ? b->num / 10000 : 1;
}
static void set_batch(struct bench *b)
{
    b->entries_per_batch = 1000;
}
static void set_readers(struct bench *b)
{
    readers_left = (int)b->flags.threads;
}

static const struct benchmark table[] = {
    {"fillseq", fill_seq, true, false, NULL},
    {"fillbatch", fill_seq, true, false, set_batch},
    {"fillrandom", fill_random, true, false, NULL},
    {"overwrite", fill_random, false, false, NULL},
    {"fillsync", fill_random, true, false, set_sync},
    {"fill100K", fill_random, true, false, set_100k},
    {"deleteseq", delete_seq, false, false, NULL},
    {"deleterandom", delete_random, false, false, NULL},
    {"readrandom", read_random, false, false, NULL},
    {"readmissing", read_missing, false, false, NULL},
    {"readhot", read_hot, false, false, NULL},
    {"readseq", read_seq, false, false, NULL},
    {"readreverse", read_reverse, false, false, NULL},
    {"seekrandom", seek_random, false, false, NULL},
    {"readwhilewriting", read_while_writing, false, true, set_readers},
    {"compact", compact, false, false, NULL},
    {"readrandomsmall", read_random, false, false, set_small},
    {"seekordered", seek_ordered, false, false, NULL},
    {"open", bench_reopen, false, false, set_open},
    {"crc32c", bench_crc32c, false, false, NULL},
    {"snappycomp", bench_snappy_compress, false, false, NULL},
    {"snappyuncomp", bench_snappy_uncompress, false, false, NULL},
};

const struct benchmark *benchmark_find(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}
