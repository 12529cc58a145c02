/* Results are int: 0, or a negative errno, or one of the codes below for what errno lacks.
 * The words that belong to the last failure of this thread are kept beside (thread-local), so that
 * they name the file and the offset: `return fail(STORE_ECORRUPT, "%s: block at %llu: ...", ...)`.
 */
#ifndef STORE_BASE_ERROR_H
#define STORE_BASE_ERROR_H

#include <errno.h>
#include <stdbool.h>

enum {
    STORE_ECORRUPT = -5001, /* what is on disk fails its check */
    STORE_EFORMAT = -5002,  /* not a store, or a format this version does not know */
};

#ifdef fail /* libcheck has an old macro of this name */
#undef fail
#endif

/* Records the text and returns `code`. `code` must be negative. */
int fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The text of this thread's last fail(); never NULL. Valid until the thread's next one. */
const char *fail_text(void);
/* A word or two for a code: strerror() for errno values, and what to do where a limit of the
 * process's is the cause. */
const char *fail_name(int code);

/* Errors that only say that the disk has no space: what it holds stays known. */
static inline bool space_lacks(int rc)
{
    return rc == -ENOSPC || rc == -EDQUOT;
}

#endif
