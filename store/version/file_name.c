/* See file_name.h. */
#include "file_name.h"

#include <stdbool.h>
#include <string.h>

#include "../base/buf.h"

char *name_current(const char *dir)
{
    return mem_printf("%s/CURRENT", dir);
}

char *name_lock(const char *dir)
{
    return mem_printf("%s/LOCK", dir);
}

char *name_reserve(const char *dir)
{
    return mem_printf("%s/RESERVE", dir);
}

char *name_info_log(const char *dir)
{
    return mem_printf("%s/LOG", dir);
}

char *name_manifest(const char *dir, uint64_t number)
{
    return mem_printf("%s/MANIFEST-%06llu", dir, (unsigned long long)number);
}

char *name_log(const char *dir, uint64_t number)
{
    return mem_printf("%s/%06llu.log", dir, (unsigned long long)number);
}

char *name_table(const char *dir, uint64_t number)
{
    return mem_printf("%s/%06llu.ldb", dir, (unsigned long long)number);
}

/* Takes decimal digits off the front. False: there are none, or too many. */
static bool take_number(const char **p, uint64_t *number)
{
    uint64_t n = 0;
    const char *start = *p;
    while (**p >= '0' && **p <= '9') {
        uint64_t digit = (uint64_t)(**p - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
        (*p)++;
    }
    *number = n;
    return *p != start;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

enum name_kind name_parse(const char *name, uint64_t *number)
{
    *number = 0;
    if (strcmp(name, "CURRENT") == 0)
        return NAME_CURRENT;
    if (strcmp(name, "LOCK") == 0)
        return NAME_LOCK;
    if (strcmp(name, "LOG") == 0 || strcmp(name, "LOG.old") == 0)
        return NAME_INFO_LOG;
    if (strcmp(name, "RESERVE") == 0)
        return NAME_RESERVE;
    if (ends_with(name, ".dbtmp"))
        return NAME_TEMP;
    if (strncmp(name, "MANIFEST-", 9) == 0) {
        name += 9;
        return take_number(&name, number) && *name == 0 ? NAME_MANIFEST : NAME_OTHER;
    }
    if (!take_number(&name, number))
        return NAME_OTHER;
    if (strcmp(name, ".log") == 0)
        return NAME_LOG;
    if (strcmp(name, ".ldb") == 0 || strcmp(name, ".sst") == 0)
        return NAME_TABLE;
    return NAME_OTHER;
}
