/* What is stored: keys sort as their numbers do, records come back as they were, and damaged ones
 * are refused without harm. */
#include <check.h>
#include <stdlib.h>

#include "../../store/tests/run_suite.h"
#include "../../store/base/crc.h"
#include "../format/chunk_format.h"
#include "../format/garbage_format.h"
#include "../format/inode_format.h"
#include "../format/keys_format.h"
#include "../format/record_text.h"
#include "../format/segment_format.h"
#include "../format/super_format.h"
#include "fixture.h"

static struct inode an_inode(mode_t mode)
{
    struct inode i = {.mode = mode,
                      .uid = 4294967294u,
                      .gid = 100,
                      .nlink = 3,
                      .size = 1ull << 40,
                      .blocks = 77,
                      .rdev = 0x10300,
                      .flags = INODE_SPARSE | INODE_HAS_XATTR,
                      .atime = {-5, 999999999},
                      .mtime = {1, 2},
                      .ctime = {1ll << 40, 0},
                      .btime = {3, 4}};
    if (S_ISDIR(mode)) {
        i.parent = 1ull << 63;
        i.entries = 1000000;
    } else if (S_ISLNK(mode)) {
        i.target = mem_printf("%s", "some/where");
    }
    return i;
}

static void expect_same(const struct inode *a, const struct inode *b)
{
    ck_assert_uint_eq(a->mode, b->mode);
    ck_assert_uint_eq(a->uid, b->uid);
    ck_assert_uint_eq(a->gid, b->gid);
    ck_assert_uint_eq(a->nlink, b->nlink);
    ck_assert_uint_eq(a->size, b->size);
    ck_assert_uint_eq(a->blocks, b->blocks);
    ck_assert_uint_eq(a->rdev, b->rdev);
    ck_assert_uint_eq(a->flags, b->flags);
    ck_assert_mem_eq(&a->atime, &b->atime, sizeof a->atime);
    ck_assert_mem_eq(&a->mtime, &b->mtime, sizeof a->mtime);
    ck_assert_mem_eq(&a->ctime, &b->ctime, sizeof a->ctime);
    ck_assert_mem_eq(&a->btime, &b->btime, sizeof a->btime);
    ck_assert_uint_eq(a->parent, b->parent);
    ck_assert_uint_eq(a->entries, b->entries);
    ck_assert_pstr_eq(a->target, b->target);
}

static const mode_t types[] = {S_IFREG | 0644,  S_IFDIR | 01777, S_IFLNK | 0777, S_IFCHR | 0600,
                               S_IFIFO | 06755, S_IFSOCK | 0,    S_IFBLK | 0660};
#define TYPES (int)(sizeof types / sizeof *types)

START_TEST(keys_sort_as_numbers_and_names_do)
{
    const uint64_t numbers[] = {0, 1, 255, 256, 65535, 1ull << 32, UINT64_MAX};
    struct fs_key last = key_of(KEY_EXTENT, 0);
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < 7; k++) {
            struct fs_key key = key_extent(numbers[i], numbers[k]);
            ck_assert_uint_eq(key.len, 17);
            ck_assert_uint_eq(get_be64(key.bytes + 1), numbers[i]);
            ck_assert_uint_eq(get_be64(key.bytes + 9), numbers[k]);
            ck_assert_int_gt(slice_compare(key_slice(&key), key_slice(&last)), 0);
            last = key;
        }
    struct fs_key a = key_named(KEY_ENTRY, 5, "a"), ab = key_named(KEY_ENTRY, 5, "ab"),
                  high = key_named(KEY_ENTRY, 5, "\xff"), next = key_of(KEY_ENTRY, 6);
    ck_assert_int_lt(slice_compare(key_slice(&a), key_slice(&ab)), 0);
    ck_assert_int_lt(slice_compare(key_slice(&ab), key_slice(&high)), 0);
    ck_assert_int_lt(slice_compare(key_slice(&high), key_slice(&next)), 0);
}
END_TEST

START_TEST(inodes_of_every_type_come_back)
{
    struct buf b = BUF_INIT;
    struct inode i = an_inode(types[_i]), back;
    inode_encode(&i, &b);
    ck_assert_int_eq(inode_decode(&back, buf_slice(&b)), 0);
    expect_same(&i, &back);
    inode_free(&back);
    inode_free(&i);
    buf_free(&b);
}
END_TEST

START_TEST(entries_of_both_kinds_come_back)
{
    struct buf b = BUF_INIT;
    struct inode i = an_inode(types[_i]), back;
    enum entry_kind kind;
    uint64_t ino;
    entry_encode_inode(1ull << 50, &i, &b);
    ck_assert_int_eq(entry_decode(buf_slice(&b), &ino, &kind, &back), 0);
    ck_assert_int_eq(kind, ENTRY_INODE);
    ck_assert_uint_eq(ino, 1ull << 50);
    expect_same(&i, &back);
    inode_free(&back);
    buf_clear(&b);
    entry_encode_reference(77, i.mode, &b);
    ck_assert_int_eq(entry_decode(buf_slice(&b), &ino, &kind, &back), 0);
    ck_assert_int_eq(kind, ENTRY_REFERENCE);
    ck_assert_uint_eq(ino, 77);
    ck_assert_uint_eq(back.mode, i.mode & S_IFMT);
    inode_free(&i);
    buf_free(&b);
}
END_TEST

START_TEST(the_superblock_and_garbage_records_come_back)
{
    struct super s = {SUPER_VERSION, 0, 1ull << 63, "0123456789abcdef", -7, 1ull << 40}, back;
    struct garbage_record g = {true, 1ull << 62}, g_back;
    struct buf b = BUF_INIT;
    super_encode(&s, &b);
    ck_assert_int_eq(super_decode(&back, buf_slice(&b)), 0);
    ck_assert_mem_eq(back.uuid, s.uuid, 16);
    ck_assert_int_eq(back.created, s.created);
    ck_assert_uint_eq(back.next_ino, s.next_ino);
    ck_assert_uint_eq(back.compatible, s.compatible);
    buf_clear(&b);
    garbage_encode(&g, &b);
    ck_assert_int_eq(garbage_decode(&g_back, buf_slice(&b)), 0);
    ck_assert(g_back.gone && g_back.from == g.from);
    buf_free(&b);
}
END_TEST

static struct chunk a_chunk(void)
{
    struct chunk c = {.segment = 1ull << 40, .place = (1ull << 50) + 4096, .map = 0x8001};
    for (int i = 0; i < CHUNK_BLOCKS; i++)
        c.crc[i] = 0xfedcba98u - (uint32_t)i;
    return c;
}

START_TEST(chunks_and_places_come_back)
{
    struct chunk c = a_chunk(), back;
    struct place_owner o = {1ull << 60, 7 * FS_CHUNK}, o_back;
    struct buf b = BUF_INIT;
    chunk_encode(&c, &b);
    ck_assert_int_eq(chunk_decode(&back, buf_slice(&b)), 0);
    ck_assert(back.segment == c.segment && back.place == c.place && back.map == c.map);
    ck_assert_mem_eq(back.crc, c.crc, sizeof c.crc);
    buf_append(&b, "", 1);
    ck_assert_int_eq(chunk_decode(&back, buf_slice(&b)), STORE_ECORRUPT);
    buf_clear(&b);
    place_owner_encode(o, &b);
    ck_assert_int_eq(place_owner_decode(&o_back, buf_slice(&b)), 0);
    ck_assert(o_back.ino == o.ino && o_back.offset == o.offset);
    buf_append(&b, "", 1);
    ck_assert_int_eq(place_owner_decode(&o_back, buf_slice(&b)), STORE_ECORRUPT);
    buf_free(&b);
}
END_TEST

START_TEST(a_chunk_names_a_place_and_blocks)
{
    struct chunk bad[] = {a_chunk(), a_chunk(), a_chunk(), a_chunk()}, back;
    bad[0].map = 0;
    bad[1].segment = 0;
    bad[2].place = 0;
    bad[3].place += 512;
    for (int i = 0; i < 4; i++) {
        struct buf b = BUF_INIT;
        chunk_encode(&bad[i], &b);
        ck_assert_int_eq(chunk_decode(&back, buf_slice(&b)), STORE_ECORRUPT);
        buf_free(&b);
    }
}
END_TEST

START_TEST(keys_of_chunks_and_places)
{
    struct fs_key block = key_extent(5, FS_CHUNK), chunk = key_chunk(5, FS_CHUNK),
                  second = key_extent(5, FS_CHUNK + FS_BLOCK), place = key_place(6, 1ull << 33),
                  freed = key_freed(6, 1ull << 33, 0x8421),
                  behind = key_freed(6, 1ull << 33, 0x8422);
    ck_assert_int_lt(slice_compare(key_slice(&block), key_slice(&chunk)), 0);
    ck_assert_int_lt(slice_compare(key_slice(&chunk), key_slice(&second)), 0);
    ck_assert_int_lt(slice_compare(key_slice(&freed), key_slice(&behind)), 0);
    ck_assert_uint_eq(key_segment(key_slice(&place)), 6);
    ck_assert_uint_eq(key_place_of(key_slice(&place)), 1ull << 33);
    ck_assert_uint_eq(key_segment(key_slice(&freed)), 6);
    ck_assert_uint_eq(key_place_of(key_slice(&freed)), 1ull << 33);
    ck_assert_uint_eq(key_freed_map(key_slice(&freed)), 0x8421);
}
END_TEST

START_TEST(bits_of_a_chunk_are_those_whose_blocks_begin_in_the_range)
{
    ck_assert_uint_eq(chunk_bits(FS_CHUNK, 0, UINT64_MAX), CHUNK_WHOLE);
    ck_assert_uint_eq(chunk_bits(FS_CHUNK, FS_CHUNK, FS_CHUNK + 1), 1);
    ck_assert_uint_eq(chunk_bits(FS_CHUNK, FS_CHUNK + 1, FS_CHUNK + FS_BLOCK), 0);
    ck_assert_uint_eq(chunk_bits(FS_CHUNK, FS_CHUNK + 1, FS_CHUNK + FS_BLOCK + 1), 2);
    ck_assert_uint_eq(chunk_bits(FS_CHUNK, 2 * FS_CHUNK - FS_BLOCK, UINT64_MAX), 0x8000);
    ck_assert_uint_eq(chunk_bits(FS_CHUNK, 0, FS_CHUNK), 0);
    ck_assert_uint_eq(chunk_bits(FS_CHUNK, 2 * FS_CHUNK, UINT64_MAX), 0);
    ck_assert_uint_eq(chunk_start(FS_CHUNK - 1), 0);
    ck_assert_uint_eq(chunk_start(FS_CHUNK + 1), FS_CHUNK);
    uint64_t last = chunk_start(INT64_MAX);
    ck_assert_uint_eq(chunk_bits(last, last, UINT64_MAX), CHUNK_WHOLE);
}
END_TEST

/* Each byte that counts, and the number. */
START_TEST(a_segments_header_is_its_own)
{
    char header[SEGMENT_HEADER];
    segment_header_encode(7, header);
    ck_assert_int_eq(segment_header_check("f.seg", 7, header), 0);
    ck_assert_int_eq(segment_header_check("f.seg", 8, header), STORE_ECORRUPT);
    for (int at = 0; at < 24; at++)
        for (int bit = 0; bit < 8; bit++) {
            header[at] ^= (char)(1 << bit);
            ck_assert_int_eq(segment_header_check("f.seg", 7, header), STORE_ECORRUPT);
            ck_assert_ptr_nonnull(strstr(fail_text(), "f.seg"));
            header[at] ^= (char)(1 << bit);
        }
    header[8] = 2;
    uint32_t crc = crc_mask(crc32c(header, 20));
    for (int i = 0; i < 4; i++)
        header[20 + i] = (char)(crc >> 8 * i);
    ck_assert_int_eq(segment_header_check("f.seg", 7, header), STORE_EFORMAT);
}
END_TEST

START_TEST(what_is_of_a_newer_format_is_refused_as_such)
{
    struct super s = {.version = SUPER_VERSION, .incompatible = 1ull << 60}, back;
    struct inode i = an_inode(S_IFREG), i_back;
    struct garbage_record g;
    enum entry_kind kind;
    uint64_t ino;
    struct buf b = BUF_INIT;
    super_encode(&s, &b);
    ck_assert_int_eq(super_decode(&back, buf_slice(&b)), STORE_EFORMAT);
    ck_assert_ptr_nonnull(strstr(fail_text(), "0x1000000000000000"));
    buf_clear(&b);
    s = (struct super){.version = SUPER_VERSION + 1};
    super_encode(&s, &b);
    ck_assert_int_eq(super_decode(&back, buf_slice(&b)), STORE_EFORMAT);
    buf_clear(&b);
    inode_encode(&i, &b);
    buf_append(&b, "x", 1);
    ck_assert_int_eq(inode_decode(&i_back, buf_slice(&b)), STORE_EFORMAT);
    b.len--;
    b.data[0]++;
    ck_assert_int_eq(inode_decode(&i_back, buf_slice(&b)), STORE_EFORMAT);
    buf_clear(&b);
    i.flags = 1u << 20;
    inode_encode(&i, &b);
    ck_assert_int_eq(inode_decode(&i_back, buf_slice(&b)), STORE_EFORMAT);
    ck_assert_int_eq(entry_decode(slice_of("\x07\x01", 2), &ino, &kind, &i_back), STORE_EFORMAT);
    ck_assert_int_eq(garbage_decode(&g, slice_of("\x02________", 9)), STORE_EFORMAT);
    buf_free(&b);
}
END_TEST

/* Decodes a copy that ends where its memory ends, so that a sanitizer sees a byte too far. */
static void decode_all(const char *bytes, size_t n)
{
    char *copy = mem_alloc(n ? n : 1);
    struct slice in = slice_of(copy, n);
    struct super s;
    struct garbage_record g;
    struct inode i;
    enum entry_kind kind;
    uint64_t ino;
    struct buf text = BUF_INIT;
    memcpy(copy, bytes, n);
    if (inode_decode(&i, in) == 0)
        inode_free(&i);
    if (entry_decode(in, &ino, &kind, &i) == 0)
        inode_free(&i);
    struct chunk c;
    struct place_owner o;
    super_decode(&s, in);
    garbage_decode(&g, in);
    chunk_decode(&c, in);
    place_owner_decode(&o, in);
    static unsigned turn;
    struct fs_key key = key_extent(5, 4096);
    key.bytes[0] = "SDIEXOZPF"[turn++ % 9];
    record_to_text(key_slice(&key), in, &text);
    record_to_text(in, in, &text);
    buf_free(&text);
    free(copy);
}

static void damage(struct buf *b, int (*decode)(struct slice))
{
    ck_assert_int_eq(decode(buf_slice(b)), 0);
    for (size_t n = 0; n < b->len; n++) {
        decode_all(b->data, n);
        ck_assert_msg(decode(slice_of(b->data, n)) < 0, "%zu of %zu bytes", n, b->len);
    }
    for (size_t at = 0; at < b->len; at++)
        for (int x = 1; x < 256; x++) {
            b->data[at] ^= (char)x;
            decode_all(b->data, b->len);
            b->data[at] ^= (char)x;
        }
    buf_clear(b);
}

static int as_inode(struct slice in)
{
    struct inode i;
    int rc = inode_decode(&i, in);
    if (rc == 0)
        inode_free(&i);
    return rc;
}

static int as_entry(struct slice in)
{
    struct inode i;
    enum entry_kind kind;
    uint64_t ino;
    int rc = entry_decode(in, &ino, &kind, &i);
    if (rc == 0)
        inode_free(&i);
    return rc;
}

static int as_super(struct slice in)
{
    struct super s;
    return super_decode(&s, in);
}

static int as_garbage(struct slice in)
{
    struct garbage_record g;
    return garbage_decode(&g, in);
}

static int as_chunk(struct slice in)
{
    struct chunk c;
    return chunk_decode(&c, in);
}

static int as_place(struct slice in)
{
    struct place_owner o;
    return place_owner_decode(&o, in);
}

START_TEST(cut_records_are_refused_and_flipped_bytes_do_no_harm)
{
    struct buf b = BUF_INIT;
    for (int t = 0; t < 3; t++) {
        struct inode i = an_inode(types[t]);
        inode_encode(&i, &b);
        damage(&b, as_inode);
        entry_encode_inode(300, &i, &b);
        damage(&b, as_entry);
        inode_free(&i);
    }
    entry_encode_reference(300, S_IFREG, &b);
    damage(&b, as_entry);
    super_encode(&(struct super){.version = SUPER_VERSION}, &b);
    damage(&b, as_super);
    garbage_encode(&(struct garbage_record){true, 5}, &b);
    damage(&b, as_garbage);
    struct chunk c = a_chunk();
    chunk_encode(&c, &b);
    damage(&b, as_chunk);
    place_owner_encode((struct place_owner){3, FS_CHUNK}, &b);
    damage(&b, as_place);
    buf_free(&b);
}
END_TEST

START_TEST(a_symlinks_target_with_a_zero_byte_is_damage_and_not_a_shorter_target)
{
    struct inode i = an_inode(S_IFLNK), got;
    struct buf b = BUF_INIT;
    inode_encode(&i, &b);
    b.data[b.len - 1] = 0;
    ck_assert_int_eq(inode_decode(&got, buf_slice(&b)), STORE_ECORRUPT);
    inode_free(&i);
    buf_free(&b);
}
END_TEST

START_TEST(random_bytes_do_no_harm)
{
    struct random r = {random_seed()};
    char bytes[64];
    int n = random_iterations(10000);
    for (int i = 0; i < n; i++) {
        size_t len = random_below(&r, sizeof bytes);
        for (size_t k = 0; k < len; k++)
            bytes[k] = (char)random_next(&r);
        if (len > 0 && i % 2)
            bytes[0] = 1; /* past the version */
        decode_all(bytes, len);
    }
}
END_TEST

START_TEST(records_read_as_text)
{
    struct buf value = BUF_INIT, text = BUF_INIT;
    struct inode i = an_inode(S_IFLNK | 0777);
    struct fs_key key = key_named(KEY_ENTRY, 1, "a\n\xff");
    entry_encode_inode(12, &i, &value);
    record_to_text(key_slice(&key), buf_slice(&value), &text);
    buf_append(&text, "", 1);
    ck_assert_ptr_nonnull(strstr(text.data, "D 1 a\\x0a\\xff: inode 12 mode 120777"));
    ck_assert_ptr_nonnull(strstr(text.data, "target some/where"));
    buf_clear(&text);
    key = key_extent(9, 8192);
    record_to_text(key_slice(&key), slice_of("\1abc", 4), &text);
    buf_append(&text, "", 1);
    ck_assert_str_eq(text.data, "E 9 8192: 4 bytes");
    inode_free(&i);
    buf_free(&value);
    buf_free(&text);
}
END_TEST

static void expect_reads(struct fs_key key, struct slice value, const char *want)
{
    struct buf text = BUF_INIT;
    record_to_text(key_slice(&key), value, &text);
    buf_append(&text, "", 1);
    ck_assert_str_eq(text.data, want);
    buf_free(&text);
}

START_TEST(records_of_chunks_read_as_text)
{
    struct chunk c = {.segment = 3, .place = 8192, .map = 0x80f1};
    struct buf b = BUF_INIT;
    chunk_encode(&c, &b);
    expect_reads(key_chunk(9, FS_CHUNK), buf_slice(&b),
                 "E 9 65537: chunk in segment 3 at 8192, blocks 80f1");
    expect_reads(key_chunk(9, FS_CHUNK), slice_of(b.data, 5),
                 "E 9 65537: damaged: a chunk's record of 5 bytes");
    buf_clear(&b);
    place_owner_encode((struct place_owner){9, FS_CHUNK}, &b);
    expect_reads(key_place(3, 8192), buf_slice(&b), "P 3 8192: chunk of inode 9 at 65536");
    expect_reads(key_place(3, 0), slice_of("", 0), "P 3 0: being written");
    expect_reads(key_place(3, 8192), slice_of("x", 1),
                 "P 3 8192: damaged: a place's record of 1 bytes");
    expect_reads(key_freed(3, 8192, 0x0f01), slice_of("", 0), "F 3 8192 blocks 0f01: not needed");
    buf_free(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("format");
    TCase *tc = tcase_create("format");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, keys_sort_as_numbers_and_names_do);
    tcase_add_loop_test(tc, inodes_of_every_type_come_back, 0, TYPES);
    tcase_add_loop_test(tc, entries_of_both_kinds_come_back, 0, TYPES);
    tcase_add_test(tc, the_superblock_and_garbage_records_come_back);
    tcase_add_test(tc, chunks_and_places_come_back);
    tcase_add_test(tc, a_chunk_names_a_place_and_blocks);
    tcase_add_test(tc, keys_of_chunks_and_places);
    tcase_add_test(tc, bits_of_a_chunk_are_those_whose_blocks_begin_in_the_range);
    tcase_add_test(tc, a_segments_header_is_its_own);
    tcase_add_test(tc, what_is_of_a_newer_format_is_refused_as_such);
    tcase_add_test(tc, cut_records_are_refused_and_flipped_bytes_do_no_harm);
    tcase_add_test(tc, a_symlinks_target_with_a_zero_byte_is_damage_and_not_a_shorter_target);
    tcase_add_test(tc, random_bytes_do_no_harm);
    tcase_add_test(tc, records_read_as_text);
    tcase_add_test(tc, records_of_chunks_read_as_text);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
