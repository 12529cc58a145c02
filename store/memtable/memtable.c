/* The skiplist and its iterator: see memtable.h.
 *
 * Level 0 links all nodes in order, each higher level about a quarter of those below. The writer
 * fills a node, then links it from the bottom up, each time by a release store; a reader that
 * follows a link by an acquire load sees the whole node.
 *
 * Invariants (the writer's):
 *  1. path[i] is the last node of level i up to the newest one, for every level below `height`;
 *     from there on it is the head. So entries that come in order need no search. */
#include "memtable.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "arena.h"

enum { MAX_HEIGHT = 12, BRANCHING = 4 };

/* The links of the higher levels lie in front of the node, the entry behind it (varint32 key size |
 * internal key | varint32 size | value): a search finds the link that it follows most often and the
 * key that it compares in one cache line, and no node says how high it is. */
struct node {
    _Atomic(struct node *) next; /* of level 0 */
};

struct memtable {
    atomic_int refs;
    atomic_int height; /* of the highest node; a reader that sees an old one only starts lower */
    atomic_uint_fast64_t count;
    uint32_t random;               /* the writer's */
    struct node *path[MAX_HEIGHT]; /* the writer's: invariant 1 */
    struct arena arena;
    struct node *head; /* in front of all; has no entry */
};

/* An entry, taken apart. */
struct parts {
    struct slice key; /* internal */
    const char *behind;
};

/* Entries are this file's own work: no length is checked. */
static const char *get_length(const char *p, uint32_t *v)
{
    uint32_t c = (unsigned char)*p++, r = c & 0x7f;
    for (int shift = 7; c & 0x80; shift += 7) {
        c = (unsigned char)*p++;
        r |= (c & 0x7f) << shift;
    }
    *v = r;
    return p;
}

static _Atomic(struct node *) *link_of(const struct node *n, int level)
{
    return (_Atomic(struct node *) *)&n->next - level;
}

static struct parts take_apart(const struct node *n)
{
    uint32_t len;
    const char *key = get_length((const char *)(n + 1), &len);
    return (struct parts){slice_of(key, len), key + len};
}

static struct slice value_of(struct parts parts)
{
    uint32_t len;
    const char *value = get_length(parts.behind, &len);
    return slice_of(value, len);
}

static struct node *new_node(struct memtable *m, int height, size_t entry_len)
{
    size_t above = (size_t)(height - 1) * sizeof(struct node);
    char *p = arena_take(&m->arena, above + sizeof(struct node) + entry_len);
    struct node *n = (struct node *)(void *)(p + above);
    for (int i = 0; i < height; i++)
        atomic_init(link_of(n, i), NULL);
    return n;
}

struct memtable *memtable_new(void)
{
    struct memtable *m = mem_zalloc(sizeof *m);
    atomic_init(&m->refs, 1);
    atomic_init(&m->height, 1);
    atomic_init(&m->count, 0);
    m->random = 0x9e3779b9u;
    arena_init(&m->arena);
    m->head = new_node(m, MAX_HEIGHT, 0);
    for (int i = 0; i < MAX_HEIGHT; i++)
        m->path[i] = m->head;
    return m;
}

void memtable_ref(struct memtable *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
}

void memtable_unref(struct memtable *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) > 1)
        return;
    arena_free(&m->arena);
    free(m);
}

size_t memtable_bytes(const struct memtable *m)
{
    return atomic_load_explicit(&m->arena.bytes, memory_order_relaxed);
}

size_t memtable_used(const struct memtable *m)
{
    return memtable_bytes(m) - m->arena.left;
}

size_t memtable_room(const struct memtable *m, size_t limit)
{
    return arena_room(&m->arena, limit);
}

uint64_t memtable_count(const struct memtable *m)
{
    return atomic_load_explicit(&m->count, memory_order_relaxed);
}

static struct node *next_of(const struct node *n, int level)
{
    return atomic_load_explicit(link_of(n, level), memory_order_acquire);
}

/* A search has as many cache misses as comparisons. While the node at hand is compared, the one
 * that comes next if it is not before the key is fetched. */
static void fetch(const struct node *n, int level)
{
    if (level >= 0)
        __builtin_prefetch(atomic_load_explicit(link_of(n, level), memory_order_relaxed));
}

/* Is the node before (key, tag)? Higher tags come first. */
static bool is_before(const struct node *n, struct slice key, uint64_t tag)
{
    struct slice mine = take_apart(n).key;
    int r = slice_compare(key_user(mine), key);
    return r < 0 || (r == 0 && key_get_tag(mine) > tag);
}

/* The last node before (key, tag), perhaps the head; `path`, where not NULL, gets the one of each
 * level below the height. */
static struct node *find_before(const struct memtable *m, struct slice key, uint64_t tag,
                                struct node **path)
{
    int level = atomic_load_explicit(&m->height, memory_order_relaxed) - 1;
    struct node *n = m->head, *not_before = NULL;
    for (;;) {
        struct node *next = next_of(n, level);
        fetch(n, level - 1);
        if (next && next != not_before && is_before(next, key, tag)) {
            n = next;
            continue;
        }
        if (path)
            path[level] = n;
        if (level == 0)
            return n;
        not_before = next;
        level--;
    }
}

/* The first node at or behind (key, tag), or NULL. It is the link that was compared: one read again
 * may name a node that was linked in meanwhile, and lies before. */
static struct node *find_from(const struct memtable *m, struct slice key, uint64_t tag)
{
    int level = atomic_load_explicit(&m->height, memory_order_relaxed) - 1;
    struct node *n = m->head, *not_before = NULL;
    for (;;) {
        struct node *next = next_of(n, level);
        fetch(n, level - 1);
        if (next && next != not_before && is_before(next, key, tag)) {
            n = next;
            continue;
        }
        if (level == 0)
            return next;
        not_before = next;
        level--;
    }
}

/* Does (key, tag) belong right behind the newest node? */
static bool follows_newest(const struct memtable *m, struct slice key, uint64_t tag)
{
    struct node *newest = m->path[0], *next = next_of(newest, 0);
    return (newest == m->head || is_before(newest, key, tag)) &&
           (!next || !is_before(next, key, tag));
}

static int random_height(struct memtable *m)
{
    int height = 1;
    while (height < MAX_HEIGHT) {
        m->random = m->random * 1664525u + 1013904223u;
        if ((m->random >> 16) % BRANCHING != 0)
            break;
        height++;
    }
    return height;
}

/* A whole node that nobody can see yet. */
static struct node *make_node(struct memtable *m, int height, uint64_t tag, struct slice key,
                              struct slice value)
{
    size_t ikey_len = key.len + KEY_TAG_SIZE;
    assert(ikey_len <= UINT32_MAX && value.len <= UINT32_MAX);
    struct node *n = new_node(
        m, height, varint_length(ikey_len) + ikey_len + varint_length(value.len) + value.len);
    char *p = put_varint32((char *)(n + 1), (uint32_t)ikey_len);
    if (key.len)
        memcpy(p, key.data, key.len);
    put_fixed64(p + key.len, tag);
    p = put_varint32(p + ikey_len, (uint32_t)value.len);
    if (value.len)
        memcpy(p, value.data, value.len);
    return n;
}

void memtable_add(struct memtable *m, uint64_t sequence, enum key_type type, struct slice key,
                  struct slice value)
{
    assert(sequence <= KEY_MAX_SEQUENCE);
    uint64_t tag = key_tag(sequence, type);
    int height = random_height(m);
    struct node *n = make_node(m, height, tag, key, value);

    if (!follows_newest(m, key, tag))
        find_before(m, key, tag, m->path);
    if (height > atomic_load_explicit(&m->height, memory_order_relaxed))
        atomic_store_explicit(&m->height, height, memory_order_relaxed);
    for (int i = 0; i < height; i++) {
        struct node *next = atomic_load_explicit(link_of(m->path[i], i), memory_order_relaxed);
        atomic_init(link_of(n, i), next);
        atomic_store_explicit(link_of(m->path[i], i), n, memory_order_release);
        m->path[i] = n;
    }
    atomic_fetch_add_explicit(&m->count, 1, memory_order_relaxed);
}

int memtable_get(struct memtable *m, struct slice key, uint64_t sequence, struct slice *value)
{
    uint64_t tag = key_tag(sequence, KEY_TYPE_SEEK);
    struct node *n = find_from(m, key, tag);
    if (!n)
        return 0;
    struct parts found = take_apart(n);
    if (!slice_equal(key_user(found.key), key))
        return 0;
    if (key_type(found.key) == KEY_DELETE)
        return -ENOENT;
    *value = value_of(found);
    return 1;
}

/* ---- iterator */

struct memtable_iterator {
    struct iter base;
    struct memtable *mem;
    struct node *at;
};

static void show(struct memtable_iterator *it, struct node *n)
{
    it->at = n == it->mem->head ? NULL : n;
    it->base.valid = it->at != NULL;
    if (it->at) {
        fetch(it->at, 0); /* who goes through all waits for nothing else */
        struct parts parts = take_apart(it->at);
        it->base.key = parts.key;
        it->base.value = value_of(parts);
    }
}

static void it_seek(struct iter *base, struct slice target)
{
    struct memtable_iterator *it = (struct memtable_iterator *)base;
    show(it, find_from(it->mem, key_user(target), key_get_tag(target)));
}

static void it_first(struct iter *base)
{
    struct memtable_iterator *it = (struct memtable_iterator *)base;
    show(it, next_of(it->mem->head, 0));
}

static void it_last(struct iter *base)
{
    struct memtable_iterator *it = (struct memtable_iterator *)base;
    struct node *n = it->mem->head;
    for (int level = MAX_HEIGHT - 1; level >= 0; level--)
        for (struct node *next; (next = next_of(n, level));)
            n = next;
    show(it, n);
}

static void it_next(struct iter *base)
{
    struct memtable_iterator *it = (struct memtable_iterator *)base;
    assert(it->at);
    show(it, next_of(it->at, 0));
}

static void it_prev(struct iter *base)
{
    struct memtable_iterator *it = (struct memtable_iterator *)base;
    assert(it->at);
    show(it, find_before(it->mem, key_user(base->key), key_get_tag(base->key), NULL));
}

static void it_destroy(struct iter *base)
{
    struct memtable_iterator *it = (struct memtable_iterator *)base;
    memtable_unref(it->mem);
    free(it);
}

struct iter *memtable_iter(struct memtable *m)
{
    static const struct iter_ops ops = {it_seek, it_first, it_last, it_next, it_prev, it_destroy};
    struct memtable_iterator *it = mem_zalloc(sizeof *it);
    it->base.ops = &ops;
    it->mem = m;
    memtable_ref(m);
    return &it->base;
}
