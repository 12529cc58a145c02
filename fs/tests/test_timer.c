/* The bounded window: what nobody synced is durable after commit_seconds. */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../store/tests/run_suite.h"
#include "../core/fs.h"

static char folder[] = "/tmp/skeinfs-timer.XXXXXX";

static struct fs *open_with(double commit_seconds)
{
    struct fs_options o;
    struct fs *fs;
    char *dir = mem_printf("%s/store", folder);
    fs_options_init(&o);
    o.commit_seconds = commit_seconds;
    ck_assert_msg(fs_open(dir, &o, &fs) == 0, "%s", fail_text());
    free(dir);
    return fs;
}

static void make_file(struct fs *fs, const char *name)
{
    struct stat st;
    ck_assert_int_eq(
        fs_make(fs, &(struct fs_caller){0}, FS_ROOT, name, S_IFREG | 0600, 0, NULL, &st), 0);
    ck_assert_int_eq(fs_write(fs, st.st_ino, "x", 1, 0, false), 0);
}

static bool all_durable(struct fs *fs)
{
    return store_durable_sequence(fs_store(fs)) >= store_last_sequence(fs_store(fs));
}

/* A busy machine may be late. */
static bool durable_soon(struct fs *fs)
{
    for (int i = 0; i < 1000 && !all_durable(fs); i++)
        usleep(10000);
    return all_durable(fs);
}

START_TEST(what_nobody_synced_is_durable_after_the_window)
{
    struct fs *fs = open_with(0.2);
    for (int round = 0; round < 3; round++) {
        char name[] = {'f', (char)('0' + round), 0};
        make_file(fs, name);
        ck_assert_msg(durable_soon(fs), "round %d", round);
    }
    ck_assert_int_eq(fs_close(fs), 0);
}
END_TEST

START_TEST(within_a_long_window_nothing_is_synced_by_itself)
{
    struct fs *fs = open_with(3600);
    make_file(fs, "long");
    usleep(300 * 1000);
    ck_assert(!all_durable(fs));
    ck_assert_int_eq(fs_sync_all(fs), 0);
    ck_assert(all_durable(fs));
    ck_assert_int_eq(fs_close(fs), 0);
}
END_TEST

int main(void)
{
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    Suite *suite = suite_create("timer");
    TCase *tc = tcase_create("window");
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, what_nobody_synced_is_durable_after_the_window);
    tcase_add_test(tc, within_a_long_window_nothing_is_synced_by_itself);
    suite_add_tcase(suite, tc);
    int result = run_suite(suite);
    char *rm = mem_printf("rm -rf '%s'", folder);
    int rc = system(rm);
    free(rm);
    return rc ? EXIT_FAILURE : result;
}
