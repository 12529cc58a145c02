/* What store-bench prints: db_bench's header and lines, and the store's own counters. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../db/db.h"
#include "bench.h"

void report_header(const struct bench_flags *f)
{
    double key = 16.0 + (double)f->key_prefix, value = (double)f->value_size, n = (double)f->num;
    time_t now = time(NULL);
    char date[32];
    fprintf(stderr, "Store:      skeinfs, in LevelDB's format\n");
    fprintf(stderr, "Date:       %s", ctime_r(&now, date));
    fprintf(stderr, "CPU:        %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
    printf("Keys:       %.0f bytes each\n", key);
    printf("Values:     %ld bytes each (%.0f bytes after compression)\n", f->value_size,
           value * f->compression_ratio + 0.5);
    printf("Entries:    %ld\n", f->num);
    printf("RawSize:    %.1f MB (estimated)\n", (key + value) * n / 1048576);
    printf("FileSize:   %.1f MB (estimated)\n", (key + value * f->compression_ratio) * n / 1048576);
    printf("------------------------------------------------\n");
    fflush(stdout);
}

void report_result(const char *name, const struct bench_thread *threads, int count)
{
    struct bench_thread sum = {.start_ns = UINT64_MAX};
    double seconds = 0;
    const char *message = "";
    for (int i = 0; i < count; i++) {
        const struct bench_thread *t = &threads[i];
        if (t->error)
            printf("%-12s : error: %s\n", name, t->error);
        if (!t->finish_ns)
            continue;
        sum.done += t->done;
        sum.bytes += t->bytes;
        message = message[0] ? message : t->message;
        seconds += (double)(t->finish_ns - t->start_ns) / 1e9;
        sum.start_ns = t->start_ns < sum.start_ns ? t->start_ns : sum.start_ns;
        sum.finish_ns = t->finish_ns > sum.finish_ns ? t->finish_ns : sum.finish_ns;
        histogram_merge(&sum.latency, &t->latency);
    }
    double elapsed = (double)(sum.finish_ns - sum.start_ns) / 1e9;
    printf("%-12s : %11.3f micros/op;", name, seconds * 1e6 / (double)(sum.done ? sum.done : 1));
    if (sum.bytes)
        printf(" %6.1f MB/s", (double)sum.bytes / 1048576 / elapsed);
    if (message[0])
        printf(" %s", message);
    printf("\n");
    if (sum.latency.count) {
        printf("Microseconds per op:\n");
        histogram_print(&sum.latency, stdout);
    }
    fflush(stdout);
}

void report_stats(struct bench *b)
{
    struct store_stats st;
    store_get_stats(b->store, &st);
    printf("groups %llu, writers %llu, sync rounds %llu, sync writers %llu, flushes %llu, "
           "compactions %llu\n",
           (unsigned long long)st.groups, (unsigned long long)st.writers,
           (unsigned long long)st.syncs, (unsigned long long)st.sync_writers,
           (unsigned long long)st.flushes, (unsigned long long)st.compactions);
    printf("bytes: log %llu, flush %llu, compaction read %llu, written %llu; delays %llu, stalls "
           "%llu, waits of %llu us, at most %llu us\n",
           (unsigned long long)st.log_bytes, (unsigned long long)st.flush_bytes,
           (unsigned long long)st.compact_read_bytes, (unsigned long long)st.compact_write_bytes,
           (unsigned long long)st.delays, (unsigned long long)st.stalls,
           (unsigned long long)st.delayed_us, (unsigned long long)st.longest_wait_us);
    for (int i = 0; i < 7; i++)
        if (st.level_files[i])
            printf("level %d: %d tables, %llu bytes\n", i, st.level_files[i],
                   (unsigned long long)st.level_bytes[i]);
}

void report_tables(struct bench *b)
{
    struct buf text = BUF_INIT;
    struct view *v = view_take(b->store);
    version_to_text(v->version, &text);
    view_release(v);
    fwrite(text.data, 1, text.len, stdout);
    buf_free(&text);
}
