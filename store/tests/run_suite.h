/* The main() of a test program of one suite: gathers its tests, runs them, says how many failed. */
#ifndef STORE_TESTS_RUN_SUITE_H
#define STORE_TESTS_RUN_SUITE_H

#include <check.h>

/* Runs the suite (which goes with it) and returns what main() returns. CK_RUN_CASE and so on choose
 * among its cases. */
int run_suite(Suite *suite);
/* A suite of one case that has these tests, up to the first NULL; `setup` and `teardown` (or NULL)
 * run around each, in its process. */
int run_tests(const char *name, int timeout_s, SFun setup, SFun teardown,
              const TTest *const *tests);

#endif
