/* How a writer sleeps and is woken: one futex word each, so that whoever is not meant stays asleep.
 *
 * The state says what the writer's thread has to do next. The waker changes it and makes the system
 * call only where the thread said that it sleeps (WRITER_ASLEEP). After WRITER_DONE the writer's
 * memory belongs to its thread again: the waker does not touch it any more. */
#ifndef STORE_COMMIT_WAKE_H
#define STORE_COMMIT_WAKE_H

#include <stdint.h>

enum writer_state {
    WRITER_QUEUED = 0,      /* somebody before it leads */
    WRITER_LEADER = 1,      /* first in the queue: commit a group */
    WRITER_SYNCING = 2,     /* committed; waits until it is durable */
    WRITER_SYNC_LEADER = 3, /* committed; has to run the next sync */
    WRITER_DONE = 4,
    WRITER_ASLEEP = 16, /* flag: its thread sleeps in the futex */
};

/* Sets the state and wakes the thread if it sleeps. */
void wake_writer(uint32_t *word, enum writer_state state);
/* The writer waits on, for something else (QUEUED, SYNCING): it is not woken. */
void wake_not_yet(uint32_t *word, enum writer_state state);
/* Returns once the state is none of QUEUED and SYNCING; returns it. */
enum writer_state wake_await(uint32_t *word);

#endif
