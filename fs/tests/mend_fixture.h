/* For the tests of what a repair mends: records that are lost, or back, and the repair itself. */
#ifndef FS_TESTS_MEND_FIXTURE_H
#define FS_TESTS_MEND_FIXTURE_H

#include "../format/keys_format.h"
#include "fixture.h"

void lose(struct fs_key key);
void put_back(struct fs_key key, struct slice value);
/* The record's value, which must be there, on the heap: buf_free(). */
struct buf record_of(struct fs_key key);
/* (Not closed before: that would give back what seems to be free.) */
void kill_and_repair(void);

#endif
