/* A filesystem on a simulated disk, for one test at a time, and calls that assert success.
 *
 * tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown). One thread at a time, but for the
 * fs calls themselves. Teardown checks the store's records (check_store.h). */
#ifndef FS_TESTS_FIXTURE_H
#define FS_TESTS_FIXTURE_H

#include "../core/fs.h"

extern struct fs *fs;
extern struct env *disk;
extern struct fs_options fixture_options; /* for the next open; setup resets them */

void fixture_setup(void);
void fixture_prepare(void); /* the part of setup before the first open */
void fixture_teardown(void);
void fixture_open(void);
void fixture_close(void);
void fixture_reopen(void); /* close and open */
void fixture_kill(void);   /* the process is gone in this moment, the machine runs on; open */
/* Waits until what runs in the background has deleted all garbage that is nobody's any more. */
void fixture_settle(void);

/* Each returns the inode's number, with a reference to it. */
uint64_t make_file(uint64_t dir, const char *name);
uint64_t make_dir(uint64_t dir, const char *name);
uint64_t find(uint64_t dir, const char *name);
bool exists(uint64_t dir, const char *name);
struct stat stat_of(uint64_t ino);
void write_at(uint64_t ino, uint64_t off, const void *p, size_t n);
void write_text(uint64_t ino, const char *text);
void expect_text(uint64_t ino, const char *text);
void set_size(uint64_t ino, uint64_t size);
/* How many records of this kind (keys_format.h) the store holds; of inode `ino` unless 0. */
int count_records(char kind, uint64_t ino);

/* A small random number generator, so that a seed gives the same run everywhere. */
struct random {
    uint64_t state;
};
uint64_t random_next(struct random *r);
uint64_t random_below(struct random *r, uint64_t n);
/* From the environment, or the default; prints the seed. */
uint64_t random_seed(void);
int random_iterations(int by_default);

#endif
