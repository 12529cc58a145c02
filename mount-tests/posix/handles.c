/* File handles (name_to_handle_at, open_by_handle_at), as an NFS server keeps them: they hold
 * through renames and while the kernel has forgotten the file, and never lead to another one.
 *
 *     handles                      one test after the other, in the current folder
 *     handles keep FILE NAME...    writes the handles of the names, which must have no '/', to FILE
 *     handles open FILE            opens each of them again in the current folder: a file must
 *                                  contain its name, a directory hold a file of its own name
 *     handles gone FILE            each of them is ESTALE */
#include "posix.h"

#include <dirent.h>
#include <stdio.h>

#define LENGTH 128

struct handle {
    struct file_handle h; /* its bytes follow */
    unsigned char bytes[LENGTH];
};

static bool get_handle(const char *name, struct handle *h)
{
    int mount;
    *h = (struct handle){.h.handle_bytes = LENGTH};
    return name_to_handle_at(AT_FDCWD, name, &h->h, &mount, 0) == 0;
}

static struct handle handle_of(const char *name)
{
    struct handle h;
    ck_assert_msg(get_handle(name, &h), "handle of %s: %s", name, strerrorname_np(errno));
    return h;
}

static int open_handle(struct handle *h, int flags)
{
    int here = open(".", O_RDONLY | O_DIRECTORY);
    int fd = open_by_handle_at(here, &h->h, flags);
    int e = errno;
    close(here);
    errno = e;
    return fd;
}

/* The kernel forgets every inode and name that nobody uses. */
static void drop_caches(void)
{
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
    ok(fd);
    ck_assert_int_eq(write(fd, "2", 1), 1);
    ok(close(fd));
}

static void expect_content(int fd, const char *text)
{
    char got[64];
    ssize_t n = pread(fd, got, sizeof got - 1, 0);
    ck_assert_msg(n >= 0, "%s", strerrorname_np(errno));
    got[n] = '\0';
    ck_assert_str_eq(got, text);
}

static ino_t ino_of(int fd)
{
    struct stat st;
    ok(fstat(fd, &st));
    return st.st_ino;
}

/* It is what it was: the inode, and for a file the content. */
static void expect_opens(struct handle *h, ino_t ino, const char *text)
{
    int fd = open_handle(h, O_RDONLY);
    ck_assert_msg(fd >= 0, "%s", strerrorname_np(errno));
    ck_assert_uint_eq(ino_of(fd), ino);
    if (text)
        expect_content(fd, text);
    ok(close(fd));
}

START_TEST(a_handle_opens_a_file)
{
    make_file("file", "text");
    struct handle h = handle_of("file");
    expect_opens(&h, stat_of("file").st_ino, "text");
}
END_TEST

START_TEST(a_handle_opens_a_file_that_the_kernel_forgot)
{
    ok(mkdir("dir", 0755));
    make_file("dir/file", "text");
    struct handle h = handle_of("dir/file");
    ino_t ino = stat_of("dir/file").st_ino;
    for (int i = 0; i < 3; i++) {
        drop_caches();
        expect_opens(&h, ino, "text");
    }
    int fd = open_handle(&h, O_RDWR | O_APPEND);
    ok(fd);
    ck_assert_int_eq(write(fd, " more", 5), 5);
    ok(close(fd));
    drop_caches();
    expect_text("dir/file", "text more");
}
END_TEST

START_TEST(a_handle_opens_a_directory_and_the_way_up_is_there)
{
    char path[4096];
    ok(mkdir("a", 0755));
    ok(mkdir("a/b", 0755));
    ok(mkdir("a/b/c", 0755));
    make_file("a/b/c/file", "text");
    struct handle h = handle_of("a/b/c");
    ino_t c = stat_of("a/b/c").st_ino, b = stat_of("a/b").st_ino;
    drop_caches();
    int fd = open_handle(&h, O_RDONLY | O_DIRECTORY), file, up;
    ok(fd);
    ck_assert_uint_eq(ino_of(fd), c);
    ok(file = openat(fd, "file", O_RDONLY));
    expect_content(file, "text");
    ok(up = openat(fd, "..", O_RDONLY));
    ck_assert_uint_eq(ino_of(up), b);
    ok(fchdir(fd));
    ck_assert_ptr_nonnull(getcwd(path, sizeof path));
    ck_assert_str_eq(path + strlen(path) - strlen("/a/b/c"), "/a/b/c");
    close(up);
    close(file);
    close(fd);
}
END_TEST

START_TEST(a_handle_of_a_symlink_is_of_the_link_itself)
{
    char target[16] = "";
    ok(symlink("target", "link"));
    struct handle h = handle_of("link");
    drop_caches();
    fails(open_handle(&h, O_RDONLY), ELOOP);
    int fd = open_handle(&h, O_PATH);
    ok(fd);
    ck_assert_int_eq(readlinkat(fd, "", target, sizeof target), 6);
    ck_assert_str_eq(target, "target");
    ok(close(fd));
}
END_TEST

START_TEST(a_handle_opens_a_file_of_several_names_and_a_fifo)
{
    make_file("file", "text");
    ok(link("file", "second"));
    ok(mkfifo("fifo", 0644));
    struct handle h = handle_of("second"), fifo = handle_of("fifo");
    ino_t ino = stat_of("file").st_ino;
    drop_caches();
    expect_opens(&h, ino, "text");
    ok(unlink("second"));
    drop_caches();
    expect_opens(&h, ino, "text");
    int fd = open_handle(&fifo, O_RDWR);
    ok(fd);
    ok(close(fd));
}
END_TEST

START_TEST(a_handle_holds_through_renames)
{
    ok(mkdir("dir", 0755));
    ok(mkdir("other", 0755));
    make_file("dir/file", "text");
    struct handle h = handle_of("dir/file"), d = handle_of("dir");
    ino_t ino = stat_of("dir/file").st_ino, dir = stat_of("dir").st_ino;
    drop_caches();
    expect_opens(&h, ino, "text");
    ok(rename("dir/file", "dir/moved"));
    drop_caches();
    expect_opens(&h, ino, "text");
    ok(rename("dir/moved", "moved"));
    ok(rename("dir", "other/dir"));
    drop_caches();
    expect_opens(&h, ino, "text");
    expect_opens(&d, dir, NULL);
}
END_TEST

START_TEST(a_handle_of_what_is_gone_is_ESTALE)
{
    ok(mkdir("dir", 0755));
    make_file("file", "text");
    make_file("replaced", "text");
    make_file("new", "new");
    struct handle f = handle_of("file"), d = handle_of("dir"), r = handle_of("replaced");
    ok(unlink("file"));
    ok(rmdir("dir"));
    ok(rename("new", "replaced"));
    fails(open_handle(&f, O_RDONLY), ESTALE);
    drop_caches();
    fails(open_handle(&f, O_RDONLY), ESTALE);
    fails(open_handle(&d, O_RDONLY), ESTALE);
    fails(open_handle(&r, O_RDONLY), ESTALE);
    /* the disk below gives the number to a new file; the handle is not its handle */
    for (int i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof name, "again%d", i);
        make_file(name, "again");
    }
    fails(open_handle(&f, O_RDONLY), ESTALE);
    expect_text("replaced", "new");
}
END_TEST

START_TEST(a_file_that_is_open_outlives_its_name_and_then_its_handle_is_ESTALE)
{
    make_file("file", "text");
    struct handle h = handle_of("file");
    int fd = open("file", O_RDONLY);
    ok(fd);
    ok(unlink("file"));
    drop_caches();
    expect_content(fd, "text");
    ok(close(fd));
    fails(open_handle(&h, O_RDONLY), ESTALE);
}
END_TEST

START_TEST(handles_are_for_those_who_may_read_everything)
{
    make_file("file", "text");
    struct handle h = handle_of("file");
    become(ALICE, ALICE, 0);
    fails(open_handle(&h, O_RDONLY), EPERM);
}
END_TEST

START_TEST(a_handle_that_was_made_up_is_ESTALE_or_refused)
{
    make_file("file", "text");
    struct handle h = handle_of("file");
    for (unsigned i = 0; i < h.h.handle_bytes; i++) {
        struct handle wrong = h;
        wrong.bytes[i] ^= 0x55;
        int fd = open_handle(&wrong, O_RDONLY);
        ck_assert_msg(fd == -1, "byte %u changed: it opens", i);
    }
}
END_TEST

/* ---- handles kept in a file, from one run to the next: a handle, then 256 bytes of name */

static int keep(const char *path, int count, char **names)
{
    FILE *out = fopen(path, "w");
    for (int i = 0; out && i < count; i++) {
        struct handle h;
        char name[256] = "";
        if (!get_handle(names[i], &h))
            return 1;
        strncpy(name, names[i], sizeof name - 1);
        fwrite(&h, sizeof h, 1, out);
        fwrite(name, sizeof name, 1, out);
    }
    return out && fclose(out) == 0 ? 0 : 1;
}

static int see(const char *name, struct handle *h, bool gone)
{
    char got[256] = "";
    int fd = open_handle(h, O_RDONLY);
    if (gone || fd < 0) {
        bool right = gone && fd < 0 && errno == ESTALE;
        if (!right)
            printf("%s: %s\n", name, fd < 0 ? strerrorname_np(errno) : "opens");
        return right ? 0 : 1;
    }
    int file = faccessat(fd, name, F_OK, 0) == 0 ? openat(fd, name, O_RDONLY) : fd;
    ssize_t n = read(file, got, sizeof got - 1);
    if (n < 0 || strcmp(got, name) != 0) {
        printf("%s: reads '%s'\n", name, got);
        return 1;
    }
    return 0;
}

static int see_kept(const char *path, bool gone)
{
    FILE *in = fopen(path, "r");
    struct handle h;
    char name[256];
    int bad = 0, count = 0;
    while (in && fread(&h, sizeof h, 1, in) == 1 && fread(name, sizeof name, 1, in) == 1) {
        count++;
        bad += see(name, &h, gone);
    }
    return bad == 0 && count > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const TTest *const tests[] = {
        a_handle_opens_a_file,
        a_handle_opens_a_file_that_the_kernel_forgot,
        a_handle_opens_a_directory_and_the_way_up_is_there,
        a_handle_of_a_symlink_is_of_the_link_itself,
        a_handle_opens_a_file_of_several_names_and_a_fifo,
        a_handle_holds_through_renames,
        a_handle_of_what_is_gone_is_ESTALE,
        a_file_that_is_open_outlives_its_name_and_then_its_handle_is_ESTALE,
        handles_are_for_those_who_may_read_everything,
        a_handle_that_was_made_up_is_ESTALE_or_refused,
        NULL,
    };
    if (argc > 3 && strcmp(argv[1], "keep") == 0)
        return keep(argv[2], argc - 3, argv + 3);
    if (argc == 3)
        return see_kept(argv[2], strcmp(argv[1], "gone") == 0);
    return posix_run("handles", tests);
}
