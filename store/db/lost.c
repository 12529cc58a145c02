/* See lost.h. */
#include "lost.h"

#include <stdlib.h>

int lost_open(struct store *s)
{
    char *lost = mem_printf("%s/lost", s->dir);
    int rc = env_mkdir(s->env, lost);
    free(lost);
    return rc == -EEXIST ? 0 : rc;
}

int lost_read(struct store *s, const char *path, struct buf *out)
{
    enum { SECTOR = 512, PIECE = 64 << 10 };
    struct env_file *f;
    uint64_t size = 0, lost = 0;
    int rc = env_open(s->env, path, ENV_READ, &f);
    if (rc)
        return rc;
    rc = env_size(s->env, f, &size);
    while (rc == 0 && out->len < size) {
        uint64_t at = out->len, piece = at % PIECE == 0 ? PIECE : SECTOR;
        size_t n = (size_t)(size - at < piece ? size - at : piece);
        char *to = buf_reserve(out, n);
        ssize_t got = env_pread(s->env, f, to, n, at);
        if (got == -EIO && n > SECTOR)
            got = env_pread(s->env, f, to, n = SECTOR, at);
        if (got == -EIO) {
            memset(to, 0, n);
            lost += n;
            got = (ssize_t)n;
        }
        if (got <= 0) {
            rc = (int)got;
            break;
        }
        out->len += (size_t)got;
    }
    if (lost)
        info_log(s, "%s: %llu bytes cannot be read, and are taken for zeroes", path,
                 (unsigned long long)lost);
    env_close(s->env, f);
    return rc;
}

int lost_keep(struct store *s, const char *name)
{
    struct buf bytes = BUF_INIT;
    char *from = mem_printf("%s/%s", s->dir, name), *to = mem_printf("%s/lost/%s", s->dir, name);
    int rc = lost_read(s, from, &bytes);
    if (rc == 0)
        rc = env_replace_file(s->env, to, buf_slice(&bytes));
    free(from);
    free(to);
    buf_free(&bytes);
    return rc;
}

int lost_close(struct store *s)
{
    char *lost = mem_printf("%s/lost", s->dir);
    int rc = env_sync_dir(s->env, lost);
    free(lost);
    return rc;
}
