/* A folder of its own for a test binary that uses the real disk, under $TMPDIR or /tmp. main()
 * makes it before the tests and removes it behind them, so that it goes even where a test fails;
 * each test begins by clearing it. One thread at a time. */
#ifndef STORE_TESTS_TEMP_DIR_H
#define STORE_TESTS_TEMP_DIR_H

void temp_dir_make(void);
void temp_dir_clear(void);  /* removes what is in it */
void temp_dir_remove(void); /* with all that is in it */
const char *temp_dir(void);
/* "FOLDER/name"; good until the eighth call after this one. */
const char *temp_path(const char *name);

#endif
