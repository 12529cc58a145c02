/* A folder of its own for a test on the real disk, under $TMPDIR or /tmp. One per process at a time:
 * temp_dir_make() in the fixture's setup, temp_dir_remove() in its teardown. */
#ifndef STORE_TESTS_TEMP_DIR_H
#define STORE_TESTS_TEMP_DIR_H

void temp_dir_make(void);
void temp_dir_remove(void); /* with all that is in it */
const char *temp_dir(void);
/* "FOLDER/name"; good until the eighth call after this one. */
const char *temp_path(const char *name);

#endif
