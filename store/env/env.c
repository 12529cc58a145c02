/* Helpers on top of the table of env.h; they work with every environment. */
#include "env.h"

#include <errno.h>
#include <stdlib.h>

#include "../base/error.h"

int env_read_file(struct env *e, const char *path, struct buf *out)
{
    struct env_file *f;
    uint64_t size = 0;
    int rc = env_open(e, path, ENV_READ, &f);
    if (rc)
        return rc;
    rc = env_size(e, f, &size);
    if (rc)
        goto out;
    buf_clear(out);
    ssize_t n = env_pread(e, f, buf_reserve(out, size), size, 0);
    if (n < 0)
        rc = (int)n;
    else
        out->len = (size_t)n;
out:
    env_close(e, f);
    return rc;
}

int env_replace_file(struct env *e, const char *path, struct slice data)
{
    char *temporary = mem_printf("%s.dbtmp", path);
    struct env_file *f;
    int rc = env_open(e, temporary, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &f);
    if (rc)
        goto out;
    rc = env_pwrite(e, f, data.data, data.len, 0);
    if (rc == 0)
        rc = env_sync(e, f);
    env_close(e, f);
    if (rc == 0)
        rc = env_rename(e, temporary, path);
    if (rc)
        env_unlink(e, temporary);
out:
    free(temporary);
    return rc;
}

int env_sync_parent(struct env *e, const char *path)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    char *parent = len == 0 ? mem_printf(".") : mem_printf("%.*s", (int)len, path);
    int rc = env_sync_dir(e, parent);
    free(parent);
    return rc == -EACCES ? 0 : rc;
}

bool env_exists(struct env *e, const char *path)
{
    struct env_file *f;
    int rc = env_open(e, path, ENV_READ, &f);
    if (rc == 0)
        env_close(e, f);
    return rc != -ENOENT;
}
