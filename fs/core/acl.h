/* Access control lists (acl(5)) as the kernel hands them over: the value of an attribute, a header
 * and entries in the order user, users, group, groups, mask, others. The kernel checks them before
 * they are set, and judges by them; what they do to the mode and to what is new is done here.
 *
 * A list without users, groups and mask says no more than a mode: it is never kept.
 *
 * All functions are pure; lists they change were accepted by acl_check before. */
#ifndef FS_CORE_ACL_H
#define FS_CORE_ACL_H

#include <stdbool.h>
#include <sys/types.h>
#include "../../store/base/buf.h"

#define ACL_ACCESS_NAME "system.posix_acl_access"
#define ACL_DEFAULT_NAME "system.posix_acl_default"

/* 0 or -EINVAL. */
int acl_check(struct slice acl);
/* The nine bits that stand for it in the mode: the group's are the mask, where there is one. */
mode_t acl_mode(struct slice acl);
bool acl_is_only_mode(struct slice acl);
/* chmod: the entries that the nine bits stand for take them. */
void acl_chmod(struct buf *acl, mode_t mode);
/* From a folder's default list to the list of what is made in it with this mode: both become what
 * the list and the mode allow. Returns the mode, whatever other bits it has. */
mode_t acl_inherit(struct buf *acl, mode_t mode);

#endif
