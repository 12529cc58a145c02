/* See wake.h. */
#include "wake.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/on_wait.h"

enum { SPINS = 100 }; /* about a microsecond: a plain group in front is often done by then */

static void cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void wake_writer(uint32_t *word, enum writer_state state)
{
    uint32_t old = __atomic_exchange_n(word, (uint32_t)state, __ATOMIC_ACQ_REL);
    if (old & WRITER_ASLEEP)
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void wake_not_yet(uint32_t *word, enum writer_state state)
{
    uint32_t old = __atomic_load_n(word, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(word, &old, (uint32_t)state | (old & WRITER_ASLEEP), 1,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        ;
}

static int must_wait(uint32_t state)
{
    return state == WRITER_QUEUED || state == WRITER_SYNCING;
}

enum writer_state wake_await(uint32_t *word)
{
    for (int i = 0; i < SPINS; i++) {
        uint32_t state = __atomic_load_n(word, __ATOMIC_ACQUIRE);
        if (!must_wait(state))
            return (enum writer_state)state;
        cpu_pause();
    }
    about_to_wait();
    for (;;) {
        uint32_t state = __atomic_load_n(word, __ATOMIC_ACQUIRE);
        if (!must_wait(state & ~(uint32_t)WRITER_ASLEEP))
            return (enum writer_state)state;
        uint32_t asleep = state | WRITER_ASLEEP;
        if (state == asleep || __atomic_compare_exchange_n(word, &state, asleep, 0,
                                                           __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, asleep, NULL, NULL, 0);
    }
}
