/* Latencies in microseconds: exact for percentiles to about 2 %. One thread at a time. */
#ifndef STORE_BENCH_HISTOGRAM_H
#define STORE_BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_BUCKETS 2048

struct histogram {
    uint64_t count;
    double sum, sum_squares, min, max;
    uint64_t bucket[HISTOGRAM_BUCKETS]; /* of logarithmic width */
};

void histogram_clear(struct histogram *h);
void histogram_add(struct histogram *h, double us);
void histogram_merge(struct histogram *h, const struct histogram *other);
double histogram_percentile(const struct histogram *h, double p); /* p: 0 to 100 */
void histogram_print(const struct histogram *h, FILE *out);

#endif
