/* See posix.h. */
#include "posix.h"

#include <ftw.h>
#include <grp.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

#include "../../store/tests/run_suite.h"

static char folder[32]; /* of the test that runs */

void fails_(const char *call, long result, int wanted, const char *wanted_name, const char *file,
            int line)
{
    int e = errno;
    if (result == -1 && e == wanted)
        return;
    ck_abort_msg("%s:%d: %s: %s instead of %s", file, line, call,
                 result == -1 ? strerrorname_np(e) : "success", wanted_name);
}

bool on_native(void)
{
    const char *on = getenv("POSIX_ON");
    return on && strcmp(on, "native") == 0;
}

void become(uid_t uid, gid_t gid, gid_t other_group)
{
    become_root();
    ok(setgroups(other_group != 0, &other_group));
    ok(setresgid(gid, gid, 0));
    ok(setresuid(uid, uid, 0));
}

void become_root(void)
{
    ok(setresuid(0, 0, 0));
    ok(setresgid(0, 0, 0));
    ok(setgroups(0, NULL));
}

void make_file(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ck_assert_msg(fd >= 0, "making %s: %s", name, strerrorname_np(errno));
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ok(fchmod(fd, 0644));
    ok(close(fd));
}

void expect_text(const char *name, const char *text)
{
    char got[4096];
    int fd = open(name, O_RDONLY);
    ck_assert_msg(fd >= 0, "reading %s: %s", name, strerrorname_np(errno));
    ssize_t n = read(fd, got, sizeof got - 1);
    ck_assert_int_ge(n, 0);
    got[n] = '\0';
    close(fd);
    ck_assert_str_eq(got, text);
}

struct stat stat_of(const char *name)
{
    struct stat st;
    ck_assert_msg(lstat(name, &st) == 0, "stat %s: %s", name, strerrorname_np(errno));
    return st;
}

mode_t mode_of(const char *name)
{
    return stat_of(name).st_mode & 07777;
}

char *name_of_length(size_t n)
{
    char *name = malloc(n + 1);
    memset(name, 'n', n);
    name[n] = '\0';
    return name;
}

char *path_of_length(size_t n, const char *name)
{
    size_t len = strlen(name);
    char *path = malloc(n + 1);
    for (size_t i = 0; i < n - len; i++)
        path[i] = i % 2 || i == n - len - 1 ? '/' : '.';
    strcpy(path + (n - len), name);
    return path;
}

int in_child(int (*body)(void *arg), void *arg)
{
    int status;
    pid_t pid = fork();
    ok(pid);
    if (pid == 0)
        _exit(body(arg));
    ok(waitpid(pid, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void wait_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

static void setup(void)
{
    umask(0);
    strcpy(folder, "test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ok(chmod(folder, 0777));
    ok(chdir(folder));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)ftw;
    return type == FTW_DP ? rmdir(path) : unlink(path);
}

/* In a process of the test's own its working folder may be gone: the start is found through root.
 */
static void teardown(void)
{
    become_root();
    ok(chdir(getenv("POSIX_START")));
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int posix_run(const char *subject, const TTest *const *tests)
{
    char *start = getcwd(NULL, 0);
    setenv("POSIX_START", start, 1);
    free(start);
    if (geteuid() != 0) {
        printf("skipped: needs root, to be other users\n");
        return 77;
    }
    return run_tests(subject, 60, setup, teardown, tests);
}
