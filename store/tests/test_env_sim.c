/* Tests of the simulated disk itself: what it keeps, what it may lose, and that its faults strike.
 */
#include <pthread.h>
#include <stdlib.h>
#include "../base/error.h"
#include "env_sim.h"
#include "run_suite.h"
#include <check.h> /* last: it defines a macro `fail` */

#define SEEDS 300

static struct env *env;

static void setup(void)
{
    env = env_sim_new();
}

static void teardown(void)
{
    env_sim_free(env);
}

/* ---------------------------------------------------------------- short hand */

static struct env_file *open_file(const char *path, int flags)
{
    struct env_file *f = NULL;
    ck_assert_int_eq(env_open(env, path, flags, &f), 0);
    return f;
}

static void put(const char *path, const char *text, bool sync)
{
    struct env_file *f = open_file(path, ENV_WRITE | ENV_CREATE);
    ck_assert_int_eq(env_pwrite(env, f, text, strlen(text), 0), 0);
    if (sync)
        ck_assert_int_eq(env_sync(env, f), 0);
    env_close(env, f);
}

/* The file's text, "-" where it is missing; in one buffer. */
static const char *text_of(const char *path)
{
    static char text[64];
    struct env_file *f;
    if (env_open(env, path, ENV_READ, &f))
        return "-";
    ssize_t n = env_pread(env, f, text, sizeof text - 1, 0);
    ck_assert_int_ge(n, 0);
    text[n] = '\0';
    env_close(env, f);
    return text;
}

static void count_name(void *arg, const char *name)
{
    (void)name;
    ++*(int *)arg;
}

static int entries(const char *dir)
{
    int n = 0;
    ck_assert_int_eq(env_list(env, dir, count_name, &n), 0);
    return n;
}

/* Puts a fresh disk in the place of the old one. */
static void renew(void)
{
    teardown();
    setup();
}

/* ---------------------------------------------------------------- as a disk */

START_TEST(reads_back_what_was_written)
{
    char got[16];
    uint64_t size;
    struct env_file *f = open_file("/a", ENV_WRITE | ENV_CREATE);
    ck_assert_int_eq(env_pwrite(env, f, "hello", 5, 3), 0);
    ck_assert_int_eq(env_pread(env, f, got, sizeof got, 0), 8);
    ck_assert_mem_eq(got, "\0\0\0hello", 8);
    ck_assert_int_eq(env_truncate(env, f, 5), 0);
    ck_assert_int_eq(env_size(env, f, &size), 0);
    ck_assert_uint_eq(size, 5);
    ck_assert_int_eq(env_truncate(env, f, 7), 0);
    ck_assert_int_eq(env_punch(env, f, 3, 100), 0);
    ck_assert_int_eq(env_pread(env, f, got, sizeof got, 2), 5);
    ck_assert_mem_eq(got, "\0\0\0\0\0", 5);
    ck_assert_int_eq(env_pread(env, f, got, sizeof got, 7), 0);
    env_close(env, f);
}
END_TEST

START_TEST(folders_and_names_behave_as_on_posix)
{
    struct env_file *f;
    ck_assert_int_eq(env_open(env, "/d/a", ENV_WRITE | ENV_CREATE, &f), -ENOENT);
    ck_assert_int_eq(env_mkdir(env, "/d"), 0);
    ck_assert_int_eq(env_mkdir(env, "/d/"), -EEXIST);
    put("/d/a", "one", false);
    put("/d/b", "two", false);
    ck_assert_int_eq(entries("/d"), 2);
    ck_assert_int_eq(env_rename(env, "/d/a", "/d/b"), 0);
    ck_assert_str_eq(text_of("/d/b"), "one");
    ck_assert_str_eq(text_of("/d/a"), "-");
    ck_assert_int_eq(env_rename(env, "/d/a", "/d/c"), -ENOENT);
    ck_assert_int_eq(env_unlink(env, "/d"), -ENOTEMPTY);
    ck_assert_int_eq(env_unlink(env, "/d/b"), 0);
    ck_assert_int_eq(env_unlink(env, "/d/b"), -ENOENT);
    ck_assert_int_eq(entries("/d"), 0);
    ck_assert_int_eq(env_open(env, "/d", ENV_WRITE, &f), -EISDIR);
    ck_assert_int_eq(env_sync_dir(env, "/nowhere"), -ENOENT);
}
END_TEST

START_TEST(an_unlinked_file_lives_while_it_is_open)
{
    char got[4];
    put("/a", "text", false);
    struct env_file *f = open_file("/a", ENV_READ);
    ck_assert_int_eq(env_unlink(env, "/a"), 0);
    ck_assert_int_eq(env_sync_dir(env, "/"), 0);
    ck_assert_int_eq(env_pread(env, f, got, 4, 0), 4);
    ck_assert_mem_eq(got, "text", 4);
    env_close(env, f);
}
END_TEST

START_TEST(a_lock_has_one_holder)
{
    struct env_file *a, *b;
    ck_assert_int_eq(env_lock(env, "/LOCK", &a), 0);
    ck_assert_int_eq(env_lock(env, "/LOCK", &b), -EWOULDBLOCK);
    ck_assert_ptr_nonnull(strstr(fail_text(), "process"));
    env_close(env, a);
    ck_assert_int_eq(env_lock(env, "/LOCK", &b), 0);
    env_close(env, b);
}
END_TEST

/* ---------------------------------------------------------------- power cuts */

START_TEST(what_was_synced_survives_every_cut)
{
    for (int how = SIM_KEEP_ALL; how <= SIM_RANDOM; how++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            put("/a", "synced", true);
            ck_assert_int_eq(env_sync_dir(env, "/"), 0);
            put("/b", "other", false);
            env_sim_survive(env, (enum sim_survival)how, seed);
            ck_assert_str_eq(text_of("/a"), "synced");
            renew();
        }
}
END_TEST

START_TEST(what_was_not_synced_is_kept_by_a_kill_and_lost_by_the_worst_cut)
{
    put("/a", "synced", true);
    ck_assert_int_eq(env_sync_dir(env, "/"), 0);
    put("/a", "CHANGE", false);
    put("/b", "new", true); /* its entry is not synced */
    struct env *copy = env_sim_cut_copy(env);
    env_sim_survive(env, SIM_KEEP_ALL, 1);
    ck_assert_str_eq(text_of("/a"), "CHANGE");
    ck_assert_str_eq(text_of("/b"), "new");
    teardown();
    env = copy;
    env_sim_survive(env, SIM_LOSE_ALL, 1);
    ck_assert_str_eq(text_of("/a"), "synced");
    ck_assert_str_eq(text_of("/b"), "-");
}
END_TEST

START_TEST(a_truncation_survives_once_it_is_synced)
{
    put("/a", "long text", true);
    ck_assert_int_eq(env_sync_dir(env, "/"), 0);
    struct env_file *f = open_file("/a", ENV_WRITE);
    ck_assert_int_eq(env_truncate(env, f, 4), 0);
    struct env *copy = env_sim_cut_copy(env);
    ck_assert_int_eq(env_sync(env, f), 0);
    env_close(env, f);
    env_sim_survive(env, SIM_LOSE_ALL, 1);
    ck_assert_str_eq(text_of("/a"), "long");
    teardown();
    env = copy;
    env_sim_survive(env, SIM_LOSE_ALL, 1);
    ck_assert_str_eq(text_of("/a"), "long text");
}
END_TEST

/* Each of the outcomes that the rules allow must come up, and no other. */
START_TEST(pieces_of_a_write_are_kept_and_lost_each_on_its_own)
{
    enum { PIECES = 3, SIZE = PIECES * 4096 };
    static char data[SIZE], got[SIZE];
    bool seen[1 << PIECES] = {false}, short_seen = false;
    memset(data, 'x', sizeof data);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct env_file *f = open_file("/a", ENV_WRITE | ENV_CREATE);
        ck_assert_int_eq(env_sync_dir(env, "/"), 0);
        ck_assert_int_eq(env_pwrite(env, f, data, SIZE, 0), 0);
        env_close(env, f);
        env_sim_survive(env, SIM_RANDOM, seed);
        f = open_file("/a", ENV_READ);
        ssize_t n = env_pread(env, f, got, SIZE, 0);
        env_close(env, f);
        ck_assert_int_eq(n % 512, 0);
        short_seen |= n < SIZE;
        unsigned mask = 0;
        bool fair = true;
        for (ssize_t at = 0; at < n; at++) {
            fair &= got[at] == 'x' || got[at] == 0;
            fair &= got[at] == got[at / 512 * 512]; /* torn at borders only */
            if (at % 4096 == 0 && got[at])
                mask |= 1u << (at / 4096);
        }
        ck_assert(fair);
        if (n == SIZE)
            seen[mask] = true;
        renew();
    }
    ck_assert(short_seen);
    for (int m = 0; m < 1 << PIECES; m++)
        ck_assert_msg(seen[m], "outcome %d never came up", m);
}
END_TEST

/* 512 bytes of one page may be there without their neighbours, and a whole page as well. */
START_TEST(a_page_is_torn_at_512_bytes_in_some_outcomes_and_whole_in_others)
{
    char data[4096], got[4096];
    int torn = 0, whole = 0;
    memset(data, 'x', sizeof data);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct env_file *f = open_file("/a", ENV_WRITE | ENV_CREATE);
        ck_assert_int_eq(env_sync_dir(env, "/"), 0);
        ck_assert_int_eq(env_pwrite(env, f, data, sizeof data, 0), 0);
        env_close(env, f);
        env_sim_survive(env, SIM_RANDOM, seed);
        f = open_file("/a", ENV_READ);
        if (env_pread(env, f, got, sizeof got, 0) == sizeof got) {
            int pieces = 0;
            for (int at = 0; at < 4096; at += 512)
                pieces += got[at] == 'x';
            torn += pieces > 0 && pieces < 8;
            whole += pieces == 8;
        }
        env_close(env, f);
        renew();
    }
    ck_assert_msg(torn && whole, "%d torn, %d whole", torn, whole);
}
END_TEST

/* What was written later, to another file or to the same, may be there without what was written
 * before. */
START_TEST(writes_are_lost_in_any_order_in_one_file_and_across_files)
{
    bool across[4] = {false}, within[4] = {false};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        put("/a", "........", true);
        put("/b", "........", true);
        ck_assert_int_eq(env_sync_dir(env, "/"), 0);
        struct env_file *a = open_file("/a", ENV_WRITE), *b = open_file("/b", ENV_WRITE);
        ck_assert_int_eq(env_pwrite(env, a, "1", 1, 0), 0);
        ck_assert_int_eq(env_pwrite(env, b, "2", 1, 0), 0);
        ck_assert_int_eq(env_pwrite(env, a, "3", 1, 4), 0);
        env_close(env, a);
        env_close(env, b);
        env_sim_survive(env, SIM_RANDOM, seed);
        bool first = text_of("/a")[0] == '1', third = text_of("/a")[4] == '3';
        across[first + 2 * (text_of("/b")[0] == '2')] = true;
        within[first + 2 * third] = true;
        renew();
    }
    for (int n = 0; n < 4; n++)
        ck_assert_msg(across[n] && within[n], "outcome %d never came up", n);
}
END_TEST

START_TEST(a_rename_happens_whole_or_not_at_all)
{
    int old_seen = 0, new_seen = 0, torn_seen = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        put("/a", "old", true);
        ck_assert_int_eq(env_sync_dir(env, "/"), 0);
        put("/tmp", "new", seed % 2); /* without the sync its bytes may be missing */
        ck_assert_int_eq(env_rename(env, "/tmp", "/a"), 0);
        env_sim_survive(env, SIM_RANDOM, seed);
        const char *text = text_of("/a");
        if (strcmp(text, "old") == 0) {
            old_seen++;
        } else if (strcmp(text, "new") == 0) {
            ck_assert_str_eq(text_of("/tmp"), "-");
            new_seen++;
        } else {
            ck_assert(seed % 2 == 0);
            torn_seen++;
        }
        renew();
    }
    ck_assert(old_seen && new_seen && torn_seen);
}
END_TEST

START_TEST(folder_changes_of_different_names_are_lost_in_any_order)
{
    bool seen[4] = {false};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        put("/a", "a", true);
        put("/b", "b", true);
        env_sim_survive(env, SIM_RANDOM, seed);
        int a = strcmp(text_of("/a"), "a") == 0, b = strcmp(text_of("/b"), "b") == 0;
        seen[a + 2 * b] = true;
        renew();
    }
    ck_assert(seen[0] && seen[1] && seen[2] && seen[3]);
}
END_TEST

START_TEST(folder_changes_of_one_name_keep_their_order)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        put("/a", "first", true);
        ck_assert_int_eq(env_rename(env, "/a", "/b"), 0);
        put("/a", "second", true);
        env_sim_survive(env, SIM_RANDOM, seed);
        if (strcmp(text_of("/a"), "second") == 0)
            ck_assert_str_eq(text_of("/b"), "first");
        renew();
    }
}
END_TEST

START_TEST(a_cut_fails_its_call_and_all_later_ones)
{
    struct env_file *f = open_file("/a", ENV_WRITE | ENV_CREATE), *g;
    char c;
    env_sim_cut_at(env, 3);
    ck_assert_int_eq(env_pwrite(env, f, "1", 1, 0), 0);
    ck_assert_int_eq(env_sync(env, f), -EIO); /* call 3 */
    ck_assert(env_sim_is_cut(env));
    ck_assert_int_eq(env_pwrite(env, f, "2", 1, 0), -EIO);
    ck_assert_int_eq(env_pread(env, f, &c, 1, 0), -EIO);
    ck_assert_int_eq(env_open(env, "/a", ENV_READ, &g), -EIO);
    env_close(env, f);
    env_sim_survive(env, SIM_LOSE_ALL, 0);
    ck_assert_int_eq(entries("/"), 0);
    put("/a", "again", true);
    ck_assert_uint_eq(env_sim_count(env, SIM_ANY), 3);
}
END_TEST

START_TEST(a_process_that_starts_again_reads_what_is_not_durable)
{
    put("/a", "old", true);
    ck_assert_int_eq(env_sync_dir(env, "/"), 0);
    env_sim_cut_at(env, env_sim_count(env, SIM_ANY) + 2);
    struct env_file *f = open_file("/a", ENV_WRITE);
    ck_assert_int_eq(env_pwrite(env, f, "new", 3, 0), 0);
    ck_assert_int_eq(env_sync(env, f), -EIO);
    env_close(env, f);
    env_sim_restart(env);
    ck_assert_str_eq(text_of("/a"), "new");
    env_sim_survive(env, SIM_LOSE_ALL, 0);
    ck_assert_str_eq(text_of("/a"), "old");
}
END_TEST

START_TEST(the_write_that_the_cut_interrupts_may_be_there_in_part)
{
    bool seen[5] = {false};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct env_file *f = open_file("/a", ENV_WRITE | ENV_CREATE);
        env_sim_cut_at(env, 2);
        ck_assert_int_eq(env_pwrite(env, f, "1234", 4, 0), -EIO);
        env_close(env, f);
        env_sim_survive(env, SIM_KEEP_ALL, seed);
        seen[strlen(text_of("/a"))] = true;
        renew();
    }
    for (int n = 0; n < 5; n++)
        ck_assert(seen[n]);
}
END_TEST

START_TEST(a_copy_leaves_the_original_alone)
{
    put("/a", "one", true);
    ck_assert_int_eq(env_sync_dir(env, "/"), 0);
    struct env_file *f = open_file("/a", ENV_WRITE);
    struct env *original = env, *copy = env_sim_cut_copy(env);
    env_sim_survive(copy, SIM_RANDOM, 7);
    env = copy;
    put("/a", "two", true);
    env = original;
    ck_assert_str_eq(text_of("/a"), "one");
    ck_assert_int_eq(env_pwrite(env, f, "three", 5, 0), 0);
    env_close(env, f);
    env = copy;
    ck_assert_str_eq(text_of("/a"), "two");
    env_sim_free(original);
}
END_TEST

/* ---------------------------------------------------------------- faults */

START_TEST(a_chosen_call_fails_once)
{
    struct env_file *f = open_file("/a", ENV_WRITE | ENV_CREATE);
    env_sim_fail(env, SIM_WRITE, 2, -ENOSPC, SIM_DONE_NOTHING);
    ck_assert_int_eq(env_pwrite(env, f, "1", 1, 0), 0);
    ck_assert_int_eq(env_sync(env, f), 0);
    ck_assert(!env_sim_failed(env));
    ck_assert_int_eq(env_pwrite(env, f, "2", 1, 0), -ENOSPC);
    ck_assert(env_sim_failed(env));
    ck_assert_str_eq(text_of("/a"), "1");
    ck_assert_int_eq(env_pwrite(env, f, "3", 1, 0), 0);
    env_sim_fail(env, SIM_ANY, env_sim_count(env, SIM_ANY) + 1, -EIO, SIM_DONE_ALL);
    ck_assert_str_eq(text_of("/a"), "3"); /* reads have no number */
    ck_assert_int_eq(env_rename(env, "/a", "/b"), -EIO);
    ck_assert_str_eq(text_of("/b"), "3");
    env_close(env, f);
}
END_TEST

START_TEST(a_short_write_leaves_its_first_part)
{
    struct env_file *f = open_file("/a", ENV_WRITE | ENV_CREATE);
    env_sim_fail(env, SIM_WRITE, 1, -ENOSPC, SIM_DONE_PART);
    ck_assert_int_eq(env_pwrite(env, f, "12345678", 8, 0), -ENOSPC);
    size_t n = strlen(text_of("/a"));
    ck_assert(n > 0 && n < 8);
    ck_assert_mem_eq(text_of("/a"), "12345678", n);
    env_close(env, f);
}
END_TEST

START_TEST(a_sync_after_a_failed_sync_succeeds_and_saves_nothing)
{
    put("/a", "old", true);
    ck_assert_int_eq(env_sync_dir(env, "/"), 0);
    struct env_file *f = open_file("/a", ENV_WRITE);
    ck_assert_int_eq(env_pwrite(env, f, "new", 3, 0), 0);
    env_sim_fail(env, SIM_SYNC, env_sim_count(env, SIM_SYNC) + 1, -EIO, SIM_DONE_NOTHING);
    ck_assert_int_eq(env_sync(env, f), -EIO);
    ck_assert_int_eq(env_sync(env, f), 0);
    ck_assert_str_eq(text_of("/a"), "new"); /* what the page cache shows */
    env_close(env, f);
    env_sim_survive(env, SIM_KEEP_ALL, 0);
    ck_assert_str_eq(text_of("/a"), "old");
}
END_TEST

START_TEST(a_full_disk_cuts_a_write_short)
{
    struct env_space space;
    struct env_file *f = open_file("/a", ENV_WRITE | ENV_CREATE);
    env_sim_set_capacity(env, 6);
    ck_assert_int_eq(env_pwrite(env, f, "1234", 4, 0), 0);
    ck_assert_int_eq(env_pwrite(env, f, "5678", 4, 4), -ENOSPC);
    ck_assert_str_eq(text_of("/a"), "123456");
    ck_assert_int_eq(env_pwrite(env, f, "abc", 3, 0), 0); /* in place */
    ck_assert_int_eq(env_space(env, "/", &space), 0);
    ck_assert_uint_eq(space.available, 0);
    ck_assert_int_eq(env_unlink(env, "/a"), 0);
    env_close(env, f);
    ck_assert_int_eq(env_sync_dir(env, "/"), 0);
    put("/b", "123456", true);
}
END_TEST

/* ---------------------------------------------------------------- hooks, trace, threads */

struct gate {
    struct env_file *file;
    enum sim_call at;
    int calls;
};

static int write_meanwhile(void *arg, enum sim_call call, const char *path)
{
    struct gate *g = arg;
    g->calls++;
    ck_assert_str_eq(path, "/a");
    if (call == g->at) {
        env_sim_set_hook(env, NULL, NULL);
        ck_assert_int_eq(env_pwrite(env, g->file, "late", 4, 0), 0);
    }
    return 0;
}

START_TEST(a_sync_covers_only_what_was_there_when_it_began)
{
    put("/a", "old.", true);
    ck_assert_int_eq(env_sync_dir(env, "/"), 0);
    struct env_file *f = open_file("/a", ENV_WRITE);
    struct gate g = {.file = f, .at = SIM_SYNC};
    ck_assert_int_eq(env_pwrite(env, f, "good", 4, 0), 0);
    env_sim_set_hook(env, write_meanwhile, &g);
    ck_assert_int_eq(env_sync(env, f), 0);
    ck_assert_int_eq(g.calls, 1);
    ck_assert_str_eq(text_of("/a"), "late");
    env_close(env, f);
    env_sim_survive(env, SIM_LOSE_ALL, 0);
    ck_assert_str_eq(text_of("/a"), "good");
}
END_TEST

static int refuse(void *arg, enum sim_call call, const char *path)
{
    (void)path;
    return call == *(enum sim_call *)arg ? -EACCES : 0;
}

START_TEST(a_hook_can_make_a_call_fail)
{
    enum sim_call what = SIM_RENAME;
    put("/a", "x", false);
    env_sim_set_hook(env, refuse, &what);
    ck_assert_int_eq(env_rename(env, "/a", "/b"), -EACCES);
    ck_assert_int_eq(env_unlink(env, "/a"), 0);
}
END_TEST

START_TEST(the_trace_lists_every_numbered_call)
{
    struct buf text = BUF_INIT;
    const struct sim_traced *t;
    env_sim_set_trace(env, true);
    put("/a", "text", true);
    text_of("/a");
    ck_assert_int_eq(env_unlink(env, "/a"), 0);
    ck_assert_uint_eq(env_sim_trace(env, &t), 4);
    ck_assert_int_eq(t[1].call, SIM_WRITE);
    ck_assert_uint_eq(t[1].len, 4);
    ck_assert_uint_eq(t[3].number, 4);
    env_sim_trace_to_text(env, &text);
    buf_append(&text, "", 1);
    ck_assert_str_eq(text.data, "1 create /a off=0 len=0\n2 write /a off=0 len=4\n"
                                "3 sync /a off=0 len=0\n4 unlink /a off=0 len=0\n");
    buf_free(&text);
}
END_TEST

START_TEST(time_passes_without_waiting_for_it)
{
    uint64_t start = env_now_ns(env);
    env_sleep_us(env, 3600u * 1000000u);
    ck_assert_uint_ge(env_now_ns(env) - start, 3600ull * 1000000000u);
    env_sim_set_real_time(env, true);
    start = env_now_ns(env);
    env_sleep_us(env, 2000);
    uint64_t took = env_now_ns(env) - start;
    ck_assert(took >= 2000000 && took < 3600ull * 1000000000u);
}
END_TEST

static void *write_many(void *arg)
{
    char *path = mem_printf("/%d", *(int *)arg);
    for (int i = 0; i < 200; i++) {
        struct env_file *f;
        if (env_open(env, path, ENV_WRITE | ENV_CREATE, &f))
            abort();
        if (env_pwrite(env, f, path, strlen(path), (uint64_t)i) || env_sync(env, f))
            abort();
        env_close(env, f);
    }
    free(path);
    return NULL;
}

START_TEST(threads_share_a_disk)
{
    pthread_t threads[4];
    int numbers[4];
    for (int i = 0; i < 4; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, &numbers[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_eq(env_sim_count(env, SIM_SYNC), 800);
    ck_assert_uint_eq(env_sim_count(env, SIM_ANY), 4 + 1600);
}
END_TEST

START_TEST(one_seed_gives_one_outcome)
{
    char first[8];
    for (int run = 0; run < 2; run++) {
        put("/a", "1", false);
        put("/b", "2", false);
        put("/c", "3", false);
        env_sim_survive(env, SIM_RANDOM, 12345);
        char *all = mem_printf("%c%c%c", *text_of("/a"), *text_of("/b"), *text_of("/c"));
        if (run == 0)
            memcpy(first, all, 4);
        else
            ck_assert_str_eq(first, all);
        free(all);
        renew();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("env_sim");
    TCase *disk = tcase_create("disk"), *cuts = tcase_create("cuts"),
          *faults = tcase_create("faults");
    tcase_add_checked_fixture(disk, setup, teardown);
    tcase_add_test(disk, reads_back_what_was_written);
    tcase_add_test(disk, folders_and_names_behave_as_on_posix);
    tcase_add_test(disk, an_unlinked_file_lives_while_it_is_open);
    tcase_add_test(disk, a_lock_has_one_holder);
    tcase_add_checked_fixture(cuts, setup, teardown);
    tcase_set_timeout(cuts, 60);
    tcase_add_test(cuts, what_was_synced_survives_every_cut);
    tcase_add_test(cuts, what_was_not_synced_is_kept_by_a_kill_and_lost_by_the_worst_cut);
    tcase_add_test(cuts, a_truncation_survives_once_it_is_synced);
    tcase_add_test(cuts, pieces_of_a_write_are_kept_and_lost_each_on_its_own);
    tcase_add_test(cuts, a_page_is_torn_at_512_bytes_in_some_outcomes_and_whole_in_others);
    tcase_add_test(cuts, writes_are_lost_in_any_order_in_one_file_and_across_files);
    tcase_add_test(cuts, a_rename_happens_whole_or_not_at_all);
    tcase_add_test(cuts, folder_changes_of_different_names_are_lost_in_any_order);
    tcase_add_test(cuts, folder_changes_of_one_name_keep_their_order);
    tcase_add_test(cuts, a_cut_fails_its_call_and_all_later_ones);
    tcase_add_test(cuts, a_process_that_starts_again_reads_what_is_not_durable);
    tcase_add_test(cuts, the_write_that_the_cut_interrupts_may_be_there_in_part);
    tcase_add_test(cuts, a_copy_leaves_the_original_alone);
    tcase_add_test(cuts, one_seed_gives_one_outcome);
    tcase_add_checked_fixture(faults, setup, teardown);
    tcase_set_timeout(faults, 60);
    tcase_add_test(faults, a_chosen_call_fails_once);
    tcase_add_test(faults, a_short_write_leaves_its_first_part);
    tcase_add_test(faults, a_sync_after_a_failed_sync_succeeds_and_saves_nothing);
    tcase_add_test(faults, a_full_disk_cuts_a_write_short);
    tcase_add_test(faults, a_sync_covers_only_what_was_there_when_it_began);
    tcase_add_test(faults, a_hook_can_make_a_call_fail);
    tcase_add_test(faults, the_trace_lists_every_numbered_call);
    tcase_add_test(faults, time_passes_without_waiting_for_it);
    tcase_add_test(faults, threads_share_a_disk);
    suite_add_tcase(suite, disk);
    suite_add_tcase(suite, cuts);
    suite_add_tcase(suite, faults);
    return run_suite(suite);
}
