/* Builds, checks and walks batches: see store.h and batch.h, and batch_format.h for the bytes.
 *
 * Invariant: a store_batch is either without bytes, or a header and as many whole records as it
 * counts. */
#include "batch.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>

enum { TAG_DELETE = 0, TAG_PUT = 1 };

/* ---- building */

/* A batch without records has no bytes; the first record brings the header. */
static void start(struct store_batch *b)
{
    if (b->rep.len == 0) {
        memset(buf_reserve(&b->rep, BATCH_HEADER_SIZE), 0, BATCH_HEADER_SIZE);
        b->rep.len = BATCH_HEADER_SIZE;
    }
}

static void add_count(struct store_batch *b, uint32_t n)
{
    put_fixed32(b->rep.data + 8, get_fixed32(b->rep.data + 8) + n);
}

/* The most that a record adds to its strings: a tag, two lengths. */
enum { RECORD_OVERHEAD = 1 + 5 + 5 };

static void refuse(struct store_batch *b, int code, size_t bytes)
{
    b->refused = code;
    b->refused_bytes = bytes;
}

/* Whether so many bytes of records may follow; where not, the batch is spoiled. */
static bool fits(struct store_batch *b, size_t more)
{
    size_t len = b->rep.len ? b->rep.len : BATCH_HEADER_SIZE;
    if (b->refused)
        return false;
    if (more > STORE_MAX_BATCH - len)
        refuse(b, -E2BIG, len + more);
    return !b->refused;
}

static bool record_fits(struct store_batch *b, struct slice key, struct slice value)
{
    if (!b->refused && key.len > STORE_MAX_KEY)
        refuse(b, -EMSGSIZE, key.len);
    else if (!b->refused && value.len > STORE_MAX_VALUE)
        refuse(b, -EMSGSIZE, value.len);
    return !b->refused && fits(b, RECORD_OVERHEAD + key.len + value.len);
}

int batch_refusal(const struct store_batch *b)
{
    switch (b->refused) {
    case 0:
        return 0;
    case -E2BIG:
        return fail(-E2BIG, "a batch of %zu bytes is too long: at most %u", b->refused_bytes,
                    STORE_MAX_BATCH);
    default:
        return fail(b->refused,
                    "a key or value of %zu bytes is too long: at most %u for a key, %u for a value",
                    b->refused_bytes, STORE_MAX_KEY, STORE_MAX_VALUE);
    }
}

void store_batch_free(struct store_batch *b)
{
    buf_free(&b->rep);
    refuse(b, 0, 0);
    b->puts = false;
}

void store_batch_clear(struct store_batch *b)
{
    buf_clear(&b->rep);
    refuse(b, 0, 0);
    b->puts = false;
}

void store_batch_put(struct store_batch *b, struct slice key, struct slice value)
{
    if (!record_fits(b, key, value))
        return;
    buf_reserve(&b->rep, key.len + value.len + 24); /* head, lengths: at most one allocation */
    start(b);
    b->puts = true;
    buf_append(&b->rep, "\1", 1);
    buf_put_prefixed(&b->rep, key);
    buf_put_prefixed(&b->rep, value);
    add_count(b, 1);
}

void store_batch_delete(struct store_batch *b, struct slice key)
{
    if (!record_fits(b, key, slice_of(NULL, 0)))
        return;
    start(b);
    buf_append(&b->rep, "\0", 1);
    buf_put_prefixed(&b->rep, key);
    add_count(b, 1);
}

uint32_t store_batch_count(const struct store_batch *b)
{
    return b->rep.len ? batch_rep_count(buf_slice(&b->rep)) : 0;
}

size_t store_batch_bytes(const struct store_batch *b)
{
    return b->rep.len;
}

void store_batch_append(struct store_batch *to, const struct store_batch *from)
{
    assert(to != from);
    uint32_t n = store_batch_count(from);
    if (from->refused && !to->refused)
        refuse(to, from->refused, from->refused_bytes);
    if (n == 0 || !fits(to, from->rep.len - BATCH_HEADER_SIZE))
        return;
    start(to);
    buf_append(&to->rep, from->rep.data + BATCH_HEADER_SIZE, from->rep.len - BATCH_HEADER_SIZE);
    add_count(to, n);
    to->puts |= from->puts;
}

uint64_t batch_sequence(const struct store_batch *b)
{
    return b->rep.len ? batch_rep_sequence(buf_slice(&b->rep)) : 0;
}

void batch_set_sequence(struct store_batch *b, uint64_t sequence)
{
    start(b);
    put_fixed64(b->rep.data, sequence);
}

/* ---- reading */

uint64_t batch_rep_sequence(struct slice rep)
{
    assert(rep.len >= BATCH_HEADER_SIZE);
    return get_fixed64(rep.data);
}

uint32_t batch_rep_count(struct slice rep)
{
    assert(rep.len >= BATCH_HEADER_SIZE);
    return get_fixed32(rep.data + 8);
}

int batch_each(struct slice rep, const struct batch_visitor *v, void *arg)
{
    struct slice in = rep, header, key, value;
    uint32_t seen = 0;
    if (!take_bytes(&in, BATCH_HEADER_SIZE, &header))
        return fail(STORE_ECORRUPT, "batch: %zu bytes are too few for a header", rep.len);
    while (in.len > 0) {
        unsigned char tag = (unsigned char)in.data[0];
        size_t at = rep.len - in.len;
        int rc = 0;
        in = slice_of(in.data + 1, in.len - 1);
        if (tag == TAG_PUT && take_prefixed(&in, &key) && take_prefixed(&in, &value))
            rc = v->put(arg, key, value);
        else if (tag == TAG_DELETE && take_prefixed(&in, &key))
            rc = v->del(arg, key);
        else
            return fail(STORE_ECORRUPT, "batch: no record at byte %zu", at);
        if (rc < 0)
            return rc;
        seen++;
    }
    if (seen != batch_rep_count(rep))
        return fail(STORE_ECORRUPT, "batch: %u records, but it says %u", seen,
                    batch_rep_count(rep));
    return 0;
}

static int ignore_put(void *arg, struct slice key, struct slice value)
{
    (void)arg, (void)key, (void)value;
    return 0;
}

static int ignore_del(void *arg, struct slice key)
{
    (void)arg, (void)key;
    return 0;
}

int batch_check(struct slice rep)
{
    static const struct batch_visitor v = {ignore_put, ignore_del};
    int rc = batch_each(rep, &v, NULL);
    if (rc)
        return rc;
    uint64_t first = batch_rep_sequence(rep), count = batch_rep_count(rep);
    if (first > KEY_MAX_SEQUENCE || count > KEY_MAX_SEQUENCE - first)
        return fail(STORE_ECORRUPT, "batch: its numbers (from %llu) are out of range",
                    (unsigned long long)first);
    return 0;
}

/* ---- marks */

struct slice batch_mark(char bytes[BATCH_HEADER_SIZE], uint64_t durable)
{
    put_fixed64(bytes, durable + 1);
    put_fixed32(bytes + 8, 0);
    return slice_of(bytes, BATCH_HEADER_SIZE);
}

bool batch_is_mark(struct slice rep, uint64_t *durable)
{
    if (rep.len != BATCH_HEADER_SIZE || batch_rep_count(rep) != 0 || batch_rep_sequence(rep) == 0)
        return false;
    *durable = batch_rep_sequence(rep) - 1;
    return true;
}

/* ---- into a memtable */

struct insertion {
    struct memtable *mem;
    uint64_t sequence;
};

static int insert_put(void *arg, struct slice key, struct slice value)
{
    struct insertion *i = arg;
    memtable_add(i->mem, i->sequence++, KEY_PUT, key, value);
    return 0;
}

static int insert_del(void *arg, struct slice key)
{
    struct insertion *i = arg;
    memtable_add(i->mem, i->sequence++, KEY_DELETE, key, slice_of(NULL, 0));
    return 0;
}

int batch_insert(struct slice rep, uint64_t sequence, struct memtable *m)
{
    static const struct batch_visitor v = {insert_put, insert_del};
    struct insertion i = {m, sequence};
    return batch_each(rep, &v, &i);
}

/* ---- text */

static void put_text(struct buf *out, struct slice s)
{
    char code[8];
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        int n = isprint(c) && c != '\\' ? snprintf(code, sizeof code, "%c", c)
                                        : snprintf(code, sizeof code, "\\x%02x", c);
        buf_append(out, code, (size_t)n);
    }
}

static int text_put(void *arg, struct slice key, struct slice value)
{
    buf_append(arg, "put ", 4);
    put_text(arg, key);
    buf_append(arg, " = ", 3);
    put_text(arg, value);
    buf_append(arg, "\n", 1);
    return 0;
}

static int text_del(void *arg, struct slice key)
{
    buf_append(arg, "delete ", 7);
    put_text(arg, key);
    buf_append(arg, "\n", 1);
    return 0;
}

void batch_to_text(struct slice rep, struct buf *out)
{
    static const struct batch_visitor v = {text_put, text_del};
    if (batch_each(rep, &v, out))
        buf_append(out, "damaged\n", 8);
}
