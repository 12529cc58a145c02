/* The store's lock is never held while the disk is at work: a writer that wants it would wait for
 * somebody else's disk. Every call that may take its time is asked for it. Nor does a background
 * thread wake another one under it: who is woken runs at once, in its place. */
#include <check.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/error.h"
#include "../db/db.h"
#include "env_sim.h"

static struct env *disk;
static struct store *_Atomic store; /* once it is open */
static const struct env_ops *below;
static atomic_int calls;
static _Atomic(const char *) guilty; /* the first call that was made under the lock */

static bool has_lock(void)
{
    struct store *s = store;
    return s && s->mu.__data.__owner == gettid(); /* glibc's */
}

static void ask(const char *name)
{
    const char *none = NULL;
    atomic_fetch_add(&calls, 1);
    if (has_lock())
        atomic_compare_exchange_strong(&guilty, &none, name);
}

static _Thread_local bool writes; /* the test's own threads; others are the background's */
static atomic_int wakes, wakes_with_lock;

static void note_wake(void)
{
    if (writes)
        return;
    atomic_fetch_add(&wakes, 1);
    atomic_fetch_add(&wakes_with_lock, has_lock());
}

/* In the place of glibc's. */
int pthread_cond_signal(pthread_cond_t *c)
{
    int (*real)(pthread_cond_t *) = (int (*)(pthread_cond_t *))dlsym(RTLD_NEXT, __func__);
    note_wake();
    return real(c);
}

int pthread_cond_broadcast(pthread_cond_t *c)
{
    int (*real)(pthread_cond_t *) = (int (*)(pthread_cond_t *))dlsym(RTLD_NEXT, __func__);
    note_wake();
    return real(c);
}

static int open_file(struct env *e, const char *path, int flags, struct env_file **out)
{
    ask("open");
    return below->open(e, path, flags, out);
}

static void close_file(struct env *e, struct env_file *f)
{
    ask("close");
    below->close(e, f);
}

static ssize_t read_file(struct env *e, struct env_file *f, void *p, size_t n, uint64_t off)
{
    ask("pread");
    return below->pread(e, f, p, n, off);
}

static int write_file(struct env *e, struct env_file *f, const void *p, size_t n, uint64_t off)
{
    ask("pwrite");
    return below->pwrite(e, f, p, n, off);
}

static int truncate_file(struct env *e, struct env_file *f, uint64_t size)
{
    ask("truncate");
    return below->truncate(e, f, size);
}

static int sync_file(struct env *e, struct env_file *f)
{
    ask("sync");
    return below->sync(e, f);
}

static int rename_file(struct env *e, const char *from, const char *to)
{
    ask("rename");
    return below->rename(e, from, to);
}

static int unlink_file(struct env *e, const char *path)
{
    ask("unlink");
    return below->unlink(e, path);
}

static int sync_folder(struct env *e, const char *dir)
{
    ask("sync_dir");
    return below->sync_dir(e, dir);
}

static int open_window(struct env *e, struct env_file *f, uint64_t off, size_t n,
                       struct env_window **out)
{
    ask("window_open");
    return below->window_open(e, f, off, n, out);
}

static int write_window(struct env *e, struct env_window *w, const void *p, size_t n, uint64_t off)
{
    ask("window_write");
    return below->window_write(e, w, p, n, off);
}

static void close_window(struct env *e, struct env_window *w)
{
    ask("window_close");
    below->window_close(e, w);
}

/* Plain and sync puts of a few keys. */
static void *work(void *arg)
{
    char key[16], value[200] = "value";
    writes = true;
    for (int i = 0; i < 1500; i++) {
        int n = snprintf(key, sizeof key, "%d", i * 7919 % 300);
        int rc = store_put(store, slice_of(key, (size_t)n), slice_of(value, sizeof value),
                           arg != NULL && i % 20 == 0);
        ck_assert_msg(rc == 0, "%s", fail_text());
    }
    return NULL;
}

START_TEST(no_call_to_the_disk_is_made_under_the_lock_and_nobody_woken)
{
    struct env_ops asking;
    struct store_options options;
    struct store *s;
    pthread_t threads[2];
    writes = true;
    disk = env_sim_new();
    below = disk->ops;
    asking = *below;
    asking.open = open_file;
    asking.close = close_file;
    asking.pread = read_file;
    asking.pwrite = write_file;
    asking.truncate = truncate_file;
    asking.sync = sync_file;
    asking.rename = rename_file;
    asking.unlink = unlink_file;
    asking.sync_dir = sync_folder;
    asking.window_open = open_window;
    asking.window_write = write_window;
    asking.window_close = close_window;
    disk->ops = &asking;

    store_options_init(&options);
    options.env = disk;
    options.memtable_bytes = 32 << 10;
    options.table_bytes = 16 << 10;
    options.level_base_bytes = 32 << 10;
    options.log_window_bytes = 16 << 10;
    options.manifest_bytes = 200;
    options.max_open_tables = 16;
    ck_assert_int_eq(store_open("/db", &options, &s), 0);
    store = s;
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, work, i ? &threads : NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(store_flush(s), 0);
    ck_assert_int_eq(store_compact(s, slice_of(NULL, 0), slice_of(NULL, 0)), 0);
    struct store_stats stats;
    store_get_stats(s, &stats);
    ck_assert_uint_gt(stats.flushes, 3);
    ck_assert_uint_gt(stats.compactions, 3);
    ck_assert_uint_gt(env_sim_count(disk, SIM_WINDOW), 100);
    ck_assert_uint_gt(env_sim_count(disk, SIM_RENAME), 3); /* new MANIFESTs */
    ck_assert_int_gt(calls, 3000);
    ck_assert_msg(guilty == NULL, "%s was called under the lock", guilty);
    ck_assert_int_gt(wakes, 20);
    ck_assert_int_eq(wakes_with_lock, 0);
    store = NULL; /* it goes away */
    ck_assert_int_eq(store_close(s), 0);
    disk->ops = below;
    env_sim_free(disk);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lock_io");
    TCase *tc = tcase_create("lock_io");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, no_call_to_the_disk_is_made_under_the_lock_and_nobody_woken);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
