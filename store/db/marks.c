/* See marks.h.
 *
 * A fragment that fails its check hides where the next one begins, unless its length happens to be
 * right; the next block begins with one in any case. A mark is taken for one only as a whole, with
 * its checksum. Those few that a block's border cuts in two are passed over: there are more. */
#include "marks.h"

#include <stdlib.h>

#include "../base/coding.h"
#include "../base/crc.h"
#include "../commit/batch.h"
#include "../log/log_format.h"

/* The marks of one block from `at` on. *first: the log's first record is still to come. */
static void marks_of_block(const char *block, size_t len, size_t at, bool *first, bool *ours,
                           uint64_t *durable)
{
    while (at + LOG_HEADER_SIZE <= len) {
        const char *p = block + at;
        size_t n = get_fixed16(p + 4);
        uint64_t mark;
        if (at + LOG_HEADER_SIZE + n > len)
            return;
        bool whole = crc_unmask(get_fixed32(p)) == crc32c(p + 6, n + 1);
        bool is_mark =
            whole && p[6] == LOG_FULL && batch_is_mark(slice_of(p + LOG_HEADER_SIZE, n), &mark);
        if (*first)
            *ours = !whole || is_mark;
        *first = false;
        if (is_mark && *ours && mark > *durable)
            *durable = mark;
        if (!whole && n == 0)
            return;
        at += LOG_HEADER_SIZE + n;
    }
}

int marks_find(struct env *env, const char *path, uint64_t from, bool is_ours, uint64_t *durable)
{
    struct env_file *file;
    char *block = mem_alloc(LOG_BLOCK_SIZE);
    bool first = from == 0, ours = is_ours;
    int rc = env_open(env, path, ENV_READ, &file);
    if (rc) {
        free(block);
        return rc;
    }
    size_t at = (size_t)(from % LOG_BLOCK_SIZE);
    for (uint64_t pos = from - at;; pos += LOG_BLOCK_SIZE, at = 0) {
        ssize_t n = env_pread(env, file, block, LOG_BLOCK_SIZE, pos);
        if (n <= 0) {
            rc = (int)n;
            break;
        }
        marks_of_block(block, (size_t)n, at, &first, &ours, durable);
    }
    env_close(env, file);
    free(block);
    return rc;
}
