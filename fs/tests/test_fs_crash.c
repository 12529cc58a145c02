/* Power cuts: whatever call of the disk is the last one, the filesystem comes back as it was after
 * some operation, none before the last one that was synced. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../store/tests/env_sim.h"
#include "../../store/tests/run_suite.h"
#include "check_store.h"
#include "model.h"

#define STEPS 120

/* What the tree was after each step, as a sum of its text. */
static uint64_t sums[STEPS + 1];
/* The highest inode number given until then. */
static uint64_t highest[STEPS + 1];

static uint64_t sum_of_text(const struct buf *text)
{
    uint64_t h = 14695981039346656037ull; /* FNV-1a */
    for (size_t i = 0; i < text->len; i++)
        h = (h ^ (unsigned char)text->data[i]) * 1099511628211ull;
    return h;
}

static uint64_t model_sum(struct model *m)
{
    struct buf text = BUF_INIT;
    model_text(m, &text);
    uint64_t sum = sum_of_text(&text);
    buf_free(&text);
    return sum;
}

/* Operations until the power goes. */
static void run_until_cut(struct model *m, struct random *r)
{
    fixture_options.store.env = disk;
    int rc = fs_open("/fs", &fixture_options, &fs);
    sums[0] = model_sum(m);
    highest[0] = FS_ROOT;
    if (rc) {
        ck_assert_msg(env_sim_is_cut(disk), "%s", fail_text());
        fs = NULL;
        return;
    }
    m->may_fail = true;
    while (m->step < STEPS && !m->failed) {
        model_step(m, r);
        sums[m->step] = model_sum(m);
        highest[m->step] = m->max_ino;
    }
}

/* Returns the step. */
static int expect_a_step(struct model *m, int first, const char *how)
{
    struct buf got = BUF_INIT;
    fs_text(&got);
    uint64_t sum = sum_of_text(&got);
    for (int i = first; i <= m->step; i++)
        if (sums[i] == sum) {
            buf_free(&got);
            return i;
        }
    int before = first;
    while (before-- > 0 && sums[before] != sum)
        ;
    ck_abort_msg("%s: step %d failed, %d was synced; it is as after step %d (-1: none):\n%.*s", how,
                 m->step, first, before, (int)got.len, got.data);
    return -1;
}

static void crash_once(struct random *r, enum sim_survival how)
{
    static const char *const names[] = {"all kept", "unsynced lost", "any mixture"};
    struct model m;
    model_init(&m);
    fixture_prepare();
    fixture_options.memtable_bytes = 64 << 10;
    fixture_options.commit_seconds = random_below(r, 4) ? 3600 : 0.002;
    env_sim_cut_at(disk, 1 + random_below(r, random_below(r, 8) ? 2 * STEPS : 20));
    run_until_cut(&m, r);
    fs_close(fs);
    int first = how == SIM_KEEP_ALL && m.step > 0 ? m.step - m.failed : m.durable_step;
    env_sim_survive(disk, how, random_next(r));
    fixture_open();
    int step = expect_a_step(&m, first, names[how]);
    fixture_settle();
    check_store(fs, CHECK_NOTHING_OPEN);
    if (!exists(FS_ROOT, "new"))
        ck_assert_uint_gt(make_file(FS_ROOT, "new"), highest[step]);
    fixture_teardown();
    model_free(&m);
}

START_TEST(after_a_power_cut_it_is_as_after_some_step)
{
    struct random r = {random_seed()};
    int n = random_iterations(100);
    for (int i = 0; i < n; i++)
        crash_once(&r, (enum sim_survival)_i);
}
END_TEST

/* Every call of the disk, from the first mkdir to those of the close. */
START_TEST(making_a_filesystem_can_be_cut_at_any_call)
{
    bool cut = true;
    for (uint64_t k = 1; cut; k++) {
        struct model m;
        model_init(&m);
        fixture_prepare();
        fixture_options.store.env = disk;
        env_sim_cut_at(disk, k);
        if (fs_open("/fs", &fixture_options, &fs) == 0)
            fs_close(fs);
        cut = env_sim_is_cut(disk);
        env_sim_survive(disk, (enum sim_survival)_i, k);
        fixture_open();
        sums[0] = model_sum(&m);
        expect_a_step(&m, 0, "new");
        make_file(FS_ROOT, "f");
        fixture_teardown();
        model_free(&m);
    }
}
END_TEST

#define BIG 3500 /* blocks: several batches to delete */

/* With a hole in every other block, or none. */
static uint64_t make_big(bool holes)
{
    static char p[100 * FS_BLOCK];
    uint64_t f = make_file(FS_ROOT, "big");
    for (size_t b = 0; b < 100; b++)
        p[b * FS_BLOCK + 2] = 'b';
    for (uint64_t b = 0; b < BIG; b += holes ? 2 : 100)
        write_at(f, b * FS_BLOCK, p, holes ? FS_BLOCK : sizeof p);
    ck_assert_int_eq(fs_sync_all(fs), 0);
    return f;
}

static void expect_zeroes(uint64_t ino, uint64_t off, uint64_t end)
{
    static char p[64 * FS_BLOCK];
    for (; off < end; off += sizeof p) {
        ssize_t n = fs_read(fs, ino, p, sizeof p, off);
        ck_assert_int_gt(n, 0);
        for (ssize_t i = 0; i < n; i++)
            if (p[i] != 0)
                ck_abort_msg("byte %llu is back", (unsigned long long)off + (uint64_t)i);
    }
}

/* The file has its old size or its new one, and what was cut off never comes back. */
START_TEST(a_big_truncation_can_be_cut_at_any_step)
{
    struct random r = {random_seed()};
    bool cut_then = true;
    for (uint64_t k = 1; cut_then; k += 1 + random_below(&r, 24)) {
        struct stat st, in = {.st_size = FS_BLOCK + 1};
        fixture_setup();
        uint64_t f = make_big(_i % 2);
        env_sim_cut_at(disk, env_sim_count(disk, SIM_ANY) + k);
        fs_setattr(fs, f, &in, FS_SET_SIZE, &st);
        cut_then = env_sim_is_cut(disk);
        fs_close(fs);
        bool cut = env_sim_is_cut(disk);
        env_sim_survive(disk, _i / 2 ? SIM_RANDOM : SIM_KEEP_ALL, k);
        fixture_open();
        f = find(FS_ROOT, "big");
        if (stat_of(f).st_size == in.st_size) {
            check_store(fs, CHECK_NOTHING_OPEN);
            ck_assert_int_le(count_records('E', f), 2); /* the rest went when it was opened */
            k % 2 ? set_size(f, BIG * FS_BLOCK) : write_at(f, BIG * FS_BLOCK - 1, "", 1);
            expect_zeroes(f, FS_BLOCK + 1, BIG * FS_BLOCK);
        } else {
            ck_assert(cut);
            ck_assert_int_ge(stat_of(f).st_size, (BIG - 1) * FS_BLOCK);
        }
        fixture_teardown();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fs_crash");
    TCase *tc = tcase_create("fs_crash");
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, after_a_power_cut_it_is_as_after_some_step, 0, 3);
    tcase_add_loop_test(tc, making_a_filesystem_can_be_cut_at_any_call, 0, 3);
    tcase_add_loop_test(tc, a_big_truncation_can_be_cut_at_any_step, 0, 4);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
