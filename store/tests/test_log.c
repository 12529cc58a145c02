/* Tests of the log: its bytes, and that its reader never returns a wrong record nor one from behind
 * damage. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/coding.h"
#include "../base/crc.h"
#include "../base/error.h"
#include "../log/log_format.h"
#include "../log/log_reader.h"
#include "../log/log_writer.h"
#include "run_suite.h"
#include "sim_random.h"
#include "temp_dir.h"

/* ---- an environment that counts, and fails on demand */

static struct env *disk;     /* the real one */
static struct env counting;  /* in front of it */
static struct env_ops calls; /* of `counting` */
static int writes;
static int fail_read_after; /* reads that succeed, then they fail; -1: all succeed */
static bool fail_writes;

static int counted_pwrite(struct env *e, struct env_file *f, const void *p, size_t n, uint64_t off)
{
    (void)e;
    writes++;
    return fail_writes ? fail(-ENOSPC, "no space, says the test") : env_pwrite(disk, f, p, n, off);
}

static ssize_t counted_pread(struct env *e, struct env_file *f, void *p, size_t n, uint64_t off)
{
    (void)e;
    if (fail_read_after == 0)
        return fail(-EIO, "no read, says the test");
    fail_read_after -= fail_read_after > 0;
    return env_pread(disk, f, p, n, off);
}

/* ---- a log under test */

#define MAX_RECORDS 600

static struct env_file *file;
static struct log_writer writer;
static struct record {
    struct buf bytes;
    uint64_t end; /* behind it in the file */
} written[MAX_RECORDS];
static size_t written_count;

static void new_log(void)
{
    int flags = ENV_WRITE | ENV_CREATE | ENV_TRUNCATE;
    if (file)
        env_close(disk, file);
    ck_assert_int_eq(env_open(disk, temp_path("log"), flags, &file), 0);
    log_writer_free(&writer);
    log_writer_init(&writer, &counting, file);
    for (size_t i = 0; i < written_count; i++)
        buf_free(&written[i].bytes);
    written_count = 0;
}

static void setup(void)
{
    disk = env_posix();
    calls = *disk->ops;
    calls.pwrite = counted_pwrite;
    calls.pread = counted_pread;
    counting.ops = &calls;
    fail_read_after = -1;
    fail_writes = false;
    temp_dir_clear();
    new_log();
}

static void teardown(void)
{
    new_log();
    env_close(disk, file);
    file = NULL;
    log_writer_free(&writer);
}

static void append(struct slice bytes)
{
    struct record *r = &written[written_count++];
    ck_assert_uint_le(written_count, MAX_RECORDS);
    buf_set(&r->bytes, bytes);
    ck_assert_int_eq(log_append(&writer, bytes), 0);
    r->end = writer.end;
}

static void append_random(struct sim_random *r, size_t len)
{
    char *p = mem_alloc(len);
    for (size_t i = 0; i < len; i++)
        p[i] = (char)sim_next(r);
    append(slice_of(p, len));
    free(p);
}

/* Fills up so that `left` bytes are left in the block. */
static void leave_in_block(size_t left)
{
    size_t len = LOG_BLOCK_SIZE - (size_t)(writer.end % LOG_BLOCK_SIZE) - LOG_HEADER_SIZE - left;
    char *p = mem_alloc(len);
    memset(p, 'f', len);
    append(slice_of(p, len));
    free(p);
    ck_assert_uint_eq((writer.end + left) % LOG_BLOCK_SIZE, 0);
}

static uint64_t file_size(void)
{
    uint64_t size;
    ck_assert_int_eq(env_size(disk, file, &size), 0);
    return size;
}

static void put_bytes(uint64_t off, const void *p, size_t n)
{
    ck_assert_int_eq(env_pwrite(disk, file, p, n, off), 0);
}

/* How many of the written records lie wholly below `off`. */
static size_t records_below(uint64_t off)
{
    size_t n = 0;
    while (n < written_count && written[n].end <= off)
        n++;
    return n;
}

/* Reads the log: its records must be the first ones written. Returns how many; *end how it ended.
 */
static size_t read_all(enum log_end *end, char reason[128])
{
    struct log_reader r;
    struct slice record;
    size_t n = 0;
    int got;
    ck_assert_int_eq(log_reader_open(&r, &counting, temp_path("log")), 0);
    while ((got = log_read(&r, &record)) == 1) {
        ck_assert_int_eq(r.end, LOG_END_NONE);
        if (n >= written_count || !slice_equal(record, buf_slice(&written[n].bytes)))
            ck_abort_msg("record %zu is not what was written", n);
        ck_assert_uint_eq(r.record_end, written[n].end);
        ck_assert_uint_lt(r.record_pos, r.record_end);
        ck_assert_uint_ge(r.record_pos, n ? written[n - 1].end : 0);
        n++;
    }
    ck_assert_int_eq(got, 0);
    ck_assert_int_ne(r.end, LOG_END_NONE);
    ck_assert_int_eq(r.reason[0] != 0, r.end == LOG_END_TORN);
    ck_assert_int_eq(log_read(&r, &record), 0); /* and stays there */
    *end = r.end;
    if (reason)
        memcpy(reason, r.reason, sizeof r.reason);
    log_reader_close(&r);
    return n;
}

static void assert_reads(size_t count, enum log_end expected, uint64_t where)
{
    enum log_end end;
    char reason[128];
    size_t n = read_all(&end, reason);
    ck_assert_msg(n == count && end == expected,
                  "at %llu: %zu records, expected %zu; end %d \"%s\"", (unsigned long long)where, n,
                  count, end, reason);
}

static void assert_clean(void)
{
    assert_reads(written_count, LOG_END_CLEAN, file_size());
}

/* ---- the bytes */

START_TEST(a_record_has_these_bytes)
{
    char bytes[LOG_HEADER_SIZE + 5];
    append(slice_str("hello"));
    ck_assert_uint_eq(writer.end, sizeof bytes);
    ck_assert_int_eq(env_pread(disk, file, bytes, sizeof bytes, 0), sizeof bytes);
    ck_assert_uint_eq(get_fixed32(bytes), crc_mask(crc32c("\1hello", 6)));
    ck_assert_mem_eq(bytes + 4, "\5\0\1hello", 8);
    assert_clean();
}
END_TEST

START_TEST(an_empty_file_is_a_clean_log)
{
    assert_clean();
}
END_TEST

START_TEST(a_missing_log_is_an_error)
{
    struct log_reader r;
    ck_assert_int_eq(log_reader_open(&r, disk, temp_path("none")), -ENOENT);
}
END_TEST

START_TEST(empty_records_are_records)
{
    append(slice_of(NULL, 0));
    append(slice_str("x"));
    append(slice_of(NULL, 0));
    ck_assert_uint_eq(writer.end, 3 * LOG_HEADER_SIZE + 1);
    assert_clean();
}
END_TEST

START_TEST(records_at_every_distance_from_a_blocks_end)
{
    for (size_t left = 0; left <= 20; left++)
        for (size_t len = 0; len <= 20; len++) {
            struct sim_random r = {left * 100 + len};
            new_log();
            leave_in_block(left);
            append_random(&r, len);
            append(slice_str("behind"));
            assert_clean();
        }
}
END_TEST

START_TEST(a_trailer_too_short_for_a_header_is_zeroes)
{
    char trailer[6];
    leave_in_block(6);
    append(slice_str("next block"));
    ck_assert_int_eq(env_pread(disk, file, trailer, 6, LOG_BLOCK_SIZE - 6), 6);
    ck_assert_mem_eq(trailer, "\0\0\0\0\0\0", 6);
    ck_assert_uint_eq(writer.end, LOG_BLOCK_SIZE + LOG_HEADER_SIZE + 10);
    assert_clean();
}
END_TEST

START_TEST(seven_bytes_left_take_a_first_fragment_without_data)
{
    char header[LOG_HEADER_SIZE];
    leave_in_block(7);
    append(slice_str("next block"));
    ck_assert_int_eq(env_pread(disk, file, header, 7, LOG_BLOCK_SIZE - 7), 7);
    ck_assert_uint_eq(get_fixed16(header + 4), 0);
    ck_assert_int_eq(header[6], LOG_FIRST);
    assert_clean();
}
END_TEST

START_TEST(random_records_come_back)
{
    uint64_t seed = sim_env_number("SEED", 1), rounds = sim_env_number("ITERATIONS", 10);
    printf("random_records_come_back: SEED=%llu\n", (unsigned long long)seed);
    struct sim_random r = {seed};
    for (uint64_t i = 0; i < rounds; i++) {
        bool ahead = sim_chance(&r, 50);
        new_log();
        for (size_t n = sim_below(&r, 60); n > 0; n--) {
            if (ahead)
                ck_assert_int_eq(log_zero_ahead(&writer, sim_below(&r, 100000), 100000, LOG_LARGE),
                                 0);
            append_random(&r, sim_below(&r, sim_chance(&r, 50) ? 300 : 200 << 10));
        }
        assert_clean();
        if (sim_chance(&r, 50)) {
            ck_assert_int_eq(log_trim(&writer), 0);
            ck_assert_uint_eq(file_size(), writer.end);
            assert_clean();
        }
    }
}
END_TEST

/* ---- the writer's calls */

START_TEST(a_record_is_one_write_however_long)
{
    struct sim_random r = {1};
    writes = 0;
    append_random(&r, 10);
    ck_assert_int_eq(writes, 1);
    append_random(&r, 5 * LOG_BLOCK_SIZE);
    ck_assert_int_eq(writes, 2);
}
END_TEST

START_TEST(zeroes_ahead_are_written_once_and_overwritten_in_place)
{
    char zeroes[4096] = {0}, found[4096];
    append(slice_str("before"));
    writes = 0;
    ck_assert_int_eq(log_zero_ahead(&writer, 1000, 4096, LOG_LARGE), 0);
    ck_assert_int_eq(writes, 1);
    ck_assert_uint_eq(file_size(), writer.end + 4096);
    ck_assert_int_eq(env_pread(disk, file, found, 4096, writer.end), 4096);
    ck_assert_mem_eq(found, zeroes, 4096);
    assert_clean();

    uint64_t size = file_size();
    for (int i = 0; i < 30; i++) {
        char text[100] = "x";
        ck_assert_int_eq(log_zero_ahead(&writer, 1000, 4096, LOG_LARGE), 0);
        append(slice_of(text, sizeof text));
        assert_clean();
        if (writer.end + 1000 <= size)
            ck_assert_uint_eq(file_size(), size);
    }
    ck_assert_uint_gt(file_size(), size); /* it had to go on once */
    ck_assert_int_eq(writes, 1 + 30 + 1);
}
END_TEST

START_TEST(low_zeroes_are_always_there_after_zero_ahead)
{
    struct sim_random r = {3};
    for (int i = 0; i < 300; i++) {
        size_t low = sim_below(&r, 5000), len = sim_below(&r, 3000);
        ck_assert_int_eq(log_zero_ahead(&writer, low, 5000, LOG_LARGE), 0);
        ck_assert_uint_ge(file_size(), writer.end + low);
        append_random(&r, len);
        ck_assert(writer.zeroed == 0 || writer.zeroed > writer.end);
    }
    assert_clean();
}
END_TEST

START_TEST(trim_cuts_the_zeroes_and_only_them)
{
    append(slice_str("one"));
    ck_assert_int_eq(log_trim(&writer), 0);
    ck_assert_uint_eq(file_size(), writer.end);
    ck_assert_int_eq(log_zero_ahead(&writer, 1, 10000, LOG_LARGE), 0);
    append(slice_str("two"));
    ck_assert_int_eq(log_trim(&writer), 0);
    ck_assert_uint_eq(file_size(), writer.end);
    append(slice_str("three"));
    ck_assert_int_eq(log_zero_ahead(&writer, 1, 100, LOG_LARGE), 0);
    ck_assert_uint_eq(file_size(), writer.end + 100);
    assert_clean();
}
END_TEST

START_TEST(a_failed_append_is_reported_and_moves_no_end)
{
    append(slice_str("one"));
    uint64_t end = writer.end;
    fail_writes = true;
    ck_assert_int_eq(log_append(&writer, slice_str("two")), -ENOSPC);
    ck_assert_uint_eq(writer.end, end);
    ck_assert_int_eq(log_zero_ahead(&writer, 1, 100, LOG_LARGE), -ENOSPC);
    ck_assert_uint_eq(writer.zeroed, 0);
}
END_TEST

/* ---- damage */

/* Small: little more than a block, with its trailer. Else several blocks, with an empty FIRST and a
 * record of many fragments. */
static void write_log(bool small)
{
    struct sim_random r = {42};
    new_log();
    append_random(&r, 100);
    append_random(&r, 0);
    append_random(&r, 1000);
    leave_in_block(3);
    append_random(&r, 50);
    if (!small) {
        leave_in_block(7);
        append_random(&r, 3 * LOG_BLOCK_SIZE + 500);
    }
    append_random(&r, 0);
    append_random(&r, 20);
}

static char *whole_file(size_t *len)
{
    *len = (size_t)file_size();
    char *p = mem_alloc(*len);
    ck_assert_int_eq(env_pread(disk, file, p, *len, 0), (ssize_t)*len);
    return p;
}

static bool all_zero(const char *p, size_t from, size_t to)
{
    for (; from < to; from++)
        if (p[from])
            return false;
    return true;
}

START_TEST(a_log_cut_anywhere_gives_its_whole_records_and_tells_if_it_was_cut)
{
    for (int small = 0; small < 2; small++) {
        size_t len;
        write_log(small);
        char *bytes = whole_file(&len);
        for (size_t cut = len;; cut -= small || cut < 61 ? 1 : 61) {
            ck_assert_int_eq(env_truncate(disk, file, cut), 0);
            size_t n = records_below(cut);
            bool clean = all_zero(bytes, n ? written[n - 1].end : 0, cut);
            assert_reads(n, clean ? LOG_END_CLEAN : LOG_END_TORN, cut);
            if (cut == 0)
                break;
        }
        free(bytes);
    }
}
END_TEST

START_TEST(a_log_whose_tail_never_left_the_zeroes_gives_its_whole_records)
{
    size_t len;
    write_log(true);
    char *bytes = whole_file(&len), *zeroes = mem_zalloc(len);
    for (size_t cut = len; cut-- > 0;) {
        put_bytes(cut, zeroes, 1);
        size_t n = records_below(cut);
        /* zeroes at a record's very end may be its own bytes */
        while (n < written_count && all_zero(bytes, cut, written[n].end))
            n++;
        bool clean = all_zero(bytes, n ? written[n - 1].end : 0, cut);
        assert_reads(n, clean ? LOG_END_CLEAN : LOG_END_TORN, cut);
    }
    free(zeroes);
    free(bytes);
}
END_TEST

START_TEST(any_changed_byte_ends_the_log_before_it)
{
    for (int small = 0; small < 2; small++) {
        size_t len;
        write_log(small);
        ck_assert_int_eq(log_zero_ahead(&writer, 1, 300, LOG_LARGE), 0);
        char *bytes = whole_file(&len);
        for (size_t at = 0; at < len; at += small ? 1 : 61) {
            char flipped = (char)(bytes[at] ^ (at % 3 ? 1 << at % 8 : 0xff));
            put_bytes(at, &flipped, 1);
            assert_reads(records_below(at), LOG_END_TORN, at);
            put_bytes(at, &bytes[at], 1);
        }
        assert_clean();
        free(bytes);
    }
}
END_TEST

START_TEST(a_page_or_block_that_never_reached_the_disk_ends_the_log_before_it)
{
    static const size_t sizes[] = {512, 4096, LOG_BLOCK_SIZE};
    size_t len;
    struct sim_random r = {9};
    for (int i = 0; i < 500; i++)
        append_random(&r, sim_below(&r, 700));
    char *bytes = whole_file(&len), *zeroes = mem_zalloc(LOG_BLOCK_SIZE);
    for (int i = 0; i < 3; i++)
        for (size_t at = 0; at + sizes[i] < len; at += sizes[i]) {
            put_bytes(at, zeroes, sizes[i]);
            assert_reads(records_below(at), LOG_END_TORN, at);
            put_bytes(at, bytes + at, sizes[i]);
        }
    free(zeroes);
    free(bytes);
}
END_TEST

START_TEST(bytes_far_behind_zeroes_are_told)
{
    append(slice_str("one"));
    ck_assert_int_eq(log_zero_ahead(&writer, 1, 5 * LOG_BLOCK_SIZE, LOG_LARGE), 0);
    assert_clean();
    put_bytes(file_size() - 1, "x", 1);
    assert_reads(1, LOG_END_TORN, 0);
    put_bytes(file_size() - 1, "", 1);
    put_bytes(3 * LOG_BLOCK_SIZE, "x", 1);
    assert_reads(1, LOG_END_TORN, 0);
}
END_TEST

/* ---- fragments in an order that no writer leaves */

static size_t put_fragment(size_t at, int type, const char *data)
{
    char p[64];
    size_t len = strlen(data);
    put_fixed16(p + 4, (uint16_t)len);
    p[6] = (char)type;
    memcpy(p + 7, data, len);
    put_fixed32(p, crc_mask(crc32c(p + 6, len + 1)));
    put_bytes(at, p, 7 + len);
    return at + 7 + len;
}

START_TEST(fragments_out_of_order_or_of_unknown_kind_end_the_log)
{
    static const struct {
        const char *reason;
        int types[4];
    } cases[] = {
        {"a fragment without its start", {LOG_MIDDLE, LOG_LAST, -1}},
        {"a fragment without its start", {LOG_LAST, LOG_FULL, -1}},
        {"a record inside another", {LOG_FIRST, LOG_FIRST, LOG_LAST, -1}},
        {"a record inside another", {LOG_FIRST, LOG_MIDDLE, LOG_FULL, -1}},
        {"the log ends inside a record", {LOG_FIRST, -1}},
        {"the log ends inside a record", {LOG_FIRST, LOG_MIDDLE, -1}},
        {"an unknown kind of fragment", {5, LOG_FULL, -1}},
        {"an unknown kind of fragment", {LOG_ZERO, LOG_FULL, -1}},
        {"an unknown kind of fragment", {LOG_FIRST, 129, -1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char reason[128];
        enum log_end end;
        new_log();
        append(slice_str("whole"));
        size_t at = writer.end;
        for (int k = 0; k < 4 && cases[i].types[k] >= 0; k++)
            at = put_fragment(at, cases[i].types[k], "data");
        ck_assert_uint_eq(read_all(&end, reason), 1);
        ck_assert_int_eq(end, LOG_END_TORN);
        ck_assert_str_eq(reason, cases[i].reason);
    }
}
END_TEST

START_TEST(leveldbs_fragmented_records_are_read)
{
    struct record *r = &written[0];
    size_t at = put_fragment(0, LOG_FIRST, "");
    at = put_fragment(at, LOG_MIDDLE, "he");
    at = put_fragment(at, LOG_MIDDLE, "");
    r->end = put_fragment(at, LOG_LAST, "llo");
    buf_set(&r->bytes, slice_str("hello"));
    written_count = 1;
    assert_clean();
}
END_TEST

START_TEST(a_fragment_that_crosses_its_block_ends_the_log)
{
    enum log_end end;
    char reason[128], *p = mem_zalloc(LOG_BLOCK_SIZE);
    append(slice_str("whole"));
    size_t at = writer.end, len = LOG_BLOCK_SIZE - LOG_HEADER_SIZE - at + 1;
    put_fixed16(p + 4, (uint16_t)len);
    p[6] = LOG_FULL;
    put_fixed32(p, crc_mask(crc32c(p + 6, len + 1)));
    put_bytes(at, p, LOG_HEADER_SIZE + len);
    ck_assert_uint_eq(read_all(&end, reason), 1);
    ck_assert_str_eq(reason, "a length that crosses its block");
    free(p);
}
END_TEST

START_TEST(a_record_that_stops_at_a_blocks_end_ends_the_log)
{
    struct sim_random r = {1};
    append(slice_str("whole"));
    append_random(&r, 2 * LOG_BLOCK_SIZE);
    ck_assert_int_eq(env_truncate(disk, file, LOG_BLOCK_SIZE), 0);
    assert_reads(1, LOG_END_TORN, 0);
    ck_assert_int_eq(env_truncate(disk, file, 2 * LOG_BLOCK_SIZE), 0); /* and zeroes behind it */
    assert_reads(1, LOG_END_TORN, 0);
}
END_TEST

START_TEST(the_disks_error_is_no_end)
{
    struct sim_random r = {1};
    struct log_reader reader;
    struct slice record;
    append_random(&r, 100);
    append_random(&r, 2 * LOG_BLOCK_SIZE);
    ck_assert_int_eq(log_reader_open(&reader, &counting, temp_path("log")), 0);
    fail_read_after = 2;
    ck_assert_int_eq(log_read(&reader, &record), 1);
    ck_assert_int_eq(log_read(&reader, &record), -EIO);
    ck_assert_int_eq(reader.end, LOG_END_NONE);
    log_reader_close(&reader);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tc = tcase_create("log");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_record_has_these_bytes);
    tcase_add_test(tc, an_empty_file_is_a_clean_log);
    tcase_add_test(tc, a_missing_log_is_an_error);
    tcase_add_test(tc, empty_records_are_records);
    tcase_add_test(tc, records_at_every_distance_from_a_blocks_end);
    tcase_add_test(tc, a_trailer_too_short_for_a_header_is_zeroes);
    tcase_add_test(tc, seven_bytes_left_take_a_first_fragment_without_data);
    tcase_add_test(tc, random_records_come_back);
    tcase_add_test(tc, a_record_is_one_write_however_long);
    tcase_add_test(tc, zeroes_ahead_are_written_once_and_overwritten_in_place);
    tcase_add_test(tc, low_zeroes_are_always_there_after_zero_ahead);
    tcase_add_test(tc, trim_cuts_the_zeroes_and_only_them);
    tcase_add_test(tc, a_failed_append_is_reported_and_moves_no_end);
    tcase_add_test(tc, a_log_cut_anywhere_gives_its_whole_records_and_tells_if_it_was_cut);
    tcase_add_test(tc, a_log_whose_tail_never_left_the_zeroes_gives_its_whole_records);
    tcase_add_test(tc, any_changed_byte_ends_the_log_before_it);
    tcase_add_test(tc, a_page_or_block_that_never_reached_the_disk_ends_the_log_before_it);
    tcase_add_test(tc, bytes_far_behind_zeroes_are_told);
    tcase_add_test(tc, fragments_out_of_order_or_of_unknown_kind_end_the_log);
    tcase_add_test(tc, leveldbs_fragmented_records_are_read);
    tcase_add_test(tc, a_fragment_that_crosses_its_block_ends_the_log);
    tcase_add_test(tc, a_record_that_stops_at_a_blocks_end_ends_the_log);
    tcase_add_test(tc, the_disks_error_is_no_end);
    suite_add_tcase(suite, tc);
    temp_dir_make();
    int result = run_suite(suite);
    temp_dir_remove();
    return result;
}
