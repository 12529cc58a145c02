/* What the fuzzers share: input bytes as a file on a simulated disk. */
#ifndef STORE_FUZZ_FUZZ_FILE_H
#define STORE_FUZZ_FUZZ_FILE_H

#include <stdlib.h>
#include "../tests/env_sim.h"

static inline void fuzz_put(struct env *disk, const char *path, const void *data, size_t size)
{
    struct env_file *f;
    if (env_open(disk, path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &f) ||
        env_pwrite(disk, f, data, size, 0))
        abort();
    env_close(disk, f);
}

#endif
