/* fs_check: every record is read once, in key order, and what it says of an inode is added up; then
 * each inode's sums (sums.h) are compared with what it says itself. */
#include "fs_internal.h"

#include "../format/count_format.h"
#include "../format/record_text.h"
#include "sums.h"

struct walk {
    struct fs *fs;
    void (*report)(void *arg, const char *line);
    void *arg;
    int findings;
    struct sums_table sums;
    struct count_record count; /* what the last clean close counted */
    struct slice key, value;
    uint64_t chunk_ino, chunk_at; /* the last chunk: its blocks have no record of their own */
    uint16_t chunk_map;
    uint64_t block_ino, block_at; /* the last block that has one */
};

/* ---- findings */

static void tell(struct walk *w, char *line)
{
    w->findings++;
    w->report(w->arg, line);
    free(line);
}

static void tell_record(struct walk *w, const char *what)
{
    struct buf text = BUF_INIT;
    record_to_text(w->key, w->value, &text);
    tell(w, mem_printf("%s: %.*s", what, (int)text.len, text.data));
    buf_free(&text);
}

static void tell_inode(struct walk *w, const struct sums *s, const char *what)
{
    tell(w, mem_printf("inode %llu: %s", (unsigned long long)s->ino, what));
}

/* ---- the records */

static void take_inode(struct walk *w, uint64_t ino, const struct inode *i, bool embedded)
{
    struct sums *s = sums_of(&w->sums, ino);
    if (s->there) {
        tell_record(w, "an inode that is there twice");
        return;
    }
    s->there = true;
    s->embedded = embedded;
    s->type = i->mode & S_IFMT;
    s->cutting = i->flags & INODE_CUTTING;
    s->sparse = i->flags & INODE_SPARSE;
    s->has_attrs = i->flags & INODE_HAS_XATTR;
    s->has_chunks = i->flags & INODE_HAS_CHUNKS;
    s->nlink = i->nlink;
    s->size = i->size;
    s->blocks = i->blocks;
    s->entries_said = i->entries;
    s->parent = i->parent;
    if (ino >= w->fs->super.next_ino)
        tell_record(w, "an inode number that was never given");
}

static void take_entry(struct walk *w, uint64_t dir)
{
    enum entry_kind kind;
    struct inode i;
    uint64_t ino;
    size_t len = w->key.len - 9;
    if (len == 0 || len > FS_NAME_MAX || entry_decode(w->value, &ino, &kind, &i)) {
        tell_record(w, "a damaged entry");
        return;
    }
    if (ino == 0) {
        tell_record(w, "a damaged entry");
        inode_free(&i);
        return;
    }
    sums_of(&w->sums, dir)->entries++;
    if (kind == ENTRY_REFERENCE) {
        sums_of(&w->sums, ino)->references++;
        return;
    }
    take_inode(w, ino, &i, true);
    if (S_ISDIR(i.mode)) {
        sums_of(&w->sums, dir)->subdirs++;
        if (i.parent != dir)
            tell_record(w, "a directory whose '..' is another one");
    }
    inode_free(&i);
}

static void take_block(struct walk *w, uint64_t ino, uint64_t at)
{
    if (w->value.len < 1 || w->value.len > 1 + FS_BLOCK || w->value.data[0] != EXTENT_INLINE) {
        tell_record(w, "a damaged extent");
        return;
    }
    struct sums *s = sums_of(&w->sums, ino);
    s->extents++;
    s->end = at + (w->value.len > 1 ? w->value.len - 1 : 1); /* (zeroes are not stored) */
    w->block_ino = ino;
    w->block_at = at;
    if (w->chunk_ino == ino && w->chunk_map & chunk_bits(w->chunk_at, at, at + 1))
        tell_record(w, "a block that is stored twice");
}

/* What removes orphans goes on beside the walk, which sees the moment when it began. */
static bool is_there_still(struct walk *w, uint64_t ino, uint64_t at, const struct chunk *c)
{
    struct chunk now;
    return chunk_load(w->fs, ino, at, &now) == 0 && now.segment == c->segment &&
           now.place == c->place && now.map == c->map;
}

/* The place's record must say the same. */
static void check_owner(struct walk *w, uint64_t ino, uint64_t at, const struct chunk *c)
{
    struct place_owner o;
    int rc = place_load(w->fs, (struct segment_place){c->segment, c->place}, &o);
    if ((rc || o.ino != ino || o.offset != at) && is_there_still(w, ino, at, c))
        tell_record(w, "a chunk whose place is not known as its own");
}

static void check_chunk_data(struct walk *w, uint64_t ino, uint64_t at, const struct chunk *c)
{
    char block[FS_BLOCK];
    for (int i = 0; i < CHUNK_BLOCKS; i++) {
        uint64_t off = at + (uint64_t)i * FS_BLOCK;
        if (!(c->map >> i & 1) || chunk_read_block(w->fs, c, at, off, block) == 0)
            continue;
        char *why = mem_printf("%s", fail_text());
        if (is_there_still(w, ino, at, c))
            tell(w, mem_printf("inode %llu: its data at %llu cannot be read: %s",
                               (unsigned long long)ino, (unsigned long long)off, why));
        free(why);
        return; /* a line a chunk */
    }
}

static void take_chunk(struct walk *w, uint64_t ino, uint64_t at)
{
    struct chunk c;
    if (chunk_decode(&c, w->value)) {
        tell_record(w, "a damaged chunk");
        return;
    }
    struct sums *s = sums_of(&w->sums, ino);
    bool first_twice = w->block_ino == ino && w->block_at == at && c.map & 1;
    s->extents += (uint64_t)__builtin_popcount(c.map);
    s->chunks = true;
    uint64_t end = at + (uint64_t)(32 - __builtin_clz(c.map)) * FS_BLOCK;
    if (s->chunk_end < end)
        s->chunk_end = end;
    w->chunk_ino = ino;
    w->chunk_at = at;
    w->chunk_map = c.map;
    if (first_twice)
        tell_record(w, "a block that is stored twice");
    check_owner(w, ino, at, &c);
    check_chunk_data(w, ino, at, &c);
}

static void take_extent(struct walk *w, uint64_t ino)
{
    uint64_t number = w->key.len == 17 ? get_be64(w->key.data + 9) : 2;
    if (number % FS_BLOCK == 0)
        take_block(w, ino, number);
    else if (number % FS_CHUNK == 1)
        take_chunk(w, ino, number - 1);
    else
        tell_record(w, "a damaged extent");
}

/* A place in use is its chunk's. */
static void take_place(struct walk *w)
{
    struct segment_place at = {key_segment(w->key), key_place_of(w->key)};
    struct place_owner o;
    struct chunk c;
    if (at.offset == 0)
        return;
    if (place_owner_decode(&o, w->value))
        tell_record(w, "a damaged place");
    else if (place_chunk(w->fs, at, o, &c) && place_load(w->fs, at, &o) == 0) /* still */
        tell_record(w, "a place of a chunk that is not there");
}

/* What is freed must not be in use: its data would go. */
static void take_freed(struct walk *w)
{
    struct segment_place at = {key_segment(w->key), key_place_of(w->key)};
    struct place_owner o;
    struct chunk c;
    if (place_load(w->fs, at, &o) == 0 && place_chunk(w->fs, at, o, &c) == 0 &&
        c.map & key_freed_map(w->key))
        tell_record(w, "blocks of a chunk that count as free");
}

static void take_garbage(struct walk *w, uint64_t ino)
{
    struct garbage_record g;
    if (garbage_decode(&g, w->value)) {
        tell_record(w, "a damaged garbage record");
        return;
    }
    struct sums *s = sums_of(&w->sums, ino);
    s->garbage = true;
    s->cut = !g.gone;
}

/* Of what is there only a truncation under way has a garbage record. */
static bool is_taken_for_garbage(const struct sums *s)
{
    return s->garbage && !(s->cut && s->cutting);
}

static void take_own_inode(struct walk *w, uint64_t ino)
{
    struct inode i;
    if (inode_decode(&i, w->value)) {
        tell_record(w, "a damaged inode");
        return;
    }
    take_inode(w, ino, &i, false);
    inode_free(&i);
}

static void take_count(struct walk *w)
{
    if (count_decode(&w->count, w->value))
        tell_record(w, "a damaged record");
}

static void take_record(struct walk *w)
{
    char kind = w->key.len > 0 ? w->key.data[0] : 0;
    if (kind == KEY_SUPER && w->key.len == 1)
        return; /* fs_open has read it */
    if (kind == KEY_COUNT && w->key.len == 1) {
        take_count(w);
        return;
    }
    uint64_t ino = w->key.len >= 9 ? get_be64(w->key.data + 1) : 0;
    if (ino == 0)
        tell_record(w, "a record that is not of this filesystem");
    else if (kind == KEY_ENTRY)
        take_entry(w, ino);
    else if (kind == KEY_INODE && w->key.len == 9)
        take_own_inode(w, ino);
    else if (kind == KEY_EXTENT)
        take_extent(w, ino);
    else if (kind == KEY_XATTR && w->key.len > 9)
        sums_of(&w->sums, ino)->attrs++;
    else if (kind == KEY_GARBAGE && w->key.len == 9)
        take_garbage(w, ino);
    else if (kind == KEY_PLACE && w->key.len == 17)
        take_place(w);
    else if (kind == KEY_FREED && w->key.len == 19)
        take_freed(w);
    else
        tell_record(w, "a record that is not of this filesystem");
}

/* ---- the sums */

static void check_dir(struct walk *w, const struct sums *s)
{
    const struct sums *up = sums_find(&w->sums, s->parent);
    if (s->entries != s->entries_said)
        tell_inode(w, s, "the directory has not as many names as it says");
    if (s->nlink != 2 + s->subdirs)
        tell_inode(w, s, "the directory's link count is not 2 and one for each folder in it");
    if (!up || !up->there || !S_ISDIR(up->type))
        tell_inode(w, s, "the directory lies in one that is not there");
}

static void check_data(struct walk *w, const struct sums *s)
{
    if (s->extents > 0 && !S_ISREG(s->type))
        tell_inode(w, s, "data of what is no file");
    if (s->attrs > 0 && !s->has_attrs)
        tell_inode(w, s, "attributes by name that it does not know of");
    if (s->cutting)
        return;
    if (s->chunks && s->there && !s->has_chunks)
        tell_inode(w, s, "chunks that it does not know of");
    if (s->chunk_end > (s->size + FS_BLOCK - 1) / FS_BLOCK * FS_BLOCK)
        tell_inode(w, s, "data behind the end of the file");
    if (s->extents > 0 && s->end > s->size)
        tell_inode(w, s, "data behind the end of the file");
    if (s->blocks != s->extents * (FS_BLOCK / 512))
        tell_inode(w, s, "the file has not as many blocks as it says");
    if (S_ISREG(s->type) && !s->sparse && s->extents != (s->size + FS_BLOCK - 1) / FS_BLOCK)
        tell_inode(w, s, "blocks of the file are missing");
}

/* (The links of a directory are not names: check_dir.) */
static bool has_its_names(const struct sums *s)
{
    if (s->embedded)
        return s->references == 0 && (S_ISDIR(s->type) || s->nlink == 1);
    return s->ino == FS_ROOT || s->references == s->nlink;
}

static void check_inode(struct walk *w, const struct sums *s)
{
    if (!s->there) {
        if (s->references > 0)
            tell_inode(w, s, "a name of an inode that is not there");
        if (s->entries > 0)
            tell_inode(w, s, "names in a directory that is not there");
        if ((s->extents > 0 || s->attrs > 0) && !s->garbage)
            tell_inode(w, s, "data or attributes of an inode that is not there");
        return;
    }
    if (is_taken_for_garbage(s))
        tell_inode(w, s, "its data counts as garbage");
    if (!S_ISDIR(s->type) && s->entries > 0)
        tell_inode(w, s, "names in what is no directory");
    if (!has_its_names(s))
        tell_inode(w, s, "it has not as many names as it says");
    if (s->nlink == 0) /* what is open without a name has no record */
        tell_inode(w, s, "an inode without a name");
    if (S_ISDIR(s->type))
        check_dir(w, s);
    check_data(w, s);
}

/* A count that is older than the newest change is not used by anybody. */
static void check_count(struct walk *w)
{
    uint64_t there = 0;
    size_t i = 0;
    for (const struct sums *s; (s = sums_next(&w->sums, &i));)
        there += s->there;
    if (w->count.sequence == store_last_sequence(w->fs->store) && w->count.count != there)
        tell(w, mem_printf("%llu inodes are counted, and %llu are there",
                           (unsigned long long)w->count.count, (unsigned long long)there));
}

int fs_check(struct fs *fs, void (*report)(void *arg, const char *line), void *arg)
{
    struct walk w = {.fs = fs, .report = report, .arg = arg};
    w.findings = store_verify(fs->store, report, arg);
    struct iter *it = store_iter(fs->store, NULL);
    for (iter_first(it); it->valid; iter_next(it)) {
        w.key = it->key;
        w.value = it->value;
        take_record(&w);
    }
    int rc = it->status;
    iter_destroy(it);
    if (rc)
        tell(&w, mem_printf("the records cannot all be read: %s", fail_text()));
    size_t i = 0;
    for (const struct sums *s; rc == 0 && (s = sums_next(&w.sums, &i));)
        check_inode(&w, s);
    if (rc == 0)
        check_count(&w);
    sums_free(&w.sums);
    return w.findings;
}
