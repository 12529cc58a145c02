/* The pace of appends where syncs come often.
 *
 * A sync waits for all that was appended before it, also to other files; a program that copies
 * large files would leave the kernel hundreds of MiB to write first. So where syncs come often what
 * is appended is on its way to the disk at once, and who appends waits for what was appended a
 * little before. Where nobody syncs the kernel writes when it likes, and a file that is soon
 * removed never.
 *
 * The waiting tells this descriptor, and no later fdatasync, that the disk did not take something.
 * So it is done under sync_mu, and counts as a failed sync. */
#include "segment_files.h"

#define OFTEN_NS 1000000000ull     /* syncs come often if they are so close, */
#define PIECE ((uint64_t)1 << 20)  /* ... bytes then go to the disk by so many, */
#define BEHIND ((uint64_t)2 << 20) /* ... and so many may be on their way */

void segment_pace_asked(struct segments *s)
{
    uint64_t now = env_now_ns(s->env);
    uint64_t before = atomic_exchange_explicit(&s->asked_ns, now, memory_order_relaxed);
    atomic_store_explicit(&s->often, now - before < OFTEN_NS, memory_order_relaxed);
}

static bool syncs_come_often(struct segments *s)
{
    return atomic_load_explicit(&s->often, memory_order_relaxed) &&
           env_now_ns(s->env) - atomic_load_explicit(&s->asked_ns, memory_order_relaxed) < OFTEN_NS;
}

/* A piece on its way, for store_slow_call. */
struct piece {
    struct segments *s;
    struct env_file *file;
    uint64_t from, end;
};

static void write_out(void *arg)
{
    struct piece *p = arg;
    struct segments *s = p->s;
    uint64_t upto = p->from > BEHIND ? p->from - BEHIND : 0;
    int rc = env_write_out(s->env, p->file, p->from, p->end - p->from);
    pthread_mutex_lock(&s->sync_mu);
    if (rc == 0 && upto > 0)
        rc = env_await_written(s->env, p->file, 0, upto);
    if (rc)
        s->failed = rc;
    pthread_mutex_unlock(&s->sync_mu);
}

void segment_pace(struct segments *s, struct segment *g, uint64_t end)
{
    struct piece p = {s, g->file, 0, end};
    if (!syncs_come_often(s))
        return;
    pthread_mutex_lock(&s->mu);
    p.from = g->begun;
    bool due = end >= p.from + PIECE;
    if (due)
        g->begun = end;
    pthread_mutex_unlock(&s->mu);
    if (!due)
        return;
    store_about_to_wait();
    store_slow_call(write_out, &p);
}
