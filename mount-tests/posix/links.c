/* Link counts, symlinks, fifos, sockets, devices, and names of any bytes. */
#include "posix.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

/* ---- hard links */

START_TEST(a_link_is_the_same_file_under_another_name)
{
    make_file("one", "text");
    ok(link("one", "two"));
    ck_assert_uint_eq(stat_of("one").st_ino, stat_of("two").st_ino);
    ck_assert_uint_eq(stat_of("one").st_nlink, 2);
    ok(truncate("one", 2));
    expect_text("two", "te");
    ok(chmod("two", 0600));
    ck_assert_int_eq(mode_of("one"), 0600);
}
END_TEST

START_TEST(a_file_lives_until_its_last_name_goes_whichever_it_is)
{
    make_file("one", "text");
    ok(link("one", "two"));
    ok(link("two", "three"));
    ok(unlink("one"));
    ck_assert_uint_eq(stat_of("three").st_nlink, 2);
    ok(unlink("three"));
    ck_assert_uint_eq(stat_of("two").st_nlink, 1);
    expect_text("two", "text");
}
END_TEST

START_TEST(a_thousand_links_in_several_folders_are_counted)
{
    char name[32];
    make_file("file", "text");
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "dir%d", i % 10);
        if (i < 10)
            ok(mkdir(name, 0755));
        snprintf(name, sizeof name, "dir%d/link%d", i % 10, i);
        ok(link("file", name));
    }
    ck_assert_uint_eq(stat_of("file").st_nlink, 1001);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "dir%d/link%d", i % 10, i);
        ok(unlink(name));
    }
    ck_assert_uint_eq(stat_of("file").st_nlink, 1);
}
END_TEST

START_TEST(fifos_devices_sockets_and_symlinks_can_be_linked)
{
    ok(mkfifo("fifo", 0644));
    ok(mknod("device", S_IFCHR | 0644, makedev(1, 3)));
    ok(mknod("socket", S_IFSOCK | 0644, 0));
    ok(symlink("missing", "symlink"));
    const char *const names[] = {"fifo", "device", "socket", "symlink"};
    for (int i = 0; i < 4; i++) {
        char second[32];
        snprintf(second, sizeof second, "%s2", names[i]);
        ok(link(names[i], second));
        ck_assert_uint_eq(stat_of(second).st_ino, stat_of(names[i]).st_ino);
        ck_assert_uint_eq(stat_of(second).st_nlink, 2);
    }
    char target[16] = "";
    ok(readlink("symlink2", target, sizeof target));
    ck_assert_str_eq(target, "missing");
}
END_TEST

START_TEST(linkat_follows_a_symlink_when_asked)
{
    make_file("file", "text");
    ok(symlink("file", "link"));
    ok(linkat(AT_FDCWD, "link", AT_FDCWD, "to_link", 0));
    ok(linkat(AT_FDCWD, "link", AT_FDCWD, "to_file", AT_SYMLINK_FOLLOW));
    ck_assert(S_ISLNK(stat_of("to_link").st_mode));
    ck_assert_uint_eq(stat_of("to_file").st_ino, stat_of("file").st_ino);
}
END_TEST

START_TEST(an_open_file_is_linked_by_its_number)
{
    char path[64];
    make_file("file", "text");
    int fd = open("file", O_RDONLY);
    ok(linkat(fd, "", AT_FDCWD, "by_number", AT_EMPTY_PATH));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ok(linkat(AT_FDCWD, path, AT_FDCWD, "by_proc", AT_SYMLINK_FOLLOW));
    ck_assert_uint_eq(stat_of("by_proc").st_nlink, 3);
}
END_TEST

START_TEST(a_file_without_a_name_gets_none_again)
{
    make_file("file", "text");
    int fd = open("file", O_RDONLY);
    ok(unlink("file"));
    fails(linkat(fd, "", AT_FDCWD, "again", AT_EMPTY_PATH), ENOENT);
}
END_TEST

/* ---- folders */

START_TEST(a_folder_has_two_links_and_one_for_each_folder_in_it)
{
    ok(mkdir("dir", 0755));
    ck_assert_uint_eq(stat_of("dir").st_nlink, 2);
    ok(mkdir("dir/a", 0755));
    ok(mkdir("dir/b", 0755));
    make_file("dir/file", "");
    ok(symlink("a", "dir/link"));
    ck_assert_uint_eq(stat_of("dir").st_nlink, 4);
    ok(rmdir("dir/a"));
    ck_assert_uint_eq(stat_of("dir").st_nlink, 3);
    ok(rename("dir/b", "out"));
    ck_assert_uint_eq(stat_of("dir").st_nlink, 2);
}
END_TEST

START_TEST(dot_and_dotdot_are_the_folder_and_the_one_above)
{
    ok(mkdir("dir", 0755));
    ok(mkdir("dir/sub", 0755));
    ck_assert_uint_eq(stat_of("dir/sub/.").st_ino, stat_of("dir/sub").st_ino);
    ck_assert_uint_eq(stat_of("dir/sub/..").st_ino, stat_of("dir").st_ino);
    ck_assert_uint_eq(stat_of("dir/sub/../..").st_ino, stat_of(".").st_ino);
}
END_TEST

START_TEST(a_hundred_folders_in_one_another_work)
{
    for (int i = 0; i < 100; i++) {
        ok(mkdir("d", 0755));
        ok(chdir("d"));
    }
    make_file("file", "deep");
    char *cwd = getcwd(NULL, 0);
    ck_assert_ptr_nonnull(cwd);
    ck_assert_str_eq(cwd + strlen(cwd) - 4, "/d/d");
    free(cwd);
    expect_text("../../d/d/file", "deep");
}
END_TEST

/* ---- symlinks */

START_TEST(symlinks_of_every_length_to_4095_are_kept)
{
    static const size_t lengths[] = {1, 2, 58, 59, 60, 61, 255, 256, 1023, 1024, 4094, 4095};
    char got[5000];
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char *target = name_of_length(lengths[i]);
        ok(symlink(target, "link"));
        ck_assert_int_eq(readlink("link", got, sizeof got), (ssize_t)lengths[i]);
        ck_assert_int_eq(memcmp(got, target, lengths[i]), 0);
        ck_assert_int_eq(stat_of("link").st_size, (off_t)lengths[i]);
        ok(unlink("link"));
        free(target);
    }
}
END_TEST

START_TEST(readlink_cuts_what_does_not_fit_and_adds_no_NUL)
{
    char got[8] = "........";
    ok(symlink("target", "link"));
    ck_assert_int_eq(readlink("link", got, 3), 3);
    ck_assert_int_eq(memcmp(got, "tar.....", 8), 0);
    fails(readlink("link", got, 0), EINVAL);
}
END_TEST

START_TEST(a_symlink_points_from_the_folder_it_is_in)
{
    ok(mkdir("dir", 0755));
    make_file("file", "above");
    make_file("dir/file", "beside");
    ok(symlink("file", "dir/link"));
    expect_text("dir/link", "beside");
    ok(rename("dir/link", "link"));
    expect_text("link", "above");
}
END_TEST

START_TEST(a_symlink_is_removed_and_renamed_itself)
{
    make_file("file", "text");
    ok(symlink("file", "link"));
    ok(rename("link", "link2"));
    ok(unlink("link2"));
    expect_text("file", "text");
}
END_TEST

START_TEST(a_symlink_may_have_any_bytes_in_it)
{
    char target[300], got[300] = "";
    for (int i = 0; i < 255; i++)
        target[i] = (char)(i + 1);
    target[255] = '\0';
    ok(symlink(target, "link"));
    ck_assert_int_eq(readlink("link", got, sizeof got), 255);
    ck_assert_str_eq(got, target);
}
END_TEST

/* ---- fifos, sockets, devices */

static int write_to_fifo(void *name)
{
    int fd = open(name, O_WRONLY);
    return fd >= 0 && write(fd, "through", 7) == 7 ? 0 : 1;
}

START_TEST(a_fifo_carries_bytes_between_processes)
{
    char got[16] = "";
    ok(mkfifo("fifo", 0600));
    pid_t pid = fork();
    if (pid == 0)
        _exit(write_to_fifo("fifo"));
    int fd = open("fifo", O_RDONLY);
    ck_assert_int_eq(read(fd, got, sizeof got), 7);
    ck_assert_str_eq(got, "through");
    ck_assert_int_eq(read(fd, got, sizeof got), 0);
    int status;
    waitpid(pid, &status, 0);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(stat_of("fifo").st_size, 0);
    fails(lseek(fd, 0, SEEK_SET), ESPIPE);
}
END_TEST

START_TEST(a_socket_is_bound_and_connected_to)
{
    struct sockaddr_un to = {AF_UNIX, "socket"};
    char got[8] = "";
    int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    umask(022);
    ok(bind(s, (struct sockaddr *)&to, sizeof to));
    ck_assert(S_ISSOCK(stat_of("socket").st_mode));
    ck_assert_int_eq(mode_of("socket"), 0755);
    ok(listen(s, 1));
    ok(connect(c, (struct sockaddr *)&to, sizeof to));
    int a = accept(s, NULL, NULL);
    ok(write(c, "hello", 5));
    ck_assert_int_eq(read(a, got, sizeof got), 5);
    ck_assert_str_eq(got, "hello");
}
END_TEST

START_TEST(a_socket_is_found_under_its_new_name)
{
    struct sockaddr_un to = {AF_UNIX, "socket"};
    int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    ok(bind(s, (struct sockaddr *)&to, sizeof to));
    ok(listen(s, 1));
    ok(rename("socket", "renamed"));
    fails(connect(c, (struct sockaddr *)&to, sizeof to), ENOENT);
    strcpy(to.sun_path, "renamed");
    ok(connect(c, (struct sockaddr *)&to, sizeof to));
}
END_TEST

START_TEST(connecting_to_a_socket_needs_the_right_to_write_it)
{
    struct sockaddr_un to = {AF_UNIX, "socket"};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    ok(bind(s, (struct sockaddr *)&to, sizeof to));
    ok(listen(s, 1));
    ok(chmod("socket", 0755));
    become(ALICE, ALICE, 0);
    int c = socket(AF_UNIX, SOCK_STREAM, 0);
    fails(connect(c, (struct sockaddr *)&to, sizeof to), EACCES);
}
END_TEST

START_TEST(device_numbers_are_kept)
{
    static const struct {
        unsigned major, minor;
    } numbers[] = {{1, 3}, {8, 0}, {255, 255}, {259, 300}, {4095, 0xfffff}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        dev_t rdev = makedev(numbers[i].major, numbers[i].minor);
        ok(mknod("char", S_IFCHR | 0600, rdev));
        ok(mknod("block", S_IFBLK | 0600, rdev));
        ck_assert_uint_eq(stat_of("char").st_rdev, rdev);
        ck_assert_uint_eq(stat_of("block").st_rdev, rdev);
        ck_assert(S_ISCHR(stat_of("char").st_mode));
        ck_assert(S_ISBLK(stat_of("block").st_mode));
        ok(unlink("char"));
        ok(unlink("block"));
    }
}
END_TEST

START_TEST(the_null_device_works)
{
    char got[8];
    ok(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
    int fd = open("null", O_RDWR);
    if (fd < 0 && errno == EACCES)
        return; /* the disk is mounted with nodev */
    ok(fd);
    ck_assert_int_eq(write(fd, "text", 4), 4);
    ck_assert_int_eq(read(fd, got, sizeof got), 0);
}
END_TEST

/* ---- names */

START_TEST(names_may_have_any_byte_but_slash_and_NUL)
{
    char name[4] = "a?b";
    int n = 0;
    for (int c = 1; c < 256; c++) {
        if (c == '/')
            continue;
        name[1] = (char)c;
        make_file(name, name);
        expect_text(name, name);
    }
    DIR *d = opendir(".");
    for (struct dirent *e; (e = readdir(d));)
        n += strlen(e->d_name) == 3 && e->d_name[0] == 'a' && e->d_name[2] == 'b';
    closedir(d);
    ck_assert_int_eq(n, 254);
}
END_TEST

START_TEST(names_that_differ_in_case_or_composition_are_different)
{
    make_file("name", "1");
    make_file("NAME", "2");
    make_file("\xc3\xa9", "3");  /* e with acute accent */
    make_file("e\xcc\x81", "4"); /* e, then the accent */
    make_file("\xff\xfe", "5");  /* no UTF-8 */
    expect_text("name", "1");
    expect_text("NAME", "2");
    expect_text("\xc3\xa9", "3");
    expect_text("e\xcc\x81", "4");
    expect_text("\xff\xfe", "5");
}
END_TEST

START_TEST(odd_names_are_names)
{
    static const char *const names[] = {" ",   "\n",      "\\",  "...", "-rf",
                                        "*",   "~",       "a b", "\t",  "$(x)",
                                        "'\"", ".hidden", "con", "a:b", ".fuse_hidden0000"};
    size_t n = sizeof names / sizeof *names;
    for (size_t i = 0; i < n; i++)
        make_file(names[i], names[i]);
    for (size_t i = 0; i < n; i++) {
        expect_text(names[i], names[i]);
        ok(unlink(names[i]));
    }
}
END_TEST

START_TEST(inode_numbers_stay_and_differ)
{
    make_file("a", "");
    make_file("b", "");
    ino_t a = stat_of("a").st_ino;
    ck_assert_uint_ne(a, stat_of("b").st_ino);
    ok(rename("a", "c"));
    ok(truncate("c", 10000));
    ck_assert_uint_eq(stat_of("c").st_ino, a);
    ok(link("c", "d"));
    ok(unlink("c"));
    ck_assert_uint_eq(stat_of("d").st_ino, a);
    ck_assert_uint_eq(stat_of("d").st_dev, stat_of(".").st_dev);
}
END_TEST

RUN("links", a_link_is_the_same_file_under_another_name,
    a_file_lives_until_its_last_name_goes_whichever_it_is,
    a_thousand_links_in_several_folders_are_counted,
    fifos_devices_sockets_and_symlinks_can_be_linked, linkat_follows_a_symlink_when_asked,
    an_open_file_is_linked_by_its_number, a_file_without_a_name_gets_none_again,
    a_folder_has_two_links_and_one_for_each_folder_in_it,
    dot_and_dotdot_are_the_folder_and_the_one_above, a_hundred_folders_in_one_another_work,
    symlinks_of_every_length_to_4095_are_kept, readlink_cuts_what_does_not_fit_and_adds_no_NUL,
    a_symlink_points_from_the_folder_it_is_in, a_symlink_is_removed_and_renamed_itself,
    a_symlink_may_have_any_bytes_in_it, a_fifo_carries_bytes_between_processes,
    a_socket_is_bound_and_connected_to, a_socket_is_found_under_its_new_name,
    connecting_to_a_socket_needs_the_right_to_write_it, device_numbers_are_kept,
    the_null_device_works, names_may_have_any_byte_but_slash_and_NUL,
    names_that_differ_in_case_or_composition_are_different, odd_names_are_names,
    inode_numbers_stay_and_differ)
