/* rename and renameat2: what goes where, what they refuse, and that nobody sees anything between.
 */
#include "posix.h"

#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static int rename2(const char *from, const char *to, unsigned flags)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void make_folder(const char *name)
{
    ok(mkdir(name, 0755));
}

static ino_t ino_of(const char *name)
{
    return stat_of(name).st_ino;
}

static nlink_t links_of(const char *name)
{
    return stat_of(name).st_nlink;
}

/* ---- what moves, what is replaced */

START_TEST(rename_moves_a_file_and_its_old_name_is_gone)
{
    make_file("old", "text");
    ino_t ino = ino_of("old");
    ok(rename("old", "new"));
    fails(access("old", F_OK), ENOENT);
    ck_assert_uint_eq(ino_of("new"), ino);
    expect_text("new", "text");
}
END_TEST

START_TEST(rename_replaces_a_file)
{
    make_file("old", "old");
    make_file("new", "longer text");
    ino_t ino = ino_of("old");
    ok(rename("old", "new"));
    ck_assert_uint_eq(ino_of("new"), ino);
    expect_text("new", "old");
}
END_TEST

START_TEST(rename_over_one_of_two_names_leaves_the_other)
{
    make_file("one", "one");
    ok(link("one", "other"));
    make_file("new", "new");
    ok(rename("new", "one"));
    expect_text("other", "one");
    ck_assert_uint_eq(links_of("other"), 1);
}
END_TEST

START_TEST(rename_onto_itself_does_nothing)
{
    make_file("file", "text");
    make_folder("dir");
    ok(rename("file", "file"));
    ok(rename("dir", "dir"));
    ok(rename("dir/", "./dir"));
    expect_text("file", "text");
}
END_TEST

START_TEST(rename_onto_another_name_of_the_same_file_leaves_both)
{
    make_folder("dir");
    make_file("one", "text");
    ok(link("one", "dir/two"));
    ok(rename("one", "dir/two"));
    ok(rename("dir/two", "one"));
    ck_assert_uint_eq(links_of("one"), 2);
    ck_assert_uint_eq(ino_of("dir/two"), ino_of("one"));
}
END_TEST

START_TEST(every_type_of_file_replaces_every_other)
{
    static const char *const kinds[] = {"file", "link", "fifo", "socket", "device"};
    for (int from = 0; from < 5; from++) {
        for (int to = 0; to < 5; to++) {
            make_file("file", "");
            ok(symlink("missing", "link"));
            ok(mkfifo("fifo", 0644));
            ok(mknod("socket", S_IFSOCK | 0644, 0));
            ok(mknod("device", S_IFCHR | 0644, 0x103));
            ino_t ino = ino_of(kinds[from]);
            ok(rename(kinds[from], kinds[to]));
            ck_assert_uint_eq(ino_of(kinds[to]), ino);
            for (int i = 0; i < 5; i++)
                unlink(kinds[i]);
        }
    }
}
END_TEST

START_TEST(a_folder_replaces_an_empty_folder)
{
    make_folder("from");
    make_file("from/file", "text");
    make_folder("to");
    ino_t ino = ino_of("from");
    nlink_t above = links_of(".");
    ok(rename("from", "to"));
    ck_assert_uint_eq(ino_of("to"), ino);
    ck_assert_uint_eq(links_of("."), above - 1);
    expect_text("to/file", "text");
}
END_TEST

START_TEST(a_folder_does_not_replace_one_with_something_in_it)
{
    make_folder("from");
    make_folder("to");
    make_file("to/file", "");
    int r = rename("from", "to");
    ck_assert(r == -1 && (errno == ENOTEMPTY || errno == EEXIST));
    ck_assert(S_ISDIR(stat_of("from").st_mode));
}
END_TEST

START_TEST(folders_and_files_do_not_replace_one_another)
{
    make_file("file", "");
    make_folder("dir");
    ok(symlink("dir", "link"));
    fails(rename("dir", "file"), ENOTDIR);
    fails(rename("file", "dir"), EISDIR);
    fails(rename("dir", "link"), ENOTDIR);
    fails(rename("link", "dir"), EISDIR);
}
END_TEST

START_TEST(what_a_symlink_points_to_is_not_touched)
{
    make_file("target", "target");
    ok(symlink("target", "link"));
    make_file("file", "file");
    ok(rename("file", "link"));
    expect_text("link", "file");
    expect_text("target", "target");
}
END_TEST

START_TEST(a_folder_does_not_go_under_itself)
{
    make_folder("dir");
    make_folder("dir/sub");
    make_folder("dir/sub/deep");
    fails(rename("dir", "dir/new"), EINVAL);
    fails(rename("dir", "dir/sub/new"), EINVAL);
    fails(rename("dir", "dir/sub"), EINVAL);
    fails(rename("dir", "dir/sub/deep/new"), EINVAL);
    fails(rename("dir", "dir/missing/new"), ENOENT);
    fails(rename2("dir", "dir/sub", RENAME_EXCHANGE), EINVAL);
}
END_TEST

START_TEST(a_folder_does_not_replace_one_above_it)
{
    make_folder("dir");
    make_folder("dir/sub");
    make_folder("dir/sub/deep");
    fails(rename("dir/sub", "dir"), ENOTEMPTY);
    fails(rename("dir/sub/deep", "dir"), ENOTEMPTY);
    fails(rename2("dir/sub/deep", "dir", RENAME_EXCHANGE), EINVAL);
}
END_TEST

START_TEST(a_folder_that_moves_takes_its_dotdot_along)
{
    make_folder("a");
    make_folder("b");
    make_folder("a/dir");
    make_folder("a/dir/sub");
    ok(rename("a/dir", "b/dir"));
    ck_assert_uint_eq(ino_of("b/dir/.."), ino_of("b"));
    ck_assert_uint_eq(ino_of("b/dir/sub/../.."), ino_of("b"));
    ck_assert_uint_eq(links_of("a"), 2);
    ck_assert_uint_eq(links_of("b"), 3);
    ck_assert_uint_eq(links_of("b/dir"), 3);
    ok(rmdir("a"));
}
END_TEST

START_TEST(the_working_folder_moves_and_keeps_working)
{
    char cwd[4096];
    make_folder("a");
    make_folder("b");
    ok(chdir("a"));
    ok(rename("../a", "../b/moved"));
    make_file("file", "text");
    ck_assert_ptr_nonnull(getcwd(cwd, sizeof cwd));
    ck_assert_str_eq(cwd + strlen(cwd) - 8, "/b/moved");
    ok(chdir(".."));
    expect_text("moved/file", "text");
}
END_TEST

START_TEST(names_of_255_bytes_are_renamed)
{
    char *a = name_of_length(255), *b = name_of_length(255);
    b[0] = 'm';
    make_file(a, "text");
    ok(rename(a, b));
    expect_text(b, "text");
    free(a);
    free(b);
}
END_TEST

START_TEST(a_failed_rename_changes_nothing)
{
    make_folder("from");
    make_folder("to");
    make_file("to/file", "text");
    ino_t from = ino_of("from"), to = ino_of("to");
    fails(rename("from", "to"), ENOTEMPTY);
    fails(rename("from", "to/file"), ENOTDIR);
    fails(rename("from", "missing/x"), ENOENT);
    ck_assert_uint_eq(ino_of("from"), from);
    ck_assert_uint_eq(ino_of("to"), to);
    expect_text("to/file", "text");
}
END_TEST

/* ---- RENAME_NOREPLACE */

START_TEST(NOREPLACE_moves_to_a_free_name_alone)
{
    make_file("a", "a");
    make_file("b", "b");
    make_folder("dir");
    fails(rename2("a", "b", RENAME_NOREPLACE), EEXIST);
    fails(rename2("a", "dir", RENAME_NOREPLACE), EEXIST);
    fails(rename2("a", "a", RENAME_NOREPLACE), EEXIST);
    fails(rename2("missing", "b", RENAME_NOREPLACE), ENOENT);
    ok(rename2("a", "c", RENAME_NOREPLACE));
    ok(rename2("c", "dir/c", RENAME_NOREPLACE));
    expect_text("dir/c", "a");
    expect_text("b", "b");
}
END_TEST

/* ---- RENAME_EXCHANGE */

START_TEST(EXCHANGE_swaps_two_files)
{
    make_file("a", "a");
    make_folder("dir");
    make_file("dir/b", "b");
    ino_t a = ino_of("a"), b = ino_of("dir/b");
    ok(rename2("a", "dir/b", RENAME_EXCHANGE));
    expect_text("a", "b");
    expect_text("dir/b", "a");
    ck_assert_uint_eq(ino_of("a"), b);
    ck_assert_uint_eq(ino_of("dir/b"), a);
}
END_TEST

START_TEST(EXCHANGE_swaps_a_file_and_a_full_folder)
{
    make_folder("above");
    make_folder("above/dir");
    make_folder("above/dir/sub");
    make_file("above/dir/file", "in it");
    make_file("file", "file");
    nlink_t here = links_of(".");
    ok(rename2("file", "above/dir", RENAME_EXCHANGE));
    expect_text("above/dir", "file");
    expect_text("file/file", "in it");
    ck_assert_uint_eq(ino_of("file/.."), ino_of("."));
    ck_assert_uint_eq(links_of("above"), 2);
    ck_assert_uint_eq(links_of("."), here + 1);
}
END_TEST

START_TEST(EXCHANGE_swaps_two_full_folders_in_different_places)
{
    make_folder("a");
    make_folder("a/dir");
    make_file("a/dir/one", "one");
    make_folder("b");
    make_folder("b/dir");
    make_file("b/dir/two", "two");
    ok(rename2("a/dir", "b/dir", RENAME_EXCHANGE));
    expect_text("a/dir/two", "two");
    expect_text("b/dir/one", "one");
    ck_assert_uint_eq(ino_of("a/dir/.."), ino_of("a"));
    ck_assert_uint_eq(ino_of("b/dir/.."), ino_of("b"));
    ck_assert_uint_eq(links_of("a"), 3);
    ck_assert_uint_eq(links_of("b"), 3);
}
END_TEST

START_TEST(EXCHANGE_needs_both_names)
{
    make_file("a", "");
    fails(rename2("a", "missing", RENAME_EXCHANGE), ENOENT);
    fails(rename2("missing", "a", RENAME_EXCHANGE), ENOENT);
}
END_TEST

START_TEST(EXCHANGE_of_two_names_of_one_file_is_fine)
{
    make_file("a", "text");
    ok(link("a", "b"));
    ok(rename2("a", "b", RENAME_EXCHANGE));
    ok(rename2("a", "a", RENAME_EXCHANGE));
    ck_assert_uint_eq(links_of("a"), 2);
    expect_text("b", "text");
}
END_TEST

/* What overlayfs leaves for a removed file. FUSE passes it on; skeinfs does not offer it. */
START_TEST(WHITEOUT_leaves_a_device_0_0_or_is_EINVAL_and_changes_nothing)
{
    make_file("file", "text");
    if (rename2("file", "moved", RENAME_WHITEOUT) == 0) {
        expect_text("moved", "text");
        ck_assert(S_ISCHR(stat_of("file").st_mode));
        ck_assert_uint_eq(stat_of("file").st_rdev, 0);
        return;
    }
    ck_assert_int_eq(errno, EINVAL);
    expect_text("file", "text");
    fails(access("moved", F_OK), ENOENT);
}
END_TEST

/* ---- atomic for those who look */

static atomic_bool done;
static atomic_int found_wrong;
static atomic_long looks;

static void *look_at_target(void *arg)
{
    (void)arg;
    while (!done) {
        char got[5000];
        struct stat st;
        int fd = open("target", O_RDONLY);
        ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof got);
        bool whole = n == 4000 && memcmp(got, got + 1, 3999) == 0;
        if (!whole || fstat(fd, &st) != 0 || st.st_size != 4000 || stat("target", &st) != 0)
            found_wrong++;
        close(fd);
        looks++;
    }
    return NULL;
}

START_TEST(who_opens_a_name_that_is_replaced_finds_the_old_or_the_new_file_whole)
{
    pthread_t lookers[3];
    char text[4001] = "";
    memset(text, 'a', 4000);
    make_file("target", text);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&lookers[i], NULL, look_at_target, NULL), 0);
    for (int i = 0; i < 1500 || looks < 500; i++) {
        memset(text, 'a' + i % 26, 4000);
        make_file("new", text);
        ok(rename("new", "target"));
    }
    done = true;
    for (int i = 0; i < 3; i++)
        pthread_join(lookers[i], NULL);
    ck_assert_int_eq(found_wrong, 0);
}
END_TEST

static void *look_at_exchange(void *arg)
{
    (void)arg;
    while (!done) {
        struct stat st;
        if (stat("a", &st) != 0 || stat("b", &st) != 0 || stat("a/file", &st) != 0)
            found_wrong += errno != ENOTDIR;
        looks++;
    }
    return NULL;
}

START_TEST(who_looks_at_names_that_are_exchanged_never_misses_one)
{
    pthread_t looker;
    make_folder("a");
    make_file("a/file", "");
    make_file("b", "");
    ck_assert_int_eq(pthread_create(&looker, NULL, look_at_exchange, NULL), 0);
    for (int i = 0; i < 1500 || looks < 500; i++)
        ok(rename2("a", "b", RENAME_EXCHANGE));
    done = true;
    pthread_join(looker, NULL);
    ck_assert_int_eq(found_wrong, 0);
}
END_TEST

static void *move_there_and_back(void *arg)
{
    char here[32], there[32];
    snprintf(here, sizeof here, "a/%s", (char *)arg);
    snprintf(there, sizeof there, "b/%s", (char *)arg);
    for (int i = 0; i < 300; i++)
        found_wrong += rename(here, there) != 0 || rename(there, here) != 0;
    return NULL;
}

START_TEST(many_renames_between_two_folders_at_a_time_all_happen)
{
    static char *const names[] = {"one", "two", "three", "four"};
    pthread_t movers[4];
    make_folder("a");
    make_folder("b");
    make_folder("a/one");
    make_folder("a/two");
    make_file("a/three", "");
    make_file("a/four", "");
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&movers[i], NULL, move_there_and_back, names[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(movers[i], NULL);
    ck_assert_int_eq(found_wrong, 0);
    ck_assert_uint_eq(links_of("a"), 4);
    ck_assert_uint_eq(links_of("b"), 2);
    ok(rmdir("b"));
}
END_TEST

RUN("renames", rename_moves_a_file_and_its_old_name_is_gone, rename_replaces_a_file,
    rename_over_one_of_two_names_leaves_the_other, rename_onto_itself_does_nothing,
    rename_onto_another_name_of_the_same_file_leaves_both, every_type_of_file_replaces_every_other,
    a_folder_replaces_an_empty_folder, a_folder_does_not_replace_one_with_something_in_it,
    folders_and_files_do_not_replace_one_another, what_a_symlink_points_to_is_not_touched,
    a_folder_does_not_go_under_itself, a_folder_does_not_replace_one_above_it,
    a_folder_that_moves_takes_its_dotdot_along, the_working_folder_moves_and_keeps_working,
    names_of_255_bytes_are_renamed, a_failed_rename_changes_nothing,
    NOREPLACE_moves_to_a_free_name_alone, EXCHANGE_swaps_two_files,
    EXCHANGE_swaps_a_file_and_a_full_folder, EXCHANGE_swaps_two_full_folders_in_different_places,
    EXCHANGE_needs_both_names, EXCHANGE_of_two_names_of_one_file_is_fine,
    WHITEOUT_leaves_a_device_0_0_or_is_EINVAL_and_changes_nothing,
    who_opens_a_name_that_is_replaced_finds_the_old_or_the_new_file_whole,
    who_looks_at_names_that_are_exchanged_never_misses_one,
    many_renames_between_two_folders_at_a_time_all_happen)
