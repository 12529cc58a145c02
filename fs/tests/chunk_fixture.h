/* For the tests of chunks: a filesystem whose log can be asked, a file beside an array of what it
 * should hold, and a look at records and at segment files on the simulated disk. */
#ifndef FS_TESTS_CHUNK_FIXTURE_H
#define FS_TESTS_CHUNK_FIXTURE_H

#include "../format/chunk_format.h"
#include "fixture.h"
#include "shadow.h"

#define SEGMENTS "/fs/segments"
#define FIRST_SEGMENT SEGMENTS "/000001.seg"

extern struct shadow one; /* the file "one" */

/* tcase_add_checked_fixture; the last one for what is left damaged. */
void chunks_setup(void);
void chunks_teardown(void);
void chunks_bare_teardown(void);
/* The part of setup that opens, for a test that has closed what was open. */
void open_chunks_fixture(void);

bool was_logged(const char *what);
void forget_log(void);
void chunks_log(void *arg, const char *line); /* for fs_check: what it says is logged */
void expect_nothing_is_wrong(void);           /* by fs_check */

int segment_files(void);
bool is_zero_at(const char *path, uint64_t off, size_t n); /* bytes of a file on the disk */
void flip_byte(const char *path, uint64_t off);
/* Until what runs in the background has given back all that is free. */
void wait_for_freed(void);
void wait_until_gone(const char *path);

int places(void); /* in use: what has a mark is none */
int marks(void);
/* So many records of `one`, and in all as many places. */
void expect_records(int chunks, int blocks);
/* `one` is as the array says: now, and after each way to begin anew. */
void expect_it_stays(void);
/* The stored record. */
struct chunk chunk_of(uint64_t ino, uint64_t at);

#endif
