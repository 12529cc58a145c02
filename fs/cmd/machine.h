/* What the machine allows, and what its user can do about that. */
#ifndef FS_CMD_MACHINE_H
#define FS_CMD_MACHINE_H

#include <stdbool.h>
#include "../../store/store.h"

/* The store keeps many tables open, a repair all of them; the usual soft limit of 1024 files is for
 * programs that use select(): raises it to the hard one, and has the store keep no more open than
 * fit. -EMFILE with words where these are too few to work with. */
int machine_file_limit(struct store_options *o);

/* What failed with r only needs other rights or another disk: puts behind the words of that failure
 * what to do. `store` was to be mounted, or else checked and repaired. Returns r. */
int machine_advise(int r, const char *store, bool mount);

#endif
