/* The set of versions: what is open again after a close, what is refused at opening, which files go
 * and when. On the simulated disk. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../base/error.h"
#include "../version/file_name.h"
#include "env_sim.h"
#include "history.h"
#include "run_suite.h"
#include "set_world.h"
#include <check.h> /* last: it defines a macro `fail` */

START_TEST(a_set_comes_back_from_its_manifest)
{
    struct world *w = world_new();
    struct edit e;
    uint64_t first = world_apply_table(w, 0, 1, 5, 100);
    world_apply_table(w, 1, 1, 5, 50);
    edit_init(&e);
    edit_delete_file(&e, 0, first);
    e.has_last_sequence = e.has_log_number = true;
    e.last_sequence = 777;
    e.log_number = 3;
    buf_put_ikey(&e.compact_pointer[1], slice_str("pointer"), 5, KEY_PUT);
    ck_assert_int_eq(world_apply(w, &e), 0);
    for (int rolled = 0; rolled < 2; rolled++) {
        char *before = world_text(&w->set);
        uint64_t next = w->set.next_file;
        world_reopen(w);
        char *after = world_text(&w->set);
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

START_TEST(a_missing_table_is_named)
{
    struct world *w = world_new();
    uint64_t number = world_apply_table(w, 1, 1, 5, 50);
    char *path = name_table(WORLD_DIR, number);
    ck_assert_int_eq(env_unlink(w->env, path), 0);
    world_close(w);
    ck_assert_int_eq(world_open(w, w->env), STORE_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(fail_text(), path));
    free(path);
    world_free(w);
}
END_TEST

START_TEST(a_table_of_another_length_is_refused)
{
    struct world *w = world_new();
    uint64_t number = world_apply_table(w, 1, 1, 5, 50);
    char *path = name_table(WORLD_DIR, number);
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

START_TEST(a_table_with_the_old_ending_is_found)
{
    struct world *w = world_new();
    char value[32];
    uint64_t number = world_apply_table(w, 1, 1, 5, 50);
    char *path = name_table(WORLD_DIR, number),
         *old = mem_printf("%s/%06llu.sst", WORLD_DIR, (unsigned long long)number);
    world_close(w);
    ck_assert_int_eq(env_rename(w->env, path, old), 0);
    ck_assert_int_eq(world_open(w, w->env), 0);
    ck_assert_int_eq(world_get(w, 3, KEY_MAX_SEQUENCE, value, sizeof value), 1);
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
        ck_assert_int_eq(env_replace_file(w->env, WORLD_DIR "/CURRENT", slice_str(texts[i])), 0);
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
    struct world_entry entries[] = {{3, 900, KEY_PUT}, {8, 901, KEY_PUT}};
    struct edit e;
    world_apply_table(w, 1, 1, 5, 50);
    char *before = world_text(&w->set);
    edit_init(&e);
    world_add_table(w, &e, 1, entries, 2); /* overlaps */
    ck_assert_int_eq(world_apply(w, &e), STORE_ECORRUPT);
    edit_init(&e);
    edit_delete_file(&e, 2, 12345);
    ck_assert_int_eq(world_apply(w, &e), STORE_ECORRUPT);
    char *after = world_text(&w->set);
    ck_assert_str_eq(before, after);
    free(after);
    world_reopen(w);
    after = world_text(&w->set);
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
    uint64_t number = world_apply_table(w, 1, 1, 5, 50);
    struct version *reader = w->set.current;
    version_ref(reader);
    edit_init(&e);
    edit_delete_file(&e, 1, number);
    ck_assert_int_eq(world_apply(w, &e), 0);
    world_delete_obsolete(w);
    ck_assert(world_has_table(w, number));
    ck_assert_int_eq(world_get(w, 3, KEY_MAX_SEQUENCE, value, sizeof value), 0);
    struct buf got = BUF_INIT;
    ck_assert_int_eq(version_get(reader, slice_str("key00003"), KEY_MAX_SEQUENCE, &got), 1);
    buf_free(&got);
    version_unref(reader);
    world_delete_obsolete(w);
    ck_assert(!world_has_table(w, number));
    world_free(w);
}
END_TEST

START_TEST(a_table_that_moved_to_another_level_stays)
{
    struct world *w = world_new();
    struct edit e;
    char value[32];
    uint64_t number = world_apply_table(w, 1, 1, 5, 50);
    const struct table_file f = *w->set.current->level[1].files[0];
    edit_init(&e);
    edit_delete_file(&e, 1, number);
    edit_add_file(&e, 2, number, f.size, buf_slice(&f.smallest), buf_slice(&f.largest));
    ck_assert_int_eq(world_apply(w, &e), 0);
    world_delete_obsolete(w);
    ck_assert(world_has_table(w, number));
    ck_assert_int_eq(w->set.current->level[2].count, 1);
    ck_assert_int_eq(world_get(w, 3, KEY_MAX_SEQUENCE, value, sizeof value), 1);
    world_free(w);
}
END_TEST

START_TEST(cleaning_leaves_what_is_needed_and_what_is_foreign)
{
    static const char *const gone[] = {WORLD_DIR "/000777.ldb", WORLD_DIR "/000001.log",
                                       WORLD_DIR "/MANIFEST-000555", WORLD_DIR "/000778.dbtmp"};
    static const char *const kept[] = {WORLD_DIR "/000779.log", WORLD_DIR "/notes.txt",
                                       WORLD_DIR "/LOCK", WORLD_DIR "/CURRENT"};
    struct world *w = world_new();
    struct edit e;
    uint64_t number = world_apply_table(w, 1, 1, 5, 50);
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
    ck_assert(world_has_table(w, number));
    world_reopen(w);
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
        buf_put_ikey(&key, world_key(1000 * a->number + i, room), 1, KEY_PUT);
        pthread_mutex_lock(&a->w->mu);
        uint64_t number = set_new_number(&a->w->set);
        pthread_mutex_unlock(&a->w->mu);
        char *path = name_table(WORLD_DIR, number);
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
    world_reopen(w);
    ck_assert_int_eq(w->set.current->level[1].count, APPLIERS * EDITS);
    world_free(w);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_set_comes_back_from_its_manifest,
                                  a_missing_table_is_named,
                                  a_table_of_another_length_is_refused,
                                  a_table_with_the_old_ending_is_found,
                                  a_damaged_current_is_refused,
                                  another_comparator_is_another_format,
                                  an_edit_that_cannot_be_is_refused_and_changes_nothing,
                                  a_table_is_deleted_with_the_last_version_that_lists_it,
                                  a_table_that_moved_to_another_level_stays,
                                  cleaning_leaves_what_is_needed_and_what_is_foreign,
                                  threads_that_apply_at_once_all_get_their_turn,
                                  NULL};
    return run_tests("version_set", 120, NULL, NULL, tests);
}
