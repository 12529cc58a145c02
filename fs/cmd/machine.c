/* See machine.h. */
#include "machine.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "../../store/base/buf.h"
#include "../../store/base/error.h"

#define LEAST_FILES 128
#define OTHER_FILES 96 /* beside tables: 64 segments, logs, requests */

int machine_file_limit(struct store_options *o)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            limit.rlim_cur = before;
    }
    if (limit.rlim_cur < LEAST_FILES)
        return fail(-EMFILE, "the limit of open files is %llu: raise it to %d or more (ulimit -n)",
                    (unsigned long long)limit.rlim_cur, LEAST_FILES);
    if (limit.rlim_cur - OTHER_FILES < (rlim_t)o->max_open_tables)
        o->max_open_tables = (int)(limit.rlim_cur - OTHER_FILES);
    return 0;
}

static const char *advice(int r, const char *store, bool mount)
{
    if (r == -EACCES || r == -EPERM)
        return "run it as root, or as the STORE's owner";
    if (r != -EROFS)
        return NULL;
    if (!mount)
        return "make that disk writable for a repair";
    char *marker = mem_printf("%s/skeinfs", store);
    bool is_store = access(marker, F_OK) == 0;
    free(marker);
    return is_store ? "'-o ro' mounts it" : "no new store can be made there: name another folder";
}

int machine_advise(int r, const char *store, bool mount)
{
    const char *what = advice(r, store, mount);
    if (what == NULL)
        return r;
    char *why = mem_printf("%s", fail_text());
    fail(r, "%s: %s", why, what);
    free(why);
    return r;
}
