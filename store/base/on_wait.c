/* See on_wait.h. */
#include "on_wait.h"

#include "../store.h"

void (*on_wait_hook)(void);

void store_on_wait(void (*hook)(void))
{
    __atomic_store_n(&on_wait_hook, hook, __ATOMIC_RELAXED);
}

void store_about_to_wait(void)
{
    about_to_wait();
}
