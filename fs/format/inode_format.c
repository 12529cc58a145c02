/* See inode_format.h. */
#include "inode_format.h"

#include <stdlib.h>
#include <sys/sysmacros.h>

#include "../../store/base/coding.h"

#define INODE_VERSION 1

static void put_time(struct buf *out, struct timespec t)
{
    buf_put_fixed64(out, (uint64_t)t.tv_sec);
    buf_put_fixed32(out, (uint32_t)t.tv_nsec);
}

static bool take_time(struct slice *in, struct timespec *t)
{
    uint64_t s;
    uint32_t ns;
    if (!take_fixed64(in, &s) || !take_fixed32(in, &ns) || ns >= 1000000000u)
        return false;
    t->tv_sec = (time_t)s;
    t->tv_nsec = (long)ns;
    return true;
}

void inode_free(struct inode *i)
{
    free(i->target);
    i->target = NULL;
}

void inode_encode(const struct inode *i, struct buf *out)
{
    buf_append(out, (const char[]){INODE_VERSION}, 1);
    buf_put_varint32(out, i->mode);
    buf_put_varint32(out, i->uid);
    buf_put_varint32(out, i->gid);
    buf_put_varint32(out, i->nlink);
    buf_put_varint64(out, i->size);
    buf_put_varint64(out, i->blocks);
    buf_put_varint64(out, i->rdev);
    buf_put_varint32(out, i->flags);
    put_time(out, i->atime);
    put_time(out, i->mtime);
    put_time(out, i->ctime);
    put_time(out, i->btime);
    if (S_ISDIR(i->mode)) {
        buf_put_varint64(out, i->parent);
        buf_put_varint64(out, i->entries);
    } else if (S_ISLNK(i->mode)) {
        buf_put_prefixed(out, slice_str(i->target));
    }
}

static bool take_target(struct slice *in, struct inode *i)
{
    struct slice target;
    if (!take_prefixed(in, &target) || target.len == 0 || target.len > 4095 ||
        memchr(target.data, 0, target.len))
        return false;
    i->target = mem_printf("%.*s", (int)target.len, target.data);
    return true;
}

int inode_decode(struct inode *i, struct slice in)
{
    struct slice version;
    uint32_t mode, uid, gid;
    *i = (struct inode){0};
    if (!take_bytes(&in, 1, &version))
        return fail(STORE_ECORRUPT, "an inode without a byte");
    if (version.data[0] != INODE_VERSION)
        return fail(STORE_EFORMAT, "an inode of version %d, which is not known here",
                    version.data[0]);
    if (!take_varint32(&in, &mode) || !take_varint32(&in, &uid) || !take_varint32(&in, &gid) ||
        !take_varint32(&in, &i->nlink) || !take_varint64(&in, &i->size) ||
        !take_varint64(&in, &i->blocks) || !take_varint64(&in, &i->rdev) ||
        !take_varint32(&in, &i->flags) || !take_time(&in, &i->atime) ||
        !take_time(&in, &i->mtime) || !take_time(&in, &i->ctime) || !take_time(&in, &i->btime))
        return fail(STORE_ECORRUPT, "an inode that is cut short");
    if (i->flags & ~(uint32_t)INODE_FLAGS_KNOWN)
        return fail(STORE_EFORMAT, "an inode with flags 0x%x, which are not known here", i->flags);
    i->mode = mode;
    i->uid = uid;
    i->gid = gid;
    if (S_ISDIR(i->mode) && (!take_varint64(&in, &i->parent) || !take_varint64(&in, &i->entries)))
        return fail(STORE_ECORRUPT, "a directory's inode that is cut short");
    if (S_ISLNK(i->mode) && !take_target(&in, i))
        return fail(STORE_ECORRUPT, "a symlink's inode without its target");
    if (in.len > 0) {
        inode_free(i);
        return fail(STORE_EFORMAT, "an inode with %zu bytes more than are known here", in.len);
    }
    return 0;
}

void entry_encode_inode(uint64_t ino, const struct inode *i, struct buf *out)
{
    buf_append(out, (const char[]){ENTRY_INODE}, 1);
    buf_put_varint64(out, ino);
    inode_encode(i, out);
}

void entry_encode_reference(uint64_t ino, mode_t mode, struct buf *out)
{
    buf_append(out, (const char[]){ENTRY_REFERENCE}, 1);
    buf_put_varint64(out, ino);
    buf_put_varint32(out, mode & S_IFMT);
}

static int take_entry_head(struct slice *in, uint64_t *ino, enum entry_kind *kind)
{
    struct slice first;
    if (!take_bytes(in, 1, &first) || !take_varint64(in, ino))
        return fail(STORE_ECORRUPT, "a directory entry that is cut short");
    *kind = (enum entry_kind)first.data[0];
    if (*kind != ENTRY_INODE && *kind != ENTRY_REFERENCE)
        return fail(STORE_EFORMAT, "a directory entry of kind %d, which is not known here",
                    first.data[0]);
    return 0;
}

int entry_peek(struct slice in, uint64_t *ino, enum entry_kind *kind)
{
    return take_entry_head(&in, ino, kind);
}

int entry_decode(struct slice in, uint64_t *ino, enum entry_kind *kind, struct inode *i)
{
    uint32_t mode;
    int rc = take_entry_head(&in, ino, kind);
    if (rc)
        return rc;
    if (*kind == ENTRY_INODE)
        return inode_decode(i, in);
    *i = (struct inode){0};
    if (!take_varint32(&in, &mode) || in.len > 0)
        return fail(STORE_ECORRUPT, "a damaged reference in a directory entry");
    i->mode = mode & S_IFMT;
    return 0;
}

void inode_to_stat(uint64_t ino, const struct inode *i, struct stat *st)
{
    memset(st, 0, sizeof *st);
    st->st_ino = ino;
    st->st_mode = i->mode;
    st->st_nlink = i->nlink;
    st->st_uid = i->uid;
    st->st_gid = i->gid;
    st->st_rdev = i->rdev;
    st->st_size = S_ISDIR(i->mode) ? 4096 : (off_t)i->size;
    st->st_blocks = S_ISDIR(i->mode) ? 8 : (blkcnt_t)i->blocks;
    st->st_blksize = 4096;
    st->st_atim = i->atime;
    st->st_mtim = i->mtime;
    st->st_ctim = i->ctime;
}

void inode_to_text(uint64_t ino, const struct inode *i, struct buf *out)
{
    char *line = mem_printf(
        "inode %llu mode %o owner %u:%u links %u size %llu blocks %llu rdev %llu flags %u mtime "
        "%lld.%09ld ctime %lld.%09ld",
        (unsigned long long)ino, i->mode, i->uid, i->gid, i->nlink, (unsigned long long)i->size,
        (unsigned long long)i->blocks, (unsigned long long)i->rdev, i->flags,
        (long long)i->mtime.tv_sec, i->mtime.tv_nsec, (long long)i->ctime.tv_sec, i->ctime.tv_nsec);
    buf_append_slice(out, slice_str(line));
    free(line);
    if (S_ISDIR(i->mode)) {
        line = mem_printf(" parent %llu entries %llu", (unsigned long long)i->parent,
                          (unsigned long long)i->entries);
        buf_append_slice(out, slice_str(line));
        free(line);
    } else if (i->target) {
        buf_append(out, " target ", 8);
        buf_append_slice(out, slice_str(i->target));
    }
}
