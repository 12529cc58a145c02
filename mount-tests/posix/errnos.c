/* Which errno each call that takes a path fails with because of that path, and which wins where
 * several apply. What else calls refuse: refusals.c. */
#include "posix.h"

#include <dirent.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

/* ---- calls with one path, for errors that the path alone causes */

static int closed(int fd)
{
    return fd < 0 ? -1 : close(fd);
}
static int open_to_read(const char *p)
{
    return closed(open(p, O_RDONLY));
}
static int open_to_write(const char *p)
{
    return closed(open(p, O_WRONLY));
}
static int open_and_make(const char *p)
{
    return closed(open(p, O_RDWR | O_CREAT, 0644));
}
static int open_exclusively(const char *p)
{
    return closed(open(p, O_RDWR | O_CREAT | O_EXCL, 0644));
}
static int creat_(const char *p)
{
    return closed(creat(p, 0644));
}
static int mkdir_(const char *p)
{
    return mkdir(p, 0755);
}
static int mkfifo_(const char *p)
{
    return mkfifo(p, 0644);
}
static int mknod_file(const char *p)
{
    return mknod(p, S_IFREG | 0644, 0);
}
static int mknod_device(const char *p)
{
    return mknod(p, S_IFCHR | 0644, 0x103);
}
static int symlink_(const char *p)
{
    return symlink("target", p);
}
static int link_to(const char *p)
{
    return link("file", p);
}
static int link_from(const char *p)
{
    return link(p, "linked");
}
static int rename_to(const char *p)
{
    return rename("file", p);
}
static int rename_from(const char *p)
{
    return rename(p, "renamed");
}
static int exchange(const char *p)
{
    return renameat2(AT_FDCWD, "file", AT_FDCWD, p, RENAME_EXCHANGE);
}
static int truncate_(const char *p)
{
    return truncate(p, 5);
}
static int chmod_(const char *p)
{
    return chmod(p, 0644);
}
static int chown_(const char *p)
{
    return chown(p, 0, 0);
}
static int lchown_(const char *p)
{
    return lchown(p, 0, 0);
}
static int utimens(const char *p)
{
    return utimensat(AT_FDCWD, p, NULL, 0);
}
static int stat_(const char *p)
{
    struct stat st;
    return stat(p, &st);
}
static int lstat_(const char *p)
{
    struct stat st;
    return lstat(p, &st);
}
static int access_(const char *p)
{
    return access(p, F_OK);
}
static int readlink_(const char *p)
{
    char target[16];
    return (int)readlink(p, target, sizeof target);
}
static int opendir_(const char *p)
{
    DIR *d = opendir(p);
    return d ? closedir(d) : -1;
}
static int statvfs_(const char *p)
{
    struct statvfs st;
    return statvfs(p, &st);
}
static int getxattr_(const char *p)
{
    return (int)getxattr(p, "user.x", NULL, 0);
}
static int setxattr_(const char *p)
{
    return setxattr(p, "user.x", "x", 1, 0);
}
static int listxattr_(const char *p)
{
    return (int)listxattr(p, NULL, 0);
}
static int removexattr_(const char *p)
{
    return removexattr(p, "user.x");
}

static const struct call {
    const char *name;
    int (*call)(const char *path);
    enum { NEEDS, MAKES, MAKES_OR_OPENS } kind; /* what it wants of the last component */
} calls[] = {
    {"open O_RDONLY", open_to_read, NEEDS},
    {"open O_WRONLY", open_to_write, NEEDS},
    {"open O_CREAT", open_and_make, MAKES_OR_OPENS},
    {"open O_CREAT O_EXCL", open_exclusively, MAKES},
    {"creat", creat_, MAKES_OR_OPENS},
    {"mkdir", mkdir_, MAKES},
    {"mkfifo", mkfifo_, MAKES},
    {"mknod of a file", mknod_file, MAKES},
    {"mknod of a device", mknod_device, MAKES},
    {"symlink", symlink_, MAKES},
    {"link to", link_to, MAKES},
    {"link from", link_from, NEEDS},
    {"unlink", unlink, NEEDS},
    {"rmdir", rmdir, NEEDS},
    {"rename to", rename_to, MAKES_OR_OPENS},
    {"rename from", rename_from, NEEDS},
    {"renameat2 RENAME_EXCHANGE", exchange, NEEDS},
    {"truncate", truncate_, NEEDS},
    {"chmod", chmod_, NEEDS},
    {"chown", chown_, NEEDS},
    {"lchown", lchown_, NEEDS},
    {"utimensat", utimens, NEEDS},
    {"stat", stat_, NEEDS},
    {"lstat", lstat_, NEEDS},
    {"access", access_, NEEDS},
    {"readlink", readlink_, NEEDS},
    {"opendir", opendir_, NEEDS},
    {"chdir", chdir, NEEDS},
    {"statvfs", statvfs_, NEEDS},
    {"getxattr", getxattr_, NEEDS},
    {"setxattr", setxattr_, NEEDS},
    {"listxattr", listxattr_, NEEDS},
    {"removexattr", removexattr_, NEEDS},
};
#define EACH_CALL (const struct call *c = calls; c < calls + sizeof calls / sizeof *calls; c++)

static void expect_errno(const struct call *c, const char *path, int wanted)
{
    int r = c->call(path), e = errno;
    ck_assert_msg(r == -1 && e == wanted, "%s of %.40s: %s instead of %s", c->name, path,
                  r == -1 ? strerrorname_np(e) : "success", strerrorname_np(wanted));
}

START_TEST(a_missing_folder_on_the_way_is_ENOENT)
{
    make_file("file", "");
    for
        EACH_CALL
    expect_errno(c, "missing/name", ENOENT);
}
END_TEST

START_TEST(an_empty_path_is_ENOENT)
{
    make_file("file", "");
    for
        EACH_CALL
    expect_errno(c, "", ENOENT);
}
END_TEST

START_TEST(a_missing_name_is_ENOENT_for_calls_that_make_none)
{
    make_file("file", "");
    for
        EACH_CALL
    if (c->kind == NEEDS)
        expect_errno(c, "missing", ENOENT);
}
END_TEST

START_TEST(a_file_on_the_way_is_ENOTDIR)
{
    make_file("file", "");
    for
        EACH_CALL
    expect_errno(c, "file/name", ENOTDIR);
}
END_TEST

START_TEST(a_dangling_symlink_on_the_way_is_ENOENT)
{
    make_file("file", "");
    ok(symlink("missing", "dangling"));
    for
        EACH_CALL
    expect_errno(c, "dangling/name", ENOENT);
}
END_TEST

START_TEST(a_name_of_256_bytes_is_ENAMETOOLONG)
{
    char *name = name_of_length(256);
    make_file("file", "");
    for
        EACH_CALL
    expect_errno(c, name, ENAMETOOLONG);
    free(name);
}
END_TEST

START_TEST(a_name_of_256_bytes_on_the_way_is_ENAMETOOLONG)
{
    char *name = name_of_length(256), path[300];
    snprintf(path, sizeof path, "%s/x", name);
    make_file("file", "");
    for
        EACH_CALL
    expect_errno(c, path, ENAMETOOLONG);
    free(name);
}
END_TEST

START_TEST(names_of_255_bytes_can_be_made_renamed_linked_and_removed)
{
    char *name = name_of_length(255);
    make_file("file", "");
    for
        EACH_CALL
        {
            if (c->kind != MAKES)
                continue;
            ck_assert_msg(c->call(name) == 0, "%s: %s", c->name, strerrorname_np(errno));
            ok(rename(name, "short"));
            ok(rename("short", name));
            ok(remove(name));
        }
    free(name);
}
END_TEST

START_TEST(a_path_of_4096_bytes_is_ENAMETOOLONG)
{
    char *path = path_of_length(4096, "file");
    make_file("file", "");
    for
        EACH_CALL
    expect_errno(c, path, ENAMETOOLONG);
    free(path);
}
END_TEST

START_TEST(a_path_of_4095_bytes_is_fine)
{
    char *path = path_of_length(4095, "file");
    make_file("file", "text");
    expect_text(path, "text");
    ok(unlink(path));
    ok(mkdir(path, 0755));
    ok(rmdir("file"));
    free(path);
}
END_TEST

START_TEST(a_loop_of_symlinks_on_the_way_is_ELOOP)
{
    make_file("file", "");
    ok(symlink("loop2", "loop1"));
    ok(symlink("loop1", "loop2"));
    for
        EACH_CALL
    expect_errno(c, "loop1/name", ELOOP);
}
END_TEST

START_TEST(forty_symlinks_are_followed_and_41_are_ELOOP)
{
    char from[16], to[16] = "file";
    make_file("file", "text");
    for (int i = 1; i <= 41; i++) {
        snprintf(from, sizeof from, "link%d", i);
        ok(symlink(to, from));
        strcpy(to, from);
    }
    expect_text("link40", "text");
    fails(open("link41", O_RDONLY), ELOOP);
}
END_TEST

START_TEST(a_folder_on_the_way_without_search_permission_is_EACCES)
{
    ok(mkdir("closed", 0755));
    make_file("closed/there", "");
    make_file("file", "");
    ok(chmod("closed", 0666));
    ok(chown("file", ALICE, ALICE));
    become(ALICE, ALICE, 0);
    for
        EACH_CALL
        {
            expect_errno(c, "closed/there", EACCES);
            expect_errno(c, "closed/missing", EACCES);
        }
}
END_TEST

/* ---- what is there already */

START_TEST(a_name_that_is_taken_is_EEXIST_whatever_it_is)
{
    make_file("file", "");
    ok(mkdir("dir", 0755));
    ok(mkfifo("fifo", 0644));
    ok(symlink("missing", "dangling"));
    ok(symlink("loop", "loop"));
    for
        EACH_CALL
        {
            if (c->kind != MAKES)
                continue;
            expect_errno(c, "file", EEXIST);
            expect_errno(c, "dir", EEXIST);
            expect_errno(c, "fifo", EEXIST);
            expect_errno(c, "dangling", EEXIST);
            expect_errno(c, "loop", EEXIST);
            expect_errno(c, ".", EEXIST);
            expect_errno(c, "..", EEXIST);
            expect_errno(c, "/", EEXIST);
        }
}
END_TEST

START_TEST(EEXIST_comes_before_EACCES_of_a_folder_that_cannot_be_written)
{
    make_file("file", "");
    ok(mkdir("dir", 0755));
    make_file("dir/there", "");
    ok(chown("file", ALICE, ALICE));
    become(ALICE, ALICE, 0);
    for
        EACH_CALL
    if (c->kind == MAKES)
        expect_errno(c, "dir/there", EEXIST);
}
END_TEST

START_TEST(a_folder_that_cannot_be_written_takes_no_new_name)
{
    make_file("file", "");
    ok(mkdir("dir", 0755));
    ok(chown("file", ALICE, ALICE));
    become(ALICE, ALICE, 0);
    for
        EACH_CALL
    if (c->kind != NEEDS)
        expect_errno(c, "dir/new", EACCES);
}
END_TEST

START_TEST(ENOENT_comes_before_EACCES_of_a_folder_that_cannot_be_written)
{
    ok(mkdir("dir", 0755));
    become(ALICE, ALICE, 0);
    fails(unlink("dir/missing"), ENOENT);
    fails(rmdir("dir/missing"), ENOENT);
    fails(rename("dir/missing", "dir/new"), ENOENT);
}
END_TEST

START_TEST(a_folder_that_cannot_be_written_loses_no_name)
{
    ok(mkdir("dir", 0755));
    make_file("dir/file", "");
    ok(mkdir("dir/sub", 0777));
    ok(chown("dir/file", ALICE, ALICE));
    become(ALICE, ALICE, 0);
    fails(unlink("dir/file"), EACCES);
    fails(rmdir("dir/sub"), EACCES);
    fails(rename("dir/file", "out"), EACCES);
    fails(rename("dir/file", "dir/new"), EACCES);
}
END_TEST

/* ---- the end of a path */

START_TEST(a_slash_behind_a_new_name_means_a_folder)
{
    make_file("file", "");
    fails(open("new/", O_WRONLY | O_CREAT, 0644), EISDIR);
    fails(mknod("new/", S_IFREG | 0644, 0), ENOENT);
    fails(mkfifo("new/", 0644), ENOENT);
    fails(symlink("target", "new/"), ENOENT);
    fails(link("file", "new/"), ENOENT);
    fails(rename("file", "new/"), ENOTDIR);
    ok(mkdir("new/", 0755));
    ok(rename("new/", "newer/"));
    ok(rmdir("newer/"));
}
END_TEST

START_TEST(a_slash_behind_a_file_is_ENOTDIR)
{
    struct stat st;
    make_file("file", "");
    fails(open("file/", O_RDONLY), ENOTDIR);
    fails(stat("file/", &st), ENOTDIR);
    fails(unlink("file/"), ENOTDIR);
    fails(rename("file/", "new"), ENOTDIR);
    fails(link("file/", "new"), ENOTDIR);
    fails(truncate("file/", 0), ENOTDIR);
    fails(chmod("file/", 0644), ENOTDIR);
}
END_TEST

START_TEST(a_slash_behind_a_symlink_follows_it)
{
    struct stat st;
    ok(mkdir("dir", 0755));
    ok(symlink("dir", "link"));
    ok(lstat("link/", &st));
    ck_assert(S_ISDIR(st.st_mode));
    fails(unlink("link/"), ENOTDIR);
    fails(rmdir("link/"), ENOTDIR);
    ck_assert(S_ISLNK(stat_of("link").st_mode));
}
END_TEST

START_TEST(dot_and_dotdot_are_not_removed)
{
    ok(mkdir("dir", 0755));
    ok(mkdir("dir/sub", 0755));
    fails(rmdir("."), EINVAL);
    fails(rmdir("dir/."), EINVAL);
    fails(rmdir("dir/sub/.."), ENOTEMPTY);
    fails(unlink("."), EISDIR);
    fails(unlink("dir/.."), EISDIR);
}
END_TEST

START_TEST(dot_and_dotdot_are_not_renamed)
{
    ok(mkdir("dir", 0755));
    ok(mkdir("dir/sub", 0755));
    fails(rename("dir/.", "new"), EBUSY);
    fails(rename("dir/sub/..", "new"), EBUSY);
    fails(rename("dir", "dir/sub/."), EBUSY);
    fails(rename("dir/sub", ".."), EBUSY);
}
END_TEST

RUN("errnos", a_missing_folder_on_the_way_is_ENOENT, an_empty_path_is_ENOENT,
    a_missing_name_is_ENOENT_for_calls_that_make_none, a_file_on_the_way_is_ENOTDIR,
    a_dangling_symlink_on_the_way_is_ENOENT, a_name_of_256_bytes_is_ENAMETOOLONG,
    a_name_of_256_bytes_on_the_way_is_ENAMETOOLONG,
    names_of_255_bytes_can_be_made_renamed_linked_and_removed, a_path_of_4096_bytes_is_ENAMETOOLONG,
    a_path_of_4095_bytes_is_fine, a_loop_of_symlinks_on_the_way_is_ELOOP,
    forty_symlinks_are_followed_and_41_are_ELOOP,
    a_folder_on_the_way_without_search_permission_is_EACCES,
    a_name_that_is_taken_is_EEXIST_whatever_it_is,
    EEXIST_comes_before_EACCES_of_a_folder_that_cannot_be_written,
    a_folder_that_cannot_be_written_takes_no_new_name,
    ENOENT_comes_before_EACCES_of_a_folder_that_cannot_be_written,
    a_folder_that_cannot_be_written_loses_no_name, a_slash_behind_a_new_name_means_a_folder,
    a_slash_behind_a_file_is_ENOTDIR, a_slash_behind_a_symlink_follows_it,
    dot_and_dotdot_are_not_removed, dot_and_dotdot_are_not_renamed)
