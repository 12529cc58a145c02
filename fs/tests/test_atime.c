/* Access times: which access changes one, and how it gets into the store. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../../store/tests/env_sim.h"
#include "../../store/tests/run_suite.h"
#include "../core/fs_internal.h"
#include "check_store.h"
#include "fixture.h"

static const struct timespec long_ago = {1000, 5};

/* All its times are that old, or as told. */
static void age(uint64_t ino, struct timespec atime, struct timespec mtime, struct timespec ctime)
{
    struct stat st, in = {.st_atim = atime, .st_mtim = mtime, .st_ctim = ctime};
    ck_assert_int_eq(fs_setattr(fs, ino, &in, FS_SET_ATIME | FS_SET_MTIME | FS_SET_CTIME, &st), 0);
}

static time_t atime_of(uint64_t ino)
{
    return stat_of(ino).st_atim.tv_sec;
}

static uint64_t aged_file(const char *name)
{
    uint64_t f = make_file(FS_ROOT, name);
    age(f, long_ago, long_ago, long_ago);
    return f;
}

static struct timespec ago(time_t seconds)
{
    return (struct timespec){time(NULL) - seconds, 0};
}

static void open_with(enum fs_atime atime)
{
    fixture_close();
    fixture_options.atime = atime;
    fixture_open();
}

/* ---- which access counts */

START_TEST(relatime_renews_what_is_not_younger_than_mtime_and_ctime_or_a_day_old)
{
    uint64_t f = make_file(FS_ROOT, "f");
    const struct {
        time_t atime, mtime, ctime; /* seconds ago */
        bool due;
    } cases[] = {
        {100, 50, 200, true},         {100, 200, 50, true},        {100, 100, 200, true},
        {100, 200, 100, true},        {100, 200, 200, false},      {0, 200, 200, false},
        {86300, 90000, 90000, false}, {86500, 90000, 90000, true}, {-500, -600, 9, true},
        {-500, 9, 9, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct timespec atime = ago(cases[i].atime);
        age(f, atime, ago(cases[i].mtime), ago(cases[i].ctime));
        struct stat before = stat_of(f);
        fs_accessed(fs, f);
        struct stat st = stat_of(f);
        ck_assert_msg((st.st_atim.tv_sec != atime.tv_sec || st.st_atim.tv_nsec) == cases[i].due,
                      "case %zu", i);
        ck_assert(!cases[i].due || llabs((long long)(st.st_atim.tv_sec - time(NULL))) < 5);
        ck_assert_mem_eq(&st.st_mtim, &before.st_mtim, sizeof st.st_mtim);
        ck_assert_mem_eq(&st.st_ctim, &before.st_ctim, sizeof st.st_ctim);
    }
}
END_TEST

START_TEST(strictatime_renews_always)
{
    open_with(FS_STRICTATIME);
    uint64_t f = make_file(FS_ROOT, "f");
    struct timespec t = ago(100);
    age(f, t, ago(200), ago(200));
    fs_accessed(fs, f);
    ck_assert_int_gt(atime_of(f), t.tv_sec);
}
END_TEST

START_TEST(noatime_and_ro_renew_nothing)
{
    uint64_t f = aged_file("f");
    open_with(FS_NOATIME);
    f = find(FS_ROOT, "f");
    fs_accessed(fs, f);
    ck_assert_int_eq(atime_of(f), long_ago.tv_sec);
    fixture_options.read_only = true;
    open_with(FS_STRICTATIME);
    f = find(FS_ROOT, "f");
    fs_accessed(fs, f);
    fs_store_atime(fs, f);
    ck_assert_int_eq(atime_of(f), long_ago.tv_sec);
    fixture_options.read_only = false;
}
END_TEST

START_TEST(nodiratime_is_about_directories_alone)
{
    fixture_close();
    fixture_options.no_directory_atime = true;
    fixture_open();
    uint64_t f = aged_file("f"), d = make_dir(FS_ROOT, "d");
    age(d, long_ago, long_ago, long_ago);
    fs_accessed(fs, f);
    fs_accessed(fs, d);
    ck_assert_int_gt(atime_of(f), long_ago.tv_sec);
    ck_assert_int_eq(atime_of(d), long_ago.tv_sec);
}
END_TEST

/* ---- how it gets into the store */

/* What the log gets. */
static uint64_t writes(void)
{
    return env_sim_count(disk, SIM_WRITE);
}

START_TEST(an_access_writes_nothing_and_closing_writes_it)
{
    uint64_t f = aged_file("f"), before = writes();
    fs_accessed(fs, f);
    ck_assert_uint_eq(writes(), before);
    fixture_kill();
    f = find(FS_ROOT, "f");
    ck_assert_int_eq(atime_of(f), long_ago.tv_sec); /* allowed, and so nothing was written */
    fs_accessed(fs, f);
    fixture_reopen();
    ck_assert_int_gt(atime_of(find(FS_ROOT, "f")), long_ago.tv_sec);
}
END_TEST

START_TEST(a_change_of_the_inode_takes_it_along)
{
    for (int i = 0; i < 5; i++) {
        struct stat st, in = {.st_mode = 0600};
        char name[8];
        snprintf(name, sizeof name, "f%d", i);
        uint64_t f = aged_file(name);
        fs_accessed(fs, f);
        if (i == 0)
            write_text(f, "x");
        if (i == 1)
            ck_assert_int_eq(fs_setattr(fs, f, &in, FS_SET_MODE, &st), 0);
        if (i == 2)
            ck_assert_int_eq(fs_setxattr(fs, f, "user.x", "x", 1, 0), 0);
        if (i == 4)
            ck_assert_int_eq(fs_link(fs, f, FS_ROOT, "other", &st), 0);
        if (i == 3)
            ck_assert_int_eq(fs_rename(fs, FS_ROOT, name, FS_ROOT, "new3", 0), 0);
        fixture_kill();
        time_t got = atime_of(find(FS_ROOT, i == 3 ? "new3" : name));
        ck_assert_msg(got > long_ago.tv_sec, "number %d", i);
    }
}
END_TEST

START_TEST(a_new_name_takes_the_directorys_along)
{
    uint64_t d = make_dir(FS_ROOT, "d");
    age(d, long_ago, long_ago, long_ago);
    fs_accessed(fs, d);
    make_file(d, "f");
    fixture_kill();
    ck_assert_int_gt(atime_of(find(FS_ROOT, "d")), long_ago.tv_sec);
}
END_TEST

START_TEST(a_time_that_is_set_replaces_it)
{
    uint64_t f = aged_file("f");
    fs_accessed(fs, f);
    age(f, (struct timespec){77, 7}, long_ago, long_ago);
    ck_assert_int_eq(atime_of(f), 77);
    fixture_reopen();
    ck_assert_int_eq(atime_of(find(FS_ROOT, "f")), 77);
}
END_TEST

START_TEST(it_outlives_the_last_reference)
{
    uint64_t f = aged_file("f");
    fs_accessed(fs, f);
    fs_forget(fs, f, 1);
    f = find(FS_ROOT, "f");
    ck_assert_int_gt(atime_of(f), long_ago.tv_sec);
    fs_forget(fs, f, 1);
    fixture_reopen();
    ck_assert_int_gt(atime_of(find(FS_ROOT, "f")), long_ago.tv_sec);
}
END_TEST

START_TEST(fs_store_atime_commits_it_and_then_has_nothing_to_do)
{
    uint64_t f = aged_file("f");
    fs_accessed(fs, f);
    fs_store_atime(fs, f);
    uint64_t before = writes();
    fs_store_atime(fs, f);
    ck_assert_uint_eq(writes(), before);
    fixture_kill();
    ck_assert_int_gt(atime_of(find(FS_ROOT, "f")), long_ago.tv_sec);
}
END_TEST

static bool is_stored(uint64_t ino)
{
    struct node *n = node_pin(fs, ino);
    bool yes = !node_atime_is_new(n);
    node_unpin(fs, n);
    return yes;
}

/* For seconds, since a busy machine may be late; the interval's end is in an hour. */
static void await_stored(uint64_t ino)
{
    for (int i = 0; i < 2000 && !is_stored(ino); i++)
        usleep(5000);
    ck_assert_msg(is_stored(ino), "inode %llu", (unsigned long long)ino);
}

static void await_durable(uint64_t ino)
{
    await_stored(ino);
    uint64_t last = store_last_sequence(fs_store(fs));
    for (int i = 0; i < 2000 && store_durable_sequence(fs_store(fs)) < last; i++)
        usleep(5000);
}

START_TEST(the_commit_interval_bounds_how_long_it_is_in_memory_only)
{
    fixture_close();
    fixture_options.commit_seconds = 0.05;
    fixture_open();
    uint64_t f = aged_file("f");
    fs_accessed(fs, f);
    await_durable(f);
    struct env *then = env_sim_cut_copy(disk); /* the power goes: what is not synced is lost */
    env_sim_survive(then, SIM_LOSE_ALL, 0);
    fixture_close();
    env_sim_free(disk);
    disk = then;
    fixture_open();
    ck_assert_int_gt(atime_of(find(FS_ROOT, "f")), long_ago.tv_sec);
}
END_TEST

/* More than one batch, and more than may wait for the interval's end (an hour here). */
START_TEST(very_many_do_not_wait_for_the_intervals_end)
{
    enum { FILES = 4100 };
    static uint64_t f[FILES];
    char name[16];
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "f%d", i);
        f[i] = aged_file(name);
    }
    for (int i = 0; i < FILES; i++)
        fs_accessed(fs, f[i]);
    for (int i = 0; i < 4096; i++)
        await_stored(f[i]);
    fixture_kill();
    int stored = 0;
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "f%d", i);
        stored += atime_of(find(FS_ROOT, name)) > long_ago.tv_sec;
    }
    ck_assert_int_ge(stored, 4096);
}
END_TEST

START_TEST(an_orphans_data_goes_at_once_though_it_was_read)
{
    struct stat st;
    uint64_t f = make_file(FS_ROOT, "f"), g = make_file(FS_ROOT, "g");
    write_text(f, "x");
    write_text(g, "x");
    age(f, long_ago, long_ago, long_ago);
    fs_accessed(fs, f); /* before it loses its name */
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "f"), 0);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, "g"), 0);
    age(g, long_ago, long_ago, long_ago);
    fs_accessed(fs, g); /* ... and after */
    ck_assert_int_gt(atime_of(g), long_ago.tv_sec);
    fs_forget(fs, f, 1);
    fs_forget(fs, g, 1);
    fixture_settle();
    ck_assert_int_eq(count_records('O', 0), 0);
    ck_assert_int_eq(fs_getattr(fs, f, &st), -ESTALE);
    ck_assert_int_eq(fs_getattr(fs, g, &st), -ESTALE);
}
END_TEST

/* A replaced file is one, too, and a directory. */
START_TEST(what_a_rename_replaces_is_forgotten_likewise)
{
    struct stat st;
    uint64_t f = aged_file("f"), d = make_dir(FS_ROOT, "d"), e = make_dir(FS_ROOT, "e");
    make_file(FS_ROOT, "new");
    fs_accessed(fs, f);
    fs_accessed(fs, d);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "new", FS_ROOT, "f", 0), 0);
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "e", FS_ROOT, "d", 0), 0);
    fs_forget(fs, f, 1);
    fs_forget(fs, d, 1);
    ck_assert_int_eq(fs_getattr(fs, f, &st), -ESTALE);
    ck_assert_int_eq(fs_getattr(fs, d, &st), -ESTALE);
    ck_assert_int_eq(stat_of(e).st_nlink, 2);
}
END_TEST

START_TEST(a_store_that_takes_nothing_keeps_nobody_from_reading)
{
    uint64_t f = aged_file("f");
    write_text(f, "text");
    age(f, long_ago, long_ago, long_ago);
    env_sim_fail(disk, SIM_WRITE, writes() + 1, -EIO, SIM_DONE_NOTHING);
    fs_accessed(fs, f);
    fs_store_atime(fs, f);
    ck_assert_int_gt(atime_of(f), long_ago.tv_sec);
    expect_text(f, "text");
    ck_assert_int_ne(fs_close(fs), 0); /* the store is broken, and says so at the end */
    env_sim_fail(disk, SIM_WRITE, 0, -EIO, SIM_DONE_NOTHING);
    fixture_open();
}
END_TEST

static atomic_bool slow, inside;

/* A write that takes until `slow` ends. */
static int wait_in_write(void *arg, enum sim_call call, const char *path)
{
    (void)arg, (void)path;
    while (call == SIM_WRITE && atomic_load(&slow)) {
        atomic_store(&inside, true);
        usleep(100);
    }
    return 0;
}

static void *store_all_once(void *arg)
{
    atime_store_all(fs);
    return arg;
}

/* ... and again, while it is being stored. */
START_TEST(who_reads_does_not_wait_for_storing_it)
{
    pthread_t storing;
    uint64_t f = make_file(FS_ROOT, "f");
    write_text(f, "text");
    age(f, long_ago, long_ago, long_ago);
    fs_accessed(fs, f);
    atomic_store(&slow, true);
    env_sim_set_hook(disk, wait_in_write, NULL);
    ck_assert_int_eq(pthread_create(&storing, NULL, store_all_once, NULL), 0);
    while (!atomic_load(&inside))
        usleep(100);
    expect_text(f, "text"); /* if it waited, it would be for ever */
    fs_accessed(fs, f);
    ck_assert_int_gt(atime_of(f), long_ago.tv_sec);
    atomic_store(&slow, false);
    pthread_join(storing, NULL);
    env_sim_set_hook(disk, NULL, NULL);
}
END_TEST

START_TEST(a_full_disk_keeps_nobody_from_reading_and_may_lose_it)
{
    uint64_t f = aged_file("f");
    env_sim_set_capacity(disk, 1);
    fs_accessed(fs, f);
    fs_store_atime(fs, f);
    atime_store_all(fs);
    ck_assert_int_gt(atime_of(f), long_ago.tv_sec);
    env_sim_set_capacity(disk, 0);
    write_text(f, "text"); /* takes it along after all */
    fixture_reopen();
    ck_assert_int_gt(atime_of(find(FS_ROOT, "f")), long_ago.tv_sec);
}
END_TEST

/* ---- all at once */

enum { THREADS = 4, NAMES = 6 };

/* A name that nobody takes again: a record that came back for it would stay. */
static void make_and_remove(uint64_t thread, int i, struct random *r)
{
    char name[32];
    snprintf(name, sizeof name, "%llu-%d", (unsigned long long)thread, i);
    uint64_t ino = make_file(FS_ROOT, name);
    fs_accessed(fs, ino);
    for (uint64_t n = random_below(r, 20); n > 0; n--)
        stat_of(ino);
    ck_assert_int_eq(fs_unlink(fs, FS_ROOT, name), 0);
    fs_forget(fs, ino, 1);
}

/* -ENOENT, -EEXIST: another thread was quicker. */
static void change_one(const char *name, const char *other, struct random *r)
{
    struct stat st, linked;
    int rc = fs_lookup(fs, FS_ROOT, name, &st);
    if (rc)
        rc = fs_make(fs, &(struct fs_caller){0}, FS_ROOT, name, S_IFREG | 0644, 0, NULL, &st);
    if (rc)
        return;
    fs_accessed(fs, st.st_ino);
    fs_accessed(fs, FS_ROOT);
    switch (random_below(r, 5)) {
    case 0:
        fs_unlink(fs, FS_ROOT, name);
        break;
    case 1:
        fs_rename(fs, FS_ROOT, name, FS_ROOT, other, 0);
        break;
    case 2:
        fs_store_atime(fs, st.st_ino);
        break;
    case 3:
        ck_assert_int_eq(fs_write(fs, st.st_ino, name, 1, random_below(r, 9000), false), 0);
        break;
    case 4:
        if (fs_link(fs, st.st_ino, FS_ROOT, other, &linked) == 0)
            fs_forget(fs, st.st_ino, 1);
    }
    fs_accessed(fs, st.st_ino);
    fs_forget(fs, st.st_ino, 1);
}

static void *work(void *arg)
{
    struct random r = {(uint64_t)(uintptr_t)arg};
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    for (int i = 0; i < random_iterations(15000); i++) {
        make_and_remove((uint64_t)(uintptr_t)arg, i, &r);
        change_one(names[random_below(&r, NAMES)], names[random_below(&r, NAMES)], &r);
    }
    return NULL;
}

static atomic_bool working;

static void *store_them(void *arg)
{
    (void)arg;
    while (atomic_load(&working))
        atime_store_all(fs);
    return NULL;
}

/* A record that is written for its access time alone must be the inode's newest, under the name
 * that it has then. */
START_TEST(storing_them_beside_all_other_changes_keeps_the_records_consistent)
{
    pthread_t threads[THREADS], storing;
    uint64_t seed = random_seed();
    open_with(FS_STRICTATIME);
    atomic_store(&working, true);
    ck_assert_int_eq(pthread_create(&storing, NULL, store_them, NULL), 0);
    for (uint64_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(seed + i)), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&working, false);
    pthread_join(storing, NULL);
    fixture_kill();
    check_store(fs, CHECK_GARBAGE_MAY_BE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("atime");
    TCase *tc = tcase_create("atime");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, relatime_renews_what_is_not_younger_than_mtime_and_ctime_or_a_day_old);
    tcase_add_test(tc, strictatime_renews_always);
    tcase_add_test(tc, noatime_and_ro_renew_nothing);
    tcase_add_test(tc, nodiratime_is_about_directories_alone);
    tcase_add_test(tc, an_access_writes_nothing_and_closing_writes_it);
    tcase_add_test(tc, a_change_of_the_inode_takes_it_along);
    tcase_add_test(tc, a_new_name_takes_the_directorys_along);
    tcase_add_test(tc, a_time_that_is_set_replaces_it);
    tcase_add_test(tc, it_outlives_the_last_reference);
    tcase_add_test(tc, fs_store_atime_commits_it_and_then_has_nothing_to_do);
    tcase_add_test(tc, the_commit_interval_bounds_how_long_it_is_in_memory_only);
    tcase_add_test(tc, very_many_do_not_wait_for_the_intervals_end);
    tcase_add_test(tc, an_orphans_data_goes_at_once_though_it_was_read);
    tcase_add_test(tc, what_a_rename_replaces_is_forgotten_likewise);
    tcase_add_test(tc, a_store_that_takes_nothing_keeps_nobody_from_reading);
    tcase_add_test(tc, who_reads_does_not_wait_for_storing_it);
    tcase_add_test(tc, a_full_disk_keeps_nobody_from_reading_and_may_lose_it);
    tcase_add_test(tc, storing_them_beside_all_other_changes_keeps_the_records_consistent);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
