/* build/bench-store: settings, and the order of the runs: round by round, for each workload one
 * engine after the other (A B C), so that what else the machine does meets all of them. */
#include "peers.h"

#include <stdlib.h>
#include <sys/stat.h>

const struct engine *const engines[ENGINES] = {&engine_skein, &engine_leveldb, &engine_rocksdb};

void engine_failed(const char *engine, const char *what, const char *why)
{
    fprintf(stderr, "bench-store: %s: %s: %s\n", engine, what, why);
    exit(1);
}

/* ---- settings, out of the environment */

static long setting(const char *name, long standard)
{
    const char *text = getenv(name);
    char *end;
    if (!text || !*text)
        return standard;
    long v = strtol(text, &end, 10);
    long unit = *end == 'k' ? 1 << 10 : *end == 'm' ? 1 << 20 : 1;
    if (unit > 1)
        end++;
    if (*end || v < 0) {
        fprintf(stderr, "bench-store: %s=%s: not a number (k and m may follow)\n", name, text);
        exit(2);
    }
    return v * unit;
}

static void read_settings(struct settings *s)
{
    bool beyond = setting("BEYOND", 0) != 0;
    *s = (struct settings){
        .num = setting("NUM", beyond ? 3000000 : 300000),
        .value_bytes = setting("VALUE", 100),
        .rounds = setting("ROUNDS", 5),
        .milliseconds = setting("MS", 1500),
        .memtable = setting("MEMTABLE", 4 << 20),
        .cache = setting("CACHE", beyond ? 8 << 20 : 64 << 20),
        .block = setting("BLOCK", 4096),
        .table = setting("TABLE", 2 << 20),
        .bloom_bits = setting("BLOOM", 10),
        .max_open = setting("OPEN", 1000),
        .compress = setting("COMPRESS", 1),
        .only = getenv("ONLY"),
        .dir = getenv("DIR"),
    };
    if (!s->dir)
        s->dir = "build/bench";
    if (s->rounds < 1 || s->rounds > MAX_ROUNDS || s->num < 1000 || s->value_bytes < 1) {
        fprintf(stderr, "bench-store: ROUNDS is 1 to %d, NUM at least 1000, VALUE at least 1\n",
                MAX_ROUNDS);
        exit(2);
    }
}

static bool chosen(const struct settings *s, const char *name)
{
    if (!s->only || !*s->only)
        return true;
    for (const char *p = s->only; *p;) {
        size_t len = strcspn(p, ", ");
        if (len > 0 && strncmp(name, p, len) == 0)
            return true;
        p += len + (p[len] != 0);
    }
    return false;
}

/* ---- the runs */

static bool engine_chosen(const struct engine *e)
{
    const char *list = getenv("ENGINES");
    return !e->missing && (!list || !*list || strstr(list, e->name));
}

static bool prepare(const struct settings *s)
{
    bool ok = true, needed = false;
    for (int i = 0; i < workload_count; i++)
        needed |= workloads[i].filled && chosen(s, workloads[i].name);
    for (int e = 0; needed && ok && e < ENGINES; e++)
        if (engine_chosen(engines[e]))
            ok = run_prepare(s, engines[e]);
    return ok;
}

/* The filled stores are made anew for each round: how a store lies in its levels after a fill is a
 * matter of moments, and reads feel it. */
static bool run_round(const struct settings *s, struct report *report, long round)
{
    if (!prepare(s))
        return false;
    for (int i = 0; i < workload_count; i++)
        for (int e = 0; e < ENGINES; e++) {
            struct result result;
            if (!chosen(s, workloads[i].name) || !engine_chosen(engines[e]))
                continue;
            if (!run_once(s, &workloads[i], engines[e], &result))
                return false;
            report_run(report, &workloads[i], e, round, &result);
        }
    fprintf(stderr, "bench-store: round %ld of %ld is done\n", round + 1, s->rounds);
    return true;
}

static void list_workloads(void)
{
    printf(
        "Settings, as NAME=value before or behind make: ROUNDS NUM VALUE MS (of a run with sync) "
        "ONLY (names or beginnings)\nENGINES (skein LevelDB RocksDB) BEYOND=1 (larger than the "
        "cache) MEMTABLE CACHE BLOCK TABLE BLOOM OPEN COMPRESS DIR\nWorkloads:\n");
    for (int i = 0; i < workload_count; i++)
        printf("  %-16s %s\n", workloads[i].name, workloads[i].what);
}

int main(int argc, char **argv)
{
    struct settings s;
    bool ok = true;
    (void)argv;
    if (argc > 1) {
        list_workloads();
        return 2;
    }
    read_settings(&s);
    mkdir(s.dir, 0755);
    for (int e = 0; e < ENGINES; e++)
        if (engines[e]->missing)
            fprintf(stderr, "bench-store: without %s, for its header is missing (package %s)\n",
                    engines[e]->name, engines[e]->missing);
    struct report *report = report_open(&s);
    for (long round = 0; ok && round < s.rounds; round++)
        ok = run_round(&s, report, round);
    for (int i = 0; ok && i < workload_count; i++)
        if (chosen(&s, workloads[i].name))
            report_workload(report, &workloads[i]);
    report_close(report);
    run_clean(&s);
    return ok ? 0 : 1;
}
