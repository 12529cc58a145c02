/* Any bytes as a record of the filesystem: what is taken comes back the same when it is written and
 * read again; each reads as text. The first byte says how long the key is, the rest is key and
 * value. */
#include <stdint.h>
#include <stdlib.h>

#include "../format/chunk_format.h"
#include "../format/garbage_format.h"
#include "../format/inode_format.h"
#include "../format/record_text.h"
#include "../format/segment_format.h"
#include "../format/super_format.h"

static void same(const struct buf *a, const struct buf *b)
{
    if (!slice_equal(buf_slice(a), buf_slice(b)))
        abort();
}

static void try_inode(struct slice in)
{
    struct inode i, again;
    struct buf once = BUF_INIT, twice = BUF_INIT;
    if (inode_decode(&i, in))
        return;
    inode_encode(&i, &once);
    if (inode_decode(&again, buf_slice(&once)))
        abort();
    inode_encode(&again, &twice);
    same(&once, &twice);
    inode_free(&i);
    inode_free(&again);
    buf_free(&once);
    buf_free(&twice);
}

static void try_entry(struct slice in)
{
    uint64_t ino;
    enum entry_kind kind;
    struct inode i;
    struct buf once = BUF_INIT;
    if (entry_decode(in, &ino, &kind, &i))
        return;
    if (kind == ENTRY_REFERENCE)
        entry_encode_reference(ino, i.mode, &once);
    else
        entry_encode_inode(ino, &i, &once);
    inode_free(&i);
    if (entry_decode(buf_slice(&once), &ino, &kind, &i))
        abort();
    inode_free(&i);
    buf_free(&once);
}

static void try_others(struct slice in)
{
    struct super s;
    struct garbage_record g;
    struct buf once = BUF_INIT;
    if (super_decode(&s, in) == 0) {
        super_encode(&s, &once);
        if (super_decode(&s, buf_slice(&once)))
            abort();
    }
    buf_clear(&once);
    if (garbage_decode(&g, in) == 0) {
        garbage_encode(&g, &once);
        if (garbage_decode(&g, buf_slice(&once)))
            abort();
    }
    buf_free(&once);
}

static void same_as(const struct buf *a, struct slice in)
{
    if (!slice_equal(buf_slice(a), in))
        abort();
}

/* These have no bytes to spare: what is taken is what would be written. */
static void try_chunks(struct slice in)
{
    struct chunk c;
    struct place_owner o;
    struct buf once = BUF_INIT;
    char header[SEGMENT_HEADER] = {0}, again[SEGMENT_HEADER];
    if (chunk_decode(&c, in) == 0) {
        chunk_encode(&c, &once);
        same_as(&once, in);
    }
    buf_clear(&once);
    if (place_owner_decode(&o, in) == 0) {
        place_owner_encode(o, &once);
        same_as(&once, in);
    }
    memcpy(header, in.data, in.len < sizeof header ? in.len : sizeof header);
    segment_header_encode(7, again);
    if (segment_header_check("a file", 7, header) == 0 && memcmp(header, again, 24) != 0)
        abort();
    buf_free(&once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf text = BUF_INIT;
    if (size == 0)
        return 0;
    size_t key = data[0] < size ? data[0] : size - 1;
    struct slice value = slice_of(data + 1 + key, size - 1 - key);
    try_inode(value);
    try_entry(value);
    try_others(value);
    try_chunks(value);
    record_to_text(slice_of(data + 1, key), value, &text);
    buf_free(&text);
    return 0;
}
