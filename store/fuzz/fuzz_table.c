/* Any bytes as a table: opening, reading forward and backward, looking keys up, and the search for
 * blocks without an index end without a look outside of them. */
#include "../table/table.h"
#include "../table/table_scan.h"
#include "fuzz_file.h"

static void take(void *arg, struct slice ikey, struct slice value)
{
    buf_set(arg, ikey);
    buf_set(arg, value);
}

static void walk(struct table *t)
{
    struct iter *it = table_iter(t, false);
    struct buf value = BUF_INIT;
    int left = 1000;
    for (iter_first(it); it->valid && left-- > 0; iter_next(it))
        if (it->key.len >= KEY_TAG_SIZE && left % 16 == 0)
            table_get(t, key_user(it->key), KEY_MAX_SEQUENCE, &value);
    left = 1000;
    for (iter_last(it); it->valid && left-- > 0; iter_prev(it))
        ;
    buf_free(&value);
    iter_destroy(it);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct env *disk = env_sim_new();
    struct table *t;
    fuzz_put(disk, "/000005.ldb", data, size);
    if (table_open(disk, "/000005.ldb", size, 5, NULL, &t) == 0) {
        walk(t);
        table_close(t);
    }
    struct buf last = BUF_INIT;
    table_scan(slice_of((const char *)data, size), take, &last);
    buf_free(&last);
    env_sim_free(disk);
    return 0;
}
