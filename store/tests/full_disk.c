/* See full_disk.h. */
#include "full_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/error.h"
#include "history.h"

struct full_disk full;

static void say(void *arg, const char *line)
{
    struct env_space space;
    (void)arg;
    env_space(full.disk, "/", &space);
    printf("# %s (%llu available)\n", line, (unsigned long long)space.available);
}

void full_open(void)
{
    int rc = store_open(FULL_DIR, &full.options, &full.store);
    MUST(rc == 0, "open: %s", fail_text());
}

void full_set_up(void)
{
    full.disk = env_sim_new();
    env_sim_set_capacity(full.disk, FULL_CAPACITY);
    store_options_init(&full.options);
    full.options.env = full.disk;
    if (getenv("VERBOSE"))
        full.options.log = say;
    full.options.memtable_bytes = 8 * KB;
    full.options.table_bytes = 8 * KB;
    full.options.level_base_bytes = 16 * KB;
    full.options.block_bytes = KB;
    full.options.zero_ahead_bytes = 8 * KB;
    full.options.log_window_bytes = 8 * KB;
    full.options.compression = STORE_COMPRESS_NONE;
    full_open();
}

void full_tear_down(void)
{
    store_close(full.store);
    env_sim_free(full.disk);
}

struct slice full_key(int i, char room[16])
{
    snprintf(room, 16, "k%07d", i);
    return slice_str(room);
}

int full_put(int i, bool sync)
{
    char room[16], value[FULL_VALUE];
    memset(value, 'a' + i % 26, sizeof value);
    return store_put(full.store, full_key(i, room), slice_of(value, sizeof value), sync);
}

int full_drop(int i)
{
    char room[16];
    return store_delete(full.store, full_key(i, room), false);
}

void full_must_have(struct store *s, int from, int to)
{
    struct buf value = BUF_INIT;
    char room[16];
    for (int i = from; i < to; i++) {
        int rc = store_get(s, NULL, full_key(i, room), &value);
        MUST(rc == 0, "%s: %s", room, fail_text());
        MUST(value.len == FULL_VALUE && value.data[FULL_VALUE - 1] == 'a' + i % 26,
             "%s has another value", room);
    }
    buf_free(&value);
}

void full_must_lack(struct store *s, int from, int to)
{
    struct buf value = BUF_INIT;
    char room[16];
    for (int i = from; i < to; i++)
        MUST(store_get(s, NULL, full_key(i, room), &value) == -ENOENT, "%s is there", room);
    buf_free(&value);
}

int full_fill(void)
{
    int n = 0, rc = 0;
    while (rc == 0 && n < 10000)
        rc = full_put(n, n % 16 == 0), n++;
    MUST(rc == -ENOSPC && strstr(fail_text(), "no space"), "%s", fail_text());
    return n - 1;
}

int full_put_patiently(int i)
{
    int rc = -ENOSPC;
    for (int tries = 0; rc == -ENOSPC && tries < 3000; tries++) {
        rc = full_put(i, false);
        if (rc)
            usleep(1000);
    }
    return rc;
}

int full_drop_patiently(int i)
{
    int rc = full_drop(i);
    for (int tries = 0; rc == -ENOSPC && tries < 3000; tries++) {
        usleep(1000);
        rc = full_drop(i);
    }
    return rc;
}

bool full_has_file(const char *name)
{
    char *path = mem_printf(FULL_DIR "/%s", name);
    bool there = env_exists(full.disk, path);
    free(path);
    return there;
}

void full_check_copy(enum sim_survival how, int from, int to, int next)
{
    struct env *copy = env_sim_cut_copy(full.disk);
    struct store_options with = full.options;
    struct store *s;
    env_sim_survive(copy, how, 1);
    with.env = copy;
    int rc = store_open(FULL_DIR, &with, &s);
    MUST(rc == 0, "open of a copy: %s", fail_text());
    full_must_lack(s, 0, from);
    full_must_have(s, from, to);
    full_must_lack(s, to, next);
    MUST(store_close(s) == 0, "close of a copy: %s", fail_text());
    env_sim_free(copy);
}

int full_strike(void *arg, enum sim_call call, const char *path)
{
    struct full_target *t = arg;
    const char *name = strrchr(path, '/');
    uint64_t number;
    if (call != t->call || name_parse(name ? name + 1 : path, &number) != t->kind || !t->strikes)
        return 0;
    if (t->skip > 0) {
        t->skip--;
        return 0;
    }
    t->strikes--;
    return t->error;
}
