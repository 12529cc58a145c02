/* The request loop: libfuse's, with threads that read a request, serve it and answer it. A thread
 * may sleep in a commit; others then read on, up to options.threads of them.
 *
 * Ending it: libfuse's main thread waits in sem_wait, which only a signal interrupts. loop_stop
 * therefore sets the session's exit flag and interrupts that thread until it has seen the flag. */
#include "internal.h"

#include <signal.h>
#include <time.h>

#define WAKE_SIGNAL SIGUSR1

static void do_nothing(int sig)
{
    (void)sig;
}

int loop_run(struct session *s)
{
    struct sigaction wake = {.sa_handler = do_nothing}; /* no SA_RESTART: it shall interrupt */
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    int r;
    if (config == NULL)
        return fail(-ENOMEM, "the request loop: out of memory");
    sigaction(WAKE_SIGNAL, &wake, NULL);
    fuse_loop_cfg_set_max_threads(config, s->o->threads);
    fuse_loop_cfg_set_clone_fd(config, 0);
    r = fuse_session_loop_mt(s->se, config);
    fuse_loop_cfg_destroy(config);
    atomic_store(&s->loop_done, true);
    return r < 0 ? fail(r, "the request loop: %s", fail_name(r)) : 0;
}

void loop_stop(struct session *s)
{
    const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
    fuse_session_exit(s->se);
    while (!atomic_load(&s->loop_done)) {
        pthread_kill(s->loop_thread, WAKE_SIGNAL);
        nanosleep(&pause, NULL);
    }
}
