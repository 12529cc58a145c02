/* See shadow.h. */
#include "shadow.h"

#include <check.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCKS (SHADOW_SIZE / FS_BLOCK)

void shadow_fill(char *p, size_t n, uint64_t off, unsigned tag)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t at = off + i, h = (at / 512 + 1) * 0x9e3779b97f4a7c15u + tag * 0x94d049bb133111ebu;
        p[i] = (char)(1 + ((h >> 32) + at) % 255);
    }
}

void shadow_make(struct shadow *s, const char *name)
{
    memset(s, 0, sizeof *s);
    s->name = name;
    s->ino = make_file(FS_ROOT, name);
}

void shadow_find(struct shadow *s)
{
    s->ino = find(FS_ROOT, s->name);
}

void shadow_note_write(struct shadow *s, uint64_t off, const char *p, size_t n)
{
    memcpy(s->bytes + off, p, n);
    for (uint64_t b = off / FS_BLOCK; b <= (off + n - 1) / FS_BLOCK; b++)
        s->there[b] = true;
    if (s->size < off + n)
        s->size = off + n;
}

void shadow_write(struct shadow *s, uint64_t off, size_t n, unsigned tag)
{
    char *p = mem_alloc(n);
    shadow_fill(p, n, off, tag);
    write_at(s->ino, off, p, n);
    shadow_note_write(s, off, p, n);
    free(p);
}

void shadow_note_resize(struct shadow *s, uint64_t size)
{
    if (size < s->size)
        memset(s->bytes + size, 0, s->size - size);
    for (uint64_t b = (size + FS_BLOCK - 1) / FS_BLOCK; b < BLOCKS; b++)
        s->there[b] = false;
    s->size = size;
}

void shadow_resize(struct shadow *s, uint64_t size)
{
    set_size(s->ino, size);
    shadow_note_resize(s, size);
}

void shadow_punch(struct shadow *s, uint64_t off, uint64_t len)
{
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    ck_assert_int_eq(fs_fallocate(fs, s->ino, mode, off, len, false), 0);
    for (uint64_t i = off; i < off + len && i < s->size; i++)
        s->bytes[i] = 0;
    for (uint64_t b = (off + FS_BLOCK - 1) / FS_BLOCK; b < BLOCKS; b++)
        if ((b + 1) * FS_BLOCK <= off + len || (b * FS_BLOCK < off + len && off + len >= s->size))
            s->there[b] = false;
}

void shadow_copy(struct shadow *s, uint64_t from, uint64_t to, size_t n)
{
    char *p = mem_alloc(n);
    ck_assert_int_eq(fs_copy(fs, s->ino, from, s->ino, to, n, false), (ssize_t)n);
    memcpy(p, s->bytes + from, n);
    shadow_note_write(s, to, p, n);
    free(p);
}

/* [off, off + n) reads as it should; n may reach behind the end. */
static void expect_bytes(const struct shadow *s, uint64_t off, size_t n)
{
    static char got[SHADOW_SIZE + 1];
    size_t want = off >= s->size ? 0 : s->size - off < n ? (size_t)(s->size - off) : n;
    memset(got, 0x5a, n);
    ck_assert_int_eq(fs_read(fs, s->ino, got, n, off), (ssize_t)want);
    for (size_t i = 0; i < want; i++)
        if (got[i] != s->bytes[off + i])
            ck_abort_msg("%s, read of %zu at %llu: byte %llu is %d, not %d", s->name, n,
                         (unsigned long long)off, (unsigned long long)(off + i), got[i],
                         s->bytes[off + i]);
}

/* The first block at or behind `b` that is there (or not); the end where there is none. */
static uint64_t next_block(const struct shadow *s, uint64_t b, bool there)
{
    while (b * FS_BLOCK < s->size && s->there[b] != there)
        b++;
    return b;
}

static void expect_holes(const struct shadow *s)
{
    for (uint64_t b = 0; b * FS_BLOCK < s->size; b++) {
        uint64_t data = next_block(s, b, true), hole = next_block(s, b, false) * FS_BLOCK;
        int64_t want = data * FS_BLOCK < s->size ? (int64_t)(data * FS_BLOCK) : -ENXIO;
        ck_assert_int_eq(fs_seek(fs, s->ino, b * FS_BLOCK, SEEK_DATA), want);
        ck_assert_int_eq(fs_seek(fs, s->ino, b * FS_BLOCK, SEEK_HOLE),
                         (int64_t)(hole < s->size ? hole : s->size));
    }
}

void shadow_expect(const struct shadow *s)
{
    struct stat st = stat_of(s->ino);
    long blocks = 0;
    for (uint64_t b = 0; b < BLOCKS; b++)
        blocks += s->there[b] ? FS_BLOCK / 512 : 0;
    ck_assert_uint_eq((uint64_t)st.st_size, s->size);
    ck_assert_int_eq(st.st_blocks, blocks);
    expect_bytes(s, 0, SHADOW_SIZE + 1);
    for (uint64_t at = FS_BLOCK; at < SHADOW_SIZE; at += FS_BLOCK) { /* over each border */
        expect_bytes(s, at - 7, 8);
        expect_bytes(s, at - 1, FS_BLOCK + 2);
        expect_bytes(s, at, 1);
    }
    expect_holes(s);
}
