/* What batches refer to beside the store (struct store_beside): durable before they are.
 *
 * One call at a time, and none behind one that failed. The kernel tells one fdatasync of a file
 * that bytes were lost; the next one, or one beside it, succeeds without them. A flush that began
 * while a sync round was failing would make records durable whose bytes are gone. */
#include "db.h"

#include <stdlib.h>

/* mu held (the one of `b`). */
static int sync_once(const struct store_beside *callee, struct beside_state *b)
{
    if (b->error)
        return fail(b->error, "%s", b->text);
    b->error = callee->sync(callee->arg);
    if (b->error)
        b->text = mem_printf("%s", fail_text());
    return b->error;
}

int beside_sync_in_open(struct store *s)
{
    if (!s->options.beside.sync || s->options.read_only)
        return 0;
    pthread_mutex_lock(&s->beside.mu);
    int rc = sync_once(&s->options.beside, &s->beside);
    pthread_mutex_unlock(&s->beside.mu);
    return rc;
}

/* Want of space is no exception: what was given up of the bytes is unknown, whatever the code. */
int beside_sync(struct store *s)
{
    int rc = beside_sync_in_open(s);
    if (rc) {
        pthread_mutex_lock(&s->mu);
        store_set_error(s, rc, "sync of what is beside the store");
        pthread_mutex_unlock(&s->mu);
    }
    return rc;
}

static int check_put(void *arg, struct slice key, struct slice value)
{
    const struct store_beside *b = arg;
    return b->check(b->arg, key, value);
}

static int ignore_delete(void *arg, struct slice key)
{
    (void)arg, (void)key;
    return 0;
}

int beside_check(const struct store *s, struct slice record)
{
    static const struct batch_visitor v = {check_put, ignore_delete};
    struct store_beside b = s->options.beside;
    return b.check ? batch_each(record, &v, &b) : 0;
}
