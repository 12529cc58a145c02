/* The words of each thread's last failure: see error.h. */
#include "error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char text[512];

int fail(int code, const char *fmt, ...)
{
    char made[sizeof text]; /* the words may quote fail_text() */
    va_list ap;
    assert(code < 0);
    va_start(ap, fmt);
    vsnprintf(made, sizeof made, fmt, ap);
    va_end(ap);
    strcpy(text, made);
    return code;
}

const char *fail_text(void)
{
    return text;
}

const char *fail_name(int code)
{
    switch (code) {
    case STORE_ECORRUPT:
        return "damaged data";
    case STORE_EFORMAT:
        return "unknown format";
    case -EMFILE:
    case EMFILE:
        return "Too many open files (raise the limit: ulimit -n)";
    case -EFBIG:
    case EFBIG:
        return "File too large (raise the limit: ulimit -f; or the disk takes none of that size)";
    default:
        return strerror(code < 0 ? -code : code);
    }
}
