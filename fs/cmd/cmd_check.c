/* `skeinfs check [--repair] STORE`: is a store that nobody has mounted whole?
 *
 * Without --repair nothing on the disk is changed: what opening a store writes, after a crash above
 * all, stays in memory. */
#include "cmd.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "../../store/base/error.h"
#include "../../store/env/env_overlay.h"
#include "../core/fs.h"
#include "machine.h"
#include "paths.h"

static void print(void *arg, const char *line)
{
    (void)arg;
    puts(line);
}

/* A STORE that is not one would become a new one. */
static int must_be_store(const char *path)
{
    struct stat st;
    char *marker = mem_printf("%s/skeinfs", path);
    int rc = stat(marker, &st) ? -errno : 0;
    if (rc == -ENOENT || rc == -ENOTDIR)
        fail(rc, "%s: no skeinfs store: %s", path, fail_name(rc));
    else if (rc)
        fail(rc, "%s: %s", marker, fail_name(rc));
    free(marker);
    return rc;
}

static void say_repaired(struct fs *fs, const char *path)
{
    struct store_stats st;
    store_get_stats(fs_store(fs), &st);
    if (st.damaged_tables == 0 && st.cut_records == 0 && st.cut_bytes == 0)
        return;
    printf("repaired: %llu tables were damaged, %llu changes (%llu bytes) of the log were cut off; "
           "what could not "
           "be read is in %s/kv/lost, and %s/kv/LOG says more\n",
           (unsigned long long)st.damaged_tables, (unsigned long long)st.cut_records,
           (unsigned long long)st.cut_bytes, path, path);
}

/* Compactions would only fill the memory, and so would the reserve, which is copied there. */
static void spare_memory(struct store_options *o)
{
    o->reserve_bytes = 0;
    o->l0_compact = 1 << 20;
    o->level_base_bytes = SIZE_MAX;
}

/* Damage is what one came to hear of; with any other error nothing is known of the store. */
static int could_not_open(int rc, const char *path)
{
    machine_advise(rc, path, false);
    say("%s", fail_text());
    return rc == STORE_ECORRUPT || rc == STORE_EFORMAT ? EXIT_FAILED : EXIT_USAGE;
}

static int check(const char *path, bool repair, struct env *env)
{
    struct fs_options o;
    struct fs *fs;
    fs_options_init(&o);
    o.store.repair = repair;
    o.store.env = env;
    o.only_read_segments = !repair;
    if (!repair)
        spare_memory(&o.store);
    int rc = machine_file_limit(&o.store);
    if (rc == 0)
        rc = must_be_store(path);
    if (rc == 0)
        rc = fs_open(path, &o, &fs);
    if (rc)
        return could_not_open(rc, path);
    if (repair)
        say_repaired(fs, path);
    int findings = fs_check(fs, print, NULL);
    if (fs_close(fs) < 0) {
        say("%s", fail_text());
        return EXIT_FAILED;
    }
    if (findings == 0)
        printf("%s: whole\n", path);
    else
        say("%s: %d findings%s", path, findings,
            repair ? "" : "; 'skeinfs check --repair' makes the best of damaged tables and logs");
    return findings ? EXIT_FAILED : EXIT_OK;
}

int cmd_check(int argc, char **argv)
{
    static const struct option options[] = {
        {"repair", no_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'}, {0}};
    bool repair = false;
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'h')
            return cmd_help(argc, argv);
        if (c != 'r') {
            say("check has no option '%s': there is --repair", argv[optind - 1]);
            return EXIT_USAGE;
        }
        repair = true;
    }
    if (argc - optind != 1) {
        say(optind == argc ? "which store? give its folder" : "give one STORE at a time");
        return EXIT_USAGE;
    }
    char *path;
    if (paths_store(argv[optind], &path) < 0) {
        say("%s", fail_text());
        return EXIT_USAGE;
    }
    struct env *above = repair ? NULL : env_overlay_new(env_posix());
    int code = check(path, repair, above ? above : env_posix());
    if (above)
        env_overlay_free(above);
    free(path);
    return code;
}
