/* Memory for blocks: what a thread freed last serves it next where it fits; no thread leaves any.
 */
#include <check.h>
#include <pthread.h>
#include <string.h>

#include "../table/block_memory.h"
#include "run_suite.h"

START_TEST(what_was_freed_last_serves_next)
{
    char *a = block_memory_new(4150), *b = block_memory_new(4150);
    memset(a, 1, 4150);
    memset(b, 2, 4150);
    ck_assert_ptr_ne(a, b);
    block_memory_free(a);
    block_memory_free(b);
    char *c = block_memory_new(4100), *d = block_memory_new(4100);
    ck_assert_ptr_eq(c, b);
    memset(d, 3, 4100);
    ck_assert_int_eq(c[0], 2); /* nobody else has it */
    block_memory_free(c);
    block_memory_free(d);
}
END_TEST

START_TEST(what_does_not_fit_is_not_taken)
{
    char *a = block_memory_new(4150);
    block_memory_free(a);
    char *larger = block_memory_new(6000), *smaller = block_memory_new(2000);
    memset(larger, 1, 6000); /* the address sanitizer looks on */
    ck_assert_ptr_ne(larger, a);
    ck_assert_ptr_ne(smaller, a);
    char *again = block_memory_new(4150);
    ck_assert_ptr_eq(again, a);
    block_memory_free(again);
    block_memory_free(larger);
    block_memory_free(smaller);
}
END_TEST

START_TEST(large_ones_are_not_kept)
{
    char *a = block_memory_new(4150), *large = block_memory_new(1 << 20);
    block_memory_free(a);
    block_memory_free(large);
    char *again = block_memory_new(4150); /* the large one did not push it out */
    ck_assert_ptr_eq(again, a);
    block_memory_free(again);
    block_memory_free(NULL);
}
END_TEST

static void *come_and_go(void *arg)
{
    char *p = block_memory_new(4150);
    memset(p, 7, 4150);
    block_memory_free(p);
    *(char **)arg = p;
    return NULL;
}

/* The leak sanitizer looks on. */
START_TEST(a_thread_leaves_none_at_its_end)
{
    for (int i = 0; i < 20; i++) {
        pthread_t id;
        char *its = NULL;
        ck_assert_int_eq(pthread_create(&id, NULL, come_and_go, &its), 0);
        ck_assert_int_eq(pthread_join(id, NULL), 0);
        ck_assert_ptr_nonnull(its);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_freed_last_serves_next,
        what_does_not_fit_is_not_taken,
        large_ones_are_not_kept,
        a_thread_leaves_none_at_its_end,
        NULL,
    };
    return run_tests("block_memory", 60, NULL, NULL, tests);
}
