/* See index_search.h. */
#include "index_search.h"

#include <stdlib.h>

#include "../memtable/key_format.h"

/* ---- making it */

/* Entry i begins where the one before it ended, and is whole. Its end goes to *end. */
static bool take_entry(const struct block *b, uint32_t i, uint32_t *end, struct slice *key,
                       struct index_place *place)
{
    struct block_handle h;
    struct slice value;
    uint32_t begin = *end;
    if (!block_restart_entry(b, i, key, &value) || key->data < b->data.data + begin)
        return false;
    *end = (uint32_t)(value.data + value.len - b->data.data);
    if (get_fixed32(b->data.data + b->restarts + 4 * (size_t)i) != begin ||
        !take_block_handle(&value, &h) || h.offset > UINT32_MAX || h.size > UINT32_MAX)
        return false;
    *place = (struct index_place){(uint32_t)h.offset, (uint32_t)h.size};
    return true;
}

static size_t alike_bytes(struct slice a, struct slice b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.data[n] == b.data[n])
        n++;
    return n;
}

/* The eight bytes of an internal key's user key from `skip` on, zeroes where it has no more: the
 * tag behind it is never less than what is read too much. */
static inline uint64_t number_of(struct slice ikey, size_t skip)
{
    size_t n = ikey.len - KEY_TAG_SIZE - skip;
    uint64_t v = bytes_as_number(ikey.data + skip);
    return n >= 8 ? v : n == 0 ? 0 : v & UINT64_MAX << (64 - 8 * n);
}

/* Places of all entries; false where one is not as it should be. The ends' keys tell what all begin
 * with, since they ascend; but not the very last one, which is as short as can be ("1" behind
 * "0999"). */
static bool take_entries(struct index_search *s, const struct block *b)
{
    struct slice first = {0}, before = {0}, key = {0};
    uint32_t end = 0;
    for (uint32_t i = 0; i < b->restart_count; i++, before = key) {
        if (!take_entry(b, i, &end, &key, &s->place[i]) ||
            (i > 0 && ikey_compare(before, key) >= 0))
            return false;
        if (i == 0)
            first = before = key;
        if (i + 1 == b->restart_count)
            s->alike = slice_of(first.data, alike_bytes(key_user(first), key_user(before)));
    }
    return end == b->restarts;
}

void index_search_init(struct index_search *s, const struct block *b)
{
    uint32_t n = b->restart_count;
    struct slice key, value;
    *s = (struct index_search){.block = b};
    if (n == 0 || b->restarts == 0)
        return;
    s->place = mem_alloc(n * sizeof *s->place);
    if (!take_entries(s, b)) {
        index_search_free(s);
        return;
    }
    s->number = mem_alloc(n * sizeof *s->number);
    for (uint32_t i = 0; i + 1 < n && block_restart_entry(b, i, &key, &value); i++)
        s->number[i] = number_of(key, s->alike.len);
    s->count = n;
}

void index_search_free(struct index_search *s)
{
    free(s->number);
    free(s->place);
    *s = (struct index_search){0};
}

size_t index_search_memory(const struct index_search *s)
{
    return s->count * (sizeof *s->number + sizeof *s->place);
}

/* ---- searching */

/* The first of n ascending numbers that is not below v. Which half it is in nobody could guess, so
 * there is no branch on it; the compiler makes one of a condition. */
static uint32_t first_not_below(const uint64_t *at, size_t n, uint64_t v)
{
    const uint64_t *from = at;
    if (n == 0)
        return 0;
    while (n > 1) {
        size_t half = n / 2;
        from += half & -(size_t)(from[half - 1] < v);
        n -= half;
    }
    return (uint32_t)(from - at) + (*from < v);
}

static bool is_before(const struct index_search *s, uint32_t i, struct slice ikey)
{
    struct slice key, value;
    return block_restart_entry(s->block, i, &key, &value) && ikey_compare(key, ikey) < 0;
}

/* The same among entries whose numbers are all v, and those behind them. */
static uint32_t among_equals(const struct index_search *s, uint32_t low, uint64_t v,
                             struct slice ikey)
{
    uint32_t high = s->count - 1;
    if (v < UINT64_MAX)
        high = low + first_not_below(s->number + low, high - low, v + 1);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (is_before(s, middle, ikey))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Among all but the last. */
static uint32_t find_inner(const struct index_search *s, struct slice ikey)
{
    struct slice user = key_user(ikey);
    if (user.len < s->alike.len || bytes_compare(user.data, s->alike.data, s->alike.len) != 0)
        return slice_compare(user, s->alike) < 0 ? 0 : s->count - 1;
    uint64_t v = number_of(ikey, s->alike.len);
    uint32_t i = first_not_below(s->number, s->count - 1, v);
    return i + 1 < s->count && s->number[i] == v ? among_equals(s, i, v, ikey) : i;
}

uint32_t index_search_find(const struct index_search *s, struct slice ikey)
{
    uint32_t i = find_inner(s, ikey);
    return i + 1 == s->count && is_before(s, i, ikey) ? s->count : i;
}
