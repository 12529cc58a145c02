/* See super_format.h. */
#include "super_format.h"

#include <stdio.h>

#include "../../store/base/coding.h"

static const char magic[] = "SKEINFS1";

void super_encode(const struct super *s, struct buf *out)
{
    buf_append(out, magic, 8);
    buf_put_fixed32(out, s->version);
    buf_put_fixed64(out, s->incompatible);
    buf_put_fixed64(out, s->compatible);
    buf_append(out, s->uuid, sizeof s->uuid);
    buf_put_fixed64(out, (uint64_t)s->created);
    buf_put_fixed64(out, s->next_ino);
}

int super_decode(struct super *s, struct slice in)
{
    struct slice m, uuid;
    uint64_t created;
    if (!take_bytes(&in, 8, &m) || memcmp(m.data, magic, 8) != 0)
        return fail(STORE_EFORMAT, "not the superblock of a skeinfs");
    if (!take_fixed32(&in, &s->version))
        return fail(STORE_ECORRUPT, "the superblock is cut short");
    if (s->version != SUPER_VERSION)
        return fail(STORE_EFORMAT,
                    "format version %u; this skeinfs knows version %u: use a newer one", s->version,
                    SUPER_VERSION);
    if (!take_fixed64(&in, &s->incompatible) || !take_fixed64(&in, &s->compatible) ||
        !take_bytes(&in, 16, &uuid) || !take_fixed64(&in, &created) ||
        !take_fixed64(&in, &s->next_ino))
        return fail(STORE_ECORRUPT, "the superblock is cut short");
    if (s->incompatible & ~(uint64_t)SUPER_INCOMPATIBLE_KNOWN)
        return fail(STORE_EFORMAT,
                    "the filesystem uses features (0x%llx) that this skeinfs does not know: use a "
                    "newer one",
                    (unsigned long long)(s->incompatible & ~(uint64_t)SUPER_INCOMPATIBLE_KNOWN));
    memcpy(s->uuid, uuid.data, 16);
    s->created = (int64_t)created;
    return 0;
}

void super_to_text(const struct super *s, struct buf *out)
{
    char line[160];
    int n =
        snprintf(line, sizeof line,
                 "skeinfs version %u features 0x%llx 0x%llx created %lld inodes below %llu",
                 s->version, (unsigned long long)s->incompatible, (unsigned long long)s->compatible,
                 (long long)s->created, (unsigned long long)s->next_ino);
    buf_append(out, line, (size_t)n);
}
