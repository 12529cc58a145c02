/* What the command says to its user. */
#include "cmd.h"

#include <stdarg.h>
#include <stdio.h>

/* Formatted first and written in one call: lines of parent and child do not mix. */
void say(const char *fmt, ...)
{
    char text[8192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(stderr, "skeinfs: %s\n", text);
}
