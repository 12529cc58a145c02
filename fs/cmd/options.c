/* The words of a mount command: see options.h. */
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "options.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MIN_SIZE (64u << 10)     /* of cache= and memtable= */
#define MAX_SIZE (SIZE_MAX >> 8) /* sums of several still fit */
#define MIN_COMMIT 0.001         /* seconds of commit=; with less the timer keeps a CPU busy */
#define MAX_COMMIT 86400.0
#define MAX_DELAY_US 1000000u /* commit_delay= */

enum key {
    KEY_CACHE,
    KEY_MEMTABLE,
    KEY_COMMIT,
    KEY_COMMIT_DELAY,
    KEY_COMMIT_SIBLINGS,
    KEY_COMPRESSION,
    KEY_THREADS,
    KEY_RO,
    KEY_RW,
    KEY_ALLOW_OTHER,
    KEY_ALLOW_ROOT,
    KEY_PRIVATE,
    KEY_WRITEBACK,
    KEY_NOXATTR,
    KEY_IO_URING,
    KEY_DEBUG,
    KEY_NAME, /* fsname=, subtype=: theirs is settled */
    KEY_SYNC, /* mount flags that the daemon has its part in */
    KEY_ASYNC,
    KEY_DIRSYNC,
    KEY_RELATIME,
    KEY_STRICTATIME,
    KEY_NOATIME,
    KEY_DIRATIME,
    KEY_NODIRATIME,
    KEY_FLAG,       /* a mount flag, for libfuse */
    KEY_FOREGROUND, /* -f */
    KEY_HELP,
    KEY_IGNORE,
    KEY_FAKE, /* a mount helper's -f */
};

/* Every kernel flag that libfuse knows goes on to it. Of those about access times, which are kept
 * by the daemon, it knows "noatime" alone; "lazytime" is always so. Those that mount(8) and fstab
 * have for themselves mean nothing. */
static const struct fuse_opt table[] = {
    FUSE_OPT_KEY("cache=", KEY_CACHE),
    FUSE_OPT_KEY("memtable=", KEY_MEMTABLE),
    FUSE_OPT_KEY("commit=", KEY_COMMIT),
    FUSE_OPT_KEY("commit_delay=", KEY_COMMIT_DELAY),
    FUSE_OPT_KEY("commit_siblings=", KEY_COMMIT_SIBLINGS),
    FUSE_OPT_KEY("compression=", KEY_COMPRESSION),
    FUSE_OPT_KEY("threads=", KEY_THREADS),
    FUSE_OPT_KEY("ro", KEY_RO),
    FUSE_OPT_KEY("rw", KEY_RW),
    FUSE_OPT_KEY("allow_other", KEY_ALLOW_OTHER),
    FUSE_OPT_KEY("allow_root", KEY_ALLOW_ROOT),
    FUSE_OPT_KEY("private", KEY_PRIVATE),
    FUSE_OPT_KEY("writeback", KEY_WRITEBACK),
    FUSE_OPT_KEY("noxattr", KEY_NOXATTR),
    FUSE_OPT_KEY("io_uring", KEY_IO_URING),
    FUSE_OPT_KEY("io_uring=", KEY_IO_URING),
    FUSE_OPT_KEY("debug", KEY_DEBUG),
    FUSE_OPT_KEY("-d", KEY_DEBUG),
    FUSE_OPT_KEY("fsname=", KEY_NAME),
    FUSE_OPT_KEY("subtype=", KEY_NAME),
    FUSE_OPT_KEY("suid", KEY_FLAG),
    FUSE_OPT_KEY("nosuid", KEY_FLAG),
    FUSE_OPT_KEY("dev", KEY_FLAG),
    FUSE_OPT_KEY("nodev", KEY_FLAG),
    FUSE_OPT_KEY("exec", KEY_FLAG),
    FUSE_OPT_KEY("noexec", KEY_FLAG),
    FUSE_OPT_KEY("sync", KEY_SYNC),
    FUSE_OPT_KEY("async", KEY_ASYNC),
    FUSE_OPT_KEY("dirsync", KEY_DIRSYNC),
    FUSE_OPT_KEY("context=", KEY_FLAG),
    FUSE_OPT_KEY("fscontext=", KEY_FLAG),
    FUSE_OPT_KEY("defcontext=", KEY_FLAG),
    FUSE_OPT_KEY("rootcontext=", KEY_FLAG),
    FUSE_OPT_KEY("-f", KEY_FOREGROUND),
    FUSE_OPT_KEY("--foreground", KEY_FOREGROUND),
    FUSE_OPT_KEY("-h", KEY_HELP),
    FUSE_OPT_KEY("--help", KEY_HELP),
    FUSE_OPT_KEY("default_permissions", KEY_IGNORE),
    FUSE_OPT_KEY("defaults", KEY_IGNORE),
    FUSE_OPT_KEY("auto", KEY_IGNORE),
    FUSE_OPT_KEY("noauto", KEY_IGNORE),
    FUSE_OPT_KEY("user", KEY_IGNORE),
    FUSE_OPT_KEY("user=", KEY_IGNORE),
    FUSE_OPT_KEY("users", KEY_IGNORE),
    FUSE_OPT_KEY("nouser", KEY_IGNORE),
    FUSE_OPT_KEY("owner", KEY_IGNORE),
    FUSE_OPT_KEY("group", KEY_IGNORE),
    FUSE_OPT_KEY("_netdev", KEY_IGNORE),
    FUSE_OPT_KEY("nofail", KEY_IGNORE),
    FUSE_OPT_KEY("comment=", KEY_IGNORE),
    FUSE_OPT_KEY("atime", KEY_RELATIME),
    FUSE_OPT_KEY("noatime", KEY_NOATIME),
    FUSE_OPT_KEY("diratime", KEY_DIRATIME),
    FUSE_OPT_KEY("nodiratime", KEY_NODIRATIME),
    FUSE_OPT_KEY("relatime", KEY_RELATIME),
    FUSE_OPT_KEY("norelatime", KEY_RELATIME),
    FUSE_OPT_KEY("strictatime", KEY_STRICTATIME),
    FUSE_OPT_KEY("nostrictatime", KEY_RELATIME),
    FUSE_OPT_KEY("lazytime", KEY_IGNORE),
    FUSE_OPT_KEY("nolazytime", KEY_IGNORE),
    FUSE_OPT_KEY("silent", KEY_IGNORE),
    FUSE_OPT_KEY("loud", KEY_IGNORE),
    FUSE_OPT_END,
};

/* The switches that mount(8) gives a helper; its -f means something else. */
static const struct fuse_opt helper_table[] = {
    FUSE_OPT_KEY("-f", KEY_FAKE),
    FUSE_OPT_KEY("-n", KEY_IGNORE),
    FUSE_OPT_KEY("-s", KEY_IGNORE),
    FUSE_OPT_KEY("-v", KEY_IGNORE),
    FUSE_OPT_KEY("-t ", KEY_IGNORE),
    FUSE_OPT_KEY("-N ", KEY_IGNORE),
    FUSE_OPT_END,
};

int options_parse_size(const char *text, size_t *out)
{
    unsigned long long n;
    char *end;
    int shift = 0;
    if (!isdigit((unsigned char)text[0]))
        return -EINVAL;
    errno = 0;
    n = strtoull(text, &end, 10);
    if (errno)
        return -ERANGE;
    switch (tolower((unsigned char)*end)) {
    case 'g':
        shift += 10; /* fall through */
    case 'm':
        shift += 10; /* fall through */
    case 'k':
        shift += 10;
        end++;
    }
    if (*end != '\0')
        return -EINVAL;
    if (n > (SIZE_MAX >> shift))
        return -ERANGE;
    *out = (size_t)n << shift;
    return 0;
}

static int take_size(const char *opt, const char *value, size_t *out)
{
    size_t n;
    int r = options_parse_size(value, &n);
    if (r == -ERANGE || (r == 0 && n > MAX_SIZE))
        return fail(-EINVAL, "option '%s': that is more than this machine can address", opt);
    if (r < 0)
        return fail(-EINVAL,
                    "option '%s': not a size; write digits with k, m or g behind, as in "
                    "64m",
                    opt);
    if (n < MIN_SIZE)
        return fail(-EINVAL, "option '%s': too small; at least 64k", opt);
    *out = n;
    return 0;
}

static int take_number(const char *opt, const char *value, unsigned min, unsigned max,
                       unsigned *out)
{
    char *end;
    unsigned long n;
    errno = 0;
    n = strtoul(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end != '\0' || errno || n < min || n > max)
        return fail(-EINVAL, "option '%s': give a number from %u to %u", opt, min, max);
    *out = (unsigned)n;
    return 0;
}

/* "5", "0.5", ".5": strtod alone would take "0x5", "5e-300", "inf" and " 5" as well. */
static bool is_decimal(const char *text)
{
    size_t whole = strspn(text, "0123456789"), point = text[whole] == '.';
    size_t part = point ? strspn(text + whole + 1, "0123456789") : 0;
    return whole + part > 0 && text[whole + point + part] == '\0';
}

static int take_seconds(const char *opt, const char *value, double *out)
{
    double n = is_decimal(value) ? strtod(value, NULL) : 0;
    if (n < MIN_COMMIT || n > MAX_COMMIT)
        return fail(-EINVAL, "option '%s': give seconds from %g to %.0f, as in 0.5", opt,
                    MIN_COMMIT, MAX_COMMIT);
    *out = n;
    return 0;
}

static int take_compression(const char *opt, const char *value, enum store_compression *out)
{
    if (strcmp(value, "snappy") == 0)
        *out = STORE_COMPRESS_SNAPPY;
    else if (strcmp(value, "none") == 0)
        *out = STORE_COMPRESS_NONE;
    else
        return fail(-EINVAL, "option '%s': there are snappy and none", opt);
    return 0;
}

static int take_rings(const char *opt, const char *value, enum session_rings *out)
{
    if (strcmp(opt, "io_uring") == 0 || strcmp(value, "on") == 0)
        *out = SESSION_RINGS_ON;
    else if (strcmp(value, "off") == 0)
        *out = SESSION_RINGS_OFF;
    else if (strcmp(value, "auto") == 0)
        *out = SESSION_RINGS_AUTO;
    else
        return fail(-EINVAL, "option '%s': there are auto, on and off", opt);
    return 0;
}

static int take_flag(struct options *o, const char *flag)
{
    return fuse_opt_add_opt_escaped(&o->flags, flag) ? fail(-ENOMEM, "out of memory") : 0;
}

static int take_path(struct options *o, const char *path)
{
    char **to = o->store == NULL ? &o->store : o->mountpoint == NULL ? &o->mountpoint : NULL;
    if (to == NULL)
        return fail(-EINVAL, "'%s' is one argument too many: give STORE and MOUNTPOINT", path);
    if (path[0] == '\0')
        return fail(-EINVAL, "the %s is an empty word: give a path",
                    to == &o->store ? "STORE" : "MOUNTPOINT");
    *to = mem_printf("%s", path);
    return 0;
}

static int unknown(const char *opt)
{
    if (strncmp(opt, "x-", 2) == 0 || strncmp(opt, "X-", 2) == 0) /* other programs' in fstab */
        return 0;
    if (opt[0] == '\0') /* "ro," */
        return 0;
    if (strcmp(opt, "remount") == 0)
        return fail(-EINVAL, "option 'remount': only the kernel's flags can change while it is "
                             "mounted, by 'mount -i -o remount,...'; else unmount and mount again");
    return fail(-EINVAL, "there is no option '%s': 'skeinfs help' lists them", opt);
}

/* Words without a value. */
static int take_switch(struct options *o, const char *opt, int key)
{
    switch (key) {
    case KEY_RO:
    case KEY_RW:
        o->session.read_only = o->fs.read_only = key == KEY_RO;
        break;
    case KEY_ALLOW_OTHER:
        o->session.allow_other = true;
        break;
    case KEY_ALLOW_ROOT:
        o->session.allow_root = true;
        break;
    case KEY_PRIVATE:
        o->session.private_mode = true;
        break;
    case KEY_WRITEBACK:
        o->session.writeback = true;
        break;
    case KEY_NOXATTR:
        o->session.no_xattr = true;
        break;
    case KEY_DEBUG:
        o->session.debug = o->foreground = true;
        break;
    case KEY_FOREGROUND:
        o->foreground = true;
        break;
    case KEY_HELP:
        o->help = true;
        break;
    case KEY_SYNC:
    case KEY_ASYNC:
        o->session.sync_all = key == KEY_SYNC;
        return take_flag(o, opt);
    case KEY_DIRSYNC:
        o->session.sync_names = true;
        return take_flag(o, opt);
    case KEY_RELATIME:
        o->fs.atime = FS_RELATIME;
        break;
    case KEY_STRICTATIME:
        o->fs.atime = FS_STRICTATIME;
        break;
    case KEY_NOATIME:
        o->fs.atime = FS_NOATIME;
        break;
    case KEY_DIRATIME:
    case KEY_NODIRATIME:
        o->fs.no_directory_atime = key == KEY_NODIRATIME;
        break;
    case KEY_FLAG:
        return take_flag(o, opt);
    case KEY_IGNORE:
        break;
    case FUSE_OPT_KEY_NONOPT:
        return take_path(o, opt);
    default:
        return unknown(opt);
    }
    return 0;
}

static int take_word(void *data, const char *opt, int key, struct fuse_args *rest)
{
    struct options *o = data;
    const char *equals = strchr(opt, '='), *value = equals ? equals + 1 : "";
    unsigned siblings;
    int r;
    (void)rest;
    switch (key) {
    case KEY_CACHE:
        r = take_size(opt, value, &o->fs.cache_bytes);
        break;
    case KEY_MEMTABLE:
        r = take_size(opt, value, &o->fs.memtable_bytes);
        break;
    case KEY_COMMIT:
        r = take_seconds(opt, value, &o->fs.commit_seconds);
        break;
    case KEY_COMMIT_DELAY:
        r = take_number(opt, value, 0, MAX_DELAY_US, &o->fs.store.commit_delay_us);
        break;
    case KEY_COMMIT_SIBLINGS:
        r = take_number(opt, value, 0, 1000000, &siblings);
        if (r == 0)
            o->fs.store.commit_siblings = (int)siblings;
        break;
    case KEY_COMPRESSION:
        r = take_compression(opt, value, &o->fs.store.compression);
        break;
    case KEY_IO_URING:
        r = take_rings(opt, value, &o->session.io_uring);
        break;
    case KEY_THREADS:
        r = take_number(opt, value, 1, SESSION_MAX_THREADS, &o->session.threads);
        break;
    case KEY_NAME:
        r = strcmp(opt, "subtype=" SESSION_SUBTYPE) == 0
                ? 0
                : fail(-EINVAL,
                       "option '%s': the mount table always shows the STORE's path and the "
                       "type " SESSION_FSTYPE,
                       opt);
        break;
    default:
        r = take_switch(o, opt, key);
    }
    return r < 0 ? -1 : 0;
}

/* The first pass, with helper_table: what it does not know is kept for the second. */
static int take_helper_switch(void *data, const char *opt, int key, struct fuse_args *rest)
{
    struct options *o = data;
    (void)opt;
    (void)rest;
    if (key == FUSE_OPT_KEY_OPT || key == FUSE_OPT_KEY_NONOPT)
        return 1;
    if (key == KEY_FAKE)
        o->fake = true;
    return 0;
}

/* Complaints of fuse_opt itself, about a switch without its argument. */
static void take_complaint(enum fuse_log_level level, const char *fmt, va_list ap)
{
    char text[256];
    (void)level;
    vsnprintf(text, sizeof text, fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    fail(-EINVAL, "%s", strncmp(text, "fuse: ", 6) == 0 ? text + 6 : text);
}

/* What follows from the options together. */
static int settle(struct options *o, bool root)
{
    struct session_options *s = &o->session;
    if (o->store == NULL)
        return fail(-EINVAL, "which store, and where? give STORE and MOUNTPOINT");
    if (o->mountpoint == NULL)
        return fail(-EINVAL, "where shall '%s' be mounted? give STORE and MOUNTPOINT", o->store);
    if (s->allow_other && s->allow_root)
        return fail(-EINVAL, "options 'allow_other' and 'allow_root' exclude each other: give one");
    if (s->private_mode && (s->allow_other || s->allow_root))
        return fail(-EINVAL, "option 'private' means nobody else: it excludes 'allow_other' and "
                             "'allow_root'");
    if (root && !s->private_mode && !s->allow_root)
        s->allow_other = true;
    int r = o->fs.atime == FS_NOATIME ? take_flag(o, "noatime") : 0;
    s->flags = o->flags;
    return r;
}

/* Root's mounts have devices and suid programs, as those of other filesystems (libfuse's default is
 * without); "nodev,nosuid" come later and win. */
static int default_flags(struct options *o, bool root)
{
    return root ? take_flag(o, "suid") | take_flag(o, "dev") : 0;
}

int options_parse(int argc, char **argv, bool root, struct options *out)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    int r;
    *out = (struct options){0};
    fs_options_init(&out->fs);
    session_options_init(&out->session);
    fuse_set_log_func(take_complaint);
    r = default_flags(out, root);
    if (r == 0 && strncmp(name, "mount.", 6) == 0)
        r = fuse_opt_parse(&args, out, helper_table, take_helper_switch) ? -EINVAL : 0;
    if (r == 0)
        r = fuse_opt_parse(&args, out, table, take_word) ? -EINVAL : 0;
    if (r == 0 && !out->help)
        r = settle(out, root);
    fuse_set_log_func(NULL);
    fuse_opt_free_args(&args);
    return r;
}

void options_free(struct options *o)
{
    free(o->store);
    free(o->mountpoint);
    free(o->flags);
    *o = (struct options){0};
}
