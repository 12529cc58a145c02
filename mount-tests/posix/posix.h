/* What the programs of this folder share. Each runs in the folder it is started in, one test after
 * the other, and each test in a new, empty folder of its own that everybody may enter and write
 * (owner root). The shell test of the same name runs it on a mount and, so that a wrong expectation
 * shows, on the disk below with POSIX_ON=native. */
#ifndef MOUNT_TESTS_POSIX_H
#define MOUNT_TESTS_POSIX_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* The call succeeds (anything but -1). */
#define ok(call) ck_assert_msg((long)(call) != -1, "%s: %s", #call, strerrorname_np(errno))
/* The call fails with this errno. */
#define fails(call, wanted) fails_(#call, (long)(call), wanted, #wanted, __FILE__, __LINE__)
void fails_(const char *call, long result, int wanted, const char *wanted_name, const char *file,
            int line);

bool on_native(void);

/* Users and groups that nobody else is. */
enum { ALICE = 20001, BOB = 20002, CREW = 20003 };
/* From here on this test acts as that user (one supplementary group, or 0 for none). */
void become(uid_t uid, gid_t gid, gid_t other_group);
void become_root(void);

void make_file(const char *name, const char *text); /* 0644 whatever the umask */
void expect_text(const char *name, const char *text);
struct stat stat_of(const char *name);            /* of a symlink itself */
mode_t mode_of(const char *name);                 /* the twelve bits */
char *name_of_length(size_t n);                   /* nnn...; the caller frees it */
char *path_of_length(size_t n, const char *name); /* ./././name; the caller frees it */
/* Runs `body` in a process of its own; the exit code is its result, or -signal. */
int in_child(int (*body)(void *arg), void *arg);
void wait_ms(int ms);

/* Runs the tests, up to the first NULL; returns what main() returns. */
int posix_run(const char *subject, const TTest *const *tests);
#define RUN(subject, ...)                                                                          \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__, NULL};                                          \
        return posix_run(subject, tests);                                                          \
    }

#endif
