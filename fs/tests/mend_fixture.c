/* See mend_fixture.h. */
#include "mend_fixture.h"

#include <check.h>

void lose(struct fs_key key)
{
    ck_assert_int_eq(store_delete(fs_store(fs), key_slice(&key), false), 0);
}

void put_back(struct fs_key key, struct slice value)
{
    ck_assert_int_eq(store_put(fs_store(fs), key_slice(&key), value, false), 0);
}

struct buf record_of(struct fs_key key)
{
    struct buf value = BUF_INIT;
    ck_assert_int_eq(store_get(fs_store(fs), NULL, key_slice(&key), &value), 0);
    return value;
}

void kill_and_repair(void)
{
    fixture_options.store.repair = true;
    fixture_kill();
    fixture_options.store.repair = false;
}
