/* Internal keys, as LevelDB lays them out:
 *
 *     user key | fixed64le( sequence << 8 | type )
 *
 * Order: user key ascending, then the number descending: the newest version of a key comes first.
 */
#ifndef STORE_MEMTABLE_KEY_FORMAT_H
#define STORE_MEMTABLE_KEY_FORMAT_H

#include <assert.h>
#include "../base/coding.h"

enum key_type { KEY_DELETE = 0, KEY_PUT = 1 };
#define KEY_TYPE_SEEK KEY_PUT /* sorts before every entry of the same sequence */
#define KEY_MAX_SEQUENCE ((1ull << 56) - 1)
#define KEY_TAG_SIZE 8

static inline uint64_t key_tag(uint64_t sequence, enum key_type type)
{
    return sequence << 8 | (uint64_t)type;
}
static inline struct slice key_user(struct slice ikey)
{
    assert(ikey.len >= KEY_TAG_SIZE);
    return slice_of(ikey.data, ikey.len - KEY_TAG_SIZE);
}
static inline uint64_t key_get_tag(struct slice ikey)
{
    assert(ikey.len >= KEY_TAG_SIZE);
    return get_fixed64(ikey.data + ikey.len - KEY_TAG_SIZE);
}
static inline uint64_t key_sequence(struct slice ikey)
{
    return key_get_tag(ikey) >> 8;
}
static inline enum key_type key_type(struct slice ikey)
{
    return (enum key_type)(key_get_tag(ikey) & 0xff);
}
/* Appends user key and tag to b. */
static inline void buf_put_ikey(struct buf *b, struct slice user, uint64_t sequence,
                                enum key_type type)
{
    buf_append_slice(b, user);
    buf_put_fixed64(b, key_tag(sequence, type));
}
static inline int ikey_compare(struct slice a, struct slice b)
{
    int r = slice_compare(key_user(a), key_user(b));
    if (r == 0) {
        uint64_t ta = key_get_tag(a), tb = key_get_tag(b);
        r = ta > tb ? -1 : ta < tb;
    }
    return r;
}

#endif
