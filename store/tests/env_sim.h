/* A simulated disk behind the store's env: in memory, with power cuts, failing calls, a full disk,
 * and a trace.
 *
 * For tests. Thread safe; a single-threaded caller gets the same run for the same seed. The
 * contract of what survives is env.h's; the rules are in sim_settle.c.
 *
 * Every call that changes or syncs something is numbered, from 1 (SIM_ANY counts them all); each
 * kind has a count of its own besides. A power cut at call k lets call k fail and every later call
 * of any kind, with -EIO, so that all threads of the store come to an end; then env_sim_survive()
 * brings the power back. A disk can also be copied at any moment as if the power were cut just then
 * (env_sim_cut_copy), while the original runs on. */
#ifndef STORE_TESTS_ENV_SIM_H
#define STORE_TESTS_ENV_SIM_H

#include "../env/env.h"
#include "sim_disk.h"

enum sim_call {
    SIM_ANY,    /* all from SIM_CREATE to SIM_SYNC_DIR */
    SIM_CREATE, /* an open or lock that makes or empties a file */
    SIM_WRITE,
    SIM_TRUNCATE,
    SIM_PUNCH,
    SIM_SYNC,
    SIM_RENAME,
    SIM_UNLINK,
    SIM_MKDIR,
    SIM_SYNC_DIR,
    /* not part of SIM_ANY: */
    SIM_OPEN, /* of what is there */
    SIM_READ,
    SIM_LIST,
    SIM_LOCK,
    SIM_WINDOW, /* those of SIM_WRITE that went through a window */
    SIM_WRITE_OUT,
    SIM_AWAIT_WRITTEN, /* fails as SIM_SYNC does */
    SIM_CALLS
};

/* What a failing call does before it reports its error. The sync of a file gives up what is
 * pending, as Linux does (pages marked clean): a later one succeeds without making it durable. */
enum sim_damage {
    SIM_DONE_NOTHING, /* nothing; a sync of a file: all that is pending is lost */
    SIM_DONE_PART, /* a write: some first part of it is there. A sync of a file: each part of what
                    * is pending is on disk or not. A sync of a folder: done. Others: nothing */
    SIM_DONE_ALL,  /* all of it, but for the sync of a file: as SIM_DONE_PART */
};

struct sim_traced {
    enum sim_call call;
    uint64_t number; /* the running number; 0 where the kind has none */
    char *path;
    uint64_t off, len;
    int result;
};

/* Called before each numbered call, without any lock of the disk: it may block the calling thread,
 * and look at the disk. A negative result makes the call fail with it (having done nothing). */
typedef int env_sim_hook(void *arg, enum sim_call call, const char *path);

/* A disk with an empty root folder "/". */
struct env *env_sim_new(void);
/* Requires: no file of it is open. */
void env_sim_free(struct env *e);
const char *env_sim_call_name(enum sim_call call);

/* How many calls of this kind there were (since the power last came back). */
uint64_t env_sim_count(struct env *e, enum sim_call call);
/* The k-th call of this kind (counted as env_sim_count does) fails with `error` (-EIO, -ENOSPC).
 * One at a time; k = 0: none. env_sim_failed: whether it came to that. */
void env_sim_fail(struct env *e, enum sim_call call, uint64_t k, int error, enum sim_damage damage);
bool env_sim_failed(struct env *e);
/* Only so many bytes fit on the disk: a write that does not fit is cut short and fails with
 * -ENOSPC. 0: no limit. */
void env_sim_set_capacity(struct env *e, uint64_t bytes);
/* The same, as a quota does it: env_space tells of a disk that is nearly empty. */
void env_sim_set_quota(struct env *e, uint64_t bytes);
void env_sim_set_hook(struct env *e, env_sim_hook *hook, void *arg);
/* Each sync takes so long, in real time and by the disk's clock. */
void env_sim_set_sync_us(struct env *e, unsigned us);
/* true: the real clock, and sleeps that sleep. Default false: time passes with each call and sleep
 * only. */
void env_sim_set_real_time(struct env *e, bool real);

/* The power goes at the k-th call from the start of the count; 0: never. */
void env_sim_cut_at(struct env *e, uint64_t k);
bool env_sim_is_cut(struct env *e);
/* A copy of the disk as if the power were cut now: pass it to env_sim_survive() before use. */
struct env *env_sim_cut_copy(struct env *e);
/* The power comes back; counts start again; no fault, hook or capacity is left. Requires: no file
 * is open. */
void env_sim_survive(struct env *e, enum sim_survival how, uint64_t seed);

/* The process ended and starts again, but the power stayed: what was written and not synced can be
 * read, and is not durable yet. Otherwise as env_sim_survive(). */
void env_sim_restart(struct env *e);

/* Notes every numbered call from now on (false: forgets them). */
void env_sim_set_trace(struct env *e, bool on);
/* All of them; Requires: no other thread uses the disk meanwhile. */
size_t env_sim_trace(struct env *e, const struct sim_traced **out);
/* The first traced call that failed; false where none did. */
bool env_sim_first_failed(struct env *e, struct sim_traced *out);
void env_sim_trace_to_text(struct env *e, struct buf *out);

#endif
