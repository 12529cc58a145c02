/* An environment that shows another one and never changes it: what is written is kept in memory,
 * and forgotten with it. For who wants to see what opening a store would find, and leave the disk
 * as it is, also one that is mounted read-only.
 *
 * What is locked here is locked below with env_lock_shared, where that can be: others may do the
 * same, who would write may not. Thread safe. */
#ifndef STORE_ENV_ENV_OVERLAY_H
#define STORE_ENV_ENV_OVERLAY_H

#include "env.h"

/* `below` must outlive it. */
struct env *env_overlay_new(struct env *below);
/* Requires: no file of it is open. */
void env_overlay_free(struct env *e);

#endif
