/* See histogram.h. Bucket i holds 0.1 us * 1.015^i and more. */
#include "histogram.h"

#include <math.h>
#include <string.h>

#define FIRST_US 0.1
#define GROWTH 1.015

void histogram_clear(struct histogram *h)
{
    memset(h, 0, sizeof *h);
}

static int bucket_of(double us)
{
    int i = us <= FIRST_US ? 0 : (int)(log(us / FIRST_US) / log(GROWTH));
    return i < HISTOGRAM_BUCKETS ? i : HISTOGRAM_BUCKETS - 1;
}

void histogram_add(struct histogram *h, double us)
{
    if (h->count == 0 || us < h->min)
        h->min = us;
    if (us > h->max)
        h->max = us;
    h->count++;
    h->sum += us;
    h->sum_squares += us * us;
    h->bucket[bucket_of(us)]++;
}

void histogram_merge(struct histogram *h, const struct histogram *other)
{
    if (other->count == 0)
        return;
    if (h->count == 0 || other->min < h->min)
        h->min = other->min;
    if (other->max > h->max)
        h->max = other->max;
    h->count += other->count;
    h->sum += other->sum;
    h->sum_squares += other->sum_squares;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->bucket[i] += other->bucket[i];
}

double histogram_percentile(const struct histogram *h, double p)
{
    double want = (double)h->count * p / 100, seen = 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += (double)h->bucket[i];
        if (seen >= want && h->bucket[i]) {
            double edge = FIRST_US * pow(GROWTH, i + 1);
            return edge > h->max ? h->max : edge < h->min ? h->min : edge;
        }
    }
    return h->max;
}

/* The next of db_bench's limits: 1 to 10, then 12 14 16 18 20 25 30 35 40 45 50 60 70 80 90, and so
 * on by tens. */
static double next_limit(double limit)
{
    double ten = 1;
    while (ten * 10 <= limit)
        ten *= 10;
    double lead = limit / ten;
    double step = ten < 5 ? 1 : lead < 1.9 ? 0.2 : lead < 4.9 ? 0.5 : 1;
    return limit + step * ten;
}

static void print_buckets(const struct histogram *h, FILE *out)
{
    double low = 0, high = 1, total = (double)h->count, sum = 0;
    int i = 0;
    while (i < HISTOGRAM_BUCKETS && sum < total) {
        double here = 0;
        for (; i < HISTOGRAM_BUCKETS && FIRST_US * pow(GROWTH, i) < high; i++)
            here += (double)h->bucket[i];
        sum += here;
        if (here > 0) {
            fprintf(out, "[ %7.0f, %7.0f ) %7.0f %7.3f%% %7.3f%% ", low, high, here,
                    100 * here / total, 100 * sum / total);
            for (int marks = (int)(20 * here / total + 0.5); marks > 0; marks--)
                putc('#', out);
            putc('\n', out);
        }
        low = high;
        high = next_limit(high);
    }
}

void histogram_print(const struct histogram *h, FILE *out)
{
    double n = h->count ? (double)h->count : 1, mean = h->sum / n;
    double variance = h->sum_squares / n - mean * mean;
    fprintf(out, "Count: %llu  Average: %.4f  StdDev: %.2f\n", (unsigned long long)h->count, mean,
            sqrt(variance > 0 ? variance : 0));
    fprintf(out, "Min: %.4f  Median: %.4f  Max: %.4f\n", h->min, histogram_percentile(h, 50),
            h->max);
    fprintf(out, "P50: %.4f  P99: %.4f  P99.9: %.4f  Max: %.4f\n", histogram_percentile(h, 50),
            histogram_percentile(h, 99), histogram_percentile(h, 99.9), h->max);
    fprintf(out, "------------------------------------------------------\n");
    print_buckets(h, out);
}
