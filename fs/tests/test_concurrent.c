/* Many threads in a small tree: nothing deadlocks, nobody sees half of a change, and afterwards the
 * store's records are consistent. */
#include <check.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../store/tests/run_suite.h"
#include "check_store.h"
#include "fixture.h"

/* Directories are locked from above to below, and the tree changes: ThreadSanitizer looks for an
 * order that never changes. (A real ring makes a test here time out.) */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "detect_deadlocks=0";
}

#define THREADS 8
#define DIRS 6
#define HELD 4
#define LENGTH 8192 /* every file has this length or none, and one value in all its bytes */

static uint64_t dirs[DIRS]; /* each with a reference of the test's own */
static uint64_t seed;
static int rounds;

struct worker {
    pthread_t thread;
    struct random r;
    uint64_t held[HELD]; /* with a reference; 0: none */
};

static uint64_t any_dir(struct worker *w)
{
    return dirs[random_below(&w->r, DIRS)];
}

static const char *any_name(struct worker *w)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    return names[random_below(&w->r, 8)];
}

/* The six directories move, but are never removed or replaced. */
static const char *name_of_six(struct worker *w)
{
    static const char *const names[] = {"d0", "d1", "d2", "d3", "d4", "d5"};
    return names[random_below(&w->r, DIRS)];
}

static uint64_t any_held(struct worker *w)
{
    return w->held[random_below(&w->r, HELD)];
}

/* Takes the reference over. */
static void keep(struct worker *w, uint64_t ino)
{
    uint64_t *slot = &w->held[random_below(&w->r, HELD)];
    if (*slot)
        fs_forget(fs, *slot, 1);
    *slot = ino;
}

static void make_one(struct worker *w)
{
    static const mode_t modes[] = {S_IFREG | 0644, S_IFREG | 0644, S_IFDIR | 0755, S_IFLNK | 0777};
    struct stat st;
    mode_t mode = modes[random_below(&w->r, 4)];
    int rc = fs_make(fs, &(struct fs_caller){0}, any_dir(w), any_name(w), mode, 0, "target", &st);
    ck_assert_msg(rc == 0 || rc == -EEXIST, "make: %s", fail_name(rc));
    if (rc == 0 && S_ISREG(mode))
        keep(w, st.st_ino);
    else if (rc == 0)
        fs_forget(fs, st.st_ino, 1);
}

static void look_one_up(struct worker *w)
{
    struct stat st;
    int rc = fs_lookup(fs, any_dir(w), any_name(w), &st);
    ck_assert_msg(rc == 0 || rc == -ENOENT, "lookup: %s", fail_name(rc));
    if (rc == 0 && S_ISREG(st.st_mode))
        keep(w, st.st_ino);
    else if (rc == 0)
        fs_forget(fs, st.st_ino, 1);
}

static void link_one(struct worker *w, uint64_t ino)
{
    struct stat st;
    int rc = fs_link(fs, ino, any_dir(w), any_name(w), &st);
    ck_assert_msg(rc == 0 || rc == -EEXIST || rc == -ENOENT, "link: %s", fail_name(rc));
    if (rc == 0)
        fs_forget(fs, ino, 1);
}

static void remove_one(struct worker *w)
{
    bool dir = random_below(&w->r, 3) == 0;
    int rc = dir ? fs_rmdir(fs, any_dir(w), any_name(w)) : fs_unlink(fs, any_dir(w), any_name(w));
    ck_assert_msg(rc == 0 || rc == -ENOENT || rc == (dir ? -ENOTDIR : -EISDIR), "remove: %s",
                  fail_name(rc));
}

static void move_one(struct worker *w)
{
    static const unsigned all[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
    unsigned flags = all[random_below(&w->r, 5)];
    const char *name = any_name(w), *new_name = any_name(w);
    uint64_t dir = any_dir(w), new_dir = random_below(&w->r, 3) ? any_dir(w) : dir;
    if (random_below(&w->r, 3) == 0) {
        name = new_name = name_of_six(w);
        if (flags & RENAME_EXCHANGE)
            new_name = name_of_six(w);
    }
    int rc = fs_rename(fs, dir, name, new_dir, new_name, flags);
    ck_assert_msg(rc == 0 || rc == -ENOENT || rc == -EEXIST || rc == -EINVAL || rc == -ENOTEMPTY ||
                      rc == -EISDIR || rc == -ENOTDIR,
                  "rename: %s", fail_name(rc));
}

static void write_one(struct worker *w, uint64_t ino)
{
    char p[LENGTH];
    struct stat st, in = {0};
    int rc;
    memset(p, (int)random_below(&w->r, 256), sizeof p);
    if (random_below(&w->r, 4)) {
        rc = fs_write(fs, ino, p, sizeof p, 0, false);
    } else {
        in.st_size = random_below(&w->r, 2) ? 0 : LENGTH;
        /* from LENGTH nothing changes, from 0 it is all zeroes */
        rc = fs_setattr(fs, ino, &in, FS_SET_SIZE, &st);
    }
    ck_assert_int_eq(rc, 0);
}

static void read_one(struct worker *w, uint64_t ino)
{
    char p[LENGTH + 1];
    size_t off = random_below(&w->r, 2) ? 0 : 4096;
    ssize_t n = fs_read(fs, ino, p, sizeof p - off, off);
    ck_assert_msg(n == 0 || n == (ssize_t)(LENGTH - off), "read %zd bytes", n);
    for (ssize_t i = 1; i < n; i++)
        if (p[i] != p[0]) /* each ck_assert costs a write to a file */
            ck_abort_msg("byte %zd is of another write", i);
}

static void set_one(struct worker *w, uint64_t ino)
{
    struct stat st, in = {.st_mode = (mode_t)random_below(&w->r, 0777)};
    char value[8];
    ck_assert_int_eq(fs_setattr(fs, ino, &in, FS_SET_MODE, &st), 0);
    ck_assert(S_ISREG(st.st_mode));
    int rc = random_below(&w->r, 2) ? fs_setxattr(fs, ino, "user.a", "value", 5, 0)
                                    : fs_removexattr(fs, ino, "user.a");
    ck_assert(rc == 0 || rc == -ENODATA);
    rc = fs_getxattr(fs, ino, "user.a", value, sizeof value);
    ck_assert(rc == 5 || rc == -ENODATA);
}

static bool take(void *arg, const struct fs_dirent *e)
{
    (void)arg;
    if (e->looked_up)
        fs_forget(fs, e->st->st_ino, 1);
    return true;
}

static void list_one(struct worker *w)
{
    struct fs_dir *d;
    ck_assert_int_eq(fs_opendir(fs, any_dir(w), &d), 0);
    ck_assert_int_eq(fs_readdir(fs, d, 0, FS_DIR_PLUS, take, NULL), 0);
    ck_assert_int_eq(fs_readdir(fs, d, 0, FS_DIR_PLUS_NEW, take, NULL), 0);
    fs_closedir(fs, d);
}

static void do_one(struct worker *w)
{
    uint64_t ino = any_held(w), what = random_below(&w->r, 24);
    if (what < 5)
        make_one(w);
    else if (what < 8)
        look_one_up(w);
    else if (what < 11)
        remove_one(w);
    else if (what < 15)
        move_one(w);
    else if (what == 15)
        list_one(w);
    else if (!ino)
        look_one_up(w);
    else if (what < 18)
        link_one(w, ino);
    else if (what < 20)
        write_one(w, ino);
    else if (what < 22)
        read_one(w, ino);
    else if (what < 23)
        set_one(w, ino);
    else
        ck_assert_int_eq(random_below(&w->r, 10) ? 0 : fs_sync_inode(fs, ino), 0);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < rounds; i++)
        do_one(w);
    for (int i = 0; i < HELD; i++)
        if (w->held[i])
            fs_forget(fs, w->held[i], 1);
    return NULL;
}

static void make_dirs(void)
{
    for (int i = 0; i < DIRS; i++) {
        char name[] = {'d', (char)('0' + i), 0};
        dirs[i] = make_dir(i < 3 ? FS_ROOT : dirs[i - 3], name);
    }
}

START_TEST(random_operations_side_by_side_leave_a_consistent_tree)
{
    struct worker workers[THREADS] = {0};
    seed = random_seed();
    rounds = random_iterations(20000);
    make_dirs();
    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i].r.state = seed + i * 7919;
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    fixture_settle();
    check_store(fs, CHECK_NO_GARBAGE);
    fixture_kill();
    check_store(fs, CHECK_NOTHING_OPEN);
}
END_TEST

/* ---- locks in a ring */

static uint64_t dir_x, dir_y, dir_z; /* x is in z; y and z are in the root; x < y < z */

static void *exchange_in_the_root(void *arg)
{
    for (int i = 0; i < rounds; i++)
        ck_assert_int_eq(fs_rename(fs, FS_ROOT, "y", FS_ROOT, "z", RENAME_EXCHANGE), 0);
    return arg;
}

static void *move_from_x_to_y(void *arg)
{
    for (int i = 0; i < rounds; i++)
        ck_assert_int_eq(fs_rename(fs, dir_x, "none", dir_y, "none", 0), -ENOENT);
    return arg;
}

static void *try_to_remove_x(void *arg)
{
    for (int i = 0; i < rounds; i++)
        ck_assert_int_eq(fs_unlink(fs, dir_z, "x"), -EISDIR);
    return arg;
}

/* The first wants y then z (as numbers go), the second x then y, the third z then x. */
START_TEST(three_who_lock_directories_never_wait_in_a_ring)
{
    void *(*const work_of[])(void *) = {exchange_in_the_root, move_from_x_to_y, try_to_remove_x};
    pthread_t threads[3];
    rounds = random_iterations(20000);
    dir_x = make_dir(FS_ROOT, "x");
    dir_y = make_dir(FS_ROOT, "y");
    dir_z = make_dir(FS_ROOT, "z");
    ck_assert_int_eq(fs_rename(fs, FS_ROOT, "x", dir_z, "x", 0), 0);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, work_of[i], NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

/* ---- many new files in one directory and in their own */

struct maker {
    pthread_t thread;
    uint64_t dir;
    int number;
};

static void *make_many(void *arg)
{
    struct maker *m = arg;
    for (int i = 0; i < 200; i++) {
        char name[32];
        struct stat st;
        snprintf(name, sizeof name, "%d-%d", m->number, i);
        ck_assert_int_eq(
            fs_make(fs, &(struct fs_caller){0}, m->dir, name, S_IFREG | 0600, 0, NULL, &st), 0);
        ck_assert_int_eq(fs_write(fs, st.st_ino, name, strlen(name), 0, false), 0);
        if (i % 10 == 0)
            ck_assert_int_eq(fs_sync_inode(fs, st.st_ino), 0);
        fs_forget(fs, st.st_ino, 1);
    }
    return NULL;
}

START_TEST(files_made_side_by_side_are_all_there)
{
    struct maker m[THREADS];
    uint64_t shared = make_dir(FS_ROOT, "shared");
    for (int i = 0; i < THREADS; i++) {
        char name[] = {'o', (char)('0' + i), 0};
        m[i].dir = i % 2 ? shared : make_dir(FS_ROOT, name);
        m[i].number = i;
        pthread_create(&m[i].thread, NULL, make_many, &m[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(m[i].thread, NULL);
    fixture_kill();
    shared = find(FS_ROOT, "shared");
    for (int i = 0; i < THREADS; i++)
        for (int k = 0; k < 200; k++) {
            char name[32], own[] = {'o', (char)('0' + i), 0};
            snprintf(name, sizeof name, "%d-%d", i, k);
            expect_text(find(i % 2 ? shared : find(FS_ROOT, own), name), name);
        }
    ck_assert_int_eq(count_records('D', shared), THREADS / 2 * 200);
}
END_TEST

/* ---- an inode that comes and goes in memory is never an old one */

static uint64_t counted;
static atomic_bool done;
static atomic_long committed; /* the size that it has at least */

static void *look_and_forget(void *arg)
{
    (void)arg;
    while (!atomic_load(&done)) {
        struct stat st;
        if (fs_lookup(fs, FS_ROOT, "f", &st) != 0)
            ck_abort_msg("f is gone");
        long least = atomic_load(&committed);
        if (fs_getattr(fs, counted, &st) != 0 || st.st_size < least)
            ck_abort_msg("size %lld after %ld", (long long)st.st_size, least);
        fs_forget(fs, counted, 1);
    }
    return NULL;
}

/* Each turn of the owner raises the size by one, and forgets the file: what it finds the next time
 * must be that size, whoever else had put the inode into memory in between. */
START_TEST(no_thread_brings_an_old_inode_back_into_memory)
{
    pthread_t others[3];
    struct fs_dir *d;
    counted = make_file(FS_ROOT, "f");
    fs_forget(fs, counted, 1);
    atomic_store(&done, false);
    atomic_store(&committed, 0);
    for (int i = 0; i < 3; i++)
        pthread_create(&others[i], NULL, look_and_forget, NULL);
    int n = random_iterations(6000);
    for (int i = 0; i < n; i++) {
        if (i % 3 == 0) {
            ck_assert_int_eq(fs_opendir(fs, FS_ROOT, &d), 0);
            ck_assert_int_eq(fs_readdir(fs, d, 0, FS_DIR_PLUS, take, NULL), 0);
            fs_closedir(fs, d);
        }
        ck_assert_uint_eq(find(FS_ROOT, "f"), counted);
        ck_assert_int_eq(stat_of(counted).st_size, i);
        set_size(counted, (uint64_t)i + 1);
        atomic_store(&committed, i + 1);
        fs_forget(fs, counted, 1);
    }
    atomic_store(&done, true);
    for (int i = 0; i < 3; i++)
        pthread_join(others[i], NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("concurrent");
    TCase *tc = tcase_create("concurrent");
    tcase_set_timeout(tc, 240);
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, random_operations_side_by_side_leave_a_consistent_tree);
    tcase_add_test(tc, three_who_lock_directories_never_wait_in_a_ring);
    tcase_add_test(tc, files_made_side_by_side_are_all_there);
    tcase_add_test(tc, no_thread_brings_an_old_inode_back_into_memory);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
