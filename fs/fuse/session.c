/* A mount from its beginning to its end: see session.h. */
#include "internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "mountinfo.h"
#include "unmount.h"

#define UMOUNT_F_MS 100 /* umount -f ends within this time */

/* libfuse's log function has no argument, so the process's one session is found here. */
static struct session *logging;
static char last_line[512]; /* of libfuse, before the session was ready: why it failed */

static void take_line(enum fuse_log_level level, const char *fmt, va_list ap)
{
    struct session *s = logging;
    char line[sizeof last_line];
    (void)level;
    vsnprintf(line, sizeof line, fmt, ap);
    line[strcspn(line, "\n")] = '\0';
    const char *text = strncmp(line, "fuse: ", 6) == 0 ? line + 6 : line;
    if (text[0] == '\0')
        return;
    if (s == NULL || !atomic_load(&s->ready))
        snprintf(last_line, sizeof last_line, "%s", text);
    if (s && s->o->log && (atomic_load(&s->ready) || s->o->debug))
        s->o->log(text);
}

void session_options_init(struct session_options *o)
{
    *o = (struct session_options){.threads = 16};
}

/* One -o for libfuse. Commas and backslashes in a value are escaped for its parser. */
static int add(char **opts, const char *name, const char *value)
{
    char *opt = mem_printf("%s%s", name, value);
    int r = fuse_opt_add_opt_escaped(opts, opt);
    free(opt);
    return r;
}

static int build_args(const struct session_options *o, struct fuse_args *args)
{
    char *opts = NULL;
    int r = add(&opts, "fsname=", o->source) | add(&opts, "subtype=", SESSION_SUBTYPE);
    assert(!(o->allow_other && o->allow_root));
    if (!o->private_mode)
        r |= fuse_opt_add_opt(&opts, "default_permissions");
    if (o->allow_other)
        r |= fuse_opt_add_opt(&opts, "allow_other");
    if (o->allow_root)
        r |= fuse_opt_add_opt(&opts, "allow_root");
    if (o->read_only)
        r |= fuse_opt_add_opt(&opts, "ro");
    if (o->debug)
        r |= fuse_opt_add_opt(&opts, "debug");
    if (o->flags)
        r |= fuse_opt_add_opt(&opts, o->flags);
    r |= fuse_opt_add_arg(args, "skeinfs") | fuse_opt_add_arg(args, "-o") |
         (opts ? fuse_opt_add_arg(args, opts) : -1);
    free(opts);
    return r ? fail(-ENOMEM, "libfuse's options: out of memory") : 0;
}

static struct fuse_lowlevel_ops operations(const struct session_options *o)
{
    struct fuse_lowlevel_ops ops = {.init = init_negotiate};
    ops_names(&ops);
    ops_attr(&ops);
    ops_data(&ops);
    ops_space(&ops);
    ops_dir(&ops);
    if (!o->no_xattr) /* ENOSYS, once: the kernel asks for none any more */
        ops_xattr(&ops);
    return ops;
}

/* Which line of the mount table the new mount is: so that later no other mount at the same place is
 * taken for it. */
static void remember_mount(struct session *s, struct mount_id *id)
{
    struct mount_entry e;
    if (mountinfo_find(s->o->mountpoint, &e) < 0)
        return;
    *id = e.id;
    s->mount = id;
    mountinfo_entry_free(&e);
    if (s->o->mounted)
        s->o->mounted(s->o->arg, id->minor);
}

static int serve(struct session *s)
{
    int r = init_patch_install(s);
    if (r < 0)
        return r;
    s->loop_fd = eventfd(0, EFD_CLOEXEC);
    if (s->loop_fd < 0)
        return fail(-errno, "eventfd: %s", fail_name(-errno));
    r = stop_start(s);
    if (r == 0) {
        r = loop_run(s);
        stop_end(s);
    }
    close(s->loop_fd);
    if (r == 0 && !atomic_load(&s->ready))
        r = fail(-EINTR, "%s",
                 last_line[0] ? last_line : "it was stopped before the mount answered");
    return r;
}

/* (A number is used again as soon as its mount is gone; but nobody else mounts this STORE while the
 * caller has it open.) */
static bool is_in_table(const struct session *s)
{
    struct mount_entry e;
    if (s->mount == NULL || mountinfo_find(s->o->mountpoint, &e) < 0)
        return false;
    bool ours = e.id.major == s->mount->major && e.id.minor == s->mount->minor &&
                strcmp(e.fstype, SESSION_FSTYPE) == 0 && strcmp(e.source, s->o->source) == 0;
    mountinfo_entry_free(&e);
    return ours;
}

/* Where the kernel ended the connection because the last use of the mount was gone, nothing is in
 * the table. umount -f cuts it first, and takes the mount away just after. */
static int take_dead_mount_away(const struct session *s)
{
    for (int i = 0; i < UMOUNT_F_MS && is_in_table(s); i++)
        usleep(1000);
    if (!is_in_table(s))
        return 0;
    unmount_dead(s->o->mountpoint);
    return fail(-ECONNABORTED, "its connection was cut from outside (fusectl's abort, or umount -f)"
                               " and the mount is gone; mount again");
}

/* One that was detached while in use, or covered by another mount, must not be unmounted by its
 * path: destroying the session cuts it off. */
static int leave_mount(const struct session *s)
{
    if (stop_kernel_ended(s)) {
        fuse_session_unmount(s->se); /* (libfuse sees that, and unmounts nothing) */
        return take_dead_mount_away(s);
    }
    if (stop_still_mounted(s))
        fuse_session_unmount(s->se);
    return 0;
}

int session_run(struct fs *fs, const struct session_options *o)
{
    struct session s = {.fs = fs, .o = o};
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    struct fuse_lowlevel_ops ops = operations(o);
    struct mount_id id;
    int r = build_args(o, &args);
    if (r < 0)
        goto out;
    logging = &s;
    fuse_set_log_func(take_line);
    s.se = fuse_session_new(&args, &ops, sizeof ops, &s);
    if (s.se == NULL) {
        r = fail(-EINVAL, "%s", last_line[0] ? last_line : "libfuse refused the options");
        goto out;
    }
    if (fuse_session_mount(s.se, o->mountpoint) != 0) {
        /* fusermount3 has its say on stderr itself. */
        r = fail(-EPERM, "%s", last_line[0] ? last_line : "fusermount3 refused (see above)");
        goto out;
    }
    remember_mount(&s, &id);
    r = serve(&s);
    char *first = r < 0 ? mem_printf("%s", fail_text()) : NULL;
    int left = leave_mount(&s);
    r = first ? fail(r, "%s", first) : left;
    free(first);
out:
    if (s.se)
        fuse_session_destroy(s.se);
    fuse_set_log_func(NULL);
    logging = NULL;
    fuse_opt_free_args(&args);
    return r;
}
