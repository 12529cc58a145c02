/* Tests of base/: bytes and buffers, integers in bytes, checksums, the words of failures. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/coding.h"
#include "../base/crc.h"
#include "../base/error.h"
#include "run_suite.h"
#include "sim_random.h"

/* ---- slices */

START_TEST(slices_compare_as_unsigned_bytes_and_a_prefix_comes_first)
{
    const char *in_order[] = {"", "a", "a\x01", "ab", "b", "\x7f", "\x80", "\xff"};
    int n = sizeof in_order / sizeof *in_order;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            struct slice a = slice_str(in_order[i]), b = slice_str(in_order[j]);
            int r = slice_compare(a, b);
            ck_assert_int_eq((r > 0) - (r < 0), (i > j) - (i < j));
            ck_assert_int_eq(slice_equal(a, b), i == j);
        }
    ck_assert(slice_starts_with(slice_str("abc"), slice_str("ab")));
    ck_assert(slice_starts_with(slice_str("abc"), slice_of(NULL, 0)));
    ck_assert(!slice_starts_with(slice_str("abc"), slice_str("b")));
    ck_assert(!slice_starts_with(slice_str("a"), slice_str("ab")));
}
END_TEST

/* ---- buffers */

START_TEST(a_buffer_keeps_its_bytes_and_grows_by_doubling)
{
    struct buf b = BUF_INIT;
    int growths = 0;
    for (size_t i = 0, cap = 0; i < 100000; i++) {
        char c = (char)(i * 7);
        buf_append(&b, &c, 1);
        growths += b.cap != cap;
        ck_assert(b.cap == cap || cap == 0 || b.cap == 2 * cap);
        cap = b.cap;
    }
    ck_assert_int_le(growths, 12);
    ck_assert_uint_eq(b.len, 100000);
    for (size_t i = 0; i < b.len; i++)
        ck_assert_int_eq(b.data[i], (char)(i * 7));
    buf_free(&b);
    ck_assert(!b.data && b.len == 0 && b.cap == 0);
}
END_TEST

START_TEST(reserve_makes_room_and_changes_no_length)
{
    struct buf b = BUF_INIT;
    ck_assert_ptr_nonnull(buf_reserve(&b, 0));
    memset(buf_reserve(&b, 5000), 'x', 5000);
    ck_assert_uint_eq(b.len, 0);
    ck_assert_uint_ge(b.cap, 5000);
    b.len = 10;
    ck_assert_ptr_eq(buf_reserve(&b, 1), b.data + 10);
    buf_free(&b);
}
END_TEST

START_TEST(set_replaces_and_clear_keeps_the_memory)
{
    struct buf b = BUF_INIT;
    buf_set(&b, slice_str("first"));
    buf_set(&b, slice_str("two"));
    ck_assert(slice_equal(buf_slice(&b), slice_str("two")));
    buf_append_slice(&b, slice_str("!"));
    ck_assert(slice_equal(buf_slice(&b), slice_str("two!")));
    char *data = b.data;
    buf_clear(&b);
    ck_assert(b.len == 0 && b.data == data);
    buf_free(&b);
}
END_TEST

START_TEST(memory_that_cannot_be_had_ends_the_process_with_one_line)
{
    int ends[2], status;
    char line[256];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        struct buf b = BUF_INIT;
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        buf_append(&b, "x", 1);
        buf_reserve(&b, SIZE_MAX);
        _exit(0);
    }
    close(ends[1]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ssize_t n = read(ends[0], line, sizeof line);
    close(ends[0]);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_int_gt(n, 0);
    ck_assert_ptr_nonnull(memmem(line, (size_t)n, "out of memory", 13));
    ck_assert_ptr_eq(memchr(line, '\n', (size_t)n), line + n - 1);
}
END_TEST

START_TEST(mem_printf_returns_the_whole_text)
{
    char *s = mem_printf("%s/%06d.log%500s", "dir", 7, "");
    ck_assert_uint_eq(strlen(s), 514);
    ck_assert_int_eq(strncmp(s, "dir/000007.log ", 15), 0);
    free(s);
    char *zeroes = mem_zalloc(100);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(zeroes[i], 0);
    free(zeroes);
    free(mem_alloc(0));
}
END_TEST

/* ---- integers in bytes */

START_TEST(fixed_integers_are_little_endian)
{
    char p[8];
    struct buf b = BUF_INIT;
    put_fixed16(p, 0xa1b2);
    ck_assert_mem_eq(p, "\xb2\xa1", 2);
    ck_assert_uint_eq(get_fixed16(p), 0xa1b2);
    buf_put_fixed32(&b, 0xa1b2c3d4u);
    buf_put_fixed64(&b, 0x8182838485868788ull);
    ck_assert_uint_eq(b.len, 12);
    ck_assert_mem_eq(b.data, "\xd4\xc3\xb2\xa1\x88\x87\x86\x85\x84\x83\x82\x81", 12);
    struct slice in = buf_slice(&b);
    uint32_t v32;
    uint64_t v64;
    ck_assert(take_fixed32(&in, &v32) && v32 == 0xa1b2c3d4u);
    ck_assert(take_fixed64(&in, &v64) && v64 == 0x8182838485868788ull);
    ck_assert(!take_fixed32(&in, &v32) && !take_fixed64(&in, &v64));
    buf_free(&b);
}
END_TEST

START_TEST(varints_have_these_bytes)
{
    static const struct {
        uint64_t v;
        const char *bytes;
        size_t len;
    } known[] = {
        {0, "\x00", 1},
        {1, "\x01", 1},
        {127, "\x7f", 1},
        {128, "\x80\x01", 2},
        {300, "\xac\x02", 2},
        {16384, "\x80\x80\x01", 3},
        {UINT32_MAX, "\xff\xff\xff\xff\x0f", 5},
        {UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct buf b = BUF_INIT;
        char p[10];
        buf_put_varint64(&b, known[i].v);
        ck_assert_uint_eq(b.len, known[i].len);
        ck_assert_mem_eq(b.data, known[i].bytes, b.len);
        ck_assert_uint_eq(varint_length(known[i].v), known[i].len);
        ck_assert_ptr_eq(put_varint64(p, known[i].v), p + known[i].len);
        ck_assert_mem_eq(p, known[i].bytes, b.len);
        if (known[i].v <= UINT32_MAX) {
            ck_assert_ptr_eq(put_varint32(p, (uint32_t)known[i].v), p + known[i].len);
            ck_assert_mem_eq(p, known[i].bytes, b.len);
        }
        buf_free(&b);
    }
}
END_TEST

START_TEST(varints_of_every_width_come_back_and_no_shorter_piece_is_one)
{
    for (int bits = 0; bits <= 64; bits++)
        for (int delta = -1; delta <= 1; delta++) {
            uint64_t v = (bits < 64 ? 1ull << bits : 0) + (uint64_t)delta, v64;
            uint32_t v32;
            struct buf b = BUF_INIT;
            buf_put_varint64(&b, v);
            struct slice in = buf_slice(&b);
            ck_assert(take_varint64(&in, &v64) && v64 == v && in.len == 0);
            in = buf_slice(&b);
            ck_assert_int_eq(take_varint32(&in, &v32), v <= UINT32_MAX);
            if (v <= UINT32_MAX)
                ck_assert(v32 == v && in.len == 0);
            for (size_t n = 0; n < b.len; n++) {
                in = slice_of(b.data, n);
                ck_assert(!take_varint64(&in, &v64));
                in = slice_of(b.data, n);
                ck_assert(!take_varint32(&in, &v32));
            }
            buf_free(&b);
        }
}
END_TEST

START_TEST(overlong_varints_are_refused)
{
    uint32_t v32;
    uint64_t v64;
    struct slice in = slice_of("\x80\x80\x80\x80\x80\x00", 6);
    ck_assert(!take_varint32(&in, &v32));
    in = slice_of("\xff\xff\xff\xff\x1f", 5);
    ck_assert(!take_varint32(&in, &v32));
    in = slice_of("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11);
    ck_assert(!take_varint64(&in, &v64));
    in = slice_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10);
    ck_assert(!take_varint64(&in, &v64));
}
END_TEST

START_TEST(prefixed_strings_come_back_and_short_ones_are_refused)
{
    struct buf b = BUF_INIT;
    struct slice in, s;
    char big[300];
    memset(big, 'b', sizeof big);
    buf_put_prefixed(&b, slice_of(big, sizeof big));
    buf_put_prefixed(&b, slice_of(NULL, 0));
    buf_put_prefixed(&b, slice_str("end"));
    ck_assert_uint_eq(b.len, 302 + 1 + 4);
    in = buf_slice(&b);
    ck_assert(take_prefixed(&in, &s) && slice_equal(s, slice_of(big, sizeof big)));
    ck_assert(take_prefixed(&in, &s) && s.len == 0);
    ck_assert(take_prefixed(&in, &s) && slice_equal(s, slice_str("end")));
    ck_assert_uint_eq(in.len, 0);
    for (size_t n = 0; n < 302; n++) {
        in = slice_of(b.data, n);
        ck_assert(!take_prefixed(&in, &s));
    }
    in = slice_str("abc");
    ck_assert(take_bytes(&in, 2, &s) && slice_equal(s, slice_str("ab")));
    ck_assert(!take_bytes(&in, 2, &s));
    buf_free(&b);
}
END_TEST

/* ---- checksums */

START_TEST(crc32c_of_the_standards_vectors)
{
    char p[32];
    memset(p, 0, sizeof p);
    ck_assert_uint_eq(crc32c(p, sizeof p), 0x8a9136aau);
    memset(p, 0xff, sizeof p);
    ck_assert_uint_eq(crc32c(p, sizeof p), 0x62a8ab43u);
    for (int i = 0; i < 32; i++)
        p[i] = (char)i;
    ck_assert_uint_eq(crc32c(p, sizeof p), 0x46dd794eu);
    for (int i = 0; i < 32; i++)
        p[i] = (char)(31 - i);
    ck_assert_uint_eq(crc32c(p, sizeof p), 0x113fdb5cu);
    ck_assert_uint_eq(crc32c("123456789", 9), 0xe3069283u);
    ck_assert_uint_eq(crc32c("", 0), 0);
}
END_TEST

START_TEST(crc32c_in_pieces_is_crc32c_of_the_whole)
{
    struct sim_random r = {1};
    char p[777];
    for (size_t i = 0; i < sizeof p; i++)
        p[i] = (char)sim_next(&r);
    for (size_t cut = 0; cut <= sizeof p; cut++) {
        uint32_t crc = crc32c_extend(crc32c(p, cut), p + cut, sizeof p - cut);
        ck_assert_uint_eq(crc, crc32c(p, sizeof p));
    }
}
END_TEST

START_TEST(masked_crcs_differ_and_come_back)
{
    struct sim_random r = {2};
    ck_assert_uint_eq(crc_mask(0), 0xa282ead8u);
    ck_assert_uint_eq(crc_mask(0x8000), 0xa282ead9u);
    for (int i = 0; i < 1000; i++) {
        uint32_t crc = (uint32_t)sim_next(&r);
        ck_assert_uint_ne(crc_mask(crc), crc);
        ck_assert_uint_ne(crc_mask(crc_mask(crc)), crc);
        ck_assert_uint_eq(crc_unmask(crc_mask(crc)), crc);
    }
}
END_TEST

/* ---- failures */

static void *fail_elsewhere(void *arg)
{
    (void)arg;
    ck_assert_str_eq(fail_text(), "");
    fail(-EIO, "another thread's");
    return NULL;
}

START_TEST(each_thread_has_the_words_of_its_own_last_failure)
{
    pthread_t other;
    ck_assert_int_eq(fail(-ENOENT, "%s: offset %d", "file", 7), -ENOENT);
    ck_assert_int_eq(pthread_create(&other, NULL, fail_elsewhere, NULL), 0);
    pthread_join(other, NULL);
    ck_assert_str_eq(fail_text(), "file: offset 7");
    ck_assert_int_eq(fail(STORE_ECORRUPT, "again, %s", fail_text()), STORE_ECORRUPT);
    ck_assert_str_eq(fail_text(), "again, file: offset 7");
}
END_TEST

START_TEST(long_words_are_cut_not_spilled)
{
    char *words = mem_printf("%2000s", "x");
    fail(-EIO, "%s", words);
    ck_assert_uint_eq(strlen(fail_text()), 511);
    free(words);
}
END_TEST

START_TEST(every_code_has_a_name)
{
    ck_assert_str_eq(fail_name(STORE_ECORRUPT), "damaged data");
    ck_assert_str_eq(fail_name(STORE_EFORMAT), "unknown format");
    ck_assert_str_eq(fail_name(-ENOSPC), strerror(ENOSPC));
    ck_assert_str_eq(fail_name(0), strerror(0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base");
    TCase *tc = tcase_create("base");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, slices_compare_as_unsigned_bytes_and_a_prefix_comes_first);
    tcase_add_test(tc, a_buffer_keeps_its_bytes_and_grows_by_doubling);
    tcase_add_test(tc, reserve_makes_room_and_changes_no_length);
    tcase_add_test(tc, set_replaces_and_clear_keeps_the_memory);
    tcase_add_test(tc, memory_that_cannot_be_had_ends_the_process_with_one_line);
    tcase_add_test(tc, mem_printf_returns_the_whole_text);
    tcase_add_test(tc, fixed_integers_are_little_endian);
    tcase_add_test(tc, varints_have_these_bytes);
    tcase_add_test(tc, varints_of_every_width_come_back_and_no_shorter_piece_is_one);
    tcase_add_test(tc, overlong_varints_are_refused);
    tcase_add_test(tc, prefixed_strings_come_back_and_short_ones_are_refused);
    tcase_add_test(tc, crc32c_of_the_standards_vectors);
    tcase_add_test(tc, crc32c_in_pieces_is_crc32c_of_the_whole);
    tcase_add_test(tc, masked_crcs_differ_and_come_back);
    tcase_add_test(tc, each_thread_has_the_words_of_its_own_last_failure);
    tcase_add_test(tc, long_words_are_cut_not_spilled);
    tcase_add_test(tc, every_code_has_a_name);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
