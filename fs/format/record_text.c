/* See record_text.h. */
#include "record_text.h"

#include <stdarg.h>
#include <stdio.h>

#include "chunk_format.h"
#include "count_format.h"
#include "garbage_format.h"
#include "inode_format.h"
#include "keys_format.h"
#include "super_format.h"

static void say(struct buf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct buf *out, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_append(out, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

static void say_bytes(struct buf *out, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c >= 0x20 && c < 0x7f && c != '\\')
            buf_append(out, &s.data[i], 1);
        else
            say(out, "\\x%02x", c);
    }
}

static void say_entry(struct slice value, struct buf *out)
{
    uint64_t ino;
    enum entry_kind kind;
    struct inode i;
    if (entry_decode(value, &ino, &kind, &i)) {
        say(out, "damaged: %s", fail_text());
    } else if (kind == ENTRY_REFERENCE) {
        say(out, "reference to inode %llu of type %o", (unsigned long long)ino, i.mode);
    } else {
        inode_to_text(ino, &i, out);
        inode_free(&i);
    }
}

static void say_inode(uint64_t ino, struct slice value, struct buf *out)
{
    struct inode i;
    if (inode_decode(&i, value)) {
        say(out, "damaged: %s", fail_text());
        return;
    }
    inode_to_text(ino, &i, out);
    inode_free(&i);
}

static void say_super(struct slice value, struct buf *out)
{
    struct super s;
    if (super_decode(&s, value))
        say(out, "damaged: %s", fail_text());
    else
        super_to_text(&s, out);
}

static void say_garbage(struct slice value, struct buf *out)
{
    struct garbage_record g;
    if (garbage_decode(&g, value))
        say(out, "damaged: %s", fail_text());
    else
        say(out, "garbage from %llu%s", (unsigned long long)g.from, g.gone ? ", inode gone" : "");
}

static void say_count(struct slice value, struct buf *out)
{
    struct count_record c;
    if (count_decode(&c, value))
        say(out, "damaged: %s", fail_text());
    else
        say(out, "%llu inodes at sequence %llu", (unsigned long long)c.count,
            (unsigned long long)c.sequence);
}

static void say_chunk(struct slice value, struct buf *out)
{
    struct chunk c;
    if (chunk_decode(&c, value))
        say(out, "damaged: %s", fail_text());
    else
        say(out, "chunk in segment %llu at %llu, blocks %04x", (unsigned long long)c.segment,
            (unsigned long long)c.place, c.map);
}

static void say_place(struct slice value, struct buf *out)
{
    struct place_owner o;
    if (value.len == 0)
        say(out, "being written");
    else if (place_owner_decode(&o, value))
        say(out, "damaged: %s", fail_text());
    else
        say(out, "chunk of inode %llu at %llu", (unsigned long long)o.ino,
            (unsigned long long)o.offset);
}

/* What follows the number: a name, an offset, or nothing. */
static void say_rest(char kind, struct slice rest, struct buf *out)
{
    if ((kind == KEY_EXTENT || kind == KEY_PLACE) && rest.len == 8) {
        say(out, " %llu", (unsigned long long)get_be64(rest.data));
    } else if (kind == KEY_FREED && rest.len == 10) {
        say(out, " %llu blocks %02x%02x", (unsigned long long)get_be64(rest.data),
            (unsigned char)rest.data[8], (unsigned char)rest.data[9]);
    } else if (rest.len > 0) {
        buf_append(out, " ", 1);
        say_bytes(out, rest);
    }
}

void record_to_text(struct slice key, struct slice value, struct buf *out)
{
    char kind = key.len > 0 ? key.data[0] : 0;
    if (kind == KEY_SUPER && key.len == 1) {
        say(out, "S: ");
        say_super(value, out);
        return;
    }
    if (kind == KEY_COUNT && key.len == 1) {
        say(out, "C: ");
        say_count(value, out);
        return;
    }
    if (key.len < 9) {
        say(out, "unknown key ");
        say_bytes(out, key);
        return;
    }
    uint64_t ino = get_be64(key.data + 1);
    say(out, "%c %llu", kind >= 'A' && kind <= 'Z' ? kind : '?', (unsigned long long)ino);
    say_rest(kind, slice_of(key.data + 9, key.len - 9), out);
    say(out, ": ");
    if (kind == KEY_ENTRY)
        say_entry(value, out);
    else if (kind == KEY_INODE)
        say_inode(ino, value, out);
    else if (kind == KEY_GARBAGE)
        say_garbage(value, out);
    else if (kind == KEY_PLACE)
        say_place(value, out);
    else if (kind == KEY_FREED)
        say(out, "not needed");
    else if (kind == KEY_EXTENT && value.len > 0 && value.data[0] == EXTENT_CHUNK)
        say_chunk(value, out);
    else
        say(out, "%zu bytes", value.len);
}
