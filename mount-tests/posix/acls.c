/* Access control lists, as acl(5) says and as the kernel's attributes system.posix_acl_access and
 * system.posix_acl_default carry them. A list is written here as getfacl -n prints it, in one line:
 * "u::rw-,u:20001:r--,g::r--,m::r--,o::---". */
#include "posix.h"

#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <sys/xattr.h>

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

/* ---- lists as words and as bytes */

struct list {
    struct posix_acl_xattr_header head;
    struct posix_acl_xattr_entry entry[128];
};

static size_t size_of(int entries)
{
    return sizeof(struct posix_acl_xattr_header) +
           (size_t)entries * sizeof(struct posix_acl_xattr_entry);
}

static struct posix_acl_xattr_entry entry_of(const char *word)
{
    struct posix_acl_xattr_entry e = {.e_id = htole32((uint32_t)ACL_UNDEFINED_ID)};
    const char *id = word + 2, *rights = strchr(id, ':') + 1;
    bool named = *id != ':';
    int tag = *word == 'u'   ? (named ? ACL_USER : ACL_USER_OBJ)
              : *word == 'g' ? (named ? ACL_GROUP : ACL_GROUP_OBJ)
              : *word == 'm' ? ACL_MASK
                             : ACL_OTHER;
    int perm = (rights[0] == 'r') * 4 + (rights[1] == 'w') * 2 + (rights[2] == 'x');
    if (named)
        e.e_id = htole32((uint32_t)atoi(id));
    e.e_tag = htole16((uint16_t)tag);
    e.e_perm = htole16((uint16_t)perm);
    return e;
}

static int set_list(const char *name, const char *kind, const char *words)
{
    struct list l = {.head.a_version = htole32(POSIX_ACL_XATTR_VERSION)};
    char copy[4096], *rest = copy, *word;
    int n = 0;
    snprintf(copy, sizeof copy, "%s", words);
    while ((word = strsep(&rest, ",")))
        l.entry[n++] = entry_of(word);
    return setxattr(name, kind, &l, size_of(n), 0);
}

/* The list in words; "none" where there is none. */
static const char *list_of(const char *name, const char *kind)
{
    static char words[4096];
    struct list l;
    size_t used = 0;
    ssize_t size = getxattr(name, kind, &l, sizeof l);
    if (size == -1 && errno == ENODATA)
        return "none";
    ck_assert_msg(size >= (ssize_t)sizeof l.head, "%s of %s: %s", kind, name,
                  strerrorname_np(errno));
    for (size_t i = 0; i < ((size_t)size - sizeof l.head) / sizeof *l.entry; i++) {
        const struct posix_acl_xattr_entry *e = &l.entry[i];
        int tag = le16toh(e->e_tag), perm = le16toh(e->e_perm);
        char id[16] = "";
        if (tag == ACL_USER || tag == ACL_GROUP)
            snprintf(id, sizeof id, "%u", le32toh(e->e_id));
        used +=
            (size_t)snprintf(words + used, sizeof words - used, "%s%c:%s:%c%c%c", i ? "," : "",
                             tag & (ACL_USER | ACL_USER_OBJ)     ? 'u'
                             : tag & (ACL_GROUP | ACL_GROUP_OBJ) ? 'g'
                             : tag == ACL_MASK                   ? 'm'
                                                                 : 'o',
                             id, perm & 4 ? 'r' : '-', perm & 2 ? 'w' : '-', perm & 1 ? 'x' : '-');
    }
    return words;
}
#define expect_list(name, kind, words) ck_assert_str_eq(list_of(name, kind), words)
#define expect_mode(name, wanted)                                                                  \
    ck_assert_msg(mode_of(name) == (wanted), "mode of %s: %o instead of %o", name, mode_of(name),  \
                  wanted)

/* What may this user do with the file? As "rwx" with - for what not. */
static const char *rights_of(uid_t uid, gid_t gid, gid_t other, const char *name)
{
    static char got[4];
    become(uid, gid, other);
    got[0] = eaccess(name, R_OK) == 0 ? 'r' : '-';
    got[1] = eaccess(name, W_OK) == 0 ? 'w' : '-';
    got[2] = eaccess(name, X_OK) == 0 ? 'x' : '-';
    int fd = open(name, O_RDONLY);
    ck_assert_int_eq(fd >= 0, got[0] == 'r');
    close(fd);
    fd = open(name, O_WRONLY);
    ck_assert_int_eq(fd >= 0, got[1] == 'w');
    close(fd);
    become_root();
    return got;
}

/* ---- what a list says of the mode, and the mode of the list */

START_TEST(a_new_file_has_no_list)
{
    make_file("file", "");
    ok(mkdir("dir", 0755));
    expect_list("file", ACCESS, "none");
    expect_list("dir", DEFAULT, "none");
}
END_TEST

START_TEST(a_list_of_three_is_the_mode_and_kept_as_that)
{
    make_file("file", "");
    ok(set_list("file", ACCESS, "u::rwx,g::r-x,o::--x"));
    expect_mode("file", 0751u);
    expect_list("file", ACCESS, "none");
}
END_TEST

START_TEST(a_list_is_kept_and_its_mask_is_the_group_in_the_mode)
{
    make_file("file", "");
    ok(set_list("file", ACCESS, "u::rw-,u:20001:rwx,g::r--,g:20003:-wx,m::rw-,o::---"));
    expect_list("file", ACCESS, "u::rw-,u:20001:rwx,g::r--,g:20003:-wx,m::rw-,o::---");
    expect_mode("file", 0660u);
}
END_TEST

START_TEST(chmod_changes_owner_mask_and_other)
{
    make_file("file", "");
    ok(set_list("file", ACCESS, "u::rw-,u:20001:rwx,g::r-x,m::rwx,o::---"));
    ok(chmod("file", 0714));
    expect_list("file", ACCESS, "u::rwx,u:20001:rwx,g::r-x,m::--x,o::r--");
    expect_mode("file", 0714u);
    int fd = open("file", O_RDONLY);
    ok(fchmod(fd, 0640));
    expect_list("file", ACCESS, "u::rw-,u:20001:rwx,g::r-x,m::r--,o::---");
}
END_TEST

START_TEST(a_list_that_goes_leaves_the_mode)
{
    make_file("file", "");
    ok(set_list("file", ACCESS, "u::rw-,u:20001:rwx,g::---,m::rw-,o::---"));
    ok(removexattr("file", ACCESS));
    expect_list("file", ACCESS, "none");
    expect_mode("file", 0660u);
    ck_assert_str_eq(rights_of(ALICE, ALICE, 0, "file"), "---");
}
END_TEST

START_TEST(a_list_that_is_not_there_is_removed_without_an_error)
{
    make_file("file", "");
    ok(mkdir("dir", 0755));
    ok(removexattr("file", ACCESS));
    ok(removexattr("dir", ACCESS));
    ok(removexattr("dir", DEFAULT));
    ok(set_list("dir", DEFAULT, "u::rwx,g::r-x,o::---"));
    ok(removexattr("dir", DEFAULT));
    ok(removexattr("dir", DEFAULT));
    fails(removexattr("file", "user.missing"), ENODATA);
}
END_TEST

START_TEST(a_list_leaves_suid_and_sticky)
{
    make_file("file", "");
    ok(chmod("file", 04755));
    ok(set_list("file", ACCESS, "u::rwx,u:20001:r--,g::r--,m::r--,o::r--"));
    expect_mode("file", 04744u);
}
END_TEST

START_TEST(setting_a_list_changes_ctime)
{
    make_file("file", "");
    struct stat before = stat_of("file");
    wait_ms(20);
    ok(set_list("file", ACCESS, "u::rw-,u:20001:r--,g::r--,m::r--,o::r--"));
    struct stat after = stat_of("file");
    ck_assert(before.st_ctim.tv_nsec != after.st_ctim.tv_nsec ||
              before.st_ctim.tv_sec != after.st_ctim.tv_sec);
}
END_TEST

/* ---- who may what: acl(5), "access check algorithm" */

START_TEST(a_named_user_has_what_his_entry_and_the_mask_have)
{
    make_file("file", "");
    ok(set_list("file", ACCESS, "u::---,u:20001:rw-,g::---,m::rwx,o::---"));
    ck_assert_str_eq(rights_of(ALICE, ALICE, 0, "file"), "rw-");
    ck_assert_str_eq(rights_of(BOB, BOB, 0, "file"), "---");
    ok(set_list("file", ACCESS, "u::---,u:20001:rw-,g::---,m::r--,o::---"));
    ck_assert_str_eq(rights_of(ALICE, ALICE, 0, "file"), "r--");
}
END_TEST

START_TEST(a_named_user_without_rights_has_none_though_others_do)
{
    make_file("file", "");
    ok(set_list("file", ACCESS, "u::rw-,u:20001:---,g::rw-,m::rw-,o::rw-"));
    ck_assert_str_eq(rights_of(ALICE, ALICE, 0, "file"), "---");
    ck_assert_str_eq(rights_of(BOB, BOB, 0, "file"), "rw-");
}
END_TEST

START_TEST(a_named_user_is_judged_before_his_groups)
{
    make_file("file", "");
    ok(set_list("file", ACCESS, "u::---,u:20001:r--,g::---,g:20003:rwx,m::rwx,o::---"));
    ck_assert_str_eq(rights_of(ALICE, ALICE, CREW, "file"), "r--");
}
END_TEST

START_TEST(the_owner_has_the_owners_entry_whatever_the_mask)
{
    make_file("file", "");
    ok(chown("file", ALICE, CREW));
    ok(set_list("file", ACCESS, "u::rw-,u:20001:---,g::---,m::---,o::---"));
    ck_assert_str_eq(rights_of(ALICE, ALICE, 0, "file"), "rw-");
}
END_TEST

START_TEST(the_mask_limits_the_files_group_and_not_others)
{
    make_file("file", "");
    ok(chown("file", 0, CREW));
    ok(set_list("file", ACCESS, "u::---,u:20002:r--,g::rw-,m::r--,o::rw-"));
    ck_assert_str_eq(rights_of(ALICE, CREW, 0, "file"), "r--");
    ck_assert_str_eq(rights_of(ALICE, ALICE, CREW, "file"), "r--");
    ck_assert_str_eq(rights_of(ALICE, ALICE, 0, "file"), "rw-");
}
END_TEST

START_TEST(a_group_that_allows_is_enough_and_one_that_refuses_keeps_from_other)
{
    make_file("file", "");
    ok(chown("file", 0, CREW));
    ok(set_list("file", ACCESS, "u::---,g::---,g:20001:r--,m::rwx,o::rwx"));
    ck_assert_str_eq(rights_of(BOB, ALICE, CREW, "file"), "r--");
    ck_assert_str_eq(rights_of(BOB, CREW, 0, "file"), "---");
}
END_TEST

START_TEST(two_groups_do_not_add_up)
{
    make_file("file", "");
    ok(set_list("file", ACCESS, "u::---,g::---,g:20001:r--,g:20003:-w-,m::rwx,o::---"));
    become(BOB, ALICE, CREW);
    ok(close(open("file", O_RDONLY)));
    ok(close(open("file", O_WRONLY)));
    fails(open("file", O_RDWR), EACCES);
}
END_TEST

START_TEST(lists_of_folders_rule_search_listing_and_making)
{
    ok(mkdir("dir", 0755));
    make_file("dir/file", "text");
    ok(set_list("dir", ACCESS, "u::rwx,u:20001:--x,u:20002:rwx,g::---,m::rwx,o::---"));
    become(ALICE, ALICE, 0);
    expect_text("dir/file", "text");
    fails(open("dir", O_RDONLY), EACCES);
    fails(mkdir("dir/alice", 0755), EACCES);
    become(BOB, BOB, 0);
    ok(close(open("dir", O_RDONLY)));
    ok(mkdir("dir/bob", 0755));
    become(CREW, CREW, 0);
    fails(open("dir/file", O_RDONLY), EACCES);
}
END_TEST

START_TEST(root_passes_lists_but_runs_only_what_somebody_may)
{
    make_file("file", "");
    ok(set_list("file", ACCESS, "u::---,u:20001:r--,g::---,m::r--,o::---"));
    ck_assert_str_eq(rights_of(0, 0, 0, "file"), "rw-");
}
END_TEST

START_TEST(a_hundred_named_users_each_have_theirs)
{
    char words[4096] = "u::rw-";
    for (int i = 0; i < 100; i++)
        snprintf(words + strlen(words), 32, ",u:%d:%s", 30000 + i, i % 2 ? "r--" : "-w-");
    strcat(words, ",g::---,m::rw-,o::---");
    make_file("file", "");
    ok(set_list("file", ACCESS, words));
    expect_list("file", ACCESS, words);
    ck_assert_str_eq(rights_of(30050, ALICE, 0, "file"), "-w-");
    ck_assert_str_eq(rights_of(30099, ALICE, 0, "file"), "r--");
    ck_assert_str_eq(rights_of(30100, ALICE, 0, "file"), "---");
}
END_TEST

/* ---- who may set one, and which */

START_TEST(the_owner_and_root_set_lists_and_nobody_else)
{
    make_file("file", "");
    ok(chown("file", ALICE, ALICE));
    ok(chmod("file", 0666));
    become(BOB, BOB, 0);
    fails(set_list("file", ACCESS, "u::rw-,u:20002:rwx,g::r--,m::rwx,o::r--"), EPERM);
    fails(removexattr("file", ACCESS), EPERM);
    become(ALICE, ALICE, 0);
    ok(set_list("file", ACCESS, "u::rw-,u:20002:rwx,g::r--,m::rwx,o::---"));
    become(CREW, CREW, 0);
    expect_list("file", ACCESS, "u::rw-,u:20002:rwx,g::r--,m::rwx,o::---");
}
END_TEST

START_TEST(lists_that_are_none_are_EINVAL)
{
    make_file("file", "");
    fails(set_list("file", ACCESS, "u::rw-,g::r--"), EINVAL);                /* other */
    fails(set_list("file", ACCESS, "u::rw-,u:5:r--,g::r--,o::r--"), EINVAL); /* mask */
    fails(set_list("file", ACCESS, "u::rw-,u::rw-,g::r--,o::r--"), EINVAL);  /* twice */
    fails(set_list("file", ACCESS, "g::r--,u::rw-,o::r--"), EINVAL);         /* order */
    struct list l = {.head.a_version = htole32(POSIX_ACL_XATTR_VERSION)};
    fails(setxattr("file", ACCESS, &l, 3, 0), EINVAL);
    fails(setxattr("file", ACCESS, &l, size_of(1) - 1, 0), EINVAL);
    l.head.a_version = htole32(1);
    fails(setxattr("file", ACCESS, &l, size_of(3), 0), EOPNOTSUPP);
    expect_mode("file", 0644u);
}
END_TEST

START_TEST(symlinks_have_no_lists)
{
    make_file("file", "");
    ok(symlink("file", "link"));
    fails(lgetxattr("link", ACCESS, NULL, 0), EOPNOTSUPP);
    ok(set_list("link", ACCESS, "u::rw-,u:20001:r--,g::r--,m::r--,o::r--")); /* follows */
    expect_list("file", ACCESS, "u::rw-,u:20001:r--,g::r--,m::r--,o::r--");
}
END_TEST

START_TEST(only_folders_have_default_lists)
{
    make_file("file", "");
    fails(set_list("file", DEFAULT, "u::rwx,g::r-x,o::---"), EACCES);
    ok(mkdir("dir", 0755));
    ok(set_list("dir", DEFAULT, "u::rwx,g::r-x,o::---"));
    expect_list("dir", DEFAULT, "u::rwx,g::r-x,o::---");
    expect_mode("dir", 0755u);
    ok(removexattr("dir", DEFAULT));
    expect_list("dir", DEFAULT, "none");
}
END_TEST

START_TEST(lists_are_listed_among_the_attributes)
{
    char names[256] = "";
    ok(mkdir("dir", 0755));
    ok(set_list("dir", DEFAULT, "u::rwx,g::r-x,o::---"));
    ok(set_list("dir", ACCESS, "u::rw-,u:20001:r--,g::r--,m::r--,o::r--"));
    ssize_t n = listxattr("dir", names, sizeof names);
    ok(n);
    ck_assert_ptr_nonnull(memmem(names, (size_t)n, ACCESS, sizeof ACCESS));
    ck_assert_ptr_nonnull(memmem(names, (size_t)n, DEFAULT, sizeof DEFAULT));
}
END_TEST

START_TEST(an_owner_outside_the_group_loses_sgid_by_a_list)
{
    make_file("file", "");
    ok(chown("file", ALICE, CREW));
    ok(chmod("file", 02755));
    become(ALICE, ALICE, 0);
    ok(set_list("file", ACCESS, "u::rwx,u:20002:r-x,g::r-x,m::r-x,o::r-x"));
    become_root();
    expect_mode("file", 0755u);
}
END_TEST

/* ---- what is new under a default list */

static const char *const crew_works = "u::rwx,g::r-x,g:20003:rwx,m::rwx,o::---";

START_TEST(a_new_file_takes_the_default_list_cut_by_the_mode_asked_for)
{
    ok(mkdir("dir", 0755));
    ok(set_list("dir", DEFAULT, crew_works));
    umask(077); /* does not count here */
    ok(close(open("dir/file", O_WRONLY | O_CREAT, 0666)));
    expect_list("dir/file", ACCESS, "u::rw-,g::r-x,g:20003:rwx,m::rw-,o::---");
    expect_mode("dir/file", 0660u);
    ok(close(open("dir/private", O_WRONLY | O_CREAT, 0600)));
    expect_list("dir/private", ACCESS, "u::rw-,g::r-x,g:20003:rwx,m::---,o::---");
    ok(mkfifo("dir/fifo", 0666));
    expect_list("dir/fifo", ACCESS, "u::rw-,g::r-x,g:20003:rwx,m::rw-,o::---");
    ok(mknod("dir/node", S_IFREG | 0640, 0));
    expect_mode("dir/node", 0640u);
    ck_assert_str_eq(rights_of(ALICE, CREW, 0, "dir/file"), "rw-");
}
END_TEST

START_TEST(a_new_folder_takes_it_twice)
{
    ok(mkdir("dir", 0755));
    ok(set_list("dir", DEFAULT, crew_works));
    umask(022);
    ok(mkdir("dir/sub", 0777));
    expect_list("dir/sub", ACCESS, crew_works);
    expect_list("dir/sub", DEFAULT, crew_works);
    ok(mkdir("dir/sub/deeper", 0700));
    expect_list("dir/sub/deeper", ACCESS, "u::rwx,g::r-x,g:20003:rwx,m::---,o::---");
    expect_list("dir/sub/deeper", DEFAULT, crew_works);
}
END_TEST

START_TEST(a_default_list_of_three_gives_a_mode_and_no_list)
{
    ok(mkdir("dir", 0755));
    ok(set_list("dir", DEFAULT, "u::rwx,g::rwx,o::r-x"));
    umask(077);
    ok(close(open("dir/file", O_WRONLY | O_CREAT, 0666)));
    expect_mode("dir/file", 0664u);
    expect_list("dir/file", ACCESS, "none");
    ok(mkdir("dir/sub", 0777));
    expect_mode("dir/sub", 0775u);
    expect_list("dir/sub", DEFAULT, "u::rwx,g::rwx,o::r-x");
}
END_TEST

START_TEST(without_a_default_list_the_umask_counts)
{
    ok(mkdir("dir", 0755));
    ok(set_list("dir", ACCESS, "u::rwx,u:20001:rwx,g::r-x,m::rwx,o::r-x"));
    umask(027);
    ok(close(open("dir/file", O_WRONLY | O_CREAT, 0666)));
    ok(mkdir("dir/sub", 0777));
    ok(mkfifo("dir/fifo", 0666));
    expect_mode("dir/file", 0640u);
    expect_mode("dir/sub", 0750u);
    expect_mode("dir/fifo", 0640u);
    expect_list("dir/file", ACCESS, "none");
}
END_TEST

START_TEST(a_symlink_takes_none_of_it)
{
    ok(mkdir("dir", 0755));
    ok(set_list("dir", DEFAULT, crew_works));
    ok(symlink("target", "dir/link"));
    ck_assert_uint_eq(mode_of("dir/link"), 0777);
}
END_TEST

START_TEST(what_moves_or_is_linked_into_the_folder_keeps_what_it_had)
{
    ok(mkdir("dir", 0755));
    ok(set_list("dir", DEFAULT, crew_works));
    make_file("file", "");
    ok(link("file", "dir/link"));
    ok(rename("file", "dir/file"));
    expect_list("dir/file", ACCESS, "none");
    expect_mode("dir/file", 0644u);
}
END_TEST

START_TEST(a_changed_default_list_leaves_what_was_there)
{
    ok(mkdir("dir", 0755));
    ok(set_list("dir", DEFAULT, crew_works));
    ok(mkdir("dir/sub", 0777));
    ok(removexattr("dir", DEFAULT));
    expect_list("dir/sub", DEFAULT, crew_works);
    ok(mkdir("dir/later", 0755));
    expect_list("dir/later", ACCESS, "none");
    expect_list("dir/later", DEFAULT, "none");
}
END_TEST

START_TEST(a_setgid_folder_gives_its_group_and_its_list)
{
    ok(mkdir("dir", 0755));
    ok(chown("dir", 0, CREW));
    ok(chmod("dir", 02775));
    ok(set_list("dir", DEFAULT, crew_works));
    ok(mkdir("dir/sub", 0777));
    ck_assert_uint_eq(stat_of("dir/sub").st_gid, CREW);
    expect_mode("dir/sub", 02770u);
    expect_list("dir/sub", ACCESS, crew_works);
}
END_TEST

/* ---- lists and the file they are of */

START_TEST(lists_follow_renames_links_and_chown)
{
    const char *words = "u::rw-,u:20001:r--,g::r--,m::r--,o::---";
    make_file("file", "");
    ok(set_list("file", ACCESS, words));
    ok(rename("file", "moved"));
    ok(link("moved", "second"));
    ok(chown("second", BOB, BOB));
    expect_list("moved", ACCESS, words);
    ok(unlink("moved"));
    expect_list("second", ACCESS, words);
    ok(unlink("second"));
    make_file("second", "");
    expect_list("second", ACCESS, "none");
}
END_TEST

START_TEST(an_open_file_without_a_name_takes_a_list)
{
    struct list l;
    make_file("file", "");
    ok(set_list("file", ACCESS, "u::rw-,u:20001:r--,g::r--,m::r--,o::---"));
    int fd = open("file", O_RDWR);
    ok(unlink("file"));
    ssize_t size = fgetxattr(fd, ACCESS, &l, sizeof l);
    ck_assert_int_eq(size, (ssize_t)size_of(5));
    l.entry[1].e_perm = htole16(7);
    ok(fsetxattr(fd, ACCESS, &l, (size_t)size, 0));
    memset(&l, 0, sizeof l);
    ok(fgetxattr(fd, ACCESS, &l, sizeof l));
    ck_assert_uint_eq(le16toh(l.entry[1].e_perm), 7);
}
END_TEST

RUN("acls", a_new_file_has_no_list, a_list_of_three_is_the_mode_and_kept_as_that,
    a_list_is_kept_and_its_mask_is_the_group_in_the_mode, chmod_changes_owner_mask_and_other,
    a_list_that_goes_leaves_the_mode, a_list_that_is_not_there_is_removed_without_an_error,
    a_list_leaves_suid_and_sticky, setting_a_list_changes_ctime,
    a_named_user_has_what_his_entry_and_the_mask_have,
    a_named_user_without_rights_has_none_though_others_do, a_named_user_is_judged_before_his_groups,
    the_owner_has_the_owners_entry_whatever_the_mask,
    the_mask_limits_the_files_group_and_not_others,
    a_group_that_allows_is_enough_and_one_that_refuses_keeps_from_other, two_groups_do_not_add_up,
    lists_of_folders_rule_search_listing_and_making,
    root_passes_lists_but_runs_only_what_somebody_may, a_hundred_named_users_each_have_theirs,
    the_owner_and_root_set_lists_and_nobody_else, lists_that_are_none_are_EINVAL,
    symlinks_have_no_lists, only_folders_have_default_lists, lists_are_listed_among_the_attributes,
    an_owner_outside_the_group_loses_sgid_by_a_list,
    a_new_file_takes_the_default_list_cut_by_the_mode_asked_for, a_new_folder_takes_it_twice,
    a_default_list_of_three_gives_a_mode_and_no_list, without_a_default_list_the_umask_counts,
    a_symlink_takes_none_of_it, what_moves_or_is_linked_into_the_folder_keeps_what_it_had,
    a_changed_default_list_leaves_what_was_there, a_setgid_folder_gives_its_group_and_its_list,
    lists_follow_renames_links_and_chown, an_open_file_without_a_name_takes_a_list)
