/* See check_store.h. */
#include "check_store.h"

#include <check.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../format/chunk_format.h"
#include "../format/garbage_format.h"
#include "../format/inode_format.h"
#include "../format/keys_format.h"
#include "../format/record_text.h"
#include "../format/super_format.h"

/* What the walk learns of one inode number. */
struct seen {
    bool there;      /* it has a record */
    bool embedded;   /* in an entry */
    uint64_t parent; /* of a directory: where its entry is */
    struct inode inode;
    uint64_t references, entries, subdirs, extents, xattrs, last_extent, chunks;
    uint64_t chunk_at, chunk_end; /* of the last one; where the last of its blocks ends */
    uint16_t chunk_map;
    uint64_t block_at; /* of the last block with a record of its own, and 1 */
    struct garbage_record garbage;
    bool has_garbage;
};

struct walk {
    struct fs *fs;
    struct super super;
    struct seen *at; /* by inode number */
    uint64_t chunks, places;
    struct slice key, value;
};

static const char *words(struct walk *w)
{
    static struct buf text;
    buf_clear(&text);
    record_to_text(w->key, w->value, &text);
    buf_append(&text, "", 1);
    return text.data;
}

/* Not ck_assert: each of those costs a write to a file, also where it holds. */
#define CHECK(w, condition)                                                                        \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("%s does not hold for: %s", #condition, words(w));                        \
    } while (0)

static struct seen *inode_at(struct walk *w, uint64_t ino)
{
    CHECK(w, ino >= FS_ROOT && ino < w->super.next_ino);
    return &w->at[ino];
}

static void take_inode(struct walk *w, struct seen *s, const struct inode *i, bool embedded)
{
    CHECK(w, !s->there);
    s->there = true;
    s->embedded = embedded;
    s->inode = *i;
    s->inode.target = NULL;
}

static void take_entry(struct walk *w, struct seen *dir)
{
    uint64_t ino;
    enum entry_kind kind;
    struct inode i;
    CHECK(w, entry_decode(w->value, &ino, &kind, &i) == 0);
    struct seen *s = inode_at(w, ino);
    dir->entries++;
    CHECK(w, w->key.len > 9 && w->key.len <= 9 + FS_NAME_MAX);
    if (kind == ENTRY_REFERENCE) {
        CHECK(w, !S_ISDIR(i.mode));
        s->references++;
        return;
    }
    take_inode(w, s, &i, true);
    if (S_ISDIR(i.mode)) {
        dir->subdirs++;
        s->parent = get_be64(w->key.data + 1);
        CHECK(w, i.parent == s->parent);
    } else {
        CHECK(w, i.nlink == 1);
    }
    inode_free(&i);
}

/* `I` keys come behind all `D` and `E` keys. */
static void take_own_key(struct walk *w, struct seen *s)
{
    struct inode i;
    CHECK(w, inode_decode(&i, w->value) == 0);
    take_inode(w, s, &i, false);
    if (s == &w->at[FS_ROOT]) {
        CHECK(w, S_ISDIR(i.mode) && i.parent == FS_ROOT);
    } else {
        CHECK(w, !S_ISDIR(i.mode));
        CHECK(w, i.nlink == s->references && i.nlink > 0);
    }
    inode_free(&i);
}

static void take_chunk(struct walk *w, struct seen *s, uint64_t at)
{
    struct chunk c;
    struct place_owner o = {0};
    struct buf value = BUF_INIT;
    CHECK(w, at % FS_CHUNK == 0);
    CHECK(w, chunk_decode(&c, w->value) == 0);
    CHECK(w, s->block_at != at + 1 || !(c.map & 1));
    struct fs_key key = key_place(c.segment, c.place);
    CHECK(w, store_get(fs_store(w->fs), NULL, key_slice(&key), &value) == 0);
    CHECK(w, place_owner_decode(&o, buf_slice(&value)) == 0);
    CHECK(w, o.offset == at && &w->at[o.ino] == s);
    buf_free(&value);
    s->extents += (uint64_t)__builtin_popcount(c.map);
    s->chunks++;
    s->chunk_at = at;
    s->chunk_map = c.map;
    s->chunk_end = at + (uint64_t)(32 - __builtin_clz(c.map)) * FS_BLOCK;
    w->chunks++;
}

static void take_extent(struct walk *w, struct seen *s)
{
    CHECK(w, w->key.len == 17);
    uint64_t at = get_be64(w->key.data + 9);
    if (at % FS_BLOCK == 1) {
        take_chunk(w, s, at - 1);
        return;
    }
    CHECK(w, at % FS_BLOCK == 0);
    CHECK(w, w->value.len >= 1 && w->value.len <= 1 + FS_BLOCK && w->value.data[0] == 1);
    CHECK(w, s->chunks == 0 || !(s->chunk_map & chunk_bits(s->chunk_at, at, at + 1)));
    s->extents++;
    s->block_at = at + 1;
    s->last_extent = at + w->value.len - 1; /* the end of what is not zero */
}

/* Each place is a chunk's: as many as there are chunks, and each chunk has found its own. */
static void take_place(struct walk *w)
{
    CHECK(w, w->key.len == 17);
    w->places += key_place_of(w->key) != 0;
}

static void take_record(struct walk *w)
{
    char kind = w->key.data[0];
    if (kind == KEY_SUPER || kind == KEY_COUNT)
        return;
    CHECK(w, w->key.len >= 9);
    if (kind == KEY_PLACE)
        take_place(w);
    if (kind == KEY_FREED)
        CHECK(w, w->key.len == 19);
    if (kind == KEY_PLACE || kind == KEY_FREED)
        return;
    struct seen *s = inode_at(w, get_be64(w->key.data + 1));
    switch (kind) {
    case KEY_ENTRY:
        take_entry(w, s);
        break;
    case KEY_INODE:
        take_own_key(w, s);
        break;
    case KEY_EXTENT:
        take_extent(w, s);
        break;
    case KEY_XATTR:
        s->xattrs++;
        break;
    case KEY_GARBAGE:
        CHECK(w, garbage_decode(&s->garbage, w->value) == 0);
        s->has_garbage = true;
        break;
    default:
        ck_abort_msg("an unknown record: %s", words(w));
    }
}

#define HOLDS(ino, condition)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("%s does not hold for inode %llu", #condition,                            \
                         (unsigned long long)(ino));                                               \
    } while (0)

static void check_dir(const struct walk *w, uint64_t ino)
{
    const struct seen *s = &w->at[ino];
    HOLDS(ino, s->inode.entries == s->entries);
    HOLDS(ino, s->inode.nlink == 2 + s->subdirs);
    uint64_t up = ino, steps = 0;
    while (up != FS_ROOT && steps++ < w->super.next_ino) {
        up = w->at[up].parent;
        HOLDS(ino, w->at[up].there && S_ISDIR(w->at[up].inode.mode));
    }
    HOLDS(ino, up == FS_ROOT);
}

static void check_data(const struct walk *w, uint64_t ino)
{
    const struct seen *s = &w->at[ino];
    uint64_t blocks = (s->inode.size + FS_BLOCK - 1) / FS_BLOCK;
    HOLDS(ino, s->extents == 0 || S_ISREG(s->inode.mode));
    if (!(s->inode.flags & INODE_CUTTING)) {
        HOLDS(ino, s->chunks == 0 || (s->inode.flags & INODE_HAS_CHUNKS));
        HOLDS(ino, s->chunk_end <= blocks * FS_BLOCK);
        HOLDS(ino, s->inode.blocks == s->extents * (FS_BLOCK / 512));
        HOLDS(ino, s->extents == 0 || s->last_extent <= s->inode.size);
        HOLDS(ino, s->extents <= blocks);
    }
    if (S_ISREG(s->inode.mode) && !(s->inode.flags & (INODE_SPARSE | INODE_CUTTING)))
        HOLDS(ino, s->extents == blocks);
    HOLDS(ino, s->xattrs == 0 || (s->inode.flags & INODE_HAS_XATTR));
}

static void check_inode(const struct walk *w, uint64_t ino, enum check_store_what what)
{
    const struct seen *s = &w->at[ino];
    HOLDS(ino, what == CHECK_GARBAGE_MAY_BE || !s->has_garbage);
    if (!s->there) {
        HOLDS(ino, s->entries == 0 && s->references == 0);
        HOLDS(ino, (s->extents == 0 && s->xattrs == 0) || (s->has_garbage && s->garbage.gone));
        return;
    }
    HOLDS(ino, !s->has_garbage || (!s->garbage.gone && (s->inode.flags & INODE_CUTTING)));
    HOLDS(ino, !s->embedded || s->references == 0);
    if (S_ISDIR(s->inode.mode))
        check_dir(w, ino);
    else
        HOLDS(ino, s->entries == 0);
    check_data(w, ino);
}

static void read_super(struct walk *w, struct fs *fs)
{
    struct fs_key key = key_super();
    struct buf value = BUF_INIT;
    ck_assert_int_eq(store_get(fs_store(fs), NULL, key_slice(&key), &value), 0);
    ck_assert_int_eq(super_decode(&w->super, buf_slice(&value)), 0);
    buf_free(&value);
}

/* After a crash somebody is still counting, for a moment. */
static void expect_count(struct fs *fs, uint64_t there)
{
    struct statvfs sv;
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(fs_statfs(fs, &sv), 0);
        if (sv.f_files - sv.f_ffree == there)
            return;
        usleep(5000);
    }
    ck_abort_msg("statvfs counts %llu inodes, and %llu are there",
                 (unsigned long long)(sv.f_files - sv.f_ffree), (unsigned long long)there);
}

void check_store(struct fs *fs, enum check_store_what what)
{
    struct walk w = {.fs = fs};
    read_super(&w, fs);
    w.at = mem_zalloc(w.super.next_ino * sizeof *w.at);
    struct iter *it = store_iter(fs_store(fs), NULL);
    for (iter_first(it); it->valid; iter_next(it)) {
        w.key = it->key;
        w.value = it->value;
        take_record(&w);
    }
    ck_assert_int_eq(it->status, 0);
    iter_destroy(it);
    ck_assert(w.at[FS_ROOT].there);
    for (uint64_t ino = FS_ROOT; ino < w.super.next_ino; ino++)
        check_inode(&w, ino, what);
    ck_assert_uint_eq(w.chunks, w.places);
    uint64_t there = 0;
    for (uint64_t ino = FS_ROOT; ino < w.super.next_ino; ino++)
        there += w.at[ino].there;
    if (what == CHECK_NOTHING_OPEN)
        expect_count(fs, there);
    free(w.at);
}
