/* See throttle.h. */
#include "throttle.h"

#define UNKNOWN_DRAIN (32u << 20) /* bytes per second, until something was measured */
#define LEAST_RATE (1u << 20)
#define SAMPLE_NS 1000000ull /* a shorter sample says more about the clock than about the disk */
#define SECOND 1000000000.0

/* Where `x` stands between slow and stop: 0 below slow, 1 from stop on. */
static double part_of_way(double x, double slow, double stop)
{
    if (x < slow)
        return 0;
    if (x >= stop || stop <= slow)
        return 1;
    return (x - slow) / (stop - slow);
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

double throttle_flush_pressure(const struct throttle_load *l)
{
    if (l->immutables < l->max_immutables)
        return 0;
    return part_of_way((double)l->memtable, 0, (double)l->memtable_limit);
}

double throttle_compact_pressure(const struct throttle_load *l)
{
    /* At level0_slow itself something must happen, so the way begins one table before it. */
    double level0 = part_of_way(l->level0, l->level0_slow - 1, l->level0_stop);
    double debt =
        l->debt_hard ? part_of_way((double)l->debt, (double)l->debt_soft, (double)l->debt_hard) : 0;
    return larger(level0, debt);
}

uint64_t throttle_rate(double pressure, uint64_t drain)
{
    if (pressure <= 0)
        return 0;
    double most = 2.0 * (double)(drain ? drain : UNKNOWN_DRAIN), rate = most * (1 - pressure);
    return rate < LEAST_RATE ? LEAST_RATE : (uint64_t)rate;
}

void throttle_meter_add(struct throttle_meter *m, uint64_t bytes, uint64_t ns)
{
    if (bytes == 0)
        return;
    if (ns < SAMPLE_NS)
        ns = SAMPLE_NS;
    uint64_t sample = (uint64_t)((double)bytes * SECOND / (double)ns);
    m->rate = m->rate ? m->rate - m->rate / 4 + sample / 4 : sample;
    if (m->rate == 0)
        m->rate = 1;
}

uint64_t throttle_charge(struct throttle *t, uint64_t rate, uint64_t bytes, uint64_t now_ns)
{
    uint64_t own = (uint64_t)((double)bytes * SECOND / (double)rate);
    if (own > THROTTLE_MAX_NS)
        own = THROTTLE_MAX_NS; /* the rest is forgiven: who stops writers in earnest is the stop */
    if (t->paid_until < now_ns)
        t->paid_until = now_ns;
    t->paid_until += own;
    if (t->paid_until > now_ns + 2 * THROTTLE_MAX_NS)
        t->paid_until = now_ns + 2 * THROTTLE_MAX_NS;
    uint64_t wait = t->paid_until - now_ns;
    if (wait < THROTTLE_STEP_NS)
        return 0;
    if (wait > own + THROTTLE_OTHERS_NS)
        wait = own + THROTTLE_OTHERS_NS;
    return wait < THROTTLE_MAX_NS ? wait : THROTTLE_MAX_NS;
}
