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

int lost_keep(struct store *s, const char *name)
{
    struct buf bytes = BUF_INIT;
    char *from = mem_printf("%s/%s", s->dir, name), *to = mem_printf("%s/lost/%s", s->dir, name);
    int rc = env_read_file(s->env, from, &bytes);
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
