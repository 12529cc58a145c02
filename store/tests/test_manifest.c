/* The MANIFEST: it says after any crash what it said before or what it was about to say; its end is
 * told from damage. On the simulated disk. */
#include <stdlib.h>
#include <string.h>

#include "../base/error.h"
#include "../version/file_name.h"
#include "env_sim.h"
#include "history.h"
#include "run_suite.h"
#include "set_world.h"
#include <check.h> /* last: it defines a macro `fail` */

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
    world_apply_table(w, 1, 1, 5, 50);
    uint64_t before = w->set.manifest_number;
    ck_assert_int_eq(world_roll(w), 0);
    ck_assert_uint_gt(w->set.manifest_number, before);
    ck_assert_int_eq(env_list(w->env, WORLD_DIR, count_manifests, &manifests), 0);
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
    world_reopen(w);
    buf_free(&big);
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
        MUST(world_shows(&w.set, story->states[story->finished]) ||
                 world_shows(&w.set, story->states[story->finished + 1]),
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
        world_apply_table(w, i % 4, 40 * i, 40 * i + 4, 10 * (uint64_t)i + 1);
}

START_TEST(a_power_cut_leaves_the_old_set_or_the_new)
{
    const int steps = 12;
    struct story story = {0};
    struct world *w = world_new();
    story.states[0] = world_text(&w->set);
    for (int i = 0; i < steps; i++) {
        tell(w, i);
        story.states[i + 1] = world_text(&w->set);
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
    struct world_entry entry = {500, 900, KEY_PUT};
    struct edit e, next;
    world_apply_table(w, 1, 1, 5, 50);
    char *before = world_text(&w->set);
    edit_init(&e);
    uint64_t number = world_add_table(w, &e, 2, &entry, 1);
    env_sim_fail(w->env, SIM_ANY, env_sim_count(w->env, SIM_ANY) + k, -EIO,
                 (enum sim_damage)(k % 3));
    int rc = roll ? world_roll(w) : world_apply(w, &e);
    *reached = env_sim_failed(w->env);
    if (roll)
        edit_free(&e);
    if (rc) {
        ck_assert_int_eq(rc, -EIO);
        ck_assert(*reached);
        ck_assert(world_shows(&w->set, before));
        uint64_t calls = env_sim_count(w->env, SIM_ANY);
        edit_init(&next);
        edit_add_file(&next, 3, 999, 1, slice_str("a-12345678"), slice_str("b-12345678"));
        ck_assert_int_ne(world_apply(w, &next), 0); /* never again */
        ck_assert_int_ne(world_roll(w), 0);
        world_delete_obsolete(w);
        ck_assert_uint_eq(env_sim_count(w->env, SIM_ANY), calls);
        ck_assert(world_has_table(w, number)); /* the record may be on disk */
    }
    char *after = world_text(&w->set);
    world_close(w);
    ck_assert_int_eq(world_open(w, w->env), 0);
    if (rc == 0)
        ck_assert(world_shows(&w->set, after));
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
    struct world_entry entry = {500, 900, KEY_PUT};
    struct edit e;
    struct buf big = BUF_INIT;
    memset(buf_reserve(&big, 1200000), 'x', 1200000);
    big.len = 1200000;
    buf_put_fixed64(&big, key_tag(1, KEY_PUT));
    edit_init(&e);
    buf_set(&e.compact_pointer[1], buf_slice(&big));
    uint64_t number = world_add_table(w, &e, 2, &entry, 1), first = w->set.manifest_number;
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

/* ---------------------------------------------------------------- its end, and damage */

START_TEST(a_cut_off_last_record_is_left_out)
{
    struct world *w = world_new();
    struct buf bytes = BUF_INIT;
    world_apply_table(w, 1, 1, 5, 50);
    char *before = world_text(&w->set);
    uint64_t start = w->set.manifest_log.end;
    world_apply_table(w, 1, 40, 45, 70);
    char *path = name_manifest(WORLD_DIR, w->set.manifest_number);
    world_close(w);
    ck_assert_int_eq(env_read_file(w->env, path, &bytes), 0);
    for (size_t len = start; len < bytes.len; len++) {
        ck_assert_int_eq(env_replace_file(w->env, path, slice_of(bytes.data, len)), 0);
        ck_assert_int_eq(world_open(w, w->env), 0);
        ck_assert(world_shows(&w->set, before));
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
        world_apply_table(w, 1, 40 * i, 40 * i + 4, 100 * (uint64_t)i + 1);
    char *path = name_manifest(WORLD_DIR, w->set.manifest_number);
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

int main(void)
{
    const TTest *const tests[] = {a_new_manifest_replaces_the_old_one,
                                  a_long_manifest_is_replaced,
                                  a_power_cut_leaves_the_old_set_or_the_new,
                                  after_a_failed_write_the_manifest_takes_nothing_more,
                                  an_edit_stands_though_the_new_manifest_behind_it_fails,
                                  a_cut_off_last_record_is_left_out,
                                  damage_inside_the_manifest_is_not_taken_for_its_end,
                                  NULL};
    return run_tests("manifest", 300, NULL, NULL, tests);
}
