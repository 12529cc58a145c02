/* See acl.h. */
#include "acl.h"

#include <endian.h>
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>

#define HEADER sizeof(struct posix_acl_xattr_header)
#define ENTRY sizeof(struct posix_acl_xattr_entry)

static size_t count(struct slice acl)
{
    return (acl.len - HEADER) / ENTRY;
}

struct entry {
    unsigned tag, perm;
};

static struct entry entry_at(struct slice acl, size_t i)
{
    struct posix_acl_xattr_entry e;
    memcpy(&e, (const char *)acl.data + HEADER + i * ENTRY, ENTRY);
    return (struct entry){le16toh(e.e_tag), le16toh(e.e_perm)};
}

static void set_perm(struct buf *acl, size_t i, unsigned perm)
{
    struct posix_acl_xattr_entry e;
    memcpy(&e, acl->data + HEADER + i * ENTRY, ENTRY);
    e.e_perm = htole16((uint16_t)perm);
    memcpy(acl->data + HEADER + i * ENTRY, &e, ENTRY);
}

int acl_check(struct slice acl)
{
    struct posix_acl_xattr_header head;
    unsigned seen = 0; /* the tags are single bits */
    if (acl.len < HEADER || (acl.len - HEADER) % ENTRY != 0)
        return -EINVAL;
    memcpy(&head, acl.data, HEADER);
    if (le32toh(head.a_version) != POSIX_ACL_XATTR_VERSION)
        return -EINVAL;
    for (size_t i = 0; i < count(acl); i++) {
        struct entry e = entry_at(acl, i);
        bool named = e.tag == ACL_USER || e.tag == ACL_GROUP;
        if (e.perm > 7 || e.tag > ACL_OTHER || e.tag == 0 || (e.tag & (e.tag - 1)) ||
            (!named && (seen & e.tag)))
            return -EINVAL;
        seen |= e.tag;
    }
    const unsigned needed = ACL_USER_OBJ | ACL_GROUP_OBJ | ACL_OTHER;
    bool any_named = seen & (ACL_USER | ACL_GROUP);
    return (seen & needed) == needed && (!any_named || (seen & ACL_MASK)) ? 0 : -EINVAL;
}

bool acl_is_only_mode(struct slice acl)
{
    return count(acl) == 3;
}

/* By how much the bits of this tag are shifted in a mode; -1: it has none there. */
static int shift_of(unsigned tag, bool has_mask)
{
    switch (tag) {
    case ACL_USER_OBJ:
        return 6;
    case ACL_GROUP_OBJ:
        return has_mask ? -1 : 3;
    case ACL_MASK:
        return 3;
    case ACL_OTHER:
        return 0;
    default:
        return -1;
    }
}

/* A list of more than three entries has a mask, or is a mode and a mask. */
static bool has_mask(struct slice acl)
{
    for (size_t i = 0; i < count(acl); i++)
        if (entry_at(acl, i).tag == ACL_MASK)
            return true;
    return false;
}

mode_t acl_mode(struct slice acl)
{
    mode_t mode = 0;
    bool mask = has_mask(acl);
    for (size_t i = 0; i < count(acl); i++) {
        struct entry e = entry_at(acl, i);
        int shift = shift_of(e.tag, mask);
        if (shift >= 0)
            mode |= e.perm << shift;
    }
    return mode;
}

void acl_chmod(struct buf *acl, mode_t mode)
{
    bool mask = has_mask(buf_slice(acl));
    for (size_t i = 0; i < count(buf_slice(acl)); i++) {
        int shift = shift_of(entry_at(buf_slice(acl), i).tag, mask);
        if (shift >= 0)
            set_perm(acl, i, mode >> shift & 7);
    }
}

mode_t acl_inherit(struct buf *acl, mode_t mode)
{
    mode &= ~(mode_t)0777 | acl_mode(buf_slice(acl));
    acl_chmod(acl, mode);
    return mode;
}
