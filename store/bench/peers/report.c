/* Medians, and ratios to ours. A ratio is taken within a round, where the two runs stood beside
 * each other, and what is shown is the median of the rounds' ratios with the lowest and the
 * highest: a machine that others use moves both sides of a ratio, and the spread says how far to
 * trust it. */
#include "peers.h"

#include <errno.h>
#include <stdlib.h>
#include <stdarg.h>
#include <sys/utsname.h>
#include <unistd.h>

struct report {
    const struct settings *settings;
    FILE *csv, *ratios, *table;
    struct result (*results)[ENGINES];         /* of the workload that is reported, by round */
    struct result (*all)[MAX_ROUNDS][ENGINES]; /* by workload */
};

struct spread {
    double low, median, high;
    int count;
};

static int compare(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static struct spread spread_of(double *v, int n)
{
    if (n == 0)
        return (struct spread){0};
    qsort(v, (size_t)n, sizeof *v, compare);
    double median = n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
    return (struct spread){v[0], median, v[n - 1], n};
}

/* ---- what is compared */

static double rate(const struct result *r)
{
    return r->seconds > 0 ? (double)r->ops / r->seconds : 0;
}

static double cpu_per_op(const struct result *r)
{
    return r->ops ? r->cpu_seconds * 1e6 / (double)r->ops : 0;
}

static double written_per_byte(const struct result *r)
{
    return r->put_bytes ? (double)r->disk_bytes / (double)r->put_bytes : 0;
}

static double peak_mib(const struct result *r)
{
    return (double)r->peak_kib / 1024;
}

static double space_mib(const struct result *r)
{
    return (double)r->space_bytes / (1 << 20);
}

static double p50(const struct result *r)
{
    return r->p50_us;
}

static double p99(const struct result *r)
{
    return r->p99_us;
}

static double longest(const struct result *r)
{
    return r->max_us;
}

typedef double (*figure)(const struct result *r);

static struct spread of_engine(const struct report *r, int engine, figure f)
{
    double v[MAX_ROUNDS];
    int n = 0;
    for (long i = 0; i < r->settings->rounds; i++)
        if (r->results[i][engine].done)
            v[n++] = f(&r->results[i][engine]);
    return spread_of(v, n);
}

/* Ours / theirs, round by round. */
static struct spread against(const struct report *r, int engine, figure f)
{
    double v[MAX_ROUNDS];
    int n = 0;
    for (long i = 0; i < r->settings->rounds; i++) {
        const struct result *mine = &r->results[i][0], *theirs = &r->results[i][engine];
        if (mine->done && theirs->done && f(theirs) > 0)
            v[n++] = f(mine) / f(theirs);
    }
    return spread_of(v, n);
}

/* ---- files */

static FILE *create(const struct settings *s, const char *name)
{
    char *path = mem_printf("%s/%s", s->dir, name);
    FILE *f = fopen(path, "w");
    if (!f)
        engine_failed("bench-store", path, strerror(errno));
    free(path);
    return f;
}

__attribute__((format(printf, 2, 3))) static void say(struct report *r, const char *fmt, ...)
{
    va_list ap;
    for (int i = 0; i < 2; i++) {
        va_start(ap, fmt);
        vfprintf(i ? r->table : stdout, fmt, ap);
        va_end(ap);
    }
    fflush(stdout);
    fflush(r->table);
}

struct report *report_open(const struct settings *s)
{
    struct report *r = mem_zalloc(sizeof *r);
    struct utsname u;
    r->settings = s;
    r->all = mem_zalloc((size_t)workload_count * sizeof *r->all);
    r->csv = create(s, "results.csv");
    r->ratios = create(s, "ratios.dat");
    r->table = create(s, "table.txt");
    uname(&u);
    say(r,
        "Linux %s, %ld cores; %ld keys of %d bytes, values of %ld bytes; memtable %ld KiB, block "
        "cache %ld KiB,\nblocks %ld bytes, tables %ld KiB, %ld Bloom bits, %s; %ld rounds, runs "
        "with sync %ld ms.\n",
        u.release, sysconf(_SC_NPROCESSORS_ONLN), s->num, KEY_BYTES, s->value_bytes,
        s->memtable >> 10, s->cache >> 10, s->block, s->table >> 10, s->bloom_bits,
        s->compress ? "snappy" : "not compressed", s->rounds, s->milliseconds);
    say(r,
        "Medians; a ratio is ours / theirs in the same round: median (lowest to highest). CPU: "
        "microseconds an operation,\nall threads; disk: bytes written for each byte put, until "
        "closed and opened again; space of the folder and peak memory in MiB. max us of waits: the "
        "longest that a "
        "put "
        "was held up.\n\n%-16s %-8s %11s %8s %8s %8s %8s "
        "%6s %7s %6s  %s\n",
        "", "", "ops/s", "CPU us", "p50 us", "p99 us", "max us", "disk", "space", "memory",
        "ours / theirs: ops/s and CPU");
    fprintf(r->csv,
            "workload,engine,round,ops,seconds,ops_per_second,cpu_us_per_op,p50_us,p99_us,max_us,"
            "put_bytes,disk_bytes,space_bytes,peak_kib\n");
    return r;
}

void report_run(struct report *r, const struct workload *w, int engine, long round,
                const struct result *x)
{
    r->all[w - workloads][round][engine] = *x;
    fprintf(r->csv, "%s,%s,%ld,%llu,%.6f,%.1f,%.4f,%.2f,%.2f,%.2f,%llu,%llu,%llu,%llu\n", w->name,
            engines[engine]->name, round + 1, (unsigned long long)x->ops, x->seconds, rate(x),
            cpu_per_op(x), x->p50_us, x->p99_us, x->max_us, (unsigned long long)x->put_bytes,
            (unsigned long long)x->disk_bytes, (unsigned long long)x->space_bytes,
            (unsigned long long)x->peak_kib);
    fflush(r->csv);
}

static void say_figure(struct report *r, int engine, figure f, int width, int digits)
{
    double v = of_engine(r, engine, f).median;
    if (v > 0)
        say(r, " %*.*f", width, digits, v);
    else
        say(r, " %*s", width, "-");
}

void report_workload(struct report *r, const struct workload *w)
{
    r->results = r->all[w - workloads];
    fprintf(r->ratios, "%s", w->name);
    for (int e = 0; e < ENGINES; e++) {
        struct spread ratio = against(r, e, rate), cpu = against(r, e, cpu_per_op);
        if (e > 0)
            fprintf(r->ratios, " %.3f %.3f %.3f", ratio.median, ratio.low, ratio.high);
        if (of_engine(r, e, rate).count == 0)
            continue;
        say(r, "%-16s %-8s", e == 0 ? w->name : "", engines[e]->name);
        say_figure(r, e, rate, 11, 0);
        say_figure(r, e, cpu_per_op, 8, 2);
        say_figure(r, e, p50, 8, 1);
        say_figure(r, e, p99, 8, 1);
        say_figure(r, e, longest, 8, 0);
        say_figure(r, e, written_per_byte, 6, 2);
        say_figure(r, e, space_mib, 7, 1);
        say_figure(r, e, peak_mib, 6, 1);
        if (e > 0 && ratio.count)
            say(r, "  %5.2f (%.2f to %.2f), CPU %.2f", ratio.median, ratio.low, ratio.high,
                cpu.median);
        if (e > 0 && against(r, e, p50).count)
            say(r, ", p50 %.2f, p99 %.2f, max %.2f", against(r, e, p50).median,
                against(r, e, p99).median, against(r, e, longest).median);
        say(r, "\n");
    }
    fprintf(r->ratios, "\n");
}

void report_close(struct report *r)
{
    fclose(r->csv);
    fclose(r->ratios);
    fclose(r->table);
    free(r->all);
    free(r);
}
