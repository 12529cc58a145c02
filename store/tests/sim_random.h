/* The tests' random numbers: splitmix64, so that a seed gives the same run on every machine. Not
 * thread safe: one struct for each thread. */
#ifndef STORE_TESTS_SIM_RANDOM_H
#define STORE_TESTS_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct sim_random {
    uint64_t state;
};

static inline uint64_t sim_next(struct sim_random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* 0 .. n-1; Requires: n > 0. */
static inline uint64_t sim_below(struct sim_random *r, uint64_t n)
{
    return sim_next(r) % n;
}

static inline bool sim_chance(struct sim_random *r, unsigned percent)
{
    return sim_below(r, 100) < percent;
}

/* A number from the environment (SEED, ITERATIONS, TORTURE), or what is usual. */
static inline uint64_t sim_env_number(const char *name, uint64_t usual)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : usual;
}

#endif
