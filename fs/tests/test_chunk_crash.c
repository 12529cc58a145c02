/* Power cuts and files made of chunks: whatever call of the disk is the last one, all files come
 * back as they were after some step, none before the last one that was synced, and every byte of
 * them can be read; also when the next crash comes, and the next. A hole that was made too early
 * would show here. */
#include <check.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../store/base/crc.h"
#include "../../store/tests/env_sim.h"
#include "../../store/tests/run_suite.h"
#include "../core/fs_internal.h"
#include "check_store.h"
#include "fixture.h"
#include "shadow.h"

#define FILES 3
#define SIZE (4 * FS_CHUNK)
#define SEGMENT_BYTES (6 * FS_CHUNK) /* several files */
#define STEPS 80
#define CALLS 260 /* about so many does a run make, and some hundred more of larger ones */

static const char *const names[FILES] = {"a", "b", "c"};
static const char *const survivals[] = {"all kept", "unsynced lost", "any mixture"};

struct file {
    bool there;
    uint64_t size;
    char bytes[SIZE];
};

static struct file now[FILES];
static uint64_t ino[FILES];
static uint64_t file_sums[FILES]; /* of `now` */
static uint64_t sums[STEPS + 1];  /* what all files were after each step */
static int step, durable;
static bool failed;
static int holes; /* made in all runs */

/* ---- the model */

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

static uint64_t sum_of_file(const struct file *f)
{
    return f->there ? mix(mix(1, f->size), crc32c(f->bytes, f->size)) : 0;
}

static uint64_t sum_of_all(const uint64_t *of)
{
    uint64_t h = 7;
    for (int i = 0; i < FILES; i++)
        h = mix(h, of[i]);
    return h;
}

/* The files are a step further. */
static void note_step(int i)
{
    file_sums[i] = sum_of_file(&now[i]);
    sums[++step] = sum_of_all(file_sums);
}

static void begin_steps(void)
{
    step = durable = 0;
    failed = false;
    for (int i = 0; i < FILES; i++)
        file_sums[i] = sum_of_file(&now[i]);
    sums[0] = sum_of_all(file_sums);
}

/* ---- steps: each returns what the filesystem says, and has changed the model */

static int step_make(int i)
{
    struct stat st;
    now[i] = (struct file){.there = true};
    int rc = fs_make(fs, &(struct fs_caller){0}, FS_ROOT, names[i], S_IFREG | 0644, 0, NULL, &st);
    ino[i] = st.st_ino;
    return rc;
}

static int step_unlink(int i)
{
    now[i].there = false;
    int rc = fs_unlink(fs, FS_ROOT, names[i]);
    fs_forget(fs, ino[i], 1);
    return rc;
}

static int step_write(int i, uint64_t off, size_t n, unsigned tag)
{
    struct file *f = &now[i];
    if (n > SIZE - off)
        n = SIZE - off;
    if (f->size < off)
        memset(f->bytes + f->size, 0, off - f->size);
    shadow_fill(f->bytes + off, n, off, tag);
    if (tag % 16 == 0)
        memset(f->bytes + off, 0, n < FS_CHUNK ? n : FS_CHUNK);
    if (f->size < off + n)
        f->size = off + n;
    return fs_write(fs, ino[i], f->bytes + off, n, off, false);
}

static int step_resize(int i, uint64_t size)
{
    struct stat st, in = {.st_size = (off_t)size};
    if (now[i].size < size)
        memset(now[i].bytes + now[i].size, 0, size - now[i].size);
    now[i].size = size;
    return fs_setattr(fs, ino[i], &in, FS_SET_SIZE, &st);
}

static int step_punch(int i, uint64_t off, uint64_t len)
{
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    for (uint64_t at = off; at < off + len && at < now[i].size; at++)
        now[i].bytes[at] = 0;
    return fs_fallocate(fs, ino[i], mode, off, len, false);
}

static int step_change(struct random *r, int i)
{
    uint64_t chunk = random_below(r, 4), off = random_below(r, SIZE);
    unsigned tag = (unsigned)random_next(r);
    switch (random_below(r, 12)) {
    case 0:
        return step_unlink(i);
    case 1:
        return step_resize(i, random_below(r, 2) ? off : off / FS_BLOCK * FS_BLOCK);
    case 2:
        return step_punch(i, off, 1 + random_below(r, 3 * FS_CHUNK / 2));
    case 3:
    case 4:
        return step_write(i, off, 1 + random_below(r, 9000), tag);
    case 5:
    case 6:
        return step_write(i, off / FS_BLOCK * FS_BLOCK, FS_BLOCK * (1 + random_below(r, 3)), tag);
    default:
        return step_write(i, chunk * FS_CHUNK, FS_CHUNK * (1 + random_below(r, 3)), tag);
    }
}

static void look_up_all(void)
{
    for (int i = 0; i < FILES; i++)
        if (now[i].there)
            ino[i] = find(FS_ROOT, names[i]);
}

static int reopen(void)
{
    int rc = fs_close(fs);
    fs = NULL;
    if (rc)
        return rc;
    durable = step;
    rc = fs_open("/fs", &fixture_options, &fs);
    for (int i = 0; rc == 0 && i < FILES; i++) {
        struct stat st;
        if (now[i].there)
            rc = fs_lookup(fs, FS_ROOT, names[i], &st);
        ino[i] = st.st_ino;
    }
    return rc;
}

/* Something that changes no file. */
static int care(struct random *r)
{
    int rc = 0;
    switch (random_below(r, 8)) {
    case 0:
        return reopen();
    case 1:
        rc = store_flush(fs_store(fs));
        break;
    case 2:
    case 3:
        freed_give_back(fs); /* the pass that otherwise comes a second later */
        return 0;
    default:
        rc = fs_sync_all(fs);
    }
    if (rc == 0)
        durable = step;
    return rc;
}

static void run(struct random *r)
{
    while (step < STEPS && !failed) {
        int i = (int)random_below(r, FILES), rc;
        if (random_below(r, 4) == 0) {
            rc = care(r);
        } else {
            rc = now[i].there ? step_change(r, i) : step_make(i);
            note_step(i);
        }
        failed = rc != 0;
        ck_assert_msg(rc == 0 || env_sim_is_cut(disk), "%s", fail_text());
    }
}

/* ---- after the crash */

static void read_all(struct file *out)
{
    for (int i = 0; i < FILES; i++) {
        struct stat st;
        int rc = fs_lookup(fs, FS_ROOT, names[i], &st);
        out[i].there = rc == 0;
        out[i].size = 0;
        if (rc) {
            ck_assert_int_eq(rc, -ENOENT);
            continue;
        }
        ssize_t n = fs_read(fs, st.st_ino, out[i].bytes, SIZE, 0);
        ck_assert_msg(n == st.st_size, "reading %s: %zd: %s", names[i], n, fail_text());
        out[i].size = (uint64_t)n;
        fs_forget(fs, st.st_ino, 1);
    }
}

static void tell(void *arg, const char *line)
{
    (void)arg;
    printf("%s\n", line);
}

static void expect_whole(void)
{
    fixture_settle();
    check_store(fs, CHECK_NOTHING_OPEN);
    ck_assert_int_eq(fs_check(fs, tell, NULL), 0);
}

/* The model is what is read then. */
static void expect_a_step(int first, const char *how)
{
    uint64_t got[FILES];
    read_all(now);
    for (int i = 0; i < FILES; i++)
        got[i] = sum_of_file(&now[i]);
    uint64_t sum = sum_of_all(got);
    for (int i = first; i <= step; i++)
        if (sums[i] == sum)
            return;
    int before = first;
    while (before-- > 0 && sums[before] != sum)
        ;
    ck_abort_msg("%s: step %d was the last, %d was synced; it is as after step %d (-1: none)", how,
                 step, first, before);
}

/* What the open began, and what the close gives back, changes nothing that can be read. */
static void expect_no_change(void)
{
    static struct file again[FILES];
    fixture_reopen();
    read_all(again);
    for (int i = 0; i < FILES; i++)
        ck_assert_uint_eq(sum_of_file(&again[i]), sum_of_file(&now[i]));
    expect_whole();
}

/* Until the power goes at the k-th call, and what is there then. */
static void crash_at(struct random *r, uint64_t k, enum sim_survival how)
{
    begin_steps();
    env_sim_cut_at(disk, env_sim_count(disk, SIM_ANY) + k);
    look_up_all();
    run(r);
    if (!env_sim_is_cut(disk))
        env_sim_cut_at(disk, env_sim_count(disk, SIM_ANY) + 1);
    holes += (int)env_sim_count(disk, SIM_PUNCH);
    fs_close(fs);
    int first = how == SIM_KEEP_ALL ? step - failed : durable;
    if (first < 0)
        first = 0;
    env_sim_survive(disk, how, random_next(r));
    fixture_open();
    expect_a_step(first, survivals[how]);
    expect_whole();
}

static void prepare(void)
{
    fixture_prepare();
    fixture_options.memtable_bytes = 128 << 10;
    fixture_options.segment_bytes = SEGMENT_BYTES;
    memset(now, 0, sizeof now);
    fixture_open();
}

START_TEST(after_a_power_cut_all_files_are_as_after_some_step)
{
    struct random r = {random_seed()};
    int n = random_iterations(40);
    for (int i = 0; i < n; i++) {
        prepare();
        crash_at(&r, 1 + (uint64_t)(i * CALLS / n) + random_below(&r, CALLS / 20),
                 (enum sim_survival)_i);
        expect_no_change();
        fixture_teardown();
    }
    ck_assert_int_gt(holes, 0); /* else this tests little */
}
END_TEST

START_TEST(one_crash_after_the_other)
{
    struct random r = {random_seed()};
    int n = random_iterations(8);
    for (int i = 0; i < n; i++) {
        prepare();
        for (int k = 0; k < 6; k++) {
            enum sim_survival how =
                _i < 3 ? (enum sim_survival)_i : (enum sim_survival)random_below(&r, 3);
            crash_at(&r, 1 + random_below(&r, random_below(&r, 3) ? CALLS : 30), how);
            if (random_below(&r, 3) == 0)
                expect_no_change();
        }
        expect_no_change();
        fixture_teardown();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chunk_crash");
    TCase *tc = tcase_create("chunk_crash");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, after_a_power_cut_all_files_are_as_after_some_step, 0, 3);
    tcase_add_loop_test(tc, one_crash_after_the_other, 0, 4);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
