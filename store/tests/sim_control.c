/* What a test asks of its simulated disk; see env_sim.h. */
#include "sim_state.h"

#include <assert.h>
#include <stdlib.h>
#include "../base/error.h"

static const char *const call_names[SIM_CALLS] = {
    "any",    "create", "write",  "truncate",  "punch",        "sync",
    "rename", "unlink", "mkdir",  "sync_dir",  "open",         "read",
    "list",   "lock",   "window", "write_out", "await_written"};

const char *env_sim_call_name(enum sim_call call)
{
    return call_names[call];
}

static struct env_sim *new_sim(void)
{
    struct env_sim *s = mem_zalloc(sizeof *s);
    s->env.ops = &sim_ops;
    pthread_mutex_init(&s->mu, NULL);
    return s;
}

struct env *env_sim_new(void)
{
    struct env_sim *s = new_sim();
    sim_disk_init(&s->disk);
    return &s->env;
}

static void forget_trace(struct env_sim *s)
{
    for (size_t n = 0; n < s->trace_count; n++)
        free(s->trace[n].path);
    free(s->trace);
    s->trace = NULL;
    s->trace_count = 0;
}

void env_sim_free(struct env *e)
{
    struct env_sim *s = sim_of(e);
    assert(s->open_files == 0);
    forget_trace(s);
    sim_disk_free(&s->disk);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

uint64_t env_sim_count(struct env *e, enum sim_call call)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    uint64_t n = s->counts[call];
    pthread_mutex_unlock(&s->mu);
    return n;
}

void env_sim_fail(struct env *e, enum sim_call call, uint64_t k, int error, enum sim_damage damage)
{
    struct env_sim *s = sim_of(e);
    assert(error < 0);
    pthread_mutex_lock(&s->mu);
    s->fault = (struct sim_fault){call, k, error, damage, false};
    pthread_mutex_unlock(&s->mu);
}

bool env_sim_failed(struct env *e)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    bool fired = s->fault.fired;
    pthread_mutex_unlock(&s->mu);
    return fired;
}

static void set_capacity(struct env *e, uint64_t bytes, bool is_quota)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    s->capacity = bytes;
    s->is_quota = is_quota;
    pthread_mutex_unlock(&s->mu);
}

void env_sim_set_capacity(struct env *e, uint64_t bytes)
{
    set_capacity(e, bytes, false);
}

void env_sim_set_quota(struct env *e, uint64_t bytes)
{
    set_capacity(e, bytes, true);
}

void env_sim_set_hook(struct env *e, env_sim_hook *hook, void *arg)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    s->hook = hook;
    s->hook_arg = arg;
    pthread_mutex_unlock(&s->mu);
}

void env_sim_set_sync_us(struct env *e, unsigned us)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    s->sync_us = us;
    pthread_mutex_unlock(&s->mu);
}

void env_sim_set_real_time(struct env *e, bool real)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    s->real_time = real;
    pthread_mutex_unlock(&s->mu);
}

void env_sim_cut_at(struct env *e, uint64_t k)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    s->cut_at = k;
    pthread_mutex_unlock(&s->mu);
}

bool env_sim_is_cut(struct env *e)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    bool cut = s->cut;
    pthread_mutex_unlock(&s->mu);
    return cut;
}

struct env *env_sim_cut_copy(struct env *e)
{
    struct env_sim *from = sim_of(e), *to = new_sim();
    pthread_mutex_lock(&from->mu);
    sim_disk_copy(&from->disk, &to->disk);
    pthread_mutex_unlock(&from->mu);
    to->cut = true;
    return &to->env;
}

/* Counts start again, nothing is armed. mu held. */
static void disarm(struct env_sim *s)
{
    assert(s->open_files == 0);
    memset(s->counts, 0, sizeof s->counts);
    memset(&s->fault, 0, sizeof s->fault);
    s->cut = false;
    s->cut_at = s->capacity = 0;
    s->hook = NULL;
    s->hook_arg = NULL;
    forget_trace(s);
}

void env_sim_survive(struct env *e, enum sim_survival how, uint64_t seed)
{
    struct env_sim *s = sim_of(e);
    struct sim_random random = {seed};
    pthread_mutex_lock(&s->mu);
    disarm(s);
    sim_disk_settle(&s->disk, how, &random);
    pthread_mutex_unlock(&s->mu);
}

void env_sim_restart(struct env *e)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    disarm(s);
    pthread_mutex_unlock(&s->mu);
}

void env_sim_set_trace(struct env *e, bool on)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    s->tracing = on;
    if (!on)
        forget_trace(s);
    pthread_mutex_unlock(&s->mu);
}

size_t env_sim_trace(struct env *e, const struct sim_traced **out)
{
    struct env_sim *s = sim_of(e);
    pthread_mutex_lock(&s->mu);
    size_t n = s->trace_count;
    *out = s->trace;
    pthread_mutex_unlock(&s->mu);
    return n;
}

bool env_sim_first_failed(struct env *e, struct sim_traced *out)
{
    struct env_sim *s = sim_of(e);
    bool found = false;
    pthread_mutex_lock(&s->mu);
    for (size_t n = 0; n < s->trace_count && !found; n++)
        if (s->trace[n].result) {
            *out = s->trace[n];
            found = true;
        }
    pthread_mutex_unlock(&s->mu);
    return found;
}

void env_sim_trace_to_text(struct env *e, struct buf *out)
{
    const struct sim_traced *t;
    size_t count = env_sim_trace(e, &t);
    for (size_t n = 0; n < count; n++) {
        char *line =
            mem_printf("%llu %s %s off=%llu len=%llu%s%s\n", (unsigned long long)t[n].number,
                       call_names[t[n].call], t[n].path, (unsigned long long)t[n].off,
                       (unsigned long long)t[n].len, t[n].result ? " failed: " : "",
                       t[n].result ? fail_name(t[n].result) : "");
        buf_append(out, line, strlen(line));
        free(line);
    }
}
