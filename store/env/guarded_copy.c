/* See guarded_copy.h.
 *
 * A SIGBUS comes to the very thread that touched the memory, in the middle of its memcpy(); the
 * handler leaves that by a jump. It is no place where a lock could be held or a C library function
 * be half done, so the jump is sound. The jump keeps the handler's mask of signals, in which the
 * signal itself is blocked, so the next one would end the process: the handler restores the mask
 * first (sigsetjmp could, but for a system call in each copy). */
#include "guarded_copy.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

struct guard {
    sigjmp_buf back;
    uintptr_t to, from; /* the memory that is written, and that is read */
    size_t n;
};

static _Thread_local struct guard *volatile guard; /* of the copy under way, or NULL */
static struct sigaction before;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool ready;

/* Not ours: whoever was there before. The default action comes when the access is repeated. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(number, info, context);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
        before.sa_handler(number);
    else
        sigaction(SIGBUS, &before, NULL);
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    struct guard *g = guard;
    uintptr_t at = (uintptr_t)info->si_addr;
    if (g && info->si_code > 0 && (at - g->to < g->n || at - g->from < g->n)) {
        pthread_sigmask(SIG_SETMASK, &((ucontext_t *)context)->uc_sigmask, NULL);
        siglongjmp(g->back, 1);
    }
    pass_on(number, info, context);
}

static void install(void)
{
    struct sigaction ours = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigemptyset(&ours.sa_mask);
    if (sigaction(SIGBUS, NULL, &before) == 0)
        ready = sigaction(SIGBUS, &ours, NULL) == 0;
}

bool guarded_copy_ready(void)
{
    pthread_once(&once, install);
    return ready;
}

bool guarded_copy(void *to, const void *from, size_t n)
{
    struct guard g = {.to = (uintptr_t)to, .from = (uintptr_t)from, .n = n};
    if (sigsetjmp(g.back, 0)) { /* 0: leaves the mask to the handler */
        guard = NULL;
        return false;
    }
    guard = &g;
    atomic_signal_fence(memory_order_seq_cst); /* the copy stays between the two */
    memcpy(to, from, n);
    atomic_signal_fence(memory_order_seq_cst);
    guard = NULL;
    return true;
}
