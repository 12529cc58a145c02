/* A simulated disk's state, shared by env_sim.c (the calls of the store) and sim_control.c (those
 * of the test). Everything in it is guarded by `mu`. */
#ifndef STORE_TESTS_SIM_STATE_H
#define STORE_TESTS_SIM_STATE_H

#include <pthread.h>
#include "env_sim.h"

struct sim_fault {
    enum sim_call call;
    uint64_t at;
    int error;
    enum sim_damage damage;
    bool fired;
};

struct env_sim {
    struct env env; /* first */
    pthread_mutex_t mu;
    /* all below: guarded by mu */
    struct sim_disk disk;
    uint64_t counts[SIM_CALLS];
    struct sim_fault fault;
    struct sim_random random; /* how much a fault leaves behind */
    uint64_t cut_at, capacity, clock_ns;
    bool is_quota; /* env_space does not tell of the capacity */
    bool cut, real_time, tracing;
    unsigned sync_us;
    env_sim_hook *hook;
    void *hook_arg;
    struct sim_traced *trace;
    size_t trace_count;
    int open_files;
};

static inline struct env_sim *sim_of(struct env *e)
{
    return (struct env_sim *)e;
}

static inline bool sim_is_numbered(enum sim_call call)
{
    return call >= SIM_CREATE && call <= SIM_SYNC_DIR;
}

extern const struct env_ops sim_ops; /* env_sim.c */

#endif
