/* Listing folders while names come and go; the working folder removed; fsync of folders. */
#include "posix.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <pthread.h>
#include <stdatomic.h>

/* As many names as several getdents give, by their length: many small files are slow on some disks.
 */
enum { MANY = 500, NAME = 128 };

static const char *name_of(char *name, const char *prefix, int i)
{
    snprintf(name, NAME, "%s%04d%0100d", prefix, i, 0);
    return name;
}

static void make_many(const char *prefix)
{
    char name[NAME];
    for (int i = 0; i < MANY; i++)
        ok(mknod(name_of(name, prefix, i), S_IFREG | 0644, 0));
}

static DIR *list(const char *name)
{
    DIR *d = opendir(name);
    ck_assert_ptr_nonnull(d);
    return d;
}

/* The number behind the prefix; -1: the name is of another kind. */
static int number_of(const struct dirent *e, const char *prefix)
{
    size_t n = strlen(prefix);
    if (strncmp(e->d_name, prefix, n) != 0)
        return -1;
    char digits[5] = "";
    memcpy(digits, e->d_name + n, 4);
    return atoi(digits);
}

START_TEST(an_empty_folder_lists_dot_and_dotdot_with_their_numbers)
{
    ok(mkdir("dir", 0755));
    DIR *d = list("dir");
    bool dot = false, dotdot = false;
    for (struct dirent *e; (e = readdir(d));) {
        ck_assert_int_eq(e->d_type, DT_DIR);
        if (strcmp(e->d_name, ".") == 0)
            dot = e->d_ino == stat_of("dir").st_ino;
        else if (strcmp(e->d_name, "..") == 0)
            dotdot = e->d_ino == stat_of(".").st_ino;
        else
            ck_abort_msg("%s", e->d_name);
    }
    ck_assert(dot && dotdot);
    closedir(d);
}
END_TEST

START_TEST(names_are_listed_with_their_type_and_number)
{
    static const struct {
        const char *name;
        int type;
    } all[] = {{"file", DT_REG},    {"dir", DT_DIR},    {"link", DT_LNK}, {"fifo", DT_FIFO},
               {"socket", DT_SOCK}, {"device", DT_CHR}, {"block", DT_BLK}};
    make_file("file", "");
    ok(mkdir("dir", 0755));
    ok(symlink("dir", "link"));
    ok(mkfifo("fifo", 0644));
    ok(mknod("socket", S_IFSOCK | 0644, 0));
    ok(mknod("device", S_IFCHR | 0644, 0x103));
    ok(mknod("block", S_IFBLK | 0644, 0x700));
    DIR *d = list(".");
    int seen = 0;
    for (struct dirent *e; (e = readdir(d));) {
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            if (strcmp(e->d_name, all[i].name) != 0)
                continue;
            seen++;
            ck_assert_int_eq(e->d_type, all[i].type);
            ck_assert_uint_eq(e->d_ino, stat_of(e->d_name).st_ino);
        }
    }
    ck_assert_int_eq(seen, 7);
    closedir(d);
}
END_TEST

START_TEST(what_stays_is_listed_once_while_names_come_and_go)
{
    char name[NAME];
    int seen[MANY] = {0}, step = 0;
    make_many("stay");
    make_many("go");
    DIR *d = list(".");
    for (struct dirent *e; (e = readdir(d)); step++) {
        int stay = number_of(e, "stay");
        if (stay >= 0)
            seen[stay]++;
        if (step < MANY) {
            ok(unlink(name_of(name, "go", (step * 7) % MANY)));
            ok(mknod(name_of(name, "come", step), S_IFREG | 0644, 0));
        }
    }
    for (int i = 0; i < MANY; i++)
        ck_assert_msg(seen[i] == 1, "stay%04d was listed %d times", i, seen[i]);
    closedir(d);
}
END_TEST

START_TEST(no_name_is_listed_twice_while_it_is_written_and_others_are_renamed)
{
    char from[NAME], to[NAME];
    int seen[MANY] = {0}, step = 0;
    make_many("stay");
    make_many("move");
    DIR *d = list(".");
    for (struct dirent *e; (e = readdir(d)); step++) {
        int stay = number_of(e, "stay");
        if (stay >= 0) {
            seen[stay]++;
            make_file(e->d_name, "text");
        }
        if (step < MANY) {
            ok(rename(name_of(from, "move", step), name_of(to, "over", step)));
        }
    }
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(seen[i], 1);
    closedir(d);
}
END_TEST

START_TEST(rewinddir_sees_what_came_since)
{
    DIR *d = list(".");
    int n = 0;
    while (readdir(d))
        n++;
    make_file("new", "");
    rewinddir(d);
    bool found = false;
    for (struct dirent *e; (e = readdir(d));)
        found |= strcmp(e->d_name, "new") == 0;
    ck_assert(found);
    closedir(d);
}
END_TEST

START_TEST(seekdir_returns_to_where_telldir_was_from_any_name)
{
    static long at[MANY + 2];
    static char names[MANY + 2][NAME];
    int n = 0;
    make_many("name");
    DIR *d = list(".");
    for (;;) {
        long here = telldir(d);
        struct dirent *e = readdir(d);
        if (!e)
            break;
        at[n] = here;
        strcpy(names[n++], e->d_name);
    }
    ck_assert_int_eq(n, MANY + 2);
    for (int i = 0; i < 300; i++) {
        int k = (i * 7919) % n;
        seekdir(d, at[k]);
        struct dirent *e = readdir(d);
        ck_assert_ptr_nonnull(e);
        ck_assert_str_eq(e->d_name, names[k]);
    }
    closedir(d);
}
END_TEST

START_TEST(a_position_stays_right_when_names_before_it_go)
{
    char name[NAME], next[NAME] = "";
    int step = 0;
    make_many("name");
    DIR *d = list(".");
    while (step++ < MANY / 2)
        ck_assert_ptr_nonnull(readdir(d));
    long here = telldir(d);
    strcpy(next, readdir(d)->d_name);
    rewinddir(d);
    for (int i = 0; i < MANY; i += 2) {
        if (strcmp(name_of(name, "name", i), next) != 0)
            ok(unlink(name));
    }
    seekdir(d, here);
    ck_assert_str_eq(readdir(d)->d_name, next);
    closedir(d);
}
END_TEST

START_TEST(everything_is_removed_while_it_is_listed)
{
    ok(mkdir("dir", 0755));
    ok(chdir("dir"));
    make_many("name");
    DIR *d = list(".");
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            ok(unlink(e->d_name));
    closedir(d);
    ok(chdir(".."));
    ok(rmdir("dir"));
}
END_TEST

START_TEST(rm_r_of_a_tree_leaves_nothing)
{
    ck_assert_int_eq(system("mkdir -p t/a/b/c t/d && touch t/1 t/a/2 t/a/b/3 t/a/b/c/4 t/d/5"), 0);
    ck_assert_int_eq(system("rm -r t"), 0);
    fails(access("t", F_OK), ENOENT);
}
END_TEST

START_TEST(two_lists_of_a_folder_do_not_disturb_each_other)
{
    make_many("name");
    DIR *a = list("."), *b = list(".");
    int n = 0, m = 0;
    while (readdir(a)) {
        n++;
        if (n % 2)
            m += readdir(b) != NULL;
    }
    while (readdir(b))
        m++;
    ck_assert_int_eq(n, MANY + 2);
    ck_assert_int_eq(m, MANY + 2);
    closedir(a);
    closedir(b);
}
END_TEST

START_TEST(a_small_buffer_lists_all_names)
{
    char *longest = name_of_length(255);
    make_many("name");
    make_file(longest, "");
    int fd = open(".", O_RDONLY | O_DIRECTORY), names = 0;
    _Alignas(8) char bytes[300];
    long n;
    while ((n = syscall(SYS_getdents64, fd, bytes, sizeof bytes)) > 0) {
        for (long at = 0; at < n; at += ((struct dirent64 *)(bytes + at))->d_reclen)
            names++;
    }
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(names, MANY + 3);
    ok(lseek(fd, 0, SEEK_SET));
    fails(syscall(SYS_getdents64, fd, bytes, 1), EINVAL);
    free(longest);
}
END_TEST

static atomic_bool done;

static void *come_and_go(void *arg)
{
    char name[32];
    (void)arg;
    for (int i = 0; !done; i = (i + 1) % 500) {
        snprintf(name, sizeof name, "churn%d", i);
        if (mknod(name, S_IFREG | 0644, 0) != 0 || unlink(name) != 0)
            return (void *)1;
    }
    return NULL;
}

START_TEST(what_stays_is_listed_once_while_another_thread_makes_and_removes)
{
    pthread_t thread;
    void *result;
    make_many("stay");
    ck_assert_int_eq(pthread_create(&thread, NULL, come_and_go, NULL), 0);
    for (int round = 0; round < 10; round++) {
        int seen[MANY] = {0}, n = 0;
        DIR *d = list(".");
        for (struct dirent *e; (e = readdir(d));) {
            int stay = number_of(e, "stay");
            if (stay >= 0)
                n += ++seen[stay] == 1;
            if (stay >= 0)
                ck_assert_int_eq(seen[stay], 1);
        }
        ck_assert_int_eq(n, MANY);
        closedir(d);
    }
    done = true;
    pthread_join(thread, &result);
    ck_assert_ptr_null(result);
}
END_TEST

/* ---- a working folder that is gone */

START_TEST(a_removed_working_folder_is_empty_and_has_no_link)
{
    char cwd[4096];
    struct stat st;
    ok(mkdir("dir", 0755));
    ok(chdir("dir"));
    DIR *d = list(".");
    ok(rmdir("../dir"));
    ok(stat(".", &st));
    ck_assert_uint_eq(st.st_nlink, 0);
    ck_assert_ptr_null(getcwd(cwd, sizeof cwd));
    ck_assert_int_eq(errno, ENOENT);
    for (struct dirent *e; (e = readdir(d));)
        ck_assert_msg(e->d_name[0] == '.', "%s", e->d_name);
    closedir(d);
}
END_TEST

START_TEST(the_dotdot_of_a_removed_working_folder_leads_up)
{
    ok(mkdir("a", 0755));
    ok(mkdir("a/b", 0755));
    ino_t above = stat_of("a").st_ino;
    ok(chdir("a/b"));
    ok(rmdir("../../a/b"));
    ck_assert_uint_eq(stat_of("..").st_ino, above);
    ok(chdir(".."));
    make_file("file", "");
}
END_TEST

START_TEST(removed_folders_in_one_another_are_left_by_dotdot)
{
    ok(mkdir("a", 0755));
    ok(mkdir("a/b", 0755));
    make_file("file", "text");
    ok(chdir("a/b"));
    ok(rmdir("../../a/b"));
    ok(rmdir("../../a"));
    expect_text("../../file", "text");
}
END_TEST

START_TEST(a_removed_folder_that_is_open_takes_no_names)
{
    ok(mkdir("dir", 0755));
    int fd = open("dir", O_RDONLY | O_DIRECTORY);
    ok(rmdir("dir"));
    fails(openat(fd, "new", O_WRONLY | O_CREAT, 0644), ENOENT);
    fails(mkdirat(fd, "new", 0755), ENOENT);
    make_file("file", "");
    fails(renameat(AT_FDCWD, "file", fd, "new"), ENOENT);
    fails(linkat(AT_FDCWD, "file", fd, "new", 0), ENOENT);
    ok(fchmod(fd, 0700));
}
END_TEST

START_TEST(a_folder_of_a_removed_name_made_again_is_another)
{
    struct stat st;
    ok(mkdir("dir", 0755));
    int fd = open("dir", O_RDONLY | O_DIRECTORY);
    ok(rmdir("dir"));
    ok(mkdir("dir", 0755));
    make_file("dir/file", "");
    ok(fstat(fd, &st));
    ck_assert_uint_ne(st.st_ino, stat_of("dir").st_ino);
    fails(faccessat(fd, "file", F_OK, 0), ENOENT);
}
END_TEST

START_TEST(fsync_of_a_folder_works)
{
    ok(mkdir("dir", 0755));
    make_file("dir/file", "");
    int fd = open("dir", O_RDONLY | O_DIRECTORY);
    ok(fsync(fd));
    ok(fdatasync(fd));
    ok(fsync(fd));
}
END_TEST

START_TEST(only_an_empty_folder_is_removed_whoever_fills_it)
{
    ok(mkdir("dir", 0755));
    int fd = open("dir", O_RDONLY | O_DIRECTORY);
    ok(mknodat(fd, "file", S_IFREG | 0644, 0));
    fails(rmdir("dir"), ENOTEMPTY);
    ok(renameat(fd, "file", AT_FDCWD, "file"));
    ok(rmdir("dir"));
}
END_TEST

RUN("directories", an_empty_folder_lists_dot_and_dotdot_with_their_numbers,
    names_are_listed_with_their_type_and_number, what_stays_is_listed_once_while_names_come_and_go,
    no_name_is_listed_twice_while_it_is_written_and_others_are_renamed,
    rewinddir_sees_what_came_since, seekdir_returns_to_where_telldir_was_from_any_name,
    a_position_stays_right_when_names_before_it_go, everything_is_removed_while_it_is_listed,
    rm_r_of_a_tree_leaves_nothing, two_lists_of_a_folder_do_not_disturb_each_other,
    a_small_buffer_lists_all_names,
    what_stays_is_listed_once_while_another_thread_makes_and_removes,
    a_removed_working_folder_is_empty_and_has_no_link,
    the_dotdot_of_a_removed_working_folder_leads_up,
    removed_folders_in_one_another_are_left_by_dotdot, a_removed_folder_that_is_open_takes_no_names,
    a_folder_of_a_removed_name_made_again_is_another, fsync_of_a_folder_works,
    only_an_empty_folder_is_removed_whoever_fills_it)
