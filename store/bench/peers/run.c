/* A run in a process of its own: its highest memory (VmHWM), what it handed to the disk and its CPU
 * time are then those of one engine and one workload. The result comes back through a pipe. */
#include "peers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- folders (flat ones: no engine makes subfolders here) */

typedef void (*each_file)(const char *path, const char *name, void *arg);

static void for_each_file(const char *dir, each_file f, void *arg)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') {
            char *path = mem_printf("%s/%s", dir, e->d_name);
            f(path, e->d_name, arg);
            free(path);
        }
    if (d)
        closedir(d);
}

static void remove_it(const char *path, const char *name, void *arg)
{
    (void)name, (void)arg;
    if (unlink(path))
        for_each_file(path, remove_it, NULL), rmdir(path);
}

static void remove_folder(const char *dir)
{
    for_each_file(dir, remove_it, NULL);
    rmdir(dir);
}

static void add_space(const char *path, const char *name, void *arg)
{
    struct stat st;
    uint64_t *sum = arg;
    (void)name;
    if (stat(path, &st) == 0)
        *sum += (uint64_t)st.st_blocks * 512;
}

static uint64_t space_of(const char *dir)
{
    uint64_t sum = 0;
    for_each_file(dir, add_space, &sum);
    return sum;
}

static void copy_file(const char *path, const char *name, void *arg)
{
    char *to = mem_printf("%s/%s", (const char *)arg, name);
    int in = open(path, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct stat st;
    ssize_t n = -1;
    if (in >= 0 && out >= 0 && fstat(in, &st) == 0)
        while ((n = copy_file_range(in, NULL, out, NULL, (size_t)st.st_size + 1, 0)) > 0)
            ;
    if (n < 0 || fsync(out))
        engine_failed("bench-store", "copy of a store", strerror(errno));
    close(in);
    close(out);
    free(to);
}

/* ---- what the kernel counted */

static uint64_t number_in(const char *path, const char *field)
{
    char line[256];
    unsigned long long v = 0;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, field, strlen(field)) == 0)
            v = strtoull(line + strlen(field), NULL, 10);
    if (f)
        fclose(f);
    return v;
}

/* ---- the child */

static void set_up(const struct settings *s, const char *dir, struct engine_setup *out)
{
    *out = (struct engine_setup){
        .dir = dir,
        .memtable_bytes = (size_t)s->memtable,
        .cache_bytes = (size_t)s->cache,
        .block_bytes = (size_t)s->block,
        .table_bytes = (size_t)s->table,
        .bloom_bits = (int)s->bloom_bits,
        .max_open = (int)s->max_open,
        .compress = s->compress != 0,
    };
}

/* Waits (up to half a minute) until the background of an engine is done: the space of the folder
 * has not changed for half a second. None of the three says so itself. */
static void settle(const char *dir)
{
    uint64_t before = space_of(dir);
    for (int same = 0, i = 0; same < 5 && i < 300; i++) {
        usleep(100000);
        uint64_t after = space_of(dir);
        same = after == before ? same + 1 : 0;
        before = after;
    }
}

static void child(struct work *w, const char *dir, int result_fd, bool fill)
{
    struct engine_setup setup;
    set_up(w->settings, dir, &setup);
    w->db = w->engine->open(&setup);
    if (fill) {
        work_fill(w);
        settle(dir);
    } else {
        work_run(w);
    }
    w->engine->close(w->db);
    w->result.space_bytes = space_of(dir);
    w->result.peak_kib = number_in("/proc/self/status", "VmHWM:");
    w->engine->close(w->engine->open(&setup)); /* who left changes in a log makes a table of them */
    w->result.disk_bytes = number_in("/proc/self/io", "write_bytes:");
    if (write(result_fd, &w->result, sizeof w->result) != (ssize_t)sizeof w->result)
        _exit(1);
    _exit(0);
}

static bool run_child(struct work *w, const char *dir, bool fill)
{
    int fds[2], status = 0;
    fflush(NULL);
    if (pipe(fds))
        engine_failed("bench-store", "pipe", strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        child(w, dir, fds[1], fill);
    close(fds[1]);
    bool whole = pid > 0 && read(fds[0], &w->result, sizeof w->result) == sizeof w->result;
    close(fds[0]);
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (!whole || status)
        fprintf(stderr, "bench-store: %s with %s did not end well (status %d)\n",
                fill ? "the filling" : w->workload->name, w->engine->name, status);
    return whole && !status;
}

/* ---- calls */

static char *filled_dir(const struct settings *s, const struct engine *e)
{
    return mem_printf("%s/filled-%s", s->dir, e->name);
}

bool run_prepare(const struct settings *s, const struct engine *e)
{
    struct work w = {.settings = s, .engine = e, .num = s->num, .value_bytes = s->value_bytes};
    char *dir = filled_dir(s, e);
    remove_folder(dir);
    bool ok = mkdir(dir, 0755) == 0 && run_child(&w, dir, true);
    free(dir);
    return ok;
}

bool run_once(const struct settings *s, const struct workload *w, const struct engine *e,
              struct result *out)
{
    struct work work = {.settings = s, .workload = w, .engine = e};
    char *dir = mem_printf("%s/run-%s", s->dir, e->name), *filled = filled_dir(s, e);
    work.num = w->divide ? s->num / w->divide + 1 : s->num;
    work.value_bytes = w->value_bytes ? w->value_bytes : s->value_bytes;
    remove_folder(dir);
    bool ok = mkdir(dir, 0755) == 0;
    if (ok && w->filled)
        for_each_file(filled, copy_file, dir);
    sync(); /* what the run before left to the kernel is not this one's to wait for */
    ok = ok && run_child(&work, dir, false);
    *out = work.result;
    remove_folder(dir);
    free(dir);
    free(filled);
    return ok;
}

void run_clean(const struct settings *s)
{
    for (int i = 0; i < ENGINES; i++) {
        char *dir = filled_dir(s, engines[i]);
        remove_folder(dir);
        free(dir);
    }
}
