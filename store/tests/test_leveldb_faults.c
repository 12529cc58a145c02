/* What LevelDB loses, and we do not: each test does the same to a database of LevelDB and to a
 * store of ours, on the real disk, and looks at both afterwards.
 *
 * This binary has an fdatasync() of its own, which LevelDB's library calls too. It notes how much
 * of each log was synced, so that a test can play a power cut: every log is cut back to that
 * length, which is what a disk may leave. It also holds the sync of tables, so that a flush takes
 * as long as a test wants. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../log/log_format.h"
#include "../store.h"
#include "level.h"
#include "run_suite.h"
#include "temp_dir.h"

enum { KEYS = 1000, LOGS = 16, NAME = 64 };

static size_t memtable_bytes;

/* What a forked child did; shared with its parent. */
static struct {
    bool acknowledged[KEYS];
    int first_refused; /* the first key whose write failed; KEYS: none */
    struct {
        char name[NAME];
        off_t bytes;
    } synced[LOGS];
    int logs;
} * shared;

static atomic_bool hold_tables;

/* ---- fdatasync, watched */

static bool ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n >= m && strcmp(name + n - m, ending) == 0;
}

static void note_synced(const char *name, off_t bytes)
{
    int i = 0;
    while (i < shared->logs && strcmp(shared->synced[i].name, name) != 0)
        i++;
    if (i == LOGS)
        abort();
    snprintf(shared->synced[i].name, NAME, "%s", name);
    shared->synced[i].bytes = bytes;
    if (i == shared->logs)
        shared->logs++;
}

int fdatasync(int fd)
{
    char link[64], path[4096] = "";
    struct stat st;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) < 0 || fstat(fd, &st) != 0)
        abort();
    while (ends_with(path, ".ldb") && atomic_load(&hold_tables))
        usleep(1000);
    int rc = (int)syscall(SYS_fdatasync, fd);
    if (rc == 0 && shared && ends_with(path, ".log"))
        note_synced(strrchr(path, '/') + 1, st.st_size);
    return rc;
}

/* ---- one interface over both */

struct engine {
    const char *name;
    void *(*open)(const char *dir);
    void (*close)(void *db);
    bool (*put)(void *db, struct slice key, struct slice value, bool sync);
    bool (*get)(void *db, struct slice key, struct buf *value);
};

static void *their_open(const char *dir)
{
    struct level *l =
        level_open(dir, false, false, false, memtable_bytes); /* its default: not paranoid */
    ck_assert_msg(!level_failed(l), "LevelDB: %s", l->error);
    return l;
}

static void their_close(void *db)
{
    level_close(db);
}

static bool their_put(void *db, struct slice key, struct slice value, bool sync)
{
    return level_put(db, key, value, sync);
}

static bool their_get(void *db, struct slice key, struct buf *value)
{
    struct level *l = db;
    bool found = level_get(l, key, value);
    ck_assert_msg(!level_failed(l), "LevelDB: %s", l->error);
    return found;
}

static void *our_open(const char *dir)
{
    struct store_options o;
    struct store *s;
    store_options_init(&o);
    o.memtable_bytes = memtable_bytes;
    ck_assert_msg(store_open(dir, &o, &s) == 0, "%s", fail_text());
    return s;
}

static void our_close(void *db)
{
    ck_assert_msg(store_close(db) == 0, "%s", fail_text());
}

static bool our_put(void *db, struct slice key, struct slice value, bool sync)
{
    return store_put(db, key, value, sync) == 0;
}

static bool our_get(void *db, struct slice key, struct buf *value)
{
    int rc = store_get(db, NULL, key, value);
    ck_assert_msg(rc == 0 || rc == -ENOENT, "%s", fail_text());
    return rc == 0;
}

static const struct engine theirs = {"LevelDB", their_open, their_close, their_put, their_get};
static const struct engine ours = {"ours", our_open, our_close, our_put, our_get};

/* ---- what is written, what is found */

enum { VALUE = 700 };

static struct slice value_of(int i)
{
    static char room[VALUE];
    memset(room, 'a' + i % 26, VALUE);
    return slice_of(room, VALUE);
}

static struct slice key_of(char *room, int i)
{
    return slice_of(room, (size_t)sprintf(room, "key%05d", i));
}

static bool put(const struct engine *e, void *db, int i, bool sync)
{
    char room[16];
    shared->acknowledged[i] = e->put(db, key_of(room, i), value_of(i), sync);
    if (!shared->acknowledged[i] && i < shared->first_refused)
        shared->first_refused = i;
    return shared->acknowledged[i];
}

struct found {
    int acknowledged; /* writes that were */
    int lost;         /* of these, how many are gone */
    int holes;        /* of these, how many have a later one behind them that is there */
};

/* Opens what is left and compares. */
static struct found look(const struct engine *e, const char *dir)
{
    struct found f = {0};
    struct buf value = BUF_INIT;
    char room[16];
    int gone_before = 0;
    void *db = e->open(dir);
    for (int i = 0; i < KEYS; i++) {
        bool there = e->get(db, key_of(room, i), &value);
        if (there)
            ck_assert_msg(slice_equal(buf_slice(&value), value_of(i)), "%s: key %d", e->name, i);
        if (there)
            f.holes = gone_before;
        f.acknowledged += shared->acknowledged[i];
        f.lost += shared->acknowledged[i] && !there;
        gone_before += shared->acknowledged[i] && !there;
    }
    e->close(db);
    buf_free(&value);
    printf("%s: %d acknowledged, %d lost, %d with later ones behind them\n", e->name,
           f.acknowledged, f.lost, f.holes);
    return f;
}

/* `work` in a child that ends without closing. */
static void run_and_die(void (*work)(const struct engine *e, const char *dir),
                        const struct engine *e, const char *dir)
{
    memset(shared, 0, sizeof *shared);
    shared->first_refused = KEYS;
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        work(e, dir);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

/* Each that is not empty (ours has one ready for the next switch). */
static int each_log(const char *dir, void (*visit)(int folder, const char *name))
{
    DIR *d = opendir(dir);
    int count = 0;
    ck_assert_ptr_nonnull(d);
    for (struct dirent *entry; (entry = readdir(d));) {
        struct stat st;
        if (ends_with(entry->d_name, ".log") && fstatat(dirfd(d), entry->d_name, &st, 0) == 0 &&
            st.st_size > 0) {
            count++;
            if (visit)
                visit(dirfd(d), entry->d_name);
        }
    }
    closedir(d);
    return count;
}

/* ---- a block of the log that comes back as zeroes */

enum { IN_ONE_LOG = 400, ZEROED_BLOCK = 3 };

static void write_one_log(const struct engine *e, const char *dir)
{
    void *db = e->open(dir);
    for (int i = 0; i < IN_ONE_LOG; i++)
        put(e, db, i, i == IN_ONE_LOG - 1);
}

static void zero_block(int folder, const char *name)
{
    static const char zeroes[LOG_BLOCK_SIZE];
    struct stat st;
    int fd = openat(folder, name, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_int_gt(st.st_size, (ZEROED_BLOCK + 2) * LOG_BLOCK_SIZE);
    ck_assert_int_eq(pwrite(fd, zeroes, sizeof zeroes, ZEROED_BLOCK * LOG_BLOCK_SIZE),
                     sizeof zeroes);
    close(fd);
}

static struct found with_a_zeroed_block(const struct engine *writer, const struct engine *reader)
{
    memtable_bytes = 1 << 20;
    run_and_die(write_one_log, writer, temp_path("zeroed"));
    ck_assert_int_eq(shared->first_refused, KEYS);
    ck_assert_int_eq(each_log(temp_path("zeroed"), zero_block), 1);
    struct found f = look(reader, temp_path("zeroed"));
    temp_dir_clear();
    return f;
}

START_TEST(behind_a_zeroed_block_leveldb_goes_on_and_we_stop)
{
    struct found f = with_a_zeroed_block(&theirs, &theirs);
    ck_assert_int_eq(f.acknowledged, IN_ONE_LOG);
    ck_assert_int_gt(f.lost, 20);
    ck_assert_int_eq(f.holes, f.lost); /* all of them from the middle */

    const struct engine *writers[] = {&theirs, &ours};
    for (int i = 0; i < 2; i++) {
        f = with_a_zeroed_block(writers[i], &ours);
        ck_assert_int_gt(f.lost, 20);
        ck_assert_int_lt(f.lost, IN_ONE_LOG - 100); /* what is in front of it is there */
        ck_assert_int_eq(f.holes, 0);
    }
}
END_TEST

START_TEST(what_we_stop_at_is_told_and_kept_aside)
{
    struct store_options o;
    struct store_stats st;
    struct store *s;
    memtable_bytes = 1 << 20;
    run_and_die(write_one_log, &theirs, temp_path("zeroed"));
    ck_assert_int_eq(each_log(temp_path("zeroed"), zero_block), 1);
    store_options_init(&o);
    ck_assert_int_eq(store_open(temp_path("zeroed"), &o, &s), 0);
    store_get_stats(s, &st);
    ck_assert_uint_gt(st.cut_bytes, 2 * LOG_BLOCK_SIZE);
    our_close(s);
    ck_assert_int_eq(each_log(temp_path("zeroed/lost"), NULL), 1);
}
END_TEST

/* ---- an append that fails half-way, and the disk is well again */

enum { LIMIT = 100000 };

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(2);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(2);
}

static void write_past_a_failure(const struct engine *e, const char *dir)
{
    void *db = e->open(dir);
    int i = 0;
    signal(SIGXFSZ, SIG_IGN);
    limit_file_size(LIMIT);
    while (i < KEYS - 50 && put(e, db, i, true))
        i++;
    limit_file_size(RLIM_INFINITY);
    for (int n = 0; n < 49; n++)
        put(e, db, ++i, true);
}

static struct found with_a_failed_append(const struct engine *e)
{
    memtable_bytes = 1 << 20;
    run_and_die(write_past_a_failure, e, temp_path("limited"));
    ck_assert_int_lt(shared->first_refused, KEYS - 50);
    struct found f = look(e, temp_path("limited"));
    temp_dir_clear();
    return f;
}

START_TEST(after_a_failed_append_leveldb_acknowledges_what_it_loses_and_we_refuse)
{
    struct found f = with_a_failed_append(&theirs);
    ck_assert_int_eq(f.acknowledged, shared->first_refused + 49);
    ck_assert_int_gt(f.lost, 0);

    f = with_a_failed_append(&ours);
    ck_assert_int_eq(f.acknowledged, shared->first_refused); /* nothing behind the failure */
    ck_assert_int_eq(f.lost, 0);
}
END_TEST

/* ---- a memtable switch, and a power cut before the flush is through */

static void sync_behind_a_switch(const struct engine *e, const char *dir)
{
    void *db = e->open(dir);
    int i = 0;
    atomic_store(&hold_tables, true);
    while (i < KEYS - 2 && each_log(dir, NULL) < 2)
        put(e, db, i++, false);
    put(e, db, i, true);
}

static void cut_back(int folder, const char *name)
{
    off_t bytes = 0;
    for (int i = 0; i < shared->logs; i++)
        if (strcmp(shared->synced[i].name, name) == 0)
            bytes = shared->synced[i].bytes;
    int fd = openat(folder, name, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, bytes), 0);
    close(fd);
}

static struct found with_a_power_cut_behind_a_switch(const struct engine *writer,
                                                     const struct engine *reader)
{
    memtable_bytes = 64 << 10;
    run_and_die(sync_behind_a_switch, writer, temp_path("switched"));
    ck_assert_int_eq(shared->first_refused, KEYS);
    ck_assert_int_eq(each_log(temp_path("switched"), cut_back), 2);
    struct found f = look(reader, temp_path("switched"));
    temp_dir_clear();
    return f;
}

START_TEST(a_sync_behind_a_memtable_switch_covers_the_older_log_here_and_not_in_leveldb)
{
    struct found f = with_a_power_cut_behind_a_switch(&theirs, &theirs);
    ck_assert_int_gt(f.acknowledged, 50);
    ck_assert_int_gt(f.lost, 50);
    ck_assert_int_eq(f.holes, f.lost); /* and the sync write behind them is there */

    f = with_a_power_cut_behind_a_switch(&ours, &ours);
    ck_assert_int_gt(f.acknowledged, 50);
    ck_assert_int_eq(f.lost, 0);

    /* What LevelDB left we open as a prefix. */
    f = with_a_power_cut_behind_a_switch(&theirs, &ours);
    ck_assert_int_gt(f.lost, 50);
    ck_assert_int_eq(f.holes, 0);
}
END_TEST

static void setup(void)
{
    temp_dir_clear();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
}

int main(void)
{
    Suite *suite = suite_create("leveldb_faults");
    TCase *tc = tcase_create("faults");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, behind_a_zeroed_block_leveldb_goes_on_and_we_stop);
    tcase_add_test(tc, what_we_stop_at_is_told_and_kept_aside);
    tcase_add_test(tc, after_a_failed_append_leveldb_acknowledges_what_it_loses_and_we_refuse);
    tcase_add_test(tc,
                   a_sync_behind_a_memtable_switch_covers_the_older_log_here_and_not_in_leveldb);
    suite_add_tcase(suite, tc);
    temp_dir_make();
    setenv("CK_FORK", "yes", 1); /* see level.h */
    int result = run_suite(suite);
    temp_dir_remove();
    return result;
}
