/* See on_wait.h. */
#include "on_wait.h"

#include "../store.h"

void (*on_wait_hook)(void);
void (*on_slow_call_hook)(void (*call)(void *arg), void *arg);

void store_on_wait(void (*hook)(void))
{
    __atomic_store_n(&on_wait_hook, hook, __ATOMIC_RELAXED);
}

void store_on_slow_call(void (*hook)(void (*call)(void *arg), void *arg))
{
    __atomic_store_n(&on_slow_call_hook, hook, __ATOMIC_RELAXED);
}

void store_about_to_wait(void)
{
    about_to_wait();
}

void store_slow_call(void (*call)(void *arg), void *arg)
{
    slow_call(call, arg);
}
