/* The set in memory (version_set.h): live versions, numbers, and what is obsolete. manifest.c
 * writes it down, set_open.c reads it back. */
#include "version_set.h"

#include <assert.h>
#include <stdlib.h>

#include "file_name.h"

void set_init(struct version_set *s, struct env *env, const char *dir, struct table_cache *tables,
              pthread_mutex_t *mu)
{
    *s = (struct version_set){
        .env = env, .dir = dir, .tables = tables, .mu = mu, .next_file = 2, .roll_bytes = 1u << 20};
    pthread_cond_init(&s->applied, NULL);
}

struct version *set_install(struct version_set *s, struct version *v)
{
    struct version *old = s->current;
    s->current = v;
    return old;
}

static void add_obsolete(struct version_set *s, const uint64_t *numbers, int n)
{
    pthread_mutex_lock(s->mu);
    s->obsolete = mem_realloc(s->obsolete, (size_t)(s->obsolete_count + n) * sizeof *s->obsolete);
    memcpy(s->obsolete + s->obsolete_count, numbers, (size_t)n * sizeof *numbers);
    s->obsolete_count += n;
    pthread_mutex_unlock(s->mu);
    if (s->on_obsolete)
        s->on_obsolete(s->on_obsolete_arg);
}

/* Lets go of a version's tables; the numbers of those that no other one lists go to `gone`. */
static int let_go(struct version *v, uint64_t **gone)
{
    int n = 0;
    for (int i = 0; i < VERSION_LEVELS; i++) {
        for (int j = 0; j < v->level[i].count; j++) {
            struct table_file *f = v->level[i].files[j];
            int before = atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel);
            assert(before > 0);
            if (before > 1)
                continue;
            *gone = mem_realloc(*gone, (size_t)(n + 1) * sizeof **gone);
            (*gone)[n++] = f->number;
            table_file_free(f);
        }
        free(v->level[i].files);
    }
    return n;
}

void set_drop_version(struct version_set *s, struct version *v)
{
    uint64_t *gone = NULL;
    int n = let_go(v, &gone);
    free(v);
    if (n > 0)
        add_obsolete(s, gone, n);
    free(gone);
    atomic_fetch_sub_explicit(&s->live, 1, memory_order_release);
}

void set_free(struct version_set *s)
{
    if (s->current) {
        assert(atomic_load(&s->current->refs) == 1);
        version_unref(s->current);
    }
    assert(atomic_load(&s->live) == 0); /* every view and iterator is gone */
    if (s->manifest)
        env_close(s->env, s->manifest);
    log_writer_free(&s->manifest_log);
    for (int i = 0; i < VERSION_LEVELS; i++)
        buf_free(&s->compact_pointer[i]);
    free(s->obsolete);
    pthread_cond_destroy(&s->applied);
}

uint64_t set_new_number(struct version_set *s)
{
    return s->next_file++;
}

void set_number_used(struct version_set *s, uint64_t n)
{
    if (s->next_file <= n)
        s->next_file = n + 1;
}

void set_delete_obsolete(struct version_set *s)
{
    if (s->broken)
        return; /* which tables the MANIFEST on disk names is not known any more: all stay */
    uint64_t *numbers = s->obsolete;
    int n = s->obsolete_count;
    s->obsolete = NULL;
    s->obsolete_count = 0;
    pthread_mutex_unlock(s->mu);
    for (int i = 0; i < n; i++) {
        char *path = name_table(s->dir, numbers[i]);
        table_cache_evict(s->tables, numbers[i]);
        if (env_unlink(s->env, path) ==
            -ENOENT) { /* a table of an old LevelDB has another ending */
            free(path);
            path = mem_printf("%s/%06llu.sst", s->dir, (unsigned long long)numbers[i]);
            env_unlink(s->env, path);
        }
        free(path);
    }
    free(numbers);
    pthread_mutex_lock(s->mu);
}

/* ---- the folder, at open */

static bool is_listed(const struct version_set *s, uint64_t number)
{
    for (int i = 0; i < VERSION_LEVELS; i++)
        for (int j = 0; j < s->current->level[i].count; j++)
            if (s->current->level[i].files[j]->number == number)
                return true;
    return false;
}

static void sweep_one(void *arg, const char *name)
{
    struct version_set *s = arg;
    uint64_t number;
    bool keep = true;
    switch (name_parse(name, &number)) {
    case NAME_TABLE:
        keep = is_listed(s, number);
        break;
    case NAME_LOG:
        keep = number >= s->log_number;
        break;
    case NAME_MANIFEST:
        keep = number == s->manifest_number;
        break;
    case NAME_TEMP:
        keep = false;
        break;
    default:
        break;
    }
    if (keep)
        return;
    char *path = mem_printf("%s/%s", s->dir, name);
    env_unlink(s->env, path); /* what stays is swept the next time */
    free(path);
}

void set_clean_folder(struct version_set *s)
{
    env_list(s->env, s->dir, sweep_one, s);
}
