/* See harm.h. */
#include "harm.h"

#include <stdlib.h>

#include "../base/coding.h"
#include "../base/crc.h"
#include "../log/log_writer.h"
#include "../table/table_format.h"
#include "history.h"

struct lowest {
    enum name_kind kind;
    const char *dir;
    char *path;
    uint64_t number;
};

static void take_lower(void *arg, const char *name)
{
    struct lowest *l = arg;
    uint64_t number;
    if (name_parse(name, &number) != l->kind || (l->path && number > l->number))
        return;
    free(l->path);
    l->number = number;
    l->path = mem_printf("%s/%s", l->dir, name);
}

char *harm_first_file(struct env *e, const char *dir, enum name_kind kind)
{
    struct lowest l = {.kind = kind, .dir = dir};
    MUST(env_list(e, dir, take_lower, &l) == 0 && l.path, "no such file in %s", dir);
    return l.path;
}

void harm_byte(struct env *e, const char *path, size_t at)
{
    struct buf bytes = BUF_INIT;
    MUST(env_read_file(e, path, &bytes) == 0, "%s", fail_text());
    MUST(at < bytes.len, "%s has %zu bytes", path, bytes.len);
    bytes.data[at] ^= 4;
    MUST(env_replace_file(e, path, buf_slice(&bytes)) == 0, "%s", fail_text());
    buf_free(&bytes);
}

void harm_manifest(struct env *e, const char *dir, const struct edit *edit, struct slice behind)
{
    struct buf old = BUF_INIT, record = BUF_INIT;
    struct env_file *file;
    struct log_writer w;
    char *current = name_current(dir);
    MUST(env_read_file(e, current, &old) == 0, "%s", fail_text());
    char *manifest = mem_printf("%s/%.*s", dir, (int)old.len - 1, old.data);
    buf_clear(&old);
    MUST(env_read_file(e, manifest, &old) == 0, "%s", fail_text());
    MUST(env_open(e, manifest, ENV_WRITE, &file) == 0, "%s", fail_text());
    log_writer_init(&w, e, file);
    w.end = old.len;
    edit_encode(edit, &record);
    buf_append_slice(&record, behind);
    MUST(log_append(&w, buf_slice(&record)) == 0, "%s", fail_text());
    log_writer_free(&w);
    env_close(e, file);
    buf_free(&old);
    buf_free(&record);
    free(manifest);
    free(current);
}

static bool ends_block(const char *block, size_t len)
{
    return block[len] == TABLE_NONE &&
           crc_unmask(get_fixed32(block + len + 1)) == crc32c(block, len + 1);
}

size_t harm_block_len(struct slice table, size_t at)
{
    const char *block = table.data + at;
    size_t len = 1;
    while (at + len + TABLE_TRAILER_SIZE < table.len && !ends_block(block, len))
        len++;
    MUST(at + len + TABLE_TRAILER_SIZE < table.len, "no block at offset %zu", at);
    return len;
}

void harm_seal_block(char *block, size_t len)
{
    put_fixed32(block + len + 1, crc_mask(crc32c(block, len + 1)));
}
