/* A thread that is about to wait (for the disk, another thread, room) says so first. Who gave the
 * thread its work can then put another in its place: store_on_wait() in store.h. */
#ifndef STORE_BASE_ON_WAIT_H
#define STORE_BASE_ON_WAIT_H

extern void (*on_wait_hook)(void); /* NULL: nobody wants to know */
extern void (*on_slow_call_hook)(void (*call)(void *arg), void *arg); /* NULL: call it */

static inline void about_to_wait(void)
{
    void (*hook)(void) = __atomic_load_n(&on_wait_hook, __ATOMIC_RELAXED);
    if (hook)
        hook();
}

/* call(arg), which may sleep for long. */
static inline void slow_call(void (*call)(void *arg), void *arg)
{
    void (*hook)(void (*)(void *), void *) = __atomic_load_n(&on_slow_call_hook, __ATOMIC_RELAXED);
    if (hook)
        hook(call, arg);
    else
        call(arg);
}

#endif
