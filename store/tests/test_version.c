/* Versions and their set: finding keys in tables of every level, and a MANIFEST that says after any
 * crash what it said before or what it was about to say. On the simulated disk.
 *
 * SEED= repeats a run, ITERATIONS= says how many random reads (default 20000). */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "../store.h"
#include "../table/table_builder.h"
#include "../version/builder.h"
#include "../version/file_name.h"
#include "../version/version_set.h"
#include "env_sim.h"
#include "history.h"
#include "run_suite.h"
#include <check.h> /* last: it defines a macro `fail` */

#define DIR "/db"

/* ---------------------------------------------------------------- a set on a disk of its own */

struct world {
    struct env *env;
    pthread_mutex_t mu;
    struct table_cache *tables;
    struct version_set set;
};

/* Brings up a set on what the disk holds; the result of set_open. */
static int world_open(struct world *w, struct env *env)
{
    w->env = env;
    pthread_mutex_init(&w->mu, NULL);
    w->tables = table_cache_new(env, DIR, 16, 16 << 20, NULL);
    set_init(&w->set, env, DIR, w->tables, &w->mu);
    return set_open(&w->set);
}

static void world_close(struct world *w)
{
    set_free(&w->set);
    table_cache_free(w->tables);
    pthread_mutex_destroy(&w->mu);
}

static int world_roll(struct world *w)
{
    pthread_mutex_lock(&w->mu);
    int rc = set_roll(&w->set);
    pthread_mutex_unlock(&w->mu);
    return rc;
}

static int world_apply(struct world *w, struct edit *e)
{
    pthread_mutex_lock(&w->mu);
    int rc = set_apply(&w->set, e);
    pthread_mutex_unlock(&w->mu);
    edit_free(e);
    return rc;
}

static void world_delete_obsolete(struct world *w)
{
    pthread_mutex_lock(&w->mu);
    set_delete_obsolete(&w->set);
    pthread_mutex_unlock(&w->mu);
}

static struct world *world_new(void)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct env *env = env_sim_new();
    MUST(env_mkdir(env, DIR) == 0 && env_sync_dir(env, "/") == 0, "%s", fail_text());
    MUST(set_create(env, DIR) == 0, "%s", fail_text());
    MUST(world_open(w, env) == 0, "%s", fail_text());
    MUST(world_roll(w) == 0, "%s", fail_text());
    return w;
}

static void world_free(struct world *w)
{
    struct env *env = w->env;
    world_close(w);
    env_sim_free(env);
    free(w);
}

static char *text_of(const struct version_set *set)
{
    struct buf b = BUF_INIT;
    version_to_text(set->current, &b);
    buf_append(&b, "", 1);
    return b.data;
}

/* ---------------------------------------------------------------- tables */

/* Entries for one table, in any order. */
struct entry {
    int key;
    uint64_t sequence;
    enum key_type type;
};

static struct slice user_key(int key, char room[16])
{
    snprintf(room, 16, "key%05d", key);
    return slice_str(room);
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->sequence > y->sequence ? -1 : x->sequence < y->sequence;
}

/* Writes the table and adds it to the edit. A put's value is its sequence number as text. */
static uint64_t add_table(struct world *w, struct edit *e, int level, struct entry *entries, int n)
{
    const struct table_build_options o = {512, 4, 10, TABLE_NONE};
    struct buf ikey = BUF_INIT, smallest = BUF_INIT;
    struct env_file *file;
    uint64_t number = set_new_number(&w->set);
    char *path = name_table(DIR, number), room[16], value[32];
    MUST(env_open(w->env, path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &file) == 0, "%s", path);
    struct table_builder *b = table_builder_new(w->env, file, path, &o);
    qsort(entries, (size_t)n, sizeof *entries, by_key);
    for (int i = 0; i < n; i++) {
        buf_clear(&ikey);
        buf_put_ikey(&ikey, user_key(entries[i].key, room), entries[i].sequence, entries[i].type);
        if (i == 0)
            buf_set(&smallest, buf_slice(&ikey));
        snprintf(value, sizeof value, "%llu", (unsigned long long)entries[i].sequence);
        MUST(table_builder_add(b, buf_slice(&ikey),
                               slice_str(entries[i].type == KEY_PUT ? value : "")) == 0,
             "%s", fail_text());
    }
    MUST(table_builder_finish(b) == 0 && env_sync(w->env, file) == 0 &&
             env_sync_dir(w->env, DIR) == 0,
         "%s", fail_text());
    edit_add_file(e, level, number, table_builder_bytes(b), buf_slice(&smallest), buf_slice(&ikey));
    table_builder_free(b);
    env_close(w->env, file);
    free(path);
    buf_free(&ikey);
    buf_free(&smallest);
    return number;
}

/* One table with keys first..last, applied at once. */
static uint64_t apply_table(struct world *w, int level, int first, int last, uint64_t sequence)
{
    struct entry entries[32];
    struct edit e;
    int n = 0;
    edit_init(&e);
    for (int key = first; key <= last; key++)
        entries[n++] = (struct entry){key, sequence + (uint64_t)(key - first), KEY_PUT};
    uint64_t number = add_table(w, &e, level, entries, n);
    e.has_last_sequence = true;
    e.last_sequence = sequence + (uint64_t)n;
    MUST(world_apply(w, &e) == 0, "%s", fail_text());
    return number;
}

static bool table_exists(struct world *w, uint64_t number)
{
    char *path = name_table(DIR, number);
    bool there = env_exists(w->env, path);
    free(path);
    return there;
}

/* ---------------------------------------------------------------- reading */

static int get(struct world *w, int key, uint64_t sequence, char *value, size_t room)
{
    struct buf got = BUF_INIT;
    char key_room[16];
    int r = version_get(w->set.current, user_key(key, key_room), sequence, &got);
    snprintf(value, room, "%.*s", r == 1 ? (int)got.len : 0, r == 1 ? got.data : "");
    buf_free(&got);
    return r;
}

START_TEST(the_newest_table_of_level_zero_wins)
{
    struct world *w = world_new();
    char value[32];
    apply_table(w, 0, 1, 5, 100);
    apply_table(w, 0, 1, 3, 200);
    ck_assert_int_eq(get(w, 2, KEY_MAX_SEQUENCE, value, sizeof value), 1);
    ck_assert_str_eq(value, "201");
    ck_assert_int_eq(get(w, 2, 150, value, sizeof value), 1);
    ck_assert_str_eq(value, "101");
    ck_assert_int_eq(get(w, 5, KEY_MAX_SEQUENCE, value, sizeof value), 1);
    ck_assert_str_eq(value, "104");
    ck_assert_int_eq(get(w, 6, KEY_MAX_SEQUENCE, value, sizeof value), 0);
    world_free(w);
}
END_TEST

START_TEST(a_deletion_above_hides_what_is_below)
{
    struct world *w = world_new();
    struct entry gone = {3, 300, KEY_DELETE};
    struct edit e;
    char value[32];
    apply_table(w, 3, 1, 5, 100);
    edit_init(&e);
    add_table(w, &e, 1, &gone, 1);
    ck_assert_int_eq(world_apply(w, &e), 0);
    ck_assert_int_eq(get(w, 3, KEY_MAX_SEQUENCE, value, sizeof value), -ENOENT);
    ck_assert_int_eq(get(w, 3, 299, value, sizeof value), 1);
    ck_assert_int_eq(get(w, 4, KEY_MAX_SEQUENCE, value, sizeof value), 1);
    world_free(w);
}
END_TEST

#define RANDOM_KEYS 200
#define RANDOM_ENTRIES 900

/* Older entries lie deeper; every level is cut into tables between two keys. */
static void random_levels(struct world *w, struct sim_random *r, struct entry *all)
{
    for (int i = 0; i < RANDOM_ENTRIES; i++)
        all[i] = (struct entry){(int)sim_below(r, RANDOM_KEYS), (uint64_t)i + 1,
                                sim_chance(r, 30) ? KEY_DELETE : KEY_PUT};
    for (int part = 0; part < 9; part++) { /* the oldest hundred in level 6 ... the rest in 0 */
        int level = part < 6 ? 6 - part : 0;
        struct entry copy[100];
        struct edit e;
        edit_init(&e);
        memcpy(copy, all + part * 100, sizeof copy);
        qsort(copy, 100, sizeof copy[0], by_key);
        for (int from = 0, to; from < 100; from = to) {
            to = level == 0 ? 100 : from + 1 + (int)sim_below(r, 30);
            while (to < 100 && copy[to].key == copy[to - 1].key)
                to++;
            to = to > 100 ? 100 : to;
            add_table(w, &e, level, copy + from, to - from);
        }
        MUST(world_apply(w, &e) == 0, "%s", fail_text());
    }
}

static const struct entry *newest(const struct entry *all, int key, uint64_t sequence)
{
    const struct entry *found = NULL;
    for (int i = 0; i < RANDOM_ENTRIES; i++)
        if (all[i].key == key && all[i].sequence <= sequence)
            found = &all[i];
    return found;
}

START_TEST(a_read_finds_what_a_search_through_all_entries_finds)
{
    struct sim_random r = {sim_env_number("SEED", (uint64_t)getpid())};
    uint64_t n = sim_env_number("ITERATIONS", 20000);
    struct entry all[RANDOM_ENTRIES];
    printf("SEED=%llu\n", (unsigned long long)r.state);
    fflush(stdout);
    struct world *w = world_new();
    random_levels(w, &r, all);
    while (n-- > 0) {
        int key = (int)sim_below(&r, RANDOM_KEYS);
        uint64_t sequence = sim_below(&r, RANDOM_ENTRIES + 2);
        char value[32], expected[32] = "";
        const struct entry *e = newest(all, key, sequence);
        if (e && e->type == KEY_PUT)
            snprintf(expected, sizeof expected, "%llu", (unsigned long long)e->sequence);
        ck_assert_int_eq(get(w, key, sequence, value, sizeof value), !e ? 0
                                                                     : e->type == KEY_PUT
                                                                         ? 1
                                                                         : -ENOENT);
        ck_assert_str_eq(value, expected);
    }
    world_free(w);
}
END_TEST

START_TEST(iterators_show_every_entry_once_and_in_order)
{
    struct sim_random r = {sim_env_number("SEED", (uint64_t)getpid())};
    struct entry all[RANDOM_ENTRIES];
    struct buf last = BUF_INIT;
    struct world *w = world_new();
    int seen = 0;
    random_levels(w, &r, all);
    struct iter **children =
        mem_alloc((size_t)version_iter_count(w->set.current) * sizeof *children);
    int n = version_iters(w->set.current, children);
    ck_assert_int_eq(n, version_iter_count(w->set.current));
    struct iter *it = iter_merge(children, (size_t)n);
    free(children);
    for (iter_first(it); it->valid; iter_next(it)) {
        ck_assert(seen == 0 || ikey_compare(buf_slice(&last), it->key) < 0);
        buf_set(&last, it->key);
        seen++;
    }
    ck_assert_int_eq(it->status, 0);
    ck_assert_int_eq(seen, RANDOM_ENTRIES);
    for (iter_last(it); it->valid; iter_prev(it))
        seen--;
    ck_assert_int_eq(seen, 0);
    iter_destroy(it);
    buf_free(&last);
    world_free(w);
}
END_TEST

START_TEST(both_ends_of_a_range_belong_to_it)
{
    struct world *w = world_new();
    for (int i = 0; i < 4; i++)
        apply_table(w, 2, 10 * i + 10, 10 * i + 15, 100 * (uint64_t)i + 1);
    struct table_file **files = NULL;
    static const struct {
        int from, to, count;
    } cases[] = {{15, 20, 2}, {16, 19, 0}, {-1, 10, 1}, {-1, 9, 0},  {45, -1, 1},
                 {46, -1, 0}, {-1, -1, 4}, {0, 100, 4}, {21, 21, 1}, {14, 31, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char a[16], b[16];
        int n = version_overlapping(
            w->set.current, 2, cases[i].from < 0 ? slice_of(NULL, 0) : user_key(cases[i].from, a),
            cases[i].to < 0 ? slice_of(NULL, 0) : user_key(cases[i].to, b), &files);
        ck_assert_msg(n == cases[i].count, "%d..%d: %d tables", cases[i].from, cases[i].to, n);
        free(files);
        files = NULL;
    }
    world_free(w);
}
END_TEST

START_TEST(a_range_of_level_zero_grows_over_what_overlaps)
{
    struct world *w = world_new();
    struct table_file **files = NULL;
    char a[16];
    apply_table(w, 0, 10, 20, 1);
    apply_table(w, 0, 40, 50, 100);
    apply_table(w, 0, 18, 30, 200); /* joins the first one with the next */
    apply_table(w, 0, 30, 35, 300);
    struct slice key = user_key(12, a);
    ck_assert_int_eq(version_overlapping(w->set.current, 0, key, key, &files), 3);
    free(files);
    world_free(w);
}
END_TEST

START_TEST(a_size_grows_with_the_range)
{
    struct world *w = world_new();
    char a[16], b[16];
    for (int i = 0; i < 8; i++)
        apply_table(w, 1, 32 * i, 32 * i + 31, 100 * (uint64_t)i + 1);
    uint64_t all = version_approximate_size(w->set.current, user_key(0, a), user_key(999, b));
    uint64_t half = version_approximate_size(w->set.current, user_key(0, a), user_key(128, b));
    ck_assert_uint_eq(all, w->set.current->level[1].bytes);
    ck_assert_uint_gt(half, all / 3);
    ck_assert_uint_lt(half, all - all / 3);
    ck_assert_uint_eq(version_approximate_size(w->set.current, user_key(9, a), user_key(9, b)), 0);
    world_free(w);
}
END_TEST

/* ---------------------------------------------------------------- the set and its MANIFEST */

static void reopen(struct world *w)
{
    world_close(w);
    int rc = world_open(w, w->env);
    MUST(rc == 0, "%s", fail_text());
}

START_TEST(a_set_comes_back_from_its_manifest)
{
    struct world *w = world_new();
    struct edit e;
    uint64_t first = apply_table(w, 0, 1, 5, 100);
    apply_table(w, 1, 1, 5, 50);
    edit_init(&e);
    edit_delete_file(&e, 0, first);
    e.has_last_sequence = e.has_log_number = true;
    e.last_sequence = 777;
    e.log_number = 3;
    buf_put_ikey(&e.compact_pointer[1], slice_str("pointer"), 5, KEY_PUT);
    ck_assert_int_eq(world_apply(w, &e), 0);
    for (int rolled = 0; rolled < 2; rolled++) {
        char *before = text_of(&w->set);
        uint64_t next = w->set.next_file;
        reopen(w);
        char *after = text_of(&w->set);
        ck_assert_str_eq(before, after);
        ck_assert_uint_ge(w->set.next_file, next);
        ck_assert_uint_eq(w->set.manifest_sequence, 777);
        ck_assert_uint_eq(w->set.log_number, 3);
        ck_assert(
            slice_equal(key_user(buf_slice(&w->set.compact_pointer[1])), slice_str("pointer")));
        free(before);
        free(after);
        ck_assert_int_eq(world_roll(w), 0);
    }
    world_free(w);
}
END_TEST

static void count_manifests(void *arg, const char *name)
{
    uint64_t number;
    *(int *)arg +=
        name_parse(name, &number) == NAME_MANIFEST || name_parse(name, &number) == NAME_TEMP;
}

START_TEST(a_new_manifest_replaces_the_old_one)
{
    struct world *w = world_new();
    int manifests = 0;
    apply_table(w, 1, 1, 5, 50);
    uint64_t before = w->set.manifest_number;
    ck_assert_int_eq(world_roll(w), 0);
    ck_assert_uint_gt(w->set.manifest_number, before);
    ck_assert_int_eq(env_list(w->env, DIR, count_manifests, &manifests), 0);
    ck_assert_int_eq(manifests, 1);
    world_free(w);
}
END_TEST

START_TEST(a_long_manifest_is_replaced)
{
    struct world *w = world_new();
    uint64_t first = w->set.manifest_number, size = 0;
    struct buf big = BUF_INIT;
    memset(buf_reserve(&big, 40000), 'x', 40000);
    big.len = 40000;
    buf_put_fixed64(&big, key_tag(1, KEY_PUT));
    for (int i = 0; i < 100 && w->set.manifest_number == first; i++) {
        struct edit e;
        edit_init(&e);
        buf_set(&e.compact_pointer[1], buf_slice(&big));
        ck_assert_int_eq(world_apply(w, &e), 0);
        size += big.len;
    }
    ck_assert_uint_ne(w->set.manifest_number, first);
    ck_assert_uint_ge(size, 1u << 20);
    reopen(w);
    buf_free(&big);
    world_free(w);
}
END_TEST

START_TEST(a_missing_table_is_named)
{
    struct world *w = world_new();
    uint64_t number = apply_table(w, 1, 1, 5, 50);
    char *path = name_table(DIR, number);
    ck_assert_int_eq(env_unlink(w->env, path), 0);
    world_close(w);
    ck_assert_int_eq(world_open(w, w->env), STORE_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(fail_text(), path));
    free(path);
    world_free(w);
}
END_TEST

START_TEST(a_table_with_the_old_ending_is_found)
{
    struct world *w = world_new();
    char value[32];
    uint64_t number = apply_table(w, 1, 1, 5, 50);
    char *path = name_table(DIR, number),
         *old = mem_printf("%s/%06llu.sst", DIR, (unsigned long long)number);
    world_close(w);
    ck_assert_int_eq(env_rename(w->env, path, old), 0);
    ck_assert_int_eq(world_open(w, w->env), 0);
    ck_assert_int_eq(get(w, 3, KEY_MAX_SEQUENCE, value, sizeof value), 1);
    free(path);
    free(old);
    world_free(w);
}
END_TEST

START_TEST(a_damaged_current_is_refused)
{
    static const char *const texts[] = {
        "",      "\n",          "MANIFEST-000002",     "MANIFEST-000099\n",
        "foo\n", "MANIFEST-\n", "MANIFEST-000002\n\n", "MANIFEST-000002\nx"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct world *w = world_new();
        world_close(w);
        ck_assert_int_eq(env_replace_file(w->env, DIR "/CURRENT", slice_str(texts[i])), 0);
        int rc = world_open(w, w->env);
        ck_assert_msg(rc == STORE_ECORRUPT, "'%s': %d", texts[i], rc);
        world_free(w);
    }
}
END_TEST

START_TEST(another_comparator_is_another_format)
{
    struct world *w = world_new();
    struct edit e;
    edit_init(&e);
    e.has_comparator = true;
    buf_set(&e.comparator, slice_str("my.own"));
    ck_assert_int_eq(world_apply(w, &e), 0);
    world_close(w);
    ck_assert_int_eq(world_open(w, w->env), STORE_EFORMAT);
    ck_assert_ptr_nonnull(strstr(fail_text(), "my.own"));
    world_free(w);
}
END_TEST

START_TEST(an_edit_that_cannot_be_is_refused_and_changes_nothing)
{
    struct world *w = world_new();
    struct entry entries[] = {{3, 900, KEY_PUT}, {8, 901, KEY_PUT}};
    struct edit e;
    apply_table(w, 1, 1, 5, 50);
    char *before = text_of(&w->set);
    edit_init(&e);
    add_table(w, &e, 1, entries, 2); /* overlaps */
    ck_assert_int_eq(world_apply(w, &e), STORE_ECORRUPT);
    edit_init(&e);
    edit_delete_file(&e, 2, 12345);
    ck_assert_int_eq(world_apply(w, &e), STORE_ECORRUPT);
    char *after = text_of(&w->set);
    ck_assert_str_eq(before, after);
    free(after);
    reopen(w);
    after = text_of(&w->set);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    world_free(w);
}
END_TEST

/* ---------------------------------------------------------------- files that go */

START_TEST(a_table_is_deleted_with_the_last_version_that_lists_it)
{
    struct world *w = world_new();
    struct edit e;
    char value[32];
    uint64_t number = apply_table(w, 1, 1, 5, 50);
    struct version *reader = w->set.current;
    version_ref(reader);
    edit_init(&e);
    edit_delete_file(&e, 1, number);
    ck_assert_int_eq(world_apply(w, &e), 0);
    world_delete_obsolete(w);
    ck_assert(table_exists(w, number));
    ck_assert_int_eq(get(w, 3, KEY_MAX_SEQUENCE, value, sizeof value), 0);
    struct buf got = BUF_INIT;
    ck_assert_int_eq(version_get(reader, slice_str("key00003"), KEY_MAX_SEQUENCE, &got), 1);
    buf_free(&got);
    version_unref(reader);
    world_delete_obsolete(w);
    ck_assert(!table_exists(w, number));
    world_free(w);
}
END_TEST

START_TEST(a_table_that_moved_to_another_level_stays)
{
    struct world *w = world_new();
    struct edit e;
    char value[32];
    uint64_t number = apply_table(w, 1, 1, 5, 50);
    const struct table_file f = *w->set.current->level[1].files[0];
    edit_init(&e);
    edit_delete_file(&e, 1, number);
    edit_add_file(&e, 2, number, f.size, buf_slice(&f.smallest), buf_slice(&f.largest));
    ck_assert_int_eq(world_apply(w, &e), 0);
    world_delete_obsolete(w);
    ck_assert(table_exists(w, number));
    ck_assert_int_eq(w->set.current->level[2].count, 1);
    ck_assert_int_eq(get(w, 3, KEY_MAX_SEQUENCE, value, sizeof value), 1);
    world_free(w);
}
END_TEST

START_TEST(cleaning_leaves_what_is_needed_and_what_is_foreign)
{
    static const char *const gone[] = {DIR "/000777.ldb", DIR "/000001.log", DIR "/MANIFEST-000555",
                                       DIR "/000778.dbtmp"};
    static const char *const kept[] = {DIR "/000779.log", DIR "/notes.txt", DIR "/LOCK",
                                       DIR "/CURRENT"};
    struct world *w = world_new();
    struct edit e;
    uint64_t number = apply_table(w, 1, 1, 5, 50);
    edit_init(&e);
    e.has_log_number = true;
    e.log_number = 4;
    ck_assert_int_eq(world_apply(w, &e), 0);
    for (int i = 0; i < 4; i++) {
        struct env_file *f;
        ck_assert_int_eq(env_open(w->env, gone[i], ENV_WRITE | ENV_CREATE, &f), 0);
        env_close(w->env, f);
        ck_assert_int_eq(env_open(w->env, kept[i], ENV_WRITE | ENV_CREATE, &f), 0);
        env_close(w->env, f);
    }
    set_clean_folder(&w->set);
    for (int i = 0; i < 4; i++) {
        ck_assert_msg(!env_exists(w->env, gone[i]), "%s", gone[i]);
        ck_assert_msg(env_exists(w->env, kept[i]), "%s", kept[i]);
    }
    ck_assert(table_exists(w, number));
    reopen(w);
    world_free(w);
}
END_TEST

/* ---------------------------------------------------------------- crashes and failures */

/* The states of a set, one for each step of a story; what a crash may leave follows from the step
 * that was under way. */
struct story {
    char *states[32];
    int finished; /* states[finished] is acknowledged; the next one may be there or not */
    struct env *disk;
    uint64_t copies;
};

static bool shows(const struct version_set *set, const char *state)
{
    char *text = text_of(set);
    bool same = state && strcmp(text, state) == 0;
    free(text);
    return same;
}

static int open_a_copy(void *arg, enum sim_call call, const char *path)
{
    struct story *story = arg;
    for (int how = 0; how < 6; how++) {
        struct env *copy = env_sim_cut_copy(story->disk);
        struct world w;
        env_sim_survive(copy,
                        how == 0   ? SIM_LOSE_ALL
                        : how == 1 ? SIM_KEEP_ALL
                                   : SIM_RANDOM,
                        story->copies++);
        int rc = world_open(&w, copy);
        MUST(rc == 0, "before %s of %s: %s", env_sim_call_name(call), path, fail_text());
        MUST(shows(&w.set, story->states[story->finished]) ||
                 shows(&w.set, story->states[story->finished + 1]),
             "before %s of %s: neither the old set nor the new", env_sim_call_name(call), path);
        MUST(world_roll(&w) == 0, "%s", fail_text());
        world_close(&w);
        env_sim_free(copy);
    }
    return 0;
}

/* Step `i` of the story. Its text afterwards is the same in each run. */
static void tell(struct world *w, int i)
{
    if (i % 3 == 2)
        MUST(world_roll(w) == 0, "%s", fail_text());
    else
        apply_table(w, i % 4, 40 * i, 40 * i + 4, 10 * (uint64_t)i + 1);
}

START_TEST(a_power_cut_leaves_the_old_set_or_the_new)
{
    const int steps = 12;
    struct story story = {0};
    struct world *w = world_new();
    story.states[0] = text_of(&w->set);
    for (int i = 0; i < steps; i++) {
        tell(w, i);
        story.states[i + 1] = text_of(&w->set);
    }
    world_free(w);

    w = world_new();
    story.disk = w->env;
    env_sim_set_hook(w->env, open_a_copy, &story);
    for (int i = 0; i < steps; i++) {
        tell(w, i);
        story.finished = i + 1;
    }
    env_sim_set_hook(w->env, NULL, NULL);
    ck_assert_uint_gt(story.copies, 100);
    for (int i = 0; i <= steps; i++)
        free(story.states[i]);
    world_free(w);
}
END_TEST

/* Every call that set_apply or set_roll makes fails once. */
static void check_failing_call(uint64_t k, bool roll, bool *reached)
{
    struct world *w = world_new();
    struct entry entry = {500, 900, KEY_PUT};
    struct edit e, next;
    apply_table(w, 1, 1, 5, 50);
    char *before = text_of(&w->set);
    edit_init(&e);
    uint64_t number = add_table(w, &e, 2, &entry, 1);
    env_sim_fail(w->env, SIM_ANY, env_sim_count(w->env, SIM_ANY) + k, -EIO,
                 (enum sim_damage)(k % 3));
    int rc = roll ? world_roll(w) : world_apply(w, &e);
    *reached = env_sim_failed(w->env);
    if (roll)
        edit_free(&e);
    if (rc) {
        ck_assert_int_eq(rc, -EIO);
        ck_assert(*reached);
        ck_assert(shows(&w->set, before));
        uint64_t calls = env_sim_count(w->env, SIM_ANY);
        edit_init(&next);
        edit_add_file(&next, 3, 999, 1, slice_str("a-12345678"), slice_str("b-12345678"));
        ck_assert_int_ne(world_apply(w, &next), 0); /* never again */
        ck_assert_int_ne(world_roll(w), 0);
        world_delete_obsolete(w);
        ck_assert_uint_eq(env_sim_count(w->env, SIM_ANY), calls);
        ck_assert(table_exists(w, number)); /* the record may be on disk */
    }
    char *after = text_of(&w->set);
    world_close(w);
    ck_assert_int_eq(world_open(w, w->env), 0);
    if (rc == 0)
        ck_assert(shows(&w->set, after));
    free(before);
    free(after);
    world_free(w);
}

START_TEST(after_a_failed_write_the_manifest_takes_nothing_more)
{
    for (int roll = 0; roll < 2; roll++) {
        bool reached = true;
        uint64_t k = 0;
        while (reached)
            check_failing_call(++k, roll, &reached);
        ck_assert_uint_gt(k, roll ? 6 : 2); /* so many calls there are at least */
    }
}
END_TEST

/* An edit makes the MANIFEST too long; the k-th call of the roll behind it fails. */
static void check_failing_roll(uint64_t k, bool *reached)
{
    struct world *w = world_new();
    struct entry entry = {500, 900, KEY_PUT};
    struct edit e;
    struct buf big = BUF_INIT;
    memset(buf_reserve(&big, 1200000), 'x', 1200000);
    big.len = 1200000;
    buf_put_fixed64(&big, key_tag(1, KEY_PUT));
    edit_init(&e);
    buf_set(&e.compact_pointer[1], buf_slice(&big));
    uint64_t number = add_table(w, &e, 2, &entry, 1), first = w->set.manifest_number;
    uint64_t syncs = env_sim_count(w->env, SIM_SYNC) + 1; /* that of the record itself */
    env_sim_fail(w->env, k < 3 ? SIM_SYNC : SIM_SYNC_DIR,
                 k < 3 ? syncs + k : env_sim_count(w->env, SIM_SYNC_DIR) + k - 2, -EIO,
                 SIM_DONE_NOTHING);
    ck_assert_int_eq(world_apply(w, &e), 0); /* the edit itself is on disk */
    *reached = env_sim_failed(w->env);
    ck_assert_int_eq(w->set.current->level[2].count, 1);
    if (*reached) {
        edit_init(&e);
        edit_delete_file(&e, 2, number);
        ck_assert_int_eq(world_apply(w, &e), -EIO);
        ck_assert_ptr_ne(strstr(fail_text(), "MANIFEST"), NULL);
        ck_assert_int_eq(w->set.current->level[2].count, 1);
    } else {
        ck_assert_uint_ne(w->set.manifest_number, first);
    }
    world_close(w);
    MUST(world_open(w, w->env) == 0, "%s", fail_text());
    ck_assert_int_eq(w->set.current->level[2].count, 1);
    buf_free(&big);
    world_free(w);
}

START_TEST(an_edit_stands_though_the_new_manifest_behind_it_fails)
{
    bool reached = true;
    uint64_t k = 0;
    while (reached)
        check_failing_roll(++k, &reached);
    ck_assert_uint_gt(k, 4);
}
END_TEST

/* As it is after a long time: each edit takes out a table of a large level and adds one. */
START_TEST(an_edit_costs_what_it_names_however_many_tables_there_are)
{
    enum { TABLES = 20000, EDITS = 60000 };
    struct builder b;
    struct timespec start, end;
    char smallest[24], largest[24];
    builder_init(&b, NULL);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    for (uint64_t i = 0; i < EDITS; i++) {
        struct edit e;
        snprintf(smallest, sizeof smallest, "%08llu-a12345678", (unsigned long long)i);
        snprintf(largest, sizeof largest, "%08llu-b12345678", (unsigned long long)i);
        edit_init(&e);
        if (i >= TABLES)
            edit_delete_file(&e, 3, i - TABLES);
        edit_add_file(&e, 3, i, 100, slice_str(smallest), slice_str(largest));
        ck_assert_int_eq(builder_apply(&b, &e), 0);
        edit_free(&e);
    }
    struct world *w = world_new();
    struct version *v;
    ck_assert_int_eq(builder_finish(&b, &w->set, &v), 0);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    ck_assert_int_eq(v->level[3].count, TABLES);
    for (int i = 0; i < TABLES; i++)
        ck_assert_uint_eq(v->level[3].files[i]->number, (uint64_t)(EDITS - TABLES + i));
    v->next = v->prev = v;
    set_drop_version(&w->set, v);
    builder_free(&b);
    world_free(w);
    double seconds =
        (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    MUST(seconds < 2, "%.2f s for %d edits of %d tables", seconds, EDITS, TABLES);
}
END_TEST

/* Random edits against a plain list. */
START_TEST(a_version_lists_what_the_edits_leave)
{
    enum { NUMBERS = 300 };
    uint64_t seed = sim_env_number("SEED", (uint64_t)getpid());
    struct sim_random r = {seed};
    struct world *w = world_new();
    printf("SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    for (int round = 0; round < 50; round++) {
        int level_of[NUMBERS] = {0}; /* + 1; 0: nowhere */
        struct builder b;
        struct version *base = NULL, *v;
        builder_init(&b, NULL);
        for (int step = 0; step < 400; step++) {
            char key[24];
            struct edit e;
            int n = (int)sim_below(&r, NUMBERS), level = (int)sim_below(&r, VERSION_LEVELS);
            bool was = level_of[n] > 0, add = !was || sim_chance(&r, 50);
            snprintf(key, sizeof key, "%08d-12345678", n);
            edit_init(&e);
            if (was)
                edit_delete_file(&e, level_of[n] - 1, (uint64_t)n);
            if (add) /* also: moves to another level, or to its own */
                edit_add_file(&e, level, (uint64_t)n, 1, slice_str(key), slice_str(key));
            MUST(builder_apply(&b, &e) == 0, "%s", fail_text());
            edit_free(&e);
            level_of[n] = add ? level + 1 : 0;
            if (step == 200) { /* goes on from a version */
                MUST(builder_finish(&b, &w->set, &base) == 0, "%s", fail_text());
                builder_free(&b);
                builder_init(&b, base);
            }
        }
        MUST(builder_finish(&b, &w->set, &v) == 0, "%s", fail_text());
        for (int level = 0; level < VERSION_LEVELS; level++) {
            int at = 0;
            for (int n = 0; n < NUMBERS; n++)
                if (level_of[n] == level + 1) {
                    ck_assert_int_lt(at, v->level[level].count);
                    ck_assert_uint_eq(v->level[level].files[at++]->number, (uint64_t)n);
                }
            ck_assert_int_eq(at, v->level[level].count);
        }
        builder_free(&b);
        base->next = base->prev = base;
        set_drop_version(&w->set, base);
        v->next = v->prev = v;
        set_drop_version(&w->set, v);
    }
    world_free(w);
}
END_TEST

START_TEST(a_cut_off_last_record_is_left_out)
{
    struct world *w = world_new();
    struct buf bytes = BUF_INIT;
    apply_table(w, 1, 1, 5, 50);
    char *before = text_of(&w->set);
    uint64_t start = w->set.manifest_log.end;
    apply_table(w, 1, 40, 45, 70);
    char *path = name_manifest(DIR, w->set.manifest_number);
    world_close(w);
    ck_assert_int_eq(env_read_file(w->env, path, &bytes), 0);
    for (size_t len = start; len < bytes.len; len++) {
        ck_assert_int_eq(env_replace_file(w->env, path, slice_of(bytes.data, len)), 0);
        ck_assert_int_eq(world_open(w, w->env), 0);
        ck_assert(shows(&w->set, before));
        world_close(w);
    }
    ck_assert_int_eq(world_open(w, w->env), 0);
    buf_free(&bytes);
    free(before);
    free(path);
    world_free(w);
}
END_TEST

START_TEST(damage_inside_the_manifest_is_not_taken_for_its_end)
{
    struct world *w = world_new();
    struct buf bytes = BUF_INIT;
    uint64_t start = w->set.manifest_log.end;
    for (int i = 0; i < 4; i++)
        apply_table(w, 1, 40 * i, 40 * i + 4, 100 * (uint64_t)i + 1);
    char *path = name_manifest(DIR, w->set.manifest_number);
    world_close(w);
    ck_assert_int_eq(env_read_file(w->env, path, &bytes), 0);
    for (size_t at = start; at < start + 60; at++) { /* in the first of the four records */
        bytes.data[at] ^= 0x55;
        ck_assert_int_eq(env_replace_file(w->env, path, buf_slice(&bytes)), 0);
        int rc = world_open(w, w->env);
        ck_assert_msg(rc == STORE_ECORRUPT, "byte %zu: %d", at, rc);
        ck_assert_ptr_nonnull(strstr(fail_text(), path));
        world_close(w);
        bytes.data[at] ^= 0x55;
    }
    ck_assert_int_eq(env_replace_file(w->env, path, buf_slice(&bytes)), 0);
    ck_assert_int_eq(world_open(w, w->env), 0);
    buf_free(&bytes);
    free(path);
    world_free(w);
}
END_TEST

START_TEST(a_table_of_another_length_is_refused)
{
    struct world *w = world_new();
    uint64_t number = apply_table(w, 1, 1, 5, 50);
    char *path = name_table(DIR, number);
    struct env_file *f;
    ck_assert_int_eq(env_open(w->env, path, ENV_WRITE, &f), 0);
    ck_assert_int_eq(env_truncate(w->env, f, 20), 0);
    env_close(w->env, f);
    world_close(w);
    ck_assert_int_eq(world_open(w, w->env), STORE_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(fail_text(), path));
    free(path);
    world_free(w);
}
END_TEST

/* LevelDB cuts its tables also between two versions of one key. */
START_TEST(a_deletion_does_not_leave_older_versions_in_the_next_table)
{
    struct entry above[] = {{1, 100, KEY_PUT}, {4, 101, KEY_PUT}};
    struct entry left[] = {{3, 8, KEY_PUT}, {5, 9, KEY_DELETE}};
    struct entry right[] = {{5, 5, KEY_PUT}, {9, 6, KEY_PUT}};
    struct world *w = world_new();
    struct store_options options;
    struct store *store;
    struct edit e;
    struct buf value = BUF_INIT;
    edit_init(&e);
    add_table(w, &e, 1, above, 2);
    add_table(w, &e, 2, left, 2);
    add_table(w, &e, 2, right, 2);
    e.has_last_sequence = true;
    e.last_sequence = 1000;
    ck_assert_int_eq(world_apply(w, &e), 0);
    world_close(w);
    store_options_init(&options);
    options.env = w->env;
    ck_assert_int_eq(store_open(DIR, &options, &store), 0);
    ck_assert_int_eq(store_get(store, NULL, slice_str("key00005"), &value), -ENOENT);
    ck_assert_int_eq(store_compact(store, slice_str("key00001"), slice_str("key00004")), 0);
    ck_assert_int_eq(store_get(store, NULL, slice_str("key00005"), &value), -ENOENT);
    ck_assert_int_eq(store_close(store), 0);
    ck_assert_int_eq(world_open(w, w->env), 0);
    buf_free(&value);
    world_free(w);
}
END_TEST

/* ---------------------------------------------------------------- threads */

#define APPLIERS 4
#define EDITS 25

struct applier {
    struct world *w;
    int number;
};

static void *apply_many(void *arg)
{
    struct applier *a = arg;
    for (int i = 0; i < EDITS; i++) {
        struct buf key = BUF_INIT;
        struct edit e;
        char room[16];
        edit_init(&e);
        buf_put_ikey(&key, user_key(1000 * a->number + i, room), 1, KEY_PUT);
        pthread_mutex_lock(&a->w->mu);
        uint64_t number = set_new_number(&a->w->set);
        pthread_mutex_unlock(&a->w->mu);
        char *path = name_table(DIR, number);
        struct env_file *f;
        MUST(env_open(a->w->env, path, ENV_WRITE | ENV_CREATE, &f) == 0, "%s", path);
        env_close(a->w->env, f);
        edit_add_file(&e, 1, number, 0, buf_slice(&key), buf_slice(&key));
        pthread_mutex_lock(&a->w->mu);
        int rc = i % 10 == 9 ? set_roll(&a->w->set) : 0;
        if (rc == 0)
            rc = set_apply(&a->w->set, &e);
        struct version *v = a->w->set.current;
        version_ref(v);
        pthread_mutex_unlock(&a->w->mu);
        MUST(rc == 0, "%s", fail_text());
        version_unref(v);
        edit_free(&e);
        buf_free(&key);
        free(path);
    }
    return NULL;
}

START_TEST(threads_that_apply_at_once_all_get_their_turn)
{
    struct world *w = world_new();
    struct applier a[APPLIERS];
    pthread_t threads[APPLIERS];
    for (int i = 0; i < APPLIERS; i++) {
        a[i] = (struct applier){w, i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, apply_many, &a[i]), 0);
    }
    for (int i = 0; i < APPLIERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(w->set.current->level[1].count, APPLIERS * EDITS);
    reopen(w);
    ck_assert_int_eq(w->set.current->level[1].count, APPLIERS * EDITS);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("version");
    TCase *reads = tcase_create("reads"), *sets = tcase_create("sets"),
          *crashes = tcase_create("crashes");
    tcase_set_timeout(reads, 120);
    tcase_add_test(reads, the_newest_table_of_level_zero_wins);
    tcase_add_test(reads, a_deletion_above_hides_what_is_below);
    tcase_add_test(reads, a_read_finds_what_a_search_through_all_entries_finds);
    tcase_add_test(reads, iterators_show_every_entry_once_and_in_order);
    tcase_add_test(reads, both_ends_of_a_range_belong_to_it);
    tcase_add_test(reads, a_range_of_level_zero_grows_over_what_overlaps);
    tcase_add_test(reads, a_size_grows_with_the_range);
    tcase_set_timeout(sets, 120);
    tcase_add_test(sets, a_set_comes_back_from_its_manifest);
    tcase_add_test(sets, a_new_manifest_replaces_the_old_one);
    tcase_add_test(sets, a_long_manifest_is_replaced);
    tcase_add_test(sets, a_missing_table_is_named);
    tcase_add_test(sets, a_table_with_the_old_ending_is_found);
    tcase_add_test(sets, a_damaged_current_is_refused);
    tcase_add_test(sets, another_comparator_is_another_format);
    tcase_add_test(sets, an_edit_that_cannot_be_is_refused_and_changes_nothing);
    tcase_add_test(sets, a_table_is_deleted_with_the_last_version_that_lists_it);
    tcase_add_test(sets, a_table_that_moved_to_another_level_stays);
    tcase_add_test(sets, cleaning_leaves_what_is_needed_and_what_is_foreign);
    tcase_set_timeout(crashes, 300);
    tcase_add_test(crashes, a_power_cut_leaves_the_old_set_or_the_new);
    tcase_add_test(crashes, after_a_failed_write_the_manifest_takes_nothing_more);
    tcase_add_test(crashes, an_edit_stands_though_the_new_manifest_behind_it_fails);
    tcase_add_test(crashes, an_edit_costs_what_it_names_however_many_tables_there_are);
    tcase_add_test(crashes, a_version_lists_what_the_edits_leave);
    tcase_add_test(crashes, a_cut_off_last_record_is_left_out);
    tcase_add_test(crashes, damage_inside_the_manifest_is_not_taken_for_its_end);
    tcase_add_test(crashes, a_table_of_another_length_is_refused);
    tcase_add_test(crashes, a_deletion_does_not_leave_older_versions_in_the_next_table);
    tcase_add_test(crashes, threads_that_apply_at_once_all_get_their_turn);
    suite_add_tcase(suite, reads);
    suite_add_tcase(suite, sets);
    suite_add_tcase(suite, crashes);
    return run_suite(suite);
}
