/* See set_world.h. */
#include "set_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../table/table_builder.h"
#include "../version/file_name.h"
#include "env_sim.h"
#include "history.h"

int world_open(struct world *w, struct env *env)
{
    w->env = env;
    pthread_mutex_init(&w->mu, NULL);
    w->tables = table_cache_new(env, WORLD_DIR, 16, 16 << 20, NULL);
    set_init(&w->set, env, WORLD_DIR, w->tables, &w->mu);
    return set_open(&w->set);
}

void world_close(struct world *w)
{
    set_free(&w->set);
    table_cache_free(w->tables);
    pthread_mutex_destroy(&w->mu);
}

int world_roll(struct world *w)
{
    pthread_mutex_lock(&w->mu);
    int rc = set_roll(&w->set);
    pthread_mutex_unlock(&w->mu);
    return rc;
}

int world_apply(struct world *w, struct edit *e)
{
    pthread_mutex_lock(&w->mu);
    int rc = set_apply(&w->set, e);
    pthread_mutex_unlock(&w->mu);
    edit_free(e);
    return rc;
}

void world_delete_obsolete(struct world *w)
{
    pthread_mutex_lock(&w->mu);
    set_delete_obsolete(&w->set);
    pthread_mutex_unlock(&w->mu);
}

struct world *world_new(void)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct env *env = env_sim_new();
    MUST(env_mkdir(env, WORLD_DIR) == 0 && env_sync_dir(env, "/") == 0, "%s", fail_text());
    MUST(set_create(env, WORLD_DIR) == 0, "%s", fail_text());
    MUST(world_open(w, env) == 0, "%s", fail_text());
    MUST(world_roll(w) == 0, "%s", fail_text());
    return w;
}

void world_free(struct world *w)
{
    struct env *env = w->env;
    world_close(w);
    env_sim_free(env);
    free(w);
}

char *world_text(const struct version_set *set)
{
    struct buf b = BUF_INIT;
    version_to_text(set->current, &b);
    buf_append(&b, "", 1);
    return b.data;
}

struct slice world_key(int key, char room[16])
{
    snprintf(room, 16, "key%05d", key);
    return slice_str(room);
}

int world_entry_order(const void *a, const void *b)
{
    const struct world_entry *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->sequence > y->sequence ? -1 : x->sequence < y->sequence;
}

uint64_t world_add_table(struct world *w, struct edit *e, int level, struct world_entry *entries,
                         int n)
{
    const struct table_build_options o = {512, 4, 10, TABLE_NONE};
    struct buf ikey = BUF_INIT, smallest = BUF_INIT;
    struct env_file *file;
    uint64_t number = set_new_number(&w->set);
    char *path = name_table(WORLD_DIR, number), room[16], value[32];
    MUST(env_open(w->env, path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file) == 0, "%s", path);
    struct table_builder *b = table_builder_new(w->env, file, path, &o);
    qsort(entries, (size_t)n, sizeof *entries, world_entry_order);
    for (int i = 0; i < n; i++) {
        buf_clear(&ikey);
        buf_put_ikey(&ikey, world_key(entries[i].key, room), entries[i].sequence, entries[i].type);
        if (i == 0)
            buf_set(&smallest, buf_slice(&ikey));
        snprintf(value, sizeof value, "%llu", (unsigned long long)entries[i].sequence);
        MUST(table_builder_add(b, buf_slice(&ikey),
                               slice_str(entries[i].type == KEY_PUT ? value : "")) == 0,
             "%s", fail_text());
    }
    MUST(table_builder_finish(b) == 0 && env_sync(w->env, file) == 0 &&
             env_sync_dir(w->env, WORLD_DIR) == 0,
         "%s", fail_text());
    edit_add_file(e, level, number, table_builder_bytes(b), buf_slice(&smallest), buf_slice(&ikey));
    table_builder_free(b);
    env_close(w->env, file);
    free(path);
    buf_free(&ikey);
    buf_free(&smallest);
    return number;
}

uint64_t world_apply_table(struct world *w, int level, int first, int last, uint64_t sequence)
{
    struct world_entry entries[32];
    struct edit e;
    int n = 0;
    edit_init(&e);
    for (int key = first; key <= last; key++)
        entries[n++] = (struct world_entry){key, sequence + (uint64_t)(key - first), KEY_PUT};
    uint64_t number = world_add_table(w, &e, level, entries, n);
    e.has_last_sequence = true;
    e.last_sequence = sequence + (uint64_t)n;
    MUST(world_apply(w, &e) == 0, "%s", fail_text());
    return number;
}

bool world_has_table(struct world *w, uint64_t number)
{
    char *path = name_table(WORLD_DIR, number);
    bool there = env_exists(w->env, path);
    free(path);
    return there;
}

void world_reopen(struct world *w)
{
    world_close(w);
    int rc = world_open(w, w->env);
    MUST(rc == 0, "%s", fail_text());
}

bool world_shows(const struct version_set *set, const char *text)
{
    char *now = world_text(set);
    bool same = text && strcmp(now, text) == 0;
    free(now);
    return same;
}

int world_get(struct world *w, int key, uint64_t sequence, char *value, size_t room)
{
    struct buf got = BUF_INIT;
    char key_room[16];
    int r = version_get(w->set.current, world_key(key, key_room), sequence, &got);
    snprintf(value, room, "%.*s", r == 1 ? (int)got.len : 0, r == 1 ? got.data : "");
    buf_free(&got);
    return r;
}
